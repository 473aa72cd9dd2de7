"""Each contract about imports is broken on purpose: a contract that cannot fail holds nothing."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]

# Contract -> a module, and what it must not import.
FORBIDDEN = {
    "imports point one way": ("metering/cycles.py", "licenseusage.ledger.records"),
    "the core speaks to nobody": ("metering/cycles.py", "asyncio"),
    "metering and the vocabulary of reasons are standard library only": (
        "metering/cycles.py",
        "pydantic",
    ),
    "a statement is made of documents and a time, and of nothing else": (
        "statement/cycles.py",
        "time",
    ),
    "only the controller knows Kubernetes": ("delivery/sender.py", "kopf"),
    "only sources and delivery speak HTTP as clients": ("controller/effects/kube.py", "httpx"),
    "only sources speak to message brokers": ("delivery/sender.py", "nats"),
    "only reports handles keys and signatures": ("ledger/records.py", "joserfc"),
    "only the ledger and the receiver's store know SQL": ("cli/report.py", "sqlalchemy"),
    "the ledger's rooms: upkeep > documents > facts > storage": (
        "ledger/facts/rosters.py",
        "licenseusage.ledger.documents.outbox",
    ),
    "the sources' rooms: workers, captures > kinds > http > what all use > definition": (
        "sources/logs/tally.py",
        "licenseusage.sources.lists.pages",
    ),
    "the controller's rooms: process > steps > effects > rules": (
        "controller/effects/books.py",
        "licenseusage.controller.steps.world",
    ),
    "rules decide: no waiting, no log, no cluster, no ledger handle, no clock": (
        "controller/rules/declared.py",
        "licenseusage.ledger.ledger",
    ),
    "steps do not know kopf": ("controller/steps/reconcile.py", "kopf"),
    "no circle of modules anywhere": (
        "controller/rules/key.py",
        "licenseusage.controller.rules.subject",
    ),
    "what is shipped knows nothing of the tools that prove it": (
        "metering/cycles.py",
        "trials.proof",
    ),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code, to be broken."""
    folder = tmp_path_factory.mktemp("contracts")
    for name in ("operator", "hack", "trials"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder / 'operator'}:{folder}", "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )


def test_every_contract_is_broken_here_once() -> None:
    assert set(FORBIDDEN) == {contract["name"] for contract in CONTRACTS}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_an_import_that_a_contract_forbids_is_noticed(name: str, copy: Path) -> None:
    module, imported = FORBIDDEN[name]
    path = copy / "operator/licenseusage" / module
    sound = path.read_text()
    path.write_text(f"{sound}\nimport {imported}\n")
    try:
        linted = lint(copy)
    finally:
        path.write_text(sound)
    assert linted.returncode == 1
    assert f"{name} BROKEN" in linted.stdout


def test_the_copy_that_is_broken_holds_all_contracts(copy: Path) -> None:
    linted = lint(copy)
    assert linted.returncode == 0, linted.stdout
    assert f"{len(CONTRACTS)} kept, 0 broken" in linted.stdout
