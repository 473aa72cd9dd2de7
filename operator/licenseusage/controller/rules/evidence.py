"""Whether documents in the cluster prove that the ledger is not the newest one.

Only what is signed counts: whoever may write objects must not be able to stop a chain.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from licenseusage.ledger.documents.records import FORKED, HISTORY_LOST, ReportChain
from licenseusage.reasons import Reason
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.keys import VendorKey
from licenseusage.reports.names import Link, key_chain_id
from licenseusage.reports.receipt import Sent, verify_receipt
from licenseusage.reports.refused import Refused
from licenseusage.reports.tokens import open_token
from licenseusage.reports.typs import REPORT


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """A document that exists, whoever holds it.

    Attributes:
        chain: Its chain.
        link: Its position and digest.
        seen: Where it was seen, in words.
    """

    chain: ReportChain
    link: Link
    seen: str


@dataclass(frozen=True, slots=True)
class MissingDocument:
    """A document that exists and that the ledger does not hold.

    Attributes:
        chain: Its chain.
        reason: ``LocalHistoryLost`` or ``ChainForked``.
        seen: What was seen, in words.
    """

    chain: ReportChain
    reason: Reason
    seen: str


def evidence(
    live: Mapping[str, Mapping[str, Any]],
    signing: KeyRing,
    vendor_keys: Mapping[str, VendorKey],
    *,
    foreign: Callable[[str, Refused], None] = lambda _name, _refused: None,
) -> list[KnownDocument]:
    """Return which documents the objects prove to exist.

    Args:
        live: UsageReports by name.
        signing: Our keys.
        vendor_keys: The vendor's; empty: receipts prove nothing.
        foreign: Takes the name of a report that our key has not signed, and why it is refused.
    """
    own = signing.public_keys()
    documents = []
    for name, item in live.items():
        token = item.get("spec", {}).get("token")
        try:
            open_token(token, REPORT, own)
            sent = Sent.from_token(str(token))
        except Refused as refused:
            foreign(name, refused)
            continue
        chain = ReportChain(
            sent.chain_id,
            key_chain_id(
                vendor=sent.vendor, installation=sent.installation, subscription=sent.subscription
            ),
        )
        position = sent.subject.sequence
        documents.append(
            KnownDocument(chain, sent.subject.link, f"UsageReport {name} is report {position}")
        )
        receipt = (item.get("status") or {}).get("receipt")
        if not receipt or not vendor_keys:
            continue
        try:
            head = verify_receipt(receipt, vendor_keys, sent).head
        except Refused:
            continue
        if head is not None:
            seen = f"the receipt in UsageReport {name} names report {head.sequence}"
            documents.append(KnownDocument(chain, head, seen))
    return documents


def contradictions(
    documents: Iterable[KnownDocument], ledger_digest: Callable[[str, int], str | None]
) -> list[MissingDocument]:
    """Return, for each chain, the newest document that the ledger should hold and does not.

    Args:
        documents: What exists.
        ledger_digest: (chain, position) -> digest of the ledger's document there; None: it holds
            none.
    """
    newest: dict[str, tuple[int, MissingDocument]] = {}
    for document in documents:
        digest = ledger_digest(document.chain.id, document.link.sequence)
        if digest == document.link.digest:
            continue
        reason = HISTORY_LOST if digest is None else FORKED
        before = newest.get(document.chain.id)
        if before is None or before[0] < document.link.sequence:
            newest[document.chain.id] = (
                document.link.sequence,
                MissingDocument(document.chain, reason, document.seen),
            )
    return [contradiction for _, contradiction in newest.values()]
