"""Whether interims are made: the customer may leave them out where the licence says so (§3, §10).

Where the licence requires them, the wish is refused: they are made, and ``Reported`` says why.
Finals and amendments are never left out. The vendor of an optional interim misses none: his
deadline runs from the end of a cycle (`reports.overdue`).
"""

from licenseusage.controller.rules.conditions import Status, Verdict
from licenseusage.reasons import Reason
from licenseusage.reports.licence import LicenseTerms

OPTIONAL = "Optional"


def interims_made(terms: LicenseTerms, *, wanted: bool) -> bool:
    """Whether interims are made under a licence."""
    return wanted or terms.interim != OPTIONAL


def refused(terms: LicenseTerms, *, wanted: bool) -> Verdict | None:
    """Return the condition ``Reported`` if the licence refuses the wish; None: it does not."""
    if wanted or terms.interim == OPTIONAL:
        return None
    return Verdict(
        Status.FALSE,
        Reason.INTERIMS_REQUIRED,
        f"spec.reporting.interims is Withheld, and licence {terms.license_id} requires interim "
        f"reports every {terms.interval_hours} h: they are made. Set it to Sent, or ask the vendor "
        f"for a licence with optional interims. Reports that must not leave unseen are held by "
        f"spec.reporting.approval: Manual.",
    )
