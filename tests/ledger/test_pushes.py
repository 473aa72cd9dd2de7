"""Pushed activity in the ledger: facts, chains of producers and what these prove are one."""

import itertools
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from licenseusage.errors import Stalled
from licenseusage.ledger.records import PushedRequest, PushRecord
from licenseusage.metering.cycles import DAY_MS
from licenseusage.metering.events import Event
from licenseusage.metering.properties import Properties, Removal
from licenseusage.metering.pushes import PushRefusedError
from licenseusage.metering.stores import DeclaredSource, StoreKey
from licenseusage.reasons import Reason
from tests.ledger.conftest import CYCLE, END, HOUR_MS, MINUTE_MS, START, TERMS, poll, user

PUSHED = Properties(
    granularity_ms=1, lag_ms=0, removal=Removal.NEVER, ids_stable=True, log=True, pushed=True
)
APP = StoreKey("app", "domain")
DECLARED = DeclaredSource(APP, PUSHED, 15 * MINUTE_MS, declaration="d1")
COMING = TERMS.cycle(1)
LATE = END + HOUR_MS
_receipts = (f"receipt-{number}" for number in itertools.count())


class Client:
    """One producer, as the examples do it: it keeps its receipt, and sends what it is told."""

    def __init__(self, ledger, name="/shop/0", producers=("/shop/0",), declaration="d1"):
        self.ledger, self.name, self.producers = ledger, name, producers
        self.declaration, self.receipt = declaration, None

    def push(self, at_ms, events=(), through_ms=None, *, given=..., key=None):
        """Send events, (name, time), and perhaps a heartbeat; return the receipt or the refusal."""
        by_cycle = {}
        for name, time_ms in events:
            cycle = CYCLE if time_ms < END else COMING
            by_cycle.setdefault(cycle, []).append(Event(user(name), time_ms))
        given = self.receipt if given is ... else given
        request = PushedRequest(
            self.name,
            given,
            next(_receipts),
            through_ms,
            {cycle: tuple(found) for cycle, found in by_cycle.items()},
        )
        record = replace(
            poll(at_ms, {}, store=APP, properties=PUSHED, declaration=self.declaration),
            facts={},
            started_ms=at_ms,
            ended_ms=at_ms,
            clock_skew_ms=5000,
            complete=False,
            listed=None,
            provisioned=None,
        )
        if key is not None:
            record = replace(record, pseudonym_key_id=key)
        cycles = tuple(cycle for cycle in (CYCLE, COMING) if cycle.start_ms <= at_ms)
        (answers,) = self.ledger.record_pushes(
            [PushRecord(record, self.producers, cycles, (request,))], now_ms=at_ms
        )
        if isinstance(answers, Exception):
            raise answers
        (answer,) = answers
        if isinstance(answer, str):
            self.receipt = answer
        return answer


@pytest.fixture
def client(ledger):
    return Client(ledger)


def stated(ledger, source=DECLARED):
    return ledger.statement(1, CYCLE, sources=[source], as_of_ms=END)


def bounds(ledger, source=DECLARED):
    found = stated(ledger, source).bounds
    return found.lower, found.upper


def whole(client, *events):
    """A producer that was there before the cycle, and after it."""
    client.push(START - MINUTE_MS, through_ms=START - MINUTE_MS)
    client.push(END - HOUR_MS, events)
    client.push(LATE, through_ms=LATE)


def test_a_cycle_whose_producer_told_all_of_it_is_exact(ledger, client):
    whole(client, ("ada", START), ("ben", END - 2 * HOUR_MS))
    said = stated(ledger)
    assert (said.bounds.lower, said.bounds.upper, said.words) == (2, 2, "2")
    assert said.assumptions == ("IdsStable", "ProducersComplete", "IdsNotReused")
    assert said.daily[0] == 1


def test_a_silent_cycle_whose_producer_told_so_is_zero(ledger, client):
    whole(client)
    assert bounds(ledger) == (0, 0)


def test_a_cycle_without_heartbeats_is_a_lower_bound(ledger, client):
    client.push(END - HOUR_MS, [("ada", START)])
    assert bounds(ledger) == (1, None)


def test_heartbeats_without_declared_producers_prove_nothing(ledger):
    whole(Client(ledger, producers=()), ("ada", START))
    assert bounds(ledger) == (1, None)


def test_a_producer_that_began_within_the_cycle_proves_the_rest_only(ledger, client):
    client.push(START + HOUR_MS, [("ada", START + HOUR_MS)], through_ms=START + HOUR_MS)
    client.push(LATE, through_ms=LATE)
    said = stated(ledger)
    assert (said.bounds.lower, said.bounds.upper) == (1, None)
    assert said.unbounded == ("PushGap",)


def test_the_heartbeat_of_one_replica_proves_nothing_of_another(ledger):
    both = ("/shop/0", "/shop/1")
    first, second = Client(ledger, "/shop/0", both), Client(ledger, "/shop/1", both)
    second.push(START - MINUTE_MS, through_ms=START - MINUTE_MS)
    whole(first, ("ada", START))
    assert bounds(ledger) == (1, None)
    second.push(LATE, [("ben", START)], through_ms=LATE)
    assert bounds(ledger) == (2, 2)


def test_events_that_are_sent_twice_count_once(ledger, client):
    events = [("ada", START), ("ben", START + DAY_MS)]
    client.push(START - MINUTE_MS, through_ms=START - MINUTE_MS)
    client.push(END - HOUR_MS, events)
    client.push(END - HOUR_MS, events[1:])  # half of the batch again
    client.push(LATE, events, through_ms=LATE)
    assert bounds(ledger) == (2, 2)


def test_a_request_whose_answer_was_lost_is_sent_again_and_nothing_is_doubled(ledger, client):
    client.push(START - MINUTE_MS, through_ms=START - MINUTE_MS)
    before = client.receipt
    client.push(END - HOUR_MS, [("ada", START)])
    client.receipt = before  # it died before it could keep the answer
    client.push(END - HOUR_MS, [("ada", START), ("ben", START)])
    client.push(LATE, through_ms=LATE)
    assert bounds(ledger) == (2, 2)


def test_a_restored_ledger_does_not_prove_what_another_one_was_told(ledger, client):
    client.push(START - MINUTE_MS, through_ms=START - MINUTE_MS)
    client.receipt = "of the ledger that was lost"
    refused = client.push(END - HOUR_MS, [("ada", START)])
    assert isinstance(refused, PushRefusedError)
    assert refused.reason is Reason.PUSH_RECEIPT_UNKNOWN
    client.push(END - HOUR_MS, [("ada", START)], through_ms=END - HOUR_MS, given=None)
    client.push(LATE, through_ms=LATE)
    assert bounds(ledger) == (1, None)


def test_a_refused_request_leaves_nothing(ledger, client):
    whole(client)
    client.push(LATE, [("ada", START)], given="unknown")
    client.push(LATE, [("ada", START)], through_ms=START)
    assert bounds(ledger) == (0, 0)


def test_an_event_of_a_time_that_was_told_ends_the_proof(ledger, client):
    client.push(START - MINUTE_MS, through_ms=START - MINUTE_MS)
    client.push(START + 2 * HOUR_MS, through_ms=START + 2 * HOUR_MS)
    client.push(START + 3 * HOUR_MS, [("ada", START + HOUR_MS)])
    client.push(LATE, through_ms=LATE)
    said = stated(ledger)
    assert (said.bounds.lower, said.bounds.upper) == (1, None)
    assert said.unbounded[0] == "ActivityLost"
    assert "completeThrough" in said.refuted[0]


def test_an_event_of_a_closed_day_that_was_told_ends_the_proof(ledger, client):
    whole(client)
    client.push(LATE + MINUTE_MS, [("ada", START + HOUR_MS)])
    assert bounds(ledger) == (1, None)


def test_the_same_event_again_after_a_heartbeat_is_harmless(ledger, client):
    whole(client, ("ada", START + HOUR_MS))
    client.push(LATE + MINUTE_MS, [("ada", START + HOUR_MS)])
    assert bounds(ledger) == (1, 1)


def test_a_producer_that_is_not_declared_counts_and_ends_the_proof(ledger, client):
    whole(client, ("ada", START))
    stranger = Client(ledger, "/elsewhere/of/eve")
    assert stranger.push(LATE + MINUTE_MS, [("eve", START)]) == ""
    said = stated(ledger)
    assert (said.bounds.lower, said.bounds.upper) == (2, None)
    assert any("push.producers does not name" in words for words in said.refuted)
    assert "/elsewhere" not in "".join(said.refuted)


def test_a_corrected_declaration_is_believed_anew(ledger, client):
    client.push(START - MINUTE_MS, through_ms=START - MINUTE_MS)
    client.push(START + HOUR_MS, [("ada", START)])
    Client(ledger, "/shop/1").push(START + HOUR_MS, [("eve", START)])
    client.declaration = "d2"
    client.push(LATE + MINUTE_MS, through_ms=LATE + MINUTE_MS)
    assert bounds(ledger, replace(DECLARED, declaration="d2")) == (2, 2)


def test_a_late_heartbeat_closes_the_cycle_before(ledger, client):
    client.push(START - MINUTE_MS, through_ms=START - MINUTE_MS)
    client.push(END - HOUR_MS, [("ada", START)])
    client.push(LATE, [("ben", END + MINUTE_MS)])
    assert ledger.store_states(1, CYCLE)[APP].ended & CYCLE.ended_by(END) == 0
    client.push(LATE + HOUR_MS, through_ms=LATE)
    assert bounds(ledger) == (1, 1)
    assert COMING in {record.cycle for record in ledger.cycles(1)}


def test_one_source_that_cannot_be_recorded_stops_no_other(ledger, client):
    client.push(START + HOUR_MS, [("ada", START)], key="k" * 32)
    with pytest.raises(Stalled) as caught:
        client.push(START + HOUR_MS, [("ada", START)], key="l" * 32)
    assert caught.value.reason == Reason.PSEUDONYM_KEY_CHANGED


def test_of_producers_only_their_declared_names_are_kept(ledger, client, path):
    whole(client, ("ada", START))
    Client(ledger, "/u/eve@example.org").push(LATE, [("eve", START)])
    with closing(sqlite3.connect(path)) as reader:
        kept = reader.execute("select producer from push_producers").fetchall()
        assert kept == [("/shop/0",)]
        assert "eve@" not in "\n".join(reader.iterdump())


@pytest.mark.parametrize(("speaking", "observed"), [(1, 0), (2, 3600)])
def test_a_source_is_observed_up_to_its_slowest_producer(ledger, speaking, observed):
    both = ("/shop/0", "/shop/1")
    clients = [Client(ledger, name, both) for name in both]
    for client in clients:
        client.push(START, through_ms=START)
    for minute in (20, 40, 60):
        at_ms = START + minute * MINUTE_MS
        for client in clients[:speaking]:
            client.push(at_ms, through_ms=at_ms)
    said = ledger.statement(1, CYCLE, sources=[DECLARED], as_of_ms=START + HOUR_MS)
    assert said.coverage.observed_seconds == observed
