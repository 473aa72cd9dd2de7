"""What the judge of a run of kills asks of a status: which cycles are amended, and which final."""

from types import SimpleNamespace

import pytest

from licenseusage.reports.content import Kind
from trials.kills import verdict


def report(sequence, kind, index, users):
    content = SimpleNamespace(
        kind=kind,
        cycle=SimpleNamespace(index=index),
        active_users=users,
        active_users_upper_bound=users,
    )
    return SimpleNamespace(envelope=SimpleNamespace(sequence=sequence), content=content)


REPORTS = (
    report(1, Kind.FINAL, 0, 4),
    report(2, Kind.FINAL, 1, 6),
    report(3, Kind.AMENDMENT, 0, 5),
)


def said(*states):
    shown = [
        {"index": 0, "activeUsers": 5, "activeUsersUpperBound": 5, "state": states[0]},
        {"index": 1, "activeUsers": 6, "activeUsersUpperBound": 6, "state": states[1]},
    ]
    return list(verdict._status(SimpleNamespace(status={"history": shown}), REPORTS))


def test_a_cycle_with_an_amendment_is_amended_and_every_other_one_is_final():
    assert said("Amended", "Final") == []


@pytest.mark.parametrize(
    ("states", "wrong"),
    [(("Final", "Final"), 0), (("Amended", "Amended"), 1), (("Closing", "Final"), 0)],
)
def test_any_other_state_is_noticed(states, wrong):
    (violation,) = said(*states)
    assert f"the status says {states[wrong]} for cycle {wrong}" in violation
