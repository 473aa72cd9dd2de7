"""Adding a licence to the register, and its effect on earlier reports that named it."""

from licenseusage.reasons import Reason
from licenseusage.receiver.inforce import LICENSE_UNKNOWN
from licenseusage.receiver.store import Writing
from licenseusage.reports.licence import License
from licenseusage.reports.report import read_report


def register(writing: Writing, license_: License, *, now_s: int) -> bool:
    """Keep a licence that was verified; return whether it is new.

    Reports that named it while it was unknown are judged by it now. Their verdicts are signed and
    stay; the finding ends, or becomes ``LicenseMismatch`` if they are of another product.
    """
    new = writing.keep_license(license_, now_s * 1000)
    if not new:
        return False
    for document in writing.holding(LICENSE_UNKNOWN, license_.subscription):
        content = read_report(document.token).content
        if content.license_id != license_.license_id:
            continue
        findings = set(document.findings) - {LICENSE_UNKNOWN}
        if content.product != license_.product:
            findings.add(Reason.LICENSE_MISMATCH)
        writing.set_findings(document.digest, findings, stands=writing.stands(document.digest))
    return True
