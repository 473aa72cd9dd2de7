"""No report is lost, there twice, or accepted without a proof: each way to be wrong is named."""

import itertools
from datetime import date

import pytest

from hack.e2e.errors import Failed
from hack.e2e.outcome import Outcome
from hack.e2e.plan import Plan
from hack.e2e.reports import Report, faults, joined
from hack.e2e.story import doctored
from hack.e2e.waiting import until


def report(sequence: int, **changed: object) -> Report:
    seen = {"number": "3001", "delivery": "Accepted", "receipt": True, "reason": ""} | changed
    return Report(sequence=sequence, **seen)  # type: ignore[arg-type]


def test_reports_in_any_order_each_once_are_in_order():
    assert faults([report(2), report(1), report(3)], count=3, stored=3) == []


def test_older_interims_leave_the_cluster_and_are_with_the_receiver():
    assert faults([report(3), report(4), report(5)], count=5, stored=5) == []


@pytest.mark.parametrize(
    ("reports", "count", "stored", "said"),
    [
        ([report(1), report(3)], 3, 3, "newest 3 of 3 reports are not there, each once: [1, 3]"),
        ([report(1), report(1)], 1, 1, "newest 3 of 1 reports are not there, each once: [1, 1]"),
        ([report(2)], 2, 2, "newest 3 of 2 reports are not there, each once: [2]"),
        ([report(1), report(2)], 1, 1, "newest 3 of 1 reports are not there, each once: [1, 2]"),
        ([report(1), report(2)], 3, 3, "newest 3 of 3 reports are not there, each once: [1, 2]"),
        ([report(1, delivery="Pending", reason="NoRoute")], 1, 1, "report 1 is Pending: NoRoute"),
        ([report(1, receipt=False)], 1, 1, "report 1 is accepted without a receipt"),
        ([report(1)], 1, 2, "the receiver holds 2 reports, and 1 were made"),
        ([report(1), report(2)], 2, 1, "the receiver holds 1 reports, and 2 were made"),
    ],
)
def test_what_is_wrong_is_named(reports, count, stored, said):
    (found,) = faults(reports, count, stored)
    assert said in found


def test_a_report_that_became_another_one_is_noticed_also_after_it_left_the_cluster():
    first, second = ({"spec": {"sequence": 1, "token": token}} for token in ("a", "b"))
    assert joined({1: first}, []) == {1: first}
    assert joined({}, [first]) == {1: first}
    with pytest.raises(Failed, match="report 1 is another one than before"):
        joined({1: first}, [second])


def test_a_report_is_read_as_the_cluster_has_it():
    item = {
        "spec": {"sequence": 4, "activeText": "3001"},
        "status": {"delivery": "Accepted", "receipt": "a.b.c"},
    }
    assert Report.of(item) == report(4)
    assert Report.of({"spec": {"sequence": 4}}).delivery == "none"


def test_each_renewed_licence_makes_a_report_due_at_once():
    plan = Plan(date(2026, 12, 1))
    assert plan.anchor == date(2026, 11, 21)
    hours = list(itertools.takewhile(lambda _: True, plan._hours))
    begun = 10 * 24  # at midnight; later in the day there are more
    for now in (begun, begun + 12, begun + 23):
        slots = [now // each for each in hours]
        assert slots == sorted(set(slots))
    assert len(hours) >= 8


def test_time_that_runs_out_says_what_was_seen_at_last():
    with pytest.raises(Failed, match=r"not within 0 s: it is so. Seen at last: otherwise"):
        until(lambda: "otherwise", lambda seen: seen == "so", "it is so", seconds=0)


def test_a_failed_check_of_the_doctor_fails_the_run_by_its_words():
    good = {"check": "pod", "result": "ok", "object": "Pod a", "seen": "ready"}
    warned = {"check": "key backup", "result": "warning", "object": "Secret b", "seen": "none"}
    bad = {"check": "rights", "result": "failed", "object": "SA c", "seen": "may not list pods"}
    assert doctored({"checks": [good, warned]}) == "2 checks of the doctor, none failed"
    with pytest.raises(Failed, match="rights SA c: may not list pods"):
        doctored({"checks": [good, bad]})


def test_a_run_passed_only_if_each_of_its_steps_did():
    class Quiet:
        def step(self, title):
            import contextlib

            return contextlib.nullcontext()

        def say(self, text):
            pass

    def fail():
        raise Failed("no")

    outcome = Outcome(Quiet())  # type: ignore[arg-type]
    assert '"passed": false' in outcome.json(image="a:1", context="c")
    outcome.step("chart", "one", lambda: "seen")
    assert '"passed": true' in outcome.json(image="a:1", context="c")
    with pytest.raises(Failed):
        outcome.step("chart", "two", fail)
    assert '"passed": false' in outcome.json(image="a:1", context="c")
