"""The checks of a report's content by itself (REPORT_FORMAT §5; §12, layer 3)."""

from licenseusage.reasons import Reason
from licenseusage.reports.content import Content, Kind
from licenseusage.reports.refused import need
from licenseusage.reports.terms import CycleTerms
from licenseusage.reports.typs import DAY_SECONDS


def check_cycle(content: Content, length_days: int, terms: CycleTerms) -> None:
    """Check the cycle against the licence's arithmetic.

    Raises:
        Refused: ``CycleMismatch``.
    """
    cycle = content.cycle
    start, end = terms.bounds(cycle.index)
    need((cycle.start_s, cycle.end_s) == (start, end), Reason.CYCLE_MISMATCH)
    need(length_days * DAY_SECONDS == end - start, Reason.CYCLE_MISMATCH, "cycle.lengthDays")
    as_of_fits = (
        start <= cycle.as_of_s < end if content.kind is Kind.INTERIM else cycle.as_of_s == end
    )
    need(as_of_fits, Reason.CYCLE_MISMATCH, "cycle.asOf")


def check_counts(content: Content) -> None:
    """Check the table of ``accuracy``, and that no day exceeds the lower bound.

    The days may add up to less than the lower bound: a coarse timestamp can prove the cycle without
    proving a day.

    Raises:
        Refused: ``CountsInconsistent``.
    """
    low, high = content.active_users, content.active_users_upper_bound
    fits = {
        "Exact": low is not None and low == high,
        "Bounded": low is not None and high is not None and low < high,
        "LowerBound": low is not None and high is None,
        "UpperBound": low is None and high is not None,
        "Estimate": low is not None and high is None,
        "Unknown": low is None and high is None,
    }
    need(fits[content.accuracy], Reason.COUNTS_INCONSISTENT, content.accuracy)
    days = content.daily_active_users
    if days is None:
        return
    elapsed = content.cycle.as_of_s - content.cycle.start_s
    need(
        len(days) == -(-elapsed // DAY_SECONDS),
        Reason.COUNTS_INCONSISTENT,
        "one entry per day begun",
    )
    if low is not None and content.accuracy != "Estimate":
        busiest = max((day for day in days if day is not None), default=0)
        need(busiest <= low, Reason.COUNTS_INCONSISTENT, "a day exceeds the cycle")


def check_coverage(content: Content) -> None:
    """Check that gaps are ascending, disjoint and inside, and that the times add up.

    Raises:
        Refused: ``CoverageInconsistent``.
    """
    coverage, edge, missing = content.coverage, content.cycle.start_s, 0
    for gap in coverage.gaps:
        inside = edge <= gap.start_s < gap.end_s <= content.cycle.as_of_s
        need(inside, Reason.COVERAGE_INCONSISTENT, "gaps")
        edge, missing = gap.end_s, missing + gap.end_s - gap.start_s
    elapsed = content.cycle.as_of_s - content.cycle.start_s
    total = coverage.observed_seconds + missing
    need(coverage.observed_seconds <= elapsed, Reason.COVERAGE_INCONSISTENT, "observedSeconds")
    need(total >= elapsed if coverage.merged else total == elapsed, Reason.COVERAGE_INCONSISTENT)
