"""Taking a bundle in: its manifest and key chain as a whole, then line by line (§8, §12).

Each line is handled exactly as if it had been put by itself, in the order of the file, in a
transaction of its own. So the same file may arrive any number of times, and one that was
interrupted (the disk was full, the process ended) is completed by sending it again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from licenseusage.clock import Clock
from licenseusage.receiver.intake import Intake
from licenseusage.receiver.requestbody import RequestRefused
from licenseusage.receiver.senders import BundleSender, verify_sender
from licenseusage.receiver.store import ReceiverDatabase
from licenseusage.reports.bundle import read_lines
from licenseusage.reports.keys import VendorKeys
from licenseusage.reports.receipt import ReceiptVerdict
from licenseusage.reports.refused import Refused
from licenseusage.reports.tokens import decode, typ_of
from licenseusage.reports.typs import REPORT


@dataclass(frozen=True, slots=True)
class LineResult:
    """What became of one line of a bundle.

    Attributes:
        number: Its line in the file; the manifest is line 1.
        typ: The document's type.
        token: The document.
        verdict: The signed verdict; None: it was refused without one, and nothing was stored.
        known: It had been stored before; this is the verdict that it got then.
        error: The class, unless accepted.
        message: Why it was refused unsigned, for people; "" otherwise.
        receipt: The receipt; None: it was refused unsigned.
        namespace: That of a report's usage object; None for a key statement, and if unsigned.
    """

    number: int
    typ: str
    token: str
    verdict: ReceiptVerdict | None
    known: bool = False
    error: str | None = None
    message: str = ""
    receipt: str | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class BundleResult:
    """What became of a bundle whose manifest and key chain are in order."""

    sender: BundleSender
    lines: tuple[LineResult, ...]

    @property
    def receipts(self) -> list[tuple[str | None, str]]:
        """Namespace and receipt of each authentic line, in the order of the bundle."""
        return [(line.namespace, line.receipt) for line in self.lines if line.receipt is not None]


class BundleIntake:
    """The receiver's rules for bundles. Synchronous; may be used from several threads."""

    def __init__(
        self, intake: Intake, store: ReceiverDatabase, vendor_keys: VendorKeys, clock: Clock
    ) -> None:
        """Hand the lines to ``intake``; judge manifests by ``vendor_keys`` and what is stored."""
        self._intake = intake
        self._store = store
        self._vendor_keys = vendor_keys
        self._clock = clock

    def take(self, data: str) -> BundleResult:
        """Take a bundle in.

        Args:
            data: The file, ASCII, as it arrived.

        Raises:
            Refused: its lines, key chain or manifest are not in order; nothing of it was stored.
            Retryable: a line could not be stored; those before it are. Send the file again.
        """
        lines = read_lines(data)
        with self._store.read() as reading:
            now_s = self._clock.now_ms() // 1000
            sender = verify_sender(lines, reading, self._vendor_keys, now_s)
        tokens = [*lines.key_statements, *lines.reports]
        return BundleResult(sender, tuple(self._each(tokens)))

    def _each(self, tokens: list[str]) -> Iterator[LineResult]:
        for number, token in enumerate(tokens, 2):
            yield self._line(number, token)

    def _line(self, number: int, token: str) -> LineResult:
        typ = typ_of(token)
        take = self._intake.put_report if typ == REPORT else self._intake.put_key_statement
        try:
            answer = take(None, token)
        except (Refused, RequestRefused) as refusal:
            message = refusal.message if isinstance(refusal, Refused) else refusal.detail
            return LineResult(number, typ, token, None, error=refusal.error, message=message)
        return LineResult(
            number,
            typ,
            token,
            answer.verdict,
            known=answer.known,
            error=answer.error,
            receipt=answer.receipt,
            namespace=_namespace(token) if typ == REPORT else None,
        )


def _namespace(token: str) -> str:
    """Return the namespace in an authentic report."""
    claims: Any = decode(token)[1]
    return str(claims["usage"]["namespace"])
