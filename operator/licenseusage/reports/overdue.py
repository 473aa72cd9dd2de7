"""When a report is overdue (REPORT_FORMAT §6, rule 5): pure, in seconds since 1970 UTC."""

from licenseusage.reports.licence import LicenseTerms

_HOUR = 3600
_DAY = 86400


def overdue_at_s(
    terms: LicenseTerms, *, enrolled_s: int, last_received_s: int | None, last_final: int | None
) -> int:
    """Return from when on silence is the finding ``ReportOverdue``.

    With interim reports required: twice the interval and a day after the last report arrived, or
    after the enrolment. With interims optional the same span runs from one cycle's length after the
    end of the last final's cycle, or after the enrolment: until then there is nothing to send.

    Args:
        terms: Of the licence.
        enrolled_s: When the enrolment arrived.
        last_received_s: When the newest report of the chain arrived; None: none yet.
        last_final: Index of the last cycle that the chain holds a final of; None: of none yet.
    """
    patience = 2 * terms.interval_hours * _HOUR + _DAY
    if terms.interim == "Optional":
        if last_final is None:
            return enrolled_s + _longest_cycle_s(terms) + patience
        return terms.cycle.bounds(last_final + 1)[1] + patience
    return (enrolled_s if last_received_s is None else last_received_s) + patience


def _longest_cycle_s(terms: LicenseTerms) -> int:
    days = terms.cycle.length_days or 31 * (terms.cycle.length_months or 0)
    return days * _DAY
