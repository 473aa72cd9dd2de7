"""A ledger that is lost as a whole is given up only by whoever names the newest report."""

import pytest

from licenseusage.controller.rules.evidence import own_reports
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.lostledger import consented
from licenseusage.errors import Stalled
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.names import digest
from tests.delivery.people import INSTALLATION_KEY, VENDOR_KEYS, key, reports

TOKENS = reports(3)
OBJECT = Key("collab", "production")


def verdict(head, *, tokens=TOKENS, signing=INSTALLATION_KEY):
    """Reason and message why the object is not counted; None: it is."""
    live = {f"production-{at}": {"spec": {"token": token}} for at, token in enumerate(tokens)}
    known = own_reports(live, KeyRing(signing).public_keys(), VENDOR_KEYS)
    try:
        consented(OBJECT, head, known)
    except Stalled as stalled:
        return str(stalled.reason), stalled.message
    return None


def test_the_newest_report_is_the_consent():
    assert verdict(digest(TOKENS[2])) is None


def test_without_consent_nothing_is_counted_and_the_head_is_named():
    reason, message = verdict(None)
    assert reason == "LedgerLost"
    assert "licenseusage ledger restore" in message
    assert f"set spec.reporting.adoptHead to {digest(TOKENS[2])} (report 3" in message


def test_a_consent_that_was_given_for_an_earlier_loss_is_none_to_this_one():
    reason, message = verdict(digest(TOKENS[1]))
    assert reason == "AdoptHeadOutdated"
    assert digest(TOKENS[2]) in message


@pytest.mark.parametrize("head", ["sha256:" + "0" * 64, digest("another")])
def test_a_head_that_nobody_knows_is_no_consent(head):
    assert verdict(head)[0] == "AdoptHeadUnknown"


def test_a_report_that_another_key_has_signed_is_no_consent():
    reason, message = verdict(digest(TOKENS[2]), signing=key("another"))
    assert reason == "LedgerLost"
    assert "report import --reports" in message


def test_without_any_report_the_object_begins_anew_when_it_is_applied_anew():
    reason, message = verdict(None, tokens=())
    assert reason == "LedgerLost"
    assert "delete the LicenseUsage and apply it again" in message
