"""erase: the command finds a person in every cycle, however the sources write the id."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from licenseusage.cli.erase import erased
from licenseusage.cli.explain import as_json, explained
from licenseusage.errors import UsageError
from licenseusage.ledger.facts.erasing import Erasure
from licenseusage.metering.pseudonym import Pseudonymiser, key_id
from tests.cli.persons import KEY, NOW, looked, record, settings_of
from tests.ledger import book
from tests.ledger.conftest import HOUR_MS, START


@pytest.fixture(autouse=True)
def _real_pseudonyms(monkeypatch):
    monkeypatch.setattr(
        "tests.ledger.conftest.user", Pseudonymiser(KEY, "opencloud", START // 1000)
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


def erase(path, person, of):
    def token(size):
        return b"t" * size

    return erased(settings_of(path), of, KEY, person, NOW, random_bytes=token)


def standing(path, person, of):
    cycles = as_json(of, explained(settings_of(path), of, KEY, person, NOW))["cycles"]
    return [cycle["standing"] for cycle in cycles]


def test_an_erased_person_is_not_explained_any_more(path):
    of = looked()
    record(path, of, START + HOUR_MS, {"ada": START, "bob": START})
    with book.opened(path) as ledger:
        book.final(ledger)
    assert standing(path, "ada", of) == ["Counted"]
    assert erase(path, "ada", of) == {START: Erasure.ERASED}
    assert standing(path, "ada", of) != ["Counted"]
    assert standing(path, "bob", of) == ["Counted"]


def test_the_id_is_sought_as_sources_normalise_it_and_as_it_is_given(path):
    of = looked(users={"normalize": ["Trim", "Lowercase"]})
    record(path, of, START + HOUR_MS, {"ada": START, "ADA": START})
    assert erase(path, "ADA", of) == {START: Erasure.ORDERED}
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("select count(*) from erasures").fetchone() == (2,)


def test_an_unknown_licenseusage_has_nothing_to_erase(path):
    record(path, looked(), START + HOUR_MS, {"ada": START})
    other = looked(of="other")
    with pytest.raises(UsageError, match="default/other is not in the ledger"):
        erase(path, "ada", other)


def test_under_another_key_nobody_is_said_to_be_erased(path):
    record(path, looked(), START + HOUR_MS, {"ada": START})
    of = replace(looked(), key_id=key_id(b"n" * 32))
    assert erase(path, "ada", of) == {START: Erasure.OTHER_KEY}


def test_without_a_yes_nothing_is_asked_of_the_operator(run, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run("erase", "opencloud", "-n", "default", "--user=ada", stdin="n\n")
    assert done.code == 1
    assert "It cannot be undone" in done.err
