"""What the vendor holds of an installation, for its operator after a loss (REPORT_FORMAT §11).

Only the installation's newest key may ask, with a manifest that is fresh: nothing but its own
signed documents and the vendor's answers to them goes back.
"""

from collections.abc import Iterator
from typing import Any

from licenseusage.clock import Clock
from licenseusage.reasons import Reason
from licenseusage.receiver.intake import Intake
from licenseusage.receiver.requestbody import RequestRefused
from licenseusage.receiver.senders import BundleSender, verify_sender
from licenseusage.receiver.store import Document, ReceiverDatabase
from licenseusage.reports.bundle import MAX_CHARACTERS_IN_FILE, read_lines
from licenseusage.reports.keys import VendorKeys
from licenseusage.reports.receipt import ReceiptVerdict
from licenseusage.reports.refused import need
from licenseusage.reports.tokens import decode
from licenseusage.reports.typs import SKEW_SECONDS

_DOCUMENTS_AT_MOST = 16_384
"""More than 16 MiB hold: no report is shorter than 1 KiB."""
_NARROWER = "ask for one chain: ?chain=ID"


class History:
    """Answers requests for history. Synchronous; may be used from several threads."""

    def __init__(
        self, intake: Intake, store: ReceiverDatabase, vendor_keys: VendorKeys, clock: Clock
    ) -> None:
        """Read ``store``; receipts whose key was withdrawn are signed again by ``intake``."""
        self._intake = intake
        self._store = store
        self._vendor_keys = vendor_keys
        self._clock = clock

    def answer(self, data: str, chain_id: str | None = None) -> str:
        """Return what is held, as lines: key statements, reports, receipts.

        Reports are sorted by chain, then sequence. Documents that are kept as evidence of a
        conflict hold no position and are left out. The receipts are the newest one of each chain
        and all that say ``Rejected``, so that the reader knows which reports only hold a place.

        Args:
            data: The request: a bundle without lines after its manifest.
            chain_id: Only this chain of reports, with all key statements; None: every chain.

        Raises:
            Refused: the manifest is not in order; it has lines after it; it is from the future; a
                retired key signed it; ``TooLarge``: what is held is longer than 16 MiB.
            RequestRefused: ``RequestExpired``: it was signed more than 300 s ago.
            Retryable: the database did not answer, or a receipt could not be signed again.
        """
        lines = read_lines(data)
        empty = not lines.key_statements and not lines.reports
        need(empty, Reason.BUNDLE_INVALID, "a request for history is a manifest alone")
        now_s = self._clock.now_ms() // 1000
        with self._store.read() as reading:
            sender = verify_sender(lines, reading, self._vendor_keys, now_s)
            _check_fresh(sender, now_s)
            rows = reading.positions_of(
                sender.installation,
                sender.terms.subscription,
                chain_id=chain_id,
                limit=_DOCUMENTS_AT_MOST + 1,
            )
        need(len(rows) <= _DOCUMENTS_AT_MOST, Reason.TOO_LARGE, _NARROWER)
        tokens = [*(row.token for row in rows), *self._receipts(rows)]
        size = sum(len(token) + 1 for token in tokens)
        need(size <= MAX_CHARACTERS_IN_FILE, Reason.TOO_LARGE, _NARROWER)
        return "".join(f"{token}\n" for token in tokens)

    def _receipts(self, rows: list[Document]) -> Iterator[str]:
        newest = {row.chain_id: row for row in sorted(rows, key=_age)}
        for row in rows:
            if row.verdict is ReceiptVerdict.REJECTED or newest[row.chain_id] is row:
                yield self._intake.receipt_again(row).receipt


def _age(row: Document) -> tuple[int, int]:
    """Sort by arrival; of those that arrived in one millisecond the highest head is the newest."""
    claims: Any = decode(row.receipt)[1]
    head = claims["chain"]["head"]
    return row.received_ms, head["sequence"] if head else 0


def _check_fresh(sender: BundleSender, now_s: int) -> None:
    need(sender.issued_at_s <= now_s + SKEW_SECONDS, Reason.ISSUED_IN_FUTURE)
    if sender.issued_at_s < now_s - SKEW_SECONDS:
        raise RequestRefused(
            Reason.REQUEST_EXPIRED,
            f"a request for history is valid for {SKEW_SECONDS} s after it was signed",
        )
    need(sender.newest_key, Reason.KEY_RETIRED, "the newest key asks for history")
