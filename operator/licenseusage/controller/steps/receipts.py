"""From a receipt to the ledger: whose document it is, whether it verifies, what it changes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from licenseusage.controller.rules.imported import (
    FIXES,
    GET_AGAIN,
    ImportedReceipt,
    Standing,
)
from licenseusage.controller.rules.key import Key
from licenseusage.delivery.imported import Acknowledged, Bearing, bearing, settle_imported
from licenseusage.delivery.outbox import Attempt, ChainView, DeliveryState, Queued, Settlement
from licenseusage.delivery.outcome import explain_receipt
from licenseusage.errors import Consequence, UsageError
from licenseusage.ledger.documents.records import (
    HISTORY_LOST,
    Delivery,
    DeliveryResult,
    OutboxItem,
)
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import Meter
from licenseusage.reasons import Reason
from licenseusage.reasons.book import BOOK
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.keys import VendorKeys
from licenseusage.reports.licence import stored_license
from licenseusage.reports.names import jti_of, key_chain_id, report_chain_id
from licenseusage.reports.receipt import (
    Receipt,
    ReceiptVerdict,
    Sent,
    read_receipt,
    stored_receipt,
    verify_receipt,
)
from licenseusage.reports.refused import Refused
from licenseusage.reports.typs import REPORT, SUCCESSION

_NEWER_KEY = (
    "It is a key statement: a key that this operator does not have has succeeded its key, so the "
    "vendor refuses what this one signs. Restore the newest backup of the identity's Secret (the "
    "statement is kept in it), then the receipt is used by itself."
)


@dataclass(slots=True)
class Imported:
    """What became of the receipts of one object.

    Attributes:
        receipts: In the order of the object.
        attempts: LicenseUsage -> what changed for it, as its deliveries would tell.
        lost: LicenseUsages of which a receipt proves a report that the ledger does not hold.
    """

    receipts: list[ImportedReceipt] = field(default_factory=list)
    attempts: dict[Key, list[Attempt]] = field(default_factory=dict)
    lost: set[Key] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Desk:
    """Takes receipts for one namespace.

    Attributes:
        namespace: That of the UsageReceipt.
        vendor_keys: The pinned keys, or why they cannot be had.
        keys_from: Where they are, for messages.
        ring: Our own keys; None: they cannot be had now.
    """

    namespace: str
    vendor_keys: VendorKeys | UsageError
    keys_from: str
    ring: KeyRing | None

    def take(self, ledger: Ledger, tokens: Sequence[str], now_ms: int) -> Imported:
        """Use every receipt that can be used; each is one transaction.

        The newest goes first: its head acknowledges what older ones do, and takes nothing back.

        Raises:
            UsageError: The ledger cannot be read or written; what was used before stays used.
        """
        imported, here = Imported(), ledger.meters(self.namespace)
        done = {
            token: self._take(ledger, token, here, imported, now_ms)
            for token in sorted(tokens, key=_age, reverse=True)
        }
        imported.receipts += [done[token] for token in tokens]
        return imported

    def _take(
        self, ledger: Ledger, token: str, here: Sequence[Meter], imported: Imported, now_ms: int
    ) -> ImportedReceipt:
        try:
            named = stored_receipt(token)
        except Refused as refused:
            return self._invalid(token, None, refused)
        document = ledger.document(named.subject.jti)
        try:
            receipt = self._verified(token, document)
        except Refused as refused:
            return self._invalid(token, named, refused)
        except UsageError as error:
            needs_a_person = error.consequence is Consequence.NEEDS_A_PERSON
            return ImportedReceipt(
                token,
                Standing.UNVERIFIABLE,
                "Waiting",
                named.subject.jti,
                error.reason,
                error.message,
                needs_a_person,
            )
        if document is None:
            return self._unknown(ledger, token, receipt, here, imported, now_ms)
        owners = _owners(document, here)
        if not owners:
            return _refused(token, receipt, Reason.OTHER_NAMESPACE)
        return self._use(ledger, document, receipt, owners, imported, now_ms)

    def _verified(self, token: str, document: OutboxItem | None) -> Receipt:
        """Return the verified receipt; one that the ledger has was verified when it came.

        Raises:
            Refused: It does not verify.
            UsageError: The vendor's keys cannot be had.
        """
        if document is not None and document.receipt == token:
            return stored_receipt(token)
        if isinstance(self.vendor_keys, UsageError):
            raise self.vendor_keys.with_traceback(None)
        if document is None:
            return read_receipt(token, self.vendor_keys)
        return verify_receipt(token, self.vendor_keys, Sent.from_token(document.token))

    def _invalid(self, token: str, named: Receipt | None, refused: Refused) -> ImportedReceipt:
        """Return what to say of a receipt that does not verify, with the fix."""
        missing = refused.error is Reason.KEY_UNKNOWN
        fix = (
            f"Install the vendor's current keys in {self.keys_from}; then it is verified again."
            if missing
            else FIXES.get(refused.error, GET_AGAIN)
        )
        return ImportedReceipt(
            token,
            Standing.UNVERIFIABLE if missing else Standing.INVALID,
            "Waiting" if missing else "Invalid",
            named.subject.jti if named else None,
            refused.reason,
            f"{refused.message}. {fix}",
            needs_a_person=True,
        )

    def _unknown(
        self,
        ledger: Ledger,
        token: str,
        receipt: Receipt,
        here: Sequence[Meter],
        imported: Imported,
        now_ms: int,
    ) -> ImportedReceipt:
        """Return what to say of a verified receipt whose document the ledger does not hold.

        Whatever the vendor has of a chain of ours was in our ledger before it was sent. So a
        receipt for a report that is not in it proves that a part of the chain was lost: nothing
        more is signed until it is known (REPORT_FORMAT §11).
        """
        ours = self.ring and self.ring.installation(receipt.vendor, receipt.subscription)
        if ours is not None and receipt.installation != ours:
            return ImportedReceipt(
                token,
                Standing.INVALID,
                "Invalid",
                receipt.subject.jti,
                Reason.AUDIENCE_MISMATCH,
                f"It is for another installation ({receipt.installation}); this operator is "
                f"{ours}. Apply it in the cluster of that installation.",
                needs_a_person=True,
            )
        aside = {each.link.digest for each in ledger.set_aside(receipt.chain_id)}
        if receipt.subject.digest in aside:
            return ImportedReceipt(
                token,
                Standing.USED,
                receipt.verdict.value,
                receipt.subject.jti,
                receipt.error,
                f"Report {receipt.subject.sequence} of chain {receipt.chain_id} was set aside: the "
                f"chain goes on without it.",
            )
        owner = None if ours is None else _reports_in(receipt, here)
        if owner is not None:
            keys = key_chain_id(
                vendor=receipt.vendor,
                installation=receipt.installation,
                subscription=receipt.subscription,
            )
            link = receipt.subject.link
            ledger.stop_chain(receipt.chain_id, HISTORY_LOST, now_ms, key_chain_id=keys, lost=link)
            imported.lost.add(owner)
            return ImportedReceipt(
                token,
                Standing.WAITING,
                "Waiting",
                receipt.subject.jti,
                Reason.LOCAL_HISTORY_LOST,
                f"The vendor has report {link.sequence} of LicenseUsage {owner.name}, and the "
                f"ledger does not hold it: a part of the chain was lost. LicenseUsage {owner.name} "
                f"says how it goes on. {BOOK[Reason.LOCAL_HISTORY_LOST].fix}",
            )
        succeeded = receipt.subject.typ == SUCCESSION
        newer = succeeded and bool(ledger.key_statements(receipt.chain_id))
        return ImportedReceipt(
            token,
            Standing.WAITING,
            "Waiting",
            receipt.subject.jti,
            Reason.DOCUMENT_UNKNOWN,
            f"The ledger does not hold document {receipt.subject.sequence} of chain "
            f"{receipt.chain_id}. {_NEWER_KEY if newer else BOOK[Reason.DOCUMENT_UNKNOWN].fix}",
            needs_a_person=newer,
        )

    def _use(
        self,
        ledger: Ledger,
        document: OutboxItem,
        receipt: Receipt,
        owners: Sequence[Key],
        imported: Imported,
        now_ms: int,
    ) -> ImportedReceipt:
        """Write what a receipt of a known document changes, if it changes anything."""
        known = _acknowledged(ledger, document, receipt)
        meaning = Bearing.KNOWN if document.receipt == receipt.token else bearing(known, receipt)
        if meaning is Bearing.CONTRADICTED:
            return _contradicted(receipt, known)
        stopped = None
        if meaning is Bearing.NEWS:
            settlement = settle_imported(known, receipt, now_ms)
            ledger.record_receipt(document.jti, _result(settlement), now_ms)
            stopped = settlement.stopped
            attempt = Attempt(known.queued, settlement, receipt.vendor)
            for owner in owners:
                imported.attempts.setdefault(owner, []).append(attempt)
        return _used(receipt, owners[0], document, stopped)


def _owners(document: OutboxItem, here: Sequence[Meter]) -> list[Key]:
    """Return the LicenseUsages of the namespace that a document belongs to, gone ones too.

    Args:
        document: A report or key statement.
        here: The meters of the namespace.
    """
    if document.kind.is_report:
        owners = [meter for meter in here if meter.id == document.meter_id]
    else:
        installation = Sent.from_token(document.token).installation
        owners = [m for m in here if document.chain_id in _key_chains(m, installation)]
    return list(dict.fromkeys(Key(meter.key.namespace, meter.key.name) for meter in owners))


def _reports_in(receipt: Receipt, here: Sequence[Meter]) -> Key | None:
    """Return the LicenseUsage whose reports are the chain of a receipt; None: it is of no one here.

    Key statements are kept beside the key, and are no evidence of lost reports.
    """
    for meter in here:
        of_chain = report_chain_id(
            vendor=receipt.vendor,
            installation=receipt.installation,
            subscription=receipt.subscription,
            namespace=meter.key.namespace,
            name=meter.key.name,
        )
        if receipt.subject.typ == REPORT and of_chain == receipt.chain_id:
            return Key(meter.key.namespace, meter.key.name)
    return None


def _age(token: str) -> tuple[int, int, int]:
    """Return what sorts receipts by age; unreadable ones are the oldest."""
    try:
        receipt = stored_receipt(token)
    except Refused:
        return 0, 0, 0
    head = receipt.head.sequence if receipt.head else 0
    return receipt.received_at_s, head, receipt.subject.sequence


def _key_chains(meter: Meter, installation: str) -> set[str]:
    """Return the chains of key statements that the reports of a meter need."""
    licenses = map(stored_license, meter.licenses.values())
    return {
        key_chain_id(vendor=of.vendor, installation=installation, subscription=of.subscription)
        for of in licenses
    }


def _acknowledged(ledger: Ledger, document: OutboxItem, receipt: Receipt) -> Acknowledged:
    """Return a document as the receipt finds it."""
    chain = ledger.chain(document.chain_id)
    at_head = (
        ledger.document(jti_of(document.chain_id, receipt.head.sequence)) if receipt.head else None
    )
    waits = document.state in (Delivery.PENDING, Delivery.SENDING, Delivery.AWAITING_APPROVAL)
    return Acknowledged(
        queued=Queued(
            document.jti,
            document.chain_id,
            document.sequence,
            document.token,
            document.attempts,
            receipted=document.receipt is not None,
            cycle=document.cycle,
        ),
        state=DeliveryState.PENDING if waits else DeliveryState(document.state.value),
        reason=document.reason,
        former=stored_receipt(document.receipt) if document.receipt else None,
        chain=ChainView(
            acknowledged=chain.acknowledged.sequence if chain.acknowledged else 0,
            vendor_time_ms=chain.vendor_time_ms,
        ),
        own_digest=at_head.digest if at_head else None,
    )


def _result(settlement: Settlement) -> DeliveryResult:
    return DeliveryResult(
        state=Delivery(settlement.state.value),
        reason=settlement.reason,
        message=settlement.message,
        receipt=settlement.receipt,
        received_ms=settlement.received_ms,
        findings=settlement.findings,
        head=settlement.acknowledged,
        resend_after=settlement.resend_after,
        resend_ms=settlement.resend_ms,
        stopped=settlement.stopped,
    )


def _used(
    receipt: Receipt, owner: Key, document: OutboxItem, stopped: str | None
) -> ImportedReceipt:
    what = f"{document.kind} {document.sequence} of LicenseUsage {owner.name}"
    if not document.kind.is_report:
        what = f"{document.kind} of the installation"
    head = receipt.head
    covers = (
        f" The vendor has everything up to report {head.sequence}."
        if head and document.kind.is_report
        else ""
    )
    reason = stopped or receipt.error
    if stopped is not None:
        covers = f" {BOOK[Reason.known(stopped, Reason.CHAIN_FORKED)].fix}"
    return ImportedReceipt(
        receipt.token,
        Standing.USED,
        receipt.verdict.value,
        receipt.subject.jti,
        reason,
        f"{what}: {explain_receipt(receipt, receipt.vendor)}{covers}",
        needs_a_person=False,
    )


def _contradicted(receipt: Receipt, known: Acknowledged) -> ImportedReceipt:
    former = known.former.verdict if known.former else ReceiptVerdict.CONFLICT
    return ImportedReceipt(
        receipt.token,
        Standing.CONTRADICTED,
        receipt.verdict.value,
        receipt.subject.jti,
        Reason.RECEIPT_CONTRADICTED,
        f"The vendor signed {receipt.verdict} for this document, and {former} before; {former} "
        f"stands. {BOOK[Reason.RECEIPT_CONTRADICTED].fix}",
        needs_a_person=True,
    )


def _refused(token: str, receipt: Receipt, reason: Reason) -> ImportedReceipt:
    entry = BOOK[reason]
    return ImportedReceipt(
        token,
        Standing.INVALID,
        "Invalid",
        receipt.subject.jti,
        reason,
        f"{entry.means[0].upper()}{entry.means[1:]}. {entry.fix}",
        needs_a_person=True,
    )
