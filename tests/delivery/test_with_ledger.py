"""The sender over the real ledger: what test_sender proves of the Protocol holds for the file."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from licenseusage.controller.effects.ledgeroutbox import LedgerOutbox
from licenseusage.delivery.outcome import Answer
from licenseusage.delivery.sender import Route, Sender
from licenseusage.ledger.documents.closing import Signing
from licenseusage.ledger.documents.records import (
    Delivery,
    OutboxItem,
    ReportChain,
    ReportKind,
    SignedDocument,
)
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import (
    MeterKey,
)
from licenseusage.metering.cycles import Terms
from licenseusage.metering.properties import Properties
from licenseusage.metering.stores import DeclaredSource, StoreKey
from licenseusage.reports.names import Link
from licenseusage.reports.receipt import ReceiptVerdict, Sent
from licenseusage.reports.tokens import typ_of
from licenseusage.reports.typs import ENROLMENT, REPORT
from tests.delivery.people import DAY, VENDOR_KEYS, enrolment, reports
from tests.delivery.test_sender import CHAIN, JOSE, KEYS, ROUTE, Desk, HandClock, problem

TOKENS = reports(7)
DAY_MS = 1000 * DAY
HOUR_MS = 3_600_000


def document(token: str) -> SignedDocument:
    subject = Sent.from_token(token).subject
    return SignedDocument(subject.jti, subject.digest, token)


class World:
    """A vendor, a clock, and a sender over a ledger that can be closed and opened again."""

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite:///{path}"
        self.desk, self.clock = Desk(), HandClock()
        self.start()
        ledger = self.ledger
        self.meter = ledger.ensure_meter(MeterKey("collab", "production", "acme"), self.now)
        ledger.keep_terms(self.meter.id, Terms(date(2026, 1, 1), length_days=30), self.now)
        ledger.add_key_statement(KEYS, ReportKind.ENROLMENT, 1, document(enrolment()), self.now)
        self.report_up_to(6)

    @property
    def now(self) -> int:
        return self.clock.now_ms()

    def start(self) -> None:
        self.ledger = Ledger.open(self.url, now_ms=self.now, ledger_id="ledger-1")
        outbox = LedgerOutbox(lambda: self.ledger)

        async def in_place(work):
            return work()

        self.sender = Sender(
            self.desk, outbox, clock=self.clock, permille=lambda: 500, in_thread=in_place
        )

    def restart(self) -> None:
        self.ledger.close()
        self.start()
        self.ledger.restart_outbox(self.now, lambda chain: 1000)

    def report_up_to(self, count: int) -> list[OutboxItem | None]:
        cycle = Terms(date(2026, 1, 1), length_days=30).cycle(0)
        source = DeclaredSource(StoreKey("graph", "d"), Properties(), 900_000)
        statement = self.ledger.statement(self.meter.id, cycle, sources=[source])
        return [
            self.ledger.add_interim(
                self.meter.id,
                slot,
                statement,
                self.now,
                Signing(
                    ReportChain(CHAIN, KEYS),
                    lambda draft: document(TOKENS[draft.sequence - 1]),
                    self.now,
                ),
            )
            for slot in range(count)
        ]

    async def drain(self, route: Route = ROUTE) -> int:
        count = 0
        for _ in range(80):
            attempts = await self.sender.step(route)
            if not attempts:
                return count
            count += len(attempts)
            self.desk.now_s += 1
        pytest.fail("the sender does not come to rest")

    def later(self, ms: int) -> None:
        self.clock.ms += ms
        self.desk.now_s += ms // 1000

    def items(self) -> list[OutboxItem]:
        found = [self.ledger.document(document(token).jti) for token in TOKENS]
        return [item for item in found if item is not None]

    def states(self) -> list[str]:
        return [item.state.value for item in self.items()]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "ledger.db")
    yield world
    world.ledger.close()


async def test_enrolment_then_reports_in_order(world):
    await world.drain()
    assert world.desk.seen == [(ENROLMENT, 1), *((REPORT, n) for n in range(1, 7))]
    assert set(world.states()) == {"Accepted"}
    assert world.ledger.chain(CHAIN).acknowledged.sequence == 6
    assert all(item.receipt and item.accepted_ms for item in world.items())


async def test_an_unreachable_vendor_delays_and_a_restart_loses_nothing(world):
    world.desk.answer = lambda token: Answer(503, "text/html", b"")
    await world.drain()
    item = world.ledger.key_statements(KEYS)[0]
    assert (item.state, item.attempts, item.first_failure_ms) == (Delivery.PENDING, 1, world.now)
    world.desk.answer = lambda token: None
    world.restart()
    world.later(HOUR_MS)
    await world.drain()
    assert set(world.states()) == {"Accepted"}


async def test_killed_while_sending_is_sent_again_after_the_restart(world):
    class Killed(BaseException):
        pass

    def commit_and_die(token):
        world.desk.honest(token)
        raise Killed

    await world.sender.step(ROUTE)
    world.desk.answer = commit_and_die
    with pytest.raises(Killed):
        await world.sender.step(ROUTE)
    world.desk.answer = lambda token: None
    world.restart()
    world.later(1000)
    await world.drain()
    assert set(world.states()) == {"Accepted"}
    assert world.desk.sent_reports[:3] == [1, 2, 2]


async def test_a_signed_rejection_holds_nothing_up_and_is_not_sent_again(world):
    def reject_second(token):
        if Sent.from_token(token).subject.sequence != 2 or typ_of(token) != REPORT:
            return None
        world.desk.honest(token)
        subject = Sent.from_token(token).subject
        receipt = world.desk.receipt(
            token, ReceiptVerdict.REJECTED, "ClaimInvalid", head=subject.link
        )
        return problem(422, "ClaimInvalid", receipt)

    world.desk.answer = reject_second
    await world.drain()
    assert world.states() == ["Accepted", "Rejected", *["Accepted"] * 4]
    world.later(30 * DAY_MS)
    assert await world.drain() == 0


async def test_an_unsigned_rejection_is_sent_again_after_a_day(world):
    last = TOKENS[5]
    world.desk.answer = lambda token: problem(400, "TooLarge") if token == last else None
    await world.drain()
    assert world.states()[5] == "Rejected"
    assert world.items()[5].first_failure_ms is not None
    world.desk.answer = lambda token: None
    world.later(26 * HOUR_MS)
    assert await world.drain() == 1
    assert world.states()[5] == "Accepted"


@pytest.mark.parametrize(
    ("head", "stopped"),
    [
        (Link(1, "sha256:" + "0" * 64), "ChainForked"),
        (Link(77, "sha256:" + "0" * 64), "LocalHistoryLost"),
    ],
)
async def test_a_head_that_is_not_ours_stops_sending_and_signing_for_good(world, head, stopped):
    world.desk.answer = lambda token: (
        Answer(201, JOSE, world.desk.receipt(token, head=head).encode())
        if Sent.from_token(token).subject.sequence == 2
        else None
    )
    await world.drain()
    assert world.states()[:3] == ["Accepted", "Accepted", "Pending"]
    assert world.ledger.chain(CHAIN).stopped == stopped
    world.desk.answer = lambda token: None
    world.restart()
    world.later(30 * DAY_MS)
    assert await world.drain() == 0
    assert world.ledger.claim(world.now + 365 * DAY_MS) is None
    assert world.report_up_to(7)[6] is None


async def test_a_conflict_stops_sending_and_signing_for_good(world):
    def conflict(token):
        if Sent.from_token(token).subject.sequence != 3:
            return None
        other = Link(3, "sha256:" + "0" * 64)
        receipt = world.desk.receipt(token, ReceiptVerdict.CONFLICT, "ReportConflict", head=other)
        return problem(409, "ReportConflict", receipt)

    world.desk.answer = conflict
    await world.drain()
    assert world.states()[2:4] == ["Conflict", "Pending"]
    world.later(30 * DAY_MS)
    assert await world.drain() == 0
    assert world.report_up_to(7)[6] is None


async def test_a_vendor_restored_from_a_backup_gets_what_it_lacks(world):
    await world.drain()
    world.report_up_to(7)
    world.desk.held[CHAIN] = {1: world.items()[0].digest}
    world.desk.receipts.clear()
    world.desk.seen.clear()
    await world.drain()
    assert world.desk.sent_reports == [7, 2, 3, 4, 5, 6]
    assert set(world.states()) == {"Accepted"}


async def test_a_vendor_whose_head_never_moves_is_not_sent_the_chain_in_a_loop(world):
    world.desk.answer = lambda token: (
        Answer(201, JOSE, world.desk.receipt(token, head=None).encode())
        if typ_of(token) == REPORT
        else None
    )
    await world.drain()
    for _ in range(24):
        world.later(HOUR_MS)
        await world.drain()
    assert len(world.desk.sent_reports) <= 6 * 30


async def test_key_unknown_puts_the_key_statements_and_the_report_again(world):
    await world.drain()
    world.report_up_to(7)
    known = []

    def forgot_us(token):
        if typ_of(token) == ENROLMENT:
            known.append(token)
            return None
        return None if known else problem(401, "KeyUnknown")

    world.desk.answer, world.desk.seen = forgot_us, []
    await world.drain()
    assert world.desk.seen == [(REPORT, 7), (ENROLMENT, 1), (REPORT, 7)]
    assert world.states()[6] == "Accepted"


async def test_key_unknown_for_ever_does_not_make_two_chains_wake_each_other(world):
    other = "d" * 32
    second = Route(ROUTE.endpoint, VENDOR_KEYS, other, KEYS)
    cycle = Terms(date(2026, 1, 1), length_days=30).cycle(0)
    source = DeclaredSource(StoreKey("graph", "d"), Properties(), 900_000)
    meter = world.ledger.ensure_meter(MeterKey("collab", "staging", "acme"), world.now)
    world.ledger.keep_terms(meter.id, Terms(date(2026, 1, 1), length_days=30), world.now)
    statement = world.ledger.statement(meter.id, cycle, sources=[source])
    jti = f"{other}-0000000001"
    world.ledger.add_interim(
        meter.id,
        1,
        statement,
        world.now,
        Signing(
            ReportChain(other, KEYS),
            # The vendor of this test judges no content: any token of ours will do.
            lambda draft: SignedDocument(jti, document(TOKENS[0]).digest, TOKENS[0]),
            world.now,
        ),
    )
    world.desk.answer = lambda token: (
        problem(401, "KeyUnknown") if typ_of(token) == REPORT else None
    )
    world.desk.put = lambda endpoint, typ, _jti, token: Desk.put(
        world.desk, endpoint, typ, document(token).jti, token
    )
    for _ in range(10):
        await world.drain(ROUTE)
        await world.drain(second)
    assert len(world.desk.seen) <= 2 * 4
