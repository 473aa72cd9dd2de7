"""What an administrator of the trials reads in the conditions, and what not."""

import pytest

from trials.consent import begins_anew, proposed_head

HEAD = "sha256:" + "a" * 64
PROPOSED = f"To go on behind report 3, set spec.reporting.adoptHead to {HEAD}."
ANEW = "Only if there is none: delete the LicenseUsage and apply it again."


def status(message, reason="LedgerLost"):
    return {"conditions": [{"type": "Ready", "reason": reason, "message": message}]}


def test_a_head_is_named_once_the_vendor_has_said_what_he_holds():
    assert proposed_head(status(PROPOSED)) == HEAD
    assert proposed_head(status(f"the vendor's history is not known: away. {PROPOSED}")) is None
    assert proposed_head({}) is None


@pytest.mark.parametrize(
    ("message", "reason", "wanted"),
    [(ANEW, "LedgerLost", True), (ANEW, "Other", False), (PROPOSED, "LedgerLost", False)],
)
def test_an_object_is_applied_anew_only_where_its_ledger_is_lost(message, reason, wanted):
    assert begins_anew(status(message, reason)) is wanted
