"""From the rows kept of a listing to the facts of a cycle."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import compress
from operator import not_

from licenseusage.metering.facts import (
    Facts,
    Row,
    horizon_ms,
    list_facts,
    packed_facts,
    side_by_side,
)
from licenseusage.metering.packing import unpacked
from licenseusage.metering.properties import Properties
from licenseusage.metering.roster import Listed
from licenseusage.sources.lists.everybody import Everybody
from licenseusage.sources.lists.kept import Kept
from licenseusage.sources.poll import CycleRequest


@dataclass(frozen=True, slots=True)
class ListPoll:
    """The facts of a poll about all rows that it read.

    Attributes:
        started_ms: Its start, ms since the epoch; ``ended_ms`` its end.
        clock_skew_ms: k of MEASUREMENT §0.
        complete: The listing is complete (MEASUREMENT §3.6).
        everybody: All users were asked for, not only those active in a cycle.
    """

    started_ms: int
    ended_ms: int
    clock_skew_ms: int
    complete: bool
    everybody: bool


def facts_of(
    request: CycleRequest,
    properties: Properties,
    kept: Kept,
    positions: range,
    everybody: Everybody | None,
    poll: ListPoll,
) -> Facts:
    """Return the facts of one cycle, packed.

    Args:
        request: What is wanted of the cycle.
        properties: Of the source; times as coarse as they turned out to be.
        kept: The rows that may matter to the cycle.
        positions: Those of them to use.
        everybody: Who is listed, for a roster; None: none is wanted.
        poll: The poll that read them.
    """
    horizon = horizon_ms(request.part, properties)
    listed = None if everybody is None else _listed(everybody, kept, horizon)
    parts = []
    for portion in kept.portions(positions):
        plain = _made(request, kept.as_sure(portion, 0), properties, poll, listed)
        for unsure in sorted(set(kept.unsure.values())):
            # A local time that happened twice: the stamp is somewhere in a wider span.
            wide = replace(properties, granularity_ms=properties.granularity_ms + unsure)
            plain = _united(plain, _made(request, kept.as_sure(portion, unsure), wide, poll))
        parts.append(packed_facts(plain))
        listed = None  # a roster is made once
    return side_by_side(parts)


def as_coarse_as(properties: Properties, found_ms: int) -> Properties:
    """Return the properties with times at least as coarse as found, in ms."""
    return replace(properties, granularity_ms=max(properties.granularity_ms, found_ms))


def _made(
    request: CycleRequest,
    rows: Iterator[Row],
    properties: Properties,
    poll: ListPoll,
    listed: Listed | None = None,
) -> Facts:
    return list_facts(
        request.part,
        properties,
        started_ms=poll.started_ms,
        ended_ms=poll.ended_ms,
        clock_skew_ms=poll.clock_skew_ms,
        complete=poll.complete,
        rows=rows,
        already_closed=request.already_closed,
        listed=listed,
        everybody=poll.everybody,
    )


def _listed(everybody: Everybody, kept: Kept, horizon: int) -> Listed:
    """Return everybody listed; of the rows kept, those before the horizon are early after all."""
    latest = (value + kept.unsure.get(index, 0) for index, value in enumerate(kept.values))
    lately = bytearray(value >= horizon for value in latest)
    early = compress(unpacked(kept.users), map(not_, lately))
    return everybody.listed(early, compress(kept.all(), lately))


def _united(a: Facts, b: Facts) -> Facts:
    """Unite the facts of two parts of one listing: different rows, the same poll."""
    sure = dict(a.sure)
    for user, word in b.sure.items():
        sure[user] = sure.get(user, 0) | word
    maybe = dict(a.maybe)
    for user, word in b.maybe.items():
        maybe[user] = maybe.get(user, 0) | word
    left = {user: word & ~sure.get(user, 0) for user, word in maybe.items()}
    return replace(
        a,
        sure=sure,
        maybe={user: word for user, word in left.items() if word},
        low={w: a.low.get(w, 0) + b.low.get(w, 0) for w in a.low.keys() | b.low.keys()},
        full={w: a.full.get(w, 0) + b.full.get(w, 0) for w in a.full.keys() | b.full.keys()},
    )
