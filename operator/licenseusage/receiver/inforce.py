"""Which licence a report, a cycle or a silence is judged by: pure decisions over the register.

A licence is renewed under the same subscription, with another id. A report names the one it was
made under (`licenseId`); that one judges it, whichever the installation enrolled with.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from licenseusage.reasons import Reason
from licenseusage.reports.licence import LicenseTerms
from licenseusage.reports.overdue import overdue_at_s
from licenseusage.reports.typs import THUMBPRINT_URI

LICENSE_UNKNOWN = Reason.LICENSE_UNKNOWN
"""Finding: a report names a licence that has not arrived. It ends when the licence does."""


@dataclass(frozen=True, slots=True)
class Register:
    """The known licences of one installation.

    Attributes:
        installation: Its id: a licence may be bound to another installation's key.
        enrolled: The licence inside its enrolment.
        known: All that have arrived for its subscription, in the order of their issue.
    """

    installation: str
    enrolled: LicenseTerms
    known: Sequence[LicenseTerms]

    def named(self, license_id: str) -> LicenseTerms | None:
        """Return the licence that a report names; None: it is unknown here."""
        return next(
            (license_ for license_ in self._ours() if license_.license_id == license_id), None
        )

    def newest(self, now_s: int) -> LicenseTerms:
        """Return the newest licence among those that have begun by now."""
        begun = [license_ for license_ in self._ours() if license_.not_before_s <= now_s]
        return begun[-1] if begun else self.enrolled

    def silence_ends_s(
        self,
        reported_under: str | None,
        *,
        enrolled_s: int,
        last_received_s: int | None,
        last_final: int | None,
    ) -> int | None:
        """Return from when on silence is the finding ``ReportOverdue``; None: that is not known.

        Whether a licence that was issued since is at work already only the sender knows: of all
        that may be, the most patient one decides.

        Args:
            reported_under: Licence that the newest report names; None: there is no report yet.
            enrolled_s: See ``overdue.overdue_at_s``, like the next two.
            last_received_s: See there.
            last_final: See there.
        """
        under = self.enrolled if reported_under is None else self.named(reported_under)
        if under is None:
            return None
        since = [license_ for license_ in self._ours() if license_.issued_at_s > under.issued_at_s]
        return max(
            overdue_at_s(
                terms, enrolled_s=enrolled_s, last_received_s=last_received_s, last_final=last_final
            )
            for terms in (under, *since)
        )

    def _ours(self) -> list[LicenseTerms]:
        return [
            license_
            for license_ in self.known
            if license_.first_key is None
            or THUMBPRINT_URI + license_.first_key == self.installation
        ]
