"""A customer's reports over many cycles, signed with fixed keys: each test says what is in them."""

from dataclasses import dataclass, field, replace
from datetime import date

from licenseusage.reports.content import (
    Content,
    Gap,
    Kind,
    OperatorInfo,
    ReportClock,
    ReportCoverage,
    ReportCycle,
    ReportRules,
    Supersedes,
    Uncertainty,
)
from licenseusage.reports.enrolment import build_enrolment
from licenseusage.reports.keys import SigningKey
from licenseusage.reports.licence import License, LicenseTerms, build_license, read_license
from licenseusage.reports.names import Link, digest
from licenseusage.reports.report import ReportInput, build_report, read_report
from licenseusage.reports.terms import CycleTerms
from licenseusage.statement.cycles import Checked, GivenLicense, SignedReport
from tests.delivery.people import INSTALLATION_KEY, LICENCE_KEY, VENDOR_KEYS

DAY = 86400
ANCHOR = 1767225600  # 2026-01-01
RULES = ReportRules("signed in at least once", digest("rules"))


def licence(subscription: str = "sub-1", maximum: int | None = 500, **changes: object) -> License:
    terms = LicenseTerms(
        vendor="https://vendor.example",
        subscription=subscription,
        license_id="lic-1",
        issued_at_s=ANCHOR - DAY,
        not_before_s=ANCHOR - DAY,
        expires_s=ANCHOR + 4000 * DAY,
        product="acme",
        cycle=CycleTerms(date(2026, 1, 1), length_days=30),
        interval_hours=24,
        reporting_required=True,
        maximum_active_users=maximum,
    )
    return read_license(build_license(replace(terms, **changes), LICENCE_KEY), VENDOR_KEYS)


@dataclass
class Bookkeeper:
    """Signs one chain of reports, in order.

    Attributes:
        tokens: All of them.
    """

    namespace: str = "collab"
    name: str = "production"
    subscription: str = "sub-1"
    key: SigningKey = field(default_factory=lambda: INSTALLATION_KEY)
    tokens: list[str] = field(default_factory=list)

    def final(self, index: int, low: int | None, high: int | None, **changes: object) -> str:
        """Sign the final of a cycle."""
        return self.sign(self.content(Kind.FINAL, index, low, high, **changes))

    def interim(self, index: int, low: int, day: int, **changes: object) -> str:
        """Sign an interim as of the end of a day of the cycle, from 1."""
        return self.sign(self.content(Kind.INTERIM, index, low, None, day, **changes))

    def amendment(
        self, old: str, low: int, high: int, reason: str = "NewEvidence", note: str = "read later"
    ) -> str:
        """Sign an amendment of a report."""
        report = read_report(old)
        supersedes = Supersedes(report.envelope.link, reason, note)
        index = report.content.cycle.index
        return self.sign(
            self.content(Kind.AMENDMENT, index, low, high, supersedes=supersedes), late_s=5 * DAY
        )

    def content(
        self,
        kind: Kind,
        index: int,
        low: int | None,
        high: int | None,
        day: int = 30,
        **changes: object,
    ) -> Content:
        start = ANCHOR + index * 30 * DAY
        content = Content(
            kind=kind,
            product="acme",
            license_id="lic-1",
            cycle=ReportCycle(index, start, start + 30 * DAY, start + day * DAY),
            active_users=low,
            active_users_upper_bound=high,
            accuracy=_accuracy(low, high),
            coverage=ReportCoverage(day * DAY),
            rules=RULES,
            clock=ReportClock(start + day * DAY),
            operator=OperatorInfo("1.0.0"),
        )
        return replace(content, **changes)

    def sign(self, content: Content, late_s: int = 3600) -> str:
        previous = Link(len(self.tokens), digest(self.tokens[-1])) if self.tokens else None
        report = ReportInput(
            installation=self.key.installation,
            vendor="https://vendor.example",
            subscription=self.subscription,
            namespace=self.namespace,
            name=self.name,
            issued_at_s=content.cycle.as_of_s + late_s,
            content=content,
            previous=previous,
        )
        self.tokens.append(build_report(report, self.key))
        return self.tokens[-1]

    def enrolment(self, license_: License | None = None) -> str:
        return build_enrolment(license_ or licence(self.subscription), self.key, issued_at_s=ANCHOR)


def signed(*tokens: str) -> list[SignedReport]:
    return [SignedReport(read_report(token), f"report {at}") for at, token in enumerate(tokens, 1)]


def given(license_: License) -> list[GivenLicense]:
    return [GivenLicense(license_, Checked.VERIFIED)]


def _accuracy(low: int | None, high: int | None) -> str:
    if low is None:
        return "Unknown" if high is None else "UpperBound"
    return "LowerBound" if high is None else "Exact" if low == high else "Bounded"


def weekdays(index: int, most: int, unknown: tuple[int, ...] = (), zero: tuple[int, ...] = ()):
    """Thirty days: fewer on week-ends, some not known, some zero."""
    days: list[int | None] = []
    for at in range(30):
        weekend = (3 + index * 30 + at) % 7 in (5, 6)  # 2026-01-01 is a Thursday
        days.append(most // 6 if weekend else most - (at * 7) % 23)
    for at in unknown:
        days[at] = None
    for at in zero:
        days[at] = 0
    return tuple(days)


GAPS = (
    Gap(ANCHOR + 300 * DAY, ANCHOR + 301 * DAY + 5400, "NoPoll"),
    Gap(ANCHOR + 312 * DAY, ANCHOR + 312 * DAY + 1200, "NoPoll"),
)


def rich_chain() -> Bookkeeper:
    """Fourteen months with everything that a statement can show."""
    book = Bookkeeper()
    for index in range(10):
        low = 380 + 9 * index
        book.final(index, low, low if index % 3 else low + 4, provisioned_users=100_000)
    gap_s = sum(gap.end_s - gap.start_s for gap in GAPS)
    final = book.final(
        10,
        512,
        519,
        provisioned_users=100_000,
        daily_active_users=weekdays(10, 290, unknown=(0, 12, 13), zero=(24,)),
        uncertainty=(Uncertainty("RemovedUsers", 2), Uncertainty("BoundaryGap", 5)),
        coverage=ReportCoverage(30 * DAY - gap_s, GAPS),
        rules=ReportRules(
            "A person counts who signed in at least once, or whose client renewed a token, within "
            "the cycle. Accounts of machines do not count.",
            digest("rules"),
            0,
            {"Excluded": 14, "NeverActive": 99_410},
            ("RemovalListedOnce", "IdsStable"),
        ),
    )
    amended = replace(
        read_report(final).content,
        kind=Kind.AMENDMENT,
        active_users=514,
        active_users_upper_bound=516,
        supersedes=Supersedes(read_report(final).envelope.link, "NewEvidence", "512-519 before"),
        uncertainty=(Uncertainty("BoundaryGap", 2),),
    )
    book.sign(amended, late_s=3 * DAY)
    book.interim(
        11,
        187,
        3,
        provisioned_users=100_020,
        daily_active_users=weekdays(11, 180)[:3],
    )
    return book
