"""One vocabulary of reasons: each word once, each explained, and none written anywhere else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from licenseusage.cli.reasons import app
from licenseusage.reasons import Reason
from licenseusage.reasons.book import BOOK, CHAPTERS, meaning
from licenseusage.reasons.entries import Person, Polarity
from licenseusage.reasons.page import markdown

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "operator" / "licenseusage"
PAGE = ROOT / "docs" / "reasons.md"

NO_REASONS = {
    # States of a document at the vendor, and verdicts of a receipt (REPORT_FORMAT §9, §10).
    "Accepted": {
        "api/usagereceipt.py",
        "api/usagereport.py",
        "delivery/outbox.py",
        "ledger/documents/records.py",
        "reports/receipt.py",
    },
    # How a chain goes on (REPORT_FORMAT §6).
    "Restored": {"reports/findings.py", "reports/report.py"},
    # The phase of a pod, and the cause of a refusal: Kubernetes' own words.
    "Succeeded": {"controller/effects/pods.py"},
    "NamespaceTerminating": {"controller/effects/kube.py"},
}
NO_REASONS["Rejected"] = NO_REASONS["Accepted"] | {"receiver/openness.py"}
NO_REASONS["Conflict"] = NO_REASONS["Rejected"] | {"metering/bounds.py"}  # a class of accuracy
NO_REASONS["Accepted"] = NO_REASONS["Accepted"] | {"api/crd.py"}  # a column
NO_REASONS["AwaitingApproval"] = {"api/usagereport.py", "ledger/documents/records.py"}
"""Words of other vocabularies that are spelled like a reason, and where they stand."""

FAILURES = {
    "CheckResult",
    "CycleFinding",
    "DocumentCheck",
    "DocumentFinding",
    "Event",
    "Failure",
    "NoAnswer",
    "Outcome",
    "PollError",
    "PollFailure",
    "Problem",
    "Refused",
    "RequestRefused",
    "Retryable",
    "Stalled",
    "UsageError",
    "Verdict",
    "Waiting",
    "need",
}
"""What is made with a reason."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE))
        if not name.startswith("reasons/"):
            yield name, ast.parse(path.read_text("utf-8"))


def texts(tree: ast.AST) -> Iterator[ast.Constant]:
    yield from (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_every_reason_is_explained_once() -> None:
    explained = [reason for chapter in CHAPTERS for reason in chapter.entries]
    assert sorted(explained) == sorted(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_an_entry_says_what_it_means_and_what_to_do(reason: Reason) -> None:
    entry = BOOK[reason]
    assert re.fullmatch("[A-Z][A-Za-z]{0,63}", reason), "a condition's reason, and a Token"
    assert entry.means
    assert not entry.means.endswith((".", " "))
    assert not entry.means[0].isupper() or entry.means.split()[0].isupper()
    assert entry.fix[0].isupper() or entry.fix.startswith("`")
    assert entry.fix.endswith((".", "`"))
    assert "|" not in entry.means + entry.fix, "it stands in a table"
    needed = {Polarity.GOOD: {Person.NO}, Polarity.NOTE: {Person.NO}}
    assert entry.person in needed.get(entry.polarity, {Person.YES, Person.IF_IT_STAYS})


def test_no_reason_is_written_as_a_text() -> None:
    words = {str(reason) for reason in Reason}
    found = [
        f"{name}:{node.lineno}: {node.value}"
        for name, tree in modules()
        for node in texts(tree)
        if node.value in words and name not in NO_REASONS.get(node.value, set())
    ]
    assert found == [], "write Reason.X (licenseusage.reasons)"


def test_nothing_fails_for_a_reason_outside_the_vocabulary() -> None:
    """A CamelCase text where something is made that has a reason, or as a reason by name."""
    found = []
    for name, tree in modules():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            made = getattr(call.func, "id", getattr(call.func, "attr", ""))
            given = [*call.args, *(one.value for one in call.keywords)] if made in FAILURES else []
            given += [one.value for one in call.keywords if one.arg == "reason"]
            found += [
                f"{name}:{one.lineno}: {one.value}"
                for one in given
                if isinstance(one, ast.Constant)
                and re.fullmatch("(?:[A-Z]+[a-z]+){2,}[A-Z]*", str(one.value))
                and one.value not in ALLOWED
            ]
    assert found == [], "add it to licenseusage.reasons, with what it means and what to do"


ALLOWED = {
    # Causes of a refused admission are Kubernetes' words.
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
    # Actions of an event.
    "AmendCycle",
    "CloseCycle",
}


def test_the_page_is_made_from_the_vocabulary() -> None:
    assert PAGE.read_text("utf-8") == markdown(), "run: licenseusage reasons > docs/reasons.md"


def test_each_reason_is_an_anchor_of_the_page() -> None:
    anchors = re.findall(r'<a id="([^"]+)">', PAGE.read_text("utf-8"))
    assert sorted(anchors) == sorted(Reason)


def test_every_reason_that_a_document_names_exists() -> None:
    """Words in the first column of a table of reasons."""
    named = []
    for path in sorted(ROOT.glob("docs/*.md")):
        for table in re.findall(r"^\| reason \|.*\n\|[-|]+\n((?:\|.*\n)+)", path.read_text(), re.M):
            for row in table.splitlines():
                named += re.findall(r"`([A-Z][A-Za-z]+)`", row.split("|")[1])
    assert len(named) > 20
    assert set(named) - set(Reason) == set()


def test_a_word_of_another_version_is_known_as_something_else() -> None:
    assert Reason.known("NoReadyPods", Reason.REJECTED) is Reason.NO_READY_PODS
    for word in ("NeverHeardOf", "", None):
        assert Reason.known(word, Reason.REJECTED) is Reason.REJECTED
    assert meaning("NoReadyPods")
    assert meaning("NeverHeardOf") == ""


def test_command_prints_the_page() -> None:
    done = CliRunner().invoke(app, [])
    assert (done.exit_code, done.output) == (0, markdown())


def test_command_explains_reasons_however_they_are_spelled() -> None:
    done = CliRunner().invoke(app, ["noreadypods", "Stale"])
    assert done.exit_code == 0
    assert done.output.startswith("NoReadyPods: pods exist, and none of them is ready.\n")
    assert "\n\nStale: " in done.output


def test_command_knows_no_other_words() -> None:
    assert CliRunner().invoke(app, ["NeverHeardOf"]).exit_code == 2
