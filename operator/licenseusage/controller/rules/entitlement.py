"""The number beside what is paid for: the condition ``WithinEntitlement`` and its warnings.

Only what is proved counts: the lower bound decides. An upper bound above the maximum is told, and
crosses nothing. What was crossed is read from the object's own status, so that a restart repeats no
warning.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from licenseusage.api.model import rfc3339
from licenseusage.chain import first_answer
from licenseusage.controller.rules.conditions import Status, Verdict
from licenseusage.controller.rules.status import Ended, Threshold
from licenseusage.metering.bounds import Accuracy
from licenseusage.metering.forecast import Forecast
from licenseusage.metering.statement import UNPROVED_COUNTS, CycleStatement
from licenseusage.reasons import Reason

WARN_AT_PERCENT = (80, 90, 100)
"""The parts of the maximum at which a person is warned, unless ``spec.warnAtPercent`` says else."""


@dataclass(frozen=True, slots=True)
class Entitled:
    """What is paid for, and what is proved.

    Attributes:
        maximum: Contracted maximum of active users.
        statement: About the running cycle; None while there is no number.
        percents: At which parts of the maximum a person is warned.
        before: The cycle that ended last: that it exceeded its maximum, or may have, is said in
            the next one, too.
        forecast: What the running cycle may end with; None: nobody can say.
    """

    maximum: int
    statement: CycleStatement | None
    percents: Sequence[int] = ()
    before: Ended | None = None
    forecast: Forecast | None = None

    @property
    def proved(self) -> int | None:
        """How many were certainly active in the running cycle; None: nothing may be stated."""
        if self.statement is None or self.statement.bounds.accuracy is Accuracy.CONFLICT:
            return None
        return self.statement.bounds.lower

    def reaches(self, percent: int) -> bool:
        """Whether the proved number has reached a part of the maximum; nobody reaches nothing."""
        return bool(self.proved) and 100 * (self.proved or 0) >= percent * self.maximum


def within_entitlement(entitled: Entitled | None) -> Verdict | None:
    """Return the condition ``WithinEntitlement``; None without a maximum."""
    if entitled is None:
        return None
    verdict = first_answer(WITHIN_ENTITLEMENT, entitled)
    if verdict is None:
        verdict = Verdict(Status.TRUE, Reason.WITHIN_MAXIMUM, f"{_seen(entitled)}.")
    more = _foreseen(entitled) + _of_the_last_cycle(entitled.before)
    return Verdict(verdict.status, verdict.reason, verdict.message + more)


def nothing_known(entitled: Entitled) -> Verdict | None:
    """No poll of the cycle succeeded, or the facts contradict each other."""
    if entitled.proved is not None:
        return None
    return Verdict(
        Status.UNKNOWN, Reason.COUNT_UNKNOWN, "Nothing is known about the running cycle yet."
    )


def nobody_is_named(entitled: Entitled) -> Verdict | None:
    """The product states numbers only, and they prove nothing of a cycle that runs."""
    statement = entitled.statement
    if statement is None or UNPROVED_COUNTS not in statement.unbounded or entitled.proved:
        return None
    about = statement.bounds.estimate
    estimated = f" (about {about} are estimated)" if about is not None else ""
    return Verdict(
        Status.UNKNOWN,
        Reason.COUNT_UNKNOWN,
        f"The product states numbers only, which prove nothing of the running cycle{estimated}; "
        f"{entitled.maximum} users are paid for.",
    )


def more_than_paid_for(entitled: Entitled) -> Verdict | None:
    """More than the maximum were certainly active."""
    lower = entitled.proved or 0
    if lower <= entitled.maximum:
        return None
    return Verdict(
        Status.FALSE,
        Reason.MAXIMUM_EXCEEDED,
        f"At least {lower} users were active in this cycle, {entitled.maximum} are paid for; talk "
        f"to the vendor. Nothing is switched off.",
    )


def exactly_paid_for(entitled: Entitled) -> Verdict | None:
    """The maximum is reached: the next person exceeds it."""
    if not entitled.proved or entitled.proved != entitled.maximum:
        return None
    return Verdict(
        Status.TRUE,
        Reason.MAXIMUM_REACHED,
        f"All {entitled.maximum} users that are paid for have been active in this cycle; one more "
        f"exceeds the maximum. Talk to the vendor in time.",
    )


def threshold_reached(entitled: Entitled) -> Verdict | None:
    """A part of the maximum is reached at which a person wants to be warned."""
    reached = [percent for percent in entitled.percents if entitled.reaches(percent)]
    if not reached:
        return None
    return Verdict(
        Status.TRUE,
        Reason.THRESHOLD_REACHED,
        f"{_seen(entitled)}: {max(reached)} % of what is paid for is reached.",
    )


WITHIN_ENTITLEMENT: tuple[Callable[[Entitled], Verdict | None], ...] = (
    nothing_known,
    nobody_is_named,
    more_than_paid_for,
    exactly_paid_for,
    threshold_reached,
)


def thresholds_reached(
    entitled: Entitled | None, live: Mapping[str, Any], cycle_start_ms: int | None
) -> tuple[Threshold, ...]:
    """Return the thresholds that were reached in the running cycle, ascending.

    What was reached stays so until the cycle ends, whatever becomes of the number. With another
    maximum (a renewed licence), only what is reached of that one stays: the rest is told again when
    it is reached again.

    Args:
        entitled: None without a maximum.
        live: The status of the object as it is.
        cycle_start_ms: Start of the running cycle; None: there is none.
    """
    if entitled is None or cycle_start_ms is None:
        return ()
    before = {threshold.percent: threshold for threshold in _of_status(live, cycle_start_ms)}
    reached = []
    for percent in sorted(set(entitled.percents)):
        known = before.get(percent)
        now = entitled.reaches(percent)
        if known is not None and (now or known.maximum == entitled.maximum):
            reached.append(known)
        elif now and entitled.statement is not None:
            at_ms = entitled.statement.as_of_ms
            reached.append(
                Threshold(percent, rfc3339(at_ms), entitled.proved or 0, entitled.maximum)
            )
    return tuple(reached)


def _of_status(live: Mapping[str, Any], cycle_start_ms: int) -> list[Threshold]:
    """Return the thresholds that the status shows, if it is about this cycle."""
    if (live.get("cycle") or {}).get("startTime") != rfc3339(cycle_start_ms):
        return []
    return [
        Threshold(
            entry["percent"],
            entry["reachedTime"],
            entry["activeUsers"],
            entry["maximumActiveUsers"],
        )
        for entry in live.get("thresholds") or ()
    ]


def _seen(entitled: Entitled) -> str:
    lower, maximum = entitled.proved or 0, entitled.maximum
    part = f" ({100 * lower // maximum} %)" if maximum else ""
    return f"{lower} of {maximum} users{part} have been seen active in this cycle so far"


def _foreseen(entitled: Entitled) -> str:
    """Say that the cycle may end above the maximum, where it is not above it yet."""
    foreseen = entitled.forecast
    known = entitled.proved is not None and entitled.proved <= entitled.maximum
    if foreseen is None or not known or foreseen.high <= entitled.maximum:
        return ""
    leads = "may end above" if foreseen.users <= entitled.maximum else "probably ends above"
    return (
        f" The cycle {leads} the maximum: about {foreseen.users} are forecast, between "
        f"{foreseen.low} and {foreseen.high}."
    )


def _of_the_last_cycle(ended: Ended | None) -> str:
    """Say that the last cycle exceeded its maximum, or that nobody knows whether it did."""
    if ended is None or ended.maximum is None:
        return ""
    bounds, day = ended.statement.bounds, rfc3339(ended.record.cycle.end_ms)[:10]
    if ended.exceeded:
        return (
            f" In the cycle that ended on {day} at least {bounds.lower} were active, "
            f"{ended.maximum} were paid for."
        )
    upper = bounds.active_users_upper_bound
    if upper is not None and upper > ended.maximum:
        return (
            f" In the cycle that ended on {day} at least {bounds.lower} and at most {upper} were "
            f"active, {ended.maximum} were paid for: it is not proved that more were active."
        )
    return ""
