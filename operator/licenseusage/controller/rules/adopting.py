"""Whether a chain may go on behind the head that an administrator named (REPORT_FORMAT §11).

`spec.reporting.adoptHead` consents to one head, once. It has an effect only while the chain is
stopped. The whole history up to it must be known and in order by a receiver's rules, it must hold
what the vendor's newest receipt names, and nothing known may follow it. Pure decisions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from licenseusage.controller.rules.evidence import KnownReport
from licenseusage.errors import Stalled, UsageError
from licenseusage.ledger.documents.records import (
    Adoption,
    ChainState,
    Delivery,
    OutboxItem,
    Recovered,
    SetAside,
)
from licenseusage.reasons import Reason
from licenseusage.reports.chain import verify_chain
from licenseusage.reports.keys import InstallationKeys
from licenseusage.reports.licence import LicenseTerms
from licenseusage.reports.names import Link
from licenseusage.reports.receipt import Receipt, ReceiptVerdict, stored_receipt
from licenseusage.reports.refused import Refused
from licenseusage.reports.report import Envelope, authenticate_report, read_report


@dataclass(frozen=True, slots=True)
class Histories:
    """Everything that is known of one chain, wherever it was seen.

    Attributes:
        state: The chain, as the ledger knows it.
        envelopes: Its reports by digest; one of our keys has signed each.
        receipts: The vendor's verified receipts.
        conflicts: Digests of reports that the vendor does not take into the chain.
        in_ledger: Digests of those that the ledger holds.
    """

    state: ChainState
    envelopes: Mapping[str, Envelope]
    receipts: Sequence[Receipt]
    conflicts: frozenset[str]
    in_ledger: frozenset[str]

    @property
    def vendors_head(self) -> Link | None:
        """The head in the vendor's newest receipt; None: it has named none."""
        named = [(each.received_at_s, each.head) for each in self.receipts if each.head is not None]
        if self.state.acknowledged is not None:
            at_s = (self.state.vendor_time_ms or 0) // 1000
            named.append((at_s, self.state.acknowledged))
        newest = max(named, key=lambda each: (each[0], each[1].sequence), default=None)
        return None if newest is None else newest[1]

    def followers(self, digest: str) -> list[Envelope]:
        """Return the reports that follow one, but for those that the vendor does not take."""
        return [
            each
            for each in self.envelopes.values()
            if each.previous == digest and each.digest not in self.conflicts
        ]

    def before(self, head: Envelope) -> list[Envelope]:
        """Return the history up to a head, by position.

        Raises:
            Refused: ``ChainGap``: a report of it is not known.
        """
        history = [head]
        while (previous := history[-1].previous) is not None:
            sequence = history[-1].sequence - 1
            known = self.envelopes.get(previous)
            if known is None or known.sequence != sequence:
                raise Refused(
                    Reason.CHAIN_GAP,
                    words=f"report {sequence} before it ({previous}) is neither in the ledger, nor "
                    f"in a UsageReport, nor known from the vendor",
                )
            history.append(known)
        return history[::-1]


def histories(
    state: ChainState,
    ours: Sequence[OutboxItem],
    reports: Iterable[KnownReport],
    receipts: Iterable[Receipt],
    *,
    license_: LicenseTerms,
    keys: InstallationKeys,
) -> Histories:
    """Return what is known of a chain; a report that none of our keys has signed is left out.

    Args:
        state: The chain, as the ledger knows it.
        ours: Its documents in the ledger.
        reports: Of the same chain, found elsewhere.
        receipts: Verified receipts of the same chain that came by themselves.
        license_: A licence of the subscription.
        keys: Ours, retired ones too.
    """
    reports = tuple(reports)
    everything = [stored_receipt(item.receipt) for item in ours if item.receipt is not None]
    everything += [each.receipt for each in reports if each.receipt is not None]
    everything += [each for each in receipts if each.chain_id == state.id]
    envelopes = {}
    for token in (*(item.token for item in ours), *(report.token for report in reports)):
        try:
            envelope = authenticate_report(token, license_=license_, keys=keys)
        except Refused:
            continue
        if envelope.chain_id == state.id:
            envelopes[envelope.digest] = envelope
    conflicts = {item.digest for item in ours if item.state is Delivery.CONFLICT}
    conflicts |= {
        each.subject.digest for each in everything if each.verdict is ReceiptVerdict.CONFLICT
    }
    in_ledger = frozenset(item.digest for item in ours)
    return Histories(state, envelopes, everything, frozenset(conflicts), in_ledger)


def adopted(
    known: Histories,
    digest: str,
    *,
    license_: LicenseTerms,
    keys: InstallationKeys,
    now_s: int,
) -> Adoption:
    """Return the history up to the head that an administrator named.

    Args:
        known: Everything that is known of the chain.
        digest: ``spec.reporting.adoptHead``.
        license_: A licence of the subscription.
        keys: Ours, retired ones too.
        now_s: The time, seconds since 1970 UTC.

    Raises:
        Stalled: ``AdoptHeadUnknown``, ``AdoptHeadUsed``, ``AdoptHeadOutdated``.
        Refused: ``ChainGap``: a report before it is not known; another class of a report or of the
            chain.
    """
    head = known.envelopes.get(digest)
    if head is None:
        raise Stalled(Reason.ADOPT_HEAD_UNKNOWN, f"no report {digest} of this object is known")
    if digest in {link.digest for link in known.state.adopted}:
        raise Stalled(
            Reason.ADOPT_HEAD_USED,
            f"the chain went on behind report {head.sequence} ({digest}) once, and has been "
            f"contradicted since",
        )
    history = known.before(head)
    _refuse_an_older_one(known, head, {each.digest for each in history})
    receipts = _by_subject(known.receipts)
    vendors = known.vendors_head
    verify_chain(
        [each.token for each in history],
        license_=license_,
        keys=keys,
        now_s=now_s,
        heads=() if vendors is None else (vendors,),
        rejected={
            each.subject.digest
            for each in known.receipts
            if each.verdict is ReceiptVerdict.REJECTED
        },
    )
    documents = tuple(
        Recovered(read_report(each.token), receipts.get(each.digest)) for each in history
    )
    return Adoption(documents, vendors, _others(known, {each.digest for each in history}))


def proposed(
    known: Histories, *, license_: LicenseTerms, keys: InstallationKeys, now_s: int
) -> Link | None:
    """Return the head that an administrator could name now; None: there is none.

    The newest one, where several could be named.
    """
    ends = [each for each in known.envelopes.values() if not known.followers(each.digest)]
    for end in sorted(ends, key=lambda each: (each.sequence, each.issued_at_s), reverse=True):
        try:
            adopted(known, end.digest, license_=license_, keys=keys, now_s=now_s)
        except UsageError:
            continue
        return end.link
    return None


def _refuse_an_older_one(known: Histories, head: Envelope, history: set[str]) -> None:
    """Let nothing be given up that the vendor holds, or that follows by itself.

    Raises:
        Stalled: ``AdoptHeadOutdated``.
    """
    vendors = known.vendors_head
    if vendors is not None and vendors.digest not in history:
        raise Stalled(
            Reason.ADOPT_HEAD_OUTDATED,
            f"it is report {head.sequence}, and the vendor's receipts name report "
            f"{vendors.sequence} ({vendors.digest}), which is not in its history",
        )
    if head.digest in known.conflicts:
        raise Stalled(
            Reason.ADOPT_HEAD_OUTDATED,
            f"the vendor holds another report at position {head.sequence}",
        )
    follows = known.followers(head.digest)
    if follows:
        newer = max(follows, key=lambda each: each.issued_at_s)
        raise Stalled(
            Reason.ADOPT_HEAD_OUTDATED,
            f"it is report {head.sequence}, and report {newer.sequence} ({newer.digest}) "
            f"follows it",
        )


def _by_subject(receipts: Iterable[Receipt]) -> dict[str, Receipt]:
    """Return the newest receipt of each report, by the report's digest."""
    oldest_first = sorted(receipts, key=lambda each: each.received_at_s)
    return {each.subject.digest: each for each in oldest_first}


def _others(known: Histories, history: set[str]) -> tuple[SetAside, ...]:
    """Return what is known to exist, is not in a history, and is not in the ledger."""
    receipts = _by_subject(known.receipts)
    others = {
        each.digest: SetAside(
            each.link, each.token, receipt.token if (receipt := receipts.get(each.digest)) else None
        )
        for each in known.envelopes.values()
    }
    for link in known.state.lost:
        others.setdefault(link.digest, SetAside(link))
    return tuple(
        each for at, each in others.items() if at not in history and at not in known.in_ledger
    )
