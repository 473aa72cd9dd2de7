"""Numbers, days and comparisons in words, the same in every form of the statement."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from licenseusage.reports.content import Content
from licenseusage.reports.inwords import count_text
from licenseusage.reports.typs import DAY_SECONDS
from licenseusage.statement.cycles import ReportedCycle, State

PRODUCTION = "Production"
SIMULATED = "-simulated-clock"
"""How the version of an operator ends whose clock was shifted (docs/architecture.md §9)."""
_ESTIMATE = "Estimate"


@dataclass(frozen=True, slots=True)
class Over:
    """How far a cycle is over its entitlement.

    Attributes:
        at_least: Proved.
        at_most: Not ruled out; None: there is no upper bound.
    """

    at_least: int
    at_most: int | None


def day(seconds: int) -> str:
    """Return the day of a time, ``2026-10-12``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def minute(seconds: int) -> str:
    """Return a time, ``2026-10-12 07:30 UTC``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def days_of(cycle: ReportedCycle) -> str:
    """Return first and last day of a cycle, both in it."""
    return f"{day(cycle.start_s)} to {day(cycle.end_s - 1)}"


def length_days(cycle: ReportedCycle) -> int:
    """Return the number of days of a cycle."""
    return (cycle.end_s - cycle.start_s) // DAY_SECONDS


def grouped(number: int) -> str:
    """Return a number with its thousands apart: ``100,000``."""
    return f"{number:,}"


def number(content: Content) -> str:
    """Return the number as a heading shows it, with thousands apart: ``1,412 so far``."""
    return re.sub("[0-9]+", lambda digits: grouped(int(digits[0])), count_text(content))


def proved(content: Content) -> int | None:
    """Return the users that are proved; None: no number is (an estimate proves nothing)."""
    return None if content.accuracy == _ESTIMATE else content.active_users


def to_bill(cycle: ReportedCycle) -> int | None:
    """Return the number to bill: the lower bound of an ended cycle (MEASUREMENT, Promise).

    None: the cycle has not ended, nothing is proved, the clock was simulated, or the users are not
    of production. Whether they are is taken for granted where the licence is not here.
    """
    ended = cycle.state is not State.PROVISIONAL
    billable = ended and cycle.purpose in (None, PRODUCTION) and not simulated(cycle.content)
    return proved(cycle.content) if billable else None


def simulated(content: Content) -> bool:
    """Whether the report was made with a simulated clock, for a demo or a test."""
    return content.operator.version.endswith(SIMULATED)


def over(cycle: ReportedCycle) -> Over | None:
    """Return how far the cycle is over; None: not known, or there is no maximum."""
    maximum, content = cycle.maximum, cycle.content
    low, high = proved(content), content.active_users_upper_bound
    if maximum is None or (low is None and high is None):
        return None
    at_most = None if high is None else max(0, high - maximum)
    return Over(max(0, (low or 0) - maximum), at_most)


def over_words(cycle: ReportedCycle) -> str:
    """Return the comparison with the entitlement, in words."""
    if cycle.license is None:
        return f"entitlement not known: licence {cycle.content.license_id} is not here"
    if cycle.maximum is None:
        return "no maximum is agreed"
    compared, high = over(cycle), cycle.content.active_users_upper_bound
    if compared is None:
        return "not known: nothing is proved"
    so_far = " so far" if cycle.state is State.PROVISIONAL else ""
    match compared:
        case Over(0, 0):
            left = grouped(cycle.maximum - (high or 0))
            exact = proved(cycle.content) == high
            return f"not over; {left} left" if exact else f"not over; at least {left} left"
        case Over(0, None):
            return f"not over{so_far}, as far as is proved" if so_far else _NO_BOUND
        case Over(0, at_most):
            return f"not proved to be over; by {grouped(at_most or 0)} at most"
        case Over(at_least, None):
            return f"over by {grouped(at_least)} at least{so_far}"
        case Over(at_least, at_most) if at_least == at_most:
            return f"over by {grouped(at_least)}"
        case Over(at_least, at_most):
            return f"over by {grouped(at_least)} at least, {grouped(at_most or 0)} at most"


_NO_BOUND = "not proved to be over; there is no upper bound"


def entitled_words(cycle: ReportedCycle) -> str:
    """Return the entitlement: a number, that there is none, or that the licence is not here."""
    if cycle.license is None:
        return "not known here"
    return "no maximum" if cycle.maximum is None else grouped(cycle.maximum)


def elapsed_seconds(content: Content) -> int:
    """Return the length of the time that the counts cover."""
    return content.cycle.as_of_s - content.cycle.start_s


def coverage_words(content: Content) -> str:
    """Return the observed part of the time, rounded down: 100 % means all of it."""
    elapsed, observed = elapsed_seconds(content), content.coverage.observed_seconds
    if elapsed == 0:
        return "the cycle had only begun"
    permille = 1000 * observed // elapsed
    return f"{permille // 10}.{permille % 10} %" if permille % 10 else f"{permille // 10} %"


def span_words(seconds: int) -> str:
    """Return a length of time: ``2 d 3 h``, ``5 min``, ``20 s``; the two largest parts."""
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
