"""What is looked back at, judged and told: pure decisions after the final."""

from dataclasses import replace

import pytest

from licenseusage.controller.effects.metrics import Metrics
from licenseusage.controller.rules.conditions import Findings, SourceHealth, conditions
from licenseusage.controller.rules.contradictions import contradicted
from licenseusage.controller.rules.gauges import gauges
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.lookback import Earlier, LookBack, choose
from licenseusage.controller.rules.status import Ended, View, compose
from licenseusage.controller.rules.transitions import of_status
from licenseusage.controller.steps.amending import wants_judging
from licenseusage.ledger.documents.records import Delivery, OutboxItem, ReportKind
from licenseusage.ledger.records import (
    Amendment,
    ClosingIntent,
    Contradiction,
    CycleRecord,
    CycleState,
)
from licenseusage.metering.bounds import Bounds
from licenseusage.metering.coverage import Coverage
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.properties import Guarantee
from licenseusage.metering.refuting import Refutation
from licenseusage.metering.statement import CycleStatement
from licenseusage.metering.stores import StoreKey

HOUR_MS = 3_600_000
START = 20_000 * DAY_MS
OLDER = Cycle(1, START - 60 * DAY_MS, START - 30 * DAY_MS)
BEFORE = Cycle(2, START - 30 * DAY_MS, START)
CYCLE = Cycle(3, START, START + 30 * DAY_MS)
NOW = START + 5 * DAY_MS + 13 * HOUR_MS
RULES = "sha256:rules"


def said(lower, upper=None, cycle=BEFORE, **details):
    bounds = Bounds(lower, upper, conflict=bool(details.get("refuted")))
    return CycleStatement(cycle, cycle.end_ms, bounds, (), Coverage(0, ()), **details)


FINAL = CycleRecord(
    1,
    BEFORE,
    CycleState.FINAL,
    intent=ClosingIntent(START, "GraceOver", said(398), START),
    statement=said(398),
    rules_digest=RULES,
    pseudonym_key_id="key",
    evidence=1,
)
AMENDED = replace(
    FINAL, amendments=(Amendment(NOW, "NewEvidence", "≥398 before, 398 now", said(398, 398)),)
)
REFUTED = replace(FINAL, contradiction=Contradiction(NOW, "398 was stated, and lag is too short"))


class TestLookingBack:
    """Ordinary polls carry what they show of cycles that were decided on, one at a time."""

    LOOK = LookBack([CYCLE], StoreKey("list", "d"), NOW - DAY_MS, RULES, "key", asked=False)

    def test_a_decided_cycle_takes_evidence(self):
        assert self.LOOK.takes(FINAL)

    @pytest.mark.parametrize(
        "other",
        [
            replace(FINAL, intent=None),
            replace(FINAL, wiped=True),
            replace(FINAL, rules_digest="sha256:others"),
            replace(FINAL, pseudonym_key_id="former"),
            replace(FINAL, cycle=replace(BEFORE, index=CYCLE.index)),  # of other terms
            REFUTED,
        ],
        ids=["undecided", "wiped", "other rules", "other key", "same index", "contradicted"],
    )
    def test_others_do_not(self, other):
        assert not self.LOOK.takes(other)

    def test_one_without_its_closing_poll_goes_first(self):
        done, missing = Earlier(BEFORE, ended=True), Earlier(OLDER, ended=False)
        assert choose([done, missing], NOW - DAY_MS, NOW, asked=False) == missing

    def test_several_take_turns(self):
        both = [Earlier(BEFORE, ended=False), Earlier(OLDER, ended=False)]
        turns = [choose(both, NOW - HOUR_MS, NOW + n * HOUR_MS, asked=False) for n in range(2)]
        assert sorted(turns, key=lambda one: one.cycle) == both[::-1]
        done = [Earlier(BEFORE, ended=True), Earlier(OLDER, ended=True)]
        turns = [choose(done, NOW - DAY_MS, NOW + n * DAY_MS, asked=False) for n in range(2)]
        assert sorted(turns, key=lambda one: one.cycle) == done[::-1]

    def test_none_twice_in_the_hour_unless_asked_for(self):
        known = [Earlier(BEFORE, ended=False)]
        assert choose(known, NOW - 1, NOW, asked=True) == known[0]
        assert choose(known, NOW, NOW + 1, asked=False) is None
        assert choose([], NOW, NOW + 1, asked=True) is None


class TestJudging:
    """A cycle is compared only after something came to be known, under its own rules."""

    def test_a_final_with_evidence(self):
        assert wants_judging(FINAL, RULES)
        assert wants_judging(AMENDED, RULES)

    @pytest.mark.parametrize(
        "other",
        [
            replace(FINAL, evidence=0),
            replace(FINAL, state=CycleState.CLOSING),
            replace(FINAL, wiped=True),
            replace(FINAL, rules_digest="sha256:others"),
            REFUTED,
        ],
    )
    def test_no_other(self, other):
        assert not wants_judging(other, RULES)


def ended(record, statement=None):
    return Ended(record, statement or record.stated)


class TestContradictions:
    """Which guarantee is false is told with its cycle, as long as the guarantee stands."""

    def test_evidence_against_a_final(self):
        told = contradicted((), None, [ended(REFUTED)], RULES)
        assert told.startswith("Cycle 2024-09-04 to 2024-10-04: 398 was stated, and lag is too ")
        assert "That statement stands." in told
        assert "Correct spec.sources[].guarantees" in told

    def test_a_cycle_that_ended_in_conflict(self):
        conflict = said(5, 4, refuted=("source list: removal: Never is false",))
        told = contradicted((), None, [ended(FINAL, conflict)], RULES)
        assert "no number can be stated: source list: removal: Never is false" in told

    def test_what_stands_refuted_is_told_first_and_of_the_cycles_the_newest(self):
        lost = Refutation("list", Guarantee.REMOVAL_NEVER, "d1", NOW, "the list lost 1 of 3 users")
        running = said(5, None, CYCLE, refuted=("source list: the list lost 1 of 3 users",))
        told = contradicted([lost], running, [ended(REFUTED), ended(REFUTED)], RULES)
        assert told.startswith("Source list: the list lost 1 of 3 users. Cycle 2024-09-04 to ")
        assert told.endswith("(1 more cycles in status.history.)")
        assert contradicted([lost], running, [], RULES) == (
            "Source list: the list lost 1 of 3 users."
        )

    def test_observers_that_contradict_each_other_are_told_with_the_running_cycle(self):
        running = said(5, None, CYCLE, refuted=("sources a, b: combine: Same",))
        assert contradicted((), running, [], RULES) == "This cycle: sources a, b: combine: Same."

    @pytest.mark.parametrize("record", [FINAL, AMENDED])
    def test_nothing_is_told_where_nothing_is_refuted(self, record):
        assert contradicted((), said(398), [ended(record)], RULES) is None

    def test_nor_once_the_guarantees_are_others_or_the_facts_are_gone(self):
        assert contradicted((), None, [ended(REFUTED)], "sha256:others") is None
        assert contradicted((), None, [ended(replace(REFUTED, wiped=True))], RULES) is None

    def test_the_condition_is_one_of_its_own_and_counting_goes_on(self):
        found = Findings(
            "shop", refuted="lag is too short.", sources=[SourceHealth("list", NOW, 900_000)]
        )
        shown = {c["type"]: c for c in conditions(found, [], 1, NOW)}
        assert (shown["GuaranteesHold"]["status"], shown["GuaranteesHold"]["reason"]) == (
            "False",
            "GuaranteeRefuted",
        )
        assert shown["GuaranteesHold"]["message"] == "lag is too short."
        assert (shown["Ready"]["status"], shown["Collected"]["status"]) == ("True", "True")
        assert "Stalled" not in shown
        healthy = {c["type"] for c in conditions(replace(found, refuted=None), [], 1, NOW)}
        assert "GuaranteesHold" not in healthy

    def test_it_is_an_event_once_and_a_metric(self):
        found = Findings("shop", refuted="the list lost 1 of 3 users.")
        after = compose(View("shop", 1, NOW, found, refuted=1))
        (event,) = [e for e in of_status({}, after) if e.reason == "GuaranteeRefuted"]
        assert (event.kind, event.note) == ("Warning", "the list lost 1 of 3 users.")
        assert not [e for e in of_status(after, after) if e.reason == "GuaranteeRefuted"]
        metrics = Metrics(lambda: NOW / 1000)
        metrics.show(Key("a", "shop"), gauges(View("shop", 1, NOW, found, refuted=2), ()))
        metrics.show(Key("a", "calm"), gauges(View("calm", 1, NOW, Findings("shop")), ()))
        text = metrics.text().decode()
        assert 'licenseusage_guarantees_refuted{name="shop",usage_namespace="a"} 2.0' in text
        assert 'licenseusage_guarantees_refuted{name="calm",usage_namespace="a"} 0.0' in text


def history(record, reports=()):
    findings = Findings("shop", sources=[SourceHealth("list", NOW, 900_000)])
    view = View("shop", 1, NOW, findings, ended=[ended(record)], reports=reports)
    (entry,) = compose(view)["history"]
    return entry


def report(sequence, kind, state=Delivery.ACCEPTED):
    return OutboxItem(
        f"c-{sequence}", kind, "c" * 32, "k", sequence, "d", "t", 1, BEFORE, "398", NOW, state,
        receipt="signed",
    )  # fmt: skip


class TestHistory:
    """The status shows what is stated now, what was before, and what contradicts it."""

    def test_an_amended_cycle(self):
        final, amendment = report(7, ReportKind.FINAL), report(9, ReportKind.AMENDMENT)
        entry = history(AMENDED, [amendment, final])
        assert (entry["state"], entry["activeText"], entry["accuracy"]) == (
            "Amended",
            "398",
            "Exact",
        )
        assert (entry["reason"], entry["message"]) == ("NewEvidence", "≥398 before, 398 now")
        assert entry["report"].endswith("-000009")

    def test_a_refused_amendment_is_not_the_report_that_states_it(self):
        refused = report(9, ReportKind.AMENDMENT, Delivery.REJECTED)
        assert history(AMENDED, [refused, report(7, ReportKind.FINAL)])["report"].endswith("07")

    def test_a_contradicted_cycle_keeps_its_statement(self):
        entry = history(REFUTED)
        assert (entry["state"], entry["activeText"]) == ("Final", "≥398")
        assert entry["reason"] == "GuaranteeRefuted"
        assert entry["message"] == "398 was stated, and lag is too short"

    def test_a_cycle_that_ended_in_conflict_names_the_guarantee(self):
        conflict = said(5, 4, refuted=("source list: ids: Stable",))
        record = replace(FINAL, intent=replace(FINAL.intent, statement=conflict))
        entry = history(record)
        assert (entry["activeText"], entry["reason"]) == ("unknown", "GuaranteeRefuted")
        assert entry["message"] == "source list: ids: Stable"

    def test_an_ordinary_final_says_no_more(self):
        assert not {"reason", "message"} & history(FINAL).keys()

    def test_an_amendment_is_told_once(self):
        final, amended = {"history": [history(FINAL)]}, {"history": [history(AMENDED)]}
        (event,) = of_status(final, amended)
        assert (event.reason, event.kind) == ("CycleAmended", "Normal")
        assert "≥398 before, 398 now" in event.note
        assert of_status(amended, amended) == []
        assert [e.reason for e in of_status({}, amended)] == ["CycleClosed"]
