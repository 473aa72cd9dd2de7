"""From a report back to the statement that it was made from, as far as it says it."""

from licenseusage.metering.bounds import Accuracy, Bounds
from licenseusage.metering.coverage import Coverage
from licenseusage.metering.coverage import Gap as Unobserved
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.statement import CycleStatement
from licenseusage.metering.statement import Uncertainty as Why
from licenseusage.reports.content import Content


def cycle_of(content: Content) -> Cycle:
    """Return the cycle that a report is about."""
    cycle = content.cycle
    return Cycle(cycle.index, 1000 * cycle.start_s, 1000 * cycle.end_s)


def statement_of(content: Content) -> CycleStatement:
    """Return what a report states.

    Not in it: the unobserved span around the cycle's end, and which guarantees were refuted.
    """
    cycle, as_of_ms = cycle_of(content), 1000 * content.cycle.as_of_s
    low, high = content.active_users, content.active_users_upper_bound
    bounds = Bounds(low or 0, high)
    if content.accuracy == Accuracy.ESTIMATE:
        bounds = Bounds(0, None, estimate=low)
    days = -(-(as_of_ms - cycle.start_ms) // DAY_MS)
    daily = content.daily_active_users
    return CycleStatement(
        cycle=cycle,
        as_of_ms=as_of_ms,
        bounds=bounds,
        daily=(None,) * days if daily is None else daily,
        coverage=Coverage(
            content.coverage.observed_seconds,
            tuple(Unobserved(gap.start_s, gap.end_s, gap.reason) for gap in content.coverage.gaps),
            content.coverage.merged,
        ),
        uncertainty=tuple(Why(why.reason, why.users) for why in content.uncertainty if why.users),
        unbounded=tuple(why.reason for why in content.uncertainty if not why.users),
        provisioned=content.provisioned_users,
        assumptions=content.rules.assumptions,
    )
