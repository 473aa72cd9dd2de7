"""What holds whatever was killed or lost: for `trials.soak` and `trials.kills`, and both alike.

A number against the truth, and a chain as it has arrived at the vendor.
"""

from collections.abc import Sequence
from typing import Protocol

from licenseusage.metering.bounds import Accuracy
from licenseusage.reports.chain import VerifiedChain, verify_chain
from licenseusage.reports.keys import InstallationKeys, VendorKeys
from licenseusage.reports.licence import LicenseTerms
from licenseusage.reports.receipt import Sent, verify_receipt

_WITH_NUMBER = (Accuracy.EXACT, Accuracy.BOUNDED, Accuracy.LOWER_BOUND, Accuracy.ESTIMATE)
_WITH_UPPER = (Accuracy.EXACT, Accuracy.BOUNDED, Accuracy.UPPER_BOUND)


def contradiction(accuracy: str, lower: int | None, upper: int | None, truth: int) -> str | None:
    """Say how a stated number contradicts the truth, or its own class; None: it does not.

    Args:
        accuracy: The class that was stated (MEASUREMENT §0).
        lower: Users active at least, or of an estimate some number; None: not stated.
        upper: Users active at most; None: not stated.
        truth: Users who were active.
    """
    holds = (
        (lower is None or lower <= truth or accuracy == Accuracy.ESTIMATE)
        and (upper is None or truth <= upper)
        and (accuracy != Accuracy.EXACT or lower == upper == truth)
        and (lower is not None) == (accuracy in _WITH_NUMBER)
        and (upper is not None) == (accuracy in _WITH_UPPER)
        and (lower != 0 or accuracy == Accuracy.EXACT)  # zero is stated only when proved
    )
    return None if holds else f"says {lower}..{upper} {accuracy}, the truth is {truth}"


class Held(Protocol):
    """A document in the vendor's store."""

    @property
    def token(self) -> str:
        """The document."""

    @property
    def receipt(self) -> str:
        """The vendor's answer to it."""


def verified_chain(
    reports: Sequence[Held],
    *,
    license_: LicenseTerms,
    keys: InstallationKeys,
    vendor_keys: VendorKeys,
    now_s: int,
) -> VerifiedChain:
    """Verify all reports of one chain that the vendor holds, each with its receipt.

    Raises:
        Refused: The chain is broken, or a receipt belongs to something else.
    """
    heads = [
        receipt.head
        for report in reports
        if (
            receipt := verify_receipt(report.receipt, vendor_keys, Sent.from_token(report.token))
        ).head
    ]
    return verify_chain(
        [report.token for report in reports],
        license_=license_,
        keys=keys,
        now_s=now_s,
        heads=[head for head in heads if head is not None],
    )
