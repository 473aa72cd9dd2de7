"""Is the ledger the newest there was? Only what is signed, by us or by the vendor, can say no."""

import pytest

from licenseusage.controller.rules.evidence import contradictions, evidence, own_reports
from licenseusage.controller.steps.enrolling import enrol
from licenseusage.errors import Stalled
from licenseusage.ledger.documents.records import (
    FORKED,
    HISTORY_LOST,
    Delivery,
    DeliveryResult,
    ReportKind,
)
from licenseusage.ledger.ledger import Ledger
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.names import Link, digest, key_chain_id
from licenseusage.reports.receipt import Sent
from licenseusage.reports.tokens import decode
from tests.delivery.people import (
    INSTALLATION_KEY,
    NOW_MS,
    NOW_S,
    VENDOR_KEYS,
    VendorDesk,
    enrolment,
    key,
    licence,
    reports,
)
from tests.reports.test_keyring import succession

TOKENS = reports(6)
SENT = Sent.from_token(TOKENS[0])
CHAIN = SENT.chain_id
KEYS = key_chain_id(
    vendor=SENT.vendor, installation=SENT.installation, subscription=SENT.subscription
)
DIGESTS = {(CHAIN, number): digest(token) for number, token in enumerate(TOKENS, 1)}


def objects(*numbers, receipts=()):
    """UsageReports of these positions, with the receipts of some."""
    made = {
        f"shop-{number:06d}": {"spec": {"token": TOKENS[number - 1], "sequence": number}}
        for number in numbers
    }
    for number, receipt in dict(receipts).items():
        made[f"shop-{number:06d}"]["status"] = {"receipt": receipt}
    return made


def judged(live, held, *, signing=INSTALLATION_KEY, vendor_keys=VENDOR_KEYS):
    """The contradictions of objects with a ledger that holds some positions."""
    digests = {at: DIGESTS[CHAIN, at] for at in held} if not isinstance(held, dict) else held
    found = contradictions(
        evidence(own_reports(live, KeyRing(signing).public_keys(), vendor_keys)),
        lambda chain, at: digests.get(at) if chain == CHAIN else None,
    )
    return [(one.reason, one.seen) for one in found]


def receipt(number, head):
    return VendorDesk().receipt(TOKENS[number - 1], head=head and Link(head, DIGESTS[CHAIN, head]))


def test_a_ledger_that_holds_every_report_is_not_contradicted():
    assert judged(objects(1, 2, 3), range(1, 7)) == []
    assert judged({}, ()) == []


def test_a_later_report_says_that_the_history_is_lost():
    assert judged(objects(1, 2, 3, 4), (1, 2)) == [
        (HISTORY_LOST, "UsageReport shop-000004 is report 4")
    ]


def test_a_report_of_an_empty_ledger_too():
    ((reason, _),) = judged(objects(1), ())
    assert reason == HISTORY_LOST


def test_another_report_at_a_position_held_says_that_the_chain_forked():
    assert judged(objects(1, 2), {1: DIGESTS[CHAIN, 1], 2: "sha256:other"}) == [
        (FORKED, "UsageReport shop-000002 is report 2")
    ]


def test_a_receipt_that_names_a_later_head_is_as_good_as_the_report():
    live = objects(2, receipts={2: receipt(2, 5)})
    assert judged(live, (1, 2)) == [
        (HISTORY_LOST, "the receipt in UsageReport shop-000002 names report 5")
    ]
    assert judged(live, range(1, 6)) == []


def test_a_receipt_that_names_another_document_at_the_head_says_that_the_chain_forked():
    live = objects(3, receipts={3: receipt(3, 2)})
    held = {1: DIGESTS[CHAIN, 1], 2: "sha256:other", 3: DIGESTS[CHAIN, 3]}
    ((reason, _),) = judged(live, held)
    assert reason == FORKED


def test_a_receipt_without_a_head_proves_nothing_more():
    assert judged(objects(1, receipts={1: receipt(1, None)}), (1,)) == []


@pytest.mark.parametrize("forged", ["another key", "another document", "rubbish"])
def test_a_receipt_that_does_not_verify_proves_nothing(forged):
    token = {
        "another key": VendorDesk(key=key("mallory")).receipt(
            TOKENS[0], head=Link(5, DIGESTS[CHAIN, 5])
        ),
        "another document": receipt(2, 5),
        "rubbish": "a.b.c",
    }[forged]
    assert judged(objects(1, receipts={1: token}), (1,)) == []


def test_without_the_vendors_keys_receipts_prove_nothing():
    live = objects(1, receipts={1: receipt(1, 5)})
    assert judged(live, (1,), vendor_keys={}) == []


@pytest.mark.parametrize("spec", [{"token": "a.b.c"}, {"token": TOKENS[5][:-4] + "AAAA"}, {}])
def test_whoever_may_write_objects_cannot_stop_a_chain(spec):
    assert judged({"shop-000006": {"spec": spec}}, (1,)) == []


def test_a_report_of_another_installation_is_none_of_ours():
    assert judged(objects(4), (), signing=key("another")) == []


def test_a_stopped_chain_signs_and_sends_nothing_and_stays_stopped(tmp_path):
    with Ledger.open(f"sqlite:///{tmp_path}/l.db", now_ms=NOW_MS, ledger_id="x") as ledger:
        ledger.stop_chain(CHAIN, HISTORY_LOST, NOW_MS, key_chain_id=KEYS)
        ledger.stop_chain(CHAIN, FORKED, NOW_MS, key_chain_id=KEYS)
        assert ledger.chain(CHAIN).stopped == HISTORY_LOST
        assert ledger.chain(KEYS).stopped is None


class Beside:
    """What is kept beside the key."""

    def __init__(self, replaces=None):
        self.given_up = replaces

    async def replaces(self, _now_s):
        return self.given_up


class Direct:
    """A ledger without a thread."""

    def __init__(self, ledger):
        self.ledger = ledger

    async def do(self, work):
        return work(self.ledger)


@pytest.fixture
def books(tmp_path):
    with Ledger.open(f"sqlite:///{tmp_path}/l.db", now_ms=NOW_MS, ledger_id="x") as ledger:
        yield Direct(ledger)


async def enrolled(books, *tokens, replaces=None):
    ring = KeyRing(INSTALLATION_KEY, None, tokens)
    return await enrol(books, Beside(replaces), licence(), ring, NOW_MS, 0.0)


async def test_a_first_enrolment_is_made_and_stops_nothing(books):
    (made,) = await enrolled(books)
    assert made.kind is ReportKind.ENROLMENT
    assert books.ledger.chain(KEYS).stopped is None
    assert books.ledger.claim(NOW_MS).jti == made.jti


async def test_the_installation_given_up_is_named_by_the_administrator_only(books):
    former = key("other").installation
    (made,) = await enrolled(books, replaces=former)
    assert decode(made.token)[1]["replaces"] == former


@pytest.mark.parametrize("named", ["", "urn:other", INSTALLATION_KEY.installation])
async def test_what_is_no_other_installation_is_not_given_up(books, named):
    with pytest.raises(Stalled) as caught:
        await enrolled(books, replaces=named)
    assert caught.value.reason == "IdentityInvalid"
    assert books.ledger.claim(NOW_MS) is None


async def test_an_enrolment_kept_beside_the_key_is_taken_over_and_nothing_begins(books):
    (taken,) = await enrolled(books, enrolment())
    assert taken.token == enrolment(), "never signed twice"
    assert taken.state is Delivery.PENDING
    assert books.ledger.chain(KEYS).stopped == HISTORY_LOST
    assert await enrolled(books, enrolment()) == (taken,)


async def test_key_statements_are_sent_again_while_the_history_is_lost(books):
    """The vendor tells its history to the newest key only, and may not know that one yet."""
    tokens = enrolment(), succession(INSTALLATION_KEY, key("second"), 2, enrolment())
    first, second = await enrolled(books, *tokens)
    assert books.ledger.chain(KEYS).stopped == HISTORY_LOST
    sent = books.ledger.claim(NOW_MS)
    assert sent.jti == first.jti
    books.ledger.record_result(
        sent, DeliveryResult(Delivery.ACCEPTED, receipt="r", received_ms=NOW_MS), NOW_MS
    )
    assert books.ledger.claim(NOW_MS).jti == second.jti


async def test_a_succession_that_an_older_ledger_lacks_is_taken_over_as_it_was_signed(books):
    await enrolled(books)
    (made,) = books.ledger.key_statements(KEYS)
    with_succession = (made.token, succession(INSTALLATION_KEY, key("second"), 2, made.token))
    taken = await enrolled(books, *with_succession)
    assert tuple(item.token for item in taken) == with_succession
    assert books.ledger.chain(KEYS).stopped is None, "the reports decide whether anything was lost"


async def test_a_successor_without_the_statements_beside_it_does_not_enrol_anew(books):
    (made,) = await enrolled(books)
    following = succession(INSTALLATION_KEY, key("second"), 2, made.token)
    await enrolled(books, made.token, following)
    bare = KeyRing(key("second"))
    with pytest.raises(Stalled) as caught:
        await enrol(books, Beside(), licence(), bare, NOW_MS, 0.0)
    assert caught.value.reason == "IdentityInvalid"
    assert "without the statements" in caught.value.message


@pytest.mark.parametrize("kept", ["a.b.c", "rubbish", TOKENS[0]])
async def test_what_else_is_beside_the_key_stops_nothing(books, kept):
    (made,) = await enrolled(books, kept)
    assert Sent.from_token(made.token).installation == INSTALLATION_KEY.installation
    assert made.created_ms == 1000 * NOW_S
    assert books.ledger.chain(KEYS).stopped is None
