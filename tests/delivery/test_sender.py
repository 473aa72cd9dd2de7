"""One step of delivery, against vendors that are honest, absent, broken or lying."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from licenseusage.delivery.outbox import DeliveryState
from licenseusage.delivery.outcome import Answer, NoAnswer
from licenseusage.delivery.sender import Route, Sender
from licenseusage.reports.names import Link, key_chain_id
from licenseusage.reports.receipt import ReceiptVerdict, Sent
from licenseusage.reports.tokens import typ_of
from licenseusage.reports.typs import ENROLMENT, REPORT
from tests.delivery.memory import MemoryOutbox
from tests.delivery.people import (
    INSTALLATION_KEY,
    NOW_MS,
    VENDOR_KEYS,
    VendorDesk,
    enrolment,
    key,
    reports,
)

JOSE, PROBLEM = "application/jose", "application/problem+json"
REPORTS = reports(6)
CHAIN = Sent.from_token(REPORTS[0]).chain_id
KEYS = key_chain_id(
    vendor="https://vendor.example",
    installation=INSTALLATION_KEY.installation,
    subscription="sub-1",
)
ROUTE = Route("https://usage.vendor.example", VENDOR_KEYS, CHAIN, KEYS)
MINUTE_MS = 60_000


def problem(status: int, error: str, receipt: str | None = None) -> Answer:
    body = {"error": error, **({"receipt": receipt} if receipt else {})}
    return Answer(status, PROBLEM, json.dumps(body).encode())


@dataclass
class Desk(VendorDesk):
    """A vendor that keeps what it gets; ``answer`` may replace its honest answer."""

    held: dict[str, dict[int, str]] = field(default_factory=dict)
    receipts: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, int]] = field(default_factory=list)
    answer: Callable[[str], Answer | NoAnswer | None] = lambda token: None

    async def put(self, endpoint: str, typ: str, jti: str, token: str) -> Answer | NoAnswer:
        sent = Sent.from_token(token)
        assert (typ, jti) == (typ_of(token), sent.subject.jti)
        self.seen.append((typ, sent.subject.sequence))
        instead = self.answer(token)
        return instead if instead is not None else self.honest(token)

    def honest(self, token: str) -> Answer:
        sent = Sent.from_token(token)
        if token in self.receipts:
            return Answer(200, JOSE, self.receipts[token].encode())
        chain = self.held.setdefault(sent.chain_id, {})
        chain[sent.subject.sequence] = sent.subject.digest
        run = 0
        while run + 1 in chain:
            run += 1
        self.receipts[token] = self.receipt(token, head=Link(run, chain[run]) if run else None)
        return Answer(201, JOSE, self.receipts[token].encode())

    @property
    def sent_reports(self) -> list[int]:
        return [sequence for typ, sequence in self.seen if typ == REPORT]


class HandClock:
    def __init__(self) -> None:
        self.ms = NOW_MS

    def now_ms(self) -> int:
        return self.ms


@dataclass
class Setting:
    desk: Desk = field(default_factory=Desk)
    outbox: MemoryOutbox = field(default_factory=lambda: MemoryOutbox(KEYS))
    clock: HandClock = field(default_factory=HandClock)

    def __post_init__(self) -> None:
        async def in_place(work):
            return work()

        self.sender = Sender(
            self.desk, self.outbox, clock=self.clock, permille=lambda: 500, in_thread=in_place
        )

    async def drain(self, steps: int = 50) -> int:
        """Step until nothing is due; return how many documents were sent."""
        count = 0
        for _ in range(steps):
            attempts = await self.sender.step(ROUTE)
            if not attempts:
                return count
            count += len(attempts)
            self.desk.now_s += 1
        pytest.fail("the sender does not come to rest")

    def later(self, ms: int) -> None:
        self.clock.ms += ms
        self.desk.now_s += ms // 1000


@pytest.fixture
def world() -> Setting:
    setting = Setting()
    setting.outbox.add(enrolment(), *REPORTS)
    return setting


async def test_enrolment_goes_first_then_reports_in_order(world):
    await world.drain()
    assert world.desk.seen == [(ENROLMENT, 1), *((REPORT, n) for n in range(1, 7))]
    assert set(world.outbox.states(CHAIN) + world.outbox.states(KEYS)) == {"Accepted"}
    assert world.outbox.acknowledged == {KEYS: 1, CHAIN: 6}


async def test_nothing_due_sends_nothing(world):
    await world.drain()
    assert await world.sender.step(ROUTE) == ()


async def test_no_report_goes_before_the_enrolment_is_receipted(world):
    world.desk.answer = lambda token: Answer(503, "text/html", b"")
    await world.drain()
    assert world.desk.seen == [(ENROLMENT, 1)]


@pytest.mark.parametrize(
    "answer",
    [
        NoAnswer("EndpointUnreachable", "refused"),
        NoAnswer("Timeout", "30 s"),
        NoAnswer("TLSFailed", "self-signed"),
        Answer(200, "text/html", b"<html>Please log in</html>"),
        Answer(302, "text/html", b""),
        Answer(201, JOSE, b""),
        Answer(500, PROBLEM, b'{"error":"ClaimInvalid"}'),
        Answer(429, PROBLEM, b"", retry_after="120"),
    ],
    ids=["refused", "timeout", "tls", "portal", "redirect", "empty", "500", "429"],
)
async def test_a_fault_delays_but_loses_nothing(world, answer):
    world.desk.answer = lambda token: answer
    await world.drain()
    assert world.outbox.states(KEYS) == ["Pending"]
    assert world.outbox.rows[0].next_ms > world.clock.ms
    world.desk.answer = lambda token: None
    world.later(10 * MINUTE_MS)
    await world.drain()
    assert set(world.outbox.states(CHAIN)) == {"Accepted"}


async def test_retry_after_of_a_throttling_vendor_is_kept(world):
    world.desk.answer = lambda token: Answer(429, PROBLEM, b"", retry_after="600")
    await world.drain()
    assert world.outbox.rows[0].next_ms - world.clock.ms >= 600_000


async def test_a_connection_cut_after_the_commit_heals_with_the_same_receipt(world):
    def commit_then_cut(token: str) -> NoAnswer:
        world.desk.honest(token)
        return NoAnswer("EndpointUnreachable", "cut")

    world.desk.answer = commit_then_cut
    await world.drain()
    world.desk.answer = lambda token: None
    world.later(10 * MINUTE_MS)
    await world.drain()
    assert world.outbox.states(KEYS) == ["Accepted"]
    assert set(world.outbox.states(CHAIN)) == {"Accepted"}


async def test_a_later_head_acknowledges_earlier_reports(world):
    await world.sender.step(ROUTE)  # the enrolment and report 1
    first, second = world.outbox.rows[1:3]
    first.state, first.next_ms = DeliveryState.REJECTED, NOW_MS + 10**9  # unsigned, daily
    world.desk.held[CHAIN] = {1: first.digest}
    await world.sender.step(ROUTE)
    assert (first.state, second.state) == ("Accepted", "Accepted")


async def test_a_signed_rejection_is_final_and_holds_nothing_up(world):
    def reject_second(token: str) -> Answer | None:
        if Sent.from_token(token).subject.sequence != 2:
            return None
        world.desk.honest(token)
        head = Sent.from_token(token).subject.link
        return problem(
            422,
            "CountsInconsistent",
            world.desk.receipt(token, ReceiptVerdict.REJECTED, "CountsInconsistent", head=head),
        )

    world.desk.answer = reject_second
    await world.drain()
    assert world.outbox.states(CHAIN) == ["Accepted", "Rejected", *["Accepted"] * 4]
    assert world.outbox.rows[2].last.reason == "CountsInconsistent"
    world.later(10 * 86_400_000)
    assert await world.drain() == 0


async def test_an_unsigned_rejection_is_tried_again_after_a_day_and_holds_nothing_up(world):
    world.desk.answer = lambda token: (
        problem(400, "SignatureInvalid") if Sent.from_token(token).subject.digest == bad else None
    )
    bad = Sent.from_token(REPORTS[5]).subject.digest
    await world.drain()
    assert world.outbox.states(CHAIN)[5] == "Rejected"
    world.desk.answer = lambda token: None
    world.later(86_400_000 - 1)
    assert await world.drain() == 0
    world.later(2 * 3_600_000)
    assert await world.drain() == 1
    assert world.outbox.states(CHAIN)[5] == "Accepted"


async def test_a_conflict_stops_the_chain(world):
    def conflict(token: str) -> Answer | None:
        if Sent.from_token(token).subject.sequence != 3:
            return None
        other = Link(3, "sha256:" + "0" * 64)
        receipt = world.desk.receipt(token, ReceiptVerdict.CONFLICT, "ReportConflict", head=other)
        return problem(409, "ReportConflict", receipt)

    world.desk.answer = conflict
    await world.drain()
    assert world.outbox.states(CHAIN)[2:4] == ["Conflict", "Pending"]
    world.later(30 * 86_400_000)
    assert await world.drain() == 0


@pytest.mark.parametrize(
    ("head", "stopped"),
    [
        (Link(1, "sha256:" + "0" * 64), "ChainForked"),
        (Link(77, "sha256:" + "0" * 64), "LocalHistoryLost"),
    ],
)
async def test_a_head_that_is_not_ours_stops_the_chain_but_the_verdict_stands(world, head, stopped):
    world.desk.answer = lambda token: (
        Answer(201, JOSE, world.desk.receipt(token, head=head).encode())
        if Sent.from_token(token).subject.sequence == 2
        else None
    )
    await world.drain()
    assert world.outbox.stopped == {CHAIN: stopped}
    assert world.outbox.states(CHAIN)[:3] == ["Accepted", "Accepted", "Pending"]


async def test_a_head_behind_makes_the_missing_reports_go_again(world):
    await world.drain()
    world.outbox.add(*reports(7)[6:])
    world.desk.held[CHAIN] = {1: world.outbox.rows[1].digest}
    world.desk.receipts.clear()  # the vendor restored a backup: it has report 1 only
    world.desk.seen.clear()
    await world.drain()
    assert world.desk.sent_reports == [7, 2, 3, 4, 5, 6]
    assert set(world.outbox.states(CHAIN)) == {"Accepted"}
    assert world.outbox.rows[7].last.warning == "VendorHeadRegressed"


async def test_a_stored_receipt_with_an_old_head_is_no_regression(world):
    await world.drain()
    second = world.outbox.rows[2]
    second.state, second.next_ms = DeliveryState.PENDING, 0
    assert await world.drain() == 1
    assert set(world.outbox.states(CHAIN)) == {"Accepted"}


async def test_a_vendor_whose_head_never_moves_is_not_sent_the_chain_in_a_loop(world):
    world.desk.answer = lambda token: (
        Answer(201, JOSE, world.desk.receipt(token, head=None).encode())
        if typ_of(token) == REPORT
        else None
    )
    await world.drain(steps=60)
    sent = len(world.desk.sent_reports)
    for _ in range(24):
        world.later(3_600_000)
        await world.drain(steps=60)
    assert len(world.desk.sent_reports) - sent <= 6 * 24


async def test_key_unknown_puts_the_key_statements_and_the_report_again(world):
    await world.drain()
    world.outbox.add(*reports(7)[6:])
    known = False

    def forgot_us(token: str) -> Answer | None:
        nonlocal known
        if typ_of(token) == ENROLMENT:
            known = True
            return None
        return None if known else problem(401, "KeyUnknown")

    world.desk.answer, world.desk.seen = forgot_us, []
    await world.drain()
    assert world.desk.seen == [(REPORT, 7), (ENROLMENT, 1), (REPORT, 7)]
    assert world.outbox.states(CHAIN)[6] == "Accepted"


async def test_key_unknown_for_ever_is_slow_and_no_loop(world):
    world.desk.answer = lambda token: (
        problem(401, "KeyUnknown") if typ_of(token) == REPORT else None
    )
    await world.drain()
    assert world.desk.sent_reports == [1, 1]
    assert world.outbox.rows[1].next_ms - world.clock.ms >= 10800_000
    assert world.outbox.rows[1].last.reason == "KeyUnknown"


async def test_key_unknown_and_an_enrolment_that_is_refused_leave_the_report_waiting(world):
    await world.drain()
    world.outbox.add(*reports(7)[6:])
    world.desk.answer = lambda token: (
        problem(401, "KeyUnknown") if typ_of(token) == REPORT else problem(403, "LicenseMismatch")
    )
    world.desk.seen = []
    await world.drain()
    assert world.desk.seen == [(REPORT, 7), (ENROLMENT, 1)]
    assert world.outbox.states(CHAIN)[6] == "Pending"


async def test_receipts_of_another_key_never_end_the_sending(world):
    liar = VendorDesk(key=key("not the vendor"))
    world.desk.answer = lambda token: Answer(201, JOSE, liar.receipt(token).encode())
    await world.drain()
    assert world.outbox.states(KEYS) == ["Pending"]
    assert world.outbox.rows[0].last.reason == "ReceiptInvalid"


async def test_a_lease_that_is_over_makes_the_document_due_again(world):
    class Killed(BaseException):
        pass

    def killed(token: str) -> None:
        raise Killed

    world.desk.answer = killed
    with pytest.raises(Killed):
        await world.sender.step(ROUTE)
    world.desk.answer = lambda token: None
    assert await world.drain() == 0
    world.later(MINUTE_MS)
    assert await world.drain() == 7
