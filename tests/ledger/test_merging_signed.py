"""The merge of a ledger that is a later state of this one brings back what was signed, too."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from licenseusage.controller.steps.enrolling import take_over
from licenseusage.ledger.documents.records import FORKED, HISTORY_LOST, Recovered
from licenseusage.ledger.records import CycleState
from licenseusage.ledger.upkeep.checking import Level, check_ledger
from licenseusage.ledger.upkeep.merging import merge_ledgers
from licenseusage.ledger.upkeep.snapshot import restore
from licenseusage.reports.report import read_report
from tests.ledger import book
from tests.ledger.conftest import CYCLE, END, HOUR_MS, MINUTE_MS, START, TERMS

NOW = END + 12 * HOUR_MS


@pytest.fixture
def former(path):
    """A cycle with an interim, a backup, the final, and a part of the next cycle."""
    with book.opened(path) as ledger:
        book.begin(ledger)
        book.count(ledger, START + HOUR_MS, "ada", "bob")
        book.interim(ledger, 0, START + 2 * HOUR_MS)
        book.accept_all(ledger, START + 2 * HOUR_MS)
    shutil.copy(path, path.with_name("backup.db"))
    with book.opened(path) as ledger:
        book.count(ledger, CYCLE.end_ms + 2 * MINUTE_MS, "ada", "bob", "eve")
        book.final(ledger)
        book.count(ledger, END + HOUR_MS, "ada", cycle=TERMS.cycle(1))
    return path


@pytest.fixture
def restored(former):
    """The backup in the ledger's place; what was there before is kept aside."""
    done = restore(former.with_name("backup.db"), former, now_ms=NOW)
    assert done.aside is not None
    return former, done.aside


def tokens(ledger):
    return [item.token for item in reversed(ledger.reports(1))]


def test_a_restored_ledger_knows_which_report_it_lacks(restored):
    path, aside = restored
    with book.opened(path) as ledger:
        state = ledger.chain(book.CHAIN.id)
        assert (state.stopped, [link.sequence for link in state.lost]) == (HISTORY_LOST, [2])
        assert ledger.cycles(1)[-1].state is CycleState.OPEN
    with book.opened(aside) as ledger:
        assert state.lost == (ledger.chain(book.CHAIN.id).head,)


def test_the_merge_of_the_former_ledger_lifts_the_stop_by_itself(restored):
    path, aside = restored
    done = merge_ledgers(aside, path, now_ms=NOW)
    assert (done.documents, done.resumed) == (1, 1)
    with book.opened(aside) as newer, book.opened(path) as ledger:
        assert tokens(ledger) == tokens(newer), "byte for byte"
        assert ledger.chain(book.CHAIN.id).stopped is None
        assert ledger.cycles(1)[-1].statement == newer.cycles(1)[-1].statement
        assert [i.state for i in ledger.reports(1)] == [i.state for i in newer.reports(1)]
        assert ledger.claim(NOW) is not None, "what was signed and not sent is sent"
    assert {each.level for each in check_ledger(path)} == {Level.GOOD}


def test_the_next_report_says_that_the_chain_goes_on_after_a_loss(restored):
    path, aside = restored
    merge_ledgers(aside, path, now_ms=NOW)
    with book.opened(path) as ledger:
        following = TERMS.cycle(1)
        at_ms = following.end_ms + 2 * MINUTE_MS
        book.count(ledger, at_ms, "ada", cycle=following)
        book.final(ledger, following)
        book.count(ledger, at_ms + HOUR_MS, "ada", cycle=TERMS.cycle(2))
        book.final(ledger, TERMS.cycle(2))
        continuity = [read_report(token).envelope.continuity for token in tokens(ledger)]
    assert continuity == ["Start", "Continues", "Restored", "Continues"]


def test_a_second_merge_changes_nothing(restored):
    path, aside = restored
    merge_ledgers(aside, path, now_ms=NOW)
    done = merge_ledgers(aside, path, now_ms=NOW)
    assert (done.documents, done.resumed, done.users) == (0, 0, 0)


def test_a_merge_that_does_not_bring_the_newest_report_lifts_nothing(restored, former):
    path, _ = restored
    done = merge_ledgers(former.with_name("backup.db"), path, now_ms=NOW)
    assert (done.documents, done.resumed) == (0, 0)
    with book.opened(path) as ledger:
        assert ledger.chain(book.CHAIN.id).stopped == HISTORY_LOST


def test_a_decision_that_was_made_meanwhile_gives_way_to_the_final_that_was_signed(restored):
    path, aside = restored
    with book.opened(path) as ledger:
        statement = ledger.statement(1, CYCLE, sources=[], as_of_ms=END)
        ledger.begin_close(1, CYCLE, reason="GraceOver", statement=statement, now_ms=NOW)
    merge_ledgers(aside, path, now_ms=NOW)
    with book.opened(path) as ledger:
        assert ledger.cycles(1)[-1].statement.bounds.lower == 3


def test_a_chain_that_another_history_is_known_of_stays_as_it_is(restored):
    path, aside = restored
    merged = path.with_name("forked.db")
    shutil.copy(path.with_name("backup.db"), merged)
    with book.opened(merged) as ledger:
        ledger.stop_chain(book.CHAIN.id, FORKED, NOW, key_chain_id=book.CHAIN.key_chain_id)
    done = merge_ledgers(aside, merged, now_ms=NOW)
    assert done.documents == 0
    assert "it is stopped (ChainForked)" in done.skipped[0]


def test_two_histories_are_told_and_each_ledger_keeps_its_own(former):
    other = former.with_name("other.db")
    shutil.copy(former.with_name("backup.db"), other)
    with book.opened(other) as ledger:
        book.count(ledger, CYCLE.end_ms + 2 * MINUTE_MS, "ada", "bob")
        book.final(ledger)
        before = tokens(ledger)
    done = merge_ledgers(former, other, now_ms=NOW)
    assert "different documents at position 2" in done.skipped[0]
    with book.opened(other) as ledger:
        assert tokens(ledger) == before
        assert ledger.cycles(1)[-1].statement.bounds.lower == 2


def test_what_another_installation_has_signed_is_its_own(former):
    other = former.with_name("other.db")
    with book.opened(other) as ledger:
        ledger.ensure_meter(ledger_meter(former), START)
        ledger.keep_terms(1, TERMS, START)
        book.count(ledger, START + HOUR_MS, "ada")
    done = merge_ledgers(former, other, now_ms=NOW)
    assert done.documents == 0
    assert len(done.skipped) == 2, "the chain of keys, and that of reports"
    assert all("another installation" in why for why in done.skipped)
    with book.opened(other) as ledger:
        assert ledger.cycles(1)[-1].state is CycleState.OPEN
        assert book.lower(ledger) == 3, "its facts count all the same"


def ledger_meter(path):
    with book.opened(path) as ledger:
        return ledger.meters()[0].key


@pytest.fixture
def enrolled_later(path):
    """A backup from before the enrolment, in the place of a ledger that holds it."""
    with book.opened(path):
        pass
    shutil.copy(path, path.with_name("backup.db"))
    with book.opened(path) as ledger:
        book.begin(ledger)
        statements = [item.token for item in ledger.key_statements(book.CHAIN.key_chain_id)]
    done = restore(path.with_name("backup.db"), path, now_ms=NOW)
    with book.opened(path) as ledger:
        take_over(ledger, book.CHAIN.key_chain_id, statements, NOW)
        assert ledger.chain(book.CHAIN.key_chain_id).stopped == HISTORY_LOST
    return path, done.aside


def stopped(path):
    with book.opened(path) as ledger:
        return ledger.chain(book.CHAIN.key_chain_id).stopped


def test_a_ledger_that_knows_what_was_signed_under_an_enrolment_lets_chains_begin(enrolled_later):
    path, aside = enrolled_later
    assert merge_ledgers(aside, path, now_ms=NOW).resumed == 1
    assert stopped(path) is None
    assert merge_ledgers(aside, path, now_ms=NOW).resumed == 0


def test_a_ledger_that_knows_no_more_of_an_enrolment_lets_no_chain_begin(enrolled_later):
    path, _ = enrolled_later
    other = path.with_name("other.db")
    shutil.copy(path, other)
    assert merge_ledgers(other, path, now_ms=NOW).resumed == 0
    assert stopped(path) == HISTORY_LOST


def test_a_ledger_without_an_enrolment_lets_no_chain_begin(enrolled_later):
    path, _ = enrolled_later
    assert merge_ledgers(path.with_name("backup.db"), path, now_ms=NOW).resumed == 0
    assert stopped(path) == HISTORY_LOST


def commitments(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("select jti, salt, users from commitments").fetchall()


def test_a_merge_brings_to_whom_finals_commit(restored):
    path, aside = restored
    merge_ledgers(aside, path, now_ms=NOW)
    assert commitments(path) == commitments(aside) != []
    assert {each.level for each in check_ledger(path)} == {Level.GOOD}


def test_a_merge_brings_to_whom_a_final_commits_that_came_back_without_it(restored):
    path, aside = restored
    with book.opened(path) as ledger, book.opened(aside) as before:
        lost = [Recovered(read_report(before.reports(1)[0].token))]
        ledger.take_over(1, book.CHAIN, lost, NOW, interim_ms=HOUR_MS)
    assert commitments(path) == []
    merge_ledgers(aside, path, now_ms=NOW)
    assert commitments(path) == commitments(aside) != []


def test_a_ledger_whose_reports_stay_where_they_are_lets_no_chain_begin(enrolled_later):
    path, aside = enrolled_later
    with book.opened(aside) as ledger:
        book.count(ledger, START + HOUR_MS, "ada")
        book.final(ledger)
    with book.opened(path) as ledger:
        ledger.stop_chain(book.CHAIN.id, FORKED, NOW, key_chain_id=book.CHAIN.key_chain_id)
    done = merge_ledgers(aside, path, now_ms=NOW)
    assert (done.documents, done.resumed) == (0, 0)
    assert stopped(path) == HISTORY_LOST


def test_a_second_restore_does_not_forget_what_the_first_one_had_lost(restored):
    path, _ = restored
    done = restore(path.with_name("backup.db"), path, now_ms=NOW + HOUR_MS)
    assert [(chain.in_backup, chain.made) for chain in done.moved_on] == [(1, 2)]
    with book.opened(path) as ledger:
        state = ledger.chain(book.CHAIN.id)
        assert (state.stopped, [link.sequence for link in state.lost]) == (HISTORY_LOST, [2])
