"""Kind A in its general form: lists with last-activity times that forget users after a while.

A finite K (a user stays listed for ``kept_ms`` after each activity) bounds how far back a listing
proves anything, so that several polls have to be chained (MEASUREMENT §3). The compact form of
``facts`` is the same for K = infinity.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from licenseusage.metering.cycles import Cycle, Segment
from licenseusage.metering.facts import ImpossibleStampError, Row
from licenseusage.metering.polled import Polled
from licenseusage.metering.proofs import Proofs, proved
from licenseusage.metering.properties import Properties


@dataclass(frozen=True, slots=True)
class Shown:
    """Memory of an earlier poll, complete or not: it only sharpens, and losing it costs no truth.

    Attributes:
        polled: When it was made.
        values: User -> the times it showed.
    """

    polled: Polled
    values: Mapping[bytes, Set[int]] = field(default_factory=dict)


def listing_proofs(
    cycle: Cycle | Segment,
    properties: Properties,
    polled: Polled,
    rows: Iterable[Row],
    *,
    kept_ms: int | None,
    previous: Shown | None = None,
) -> Proofs:
    """Return the facts of one poll of a list with times.

    Args:
        cycle: The cycle or segment.
        properties: What the source declares; ids must be stable.
        polled: The poll.
        rows: Users that have a value; the same user may repeat.
        kept_ms: K: how long a user stays listed after an activity; None: for ever.
        previous: An earlier poll. A user whom it showed with another value was active since it
            began, less the lag.

    Raises:
        ImpossibleStampError: A row lies in the future of the poll; no facts are made.
        ValueError: Ids are not stable: their polls must not be united (MEASUREMENT §3.8).
    """
    if not properties.ids_stable:
        raise ValueError("ids that are not stable have no general form: use facts.list_facts")
    windows = cycle.windows()
    sure: dict[bytes, int] = {}
    possible: dict[int, set[bytes]] = {window: set() for window in windows}
    refuted = False
    since_ms, before = _memory(properties, polled, previous)
    for user, value, created in rows:
        first, widest = value - properties.skew_ms, value + properties.width_ms
        if first > polled.read_ms:
            raise ImpossibleStampError(first - polled.read_ms)
        last = min(widest, polled.read_ms)
        if user in before and value not in before[user]:
            first = max(first, since_ms)
        # A value that changed, and lies before the poll that showed another one: the lag, or the
        # clock that stamps, is not what is declared (§3.7).
        refuted = refuted or first > last
        real = first <= last and not (
            properties.initial_created
            and (created is None or abs(value - created) <= properties.created_tolerance_ms)
        )
        for window, (start, end) in windows.items():
            inside = real and start <= first and last < end
            unborn = created is not None and created - properties.skew_ms >= end
            if inside:
                sure[user] = sure.get(user, 0) | 1 << window
            if inside or (widest + properties.hidden_ms >= start and not unborn):
                possible[window].add(user)
    if not polled.complete:
        return Proofs(sure, refuted=refuted)
    since = min(start for start, _ in windows.values())
    if kept_ms is not None:
        since = max(since, polled.read_ms - kept_ms)
    records = proved(windows, since, polled.began_ms - properties.lag_ms, possible)
    return Proofs(sure, records, refuted)


def _memory(
    properties: Properties, polled: Polled, previous: Shown | None
) -> tuple[int, Mapping[bytes, Set[int]]]:
    """Return since when a user with a changed value was active, and the values before."""
    if previous is None or previous.polled.read_ms >= polled.began_ms:
        return 0, {}
    return previous.polled.began_ms - properties.lag_ms, previous.values
