"""The operator is killed while cycles end: nothing is lost or doubled, and a loss would be noticed.

A short run of what `make kills` does for longer.
"""

import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from licenseusage.ledger.documents.records import Delivery
from licenseusage.reports.content import Kind
from licenseusage.reports.report import read_report
from licenseusage.reports.typs import REPORT
from trials.kills import aftermath
from trials.kills.journal import Committed, Decision
from trials.kills.people import DAY, People
from trials.kills.places import AT_THE_END, unlisted
from trials.kills.plan import Plan
from trials.kills.run import METERS, Run
from trials.kills.verdict import judge

pytestmark = pytest.mark.controlplane

KILLS = len(AT_THE_END) + 5


@pytest.fixture(scope="module")
def run(control_plane, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills")
    plan = Plan(random.Random("short"), KILLS, METERS, list(AT_THE_END), wander=0.0)
    run = Run(control_plane, folder, plan, seed=1)
    run.evidence = run.play(print)
    run.folder = folder
    return run


@pytest.fixture
def found(run):
    """Judge changed evidence: what is said about it."""

    def changed(**changes):
        committed = changes.pop("committed", run.record.committed)
        return "\n".join(judge(replace(run.evidence, **changes), committed).violations)

    return changed


def test_kills_at_each_step_of_a_cycles_end_lose_and_double_nothing(run):
    judged = judge(run.evidence, run.record.committed)
    assert not judged.violations
    assert not run.record.troubles
    assert judged.finals == judged.cycles > 0
    assert run.record.kills == KILLS
    missed = set(AT_THE_END) - set(run.record.killed_at)
    assert not missed
    assert not unlisted(run.record.passed)


def test_a_final_that_is_missing_or_doubled_is_noticed(run, found):
    final = next(one for one in run.evidence.stored if _is_final(one))
    kept = tuple(one for one in run.evidence.stored if one != final)
    assert "is broken: Chain" in found(stored=kept)
    newest = max((one for one in run.evidence.stored if _is_final(one)), key=lambda o: o.sequence)
    same = [one for one in run.evidence.stored if one.chain_id == newest.chain_id]
    kept = tuple(
        set(run.evidence.stored) - {one for one in same if one.sequence >= newest.sequence}
    )
    assert "has 0 accepted finals" in found(stored=kept)
    refused = replace(final, verdict="Conflict")
    assert "answered Conflict" in found(stored=(*run.evidence.stored, refused))


def test_a_number_that_is_not_the_truth_is_noticed(run, found):
    counted = run.evidence.counted[0]
    others = People(random.Random(9), run.record.first_s - 400 * DAY, 1, 5)
    crowd = People(random.Random(9), run.record.first_s, 300, 500)
    for people in (others, crowd):
        assert "the truth is" in found(counted=(replace(counted, people=people),))


def test_a_committed_fact_that_no_final_holds_is_noticed(run, found):
    committed = Committed()
    committed.join(run.record.committed)
    cycle = next(iter(committed.decided))
    people = {f"{number:032x}": 1 << 62 for number in range(100)}
    committed.before[cycle] = people
    assert "users were committed as active" in found(committed=committed)


def test_a_decision_that_was_taken_anew_is_noticed(run, found):
    committed = Committed()
    committed.join(run.record.committed)
    cycle, (decision,) = next(iter(committed.decided.items()))
    committed.decided[cycle] = [Decision(decision.at_ms - 5000, decision.lower, decision.upper)]
    assert "was decided as" in found(committed=committed)
    committed.decided[cycle].append(decision)
    assert "was decided 2 times" in found(committed=committed)


def test_a_document_signed_twice_is_noticed(run, found):
    committed = Committed()
    committed.join(run.record.committed)
    jti = next(iter(committed.signed))
    committed.signed[jti] = ["another", *committed.signed[jti]]
    said = found(committed=committed)
    assert "was signed 2 times" in said
    assert "has other bytes than were committed first" in said


def test_an_object_that_says_something_else_is_noticed(run, found):
    counted = run.evidence.counted[0]
    finals = [one for one in counted.objects if one["spec"]["kind"] == "Final"]
    assert finals
    rest = tuple(one for one in counted.objects if one is not finals[0])
    assert "is missing" in found(counted=(replace(counted, objects=rest),))
    other = {**finals[0], "status": {"delivery": "Pending"}}
    assert "or Pending" in found(counted=(replace(counted, objects=(*rest, other)),))
    history = [{**one, "activeUsers": 99} for one in counted.status["history"]]
    status = {**counted.status, "history": history}
    assert "the status says" in found(counted=(replace(counted, status=status),))


def test_a_report_that_waits_for_ever_is_noticed(run, found):
    counted = run.evidence.counted[0]
    waiting = replace(counted.reports[-1], state=Delivery.PENDING)
    changed = replace(counted, reports=(*counted.reports[:-1], waiting))
    assert "is Pending in the ledger" in found(counted=(changed,))
    changed = replace(counted, reports=counted.reports[1:])
    assert "has a gap" in found(counted=(changed,))


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ("delete from facts where sure <> 0", "committed facts lost"),
        ("update cycles set intent_ms = intent_ms + 1", "committed decision is lost"),
        ("update outbox set token = 'another'", "the committed token is lost or another"),
    ],
)
def test_what_a_kill_would_have_lost_is_noticed_at_once(run, tmp_path, loss, words):
    ledger = run.folder / "ledger.sqlite"
    copy = tmp_path / "ledger.sqlite"
    shutil.copy(ledger, copy)
    assert aftermath.missing(copy, run.record.committed) == []
    with closing(sqlite3.connect(copy)) as database, database:
        database.execute(loss)
    assert words in "\n".join(aftermath.missing(copy, run.record.committed))
    copy.write_bytes(copy.read_bytes()[:9000])
    with pytest.raises(sqlite3.DatabaseError):
        aftermath.missing(copy, run.record.committed)


def _is_final(stored):
    return stored.typ == REPORT and read_report(stored.token).content.kind is Kind.FINAL
