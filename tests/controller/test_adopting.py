"""A chain goes on behind the head that an administrator names: if it is whole, newest, and ours."""

import pytest

from licenseusage.controller.rules.adopting import adopted, histories, proposed
from licenseusage.controller.rules.evidence import contradictions, evidence, own_reports
from licenseusage.errors import UsageError
from licenseusage.ledger.documents.records import FORKED, ChainState, Delivery
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.names import Link, digest
from licenseusage.reports.receipt import ReceiptVerdict, read_receipt
from licenseusage.reports.report import read_report
from tests.controller.test_rebuilding import item as row
from tests.delivery.people import (
    INSTALLATION_KEY,
    NOW_S,
    VENDOR_KEYS,
    VendorDesk,
    key,
    licence,
    reports,
)

HERS = reports(6)
"""What the vendor holds of the chain."""
OURS = reports(5, "lic-2", after=HERS[:3])
"""What a restored ledger has signed instead, from position 4 on."""
CHAIN = read_report(HERS[0]).envelope.chain_id
KEYS = KeyRing(INSTALLATION_KEY).public_keys()


def link(token):
    return read_report(token).envelope.link


def item(token, **changes):
    at = link(token)
    return row(at.sequence, token=token, digest=at.digest, **changes)


def receipt(token, head="subject", at_s=NOW_S, **changes):
    head = link(head) if isinstance(head, str) and head != "subject" else head
    desk = VendorDesk(now_s=at_s)
    return read_receipt(desk.receipt(token, head=head, **changes), VENDOR_KEYS)


def known(*, held=OURS, found=HERS, receipts=(), signing=INSTALLATION_KEY, **state):
    """Everything that is known of the chain: rows, UsageReports, receipts."""
    keys = KeyRing(signing).public_keys()
    live = {f"shop-{number}": {"spec": {"token": token}} for number, token in enumerate(found)}
    rows = [each if not isinstance(each, str) else item(each) for each in held]
    chain = ChainState(**{"id": CHAIN, "stopped": FORKED, **state})
    of_chain = own_reports(live, keys, VENDOR_KEYS).values()
    return histories(chain, rows, of_chain, receipts, license_=licence(), keys=keys)


def outcome(everything, token, *, now_s=NOW_S):
    """Positions and digests of the history behind which the chain would go on; or the reason."""
    at = token if token.startswith("sha256:") else digest(token)
    try:
        adoption = adopted(everything, at, license_=licence(), keys=KEYS, now_s=now_s)
    except UsageError as error:
        return str(error.reason)
    return [each.report.envelope.token for each in adoption.documents]


def suggestion(everything):
    return proposed(everything, license_=licence(), keys=KEYS, now_s=NOW_S)


def test_the_chain_goes_on_behind_the_vendors_head():
    assert outcome(known(receipts=[receipt(HERS[5])]), HERS[5]) == HERS


def test_without_any_word_of_the_vendor_either_branch_can_be_named():
    assert outcome(known(), HERS[5]) == HERS
    assert outcome(known(), OURS[4]) == OURS


def test_what_the_vendors_receipt_contradicts_is_not_followed():
    everything = known(receipts=[receipt(HERS[4])])
    assert outcome(everything, OURS[4]) == "AdoptHeadOutdated"
    assert outcome(everything, HERS[5]) == HERS


def test_the_vendors_newest_receipt_decides_where_it_lost_reports_itself():
    """It was restored from a backup, and its old receipt names what nobody has any more."""
    old, new = receipt(HERS[2], head=HERS[5], at_s=NOW_S - 60), receipt(HERS[1], head=HERS[2])
    everything = known(held=HERS[:3], found=(), receipts=[old, new])
    assert outcome(everything, HERS[2]) == HERS[:3]
    assert outcome(known(held=HERS[:3], found=(), receipts=[old]), HERS[2]) == "AdoptHeadOutdated"


def test_an_acknowledgement_in_the_ledger_counts_as_its_receipt():
    everything = known(acknowledged=link(OURS[3]), vendor_time_ms=1000 * NOW_S)
    assert outcome(everything, HERS[5]) == "AdoptHeadOutdated"
    assert outcome(everything, OURS[4]) == OURS


@pytest.mark.parametrize("older", [HERS[0], HERS[3], HERS[4], OURS[3]])
def test_an_older_head_is_not_followed(older):
    assert outcome(known(), older) == "AdoptHeadOutdated"


def test_a_report_that_the_vendor_refused_to_take_follows_nothing():
    """Only it keeps the chain from going on behind the report before."""
    held = [*HERS[:3], item(OURS[3], state=Delivery.CONFLICT)]
    assert outcome(known(held=held, found=()), HERS[2]) == HERS[:3]
    assert outcome(known(held=held, found=()), OURS[3]) == "AdoptHeadOutdated"


def test_a_conflict_that_only_a_receipt_tells_counts_likewise():
    verdict = receipt(OURS[3], head=HERS[2], verdict=ReceiptVerdict.CONFLICT, error="ChainForked")
    everything = known(held=[*HERS[:3], OURS[3]], found=(), receipts=[verdict])
    assert outcome(everything, HERS[2]) == HERS[:3]
    assert outcome(everything, OURS[3]) == "AdoptHeadOutdated"


def test_an_unknown_head_is_not_followed():
    assert outcome(known(), "sha256:" + "0" * 64) == "AdoptHeadUnknown"


def test_a_report_of_another_key_is_unknown():
    assert outcome(known(held=(), signing=key("another")), HERS[5]) == "AdoptHeadUnknown"


def test_a_hole_before_the_head_is_named():
    everything = known(held=HERS[:2], found=HERS[4:])
    with pytest.raises(UsageError, match="report 4 before it") as caught:
        adopted(everything, digest(HERS[5]), license_=licence(), keys=KEYS, now_s=NOW_S)
    assert caught.value.reason == "ChainGap"


def test_behind_the_hole_what_was_lost_can_be_given_up():
    """Interims that the vendor never had and that are nowhere: the newest ones hang in the air."""
    everything = known(held=HERS[:2], found=HERS[4:], receipts=[receipt(HERS[1])])
    adoption = adopted(everything, digest(HERS[1]), license_=licence(), keys=KEYS, now_s=NOW_S)
    assert adoption.head == link(HERS[1])
    assert {each.token for each in adoption.others} == set(HERS[4:]), "they are kept"


def test_a_head_is_used_once():
    assert outcome(known(adopted=(link(HERS[5]),)), HERS[5]) == "AdoptHeadUsed"


def test_a_clock_behind_the_reports_lets_nothing_go_on():
    assert outcome(known(), HERS[5], now_s=NOW_S - 40 * 86400) == "IssuedInFuture"


def test_what_is_known_to_exist_and_is_not_in_the_history_is_kept():
    lost = Link(9, "sha256:" + "9" * 64)
    adoption = adopted(
        known(lost=(lost,)), digest(HERS[5]), license_=licence(), keys=KEYS, now_s=NOW_S
    )
    assert [each.link for each in adoption.others] == [lost], "ours are in the ledger"
    assert adoption.others[0].token is None


def test_the_head_that_could_be_named_is_proposed():
    assert suggestion(known(receipts=[receipt(HERS[4])])) == link(HERS[5])
    assert suggestion(known(receipts=[receipt(OURS[4])])) == link(OURS[4])
    assert suggestion(known(held=HERS[:2], found=(), receipts=[receipt(HERS[1], HERS[5])])) is None


def test_what_was_set_aside_by_consent_contradicts_nothing_any_more():
    live = {"shop-4": {"spec": {"token": OURS[3]}}}
    documents = evidence(own_reports(live, KEYS, VENDOR_KEYS))

    def held(_chain, at):
        return digest(HERS[at - 1])

    assert [each.reason for each in contradictions(documents, held)] == [FORKED]
    assert contradictions(documents, held, lambda _chain: {digest(OURS[3])}) == []
