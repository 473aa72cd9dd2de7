"""The contents of the pages, read from the store in one snapshot: plain values, no HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from licenseusage.reasons import Reason
from licenseusage.receiver.authentication import register_of
from licenseusage.receiver.inforce import Register
from licenseusage.receiver.openness import (
    CycleFinding,
    DocumentFinding,
    Stated,
    findings_of_chain,
    names_of,
)
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
from licenseusage.reports.inwords import count_text, in_words
from licenseusage.reports.licence import LicenseTerms
from licenseusage.reports.report import read_report
from licenseusage.reports.tokens import decode

INSTALLATIONS_PER_PAGE = 50
CHAINS_PER_INSTALLATION = 100
CYCLES_AT_A_GLANCE = 3
CYCLES_PER_CHAIN = 60
DOCUMENTS_PER_PAGE = 100
GAPS_SHOWN = 20
STATING_AT_MOST = 1000


@dataclass(frozen=True, slots=True)
class CycleLine:
    """One cycle of a chain with its current value.

    Attributes:
        license_id: The licence that the report names.
        license: That licence, which entitles the cycle; None: it is unknown here.
        findings: Of all its documents, open or closed.
        product: What is counted.
        elsewhere: Other chains that report this cycle of the product under the subscription.
        words: The number in a sentence, with the reason why it is not exact.
    """

    report: ReportRow
    text: str
    words: str
    license_id: str
    license: LicenseTerms | None
    findings: tuple[CycleFinding, ...]
    product: str
    elsewhere: tuple[Chain, ...] = ()

    @property
    def state(self) -> str:
        """Final, Amended, or Open: only interim reports so far."""
        return {"final": "Final", "amendment": "Amended"}.get(self.report.kind, "Open")

    @property
    def maximum(self) -> int | None:
        """The contracted maximum; None: there is none, or the licence is unknown."""
        return self.license.maximum_active_users if self.license else None

    @property
    def over(self) -> bool:
        """Whether more users are proved than are contracted."""
        return self.maximum is not None and (self.report.active_users or 0) > self.maximum


@dataclass(frozen=True, slots=True)
class ChainLine:
    """One usage object with the state of its chain.

    Attributes:
        findings: Open and closed, those of the chain as it is now first, then by cycle.
        overdue_at_s: From when on silence is too long; None: not known, or nothing is expected.
    """

    summary: ChainSummary
    findings: tuple[CycleFinding, ...]
    overdue_at_s: int | None
    overdue: bool
    cycles: list[CycleLine]

    @property
    def chain(self) -> Chain:
        """The chain itself."""
        return self.summary.chain

    @property
    def open(self) -> tuple[str, ...]:
        """The names of the open findings, each once."""
        return names_of(self.findings)

    @property
    def shared(self) -> bool:
        """Whether another chain reports one of its cycles, too."""
        return any(cycle.elsewhere for cycle in self.cycles)

    @property
    def state(self) -> str:
        """The worst thing to say about it, in a word: conflict, gap, late, open, or ok."""
        if _CONTRADICTIONS.intersection(self.open):
            return "conflict"
        if self.summary.missing:
            return "gap"
        if self.overdue:
            return "late"
        return "open" if self.open else "ok"


_CONTRADICTIONS = frozenset({Reason.REPORT_CONFLICT, Reason.CHAIN_FORKED, Reason.KEY_RETIRED})


@dataclass(frozen=True, slots=True)
class InstallationCard:
    """An enrolment with its chains.

    Attributes:
        terms: The licence that the vendor agreed to last, of those that have begun.
        replaced: Another installation has taken its place: nothing more is expected of it.
        siblings: Other installations of its subscription.
    """

    installation: Installation
    terms: LicenseTerms
    keys: list[KeyRow]
    chains: list[ChainLine]
    overdue: bool
    replaced: bool
    siblings: int

    @property
    def shared(self) -> bool:
        """Whether one of its cycles is reported by several chains."""
        return any(line.shared for line in self.chains)

    @property
    def open(self) -> int:
        """How many of its chains have something open; itself, if it is silent from the start."""
        return self.overdue + sum(bool(line.open) for line in self.chains)


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page: enrolments, newest first; ``more`` if there are older ones."""

    cards: list[InstallationCard]
    page: int
    more: bool

    @property
    def open(self) -> int:
        """In how many places of this page something is open."""
        return sum(card.open for card in self.cards)


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
    terms: LicenseTerms
    line: ChainLine
    gaps: list[tuple[int, int]]
    documents: list[DocumentLine]
    before: int | None


def overview(views: Views, *, page: int, now_s: int) -> Overview:
    """Gather the first page; ``page`` counts from 1."""
    installations = views.installations(
        limit=INSTALLATIONS_PER_PAGE + 1, offset=(page - 1) * INSTALLATIONS_PER_PAGE
    )
    cards = [_card(views, each, now_s) for each in installations[:INSTALLATIONS_PER_PAGE]]
    return Overview(cards, page, more=len(installations) > INSTALLATIONS_PER_PAGE)


def chain_page(views: Views, chain_id: str, *, before: int | None, now_s: int) -> ChainPage | None:
    """Gather the page of a chain: documents below position ``before``; None: no such chain."""
    chain = views.find_chain(chain_id)
    if chain is None:
        return None
    installation = views.enrolment_of(chain)
    documents = views.documents(chain_id, limit=DOCUMENTS_PER_PAGE + 1, before=before)
    shown, older_than = _whole_positions(documents)
    register = register_of(views, installation)
    replaced = views.replaced(installation)
    line = _line(
        *(views, chain, installation, register, now_s), replaced=replaced, cycles=CYCLES_PER_CHAIN
    )
    return ChainPage(
        installation=installation,
        terms=register.newest(now_s),
        line=_compared(views, installation.subscription, [line])[0],
        gaps=views.gaps(chain_id, limit=GAPS_SHOWN),
        documents=[
            DocumentLine(document, report, _count_text(document) if report else "")
            for document, report in shown
        ],
        before=older_than,
    )


def _count_text(document: Document) -> str:
    return count_text(read_report(document.token).content)


def _whole_positions(
    documents: list[tuple[Document, ReportRow | None]],
) -> tuple[list[tuple[Document, ReportRow | None]], int | None]:
    """Return a page of documents, and the position below which the next page begins.

    A position may hold evidence beside its document: its rows are not torn apart, unless there are
    more of them than a page shows.
    """
    if len(documents) <= DOCUMENTS_PER_PAGE:
        return documents, None
    next_sequence = documents[-1][0].sequence
    whole = [row for row in documents if row[0].sequence > next_sequence]
    return (whole, next_sequence + 1) if whole else (documents[:DOCUMENTS_PER_PAGE], next_sequence)


def _card(views: Views, installation: Installation, now_s: int) -> InstallationCard:
    chains = views.chains_of(installation, limit=CHAINS_PER_INSTALLATION)
    register = register_of(views, installation)
    replaced = views.replaced(installation)
    silent_at_s = register.silence_ends_s(
        None,
        enrolled_s=installation.enrolled_ms // 1000,
        last_received_s=None,
        last_final=None,
    )
    silent = silent_at_s is not None and now_s >= silent_at_s
    return InstallationCard(
        installation=installation,
        terms=register.newest(now_s),
        keys=views.keys(installation.key_chain_id),
        chains=_compared(
            views,
            installation.subscription,
            [
                _line(
                    *(views, chain, installation, register, now_s),
                    replaced=replaced,
                    cycles=CYCLES_AT_A_GLANCE,
                )
                for chain in chains
            ],
        ),
        overdue=not chains and silent and not replaced,
        replaced=replaced,
        siblings=views.installations_of(installation.subscription) - 1,
    )


def _line(
    views: Views,
    chain: Chain,
    installation: Installation,
    register: Register,
    now_s: int,
    *,
    replaced: bool,
    cycles: int,
) -> ChainLine:
    summary = views.summary(chain)
    newest = views.newest_counted(chain.id)
    received_ms = summary.last_received_ms
    due_s = register.silence_ends_s(
        None if newest is None else _license_id(newest),
        enrolled_s=installation.enrolled_ms // 1000,
        last_received_s=None if received_ms is None else received_ms // 1000,
        last_final=summary.last_final,
    )
    overdue = due_s is not None and now_s >= due_s and not replaced
    values = views.cycles(chain.id, limit=cycles)
    findings = findings_of_chain(
        [
            finding
            for document, row in views.noteworthy(chain.id)
            for finding in _findings_of(document, row)
        ],
        {value.report.cycle_index: _stated(value) for value in values},
        missing=bool(summary.missing),
        overdue=overdue,
    )
    return ChainLine(
        summary=summary,
        findings=findings,
        overdue_at_s=None if replaced else due_s,
        overdue=overdue,
        cycles=[_cycle(value, register, findings) for value in values],
    )


def _compared(views: Views, subscription: str, lines: Sequence[ChainLine]) -> list[ChainLine]:
    """Return the lines with the other chains that report their cycles.

    A renamed or moved object has another chain, and so has a second installation of the product.
    """
    indices = {cycle.report.cycle_index for line in lines for cycle in line.cycles}
    stating: dict[tuple[int, str], list[Chain]] = {}
    for chain, report, token in views.stating(subscription, indices, limit=STATING_AT_MOST):
        product = read_report(token).content.product
        stating.setdefault((report.cycle_start_s, product), []).append(chain)
    return [
        replace(line, cycles=[_beside(cycle, line.chain, stating) for cycle in line.cycles])
        for line in lines
    ]


def _beside(
    cycle: CycleLine, chain: Chain, stating: Mapping[tuple[int, str], Sequence[Chain]]
) -> CycleLine:
    all_of_it = stating.get((cycle.report.cycle_start_s, cycle.product), ())
    return replace(cycle, elsewhere=tuple(other for other in all_of_it if other.id != chain.id))


def _cycle(value: CycleValue, register: Register, findings: Sequence[CycleFinding]) -> CycleLine:
    report, license_id = value.report, _license_id(value.document)
    content = read_report(value.document.token).content
    return CycleLine(
        report=report,
        text=count_text(content),
        words=in_words(content),
        license_id=license_id,
        license=register.named(license_id),
        findings=tuple(finding for finding in findings if finding.cycle == report.cycle_index),
        product=content.product,
    )


def _stated(value: CycleValue) -> Stated:
    document = value.document
    return Stated(value.report.kind, document.sequence, document.received_ms, document.findings)


def _findings_of(document: Document, row: ReportRow | None) -> list[DocumentFinding]:
    cycle, kind = (row.cycle_index, row.kind) if row else _claimed(document.token)
    names = document.findings if document.error is None else (*document.findings, document.error)
    return [
        DocumentFinding(
            name, cycle, kind, document.sequence, document.received_ms, document.verdict.value
        )
        for name in names
    ]


def _claimed(token: str) -> tuple[int | None, str | None]:
    """Return cycle and kind of a report that was refused, as far as it says them."""
    _, claims = decode(token)
    cycle, kind = claims.get("cycle"), claims.get("kind")
    index = cycle.get("index") if isinstance(cycle, dict) else None
    return (
        index if isinstance(index, int) and not isinstance(index, bool) else None,
        kind if isinstance(kind, str) else None,
    )


def _license_id(document: Document) -> str:
    _, claims = decode(document.token)  # of an accepted report: it was checked when it arrived
    return str(claims["licenseId"])
