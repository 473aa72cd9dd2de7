"""Pods that keep logs of their own: a sighting stands until every pod has answered with one log."""

import shutil
from dataclasses import replace

import pytest

from licenseusage.errors import Failure
from licenseusage.ledger.upkeep.checking import Level, check_ledger
from licenseusage.ledger.upkeep.merging import merge_ledgers
from licenseusage.metering.cycles import DAY_MS
from licenseusage.metering.events import LogPosition, LogReading, Range
from licenseusage.metering.facts import Facts
from licenseusage.metering.properties import Guarantee
from tests.ledger import book
from tests.ledger.conftest import CYCLE, END, HOUR_MS, MINUTE_MS, START, TERMS, poll, user
from tests.ledger.test_logs import EXACT, LOG, SOURCE

SECOND = TERMS.cycle(1)
THIRD = TERMS.cycle(2)


def of_log(at_ms, **more):
    """A poll that says nothing of any cycle."""
    made = poll(at_ms, {}, store=LOG, properties=EXACT)
    return replace(made, facts={}, complete=False, listed=None, provisioned=None, **more)


def sighted(at_ms, **more):
    return of_log(at_ms, failure=Failure("SeveralLogs", "two logs"), one_log=False, **more)


def whole(cycle, *, one_log=None, declaration="", at_ms=None):
    """A poll after a cycle's end that read the log from before its start, alone or with others."""
    until = LogPosition("main-queue", "2026-01-01T00:00:00Z", cycle.index + 1, START, cycle.end_ms)
    read = LogReading(None, until, (Range(cycle.start_ms - HOUR_MS, cycle.end_ms),), (), False)
    facts = Facts(sure={user("ada"): 1 << 62 | 1})
    at_ms = cycle.end_ms + HOUR_MS if at_ms is None else at_ms
    facts.ended = cycle.ended_by(at_ms - MINUTE_MS)
    record = of_log(at_ms, one_log=one_log, declaration=declaration)
    return replace(record, facts={cycle: facts}, readings={cycle: read}, complete=True)


def record(ledger, *polls):
    for each in polls:
        ledger.record_poll(each, each.ended_ms)


def stated(ledger, cycle=CYCLE, source=SOURCE):
    return ledger.statement(1, cycle, sources=[source], as_of_ms=cycle.end_ms)


def bounds(ledger, cycle=CYCLE, source=SOURCE):
    found = stated(ledger, cycle, source).bounds
    return found.lower, found.upper


def standing(ledger):
    return [one.guarantee for one in ledger.refuted(1)]


def test_one_log_that_answers_alone_at_the_end_proves_nothing_beside_one_seen_before(ledger):
    record(ledger, sighted(START + HOUR_MS), whole(CYCLE))
    found = stated(ledger)
    assert (found.bounds.lower, found.bounds.upper) == (1, None)
    assert found.unbounded == ("SeveralLogs",)
    assert found.words == (
        "at least 1: pods of one source each kept an event log of their own, and none of these "
        "holds all events"
    )
    (words,) = found.refuted
    assert words.startswith("source events: pods that it selects each kept an event log of their ")
    assert "Make a source for each pod" in words
    assert standing(ledger) == [Guarantee.ONE_LOG]


def test_without_a_sighting_it_is_exact(ledger):
    record(ledger, whole(CYCLE))
    assert bounds(ledger) == (1, 1)


def test_a_pod_that_stays_unreachable_does_so_in_the_second_month_too(ledger):
    record(ledger, sighted(START + HOUR_MS), whole(CYCLE), whole(SECOND), whole(THIRD))
    assert [bounds(ledger, one) for one in (CYCLE, SECOND, THIRD)] == [(1, None)] * 3


def test_once_every_pod_has_answered_with_one_log_the_next_cycle_is_exact_again(ledger):
    """A split of seconds costs the bound of the cycle in which it was seen."""
    at = START + HOUR_MS
    record(ledger, sighted(at), of_log(at + MINUTE_MS, one_log=True), whole(CYCLE), whole(SECOND))
    assert bounds(ledger) == (1, None)
    assert stated(ledger).refuted
    assert bounds(ledger, SECOND) == (1, 1)
    assert stated(ledger, SECOND).refuted == ()
    assert standing(ledger) == []


def test_seen_only_while_the_ended_cycle_waits_to_be_closed(ledger):
    record(ledger, sighted(END + MINUTE_MS), whole(CYCLE))
    assert bounds(ledger) == (1, None)


def test_seen_again_after_that_it_stands_again(ledger):
    at = START + HOUR_MS
    record(ledger, sighted(at), of_log(at + MINUTE_MS, one_log=True), sighted(END + 3 * HOUR_MS))
    record(ledger, whole(SECOND))
    assert bounds(ledger, SECOND) == (1, None)
    assert standing(ledger) == [Guarantee.ONE_LOG]


def test_seen_many_times_it_is_kept_once(ledger):
    record(ledger, *(sighted(START + n * MINUTE_MS) for n in range(5)))
    (one,) = ledger.refuted(1)
    assert one.at_ms == START + 4 * MINUTE_MS


class TestAnotherDeclaration:
    """What is declared otherwise is believed anew; the cycle in which they were seen stays so."""

    OTHER = replace(SOURCE, declaration="two")

    def test_lifts_it_with_a_poll_that_tells_something(self, ledger):
        record(ledger, sighted(START + HOUR_MS), whole(CYCLE, declaration="two"))
        assert standing(ledger) == []
        assert bounds(ledger, source=self.OTHER) == (1, None)
        later = whole(THIRD, declaration="two")
        record(ledger, later)
        assert bounds(ledger, THIRD, self.OTHER) == (1, 1)

    def test_does_not_lift_what_is_seen_again_under_it(self, ledger):
        record(ledger, sighted(START + HOUR_MS), sighted(START + 2 * HOUR_MS, declaration="two"))
        record(ledger, whole(CYCLE, declaration="two"), whole(THIRD, declaration="two"))
        assert bounds(ledger, THIRD, self.OTHER) == (1, None)
        assert [one.declaration for one in ledger.refuted(1)] == ["two"]


def test_another_source_keeps_its_bound(ledger):
    other = replace(SOURCE, store=LOG._replace(source="other"))
    record(ledger, sighted(START + HOUR_MS), replace(whole(CYCLE), store=other.store))
    assert bounds(ledger, source=other) == (1, 1)


def test_a_restart_forgets_nothing(ledger, reopen):
    record(ledger, sighted(START + HOUR_MS))
    ledger = reopen()
    record(ledger, whole(CYCLE))
    assert bounds(ledger) == (1, None)


@pytest.mark.parametrize("ours_first", [True, False])
def test_a_merge_knows_what_either_ledger_has_seen(path, ours_first):
    other = path.with_name("other.db")
    with book.opened(path) as ledger:
        book.begin(ledger)
        record(ledger, sighted(START + HOUR_MS))
    shutil.copy(path, other)
    with book.opened(path) as ledger:
        record(ledger, of_log(START + 2 * HOUR_MS, one_log=True), whole(SECOND))
    with book.opened(other) as ledger:
        record(ledger, of_log(START + 3 * HOUR_MS, one_log=True), sighted(START + DAY_MS))
    given, taken = (path, other) if ours_first else (other, path)
    for _ in range(2):
        merge_ledgers(given, taken, now_ms=SECOND.end_ms + DAY_MS)
    with book.opened(taken) as ledger:
        assert [one.at_ms for one in ledger.refuted(1)] == [START + DAY_MS]
        assert bounds(ledger, SECOND) == (1, None)
        record(ledger, of_log(SECOND.end_ms + DAY_MS, one_log=True))
        assert standing(ledger) == []
    merge_ledgers(given, taken, now_ms=SECOND.end_ms + 2 * DAY_MS)
    with book.opened(taken) as ledger:
        assert standing(ledger) == [], "what one of them has lifted stays lifted"
    assert {one.level for one in check_ledger(taken)} == {Level.GOOD}


@pytest.mark.parametrize("ours_first", [True, False])
def test_of_two_ledgers_that_lifted_it_the_later_one_counts(path, ours_first):
    """Until then the earlier ledger's successor had not seen all pods agree."""
    other = path.with_name("other.db")
    with book.opened(path) as ledger:
        book.begin(ledger)
        record(ledger, sighted(START + HOUR_MS))
    shutil.copy(path, other)
    for file, at in ((path, START + 2 * HOUR_MS), (other, SECOND.start_ms + HOUR_MS)):
        with book.opened(file) as ledger:
            record(ledger, of_log(at, one_log=True), whole(SECOND))
    given, taken = (path, other) if ours_first else (other, path)
    merge_ledgers(given, taken, now_ms=SECOND.end_ms + DAY_MS)
    with book.opened(taken) as ledger:
        assert bounds(ledger, SECOND) == (1, None)


@pytest.mark.parametrize("ours_first", [True, False])
def test_what_one_ledger_saw_after_another_had_lifted_it_stands(path, ours_first):
    """Both began with one sighting, so that the second one is seen while the first stands."""
    other = path.with_name("other.db")
    with book.opened(path) as ledger:
        book.begin(ledger)
        record(ledger, sighted(START + HOUR_MS))
    shutil.copy(path, other)
    with book.opened(path) as ledger:
        record(ledger, of_log(START + 2 * HOUR_MS, one_log=True), whole(SECOND))
    with book.opened(other) as ledger:
        record(ledger, sighted(START + DAY_MS))
    given, taken = (path, other) if ours_first else (other, path)
    for _ in range(2):
        merge_ledgers(given, taken, now_ms=SECOND.end_ms + DAY_MS)
    with book.opened(taken) as ledger:
        assert standing(ledger) == [Guarantee.ONE_LOG]
        assert bounds(ledger, SECOND) == (1, None)


@pytest.mark.parametrize("ours_first", [True, False])
def test_what_one_ledger_saw_before_another_lifted_it_is_past(path, ours_first):
    other = path.with_name("other.db")
    with book.opened(path) as ledger:
        book.begin(ledger)
        record(ledger, sighted(START + HOUR_MS))
    shutil.copy(path, other)
    with book.opened(path) as ledger:
        record(ledger, of_log(START + 2 * DAY_MS, one_log=True), whole(SECOND))
    with book.opened(other) as ledger:
        record(ledger, sighted(START + DAY_MS))
    given, taken = (path, other) if ours_first else (other, path)
    merge_ledgers(given, taken, now_ms=SECOND.end_ms + DAY_MS)
    with book.opened(taken) as ledger:
        assert standing(ledger) == []
        assert bounds(ledger, SECOND) == (1, 1)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_in_whichever_order_ledgers_are_united_the_same_stands(path, order):
    files = [path.with_name(f"{number}.db") for number in range(3)]
    with book.opened(path) as ledger:
        book.begin(ledger)
        record(ledger, sighted(START + HOUR_MS))
    for file in files:
        shutil.copy(path, file)
    polls = (
        of_log(START + 2 * HOUR_MS, one_log=True),
        sighted(START + 3 * HOUR_MS),
        of_log(START + 4 * HOUR_MS, one_log=True),
    )
    for file, made in zip(files, polls, strict=True):
        with book.opened(file) as ledger:
            record(ledger, made)
    for number in order:
        merge_ledgers(files[number], path, now_ms=SECOND.end_ms)
    with book.opened(path) as ledger:
        record(ledger, whole(SECOND))
        assert (standing(ledger), bounds(ledger, SECOND)) == ([], (1, 1))
