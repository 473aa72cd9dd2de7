"""A report's number for people: as a column shows it, and in a sentence with the reason."""

from licenseusage.metering.bounds import Accuracy, Bounds
from licenseusage.metering.coverage import Coverage
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.statement import CycleStatement, Uncertainty
from licenseusage.reports.content import Content


def in_words(content: Content) -> str:
    """Return the number in words, as the sender's own status says it (MEASUREMENT §0)."""
    return _statement(content).words


def count_text(content: Content) -> str:
    """Return the number as the sender's own columns show it: ``398``, ``≥412``, ``12 so far``."""
    return _statement(content).active_text


def _statement(content: Content) -> CycleStatement:
    """Return what a report states, as far as words are made of it.

    The report says less than the ledger knows: of the span that was not read around the cycle's
    end it holds the part within the cycle.
    """
    cycle = content.cycle
    low, high = content.active_users, content.active_users_upper_bound
    estimate = low if content.accuracy == Accuracy.ESTIMATE else None
    causes = tuple(Uncertainty(cause.reason, cause.users) for cause in content.uncertainty)
    last = content.coverage.gaps[-1] if content.coverage.gaps else None
    at_the_end = last is not None and last.end_s == cycle.end_s
    return CycleStatement(
        cycle=Cycle(cycle.index, cycle.start_s * 1000, cycle.end_s * 1000),
        as_of_ms=cycle.as_of_s * 1000,
        bounds=Bounds(0 if estimate is not None else low or 0, high, estimate),
        daily=(),
        coverage=Coverage(content.coverage.observed_seconds, ()),
        uncertainty=() if high is None else causes,
        unbounded=tuple(cause.reason for cause in causes) if high is None else (),
        boundary_gap_ms=(last.start_s * 1000, last.end_s * 1000) if last and at_the_end else None,
    )
