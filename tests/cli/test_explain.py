"""explain: one person in the ledger, for the customer alone, refused unless allowed, recorded."""

import json
from dataclasses import replace

import pytest
from structlog.testing import CapturingLogger

from licenseusage.cli.explain import as_json, explained
from licenseusage.cli.persons import Request, note, permitted, person_of
from licenseusage.controller.effects import personlog
from licenseusage.controller.effects.personlog import Repeater, record_of
from licenseusage.controller.rules.key import Key
from licenseusage.errors import UsageError
from licenseusage.metering.cycles import DAY_MS
from licenseusage.metering.pseudonym import Pseudonymiser, record_name
from tests.cli.persons import KEY, NOW, looked, record, settings_of
from tests.cli.pods import showing
from tests.ledger import book
from tests.ledger.conftest import CYCLE, END, HOUR_MS, LISTED_ONCE, MINUTE_MS, START, TERMS


@pytest.fixture(autouse=True)
def _real_pseudonyms(monkeypatch):
    monkeypatch.setattr(
        "tests.ledger.conftest.user", Pseudonymiser(KEY, "opencloud", START // 1000)
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


def ask(path, person, of=None):
    of = of or looked()
    return as_json(of, explained(settings_of(path), of, KEY, person, NOW))["cycles"]


def test_the_days_and_the_source_of_somebody_who_counts(path):
    of = looked()
    record(path, of, START + HOUR_MS, {"ada": START})
    record(path, of, START + DAY_MS + HOUR_MS, {"ada": START + DAY_MS})
    (cycle,) = ask(path, "ada")
    assert (cycle["index"], cycle["state"], cycle["standing"]) == (0, "Open", "Counted")
    (source,) = cycle["sources"]
    assert (source["source"], source["says"]) == ("graph", "Active")
    assert source["activeDays"] == ["2026-11-01", "2026-11-02"]


def test_somebody_nobody_ever_heard_of_is_not_in_the_data(path):
    record(path, looked(), START + HOUR_MS, {"ada": START})
    (cycle,) = ask(path, "zoe")
    assert cycle["standing"] == "NotProved"
    assert cycle["sources"][0]["says"] == "NotInData"


def test_an_excluded_account_is_called_excluded(path):
    record(
        path,
        looked(),
        START + HOUR_MS,
        {"ada": START},
        excluded=("robot",),
        excluded_lately=("robot",),
        properties=LISTED_ONCE,
    )
    (cycle,) = ask(path, "robot")
    assert cycle["sources"][0]["says"] == "Excluded"
    assert cycle["standing"] != "Counted"


def test_somebody_listed_and_idle_all_cycle_is_not_counted(path):
    of = looked()
    for at_ms in (START - MINUTE_MS, START + HOUR_MS, END + 2 * MINUTE_MS):
        active = {} if at_ms < START else {"ada": START}
        cycles = (CYCLE,)
        record(path, of, at_ms, active, idle=("bob",), cycles=cycles, properties=LISTED_ONCE)
    (cycle,) = ask(path, "bob")
    assert cycle["sources"][0]["says"] == "Inactive"


def test_after_the_retention_it_says_that_nothing_is_kept(path):
    of = looked()
    record(path, of, START + HOUR_MS, {"ada": START})
    with book.opened(path) as ledger:
        book.final(ledger)
        ledger.delete_expired_facts(END + 100 * DAY_MS)
    (cycle,) = ask(path, "ada")
    assert (cycle["standing"], cycle["sources"]) == ("NotKept", [])


def test_a_cycle_of_another_key_is_unknown_and_not_absent(path):
    record(path, replace(looked(), key_id="0" * 32), START + HOUR_MS, {"ada": START})
    (cycle,) = ask(path, "ada")
    assert (cycle["standing"], cycle["sources"]) == ("OtherKey", [])


def test_an_id_is_compared_as_the_source_normalises_it(path):
    of = looked(users={"normalize": ["Trim", "Lowercase"]})
    record(path, of, START + HOUR_MS, {"ada": START})
    (cycle,) = ask(path, " ADA ", of)
    assert cycle["standing"] == "Counted"


def test_newest_cycle_first_and_each_by_itself(path, monkeypatch):
    of, later = looked(), TERMS.cycle(1)
    record(path, of, START + HOUR_MS, {"ada": START})
    following = Pseudonymiser(KEY, "opencloud", later.start_ms // 1000)
    monkeypatch.setattr("tests.ledger.conftest.user", following)
    record(path, of, later.start_ms + HOUR_MS, {"bob": later.start_ms}, cycles=(later,))
    standings = [(cycle["index"], cycle["standing"]) for cycle in ask(path, "ada")]
    assert standings == [(1, "NotProved"), (0, "Counted")]


def test_nobody_is_looked_for_unless_the_settings_allow_it(path):
    with pytest.raises(UsageError) as error:
        permitted(settings_of(path))
    assert error.value.reason == "PersonRequestsRefused"
    permitted(settings_of(path, LICENSEUSAGE_PERSON_REQUESTS="Allowed"))


def test_a_misspelt_permission_is_none(path):
    with pytest.raises(UsageError, match="LICENSEUSAGE_PERSON_REQUESTS='yes' must be"):
        settings_of(path, LICENSEUSAGE_PERSON_REQUESTS="yes")


REQUEST = Request("explain", Key("default", "opencloud"), "ada@example.com", "ann")


def test_each_use_is_recorded_with_the_caller_and_without_the_id(path):
    note(settings_of(path), REQUEST, KEY, NOW)
    text = record_of(path).read_text()
    assert json.loads(text) == {
        "time": "2026-11-05T01:00:00Z",
        "action": "explain",
        "caller": "ann",
        "usage": "default/opencloud",
        "person": record_name(KEY, "ada@example.com"),
    }
    assert record_of(path).stat().st_mode & 0o777 == 0o600


def test_the_record_names_a_person_by_no_pseudonym_of_a_cycle():
    pseudonym = Pseudonymiser(KEY, "opencloud", START // 1000)("ada").hex()
    assert record_name(KEY, "ada") != pseudonym
    assert record_name(KEY, "ada") != record_name(KEY, "bob")


def test_without_a_record_nothing_is_answered(path):
    record_of(path).mkdir()
    with pytest.raises(UsageError, match="nothing was looked up"):
        note(settings_of(path), REQUEST, KEY, NOW)


def test_the_operators_log_repeats_each_use_once(path, monkeypatch):
    log = CapturingLogger()
    monkeypatch.setattr(personlog, "_log", log)
    note(settings_of(path), REQUEST, KEY, NOW)
    repeater = Repeater(path)
    assert repeater.repeat() == 0
    note(settings_of(path), replace(REQUEST, caller="bea"), KEY, NOW)
    assert repeater.repeat() == 1
    assert [call.kwargs["caller"] for call in log.calls] == ["bea"]
    assert "ada@" not in str(log.calls)
    assert repeater.repeat() == 0


def test_a_line_that_is_not_ours_does_not_stop_the_log(path):
    repeater = Repeater(path)
    record_of(path).write_text("{}\nnonsense\n[1]\n")
    assert repeater.repeat() == 3


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    """A kubectl of a user called ann that keeps how it was called, and what it was given."""
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    whoami = json.dumps({"status": {"userInfo": {"username": "ann"}}})
    program.write_text(
        f"#!/bin/sh\n{showing()}"
        f'case "$*" in "auth whoami"*) echo \'{whoami}\'; exit;; esac\n'
        f'echo "$@" > {tmp_path}/asked\ncat > {tmp_path}/given\necho answer\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return tmp_path


def test_the_id_travels_as_input_and_never_as_an_argument(kubectl, run):
    done = run("explain", "opencloud", "-n", "default", "--user", "ada@example.com")
    assert (done.code, done.out) == (0, "answer\n")
    asked = (kubectl / "asked").read_text()
    assert "ada" not in asked
    assert "explain --user=- --caller=ann --namespace=default --output=table -- opencloud" in asked
    assert (kubectl / "given").read_text() == "ada@example.com\n"


def test_the_id_can_be_given_as_input(kubectl, run):
    done = run("explain", "opencloud", "-n", "default", "--user", "-", stdin="ada@example.com\n")
    assert done.code == 0
    assert (kubectl / "given").read_text() == "ada@example.com\n"


@pytest.mark.parametrize("person", ["", "   ", "x" * 1025, "a\nb"])
def test_what_is_no_id_is_refused(run, person):
    done = run("explain", "opencloud", "-n", "default", "--user", person)
    assert done.code == 2
    assert "--user" in done.err


def test_an_id_keeps_its_spaces_and_its_dashes():
    assert person_of(" -x ") == " -x "
