"""Whether documents in the cluster prove that the ledger is not the newest one.

Only what is signed counts: whoever may write objects must not be able to stop a chain.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from licenseusage.ledger.documents.records import FORKED, HISTORY_LOST, ReportChain
from licenseusage.reasons import Reason
from licenseusage.reports.keys import InstallationKeys, VendorKey
from licenseusage.reports.names import Link, key_chain_id
from licenseusage.reports.receipt import Receipt, Sent, verify_receipt
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
class KnownReport:
    """A report of ours that an object holds.

    Attributes:
        token: As signed; its signature was verified.
        sent: Its names.
        receipt: The vendor's verified verdict; None: there is none.
    """

    token: str
    sent: Sent
    receipt: Receipt | None


@dataclass(frozen=True, slots=True)
class MissingDocument:
    """A document that exists and that the ledger does not hold.

    Attributes:
        chain: Its chain.
        link: Its position and digest.
        reason: ``LocalHistoryLost`` or ``ChainForked``.
        seen: What was seen, in words.
    """

    chain: ReportChain
    link: Link
    reason: Reason
    seen: str


def own_reports(
    live: Mapping[str, Mapping[str, Any]],
    keys: InstallationKeys,
    vendor_keys: Mapping[str, VendorKey],
    *,
    foreign: Callable[[str, Refused], None] = lambda _name, _refused: None,
) -> dict[str, KnownReport]:
    """Return the objects' reports that a key of ours has signed, by the object's name.

    Args:
        live: UsageReports by name.
        keys: Ours, retired ones too.
        vendor_keys: The vendor's; empty: receipts prove nothing.
        foreign: Takes the name of a report that no key of ours has signed, and why it is refused.
    """
    reports = {}
    for name, item in live.items():
        token = item.get("spec", {}).get("token")
        try:
            open_token(token, REPORT, keys)
            sent = Sent.from_token(str(token))
        except Refused as refused:
            foreign(name, refused)
            continue
        receipt = (item.get("status") or {}).get("receipt")
        reports[name] = KnownReport(str(token), sent, _verified(receipt, vendor_keys, sent))
    return reports


def _verified(receipt: object, vendor_keys: Mapping[str, VendorKey], sent: Sent) -> Receipt | None:
    if not receipt or not vendor_keys:
        return None
    try:
        return verify_receipt(receipt, vendor_keys, sent)
    except Refused:
        return None


def evidence(reports: Mapping[str, KnownReport]) -> list[KnownDocument]:
    """Return which documents the objects' reports prove to exist."""
    documents = []
    for name, report in reports.items():
        chain, position = chain_named(report.sent), report.sent.subject.sequence
        seen = f"UsageReport {name} is report {position}"
        documents.append(KnownDocument(chain, report.sent.subject.link, seen))
        head = None if report.receipt is None else report.receipt.head
        if head is not None:
            seen = f"the receipt in UsageReport {name} names report {head.sequence}"
            documents.append(KnownDocument(chain, head, seen))
    return documents


def of_receipts(receipts: Iterable[Receipt]) -> list[KnownDocument]:
    """Return which reports are proved to exist by verified receipts that came by themselves."""
    documents = []
    for receipt in receipts:
        keys = key_chain_id(
            vendor=receipt.vendor,
            installation=receipt.installation,
            subscription=receipt.subscription,
        )
        chain = ReportChain(receipt.chain_id, keys)
        for link in (receipt.subject.link, receipt.head):
            if link is not None:
                seen = f"a receipt of the vendor names report {link.sequence}"
                documents.append(KnownDocument(chain, link, seen))
    return documents


def chain_named(sent: Sent) -> ReportChain:
    """Return the chain of a report, by its names."""
    keys = key_chain_id(
        vendor=sent.vendor, installation=sent.installation, subscription=sent.subscription
    )
    return ReportChain(sent.chain_id, keys)


def contradictions(
    documents: Iterable[KnownDocument],
    ledger_digest: Callable[[str, int], str | None],
    set_aside: Callable[[str], Collection[str]] = lambda _chain_id: (),
) -> list[MissingDocument]:
    """Return, for each chain, the newest document that the ledger should hold and does not.

    Args:
        documents: What exists.
        ledger_digest: (chain, position) -> digest of the ledger's document there; None: it holds
            none.
        set_aside: Chain -> digests of documents that it went on without, by consent.
    """
    newest: dict[str, tuple[int, MissingDocument]] = {}
    for document in documents:
        digest = ledger_digest(document.chain.id, document.link.sequence)
        if document.link.digest in (digest, *set_aside(document.chain.id)):
            continue
        reason = HISTORY_LOST if digest is None else FORKED
        before = newest.get(document.chain.id)
        if before is None or before[0] < document.link.sequence:
            newest[document.chain.id] = (
                document.link.sequence,
                MissingDocument(document.chain, document.link, reason, document.seen),
            )
    return [contradiction for _, contradiction in newest.values()]
