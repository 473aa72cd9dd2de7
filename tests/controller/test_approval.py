"""spec.reporting.approval: what is held, what is let go, and what is said meanwhile."""

import itertools
from dataclasses import replace

import pytest

from licenseusage.controller.effects.reportobjects import status
from licenseusage.controller.rules.approval import (
    APPROVED,
    Changes,
    approvals_in,
    approvals_of,
    changes,
    due_exported,
    due_online,
    held_behind,
    interim_waits,
    needs_approval,
)
from licenseusage.controller.rules.exporting import Exports
from licenseusage.controller.rules.gauges import gauges
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.reported import Reporting, reported
from licenseusage.controller.rules.status import View
from licenseusage.controller.rules.transitions import of_status
from licenseusage.errors import Consequence, Failure
from licenseusage.ledger.documents.records import Delivery, OutboxItem, ReportKind
from licenseusage.metering.cycles import DAY_MS, Cycle
from tests.controller.test_exporting import VIEW, condition
from tests.receiver.people import TERMS

KEY = Key("shop", "meter")
CHAIN = "c" * 32
CYCLE = Cycle(0, 0, 30 * DAY_MS)
END = CYCLE.end_ms
HOUR_MS = 3_600_000
COMMAND = "kubectl licenseusage approve -n shop --all"
SENT = (Delivery.PENDING, Delivery.SENDING, Delivery.REJECTED)
WAITS = Delivery.AWAITING_APPROVAL


def item(sequence=1, state=WAITS, kind=ReportKind.FINAL, created_ms=END, chain=CHAIN, **more):
    return OutboxItem(
        f"{chain}-{sequence}",
        kind,
        chain,
        "k",
        sequence,
        f"sha256:{sequence}",
        "t",
        1,
        CYCLE,
        "1",
        created_ms,
        state,
        **more,
    )


def after(reports, approvals=None, *, manual=True, acknowledged=0):
    """The reports as the outbox has them after the changes."""
    wanted = changes(KEY, reports, {CHAIN: acknowledged}, approvals or {}, manual=manual)
    for report in reports:
        held = wanted.hold.get(report.jti)
        if held is not None:
            yield replace(report, state=WAITS, reason=held.reason, message=held.message)
        elif report.jti in wanted.release:
            yield replace(report, state=Delivery.PENDING, reason="", message="")
        else:
            yield report


def state_after(report, *arguments, **options):
    (made,) = after([report], *arguments, **options)
    return made.state


def approving(*reports):
    return {report.jti: report.digest for report in reports}


class TestWhatIsHeld:
    @pytest.mark.parametrize("kind", [ReportKind.INTERIM, ReportKind.FINAL, ReportKind.AMENDMENT])
    @pytest.mark.parametrize("state", [WAITS, *SENT])
    def test_every_report_that_nobody_approved(self, kind, state):
        assert state_after(item(state=state, kind=kind)) is WAITS

    @pytest.mark.parametrize("state", [WAITS, *SENT])
    def test_an_approval_of_this_document_lets_it_go(self, state):
        report = item(state=state)
        expected = Delivery.PENDING if state is WAITS else state
        assert state_after(report, approving(report)) is expected

    @pytest.mark.parametrize("given", ["sha256:2", "yes", "true", "", "sha256:1 ", "SHA256:1"])
    def test_an_approval_of_anything_else_does_not(self, given):
        report = item()
        (held,) = after([report], {report.jti: given})
        assert (held.state, held.reason) == (WAITS, "ApprovalMismatch")
        assert f"is {given!r}, and the digest of this report is sha256:1" in held.message

    def test_an_approval_cannot_be_moved_to_another_document(self):
        first, second = item(1), item(2)
        moved = {second.jti: first.digest}
        assert [each.state for each in after([first, second], moved)] == [WAITS, WAITS]

    def test_a_long_value_is_cut_in_the_message(self):
        report = item()
        (held,) = after([report], {report.jti: "x" * 5000})
        assert len(held.message) < 500

    def test_an_approval_that_is_taken_back_holds_it_again(self):
        report = item()
        (free,) = after([report], approving(report))
        assert free.state is Delivery.PENDING
        assert state_after(free) is WAITS

    @pytest.mark.parametrize("state", [Delivery.ACCEPTED, Delivery.CONFLICT])
    def test_what_the_vendor_has_decided_on_stays(self, state):
        report = item(state=state, receipt="r")
        assert state_after(report) is state
        assert state_after(report, approving(report)) is state

    @pytest.mark.parametrize("state", SENT)
    def test_what_the_vendor_had_and_lost_is_sent_again_without_asking(self, state):
        assert state_after(item(state=state, receipt="r")) is state
        assert state_after(item(state=state), acknowledged=1) is state

    def test_it_says_how_to_approve_and_changes_nothing_twice(self):
        (held,) = after([item(state=Delivery.PENDING)])
        assert held.reason == "AwaitingApproval"
        assert held.message.endswith("kubectl licenseusage approve -n shop meter-cccccccc-000001")
        assert not changes(KEY, [held], {}, {}, manual=True)
        assert Changes() == changes(KEY, [held], {}, {}, manual=True)


class TestTheSpec:
    def test_automatic_lets_everything_go(self):
        reports = [item(1), item(2, Delivery.ACCEPTED, receipt="r"), item(3, Delivery.PENDING)]
        states = [each.state for each in after(reports, manual=False)]
        assert states == [Delivery.PENDING, Delivery.ACCEPTED, Delivery.PENDING]

    def test_manual_again_holds_what_has_not_left_and_keeps_what_was_approved(self):
        first, second = item(1), item(2)
        approvals = approving(first)
        freed = list(after([first, second], approvals, manual=False))
        again = [each.state for each in after(freed, approvals)]
        assert again == [Delivery.PENDING, WAITS]

    @pytest.mark.parametrize(
        ("wanted", "before", "expected"),
        [(True, False, True), (False, True, False), (None, True, True), (None, False, False)],
    )
    def test_a_deleted_object_goes_on_as_it_said_last(self, wanted, before, expected):
        class Facts:
            class meter:  # noqa: N801
                approval = before

        assert needs_approval(wanted, Facts) is expected


def test_every_way_of_states_and_approvals_ends_where_the_last_word_says():
    """Nothing is lost and nothing leaves unapproved, whatever came before."""
    report = item()
    words = [approving(report), {}, {report.jti: "sha256:9"}]
    steps = list(itertools.product(words, [True, False]))
    for way in itertools.product(steps, repeat=3):
        seen = report
        for approvals, manual in way:
            (seen,) = after([seen], approvals, manual=manual)
            free = not manual or approvals.get(report.jti) == report.digest
            assert seen.state is (Delivery.PENDING if free else WAITS)
            assert (seen.digest, seen.token) == (report.digest, report.token)


class TestTheAnnotation:
    def live(self, **annotations):
        return {"meter-cccccccc-000001": {"metadata": {"annotations": annotations}}}

    def test_is_read_from_the_object_of_that_report(self):
        said = approvals_in("meter", self.live(**{APPROVED: "sha256:1"}), [item(1), item(2)])
        assert said == {item(1).jti: "sha256:1"}

    @pytest.mark.parametrize(
        "live",
        [
            {},
            {"metadata": {}},
            {"metadata": {"annotations": {}}},
            {"metadata": {"annotations": None}},
        ],
    )
    def test_absent_is_no_approval(self, live):
        assert approvals_in("meter", {"meter-cccccccc-000001": live}, [item(1)]) == {}

    def test_of_another_chain_is_no_approval(self):
        other = item(1, chain="d" * 32)
        assert approvals_in("meter", self.live(**{APPROVED: "sha256:1"}), [other]) == {}


class TestOrder:
    def test_an_approved_report_waits_for_one_before_it_and_says_so(self):
        first, second = item(1), item(2, Delivery.PENDING)
        assert held_behind(second, [second, first]) == first
        shown = status(second, [second, first])
        assert (shown["delivery"], shown["reason"]) == ("Pending", "EarlierAwaitsApproval")
        assert shown["message"] == (
            "Approved; report 1 before it in the chain is not, and goes first."
        )

    def test_another_chain_or_a_later_report_holds_up_nothing(self):
        report = item(2, Delivery.PENDING)
        assert held_behind(report, [report, item(3), item(1, chain="d" * 32)]) is None
        assert held_behind(item(2), [item(2), item(1)]) is None

    def test_no_further_interim_is_made_while_a_report_of_the_chain_waits(self):
        assert interim_waits([item(3, Delivery.ACCEPTED), item(2)], CHAIN)
        assert not interim_waits([item(3, Delivery.PENDING), item(2, chain="d" * 32)], CHAIN)


def told(now_ms, *reports, due=None, exports=None, **changed):
    seen = Reporting(
        suspended=False,
        exports=exports,
        approvals=approvals_of(KEY, reports, due),
        now_ms=now_ms,
        problem=None,
        waiting_final=False,
        statements=(),
        reports=reports,
        usage=KEY,
        host="usage.vendor.example",
    )
    return reported(replace(seen, **changed))


INTERIM = item(1, kind=ReportKind.INTERIM)
DUE = {item(1).jti: END + 10 * DAY_MS}


class TestTheCondition:
    @pytest.mark.parametrize(
        ("days", "reason"),
        [
            (0, "AwaitingApproval"),
            (7.9, "AwaitingApproval"),
            (8, "ApprovalDue"),
            (9.9, "ApprovalDue"),
            (10, "ApprovalOverdue"),
            (400, "ApprovalOverdue"),
        ],
    )
    def test_from_four_fifths_of_the_time_on_it_is_due(self, days, reason):
        verdict = told(END + int(days * DAY_MS), item(1), due=DUE)
        assert (verdict.status, verdict.reason) == ("False", reason)
        assert verdict.message.endswith(COMMAND)
        assert not verdict.needs_a_person

    def test_it_names_the_first_that_is_due_and_how_many_more_wait(self):
        message = told(END, item(3), item(2), item(1), item(4, Delivery.PENDING), due=DUE).message
        assert message == (
            "It waits for the approval of the final of the cycle 1970-01-01 to 1970-01-31, and of "
            "2 more (1 approved behind it); nothing of it leaves before. The vendor has to have it "
            f"by 1970-02-10 (10 days left). To see and approve: {COMMAND}"
        )

    def test_an_overdue_one_says_since_when_and_that_nothing_is_lost(self):
        message = told(END + 12 * DAY_MS, item(1), due=DUE).message
        assert "has been due since 1970-02-10 (2 days ago). Nothing is lost." in message

    def test_without_a_deadline_it_only_waits(self):
        verdict = told(END + 400 * DAY_MS, INTERIM)
        assert verdict.reason == "AwaitingApproval"
        assert "has to have it" not in verdict.message

    def test_it_is_said_in_export_mode_too(self):
        waiting = [item(2, Delivery.PENDING), item(1)]
        exports = Exports.of(KEY, waiting, 10)
        assert told(END, *waiting, exports=exports).reason == "AwaitingApproval"

    def test_a_failing_delivery_is_worse_until_the_approval_is_due(self):
        failing = item(1, Delivery.PENDING, reason="Timeout", message="m", first_failure_ms=1)
        due = {item(2).jti: END + 10 * DAY_MS}
        assert told(END, item(2), failing, due=due).reason == "Timeout"
        assert told(END + 9 * DAY_MS, item(2), failing, due=due).reason == "ApprovalDue"

    def test_a_refusal_and_what_cannot_be_signed_are_worse(self):
        refused = item(1, Delivery.REJECTED, reason="CycleMismatch", receipt="r")
        assert told(END + 90 * DAY_MS, item(2), refused, due=DUE).reason == "CycleMismatch"
        lost = Failure("IdentityLost", "restore", Consequence.NEEDS_A_PERSON)
        assert told(END, item(1), problem=lost).reason == "IdentityLost"
        assert told(END, item(1), suspended=True).reason == "Suspended"

    def test_once_it_is_approved_it_is_on_its_way(self):
        assert told(END, item(1, Delivery.PENDING)).reason == "DeliveryPending"

    def test_the_message_changes_once_a_day_only(self):
        messages = {
            told(END + DAY_MS + ms, item(1), due=DUE).message for ms in range(1, DAY_MS, HOUR_MS)
        }
        assert len(messages) == 1


class TestTheDeadline:
    def test_on_line_is_when_the_vendor_notes_an_overdue_report(self):
        """Twice the interval of 24 h and a day after the last report that the vendor has."""
        accepted = item(1, Delivery.ACCEPTED, ReportKind.INTERIM, accepted_ms=END - DAY_MS)
        due = due_online([item(3), item(2), accepted], TERMS, enrolled_ms=0)
        assert due == {item(2).jti: END + 2 * DAY_MS, item(3).jti: END + 2 * DAY_MS}

    def test_before_a_first_report_it_runs_from_the_enrolment(self):
        assert due_online([item(1)], TERMS, enrolled_ms=END) == {item(1).jti: END + 3 * DAY_MS}

    def test_for_exports_it_is_the_agreed_time_and_interims_have_none(self):
        reports = [INTERIM, item(2), item(3, Delivery.PENDING)]
        assert due_exported(KEY, reports, 10) == {item(2).jti: END + 10 * DAY_MS}
        assert due_exported(KEY, reports, None) == {item(2).jti: END + 30 * DAY_MS}

    def test_is_on_the_object_while_it_waits(self):
        shown = status(item(1), [item(1)], END + 10 * DAY_MS)
        assert shown["delivery"] == "AwaitingApproval"
        assert shown["approvalDueTime"] == "1970-02-10T00:00:00Z"
        assert "approvalDueTime" not in status(item(1, Delivery.PENDING), [])

    def test_is_a_metric_while_something_waits(self):
        assert gauges(replace(VIEW, approval_due_ms=END), ()).approval_due_s == END // 1000
        assert gauges(VIEW, ()).approval_due_s is None

    def test_what_waits_for_a_person_is_no_late_delivery(self):
        shown = gauges(View("meter", 1, END, VIEW.findings), [item(1)])
        assert (shown.outbox, shown.outbox_oldest_s) == ({"AwaitingApproval": 1}, None)


@pytest.mark.parametrize(
    ("before", "now", "events"),
    [
        (("True", "ReportAccepted"), "AwaitingApproval", [("AwaitingApproval", "Normal")]),
        (("False", "Timeout"), "AwaitingApproval", [("AwaitingApproval", "Normal")]),
        (("False", "AwaitingApproval"), "AwaitingApproval", []),
        (("False", "AwaitingApproval"), "ApprovalDue", [("ApprovalDue", "Warning")]),
        (("False", "ApprovalDue"), "ApprovalDue", []),
        (("False", "ApprovalDue"), "ApprovalOverdue", [("ApprovalOverdue", "Warning")]),
        (("False", "ApprovalOverdue"), "ApprovalOverdue", []),
        (("False", "ApprovalOverdue"), "DeliveryPending", []),
    ],
)
def test_each_step_is_told_once(before, now, events):
    made = of_status(condition(*before), condition("False", now))
    assert [(event.reason, event.kind) for event in made] == events
