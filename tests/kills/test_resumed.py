"""A crash at any step from the closing poll to the receipt is taken up where it happened.

Not a crash of one transaction (tests/ledger) nor of one attempt (tests/delivery): the whole way of
a cycle's end is walked by the operator's own steps, into the real receiver, and is cut at each
statement, each commit and each document sent; then the ledger is opened again, later, and the way
is walked from its beginning.
"""

import asyncio
import shutil
from collections import Counter
from datetime import date

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from licenseusage.controller.effects.ledgeroutbox import LedgerOutbox
from licenseusage.controller.rules.ends import Counted
from licenseusage.controller.rules.issuer import Issuer
from licenseusage.controller.steps import closing
from licenseusage.controller.steps.enrolling import enrol
from licenseusage.delivery.sender import Route, Sender
from licenseusage.delivery.vendor import VendorClient
from licenseusage.ledger.documents.records import Delivery
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import (
    CycleState,
    MeterKey,
    PollRecord,
    Subscribed,
)
from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS, Terms
from licenseusage.metering.facts import Row, list_facts
from licenseusage.metering.properties import Properties, Removal
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.metering.stores import DeclaredSource, StoreKey
from licenseusage.reports.chain import verify_chain
from licenseusage.reports.content import Kind, OperatorInfo
from licenseusage.reports.keychain import verify_keys
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.report import read_report
from licenseusage.reports.terms import CycleTerms
from tests.properties import examples
from tests.receiver.people import VENDOR_KEYS, FixedClock, Receiver, key, licence

ANCHOR = date(2026, 3, 1)
TERMS = Terms(ANCHOR, length_days=1)
CYCLE, NEXT = TERMS.cycle(0), TERMS.cycle(1)
END = CYCLE.end_ms
STORE = StoreKey("users", "domain")
KEPT = Properties(removal=Removal.NEVER, ids_stable=True, lag_ms=1000)
COUNTED = Counted(declared=(DeclaredSource(STORE, KEPT, 60_000),), grace_ms=DAY_MS // 24)
LICENSE = licence(cycle=CycleTerms(ANCHOR, length_days=1))
ISSUER = Issuer(
    license=LICENSE,
    key=key("installation"),
    namespace="shop",
    name="production",
    definition="signed in",
    rules_digest="sha256:" + "0" * 64,
    operator=OperatorInfo("1.0.0"),
)
CHAIN = ISSUER.chain
ROUTE = Route(LICENSE.endpoint, VENDOR_KEYS, CHAIN.id, CHAIN.key_chain_id)
# Who was active when: ada and ben in the cycle, eve around its end, hidden from a late poll.
SEEN = {"ada": END - 3_600_000, "ben": END - 1000, "eve": END + 2000}


class Crash(BaseException):
    """Ends everything, as a kill would."""


class Fuse:
    """Counts the steps of a way, and ends it at one of them."""

    def __init__(self):
        self.left, self.burnt = None, 0

    def statement(self, _connection, _cursor, statement, *_):
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            self.step()

    def step(self, *_):
        self.burnt += 1
        if self.left is not None:
            if self.left == 0:
                self.left = None
                raise Crash
            self.left -= 1


class FusedClient:
    """The operator's client, to the real receiver's application."""

    def __init__(self, receiver, fuse):
        transport = httpx.ASGITransport(receiver.app, raise_app_exceptions=False)
        self.client, self.fuse = VendorClient(transport=transport), fuse

    async def put(self, *document):
        self.fuse.step()
        answer = await self.client.put(*document)
        self.fuse.step()
        return answer


class Books:
    """The ledger, on this thread."""

    def __init__(self, ledger):
        self.ledger = ledger

    async def do(self, work):
        return work(self.ledger)


class NothingKept:
    """The identity's Secret: no key statements yet, and no installation that it replaces."""

    @staticmethod
    async def statements(_now_s):
        return ()

    @staticmethod
    async def replaces(_now_s):
        return None


class World:
    """One installation and its vendor, from a moment in a cycle on."""

    def __init__(self, folder, begun=None):
        if begun is not None:
            shutil.copytree(begun, folder, dirs_exist_ok=True)
        self.url = f"sqlite:///{folder}/ledger.sqlite"
        self.clock = FixedClock(END // 1000 - 60)
        self.receiver = Receiver(f"sqlite:///{folder}/receiver.sqlite", self.clock)
        self.fuse = Fuse()
        self.client = FusedClient(self.receiver, self.fuse)
        self.start()
        if begun is None:
            self.ledger.ensure_meter(MeterKey("shop", "production", "acme"), self.now)
            self.ledger.keep_terms(
                1, TERMS, self.now, licensed=Subscribed(LICENSE.contract, LICENSE.token)
            )
            self.poll(CYCLE)
        self.clock.now_s = END // 1000 + 5

    def close(self):
        self.ledger.close()
        self.receiver.store.close()

    @property
    def now(self):
        return self.clock.now_ms()

    def start(self):
        self.ledger = Ledger.open(self.url, now_ms=self.now, ledger_id="ledger")
        self.ledger.restart_outbox(self.now, lambda _: 0)
        self.books = Books(self.ledger)
        engine = self.ledger._database.engine
        event.listen(engine, "before_cursor_execute", self.fuse.statement)
        event.listen(engine, "commit", self.fuse.step)

    def restart(self, later_s):
        self.ledger.close()
        self.clock.now_s += later_s
        self.start()

    def poll(self, *cycles):
        facts = {}
        for cycle in cycles:
            pseudonym = Pseudonymiser(b"k" * 32, "acme", cycle.start_ms // 1000)
            rows = [Row(pseudonym(u), at, None) for u, at in SEEN.items() if at <= self.now]
            span = {"started_ms": self.now, "ended_ms": self.now, "clock_skew_ms": 1000}
            facts[cycle] = list_facts(cycle, KEPT, **span, complete=True, rows=rows)
        record = PollRecord(
            meter_id=1,
            store=STORE,
            properties=KEPT,
            interval_ms=60_000,
            started_ms=self.now,
            ended_ms=self.now,
            clock_skew_ms=1000,
            complete=True,
            facts=facts,
            pseudonym_key_id="f" * 32,
            rules_digest=ISSUER.rules_digest,
        )
        self.ledger.record_poll(record, self.now)

    async def walk(self):
        """What a reconcile does about a cycle that has ended; all of it can be repeated."""
        ledger = self.ledger
        for cycle in (CYCLE, NEXT):
            ledger.ensure_cycle(1, cycle, self.now)
        states = ledger.store_states(1, CYCLE)
        if not states[STORE].ended >> CYCLE_BIT & 1:
            self.poll(CYCLE, NEXT)
        await enrol(self.books, NothingKept, LICENSE, KeyRing(ISSUER.key), self.now, 0.0)
        for record in ledger.unfinished_cycles(1):
            if record.cycle.end_ms <= self.now:
                options = {"issuer": ISSUER, "first_delay_ms": lambda: 0}
                options["rules_digest"] = ISSUER.rules_digest
                await closing.close(self.books, record, COUNTED, self.now, **options)
        when = {"since_ms": END, "now_ms": self.now + 2000, "first_delay_ms": 0}
        await closing.interim(self.books, 1, NEXT, COUNTED, ISSUER, **when)
        await self.deliver()

    async def deliver(self):
        self.clock.now_s += 2
        ledger = self.ledger
        sender = Sender(
            self.client,
            LedgerOutbox(lambda: ledger),
            clock=self.clock,
            permille=lambda: 0,
            in_thread=lambda work: self.books.do(lambda _: work()),
        )
        while await sender.step(ROUTE):
            pass
        assert all(item.next_attempt_ms is None for item in ledger.reports(1))

    async def walk_until(self, step):
        """Walk, crash before step number ``step``, start again later; whether it came to that."""
        self.fuse.left = step
        try:
            await self.walk()
        except Crash:
            self.restart(later_s=5)
            return True
        self.fuse.left = None
        return False

    def stored(self):
        with self.receiver.store.read() as views:
            return views.documents(CHAIN.id, limit=100), views.documents(
                CHAIN.key_chain_id, limit=9
            )

    def check(self):
        """Everything is done, once."""
        record, running = reversed(self.ledger.cycles(1))
        assert (record.state, running.state) == (CycleState.FINAL, CycleState.OPEN)
        reports, statements = self.stored()
        assert len(statements) == 1
        assert {document.verdict for document, _ in (*reports, *statements)} == {"Accepted"}
        tokens = [document.token for document, _ in reports]
        held = sorted(self.ledger.reports(1), key=lambda one: one.sequence)
        assert sorted(tokens) == sorted(one.token for one in held)
        assert {one.state for one in held} == {Delivery.ACCEPTED}
        keys = verify_keys([statements[0][0].token], VENDOR_KEYS, now_s=self.clock.now_s)
        chain = verify_chain(tokens, license_=LICENSE, keys=keys, now_s=self.clock.now_s)
        said = Counter(report.content.kind for report in chain.reports)
        assert said == {Kind.FINAL: 1, Kind.INTERIM: 1}
        assert not set(chain.findings) - {"CoverageIncomplete"}
        final = chain.reports[0].content
        assert final.active_users == 2
        assert final.active_users_upper_bound in (2, 3)  # eve, if the first closing poll was late

    def tokens(self):
        return {one.jti: one.token for one in self.ledger.reports(1)}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder in which the cycle has been counted so far."""
    folder = tmp_path_factory.mktemp("begun")
    World(folder).close()
    return folder


@pytest.fixture
def worlds(begun, tmp_path_factory):
    made = []

    def make():
        made.append(World(tmp_path_factory.mktemp("world"), begun))
        return made[-1]

    yield make
    for world in made:
        world.close()


async def test_a_cycle_ends_without_a_crash(worlds):
    world = worlds()
    await world.walk()
    world.check()


async def test_a_crash_at_every_step_resumes_to_the_same_bytes(worlds):
    whole = worlds()
    whole.fuse.burnt = 0
    await whole.walk()
    steps, expected = whole.fuse.burnt, whole.tokens()
    assert steps > 40, "nothing was injected"
    same = 0
    for step in range(steps):
        world = worlds()
        assert await world.walk_until(step)
        signed = world.tokens()
        (record, *_) = reversed(world.ledger.cycles(1))
        decided = record.intent is not None
        assert await world.walk_until(None) is False
        world.check()
        ended = world.tokens()
        assert signed.items() <= ended.items(), f"signed again after a crash at step {step}"
        final = min(ended)
        if decided:  # five seconds later, and yet
            assert ended[final] == expected[final], f"other bytes after a crash at step {step}"
            same += 1
        else:
            assert read_report(ended[final]).envelope.issued_at_s > END // 1000 + 5
    assert 0 < same < steps


@examples(20)
@given(crashes=st.lists(st.integers(0, 60), min_size=2, max_size=5))
def test_crashes_in_a_row_lose_and_double_nothing(crashes, begun, tmp_path_factory):
    world = World(tmp_path_factory.mktemp("crashes"), begun)

    async def live():
        for step in crashes:
            await world.walk_until(step)
        await world.walk_until(None)

    asyncio.run(live())
    world.check()
    world.close()
