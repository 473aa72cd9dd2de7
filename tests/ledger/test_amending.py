"""After the final: amendments and contradictions, once, in place, the same after a crash."""

from dataclasses import replace

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
from licenseusage.metering.amendment import judge
from licenseusage.reports.names import Link
from tests.ledger.conftest import (
    CHAIN,
    CYCLE,
    DAY_MS,
    END,
    GRAPH,
    HOUR_MS,
    KEPT,
    LISTED_ONCE,
    START,
    TERMS,
    declared,
    poll,
)

GRACE_OVER = END + 25 * HOUR_MS
LATE = GRACE_OVER + HOUR_MS
LAST = END - HOUR_MS
NEXT = TERMS.cycle(1)


def derive(ledger, cycle=CYCLE, properties=KEPT):
    source = declared(properties=properties)
    return ledger.statement(1, cycle, sources=[source], as_of_ms=cycle.end_ms)


def close(ledger, signer, cycle=CYCLE, now=GRACE_OVER, chain=CHAIN, properties=KEPT, **options):
    statement = derive(ledger, cycle, properties)
    ledger.begin_close(1, cycle, reason="GraceOver", statement=statement, now_ms=now, **options)
    signing = None if chain is None else Signing(chain, signer, now)
    return ledger.close_cycle(1, cycle, now, signing)


def record_of(ledger, cycle=CYCLE):
    return next(one for one in ledger.cycles(1) if one.cycle == cycle)


def judged(ledger, properties=KEPT):
    stated = record_of(ledger).stated
    return judge(stated, derive(ledger, properties=properties), {"graph": properties})


def amend(ledger, signer, now=LATE + 1000, chain=CHAIN, verdict=None, first_attempt_ms=None):
    verdict = verdict or judged(ledger)
    due_ms = now if first_attempt_ms is None else first_attempt_ms
    signing = None if chain is None else Signing(chain, signer, due_ms)
    return ledger.amend_cycle(1, CYCLE, verdict.statement, verdict.words, now, signing)


def poll_late(ledger, active=None, at=LATE, **options):
    ledger.record_poll(poll(at, active or {"ada": START, "ben": END + 1}, **options), at)


@pytest.fixture
def left_open(ledger, signer):
    """A cycle that the grace has ended: nothing was read after its end."""
    ledger.add_key_statement(
        CHAIN.key_chain_id,
        ReportKind.ENROLMENT,
        1,
        SignedDocument("enrolment", "sha256:e", "token"),
        START,
    )
    accepted = DeliveryResult(Delivery.ACCEPTED, receipt="r", received_ms=START)
    ledger.record_result(ledger.claim(START), accepted, START)
    ledger.record_poll(poll(END - HOUR_MS, {"ada": START}), END - HOUR_MS)
    close(ledger, signer)
    return ledger


def refuse(ledger, now, reason="AmendmentInvalid"):
    """The vendor refuses what is due next, for ever."""
    verdict = DeliveryResult(Delivery.REJECTED, reason, "no", receipt="signed")
    ledger.record_result(ledger.claim(now), verdict, now)


def test_a_closing_poll_after_the_grace_is_evidence_and_changes_no_statement_by_itself(left_open):
    before = record_of(left_open)
    assert (before.evidence, before.stated.active_text) == (0, "≥1")
    poll_late(left_open)
    after = record_of(left_open)
    assert after.evidence == 1
    assert after.stated == before.stated
    assert derive(left_open).active_text == "1\u20132"


def test_a_poll_that_tells_nothing_new_is_no_evidence(left_open):
    poll_late(left_open)
    closed = left_open.store_states(1, CYCLE)[GRAPH].closed
    poll_late(left_open, at=LATE + HOUR_MS, already_closed=closed)
    assert record_of(left_open).evidence == 1


def test_an_amendment_supersedes_the_final_and_states_what_is_proved_now(left_open, signer):
    poll_late(left_open)
    amendment = amend(left_open, signer)
    record, draft = record_of(left_open), signer.drafts[-1]
    final, made = reversed(left_open.reports(1))
    assert record.state is CycleState.FINAL
    assert record.amendments == (amendment,)
    assert record.stated.active_text == made.active_text == "1\u20132"
    assert (made.kind, made.sequence, made.state) == (ReportKind.AMENDMENT, 2, Delivery.PENDING)
    assert draft.statement == amendment.statement
    assert draft.superseded.link == Link(1, final.digest)
    assert draft.superseded.reason == amendment.reason == "NewEvidence"
    assert draft.superseded.note == "≥1 before, 1\u20132 now"
    assert amendment.words.startswith("≥1 before, 1\u20132 now: at least 1, at most 2: ")
    assert (draft.at_ms, draft.clock_high_water_ms) == (LATE + 1000, LATE + 1000)


def test_the_same_evidence_is_amended_once(left_open, signer):
    poll_late(left_open)
    verdict = judged(left_open)
    assert amend(left_open, signer, verdict=verdict) is not None
    assert amend(left_open, signer, verdict=verdict) is None
    assert len(signer.drafts) == 2


def test_a_crash_while_amending_leaves_nothing_behind(left_open, reopen, signer):
    poll_late(left_open)
    verdict = judged(left_open)

    def dies(draft):
        signer(draft)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        amend(left_open, dies, verdict=verdict)
    resumed = reopen()
    assert record_of(resumed).amendments == ()
    assert resumed.chain(CHAIN.id).head.sequence == 1
    amend(resumed, signer, verdict=verdict)
    first, second = signer.drafts[1:]
    assert first == second


def test_the_next_amendment_supersedes_the_one_before(left_open, signer):
    poll_late(left_open, {"ada": START, "ben": LAST, "eve": END + 1}, complete=False)
    amend(left_open, signer)
    poll_late(left_open, {"ada": START, "eve": END + 1, "ben": LAST}, at=LATE + DAY_MS)
    amend(left_open, signer, now=LATE + DAY_MS + 1000)
    first, second = record_of(left_open).amendments
    assert (first.statement.active_text, second.statement.active_text) == ("≥2", "2\u20133")
    assert signer.drafts[-1].superseded.link.sequence == 2


def test_what_does_not_narrow_is_not_stated(left_open, signer):
    poll_late(left_open)
    verdict = judged(left_open)
    wider = replace(verdict.statement, bounds=replace(verdict.statement.bounds, lower=0))
    assert amend(left_open, signer, verdict=replace(verdict, statement=wider)) is None
    assert len(signer.drafts) == 1


def test_only_a_final_cycle_is_amended(ledger, signer):
    ledger.record_poll(poll(END - HOUR_MS, {"ada": START}), END - HOUR_MS)
    statement = derive(ledger)
    assert ledger.amend_cycle(1, CYCLE, statement, "", LATE, Signing(CHAIN, signer, LATE)) is None
    ledger.begin_close(1, CYCLE, reason="GraceOver", statement=statement, now_ms=GRACE_OVER)
    poll_late(ledger)
    assert amend(ledger, signer) is None
    assert signer.drafts == []


def test_a_cycle_whose_report_is_due_is_not_amended_without_one(left_open, signer):
    poll_late(left_open)
    assert amend(left_open, signer, chain=None) is None
    assert amend(left_open, signer, chain=ReportChain("d" * 32, "e" * 32)) is None
    assert record_of(left_open).amendments == ()


def test_without_a_licence_the_history_is_amended_all_the_same(ledger, signer):
    ledger.record_poll(poll(END - HOUR_MS, {"ada": START}), END - HOUR_MS)
    close(ledger, signer, chain=None)
    poll_late(ledger)
    amend(ledger, signer, chain=None)
    assert record_of(ledger).stated.active_text == "1\u20132"
    assert ledger.reports(1) == ()


def test_nothing_is_amended_once_the_facts_are_deleted(left_open, signer):
    poll_late(left_open)
    verdict = judged(left_open)
    left_open.delete_expired_facts(GRACE_OVER + 12 * DAY_MS)
    assert amend(left_open, signer, GRACE_OVER + 12 * DAY_MS + 1, verdict=verdict) is None


def test_an_amendment_is_never_dated_before_the_end_of_its_cycle(left_open, signer):
    poll_late(left_open)
    assert amend(left_open, signer, now=START) is None


def test_a_chain_in_conflict_gets_no_amendment(left_open, signer):
    conflict = DeliveryResult(Delivery.CONFLICT, "ChainForked", "two histories", receipt="r")
    left_open.record_result(left_open.claim(LATE), conflict, LATE)
    poll_late(left_open)
    assert amend(left_open, signer) is None
    assert record_of(left_open).amendments == ()


class TestRefusals:
    """A signed Rejected: it holds its place and counts for nothing (REPORT_FORMAT §6 rule 4)."""

    def test_a_refused_final_is_not_amended_before_it_is_replaced(self, left_open, signer):
        refuse(left_open, LATE, "IssuedInFuture")
        poll_late(left_open)
        verdict = judged(left_open)
        assert amend(left_open, signer, verdict=verdict) is None
        left_open.replace_final(1, CYCLE, LATE + 2000, Signing(CHAIN, signer, LATE + 2000))
        assert amend(left_open, signer, LATE + 3000, verdict=verdict) is not None
        assert [d.kind for d in signer.drafts] == ["Final", "Final", "Amendment"]
        assert signer.drafts[1].statement == signer.drafts[0].statement
        assert signer.drafts[-1].superseded.link.sequence == 2

    @pytest.fixture
    def refused(self, left_open, signer):
        """An amendment with a signed Rejected, of a final that was accepted."""
        left_open.record_result(
            left_open.claim(LATE), DeliveryResult(Delivery.ACCEPTED, receipt="r"), LATE
        )
        poll_late(left_open)
        amend(left_open, signer)
        refuse(left_open, LATE + 2000)
        return left_open

    def again(self, ledger, signer, now=LATE + 3000, chain=CHAIN):
        return ledger.replace_amendment(1, CYCLE, now, Signing(chain, signer, now))

    def test_a_refused_amendment_is_replaced_by_the_same_statement(self, refused, signer):
        anew = self.again(refused, signer)
        first, second = signer.drafts[1:]
        assert (anew.kind, anew.sequence) == (ReportKind.AMENDMENT, 3)
        assert second.statement == first.statement
        assert second.superseded == first.superseded  # the refused one counts for nothing
        assert second.at_ms == LATE + 3000
        assert len(record_of(refused).amendments) == 1

    def test_it_is_replaced_once(self, refused, signer):
        assert self.again(refused, signer) is not None
        assert self.again(refused, signer) is None

    def test_more_evidence_supersedes_what_is_in_force(self, refused, signer):
        poll_late(refused, {"ben": LAST}, at=LATE + DAY_MS, complete=False)
        amend(refused, signer, now=LATE + DAY_MS + 1000)
        assert record_of(refused).stated.active_text == "2"
        assert signer.drafts[-1].superseded.link.sequence == 1
        assert self.again(refused, signer, LATE + DAY_MS + 2000) is None

    def test_only_in_the_chain_of_its_final_and_after_the_end(self, refused, signer):
        assert self.again(refused, signer, chain=ReportChain("d" * 32, "e" * 32)) is None
        assert self.again(refused, signer, now=START) is None

    def test_one_whose_final_is_refused_waits_for_the_other_final(self, left_open, signer):
        poll_late(left_open)
        amend(left_open, signer)
        refuse(left_open, LATE + 2000, "IssuedInFuture")
        refuse(left_open, LATE + 2000)
        assert self.again(left_open, signer) is None
        left_open.replace_final(1, CYCLE, LATE + 4000, Signing(CHAIN, signer, LATE + 4000))
        assert self.again(left_open, signer, LATE + 5000).sequence == 4
        assert signer.drafts[-1].superseded.link.sequence == 3


class TestContradictions:
    """Evidence outside of what was stated changes no statement, and ends amending."""

    @pytest.fixture
    def exact(self, ledger, signer):
        ledger.record_poll(poll(END + HOUR_MS, {"ada": START}), END + HOUR_MS)
        close(ledger, signer)
        return ledger

    def test_somebody_shown_after_the_closing_poll_contradicts_it(self, exact):
        closed = exact.store_states(1, CYCLE)[GRAPH].closed
        shown = {"ada": START, "ben": LAST}
        exact.record_poll(poll(LATE, shown, already_closed=closed), LATE)
        assert record_of(exact).evidence == 1
        words = judged(exact).words
        assert "lagSeconds: 60" in words
        exact.contradict(1, CYCLE, words, LATE)
        record = record_of(exact)
        assert (record.contradiction.at_ms, record.contradiction.words) == (LATE, words)
        assert record.stated.active_text == "1"

    def test_somebody_on_no_list_contradicts_a_roster(self, ledger, signer):
        early = START - HOUR_MS
        ledger.record_poll(
            poll(early, {}, idle=["ada", "old"], properties=LISTED_ONCE, cycles=(CYCLE,)), early
        )
        for at in range(START + 2 * HOUR_MS, END + 12 * HOUR_MS, 12 * HOUR_MS):
            active = {"ada": START + HOUR_MS}
            ledger.record_poll(poll(at, active, idle=["old"], properties=LISTED_ONCE), at)
        close(ledger, signer, properties=LISTED_ONCE)
        assert record_of(ledger).stated.active_text == "1"
        seen = poll(LATE, {"eve": LAST}, properties=LISTED_ONCE, complete=False)
        ledger.record_poll(seen, LATE)
        assert "removal: ListedOnce is false" in judged(ledger, LISTED_ONCE).words

    def test_the_first_contradiction_stands(self, exact):
        exact.contradict(1, CYCLE, "first", LATE)
        assert exact.contradict(1, CYCLE, "second", LATE + 1).words == "first"

    def test_a_contradicted_cycle_is_not_amended(self, left_open, signer):
        poll_late(left_open)
        verdict = judged(left_open)
        left_open.contradict(1, CYCLE, "words", LATE)
        assert amend(left_open, signer, verdict=verdict) is None

    def test_only_a_final_cycle_is_contradicted(self, ledger):
        ledger.ensure_cycle(1, CYCLE, START)
        assert ledger.contradict(1, CYCLE, "words", LATE) is None


class TestRules:
    """A decided cycle takes evidence under the rules that it was decided by, and no other."""

    def test_other_rules_say_nothing_about_a_decided_cycle(self, left_open):
        changed = poll(LATE, {"ada": START, "bot": START}, cycles=(CYCLE, NEXT))
        left_open.record_poll(replace(changed, rules_digest="sha256:others"), LATE)
        assert derive(left_open).active_text == "≥1"
        assert record_of(left_open).rules_digest == "sha256:rules"
        assert record_of(left_open).evidence == 0
        assert record_of(left_open, NEXT).rules_digest == "sha256:others"

    def test_a_cycle_without_a_poll_keeps_the_rules_of_its_decision(self, ledger, signer):
        close(ledger, signer, rules_digest="sha256:rules")
        poll_late(ledger)
        assert record_of(ledger).evidence == 1
        other = poll(LATE + 1, {"bot": START})
        ledger.record_poll(replace(other, rules_digest="sha256:others"), LATE + 1)
        assert record_of(ledger).evidence == 1

    def test_a_cycle_that_is_not_decided_takes_what_is_declared_now(self, ledger):
        ledger.record_poll(poll(END - HOUR_MS, {"ada": START}), END - HOUR_MS)
        corrected = poll(END + HOUR_MS, {"ada": START})
        ledger.record_poll(replace(corrected, rules_digest="sha256:others"), END + HOUR_MS)
        assert derive(ledger).active_text == "1"
        assert record_of(ledger).evidence == 0
