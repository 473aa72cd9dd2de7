"""A chain that forked goes on behind one branch; the other is kept, and its cycles end anew."""

import shutil
from dataclasses import replace

import pytest

from licenseusage.ledger.documents.records import (
    FORKED,
    HISTORY_LOST,
    Adoption,
    Delivery,
    DeliveryResult,
    ReportKind,
    SetAside,
)
from licenseusage.ledger.documents.recovering import NotWholeError
from licenseusage.ledger.records import CycleState
from licenseusage.ledger.upkeep.checking import Level, check_ledger
from licenseusage.metering.bounds import Bounds
from licenseusage.metering.statement import Uncertainty
from licenseusage.reports.names import Link, digest
from licenseusage.reports.report import read_report
from tests.ledger import book
from tests.ledger.conftest import CYCLE, END, HOUR_MS, MINUTE_MS, START, TERMS, declared
from tests.ledger.test_recovering import receipt, recovered
from tests.ledger.test_transactions import assert_crashes_change_nothing

NOW = END + 30 * HOUR_MS
DAY_MS = 24 * HOUR_MS
SECOND = TERMS.cycle(1)


@pytest.fixture
def forked(path):
    """Tokens of two branches: the other one, and that of the ledger at ``path``.

    Both begin with an interim. The other has the first cycle's final and an interim of the second
    cycle; ours has another final, of fewer people, which the vendor does not take.
    """
    with book.opened(path) as ledger:
        book.begin(ledger)
        book.count(ledger, START + HOUR_MS, "ada", "bob")
        book.interim(ledger, 0, START + 2 * HOUR_MS)
        book.accept_all(ledger, START + 2 * HOUR_MS)
    other = path.with_name("other.db")
    shutil.copy(path, other)
    with book.opened(other) as ledger:
        book.count(ledger, CYCLE.end_ms + 2 * MINUTE_MS, "ada", "bob", "eve")
        book.final(ledger)
        book.count(ledger, END + HOUR_MS, "ada", "bob", cycle=SECOND)
        interim(ledger)
        theirs = tokens(ledger)
    with book.opened(path) as ledger:
        book.count(ledger, CYCLE.end_ms + 2 * MINUTE_MS, "ada", "bob")
        book.final(ledger)
        item = ledger.claim(NOW)
        verdict = DeliveryResult(Delivery.CONFLICT, reason="ReportConflict", receipt="r")
        ledger.record_result(item, verdict, NOW)
        return theirs, tokens(ledger)


def interim(ledger, slot=0, at_ms=END + 2 * HOUR_MS):
    statement = ledger.statement(1, SECOND, sources=[declared()])
    return ledger.add_interim(
        1, slot, statement, at_ms, book.Signing(book.CHAIN, book.ISSUER.sign, at_ms)
    )


def tokens(ledger):
    return [item.token for item in ledger.key_statements(book.CHAIN.id)]


def adopt(ledger, history, *, acknowledged=None, others=(), receipts=()):
    adoption = Adoption(tuple(recovered(*history, receipts=receipts)), acknowledged, others)
    ledger.adopt(1, book.CHAIN, adoption, NOW, interim_ms=DAY_MS)


def first(ledger):
    (record,) = [each for each in ledger.cycles(1) if each.cycle == CYCLE]
    return record


def test_the_chain_is_the_named_branch_byte_for_byte_and_goes_on(path, forked):
    theirs, _ = forked
    with book.opened(path) as ledger:
        assert ledger.chain(book.CHAIN.id).stopped == "ReportConflict"
        adopt(ledger, theirs)
        state = ledger.chain(book.CHAIN.id)
        assert tokens(ledger) == theirs
        assert (state.stopped, state.resumed, state.adopted) == (None, state.head, (state.head,))
        envelope = read_report(interim(ledger, 1, NOW).token).envelope
        assert (envelope.sequence, envelope.continuity) == (4, "Restored")
        assert envelope.previous == digest(theirs[-1])
    assert {each.level for each in check_ledger(path)} == {Level.GOOD}


def test_what_was_signed_beside_it_is_kept_and_never_sent(path, forked):
    theirs, ours = forked
    with book.opened(path) as ledger:
        adopt(ledger, theirs, receipts={3: receipt(theirs[2])})
        assert [each.token for each in ledger.set_aside(book.CHAIN.id)] == [ours[1]]
        assert ledger.claim(NOW + DAY_MS) is None


def test_what_exists_elsewhere_and_is_in_no_history_is_kept_too(path, forked):
    theirs, _ = forked
    unseen = SetAside(Link(7, "sha256:" + "7" * 64))
    with book.opened(path) as ledger:
        ledger.stop_chain(book.CHAIN.id, FORKED, NOW, lost=unseen.link)
        adopt(ledger, theirs, others=(unseen,))
        aside = ledger.set_aside(book.CHAIN.id)
        assert [each.link.sequence for each in aside] == [2, 7]
        assert ledger.chain(book.CHAIN.id).lost == (), "nothing is missing of this history"


def test_a_cycle_is_what_its_final_in_the_history_says(path, forked):
    theirs, _ = forked
    with book.opened(path) as ledger:
        assert first(ledger).statement.bounds == Bounds(2, 2)
        adopt(ledger, theirs)
        record = first(ledger)
        assert (record.state, record.statement.bounds) == (CycleState.FINAL, Bounds(3, 3))


def test_a_cycle_whose_final_is_not_in_the_history_gets_it_anew(path, forked):
    theirs, ours = forked
    with book.opened(path) as ledger:
        adopt(ledger, theirs[:1])
        record = first(ledger)
        assert (record.state, record.stated.bounds) == (CycleState.CLOSING, Bounds(2, 2))
        ledger.close_cycle(1, CYCLE, NOW, book.Signing(book.CHAIN, book.ISSUER.sign, NOW))
        report = read_report(tokens(ledger)[1])
        assert (report.envelope.continuity, report.content.active_users) == ("Restored", 2)
        assert report.envelope.issued_at_s == NOW // 1000, "a report is never dated back"
        assert digest(ours[1]) != report.envelope.digest
    assert {each.level for each in check_ledger(path)} == {Level.GOOD}


def test_an_amendment_that_is_not_in_the_history_is_taken_back_and_judged_anew(path):
    with book.opened(path) as ledger:
        book.begin(ledger)
        book.count(ledger, START + HOUR_MS, "ada", "bob")
        wide = replace(
            ledger.statement(1, CYCLE, sources=[declared()], as_of_ms=CYCLE.end_ms),
            bounds=Bounds(2, 4),
            uncertainty=(Uncertainty("RemovedUsers", 2),),
            unbounded=(),
        )
        signing = book.Signing(book.CHAIN, book.ISSUER.sign, NOW)
        ledger.begin_close(1, CYCLE, reason="GraceOver", statement=wide, now_ms=NOW)
        ledger.close_cycle(1, CYCLE, NOW, signing)
        history, before = tokens(ledger), first(ledger)
        narrow = replace(wide, bounds=Bounds(3, 3), uncertainty=())
        assert ledger.amend_cycle(1, CYCLE, narrow, "2-4 before, 3 now", NOW, signing)
        assert first(ledger).stated.bounds == Bounds(3, 3)
        adopt(ledger, history)
        after = first(ledger)
        assert (after.state, after.stated.bounds) == (CycleState.FINAL, Bounds(2, 4))
        assert after.evidence > before.evidence, "it is compared once more"


@pytest.mark.parametrize("acknowledged", [True, False])
def test_the_vendors_head_is_what_its_newest_receipt_says(path, forked, acknowledged):
    theirs, _ = forked
    head = read_report(theirs[0]).envelope.link
    with book.opened(path) as ledger:
        adopt(ledger, theirs, acknowledged=head if acknowledged else None)
        state = ledger.chain(book.CHAIN.id)
        assert state.acknowledged == (head if acknowledged else None)
        assert [item.state for item in ledger.key_statements(book.CHAIN.id)][2] is Delivery.PENDING


def test_a_reported_lower_bound_of_the_history_does_not_fall(path, forked):
    theirs, _ = forked
    with book.opened(path) as ledger:
        ledger.ensure_cycle(1, SECOND, NOW)
        adopt(ledger, theirs)
        assert ledger.statement(1, SECOND, sources=[declared()]).bounds.lower == 2


def test_a_cycle_that_was_closed_without_a_report_changes_nothing(path, forked):
    _, ours = forked
    with book.opened(path) as ledger:
        statement = ledger.statement(1, SECOND, sources=[declared()], as_of_ms=SECOND.end_ms)
        late = SECOND.end_ms + HOUR_MS
        ledger.begin_close(1, SECOND, reason="GraceOver", statement=statement, now_ms=late)
        ledger.close_cycle(1, SECOND, late)
        other = path.with_name("other.db")
        with book.opened(other, "other") as there:
            book.final(there, SECOND)
            history = tokens(there)
        with pytest.raises(NotWholeError, match="closed without this final"):
            adopt(ledger, history)
        assert tokens(ledger) == ours
        assert ledger.set_aside(book.CHAIN.id) == ()
        assert first(ledger).state is CycleState.FINAL


def test_a_crash_at_any_statement_adopts_nothing(path, forked):
    theirs, _ = forked
    with book.opened(path) as ledger:
        assert_crashes_change_nothing(ledger, path, lambda: adopt(ledger, theirs))


def test_the_other_branch_can_be_adopted_later(path, forked):
    """Its bytes are still there."""
    theirs, ours = forked
    with book.opened(path) as ledger:
        adopt(ledger, theirs)
        aside = [each.token for each in ledger.set_aside(book.CHAIN.id)]
        adopt(ledger, [theirs[0], *aside])
        assert tokens(ledger) == ours
        state = ledger.chain(book.CHAIN.id)
        assert (state.head, state.resumed) == (state.resumed, state.head)
        assert first(ledger).statement.bounds == Bounds(2, 2)
        kinds = [item.kind for item in ledger.key_statements(book.CHAIN.id)]
        assert kinds == [ReportKind.INTERIM, ReportKind.FINAL]


@pytest.fixture
def unknown(path):
    """A ledger that was lost: the enrolment came back from beside the key, and nothing else."""
    with book.opened(path) as ledger:
        book.begin(ledger)
        ledger.stop_chain(book.CHAIN.key_chain_id, HISTORY_LOST, NOW)
    return path


def test_a_chain_that_the_vendor_knows_nothing_of_begins_at_its_start(unknown):
    with book.opened(unknown) as ledger:
        ledger.ensure_cycle(1, SECOND, NOW)
        ledger.begin_anew(book.CHAIN, NOW)
        assert ledger.claim(NOW).chain_id == book.CHAIN.key_chain_id, "it goes first"
        first, second = interim(ledger, 1, NOW), interim(ledger, 2, NOW + DAY_MS)
        continuity = [read_report(each.token).envelope.continuity for each in (first, second)]
        assert continuity == ["Start", "Continues"]


def test_a_report_that_nothing_is_left_of_is_given_up_for_good(unknown):
    lost = Link(1, "sha256:" + "1" * 64)
    with book.opened(unknown) as ledger:
        ledger.stop_chain(
            book.CHAIN.id, HISTORY_LOST, NOW, key_chain_id=book.CHAIN.key_chain_id, lost=lost
        )
        ledger.begin_anew(book.CHAIN, NOW)
        state = ledger.chain(book.CHAIN.id)
        assert (state.stopped, state.lost) == (None, ())
        assert read_report(interim(ledger, 1, NOW).token).envelope.sequence == 1


def test_a_crash_at_any_statement_begins_nothing(unknown):
    with book.opened(unknown) as ledger:
        assert_crashes_change_nothing(ledger, unknown, lambda: ledger.begin_anew(book.CHAIN, NOW))
