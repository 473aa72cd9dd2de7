"""Receipts without a network: what they do to a real ledger is what answers on line do, once."""

import random
from dataclasses import replace
from datetime import date

import pytest

from licenseusage.controller.rules.imported import Standing
from licenseusage.controller.rules.key import Key
from licenseusage.controller.steps.receipts import Desk
from licenseusage.delivery.outcome import Answer
from licenseusage.errors import Stalled
from licenseusage.ledger.documents.records import (
    Adoption,
    Delivery,
    Recovered,
    ReportChain,
    SetAside,
)
from licenseusage.ledger.records import MeterKey, Subscribed
from licenseusage.metering.cycles import Terms
from licenseusage.reasons import Reason
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.keys import VendorKey, VendorKeys
from licenseusage.reports.names import Link, digest
from licenseusage.reports.receipt import ReceiptVerdict, Sent
from licenseusage.reports.report import read_report
from licenseusage.reports.succession import build_succession
from licenseusage.reports.typs import RECEIPT, REPORT
from tests.delivery.people import (
    ANCHOR,
    INSTALLATION_KEY,
    VENDOR_KEYS,
    VendorDesk,
    enrolment,
    key,
    licence,
    reports,
)
from tests.delivery.test_sender import CHAIN, JOSE, KEYS, ROUTE, problem
from tests.delivery.test_with_ledger import TOKENS, World

OWNER = Key("collab", "production")
ACCEPTED, REJECTED, CONFLICT = ReceiptVerdict
AT_S = ANCHOR + 50 * 86_400


def link(number: int) -> Link:
    return Link(number, digest(TOKENS[number - 1]))


class Customer:
    """A customer with six reports in the ledger, and a vendor that signs receipts."""

    def __init__(self, world: World) -> None:
        self.world, self.ledger, self.meter = world, world.ledger, world.meter
        self.now_ms = 1000 * AT_S
        self.vendor = VendorDesk(now_s=AT_S - 86_400)
        terms, of = Terms(date(2026, 1, 1), length_days=30), licence()
        subscribed = Subscribed(of.contract, of.token)
        self.ledger.keep_terms(self.meter.id, terms, world.now, licensed=subscribed)
        self.desk = Desk(OWNER.namespace, VENDOR_KEYS, "the keys", KeyRing(INSTALLATION_KEY))

    def receipt(self, number, verdict=ACCEPTED, error=None, head=None, *, later_s=0) -> str:
        """Sign a receipt for a report; ``head`` is the vendor's, by default that report."""
        self.vendor.now_s += later_s
        at = link(number if head is None else head) if head != 0 else None
        return self.vendor.receipt(TOKENS[number - 1], verdict, error, head=at)

    def imports(self, *receipts, desk=None):
        return (desk or self.desk).take(self.ledger, receipts, self.now_ms)

    def takes(self, receipt, desk=None):
        (taken,) = self.imports(receipt, desk=desk).receipts
        return taken

    def documents(self):
        return [self.ledger.document(Sent.from_token(token).subject.jti) for token in TOKENS[:6]]

    def states(self) -> str:
        """The first letters of the states of the six reports."""
        return "".join(document.state.value[0] for document in self.documents())


@pytest.fixture
def customer(tmp_path):
    world = World(tmp_path / "ledger.db")
    yield Customer(world)
    world.ledger.close()


# -- what it does to the ledger


def test_an_accepted_report_is_accepted_with_its_receipt(customer):
    receipt = customer.receipt(1)
    imported = customer.imports(receipt)
    (taken,) = imported.receipts
    assert (taken.standing, taken.result, taken.reason) == (Standing.USED, "Accepted", None)
    document = customer.documents()[0]
    assert (document.state, document.receipt) == (Delivery.ACCEPTED, receipt)
    assert document.accepted_ms == 1000 * customer.vendor.now_s
    assert customer.states() == "APPPPP"


def test_a_head_acknowledges_every_report_up_to_it(customer):
    customer.imports(customer.receipt(5))
    assert customer.states() == "AAAAAP"
    chain = customer.ledger.chain(CHAIN)
    assert chain.acknowledged == link(5)
    assert chain.vendor_time_ms == 1000 * customer.vendor.now_s


def test_a_rejected_report_is_rejected_with_its_class_also_below_a_later_head(customer):
    rejected = customer.receipt(2, REJECTED, "CountsInconsistent", head=2)
    imported = customer.imports(rejected, customer.receipt(4))
    assert customer.states() == "ARAAPP"
    document = customer.documents()[1]
    assert (document.reason, document.refused) == (Reason.COUNTS_INCONSISTENT, True)
    first, _ = imported.receipts
    assert (first.standing, first.result) == (Standing.USED, "Rejected")
    assert first.reason == Reason.COUNTS_INCONSISTENT


def test_a_rejection_overrides_what_a_head_acknowledged_before(customer):
    customer.imports(customer.receipt(4))
    customer.imports(customer.receipt(2, REJECTED, "CountsInconsistent", head=4))
    assert customer.states() == "ARAAPP"


def test_a_conflict_stops_the_chain(customer):
    customer.imports(customer.receipt(1, CONFLICT, "ReportConflict", head=0))
    assert customer.states() == "CPPPPP"
    assert customer.ledger.chain(CHAIN).stopped == Reason.REPORT_CONFLICT


def test_a_head_that_the_ledger_does_not_hold_stops_the_chain(customer):
    ahead = Link(9, digest("another"))
    taken = customer.takes(customer.vendor.receipt(TOKENS[0], head=ahead))
    assert (taken.standing, taken.reason) == (Standing.USED, Reason.LOCAL_HISTORY_LOST)
    assert customer.ledger.chain(CHAIN).stopped == Reason.LOCAL_HISTORY_LOST


def test_a_head_with_another_digest_stops_the_chain(customer):
    other = Link(2, digest("another"))
    taken = customer.takes(customer.vendor.receipt(TOKENS[0], head=other))
    assert taken.reason == Reason.CHAIN_FORKED
    assert customer.documents()[0].state is Delivery.ACCEPTED, "the verdict stands by itself"


def test_the_enrolment_is_accepted_for_every_usage_of_the_subscription(customer):
    imported = customer.imports(customer.vendor.receipt(enrolment()))
    assert imported.receipts[0].standing is Standing.USED
    assert [*imported.attempts] == [OWNER]
    document = customer.ledger.document(Sent.from_token(enrolment()).subject.jti)
    assert document.state is Delivery.ACCEPTED


def test_the_usage_is_woken_with_what_changed_and_only_then(customer):
    receipt = customer.receipt(1)
    (attempt,) = customer.imports(receipt).attempts[OWNER]
    assert (attempt.settlement.receipt, attempt.host) == (receipt, "https://vendor.example")
    assert customer.imports(receipt).attempts == {}


@pytest.mark.parametrize("decision", [(ACCEPTED, None), (REJECTED, "CountsInconsistent")])
async def test_the_ledger_is_as_after_the_same_answers_on_line(customer, tmp_path, decision):
    online = World(tmp_path / "online.db")
    enrolled, decided = customer.vendor.receipt(enrolment()), customer.receipt(1, *decision)
    answers = {
        enrolment(): Answer(201, JOSE, enrolled.encode()),
        TOKENS[0]: problem(422, decision[1], decided)
        if decision[1]
        else Answer(201, JOSE, decided.encode()),
    }
    online.desk.answer = answers.get
    await online.sender.step(ROUTE)
    customer.imports(enrolled, decided)
    here = customer.documents()
    assert [_decided(item) for item in online.items()] == [_decided(item) for item in here]
    for chain in (CHAIN, KEYS):
        assert online.ledger.chain(chain) == customer.ledger.chain(chain)
    online.ledger.close()


def _decided(document):
    """All of a document but by whom, and how often, it was brought to the vendor."""
    return replace(document, attempts=0, message="")


# -- twice, late, in any order


def test_the_same_receipt_twice_changes_nothing(customer):
    receipts = [customer.receipt(number) for number in (1, 2, 3)]
    customer.imports(*receipts)
    before = customer.documents()
    again = customer.imports(*receipts)
    assert customer.documents() == before
    assert {taken.standing for taken in again.receipts} == {Standing.USED}


def test_receipts_of_one_bundle_may_come_in_any_order_and_in_several_objects(customer):
    receipts = [customer.receipt(number) for number in range(1, 7)]
    shuffled = random.Random(7)
    for _ in range(20):
        shuffled.shuffle(receipts)
        for receipt in receipts:
            customer.imports(receipt)
        assert customer.states() == "AAAAAA"


@pytest.mark.parametrize("seed", range(20))
def test_from_the_beginning_any_order_ends_with_all_accepted(tmp_path, seed):
    customer = Customer(World(tmp_path / "ledger.db"))
    receipts = [customer.receipt(number) for number in range(1, 7)]
    random.Random(seed).shuffle(receipts)
    for receipt in receipts:
        customer.imports(receipt)
    assert customer.states() == "AAAAAA"
    customer.ledger.close()


def test_a_vendor_that_lost_reports_is_given_them_again(customer):
    customer.imports(*[customer.receipt(number) for number in (1, 2, 3, 4, 5)])
    regressed = customer.receipt(6, head=2, later_s=60)
    ((attempt,),) = customer.imports(regressed).attempts.values()
    assert attempt.settlement.warning == Reason.VENDOR_HEAD_REGRESSED
    assert customer.states() == "AAPPPA"


def test_old_receipts_do_not_hide_that_the_vendor_lost_reports(customer):
    old = [customer.receipt(number) for number in (1, 2, 3, 4, 5)]
    customer.imports(*old)
    customer.imports(customer.receipt(6, head=2, later_s=60))
    customer.imports(*old)  # the object is read again after a restart
    assert customer.states() == "AAPPPA"


def test_after_it_was_given_them_again_new_receipts_count(customer):
    customer.imports(*[customer.receipt(number) for number in (1, 2, 3, 4, 5)])
    customer.imports(customer.receipt(6, head=2, later_s=60))
    again = [customer.receipt(3, head=3, later_s=60), customer.receipt(4), customer.receipt(5)]
    customer.imports(*again[:1])
    customer.imports(*again[1:], customer.receipt(6, head=6))
    assert customer.states() == "AAAAAA"


def test_an_older_lower_head_takes_nothing_back(customer):
    older = customer.receipt(2)
    customer.imports(customer.receipt(5, later_s=60))
    customer.imports(older)
    assert customer.states() == "AAAAAP"


def test_a_report_beyond_a_gap_stays_accepted(customer):
    customer.imports(customer.receipt(1))
    beyond = [customer.receipt(number, head=1, later_s=1) for number in (5, 6)]
    customer.imports(*beyond)
    customer.imports(*reversed(beyond))
    assert customer.states() == "APPPAA"


def test_a_report_in_flight_is_accepted(customer):
    customer.imports(customer.vendor.receipt(enrolment()))
    claimed = customer.ledger.claim(customer.now_ms, chain_id=CHAIN)
    assert claimed is not None
    customer.imports(customer.receipt(claimed.sequence))
    assert customer.documents()[0].state is Delivery.ACCEPTED


def test_it_counts_after_the_usage_was_deleted(customer):
    customer.ledger.meter_deleted(customer.meter.id, customer.now_ms)
    imported = customer.imports(customer.receipt(1))
    assert customer.states() == "APPPPP"
    assert [*imported.attempts] == [OWNER]


async def test_what_was_imported_is_not_sent_on_line(customer):
    customer.imports(customer.vendor.receipt(enrolment()), customer.receipt(3))
    await customer.world.sender.step(ROUTE)
    assert customer.world.desk.seen == [(REPORT, 4)]


async def test_what_was_answered_on_line_is_known_when_it_is_imported(customer):
    await customer.world.drain()
    before = customer.documents()
    imported = customer.imports(*(document.receipt for document in before))
    assert customer.documents() == before
    assert imported.attempts == {}


# -- what contradicts


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((ACCEPTED, None), (REJECTED, "CountsInconsistent")),
        ((REJECTED, "CountsInconsistent"), (ACCEPTED, None)),
        ((ACCEPTED, None), (CONFLICT, "ReportConflict")),
    ],
)
def test_the_first_of_two_decisions_stands_and_the_second_says_so(customer, first, second):
    customer.imports(customer.receipt(1, *first))
    before = customer.documents()
    taken = customer.takes(customer.receipt(1, *second, later_s=60))
    assert customer.documents() == before
    assert (taken.standing, taken.reason) == (Standing.CONTRADICTED, Reason.RECEIPT_CONTRADICTED)
    assert taken.result == second[0].value
    assert taken.needs_a_person
    assert f"{first[0].value} stands" in taken.message


# -- what is not used


def test_a_receipt_of_another_namespace_is_refused_and_that_one_is_not_named(customer):
    customer.ledger.ensure_meter(MeterKey("else", "shop", "acme"), customer.now_ms)
    taken = customer.takes(customer.receipt(1), desk=replace(customer.desk, namespace="else"))
    assert (taken.standing, taken.result) == (Standing.INVALID, "Invalid")
    assert taken.reason == Reason.OTHER_NAMESPACE
    assert OWNER.namespace not in taken.message
    assert customer.states() == "PPPPPP"


def test_an_enrolment_of_a_subscription_without_a_usage_here_is_refused(customer):
    customer.ledger.ensure_meter(MeterKey("else", "shop", "acme"), customer.now_ms)
    receipt = customer.vendor.receipt(enrolment())
    taken = customer.takes(receipt, desk=replace(customer.desk, namespace="else"))
    assert taken.reason == Reason.OTHER_NAMESPACE


def test_a_receipt_of_a_report_that_the_ledger_never_held_proves_a_lost_history(customer):
    """The vendor has only what was in our ledger before: nothing is signed at that position."""
    imported = customer.imports(customer.vendor.receipt(TOKENS[6]))
    (taken,) = imported.receipts
    assert (taken.standing, taken.result) == (Standing.WAITING, "Waiting")
    assert taken.reason == Reason.LOCAL_HISTORY_LOST
    assert "LicenseUsage production" in taken.message
    assert imported.lost == {OWNER}, "it is woken"
    state = customer.ledger.chain(CHAIN)
    assert (state.stopped, state.lost) == (Reason.LOCAL_HISTORY_LOST, (link(7),))
    assert customer.ledger.claim(customer.now_ms, chain_id=CHAIN) is None


def test_it_is_used_once_the_report_was_brought_back(customer):
    receipt = customer.vendor.receipt(TOKENS[6])
    taken = customer.takes(receipt)
    chain = ReportChain(CHAIN, KEYS)
    back = [Recovered(read_report(TOKENS[6]))]
    customer.ledger.take_over(
        customer.meter.id, chain, back, customer.now_ms, interim_ms=86_400_000
    )
    assert customer.takes(receipt).standing is Standing.USED
    assert customer.ledger.document(taken.subject).state is Delivery.ACCEPTED
    assert customer.ledger.chain(CHAIN).stopped is None


def test_a_receipt_of_another_namespaces_chain_proves_nothing_here(customer):
    """Whoever may write into one namespace must not be able to stop what is reported of another."""
    desk = replace(customer.desk, namespace="elsewhere")
    taken = customer.takes(customer.vendor.receipt(TOKENS[6]), desk=desk)
    assert (taken.standing, taken.reason) == (Standing.WAITING, Reason.DOCUMENT_UNKNOWN)
    assert customer.ledger.chain(CHAIN).stopped is None


def test_a_receipt_of_a_report_that_was_set_aside_proves_nothing(customer):
    documents = tuple(Recovered(read_report(token)) for token in TOKENS[:6])
    aside = SetAside(link(7), TOKENS[6])
    customer.ledger.adopt(
        customer.meter.id,
        ReportChain(CHAIN, KEYS),
        Adoption(documents, others=(aside,)),
        customer.now_ms,
        interim_ms=86_400_000,
    )
    taken = customer.takes(customer.vendor.receipt(TOKENS[6]))
    assert taken.standing is Standing.USED
    assert "set aside" in taken.message
    assert customer.ledger.chain(CHAIN).stopped is None


def test_a_receipt_for_another_cluster_is_refused_and_names_both(customer):
    other = key("another installation")
    desk = replace(customer.desk, ring=KeyRing(other))
    taken = customer.takes(customer.vendor.receipt(TOKENS[6]), desk=desk)
    assert (taken.result, taken.reason) == ("Invalid", Reason.AUDIENCE_MISMATCH)
    assert other.installation in taken.message
    assert customer.ledger.chain(CHAIN).stopped is None
    assert INSTALLATION_KEY.installation in taken.message


def test_a_receipt_of_an_unknown_key_waits_for_the_key(customer):
    known = customer.desk
    stranger = VendorKeys([VendorKey(key("other").public, frozenset({RECEIPT}))])
    receipt = customer.receipt(1)
    taken = customer.takes(receipt, desk=replace(known, vendor_keys=stranger))
    assert (taken.standing, taken.result) == (Standing.UNVERIFIABLE, "Waiting")
    assert (taken.reason, taken.needs_a_person) == (Reason.KEY_UNKNOWN, True)
    assert known.keys_from in taken.message
    assert customer.states() == "PPPPPP"
    assert customer.takes(receipt).standing is Standing.USED


def test_without_the_vendors_keys_what_was_verified_before_stays_and_the_rest_waits(customer):
    first = customer.receipt(1)
    customer.imports(first)
    absent = Stalled(Reason.VENDOR_KEYS_NOT_FOUND, "They are not there.")
    desk = replace(customer.desk, vendor_keys=absent)
    used, waits = customer.imports(first, customer.receipt(2), desk=desk).receipts
    assert used.standing is Standing.USED
    assert (waits.standing, waits.result) == (Standing.UNVERIFIABLE, "Waiting")
    assert (waits.reason, waits.needs_a_person) == (Reason.VENDOR_KEYS_NOT_FOUND, True)


def test_a_receipt_that_was_changed_is_invalid(customer):
    head, payload, _ = customer.receipt(1).split(".")
    signature = customer.receipt(2).split(".")[2]
    taken = customer.takes(f"{head}.{payload}.{signature}")
    assert (taken.result, taken.reason) == ("Invalid", Reason.SIGNATURE_INVALID)
    assert customer.states() == "PPPPPP"


@pytest.mark.parametrize("token", ["a.b.cccc", "garbage", reports(1)[0]])
def test_what_is_no_receipt_is_invalid_and_disturbs_no_other(customer, token):
    bad, good = customer.imports(token, customer.receipt(1)).receipts
    assert bad.result == "Invalid"
    assert bad.message.endswith(".")
    assert good.standing is Standing.USED


def test_a_receipt_of_another_document_at_this_position_is_invalid(customer):
    other = reports(1, license_id="lic-2")[0]
    taken = customer.takes(customer.vendor.receipt(other))
    assert (taken.result, taken.reason) == ("Invalid", Reason.RECEIPT_MISMATCH)


def test_a_receipt_for_a_key_that_is_not_here_says_that_the_secret_is_old(customer):
    (enrolled,) = customer.ledger.key_statements(KEYS)
    sent = Sent.from_token(enrolled.token)
    succession = build_succession(
        vendor=sent.vendor,
        subscription=sent.subscription,
        installation=sent.installation,
        signer=INSTALLATION_KEY,
        new=key("newer").public,
        reason="Scheduled",
        sequence=2,
        previous=enrolled.digest,
        issued_at_s=ANCHOR,
    )
    taken = customer.takes(customer.vendor.receipt(succession))
    assert (taken.standing, taken.reason) == (Standing.WAITING, Reason.DOCUMENT_UNKNOWN)
    assert "Restore the newest backup of the identity's Secret" in taken.message
    assert taken.needs_a_person
