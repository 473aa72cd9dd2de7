"""report preview: the claims of the next report, by the operator's own rules, unsigned."""

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from licenseusage.cli.preview import previewed
from licenseusage.cli.report import app
from licenseusage.controller.settings import from_mapping
from licenseusage.errors import UsageError
from licenseusage.ledger.documents.closing import Signing
from licenseusage.ledger.records import Subscribed
from licenseusage.reports.names import digest
from licenseusage.reports.tokens import decode
from tests.cli.looked import KEY_ID, seen
from tests.cli.pods import showing
from tests.ledger import book
from tests.ledger.conftest import END, HOUR_MS, START, declared

NOW = START + 2 * HOUR_MS


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "ledger.db"
    licence = book.ISSUER.license
    with book.opened(path) as ledger:
        book.begin(ledger)
        ledger.keep_terms(
            1, book.TERMS, START, licensed=Subscribed(licence.subscription, licence.token)
        )
        book.count(ledger, START + HOUR_MS, "ada", "bob")
    return path


def preview(path, now_ms=NOW, **spec):
    settings = from_mapping({"LICENSEUSAGE_DATABASE_URL": f"sqlite:///{path}"})
    return previewed(settings, seen(**spec), now_ms)


def test_the_claims_are_those_that_the_next_report_states(path):
    claims = preview(path).claims
    with book.opened(path) as ledger:
        statement = ledger.statement(1, book.CYCLE, sources=[declared()])
        issuer = replace(
            book.ISSUER,
            key_id=KEY_ID,
            reference_offset_seconds=0,
        )
        signing = Signing(book.CHAIN, issuer.sign, NOW)
        report = ledger.add_interim(1, 1, statement, NOW, signing)
    stated = decode(report.token)[1]
    # What follows from how the sources are declared is compared at a real operator's report, in
    # tests/controller/test_vendor_and_licence.py.
    declaration = {"coverage": None, "rules": None}
    assert claims | declaration == stated | declaration
    assert (claims["kind"], claims["activeUsers"]) == ("interim", 2)


def test_of_a_cycle_that_has_ended_it_is_the_final(path):
    claims = preview(path, END + HOUR_MS).claims
    assert claims["kind"] == "final"
    assert claims["cycle"]["asOf"] == END // 1000


def test_what_is_withheld_is_not_in_it(path):
    claims = preview(path, privacy={"dailyCounts": "Withheld"}).claims
    assert claims["dailyActiveUsers"] is None
    assert claims["provisionedUsers"] == 100


def test_nothing_is_written(path):
    before = digest(path.read_bytes().hex())
    preview(path)
    assert digest(path.read_bytes().hex()) == before
    with book.opened(path) as ledger:
        assert ledger.reports(1) == ()


def test_while_reporting_is_suspended_it_says_that_the_report_waits(path):
    made = preview(path, suspend="Reporting")
    assert made.claims["activeUsers"] == 2
    assert any("spec.suspend is Reporting" in note for note in made.notes)


def test_what_becomes_of_it_is_noted(path):
    notes = preview(path, reporting={"approval": "Manual"}).notes
    assert "it will wait for approval (spec.reporting.approval is Manual)" in notes
    # The licence of the sample requires interims.
    assert not any(
        "no interim" in note for note in preview(path, reporting={"interims": "Withheld"}).notes
    )


def refusal(path, **how):
    with pytest.raises(UsageError) as error:
        preview(path, **how)
    return error.value


def test_an_object_that_the_ledger_does_not_know_is_named(path):
    error = refusal(path, name="other")
    assert error.reason == "NothingDue"
    assert "LicenseUsage default/other is not in the ledger yet" in error.message


def test_before_the_first_cycle_there_is_nothing(path):
    assert "no billing cycle that has begun" in refusal(path, now_ms=START - HOUR_MS).message


def test_without_a_licence_it_says_that_nothing_is_reported(tmp_path):
    path = tmp_path / "ledger.db"
    with book.opened(path) as ledger:
        book.begin(ledger)
        book.count(ledger, START + HOUR_MS, "ada")
    assert refusal(path).reason == "NoLicense"


def test_away_from_the_ledger_it_runs_itself_in_the_operators_pod(tmp_path, monkeypatch):
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/sh\n{showing()}echo "$@" > {tmp_path}/asked\necho "{{}}"\n')
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("LICENSEUSAGE_DATABASE_URL", raising=False)
    result = CliRunner().invoke(app, ["preview", "shop", "-n", "apps"])
    assert (result.exit_code, result.stdout) == (0, "{}\n")
    assert (
        (tmp_path / "asked")
        .read_text()
        .endswith("-- licenseusage report preview --namespace=apps -- shop\n")
    )
