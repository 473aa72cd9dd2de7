"""report prove and verify-proof: whether a person is among those that a final counted."""

from dataclasses import replace

import pytest

from licenseusage.cli.proving import proved
from licenseusage.errors import UsageError
from licenseusage.ledger.documents.closing import Signing
from licenseusage.ledger.documents.records import Committing
from licenseusage.metering.combine import Combine
from licenseusage.metering.cycles import DAY_MS
from licenseusage.metering.pseudonym import Pseudonymiser, key_id
from licenseusage.reports.proof import check_proof
from tests.cli.persons import KEY, looked, record, settings_of, store_of
from tests.ledger import book
from tests.ledger.conftest import CYCLE, END, HOUR_MS, MINUTE_MS, START, declared


@pytest.fixture
def ledger_of_a_final(tmp_path, monkeypatch):
    """A ledger whose cycle is Final with ada, bob and EVE, and the final's token."""
    monkeypatch.setattr(
        "tests.ledger.conftest.user", Pseudonymiser(KEY, "opencloud", START // 1000)
    )
    path, of = tmp_path / "ledger.sqlite", looked()
    record(path, of, END + 2 * MINUTE_MS, {"ada": START, "bob": START, "EVE": START})
    sources, at_ms = (replace(declared(), store=store_of(of)),), END + 5 * MINUTE_MS
    committing = Committing(sources, Combine.UNION, lambda size: b"s" * size)
    signing = Signing(book.CHAIN, book.ISSUER.sign, at_ms, committing=committing)
    with book.opened(path) as ledger:
        statement = ledger.statement(1, CYCLE, sources=sources, as_of_ms=END)
        ledger.begin_close(1, CYCLE, reason="ClosingPolls", statement=statement, now_ms=at_ms)
        return path, ledger.close_cycle(1, CYCLE, at_ms, signing).token


def prove(path, person, index=None):
    return proved(settings_of(path), looked(), KEY, person, index)


def test_a_person_who_was_counted_and_one_who_was_not(ledger_of_a_final):
    path, token = ledger_of_a_final
    proofs = [prove(path, person) for person in ("ada", "zoe")]
    assert [proof.counted for proof in proofs] == [True, False]
    assert [check_proof(proof, [token]) for proof in proofs] == [token, token]


@pytest.mark.parametrize("person", ["ada", "zoe"])
def test_the_command_verifies_it_and_says_what_it_shows(ledger_of_a_final, run, tmp_path, person):
    path, token = ledger_of_a_final
    (tmp_path / "proof.json").write_text(prove(path, person).to_json())
    (tmp_path / "report.jwt").write_text(token)
    done = run("report", "verify-proof", "proof.json", "--report", "report.jwt")
    assert done.code == 0, done.err
    assert ("is NOT among" if person == "zoe" else "is among") in done.out
    assert "signature was not checked" in done.out
    assert person not in done.out


def test_a_proof_of_another_report_is_wrong(ledger_of_a_final, run, tmp_path):
    path, token = ledger_of_a_final
    (tmp_path / "proof.json").write_text(replace(prove(path, "ada"), report="sha256:0").to_json())
    (tmp_path / "report.jwt").write_text(token)
    done = run("report", "verify-proof", "proof.json", "--report", "report.jwt")
    assert done.code == 1
    assert "about another report" in done.out


def test_after_retention_or_erasure_or_for_another_cycle_it_says_what_may_be(ledger_of_a_final):
    path, _ = ledger_of_a_final
    with pytest.raises(UsageError, match="of cycle 7"):
        prove(path, "ada", 7)
    with book.opened(path) as ledger:
        ledger.delete_expired_facts(END + 100 * DAY_MS)
    with pytest.raises(UsageError) as error:
        prove(path, "ada")
    assert error.value.reason == "CommitmentNotKept"
    assert "deleted after their retention" in error.value.message


def test_under_another_key_nothing_is_proved(ledger_of_a_final):
    path, _ = ledger_of_a_final
    new = b"n" * 32
    with pytest.raises(UsageError) as error:
        proved(settings_of(path), replace(looked(), key_id=key_id(new)), new, "ada", None)
    assert error.value.reason == "AnotherKey"


def test_the_id_is_sought_as_it_is_given_too(ledger_of_a_final):
    path, _ = ledger_of_a_final
    of = looked(users={"normalize": ["Lowercase"]})
    assert proved(settings_of(path), of, KEY, "EVE", None).counted


def test_the_running_cycle_has_nothing_to_prove(tmp_path):
    path = tmp_path / "ledger.sqlite"
    record(path, looked(), START + HOUR_MS, {"ada": START})
    with pytest.raises(UsageError, match="no such report yet"):
        prove(path, "ada")
