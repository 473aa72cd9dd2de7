"""A chain is rebuilt from what the cluster holds only if that is all of it, by every rule."""

import pytest

from licenseusage.controller.rules.evidence import own_reports
from licenseusage.controller.rules.rebuilding import by_chain, rebuilt
from licenseusage.ledger.documents.records import (
    FORKED,
    HISTORY_LOST,
    ChainState,
    Delivery,
    OutboxItem,
    ReportKind,
)
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.names import Link, digest
from licenseusage.reports.receipt import ReceiptVerdict
from licenseusage.reports.refused import Refused
from licenseusage.reports.report import read_report
from tests.delivery.people import (
    INSTALLATION_KEY,
    NOW_S,
    VENDOR_KEYS,
    VendorDesk,
    key,
    licence,
    reports,
)

TOKENS = reports(6)
CHAIN = read_report(TOKENS[0]).envelope.chain_id


def link(number):
    return Link(number, digest(TOKENS[number - 1]))


def live(*numbers, receipts=()):
    """UsageReports of these positions, with the receipts of some."""
    made = {f"shop-{number}": {"spec": {"token": TOKENS[number - 1]}} for number in numbers}
    for number, token in dict(receipts).items():
        made[f"shop-{number}"]["status"] = {"receipt": token}
    return made


def receipt(number, head="subject", **changes):
    head = link(head) if isinstance(head, int) else head
    return VendorDesk().receipt(TOKENS[number - 1], head=head, **changes)


def item(number, **changes):
    """A row of the ledger."""
    token = TOKENS[number - 1]
    return OutboxItem(
        **{
            "jti": f"{CHAIN}-{number:010d}",
            "kind": ReportKind.INTERIM,
            "chain_id": CHAIN,
            "key_chain_id": None,
            "sequence": number,
            "digest": digest(token),
            "token": token,
            "meter_id": 1,
            "cycle": None,
            "active_text": "",
            "created_ms": 0,
            "state": Delivery.PENDING,
            **changes,
        }
    )


def outcome(objects, ours=(), *, lost=(), now_s=NOW_S, license_=None, **state):
    """Positions that are taken over."""
    keys = KeyRing(INSTALLATION_KEY).public_keys()
    found = own_reports(objects, keys, VENDOR_KEYS).values()
    chain = ChainState(**{"id": CHAIN, "stopped": HISTORY_LOST, "lost": lost, **state})
    documents = rebuilt(chain, ours, found, license_=license_ or licence(), keys=keys, now_s=now_s)
    return [document.report.envelope.sequence for document in documents]


def refused(*args, **kwargs):
    with pytest.raises(Refused) as caught:
        outcome(*args, **kwargs)
    return caught.value.reason


def test_what_the_ledger_lacks_is_taken_over():
    assert outcome(live(1, 2, 3, 4), [item(1), item(2)]) == [3, 4]


def test_what_the_cluster_lacks_the_ledger_may_hold():
    assert outcome(live(3, 4), [item(1), item(2)]) == [3, 4]


def test_a_ledger_that_has_nothing_needs_all_of_it():
    assert outcome(live(1, 2, 3)) == [1, 2, 3]
    assert refused(live(2, 3)) == "ChainGap"


def test_a_verdict_that_the_ledger_lacks_comes_over_with_the_rest():
    objects = live(2, 3, receipts={2: receipt(2)})
    assert outcome(objects, [item(1), item(2)]) == [2, 3]


def test_a_hole_in_the_middle():
    assert refused(live(1, 2, 4), [item(1)]) == "ChainGap"


@pytest.mark.parametrize(
    "known",
    [
        {"lost": (link(5),)},
        {"acknowledged": link(5)},
        {"ours": [item(1, receipt=receipt(1, head=5))]},
    ],
    ids=["the former ledger went on", "acknowledged", "a receipt in the ledger"],
)
def test_more_is_known_to_exist(known):
    given = {"ours": [item(1)], **known}
    assert refused(live(1, 2, 3), **given) == "ChainTruncated"
    assert outcome(live(2, 3, 4, 5), **given) == [2, 3, 4, 5]


def test_a_receipt_in_the_cluster_that_names_a_later_report():
    assert refused(live(2, 3, receipts={3: receipt(3, head=5)}), [item(1)]) == "ChainTruncated"


def test_another_document_is_known_at_a_position():
    assert refused(live(2, 3), [item(1)], lost=(Link(3, "sha256:" + "0" * 64),)) == "ChainForked"


def test_another_document_is_held_at_a_position():
    other = reports(3, "lic-2")[1]
    ours = [item(1), item(2, token=other, digest=digest(other))]
    assert refused(live(2, 3), ours) == "ReportConflict"


def test_a_fork_is_decided_by_a_person():
    assert refused(live(2), [item(1)], stopped=FORKED) == "ChainForked"


def test_a_conflict_is_decided_by_a_person():
    verdict = receipt(2, verdict=ReceiptVerdict.CONFLICT, error="ReportConflict", head=None)
    assert refused(live(2, receipts={2: verdict}), [item(1)]) == "ReportConflict"
    assert refused(live(2), [item(1, state=Delivery.CONFLICT)]) == "ReportConflict"


def test_if_nothing_is_known_of_what_was_lost_nothing_is_completed():
    assert refused(live(1), [item(1)]) == "ChainTruncated"


def test_a_report_of_another_key_is_none_of_ours():
    keys = KeyRing(key("another")).public_keys()
    assert own_reports(live(1), keys, VENDOR_KEYS) == {}


def test_a_clock_that_is_behind_the_reports_waits():
    assert refused(live(1, 2), now_s=NOW_S - 40 * 86400) == "IssuedInFuture"


def test_a_verdict_that_the_ledger_has_stays():
    objects = live(2, 3, receipts={2: receipt(2)})
    assert outcome(objects, [item(1), item(2, receipt=receipt(2))]) == [3]


def test_what_the_vendor_has_refused_is_a_link_and_is_not_judged_again():
    behind = {"now_s": NOW_S - 40 * 86400}
    rejected = {"verdict": ReceiptVerdict.REJECTED, "error": "IssuedInFuture"}
    refusals = {number: receipt(number, **rejected) for number in (1, 2)}
    assert outcome(live(1, 2, receipts=refusals), **behind) == [1, 2]
    accepted = {number: receipt(number) for number in (1, 2)}
    assert refused(live(1, 2, receipts=accepted), **behind) == "IssuedInFuture"


def test_what_was_lost_and_is_held_again_is_missed_no_more():
    assert outcome(live(3), [item(1), item(2), item(3)], lost=(link(3),)) == []


def test_a_receipt_without_a_head_names_no_report():
    assert outcome(live(2, 3, receipts={3: receipt(3, head=None)}), [item(1)]) == [2, 3]


def test_each_chain_has_its_own_reports():
    keys = KeyRing(INSTALLATION_KEY).public_keys()
    known = own_reports(live(1, 2), keys, VENDOR_KEYS)
    assert by_chain(known.values()) == {CHAIN: [known["shop-1"], known["shop-2"]]}
