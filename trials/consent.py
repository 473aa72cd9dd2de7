"""What a careful administrator reads in the conditions of a LicenseUsage whose chain is stopped."""

import re
from collections.abc import Mapping
from typing import Any

from licenseusage.reasons import Reason

_PROPOSED = re.compile(r"set spec\.reporting\.adoptHead to (sha256:[0-9a-f]{64})")
_VENDOR_UNKNOWN = "the vendor's history is not known"
_ANEW = "delete the LicenseUsage and apply it again"


def proposed_head(status: Mapping[str, Any]) -> str | None:
    """Return the head that the conditions propose to an administrator; None: there is none.

    As long as the vendor has not said what he holds, a careful person waits.
    """
    for message in _messages(status):
        match = _PROPOSED.search(message)
        if match is not None and _VENDOR_UNKNOWN not in message:
            return match[1]
    return None


def begins_anew(status: Mapping[str, Any]) -> bool:
    """Whether nothing is left of an object but itself, and its condition says what to do then."""
    return any(_ANEW in message for message in _messages(status, Reason.LEDGER_LOST))


def _messages(status: Mapping[str, Any], reason: Reason | None = None) -> list[str]:
    return [
        str(condition["message"])
        for condition in status.get("conditions", ())
        if reason in {None, condition["reason"]}
    ]
