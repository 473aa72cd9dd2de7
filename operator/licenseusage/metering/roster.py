"""Rosters: an upper bound for products that remove users (``removal: ListedOnce``).

Where a user may leave the listing at any time, a closing poll alone rules nobody out. But if
everybody active in the cycle was in at least one complete poll, they are all among those ever
listed; whoever was still listed at the cycle's end and not active since its start is ruled out, and
those who vanished before that stay possible (MEASUREMENT §0, §3.9).

Sets of pseudonyms are packed: sorted, distinct, 16 bytes each, one after the other. A million
listed users are 16 MB.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from struct import iter_unpack
from typing import NamedTuple

from licenseusage.metering.cycles import Cycle, Segment
from licenseusage.metering.known import Known
from licenseusage.metering.polled import Polled
from licenseusage.metering.properties import Properties
from licenseusage.metering.pseudonym import SIZE

HOUR_MS = 3_600_000
JOINED_GAP_MS = HOUR_MS
"""Complete polls no further apart are kept as one run: no setting forbids a gap that short."""


class Run(NamedTuple):
    """Complete polls one after the other, times widened by the clock skew.

    Attributes:
        first_end_ms: When the first of them had been read.
        last_start_ms: When the last of them began.
    """

    first_end_ms: int
    last_start_ms: int


@dataclass(frozen=True, slots=True)
class Roster:
    """Who was ever listed by complete polls of one store, for one cycle; a join-semilattice.

    Attributes:
        before: Packed: listed by a complete poll that began too early to close the cycle.
        open_at_ms: When the earliest closing poll began; None before the first.
        open: Packed: listed by that poll and not proved inactive by it.
        inactive: Packed: proved inactive in the cycle by any poll late enough, complete or not.
        runs: Complete polls, ascending; polls at most ``JOINED_GAP_MS`` apart are one run.
    """

    before: bytes = b""
    open_at_ms: int | None = None
    open: bytes = b""
    inactive: bytes = b""
    runs: tuple[Run, ...] = ()


class Listed(NamedTuple):
    """The users of one poll by what their last activity says of the cycle.

    Attributes:
        never: Users without a last activity.
        early: Users whose last activity is before the cycle's horizon (``facts.horizon_ms``).
        later: The others: user, last activity, creation time or None, in ms since the epoch.
        everybody: All of them, packed, where that is at hand.
    """

    never: Iterable[bytes]
    early: Iterable[bytes]
    later: Iterable[tuple[bytes, int, int | None]]
    everybody: bytes | None = None


def packed(users: Iterable[bytes]) -> bytes:
    """Return a set of pseudonyms as sorted, distinct bytes, one after the other.

    By their first byte, so that of a million users only some thousands at a time are objects.
    """
    parts = [bytearray() for _ in range(256)]
    for user in users:
        parts[user[0]] += user
    return b"".join(b"".join(sorted(set(unpacked(part)))) for part in parts)


def unpacked(users: bytes | bytearray) -> Iterator[bytes]:
    """Yield the pseudonyms of packed bytes, in their order."""
    return (user for (user,) in iter_unpack(f"{SIZE}s", users))


def roster_of(
    cycle: Cycle | Segment, properties: Properties, polled: Polled, listed: Listed
) -> Roster:
    """Return the roster of one poll.

    With ids that may be given to another user, neither a row without activity nor a creation after
    the cycle proves anything about whoever had the id before. Of several rows of one user all must
    prove it.

    Args:
        cycle: The cycle; also one that has not begun, for its first roster.
        properties: What the source declares.
        polled: The poll; one that was not complete can only prove people inactive.
        listed: Everybody listed.
    """
    if polled.began_ms - properties.lag_ms >= cycle.end_ms:
        active, inactive = _ruled_out(cycle, properties, listed)
        if not polled.complete:
            return Roster(inactive=packed(inactive))
        runs = _runs(polled)
        return Roster(b"", polled.began_ms, packed(active), packed(inactive), runs)
    if not polled.complete:
        return Roster()
    later = (user for user, _, _ in listed.later)
    everybody = listed.everybody
    if everybody is None:
        everybody = packed(chain(listed.never, listed.early, later))
    return Roster(before=everybody, runs=_runs(polled))


def merge_rosters(a: Roster | None, b: Roster | None) -> Roster | None:
    """Return the join of two rosters of one store and cycle.

    Of the closing polls the earliest counts, which is the tightest: users who were created after it
    are no matter of the cycle.
    """
    if a is None or b is None:
        return b if a is None else a
    earliest = min((r.open_at_ms for r in (a, b) if r.open_at_ms is not None), default=None)
    closing = [r.open for r in (a, b) if r.open_at_ms == earliest]
    return Roster(
        before=_union(a.before, b.before),
        open_at_ms=earliest,
        open=_union(*closing),
        inactive=_union(a.inactive, b.inactive),
        runs=joined_runs((*a.runs, *b.runs), JOINED_GAP_MS),
    )


def joined_runs(runs: Iterable[Run], gap_ms: int) -> tuple[Run, ...]:
    """Return runs of polls with those no more than ``gap_ms`` apart made one, ascending.

    A gap is measured from the start of a poll to the end of the next: whoever was created after the
    one had read his place in the list can be gone before the other reads it.
    """
    joined: list[Run] = []
    for run in sorted(runs):
        if joined and run.first_end_ms - joined[-1].last_start_ms <= gap_ms:
            last = joined[-1]
            joined[-1] = Run(last.first_end_ms, max(last.last_start_ms, run.last_start_ms))
        else:
            joined.append(run)
    return tuple(joined)


class Missing(StrEnum):
    """Why a roster gives no upper bound (Tokens of ``CycleStatement.unbounded``).

    ``NOT_AT_START``: no complete poll had ended when the cycle began, so that somebody may have
    been removed unseen. ``GAP``: complete polls are too far apart. ``NOT_CLOSED``: no complete poll
    was late enough to show everything.
    """

    NOT_AT_START = "RosterMissing"
    GAP = "RosterGap"
    NOT_CLOSED = "NoClosingPoll"


def missing(
    start_ms: int, open_at_ms: int | None, runs: Sequence[Run], gap_ms: int
) -> Missing | None:
    """Return what a roster lacks to contain everybody active in the cycle; None: nothing.

    Args:
        start_ms: Start of the cycle: the roster begins with a poll that ended by then.
        open_at_ms: When the closing poll began.
        runs: The complete polls.
        gap_ms: How far two of them may lie apart (a setting).
    """
    if open_at_ms is None:
        return Missing.NOT_CLOSED
    begun = [run for run in joined_runs(runs, gap_ms) if run.first_end_ms <= start_ms]
    if not begun:
        return Missing.NOT_AT_START
    return None if begun[-1].last_start_ms >= open_at_ms else Missing.GAP


def known_by_roster(
    cycle: Cycle | Segment, properties: Properties, sure: Set[bytes], roster: Roster | None
) -> Known:
    """Return what is known of the cycle where users are listed once (MEASUREMENT §3.9).

    Somebody with proof of activity who was in no complete poll refutes that there are none: then
    there is no upper bound either.
    """
    if roster is None:
        return Known(sure)
    inactive = set(unpacked(roster.inactive))
    still, before = set(unpacked(roster.open)), set(unpacked(roster.before))
    refuted = not inactive.isdisjoint(sure)
    lacks = missing(cycle.start_ms, roster.open_at_ms, roster.runs, properties.roster_gap_ms)
    if lacks is not None or not sure <= before | still:
        return Known(sure, conflict=refuted)
    possible = (before | still | sure) - (inactive - sure)
    return Known(sure, possible, vanished=possible - still - sure, conflict=refuted)


def _runs(polled: Polled) -> tuple[Run, ...]:
    """A poll as a run; one that takes longer than gaps that are joined would defy their order."""
    short = polled.read_ms - polled.began_ms <= JOINED_GAP_MS
    return (Run(polled.read_ms, polled.began_ms),) if short else ()


def _ruled_out(
    cycle: Cycle | Segment, properties: Properties, listed: Listed
) -> tuple[set[bytes], set[bytes]]:
    """Return who of those listed may have been active, and who was not."""
    active: set[bytes] = set()
    inactive = set(listed.early)
    for user, value_ms, created_ms in listed.later:
        first_ms, last_ms = value_ms - properties.skew_ms, value_ms + properties.width_ms
        inside = cycle.start_ms <= first_ms and last_ms < cycle.end_ms
        new = created_ms is not None and created_ms - properties.skew_ms >= cycle.end_ms
        (inactive if new and not inside and not properties.id_reuse else active).add(user)
    (active if properties.id_reuse else inactive).update(listed.never)
    inactive -= active
    return active, inactive


def _union(*sets: bytes) -> bytes:
    if len(set(sets)) == 1:
        return sets[0]  # most polls list the same people as before
    return packed(user for each in sets for user in unpacked(each))
