"""What a named head comes to on a real ledger, where nothing lets the chain go on."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import httpx
import pytest

from licenseusage.controller.effects.histories import Question, VendorHistories
from licenseusage.controller.rules.evidence import own_reports
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.recovering import Recovering
from licenseusage.controller.rules.rotation import succession_to
from licenseusage.controller.steps.history import look
from licenseusage.controller.steps.recovery import Outside, ReportedChain, _Work, recover
from licenseusage.delivery.history import History
from licenseusage.delivery.outcome import NoAnswer
from licenseusage.delivery.vendor import VendorClient
from licenseusage.errors import Failure, Waiting
from licenseusage.ledger.documents.records import FORKED, HISTORY_LOST, ChainState, ReportChain
from licenseusage.ledger.ledger import Ledger
from licenseusage.reasons import Reason
from licenseusage.receiver.access import PagesAccess
from licenseusage.receiver.app import create_app
from licenseusage.receiver.store import ReceiverDatabase
from licenseusage.reports.bundle import Parties
from licenseusage.reports.enrolment import build_enrolment
from licenseusage.reports.keyring import KeyRing, KeyStatement
from licenseusage.reports.names import Link, digest
from licenseusage.reports.receipt import Sent
from licenseusage.reports.typs import ENROLMENT, SUCCESSION
from tests.delivery.people import (
    INSTALLATION_KEY,
    NOW_MS,
    RECEIPT_KEY,
    VENDOR_KEYS,
    key,
    licence,
    reports,
)
from tests.delivery.test_sender import CHAIN, KEYS
from tests.delivery.test_with_ledger import TOKENS, World

RING = KeyRing(INSTALLATION_KEY).public_keys()


@pytest.fixture
def stopped(tmp_path):
    """A ledger with six reports whose chain is stopped."""
    world = World(tmp_path / "ledger.db")
    world.ledger.stop_chain(CHAIN, FORKED, world.now)
    yield world
    world.ledger.close()


async def named(world, head, *, live=(), foreign=None):
    """What an object says whose chain cannot go on behind a head."""

    async def do(work):
        return work(world.ledger)

    known = SimpleNamespace(facts=SimpleNamespace(meter=world.meter), do=do)
    objects = {f"production-{at}": {"spec": {"token": token}} for at, token in enumerate(live)}
    outside = Outside(own_reports(objects, RING, VENDOR_KEYS), foreign=foreign or {})
    reported = ReportedChain(ReportChain(CHAIN, KEYS), licence(), RING, world.now)
    before = world.ledger.key_statements(CHAIN), world.ledger.chain(CHAIN)
    result = await recover(None, SimpleNamespace(adopt_head=head), known, reported, outside)
    assert (world.ledger.key_statements(CHAIN), world.ledger.chain(CHAIN)) == before
    return result


async def test_without_a_head_the_newest_report_is_proposed(stopped):
    result = await named(stopped, None)
    assert (result.refused, result.proposed.digest) == (None, digest(TOKENS[5]))
    assert result.proposed.digest in result.way_out


async def test_a_report_of_another_chain_of_the_ledger_is_foreign(stopped):
    (enrolment,) = stopped.ledger.key_statements(KEYS)
    result = await named(stopped, enrolment.digest)
    assert result.refused.reason == "AdoptHeadForeign"
    assert enrolment.jti in result.refused.message


async def test_a_usagereport_that_no_key_of_ours_has_signed_is_foreign(stopped):
    head = "sha256:" + "5" * 64
    result = await named(stopped, head, foreign={head: "stranger-000001"})
    assert result.refused.reason == "AdoptHeadForeign"
    assert "UsageReport stranger-000001" in result.refused.message


async def test_a_report_with_a_hole_before_it_is_refused_with_what_is_missing(stopped):
    after = reports(9, "lic-2", after=TOKENS[:6])[8]
    result = await named(stopped, digest(after), live=[after])
    assert result.refused.reason == "AdoptHeadRefused"
    assert "report 8 before it" in result.refused.message


@pytest.mark.parametrize(
    ("head", "reason"),
    [("sha256:" + "0" * 64, "AdoptHeadUnknown"), (digest(TOKENS[3]), "AdoptHeadOutdated")],
)
async def test_a_head_that_is_unknown_or_older_changes_nothing(stopped, head, reason):
    result = await named(stopped, head)
    assert result.refused.reason == reason
    assert result.stalled(FORKED, stopped.ledger.chain(CHAIN), "s").message.startswith(
        "spec.reporting.adoptHead is not followed"
    )


LOST = Link(1, "sha256:" + "1" * 64)


@pytest.fixture
def gone(tmp_path):
    """A ledger that holds no report of a chain, and knows that there was one."""
    with Ledger.open(f"sqlite:///{tmp_path}/l.db", now_ms=NOW_MS, ledger_id="x") as ledger:
        ledger.stop_chain(CHAIN, HISTORY_LOST, NOW_MS, key_chain_id=KEYS, lost=LOST)
        yield ledger


async def decided(ledger, head, vendor):
    """What comes of a named head where the vendor answered so."""

    async def do(work):
        return work(ledger)

    known = SimpleNamespace(facts=SimpleNamespace(meter=SimpleNamespace(id=1)), do=do)
    outside = Outside({}, vendor={} if vendor is None else {CHAIN: vendor})
    reported = ReportedChain(ReportChain(CHAIN, KEYS), licence(), RING, NOW_MS)
    work = _Work(known.facts.meter.id, head, reported, outside)
    return await known.do(work.recover)


NOTHING = History(reports={}, receipts=(), enrolled=True)


async def test_where_nothing_is_left_of_a_report_giving_it_up_is_proposed(gone):
    result = await decided(gone, None, NOTHING)
    assert LOST.digest in result.way_out
    assert "begin the chain anew" in result.way_out
    assert gone.chain(CHAIN).stopped == HISTORY_LOST


async def test_it_is_given_up_only_by_its_name_and_the_chain_begins(gone):
    other = await decided(gone, "sha256:" + "2" * 64, NOTHING)
    assert other.refused.reason == "AdoptHeadUnknown"
    assert gone.chain(CHAIN).stopped == HISTORY_LOST
    assert "given up" in await decided(gone, LOST.digest, NOTHING)
    assert gone.chain(CHAIN).stopped is None


@pytest.mark.parametrize(
    "vendor", [None, replace(NOTHING, enrolled=False), Failure(Reason.TIMEOUT, "no answer")]
)
async def test_nothing_begins_before_the_vendor_says_that_it_holds_nothing(gone, vendor):
    result = await decided(gone, LOST.digest, vendor)
    assert result.refused.reason == "AdoptHeadUnknown"
    assert "begin the chain anew" not in result.way_out
    assert gone.chain(CHAIN).stopped == HISTORY_LOST


def test_as_long_as_the_vendor_is_asked_no_decision_is_asked_for():
    chain = ChainState(CHAIN, None, None, None, stopped=HISTORY_LOST)
    asked = Recovering(seen="UsageReport a-1 is report 1", asking=True)
    said = asked.stalled(HISTORY_LOST, chain, "s").message
    assert "The vendor is asked for its history first. Counting goes on" in said
    assert "adoptHead" not in said


class Vendor:
    """Answers when it is told to."""

    def __init__(self):
        self.answered = asyncio.Event()

    async def ask_history(self, *_):
        await self.answered.wait()
        return NoAnswer("EndpointUnreachable", "the test")


async def test_an_answer_is_to_come_until_it_is_there_and_is_forgotten_with_the_recovery():
    vendor, woken, told = Vendor(), [], asyncio.Event()
    clock = SimpleNamespace(now_ms=lambda: NOW_MS)

    def nudge(key):
        woken.append((key, histories.answer(CHAIN), histories.ask(question, 1.0, again=False)))
        told.set()

    histories = VendorHistories(vendor, clock, None, nudge)
    of = licence()
    question = Question(
        Key("collab", "production"),
        "https://vendor.example",
        ReportChain(CHAIN, KEYS),
        Parties(INSTALLATION_KEY.installation, of.vendor, of.subscription),
        INSTALLATION_KEY,
        (),
        RING,
        VENDOR_KEYS,
    )
    assert histories.ask(question, 0.0, again=False)
    assert histories.ask(question, 0.5, again=True), "one question at a time"
    vendor.answered.set()
    await told.wait()
    ((_, answer, to_come),) = woken
    assert (answer.reason, to_come) == ("EndpointUnreachable", False)
    histories.forget(CHAIN)
    assert histories.answer(CHAIN) is None
    assert histories.ask(question, 2.0, again=False), "it is asked anew when the chain stops again"


FOLLOWING = key("following")


@pytest.mark.parametrize("taken", [True, False], ids=["succession taken", "not yet"])
@pytest.mark.parametrize("first", [INSTALLATION_KEY, FOLLOWING], ids=["former", "following"])
async def test_right_after_a_rotation_the_history_is_asked_for_by_the_key_that_the_vendor_knows(
    tmp_path, taken, first
):
    """Where the receipt of a succession was lost, nobody here knows which key that is."""
    clock = SimpleNamespace(now_ms=lambda: NOW_MS)
    store = ReceiverDatabase.open(f"sqlite:///{tmp_path / 'receiver.sqlite'}")
    app = create_app(
        store=store,
        vendor_keys=VENDOR_KEYS,
        receipt_key=RECEIPT_KEY,
        clock=clock,
        access=PagesAccess(),
    )
    client = VendorClient(transport=httpx.ASGITransport(app))
    of, ring = licence(), KeyRing(INSTALLATION_KEY, FOLLOWING, wanted="Scheduled")
    enrolled = build_enrolment(of, INSTALLATION_KEY, issued_at_s=NOW_MS // 1000 - 60)
    last = KeyStatement.from_token(enrolled)
    succession = succession_to(FOLLOWING, ring, last, NOW_MS // 1000 - 30).token
    endpoint = "https://vendor.example"
    for token, typ in ((enrolled, ENROLMENT), (succession, SUCCESSION))[: 1 + taken]:
        jti = Sent.from_token(token).subject.jti
        assert (await client.put(endpoint, typ, jti, token)).status == 201
    told = asyncio.Event()
    histories = VendorHistories(client, clock, None, lambda _: told.set())
    question = Question(
        Key("collab", "production"),
        endpoint,
        ReportChain(CHAIN, last.sent.chain_id),
        Parties(INSTALLATION_KEY.installation, of.vendor, of.subscription),
        first,
        tuple(each for each in ring.keys if each != first),
        ring.public_keys(),
        VENDOR_KEYS,
    )
    assert histories.ask(question, 0.0, again=False)
    await told.wait()
    await client.aclose()
    store.close()
    answer = histories.answer(CHAIN)
    assert isinstance(answer, History), answer
    assert answer.enrolled


@pytest.mark.parametrize("begun", [True, False])
async def test_only_a_chain_that_has_not_begun_is_looked_for_where_an_enrolment_was_lost(begun):
    """The mark stays at the key statements: it is for chains that begin later."""
    of, listed = licence(), []

    async def live(key):
        listed.append(key)
        raise Waiting("ApiUnavailable", "the test goes no further")

    resumed = Link(6, digest(TOKENS[5])) if begun else None
    lost = ChainState(KEYS, None, None, None, stopped=HISTORY_LOST)
    chain = ChainState(CHAIN, resumed, None, None, stopped=None, resumed=resumed)
    facts = SimpleNamespace(
        chains={KEYS: lost, CHAIN: chain}, meter=SimpleNamespace(licenses={of.contract: of.token})
    )
    memory = SimpleNamespace(history_known=True, history_at_s=0.0, history_from=None)
    world = SimpleNamespace(
        memory=lambda key: memory,
        objects=SimpleNamespace(live=live),
        histories=SimpleNamespace(answer=lambda chain_id: None),
    )
    context = SimpleNamespace(
        key=Key("collab", "production"),
        license=of,
        requested=False,
        adopt_head=None,
        vendor_keys=VENDOR_KEYS,
    )
    looking = look(
        world, context, KeyRing(INSTALLATION_KEY), SimpleNamespace(facts=facts), 0, loop_s=10_000.0
    )
    if begun:
        await looking
        assert not listed
    else:
        with pytest.raises(Waiting):
            await looking
        assert listed
