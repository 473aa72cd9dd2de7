"""What the pages say, gathered from the store in one consistent read: plain values, no HTML."""

from dataclasses import dataclass

from licenseusage.metering.bounds import Accuracy, Bounds
from licenseusage.metering.statement import active_text
from licenseusage.receiver.overdue import overdue_at_s
from licenseusage.receiver.store import (
    Chain,
    ChainSummary,
    CycleValue,
    Document,
    Installation,
    KeyRow,
    ReportRow,
    Views,
)

INSTALLATIONS_PER_PAGE = 50
CHAINS_PER_INSTALLATION = 100
CYCLES_AT_A_GLANCE = 3
CYCLES_PER_CHAIN = 60
DOCUMENTS_PER_PAGE = 100
GAPS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class CycleLine:
    """One cycle of a chain, as its value stands."""

    report: ReportRow
    text: str
    over: bool
    findings: tuple[str, ...]
    error: str | None

    @property
    def state(self) -> str:
        """Final, Amended, or Open: only interim reports so far."""
        return {"final": "Final", "amendment": "Amended"}.get(self.report.kind, "Open")


@dataclass(frozen=True, slots=True)
class ChainLine:
    """One usage object: where its chain stands."""

    summary: ChainSummary
    findings: tuple[str, ...]
    overdue_at_s: int
    overdue: bool
    cycles: list[CycleLine]

    @property
    def chain(self) -> Chain:
        """The chain itself."""
        return self.summary.chain

    @property
    def state(self) -> str:
        """The worst thing to say about it, in a word: ok, late, gap, or conflict."""
        if self.summary.conflicts or "ChainForked" in self.findings:
            return "conflict"
        if self.summary.missing:
            return "gap"
        return "late" if self.overdue else "ok"


@dataclass(frozen=True, slots=True)
class InstallationCard:
    """An enrolment with its chains."""

    installation: Installation
    keys: list[KeyRow]
    chains: list[ChainLine]
    overdue: bool
    siblings: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page: enrolments, newest first; ``more`` if there are older ones."""

    cards: list[InstallationCard]
    page: int
    more: bool


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """A document of a chain, and its count if it is an accepted report."""

    document: Document
    report: ReportRow | None
    text: str


@dataclass(frozen=True, slots=True)
class ChainPage:
    """Everything about one chain; ``before`` pages on to older documents."""

    installation: Installation
    line: ChainLine
    gaps: list[tuple[int, int]]
    documents: list[DocumentLine]
    before: int | None


def overview(views: Views, *, page: int, now_s: int) -> Overview:
    """Gather the first page; ``page`` counts from 1."""
    found = views.installations(
        limit=INSTALLATIONS_PER_PAGE + 1, offset=(page - 1) * INSTALLATIONS_PER_PAGE
    )
    cards = [_card(views, each, now_s) for each in found[:INSTALLATIONS_PER_PAGE]]
    return Overview(cards, page, more=len(found) > INSTALLATIONS_PER_PAGE)


def chain_page(views: Views, chain_id: str, *, before: int | None, now_s: int) -> ChainPage | None:
    """Gather the page of a chain: documents below position ``before``; None: no such chain."""
    chain = views.find_chain(chain_id)
    if chain is None:
        return None
    installation = views.enrolment_of(chain)
    found = views.documents(chain_id, limit=DOCUMENTS_PER_PAGE + 1, before=before)
    shown, older_than = _whole_positions(found)
    return ChainPage(
        installation=installation,
        line=_line(views, chain, installation, now_s, cycles=CYCLES_PER_CHAIN),
        gaps=views.gaps(chain_id, limit=GAPS_SHOWN),
        documents=[
            DocumentLine(document, report, count_text(report) if report else "")
            for document, report in shown
        ],
        before=older_than,
    )


def count_text(report: ReportRow) -> str:
    """Return a report's number as the customer's own columns show it (``398``, ``412–419``)."""  # noqa: RUF002 - a range is written with an en dash
    estimate = report.active_users if report.accuracy == Accuracy.ESTIMATE else None
    bounds = Bounds(
        lower=0 if estimate is not None else report.active_users or 0,
        upper=report.active_users_upper_bound,
        estimate=estimate,
    )
    return active_text(bounds, running=report.kind == "interim")


def _whole_positions(
    found: list[tuple[Document, ReportRow | None]],
) -> tuple[list[tuple[Document, ReportRow | None]], int | None]:
    """Return a page of documents, and the position below which the next page begins.

    A position may hold evidence beside its document: its rows are not torn apart, unless there are
    more of them than a page shows.
    """
    if len(found) <= DOCUMENTS_PER_PAGE:
        return found, None
    next_sequence = found[-1][0].sequence
    whole = [row for row in found if row[0].sequence > next_sequence]
    return (whole, next_sequence + 1) if whole else (found[:DOCUMENTS_PER_PAGE], next_sequence)


def _card(views: Views, installation: Installation, now_s: int) -> InstallationCard:
    chains = views.chains_of(installation, limit=CHAINS_PER_INSTALLATION)
    silent_at_s = overdue_at_s(
        installation.terms,
        enrolled_s=installation.enrolled_ms // 1000,
        last_received_s=None,
        last_final=None,
    )
    return InstallationCard(
        installation=installation,
        keys=views.keys(installation.key_chain_id),
        chains=[
            _line(views, chain, installation, now_s, cycles=CYCLES_AT_A_GLANCE) for chain in chains
        ],
        overdue=not chains and now_s >= silent_at_s,
        siblings=views.installations_of(installation.subscription) - 1,
    )


def _line(
    views: Views, chain: Chain, installation: Installation, now_s: int, *, cycles: int
) -> ChainLine:
    summary = views.summary(chain)
    received_ms = summary.last_received_ms
    due_s = overdue_at_s(
        installation.terms,
        enrolled_s=installation.enrolled_ms // 1000,
        last_received_s=None if received_ms is None else received_ms // 1000,
        last_final=summary.last_final,
    )
    overdue = now_s >= due_s
    found = {*summary.findings, *({"ReportOverdue"} if overdue else ())}
    maximum = installation.terms.maximum_active_users
    return ChainLine(
        summary=summary,
        findings=tuple(sorted(found | ({"ChainGap"} if summary.missing else set()))),
        overdue_at_s=due_s,
        overdue=overdue,
        cycles=[_cycle(value, maximum) for value in views.cycles(chain.id, limit=cycles)],
    )


def _cycle(value: CycleValue, maximum: int | None) -> CycleLine:
    report = value.report
    return CycleLine(
        report=report,
        text=count_text(report),
        over=maximum is not None and (report.active_users or 0) > maximum,
        findings=value.document.findings,
        error=value.document.error,
    )
