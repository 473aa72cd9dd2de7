"""Cycles out of signed reports: which report states the value, and what it replaced."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from licenseusage.reasons import Reason
from licenseusage.reports.checks import check_counts, check_coverage
from licenseusage.reports.content import Content, Kind
from licenseusage.reports.findings import findings_of
from licenseusage.reports.licence import License
from licenseusage.reports.names import report_chain_id
from licenseusage.reports.receipt import Receipt, ReceiptVerdict
from licenseusage.reports.refused import Refused, need
from licenseusage.reports.report import Envelope, Report


class Checked(StrEnum):
    """Whether a signature was verified by whoever made the statement."""

    VERIFIED = "verified"
    NOT_VERIFIED = "not verified here"


@dataclass(frozen=True, slots=True)
class VendorAnswer:
    """The vendor's receipt for a report."""

    receipt: Receipt
    checked: Checked


@dataclass(frozen=True, slots=True)
class SignedReport:
    """A signed report, and what is known of it.

    Attributes:
        report: Its contents.
        source: Where it was found, for people: the name of an object or file.
        checked: Whether its signature was verified.
        answer: The vendor's receipt; None: none is here.
    """

    report: Report
    source: str
    checked: Checked = Checked.NOT_VERIFIED
    answer: VendorAnswer | None = None

    @property
    def envelope(self) -> Envelope:
        """Identity and position."""
        return self.report.envelope

    @property
    def content(self) -> Content:
        """What it says."""
        return self.report.content

    @property
    def refused(self) -> bool:
        """Whether the vendor refused it: then it only holds its place (REPORT_FORMAT §6.4)."""
        verdict = self.answer and self.answer.receipt.verdict
        return verdict is not None and verdict is not ReceiptVerdict.ACCEPTED


@dataclass(frozen=True, slots=True)
class GivenLicense:
    """A licence, and whether the vendor's signature under it was verified."""

    terms: License
    checked: Checked


class State(StrEnum):
    """How far a cycle is; ``PROVISIONAL``: only interim reports are here."""

    PROVISIONAL = "Provisional"
    FINAL = "Final"
    AMENDED = "Amended"


@dataclass(frozen=True, slots=True)
class ReportedCycle:
    """One cycle of a chain.

    Attributes:
        value: The report that states the cycle's value: the last final or amendment in chain
            order; for a cycle without one the latest interim.
        replaced: Finals and amendments that ``value`` took the place of, in chain order.
        license: The licence that ``value`` names; None: it is not here.
        findings: What both sides must show of its reports (REPORT_FORMAT §6.5), sorted.
    """

    value: SignedReport
    replaced: tuple[SignedReport, ...]
    license: GivenLicense | None
    findings: tuple[str, ...]

    @property
    def stating(self) -> tuple[SignedReport, ...]:
        """The reports that state or stated its value, in chain order."""
        return (*self.replaced, self.value)

    @property
    def content(self) -> Content:
        """What the value's report says."""
        return self.value.content

    @property
    def index(self) -> int:
        """The number of the cycle, from 0."""
        return self.content.cycle.index

    @property
    def start_s(self) -> int:
        """Its first second, since 1970 UTC."""
        return self.content.cycle.start_s

    @property
    def end_s(self) -> int:
        """The first second after it."""
        return self.content.cycle.end_s

    @property
    def state(self) -> State:
        """Provisional, Final or Amended."""
        kinds = {Kind.INTERIM: State.PROVISIONAL, Kind.FINAL: State.FINAL}
        return kinds.get(self.content.kind, State.AMENDED)

    @property
    def maximum(self) -> int | None:
        """The contracted maximum; None: there is none, or the licence is not here."""
        return self.license.terms.maximum_active_users if self.license else None

    @property
    def purpose(self) -> str | None:
        """What the users are for; None: as the licence says, which is not here."""
        return self.content.purpose or (self.license.terms.purpose if self.license else None)

    def overlaps(self, other: "ReportedCycle") -> bool:
        """Whether some time belongs to both cycles."""
        return self.start_s < other.end_s and other.start_s < self.end_s


@dataclass(frozen=True, slots=True)
class ReportedChain:
    """The reports of one object under one subscription by one installation.

    Attributes:
        reports: One of each position that is here, in chain order, refused ones included.
        cycles: Ascending.
    """

    reports: tuple[SignedReport, ...]
    cycles: tuple[ReportedCycle, ...]

    @property
    def envelope(self) -> Envelope:
        """Identity, the same in all its reports."""
        return self.reports[-1].envelope

    @property
    def id(self) -> str:
        """32 hex digits."""
        return self.envelope.chain_id

    @property
    def usage(self) -> tuple[str, str]:
        """Namespace and name of the LicenseUsage."""
        return self.envelope.namespace, self.envelope.name


def chains_of(
    reports: Iterable[SignedReport], licenses: Sequence[GivenLicense] = ()
) -> tuple[ReportedChain, ...]:
    """Return the chains of reports, by namespace, name, and time of their last cycle.

    Whatever was not verified is at least held to be what it says: its counts, its coverage and its
    names agree with each other.

    Args:
        reports: In any order; one given twice counts once.
        licenses: Those that are known.

    Raises:
        Refused: ``ReportConflict``: two reports claim one position, and the vendor refused
            neither; ``CountsInconsistent``, ``CoverageInconsistent``, ``IdentifierMismatch``.
    """
    positions: dict[str, dict[int, SignedReport]] = {}
    for report in reports:
        _check(report)
        chain = positions.setdefault(report.envelope.chain_id, {})
        other = chain.get(report.envelope.sequence, report)
        chain[report.envelope.sequence] = _one_of(other, report)
    chains = [_chain([chain[at] for at in sorted(chain)], licenses) for chain in positions.values()]
    with_cycles = [chain for chain in chains if chain.cycles]
    return tuple(sorted(with_cycles, key=lambda chain: (chain.usage, chain.cycles[-1].end_s)))


def _check(report: SignedReport) -> None:
    envelope, content = report.envelope, report.content
    derived = report_chain_id(
        vendor=envelope.vendor,
        installation=envelope.installation,
        subscription=envelope.subscription,
        namespace=envelope.namespace,
        name=envelope.name,
    )
    need(derived == envelope.chain_id, Reason.IDENTIFIER_MISMATCH, f"{report.source}: chain.id")
    try:
        check_counts(content)
        check_coverage(content)
    except Refused as refusal:
        raise Refused(refusal.error, words=f"{report.source}: {refusal.message}") from None


def _one_of(first: SignedReport, second: SignedReport) -> SignedReport:
    """Return the report of a position for which two were given."""
    if first.envelope.digest == second.envelope.digest:
        return first if first.answer else second
    if first.refused != second.refused:
        return second if first.refused else first
    raise Refused(
        Reason.REPORT_CONFLICT,
        words=f"{first.source} and {second.source} are two different reports at position "
        f"{first.envelope.sequence} of one chain. No statement can be made of both: find out "
        f"which one the vendor has accepted, and leave the other out.",
    )


def _chain(reports: Sequence[SignedReport], licenses: Sequence[GivenLicense]) -> ReportedChain:
    by_cycle: dict[int, list[SignedReport]] = {}
    findings: dict[int, set[str]] = {}
    before: Report | None = None
    for report in reports:
        if report.refused:
            continue
        index = report.content.cycle.index
        by_cycle.setdefault(index, []).append(report)
        findings.setdefault(index, set()).update(findings_of(report.report, before))
        before = report.report
    cycles = [_cycle(by_cycle[at], findings[at], licenses) for at in sorted(by_cycle)]
    return ReportedChain(tuple(reports), tuple(cycles))


def _cycle(
    reports: Sequence[SignedReport], findings: set[str], licenses: Sequence[GivenLicense]
) -> ReportedCycle:
    stating = [report for report in reports if report.content.kind is not Kind.INTERIM]
    value = (stating or reports)[-1]
    return ReportedCycle(
        value, tuple(stating[:-1]), _license(value, licenses), tuple(sorted(findings))
    )


def _license(report: SignedReport, licenses: Sequence[GivenLicense]) -> GivenLicense | None:
    """Return the licence that a report names: a report is judged by no other (REPORT_FORMAT §9)."""
    envelope, content = report.envelope, report.content
    wanted = envelope.vendor, envelope.subscription, content.license_id, content.product
    fitting: Mapping[bool, GivenLicense] = {
        known.checked is Checked.VERIFIED: known
        for known in sorted(licenses, key=lambda known: known.terms.issued_at_s)
        if wanted
        == (
            known.terms.vendor,
            known.terms.subscription,
            known.terms.license_id,
            known.terms.product,
        )
    }
    return fitting.get(True) or fitting.get(False)
