"""The cycles that a licence agrees on (REPORT_FORMAT §3): arithmetic from an anchor day, UTC.

The verifier knows every length that the format allows. What the operator's ledger can meter is
less: ``licence.check_for_operator`` says so, beside the verifier and not in it.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from licenseusage.reasons import Reason
from licenseusage.reports.refused import need
from licenseusage.reports.typs import DAY_SECONDS

_LAST_YEAR = 2200  # beyond every Time of the format, and safely within datetime's calendar
_LAST_ANCHOR_DAY = 28  # a day that every month has


@dataclass(frozen=True, slots=True)
class CycleTerms:
    """Anchor and length of a subscription's cycles; exactly one length is set.

    Attributes:
        anchor: The first cycle starts at 00:00:00Z of this day.
        length_days: 1-366 days of 86400 s each.
        length_months: 1-12 calendar months from an anchor day 1-28.
    """

    anchor: date
    length_days: int | None = None
    length_months: int | None = None

    def __post_init__(self) -> None:
        """Check that the terms define cycles.

        Raises:
            Refused: ``ClaimMissing`` without a length; ``ClaimInvalid`` with both, or for months
                from a day that some months lack.
        """
        lengths = (self.length_days, self.length_months)
        need(
            lengths != (None, None), Reason.CLAIM_MISSING, "cycle.lengthDays or cycle.lengthMonths"
        )
        need(None in lengths, Reason.CLAIM_INVALID, "cycle.lengthDays excludes cycle.lengthMonths")
        need(
            self.length_months is None or self.anchor.day <= _LAST_ANCHOR_DAY,
            Reason.CLAIM_INVALID,
            "cycle.anchorDate: months need a day from 1 to 28",
        )

    def bounds(self, index: int) -> tuple[int, int]:
        """Return start and end of cycle ``index`` (from 0), seconds since 1970 UTC, half-open.

        Raises:
            Refused: ``CycleMismatch``: the cycle lies beyond the year 2200.
        """
        return self._start(index), self._start(index + 1)

    def _start(self, index: int) -> int:
        anchor = datetime(self.anchor.year, self.anchor.month, self.anchor.day, tzinfo=UTC)
        if self.length_days is not None:
            return int(anchor.timestamp()) + index * self.length_days * DAY_SECONDS
        months = index * (self.length_months or 0)
        year, month = divmod(anchor.year * 12 + anchor.month - 1 + months, 12)
        need(year <= _LAST_YEAR, Reason.CYCLE_MISMATCH, "beyond the calendar")
        return int(anchor.replace(year=year, month=month + 1).timestamp())
