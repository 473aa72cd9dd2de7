"""Activity that producers push: their chains of requests, and what their heartbeats prove.

A pushed source is an event log (kind D of MEASUREMENT) that nobody can read again: whatever was
answered is gone from its producer. So each answered request gives its producer a *receipt*, which
the next one brings along. A receipt that is not the newest one means that something was answered by
somebody else: by another ledger (this one was restored from a backup), or to another process under
the same name. Then a new chain begins, and nothing is known of the time between the two.

A *heartbeat* at ``t`` says: whatever I recorded before t has been answered. Within one chain it
proves the stretch from the chain's first heartbeat to t. One producer says nothing of another: a
stretch is known where each declared producer has proved it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from licenseusage.metering.events import Range, united
from licenseusage.reasons import Reason


@dataclass(frozen=True, slots=True)
class Chain:
    """What is kept of one producer.

    Attributes:
        receipt: That of its last answered request.
        before: The one that this request had brought along: the answer may have been lost, and then
            the same events come again under it. None: the chain had just begun.
        since_ms: The first heartbeat of the chain; None: there was none yet.
        until_ms: The greatest heartbeat ever; None: there was none yet.
    """

    receipt: str
    before: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


class PushRefusedError(ValueError):
    """A request that does not go on from what is kept of its producer; nothing was recorded.

    Attributes:
        reason: ``PushReceiptUnknown`` or ``HeartbeatWentBack``.
        by_ms: How far the heartbeat went back.
    """

    def __init__(self, reason: Reason, by_ms: int = 0) -> None:
        """Keep the reason."""
        super().__init__(str(reason))
        self.reason, self.by_ms = reason, by_ms


def continued(
    chain: Chain | None, given: str | None, receipt: str, through_ms: int | None
) -> Chain:
    """Return what is kept of a producer after a request.

    Args:
        chain: Before it; None: the producer is new here.
        given: The receipt that it brings along; None: it begins a chain.
        receipt: The receipt that answers it, never used before.
        through_ms: Its heartbeat, at most now; None: it has none.

    Raises:
        PushRefusedError: The receipt is not known, or the heartbeat lies before the last one.
    """
    if given is None:
        after = Chain(receipt, until_ms=None if chain is None else chain.until_ms)
    elif chain is None or given not in (chain.receipt, chain.before):
        raise PushRefusedError(Reason.PUSH_RECEIPT_UNKNOWN)
    else:
        after = replace(chain, receipt=receipt, before=given)
    if through_ms is None:
        return after
    if after.until_ms is not None and through_ms < after.until_ms:
        raise PushRefusedError(Reason.HEARTBEAT_WENT_BACK, after.until_ms - through_ms)
    since_ms = through_ms if after.since_ms is None else after.since_ms
    return replace(after, since_ms=since_ms, until_ms=through_ms)


def claimed(chain: Chain) -> Range | None:
    """Return the stretch that a chain proves of its producer; None: none yet."""
    if chain.since_ms is None or chain.until_ms is None or chain.since_ms >= chain.until_ms:
        return None
    return Range(chain.since_ms, chain.until_ms)


def covers(ranges: Iterable[Range], at_ms: int) -> bool:
    """Whether an event at this time ought to be known already."""
    return any(start <= at_ms < end for start, end in ranges)


def shared(ranges: Sequence[Sequence[Range]]) -> tuple[Range, ...]:
    """Return what is in a range of everybody: ascending, disjoint; nothing of nobody."""
    if not ranges:
        return ()
    common = united(ranges[0])
    for other in ranges[1:]:
        meet = [
            Range(max(a.start_ms, b.start_ms), min(a.end_ms, b.end_ms))
            for a in common
            for b in united(other)
        ]
        common = united(meet)
    return common


def heard_until_ms(producers: Sequence[str], until: Mapping[str, int | None]) -> int | None:
    """Return up to when every declared producer has sent a heartbeat; None: one has sent none."""
    times = [until.get(producer) for producer in producers]
    sent = [at for at in times if at is not None]
    return min(sent) if sent and len(sent) == len(times) else None
