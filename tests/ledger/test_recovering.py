"""Reports that were found again become the ledger's, and what they said is never contradicted."""

import shutil
from dataclasses import replace

import pytest

from licenseusage.ledger.documents.records import (
    HISTORY_LOST,
    Delivery,
    Recovered,
)
from licenseusage.ledger.documents.recovering import NotWholeError
from licenseusage.ledger.records import CycleState
from licenseusage.ledger.upkeep.checking import Level, check_ledger
from licenseusage.ledger.upkeep.snapshot import restore
from licenseusage.metering.coverage import FACTS_LOST
from licenseusage.metering.cycles import Cycle
from licenseusage.reports.keys import SigningKey
from licenseusage.reports.receipt import (
    ReceiptInput,
    ReceiptVerdict,
    Sent,
    build_receipt,
    stored_receipt,
)
from licenseusage.reports.report import read_report
from tests.ledger import book
from tests.ledger.conftest import CYCLE, END, HOUR_MS, MINUTE_MS, START, TERMS, declared
from tests.ledger.test_transactions import assert_crashes_change_nothing

NOW = END + 30 * HOUR_MS
DAY_MS = 24 * HOUR_MS
SECOND = TERMS.cycle(1)
_RECEIPT_KEY = SigningKey.from_seed(bytes(32))


@pytest.fixture
def lost(path):
    """Tokens of a ledger that went on after its backup: final 2, an interim of the next cycle.

    What is at ``path`` is the backup, restored.
    """
    with book.opened(path) as ledger:
        book.begin(ledger)
        book.count(ledger, START + HOUR_MS, "ada", "bob")
        book.interim(ledger, 0, START + 2 * HOUR_MS)
        book.accept_all(ledger, START + 2 * HOUR_MS)
    backup = path.with_name("backup.db")
    shutil.copy(path, backup)
    with book.opened(path) as ledger:
        book.count(ledger, CYCLE.end_ms + 2 * MINUTE_MS, "ada", "bob", "eve")
        book.final(ledger)
        book.count(ledger, END + HOUR_MS, "ada", "bob", cycle=SECOND)
        statement = ledger.statement(1, SECOND, sources=[declared()])
        signing = book.Signing(book.CHAIN, book.ISSUER.sign, END + 2 * HOUR_MS)
        ledger.add_interim(1, 0, statement, END + 2 * HOUR_MS, signing)
        tokens = [item.token for item in reversed(ledger.reports(1))]
    restore(backup, path, now_ms=NOW)
    return tokens


def receipt(token, verdict=ReceiptVerdict.ACCEPTED, error=None, head="own"):
    sent = Sent.from_token(token)
    made = ReceiptInput(
        vendor=sent.vendor,
        installation=sent.installation,
        subscription=sent.subscription,
        receipt_id="r-1",
        issued_at_s=NOW // 1000,
        received_at_s=NOW // 1000,
        verdict=verdict,
        subject=sent.subject,
        chain_id=sent.chain_id,
        head=sent.subject.link if head == "own" else head,
        error=error,
    )
    return stored_receipt(build_receipt(made, _RECEIPT_KEY))


def recovered(*tokens, receipts=()):
    by_position = dict(receipts)
    reports = [read_report(token) for token in tokens]
    return [Recovered(each, by_position.get(each.envelope.sequence)) for each in reports]


def take_over(ledger, documents):
    ledger.take_over(1, book.CHAIN, documents, NOW, interim_ms=DAY_MS)


def test_the_reports_are_taken_over_byte_for_byte_and_the_chain_goes_on(path, lost):
    with book.opened(path) as ledger:
        take_over(ledger, recovered(*lost[1:]))
        assert [item.token for item in reversed(ledger.reports(1))] == lost
        state = ledger.chain(book.CHAIN.id)
        assert (state.stopped, state.head, state.resumed) == (None, state.lost[-1], state.head)
    assert {each.level for each in check_ledger(path)} == {Level.GOOD}


def test_what_was_signed_and_not_sent_is_sent(path, lost):
    with book.opened(path) as ledger:
        take_over(ledger, recovered(*lost[1:]))
        assert [item.state for item in ledger.reports(1)][:2] == [Delivery.PENDING] * 2
        assert ledger.claim(NOW).token == lost[1], "oldest first"


def test_what_was_accepted_is_accepted_and_a_head_covers_what_is_before_it(path, lost):
    newest = receipt(lost[2])
    with book.opened(path) as ledger:
        take_over(ledger, recovered(*lost[1:], receipts={3: newest}))
        third, second, _ = ledger.reports(1)
        assert (third.state, third.receipt) == (Delivery.ACCEPTED, newest.token)
        assert (second.state, second.reason) == (Delivery.ACCEPTED, "AcknowledgedByHead")
        assert ledger.chain(book.CHAIN.id).acknowledged == third.link
        assert ledger.claim(NOW) is None


def test_a_signed_refusal_stays_one(path, lost):
    refusal = receipt(lost[1], ReceiptVerdict.REJECTED, "CycleMismatch", head=None)
    with book.opened(path) as ledger:
        take_over(ledger, recovered(*lost[1:], receipts={2: refusal}))
        final = ledger.reports(1)[1]
        assert (final.state, final.reason, final.refused) == (
            Delivery.REJECTED,
            "CycleMismatch",
            True,
        )


def test_a_cycle_is_final_with_the_numbers_of_its_report(path, lost):
    """Whatever was decided about it from fewer facts meanwhile."""
    with book.opened(path) as ledger:
        fewer = ledger.statement(1, CYCLE, sources=[declared()], as_of_ms=END)
        ledger.begin_close(1, CYCLE, reason="GraceOver", statement=fewer, now_ms=NOW)
        take_over(ledger, recovered(*lost[1:]))
        (record,) = [each for each in ledger.cycles(1) if each.cycle == CYCLE]
        assert fewer.bounds.lower == 2
        assert record.state is CycleState.FINAL
        assert record.stated.bounds == record.statement.bounds
        assert (record.statement.bounds.lower, record.statement.bounds.upper) == (3, 3)
        assert record.statement.active_text == ledger.reports(1)[1].active_text == "3"


def test_a_reported_lower_bound_does_not_fall(path, lost):
    with book.opened(path) as ledger:
        ledger.ensure_cycle(1, SECOND, NOW)
        before = ledger.statement(1, SECOND, sources=[declared()])
        take_over(ledger, recovered(*lost[1:]))
        after = ledger.statement(1, SECOND, sources=[declared()])
        said = read_report(lost[2]).content
        assert (before.bounds.lower, after.bounds.lower) == (0, said.active_users)
        assert after.as_of_ms == 1000 * said.cycle.as_of_s, "and not for an earlier time"
        at_end = ledger.statement(1, SECOND, sources=[declared()], as_of_ms=SECOND.end_ms)
        assert at_end.bounds.lower == 2
        assert at_end.daily[0] == 2


def test_who_is_counted_again_is_not_counted_twice(path, lost):
    with book.opened(path) as ledger:
        take_over(ledger, recovered(*lost[1:]))
        book.count(ledger, END + 20 * HOUR_MS, "ada", cycle=SECOND)
        assert ledger.statement(1, SECOND, sources=[declared()]).bounds.lower == 2
        book.count(ledger, END + 21 * HOUR_MS, "ada", "bob", "eve", cycle=SECOND)
        assert ledger.statement(1, SECOND, sources=[declared()]).bounds.lower == 3


def test_the_time_that_was_observed_and_lost_is_a_gap_with_its_reason(path, lost):
    with book.opened(path) as ledger:
        take_over(ledger, recovered(*lost[1:]))
        book.count(ledger, END + 20 * HOUR_MS, "ada", "bob", cycle=SECOND)
        gaps = ledger.statement(1, SECOND, sources=[declared()]).coverage.gaps
    signed_s = read_report(lost[2]).envelope.issued_at_s
    assert (gaps[0].end_s, gaps[0].reason) == (signed_s, FACTS_LOST)
    assert all(gap.reason != FACTS_LOST for gap in gaps[1:])


def test_no_slot_of_interims_is_reported_twice(path, lost):
    with book.opened(path) as ledger:
        take_over(ledger, recovered(*lost[1:]))
        (record,) = [each for each in ledger.cycles(1) if each.cycle == SECOND]
        assert record.interim_slot == 0


def test_the_rules_of_a_cycle_are_those_that_its_interim_reported(path, lost):
    """So its final does not say other ones, and polls by other rules are a change of them."""
    with book.opened(path) as ledger:
        take_over(ledger, recovered(*lost[1:]))
        (running,) = [each for each in ledger.cycles(1) if each.cycle == SECOND]
        reported = read_report(lost[2]).content.rules
        assert (running.rules_digest, running.rules_changes) == (reported.digest, 0)


def test_the_next_report_is_restored(path, lost):
    with book.opened(path) as ledger:
        take_over(ledger, recovered(*lost[1:]))
        statement = ledger.statement(1, SECOND, sources=[declared()])
        signing = book.Signing(book.CHAIN, book.ISSUER.sign, NOW)
        item = ledger.add_interim(1, 1, statement, NOW, signing)
        envelope = read_report(item.token).envelope
        assert (envelope.sequence, envelope.continuity) == (4, "Restored")
        assert envelope.previous == read_report(lost[2]).envelope.digest


def test_what_has_a_hole_changes_nothing(path, lost):
    with book.opened(path) as ledger:
        before = ledger.chain(book.CHAIN.id), ledger.cycles(1)
        with pytest.raises(NotWholeError, match="missing"):
            take_over(ledger, recovered(lost[2]))
        assert (ledger.chain(book.CHAIN.id), ledger.cycles(1)) == before
        assert before[0].stopped == HISTORY_LOST


def test_a_cycle_of_other_terms_that_runs_beside_a_reported_one_is_not_joined_by_it(path, lost):
    other = Cycle(9, SECOND.start_ms + HOUR_MS, SECOND.end_ms + HOUR_MS)
    with book.opened(path) as ledger:
        ledger.ensure_cycle(1, other, NOW)
        with pytest.raises(NotWholeError, match="cycle 1 runs beside cycle 9 of other terms here"):
            take_over(ledger, recovered(*lost[1:]))
        assert len(ledger.reports(1)) == 1


def test_a_crash_at_any_statement_takes_nothing_over(path, lost):
    with book.opened(path) as ledger:
        assert_crashes_change_nothing(ledger, path, lambda: take_over(ledger, recovered(*lost[1:])))


def test_two_reports_of_one_position_change_nothing(path, lost):
    with book.opened(path) as ledger:
        final = Recovered(read_report(lost[1]))
        twin = replace(final.report.envelope, digest="sha256:" + "0" * 64)
        documents = [final, Recovered(replace(final.report, envelope=twin))]
        with pytest.raises(NotWholeError, match="position 2"):
            take_over(ledger, documents)
        assert len(ledger.reports(1)) == 1


def test_a_cycle_that_was_closed_without_its_final_is_not_closed_again(path, lost):
    with book.opened(path) as ledger:
        statement = ledger.statement(1, CYCLE, sources=[declared()], as_of_ms=END)
        ledger.begin_close(1, CYCLE, reason="GraceOver", statement=statement, now_ms=NOW)
        ledger.close_cycle(1, CYCLE, NOW)
        with pytest.raises(NotWholeError, match="closed without this final"):
            take_over(ledger, recovered(*lost[1:]))
        assert ledger.cycles(1)[-1].statement == statement
        assert len(ledger.reports(1)) == 1
        assert ledger.chain(book.CHAIN.id).stopped == HISTORY_LOST


def test_only_key_statements_are_sent_of_a_ledger_that_was_rebuilt_from_nothing(path, lost):
    """The ledger was lost with everything in it; the enrolment came back from beside the key."""
    for file in path.parent.glob("ledger.db*"):
        file.unlink()
    with book.opened(path) as ledger:
        book.begin(ledger)
        ledger.stop_chain(book.CHAIN.key_chain_id, HISTORY_LOST, NOW)
        take_over(ledger, recovered(*lost, receipts={1: receipt(lost[0])}))
        assert ledger.claim(NOW).chain_id == book.CHAIN.key_chain_id
        assert ledger.chain(book.CHAIN.key_chain_id).stopped == HISTORY_LOST


def test_reports_are_sent_of_a_chain_that_was_rebuilt_although_others_are_lost(path, lost):
    """The mark at the key statements stays for chains that were not resumed."""
    for file in path.parent.glob("ledger.db*"):
        file.unlink()
    with book.opened(path) as ledger:
        book.begin(ledger)
        ledger.stop_chain(book.CHAIN.key_chain_id, HISTORY_LOST, NOW)
        take_over(ledger, recovered(*lost, receipts={1: receipt(lost[0])}))
        book.accept_all(ledger, NOW)
        assert {item.state for item in ledger.reports(1)} == {Delivery.ACCEPTED}


def test_no_report_begins_a_chain_whose_history_is_lost_although_its_keys_are_known(path):
    """The mark at the key statements is for every chain of theirs that was not resumed."""
    with book.opened(path) as ledger:
        book.begin(ledger)
        book.count(ledger, START + HOUR_MS, "ada")
        book.interim(ledger, 0, START + 2 * HOUR_MS)
        ledger.stop_chain(book.CHAIN.key_chain_id, HISTORY_LOST, NOW)
        book.accept_all(ledger, NOW)
        (statement,) = ledger.key_statements(book.CHAIN.key_chain_id)
        (report,) = ledger.reports(1)
        assert (statement.state, report.state) == (Delivery.ACCEPTED, Delivery.PENDING)
