"""From an outcome to the outbox's changes: retry time, acknowledgements, re-sends. Pure."""

from licenseusage.delivery.outbox import ChainView, Queued, Settlement
from licenseusage.delivery.outcome import Outcome
from licenseusage.delivery.schedule import Schedule, delay_seconds
from licenseusage.reasons import Reason
from licenseusage.reports.names import Link
from licenseusage.reports.receipt import Receipt, ReceiptVerdict, head_notes

_STOPPING = (Reason.CHAIN_FORKED, Reason.LOCAL_HISTORY_LOST)
_REGRESSED = Reason.VENDOR_HEAD_REGRESSED


def settle(
    queued: Queued,
    outcome: Outcome,
    message: str,
    *,
    chain: ChainView,
    own_digest: str | None,
    now_ms: int,
    permille: int,
    retry_after: int | None = None,
) -> Settlement:
    """Return the consequences of one attempt for the document and its chain.

    Args:
        queued: The document.
        outcome: What the answer means.
        message: For people.
        chain: What the vendor had said about the chain before.
        own_digest: Of our own document at the position of the receipt's head; None: none there.
        now_ms: The time.
        permille: A uniform draw from 0 to 999.
        retry_after: Seconds that the vendor asked for.
    """
    receipt = outcome.receipt
    if receipt is None:
        wait = delay_seconds(outcome.schedule, queued.attempt, permille, retry_after)
        return Settlement(outcome.state, outcome.reason, message, now_ms + 1000 * wait)
    # What is sent again asks for nothing more: a vendor whose head never moves would have us send
    # its chain in a loop, and one that is catching up sends a low head with each receipt.
    notes = head_notes(receipt, own_digest=own_digest, acknowledged=chain.acknowledged)
    stopped = next((note for note in _STOPPING if note in notes), None)
    current = not queued.receipted and not _stale(receipt, chain)
    halted = stopped is not None or receipt.verdict is ReceiptVerdict.CONFLICT
    regressed = _REGRESSED in notes and current and not halted
    resend_after = _lacks_after(receipt, regressed=regressed) if current and not halted else None
    return Settlement(
        state=outcome.state,
        reason=outcome.reason,
        message=message,
        next_attempt_ms=None,
        receipt=receipt.token,
        received_ms=1000 * receipt.received_at_s,
        findings=receipt.findings,
        acknowledged=_acknowledged(receipt, chain, own_digest),
        resend_after=resend_after,
        resend_ms=None if resend_after is None else _resend_ms(queued, now_ms, permille),
        stopped=stopped,
        warning=_REGRESSED if regressed else None,
    )


def _acknowledged(receipt: Receipt, chain: ChainView, own_digest: str | None) -> Link | None:
    head = receipt.head
    ours = head is not None and head.digest == own_digest
    return head if ours and head and head.sequence >= chain.acknowledged else None


def _stale(receipt: Receipt, chain: ChainView) -> bool:
    # A document sent twice is answered with the receipt of the first time, whose head is old.
    return chain.vendor_time_ms is not None and 1000 * receipt.received_at_s < chain.vendor_time_ms


def _lacks_after(receipt: Receipt, *, regressed: bool) -> int | None:
    """Return the position behind which the vendor lacks documents; None if it lacks nothing."""
    head = receipt.head.sequence if receipt.head else 0
    return head if regressed or head < receipt.subject.sequence - 1 else None


def _resend_ms(queued: Queued, now_ms: int, permille: int) -> int:
    # Slowly, where the document itself had trouble: the vendor is not at its best.
    if queued.attempt == 1:
        return now_ms
    return now_ms + 1000 * delay_seconds(Schedule.BACKOFF, queued.attempt, permille)
