"""Taking a document in: judge it, store it, sign its receipt.

The order is REPORT_FORMAT §12 "Receiver". What cannot be authenticated is refused unsigned and
leaves no trace; what is authentic is stored for good, with its verdict, in one transaction with its
receipt. Nothing is answered before the commit, and no position is claimed before the write that it
guards.
"""

from dataclasses import replace

from licenseusage.clock import Clock
from licenseusage.reasons import Reason
from licenseusage.receiver.authentication import (
    AuthenticReport,
    authentic_enrolment,
    authentic_report,
    authentic_succession,
    register_of,
    settled_terms,
)
from licenseusage.receiver.inforce import Register
from licenseusage.receiver.keychains import place_statement
from licenseusage.receiver.receipts import IssuedReceipt, ReceiptSigner
from licenseusage.receiver.registering import register
from licenseusage.receiver.reportchains import place_report
from licenseusage.receiver.store import Document, Hold, Reading, ReceiverDatabase, Writing
from licenseusage.reports.enrolment import Enrolment
from licenseusage.reports.keys import VendorKeys
from licenseusage.reports.licence import verify_any_license
from licenseusage.reports.names import digest
from licenseusage.reports.refused import Refused, need
from licenseusage.reports.report import Report, check_content
from licenseusage.reports.succession import Succession
from licenseusage.reports.tokens import typ_of
from licenseusage.reports.typs import SUCCESSION


class Intake:
    """The receiver's rules for keys and reports. Synchronous; may be used from several threads."""

    def __init__(
        self, store: ReceiverDatabase, vendor_keys: VendorKeys, signer: ReceiptSigner, clock: Clock
    ) -> None:
        """Judge by ``vendor_keys`` which licences are honoured; sign with ``signer``."""
        self._store = store
        self._vendor_keys = vendor_keys
        self._signer = signer
        self._clock = clock

    def put_report(self, jti: str | None, token: str) -> IssuedReceipt:
        """Take a report in.

        Args:
            jti: The id in the request's path; None: it has none, as a line of a bundle.
            token: The body, ASCII.

        Raises:
            Refused: it could not be authenticated or is not for this vendor; nothing was stored.
            RequestRefused: it contradicts what is held, and too much of that is kept already.
            Retryable: it could not be stored or its receipt not signed; nothing was stored.
        """
        now_s = self._clock.now_ms() // 1000
        # Signatures are verified outside the write transaction: junk must not hold up the others.
        with self._store.read() as reading:
            known = reading.document(digest(token))
            authentic = None if known else authentic_report(token, reading)
        if authentic is None or known is not None:
            return self._known(jti, known)
        _check_path(jti, authentic.envelope.jti)

        def place(writing: Writing) -> Document | IssuedReceipt:
            stored = writing.document(authentic.envelope.digest)
            if stored is not None:
                return stored
            # Under the lock: the licence that it names may arrive at the same time.
            register = register_of(writing, authentic.installation)
            judged = _judge(authentic, register, now_s)
            return place_report(writing, self._signer, authentic, judged, register, now_s=now_s)

        return self._placed(jti, self._store.write(place, Hold.chain(authentic.envelope.chain_id)))

    def put_key_statement(self, jti: str | None, token: str) -> IssuedReceipt:
        """Take an enrolment or a succession in; arguments and errors as for ``put_report``.

        A statement that is authentic but not in force (its licence has expired, a clock is ahead)
        is refused unsigned: its position is the only one it can ever have, so that no verdict on it
        may be final.
        """
        now_s = self._clock.now_ms() // 1000
        with self._store.read() as reading:
            known = reading.document(digest(token))
            statement = None if known else self._authentic_statement(token, reading, now_s)
        if statement is None or known is not None:
            return self._known(jti, known)
        _check_path(jti, statement.jti)

        def place(writing: Writing) -> Document | IssuedReceipt:
            stored = writing.document(statement.digest)
            if stored is not None:
                return stored
            # Again, under the lock: another licence may have settled the subscription's terms.
            again = self._authentic_statement(token, writing, now_s)
            return place_statement(writing, self._signer, again, now_s=now_s)

        return self._placed(jti, self._store.write(place, Hold.register()))

    def put_license(self, license_id: str, token: str) -> bool:
        """Take a licence into the register, in force or not; return whether it was known before.

        It is the vendor's own document, so that it does not matter who sends it; nothing is
        signed for it.

        Args:
            license_id: The id in the request's path.
            token: The body, ASCII.

        Raises:
            Refused: it is not a licence of this vendor, or changes its subscription's cycles.
            Retryable: it could not be stored.
        """
        now_s = self._clock.now_ms() // 1000
        license_ = verify_any_license(token, self._vendor_keys, now_s=now_s)
        _check_path(license_id, license_.license_id)
        with self._store.read() as reading:
            known = reading.licenses_of(license_.vendor, license_.subscription)
        if any(registered.digest == license_.digest for registered in known):
            return True

        def keep(writing: Writing) -> bool:
            previous = settled_terms(writing, license_.subscription)
            verify_any_license(token, self._vendor_keys, now_s=now_s, previous=previous)
            return not register(writing, license_, now_s=now_s)

        return self._store.write(keep, Hold.register())

    def _authentic_statement(
        self, token: str, reading: Reading, now_s: int
    ) -> Enrolment | Succession:
        if typ_of(token) == SUCCESSION:
            return authentic_succession(token, reading, now_s)
        return authentic_enrolment(token, reading, self._vendor_keys, now_s)

    def receipt_again(self, document: Document) -> IssuedReceipt:
        """Return the receipt of a stored document, signed again only if its key was withdrawn.

        Raises:
            Retryable: it had to be signed again, and could not be signed or stored.
        """
        if self._signer.withdrawn(document):
            now_s = self._clock.now_ms() // 1000

            def sign(writing: Writing) -> IssuedReceipt:
                chain = writing.chain(document.chain_id)
                return self._signer.issue(writing, document, chain, chain.head, now_s=now_s)

            answer = self._store.write(sign, Hold.chain(document.chain_id))
            return replace(answer, known=True)
        return IssuedReceipt(document.verdict, document.error, document.receipt, known=True)

    def _placed(self, jti: str | None, placed: Document | IssuedReceipt) -> IssuedReceipt:
        return placed if isinstance(placed, IssuedReceipt) else self._known(jti, placed)

    def _known(self, jti: str | None, document: Document | None) -> IssuedReceipt:
        """Repeat the earlier answer."""
        assert document is not None  # noqa: S101 - documents are never deleted
        _check_path(jti, document.jti)
        return self.receipt_again(document)


def _check_path(jti: str | None, named: str) -> None:
    need(
        jti in (None, named),
        Reason.IDENTIFIER_MISMATCH,
        "the address names another document than the body",
    )


def _judge(authentic: AuthenticReport, register: Register, now_s: int) -> Report | Refused:
    """Judge a report's content by the licence that it names.

    If that is not known, by the subscription's cycles, which no licence may change; the product
    is judged once the licence arrives.
    """
    claims = authentic.envelope.claims
    terms = register.named(str(claims.get("licenseId")))
    if terms is None:
        terms = replace(authentic.installation.terms, product=str(claims.get("product")))
    try:
        return check_content(authentic.envelope, license_=terms, now_s=now_s)
    except Refused as refusal:
        return refusal
