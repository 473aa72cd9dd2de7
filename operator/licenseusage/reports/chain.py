"""The rules of a chain (REPORT_FORMAT §6), as a fold over its reports in order of position.

Arrival order is irrelevant: ``verify_chain`` sorts first. A receiver that has verified all but the
newest report folds that one only, with ``ChainProgress.after``.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from licenseusage.reasons import Reason
from licenseusage.reports.content import Content, Kind
from licenseusage.reports.findings import findings
from licenseusage.reports.keys import InstallationKeys
from licenseusage.reports.licence import LicenseTerms
from licenseusage.reports.names import Link, digest
from licenseusage.reports.refused import need
from licenseusage.reports.report import (
    Envelope,
    Report,
    authenticate_report,
    check_content,
)


@dataclass(frozen=True, slots=True)
class Reported:
    """The report that states a cycle's value: its final, or the last amendment."""

    link: Link
    content: Content


@dataclass(frozen=True, slots=True)
class ChainProgress:
    """The state after the reports so far, by which the next one is judged.

    Attributes:
        head: The last report; None for an empty chain.
        rank: Rank of the newest key that has signed; an older one is retired.
        first_cycle: Index of the first cycle reported; None before any report that counts.
        closed: Indices of the cycles that have a final.
        values: Cycle index to the report that states its value; an amendment is judged by that of
            its own cycle.
    """

    head: Link | None = None
    rank: int = 0
    first_cycle: int | None = None
    closed: frozenset[int] = frozenset()
    values: Mapping[int, Reported] = field(default_factory=lambda: MappingProxyType({}))

    def linked(self, envelope: Envelope, rank: int) -> "ChainProgress":
        """Return the state after a report that only holds its place (a signed ``Rejected``).

        Raises:
            Refused: ``ChainGap``, ``ChainForked``, ``KeyRetired``.
        """
        position = self.head.sequence + 1 if self.head else 1
        need(envelope.sequence == position, Reason.CHAIN_GAP, f"sequence {position}")
        need(envelope.previous == (self.head.digest if self.head else None), Reason.CHAIN_FORKED)
        need(rank >= self.rank, Reason.KEY_RETIRED)
        return replace(self, head=envelope.link, rank=rank)

    def after(self, report: Report, rank: int) -> "ChainProgress":
        """Return the state after one more report.

        Args:
            report: The report, verified by itself.
            rank: Rank of the key that signed it.

        Raises:
            Refused: as ``linked``; ``CycleOrder``, ``AmendmentInvalid``.
        """
        state = self.linked(report.envelope, rank)
        content, index = report.content, report.content.cycle.index
        first = index if state.first_cycle is None else state.first_cycle
        if content.kind is Kind.AMENDMENT:
            _check_amendment(content, state.values.get(index))
        else:
            need(index not in state.closed and index >= first, Reason.CYCLE_ORDER)
            # While a cycle is being closed the next one already runs: one final may be missing.
            due = index - (1 if content.kind is Kind.INTERIM else 0)
            need(all(i in state.closed for i in range(first, due)), Reason.CYCLE_ORDER)
        if content.kind is Kind.INTERIM:
            return replace(state, first_cycle=first)
        value = Reported(report.envelope.link, content)
        values = MappingProxyType({**state.values, index: value})
        return replace(state, first_cycle=first, closed=state.closed | {index}, values=values)


@dataclass(frozen=True, slots=True)
class VerifiedChain:
    """A chain in order.

    Attributes:
        envelopes: All of it by position, links included.
        reports: Those that count: rejected ones are left out.
        findings: What both sides must show; sorted.
    """

    envelopes: tuple[Envelope, ...]
    reports: tuple[Report, ...]
    findings: tuple[str, ...]


def verify_chain(
    tokens: Iterable[str],
    *,
    license_: LicenseTerms,
    keys: InstallationKeys,
    now_s: int,
    heads: Sequence[Link] = (),
    rejected: Collection[str] = (),
) -> VerifiedChain:
    """Verify all reports of one chain, in any order, against the heads that the vendor has signed.

    Args:
        tokens: The reports.
        license_: The licence in force.
        keys: The installation's keys.
        now_s: The time, seconds since 1970 UTC.
        heads: Heads from verified receipts: without them a cut or rewritten chain still verifies.
        rejected: Digests of reports with a signed ``Rejected`` verdict: they are links only.

    Raises:
        Refused: a class of one report; ``ReportConflict``, ``ChainGap``, ``ChainForked``,
            ``KeyRetired``, ``CycleOrder``, ``AmendmentInvalid``, ``ChainTruncated``.
    """
    positions: dict[int, tuple[Envelope, Report | None]] = {}
    for token in tokens:
        envelope = authenticate_report(token, license_=license_, keys=keys)
        counts = digest(token) not in rejected
        report = check_content(envelope, license_=license_, now_s=now_s) if counts else None
        known, _ = positions.setdefault(envelope.sequence, (envelope, report))
        need(
            known.digest == envelope.digest, Reason.REPORT_CONFLICT, f"sequence {envelope.sequence}"
        )
    return fold_chain(positions.values(), keys=keys, heads=heads)


def fold_chain(
    reports: Iterable[tuple[Envelope, Report | None]],
    *,
    keys: InstallationKeys,
    heads: Sequence[Link] = (),
) -> VerifiedChain:
    """Verify what reports say together that were verified by themselves; as ``verify_chain``.

    Args:
        reports: One of each position, in any order; without its content: it only holds its place.
        keys: The installation's keys.
        heads: As in ``verify_chain``.

    Raises:
        Refused: a class of the chain.
    """
    chain = sorted(reports, key=lambda pair: pair[0].sequence)
    positions = {envelope.sequence: envelope for envelope, _ in chain}
    need(
        len({envelope.chain_id for envelope, _ in chain}) <= 1,
        Reason.IDENTIFIER_MISMATCH,
        "chain.id",
    )
    state = ChainProgress()
    for envelope, report in chain:
        rank = keys[envelope.kid].rank
        state = state.after(report, rank) if report else state.linked(envelope, rank)
    for head in heads:
        need(head.sequence in positions, Reason.CHAIN_TRUNCATED, f"sequence {head.sequence}")
        need(positions[head.sequence].digest == head.digest, Reason.CHAIN_FORKED)
    counted = tuple(report for _, report in chain if report)
    envelopes = tuple(envelope for envelope, _ in chain)
    return VerifiedChain(envelopes, counted, tuple(findings(counted)))


def _check_amendment(content: Content, value: Reported | None) -> None:
    supersedes = content.supersedes
    named = supersedes is not None and value is not None and supersedes.link == value.link
    need(named, Reason.AMENDMENT_INVALID, "it must name the latest final or amendment of its cycle")
    if supersedes is None or value is None or supersedes.reason != Reason.NEW_EVIDENCE:
        return
    (low, high), (old_low, old_high) = _bounds(content), _bounds(value.content)
    need(old_low <= low and high <= old_high, Reason.AMENDMENT_INVALID, "new evidence only narrows")


def _bounds(content: Content) -> tuple[int, float]:
    """The bounds that a report states; an estimate bounds nothing."""
    low, high = content.active_users, content.active_users_upper_bound
    known = low is not None and content.accuracy != "Estimate"
    return (low or 0) if known else 0, float("inf") if high is None else high
