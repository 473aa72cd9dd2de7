"""Closing a cycle and signing its reports: once, in order, and the same after a crash."""

import pytest

from licenseusage.ledger.documents.closing import Signing
from licenseusage.ledger.documents.records import (
    Delivery,
    DeliveryResult,
    ReportChain,
    ReportKind,
    SignedDocument,
)
from licenseusage.ledger.records import CycleState
from licenseusage.reports.names import Link
from tests.ledger.conftest import (
    CHAIN,
    CYCLE,
    END,
    HOUR_MS,
    MINUTE_MS,
    START,
    TERMS,
    declared,
    poll,
)

CLOSING = END + 2 * 60_000


def signing(signer, now, *, first_attempt_ms=None, awaiting_approval=False):
    due_ms = now if first_attempt_ms is None else first_attempt_ms
    return Signing(CHAIN, signer, due_ms, awaiting_approval)


def close(ledger, signer, cycle=CYCLE, now=CLOSING + 1000, **options):
    statement = ledger.statement(1, cycle, sources=[declared()], as_of_ms=cycle.end_ms)
    ledger.begin_close(1, cycle, reason="ClosingPolls", statement=statement, now_ms=now)
    return ledger.close_cycle(1, cycle, now, signing(signer, now, **options))


def interim(ledger, signer, slot, at, cycle=CYCLE, **options):
    statement = ledger.statement(1, cycle, sources=[declared()])
    return ledger.add_interim(1, slot, statement, at, signing(signer, at, **options))


def interim_of_next(ledger, signer, now):
    following = TERMS.cycle(1)
    ledger.ensure_cycle(1, following, CLOSING)
    return interim(ledger, signer, 0, now, cycle=following)


@pytest.fixture
def counted(ledger):
    """A ledger whose cycle has its closing poll."""
    ledger.record_poll(poll(CLOSING, {"ada": START}), CLOSING)
    return ledger


def test_a_cycle_goes_from_open_to_closing_to_final(counted, signer):
    assert counted.cycles(1)[0].state is CycleState.OPEN
    assert counted.mark_closing(1, CYCLE, END).state is CycleState.CLOSING
    close(counted, signer)
    (record,) = counted.cycles(1)
    assert (record.state, record.closed_ms) == (CycleState.FINAL, CLOSING + 1000)
    assert record.statement.active_text == "1"
    assert counted.unfinished_cycles(1) == ()


def test_a_final_cycle_never_opens_again(counted, signer):
    close(counted, signer)
    assert counted.mark_closing(1, CYCLE, END).state is CycleState.FINAL


def test_a_report_is_signed_from_its_place_in_the_chain(counted, signer):
    first = interim(counted, signer, 0, START + HOUR_MS)
    second = close(counted, signer)
    start, continued = signer.drafts
    assert (start.sequence, start.previous, start.continuity) == (1, None, "Start")
    assert (continued.sequence, continued.continuity) == (2, "Continues")
    assert continued.previous == first.digest
    assert (continued.previous_at_ms, continued.at_ms) == (START + HOUR_MS, CLOSING + 1000)
    assert continued.clock_high_water_ms == CLOSING + 1000
    assert (second.kind, second.state) == (ReportKind.FINAL, Delivery.PENDING)
    assert counted.chain(CHAIN.id).head == Link(2, second.digest)


def test_a_cycle_is_signed_once(counted, signer):
    first = close(counted, signer)
    again = close(counted, signer, now=CLOSING + HOUR_MS)
    assert again == first
    assert len(signer.drafts) == 1


def test_the_first_intent_stands_whatever_is_found_later(counted, signer):
    statement = counted.statement(1, CYCLE, sources=[declared()], as_of_ms=END)
    intent = counted.begin_close(
        1, CYCLE, reason="ClosingPolls", statement=statement, now_ms=CLOSING + 1
    )
    late = CLOSING + HOUR_MS
    counted.record_poll(poll(late, {"ada": START, "ben": START + 1}), late)
    changed = counted.statement(1, CYCLE, sources=[declared()], as_of_ms=END)
    assert changed != statement
    again = counted.begin_close(1, CYCLE, reason="GraceOver", statement=changed, now_ms=late)
    assert again == intent
    counted.close_cycle(1, CYCLE, late, signing(signer, late))
    (draft,) = signer.drafts
    assert (draft.statement, draft.at_ms) == (statement, CLOSING + 1)
    assert draft.clock_high_water_ms == CLOSING + 1


def decided_before_the_cycle_in_front(ledger, signer):
    """Sign a cycle that became known when the one after it had been decided; say when that was."""
    following = TERMS.cycle(1)
    decided = following.end_ms + HOUR_MS
    ledger.ensure_cycle(1, following, CLOSING)
    statement = ledger.statement(1, following, sources=[declared()], as_of_ms=following.end_ms)
    ledger.begin_close(1, following, reason="GraceOver", statement=statement, now_ms=decided)
    close(ledger, signer, now=decided + HOUR_MS)
    return following, decided


def test_a_final_is_never_dated_before_the_report_in_front_of_it(counted, signer):
    following, decided = decided_before_the_cycle_in_front(counted, signer)
    late = decided + 2 * HOUR_MS
    counted.close_cycle(1, following, late, signing(signer, late))
    in_front, draft = signer.drafts
    assert (in_front.at_ms, draft.at_ms) == (decided + HOUR_MS, decided + HOUR_MS)
    assert draft.clock_high_water_ms == draft.at_ms, "no clock was set back"


def test_a_final_may_be_dated_by_the_later_look_that_has_signed_the_report_in_front_of_it(
    counted, signer
):
    following, decided = decided_before_the_cycle_in_front(counted, signer)
    waited = decided + HOUR_MS - 500  # this look read the clock first, and had its turn second
    counted.close_cycle(1, following, waited, signing(signer, waited))
    draft = signer.drafts[-1]
    assert (draft.at_ms, draft.previous_at_ms) == (decided + HOUR_MS, decided + HOUR_MS)
    assert draft.clock_high_water_ms == draft.at_ms, "no clock was set back"


def test_a_report_in_front_that_is_dated_later_than_now_shows_that_the_clock_was_set_back(
    counted, signer
):
    following, decided = decided_before_the_cycle_in_front(counted, signer)
    back = decided + MINUTE_MS
    counted.close_cycle(1, following, back, signing(signer, back))
    assert signer.drafts[-1].at_ms == decided


def test_an_intent_knows_that_the_clock_was_set_back(counted):
    counted.record_poll(poll(CLOSING + 9 * HOUR_MS, {"ada": START}), CLOSING + 9 * HOUR_MS)
    statement = counted.statement(1, CYCLE, sources=[declared()], as_of_ms=END)
    intent = counted.begin_close(
        1, CYCLE, reason="ClosingPolls", statement=statement, now_ms=CLOSING
    )
    assert intent.at_ms == CLOSING
    assert intent.clock_high_water_ms == CLOSING + 9 * HOUR_MS


def test_a_crash_between_intent_and_close_resumes_to_the_same_bytes(counted, reopen, signer):
    statement = counted.statement(1, CYCLE, sources=[declared()], as_of_ms=END)
    counted.begin_close(1, CYCLE, reason="ClosingPolls", statement=statement, now_ms=CLOSING)

    def dies(draft):
        signer(draft)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        counted.close_cycle(1, CYCLE, CLOSING + 1, signing(dies, CLOSING + 1))
    resumed = reopen()
    assert resumed.chain(CHAIN.id).head is None
    item = resumed.close_cycle(1, CYCLE, CLOSING + HOUR_MS, signing(signer, CLOSING + HOUR_MS))
    first, second = signer.drafts
    assert first == second
    assert resumed.document(item.jti) == item


@pytest.mark.parametrize("make", [close, interim_of_next], ids=["final", "interim"])
def test_a_report_is_not_dated_before_what_another_made_durable_while_it_waited(
    counted, signer, make
):
    counted.record_poll(poll(CLOSING + 2500, {}, cycles=()), CLOSING + 2500)
    make(counted, signer, now=CLOSING + 1000)
    (draft,) = signer.drafts
    assert (draft.at_ms, draft.clock_high_water_ms) == (CLOSING + 2500, CLOSING + 2500)


@pytest.mark.parametrize("make", [close, interim_of_next], ids=["final", "interim"])
def test_a_report_made_on_a_clock_that_was_set_back_shows_it(counted, signer, make):
    counted.record_poll(poll(CLOSING + HOUR_MS, {}, cycles=()), CLOSING + HOUR_MS)
    make(counted, signer, now=CLOSING + 1000)
    (draft,) = signer.drafts
    assert (draft.at_ms, draft.clock_high_water_ms) == (CLOSING + 1000, CLOSING + HOUR_MS)


def test_cycles_are_closed_in_order(ledger, signer):
    following = TERMS.cycle(1)
    ledger.ensure_cycle(1, CYCLE, START)
    with pytest.raises(ValueError, match="in order"):
        close(ledger, signer, cycle=following, now=following.end_ms + HOUR_MS)
    close(ledger, signer)
    assert close(ledger, signer, cycle=following, now=following.end_ms + HOUR_MS).sequence == 2


def test_a_cycle_is_closed_only_after_its_intent(ledger, signer):
    with pytest.raises(ValueError, match="intent"):
        ledger.close_cycle(1, CYCLE, CLOSING, signing(signer, CLOSING))


def test_without_a_licence_a_cycle_is_closed_without_a_report(counted):
    statement = counted.statement(1, CYCLE, sources=[declared()], as_of_ms=END)
    counted.begin_close(1, CYCLE, reason="ClosingPolls", statement=statement, now_ms=CLOSING)
    assert counted.close_cycle(1, CYCLE, CLOSING) is None
    assert counted.cycles(1)[0].statement == statement
    assert counted.reports(1) == ()


def test_one_interim_per_slot(ledger, signer):
    ledger.record_poll(poll(START + HOUR_MS, {"ada": START}), START + HOUR_MS)
    first = interim(ledger, signer, 3, START + 2 * HOUR_MS)
    assert interim(ledger, signer, 3, START + 3 * HOUR_MS) is None
    assert interim(ledger, signer, 2, START + 3 * HOUR_MS) is None
    second = interim(ledger, signer, 4, START + 4 * HOUR_MS)
    assert [first.sequence, second.sequence] == [1, 2]
    assert first.active_text == "1 so far"
    assert ledger.cycles(1)[0].interim_slot == 4


def test_no_interim_once_the_cycle_closes(counted, signer):
    statement = counted.statement(1, CYCLE, sources=[declared()])
    counted.mark_closing(1, CYCLE, END)
    assert counted.add_interim(1, 9, statement, END, signing(signer, END)) is None
    assert signer.drafts == []


def test_a_chain_in_conflict_gets_nothing_new(ledger, signer):
    ledger.add_key_statement(CHAIN.key_chain_id, ReportKind.ENROLMENT, 1, signed("e", 1), START)
    enrolment = ledger.claim(START)
    accepted = DeliveryResult(Delivery.ACCEPTED, receipt="r", received_ms=START)
    ledger.record_result(enrolment, accepted, START)
    interim(ledger, signer, 0, START)
    claimed = ledger.claim(START)
    conflict = DeliveryResult(Delivery.CONFLICT, "ChainForked", "two histories", receipt="r")
    ledger.record_result(claimed, conflict, START)
    assert ledger.chain(CHAIN.id).stopped == "ChainForked"
    assert interim(ledger, signer, 1, START + HOUR_MS) is None
    assert close(ledger, signer) is None
    assert ledger.cycles(1)[0].state is CycleState.FINAL  # counting and closing go on
    assert len(signer.drafts) == 1


def test_a_report_may_wait_for_approval_and_for_its_first_attempt(counted, signer):
    item = close(counted, signer, awaiting_approval=True, first_attempt_ms=CLOSING + HOUR_MS)
    assert item.state is Delivery.AWAITING_APPROVAL
    assert item.next_attempt_ms == CLOSING + HOUR_MS


def signed(chain, sequence, text="enrolment"):
    from licenseusage.ledger.documents.records import SignedDocument

    return SignedDocument(f"{chain * 32}-{sequence:010d}", f"sha256:{text}", text)


def refuse(ledger, now, receipt="receipt"):
    """The vendor refuses what is due of the chain; with a receipt: for ever."""
    verdict = DeliveryResult(Delivery.REJECTED, "IssuedInFuture", "no", receipt=receipt)
    ledger.record_result(ledger.claim(now), verdict, now)


@pytest.fixture
def refused(counted, signer):
    """A final with a signed Rejected."""
    statement = SignedDocument("enrolment", "sha256:e", "token")
    counted.add_key_statement(CHAIN.key_chain_id, ReportKind.ENROLMENT, 1, statement, START)
    counted.record_result(
        counted.claim(START), DeliveryResult(Delivery.ACCEPTED, receipt="r", received_ms=1), START
    )
    close(counted, signer)
    refuse(counted, CLOSING + 2000)
    return counted


def replace(ledger, signer, now=CLOSING + 5000, chain=CHAIN):
    return ledger.replace_final(1, CYCLE, now, Signing(chain, signer, now))


def test_a_refused_final_is_replaced_by_the_same_statement_at_the_next_place(refused, signer):
    anew = replace(refused, signer)
    first, second = signer.drafts
    assert (anew.kind, anew.sequence, anew.state) == (ReportKind.FINAL, 2, Delivery.PENDING)
    assert (second.statement, second.at_ms) == (first.statement, CLOSING + 5000)
    assert anew.created_ms == CLOSING + 5000


def test_a_final_is_replaced_once(refused, signer):
    assert replace(refused, signer) is not None
    assert replace(refused, signer) is None


def test_a_replacement_that_is_refused_can_be_replaced(refused, signer):
    replace(refused, signer)
    refuse(refused, CLOSING + 6000)
    assert replace(refused, signer, CLOSING + 7000).sequence == 3


def test_a_replacement_is_never_dated_before_the_end_of_its_cycle(refused, signer):
    assert replace(refused, signer, now=END - HOUR_MS) is None


@pytest.mark.parametrize("receipt", [None, "signed"])
def test_only_a_signed_refusal_is_replaced(counted, signer, receipt):
    final = close(counted, signer)
    state = Delivery.ACCEPTED if receipt else Delivery.REJECTED
    verdict = DeliveryResult(state, "X", "no", receipt=receipt, received_ms=CLOSING)
    counted.record_result(final, verdict, CLOSING)
    assert replace(counted, signer) is None


def test_another_chain_replaces_nothing(refused, signer):
    other = ReportChain("d" * 32, CHAIN.key_chain_id)
    assert replace(refused, signer, chain=other) is None
