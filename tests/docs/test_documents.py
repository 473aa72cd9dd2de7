"""What the documents show works: objects, commands, links and the sections that the code cites."""

import json
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from hack.controlplane import ControlPlane
from licenseusage.api.admission import source_refusals
from licenseusage.api.source import Source
from licenseusage.cli import main
from licenseusage.cli.app import DEBUG
from licenseusage.clock import DEV, DEV_CLOCK_OFFSET_SECONDS
from licenseusage.controller.effects.metrics import Metrics
from licenseusage.controller.settings import PREFIX, Settings
from licenseusage.sources.definition.presets import effective, from_configmap, key_of

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "examples").rglob("*.md"),
]
CITED = {
    "DESIGN": ROOT / "docs" / "architecture.md",
    "MEASUREMENT": ROOT / "docs" / "measurement.md",
    "REPORT_FORMAT": ROOT / "docs" / "report-format.md",
}
LICENSEUSAGE = Path(sys.executable).parent / "licenseusage"


class Block(NamedTuple):
    """A fenced block: where it stands, what it says it is, its text."""

    where: str
    info: str
    text: str

    def __str__(self) -> str:
        return self.where


def blocks(language: str) -> list[Block]:
    fence = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    found = []
    for document in DOCUMENTS:
        text = document.read_text()
        for match in fence.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            where = f"{document.relative_to(ROOT)}:{line}"
            found.append(Block(where, match[1], match[2]))
    return [block for block in found if block.info.split(" ")[0] == language]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every simple command of every shell block, with where it stands."""
    for block in blocks("sh"):
        for line in block.text.replace("\\\n", " ").splitlines():
            for part in re.split(r"\s\|\s|&&|;", line):
                if words := shlex.split(part, comments=True):
                    yield block.where, words


OBJECTS = [block for block in blocks("yaml") if "title=" not in block.info]
SOURCES = [
    pytest.param(source, block, id=f"{block.where}-{source['name']}")
    for block in blocks("yaml")
    for document in yaml.safe_load_all(block.text)
    for source in (
        document["spec"]["sources"]
        if document.get("kind") == "LicenseUsage"
        else [document]
        if 'title="source.yaml"' in block.info
        else []
    )
]
REQUESTS = [block for block in blocks("yaml") if 'title="http.yaml"' in block.info]
OURS = {
    " ".join(words): (where, words)
    for where, words in commands()
    if words[0] in ("licenseusage", "kubectl-licenseusage")
}


@pytest.mark.controlplane
@pytest.mark.parametrize("block", OBJECTS, ids=str)
def test_every_object_is_accepted_by_the_api_server(
    block: Block, crds: ControlPlane, namespace: str
) -> None:
    objects: list[dict[str, Any]] = list(yaml.safe_load_all(block.text))
    assert objects
    for shown in objects:
        shown["metadata"]["namespace"] = namespace
        crds.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(shown))


def named_objects() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every object that documents and samples show: what it is called, where it stands, itself."""
    shown = [(block.where, block.text) for block in blocks("yaml")]
    samples = (ROOT / "manifests" / "samples").rglob("*.yaml")
    shown += [(str(path.relative_to(ROOT)), path.read_text()) for path in samples]
    for where, text in shown:
        for one in yaml.safe_load_all(text):
            if one and "metadata" in one:
                meta = one["metadata"]
                yield f"{one['kind']} {meta.get('namespace', '')}/{meta['name']}", where, one


def test_what_bears_one_name_is_one_object() -> None:
    """Whoever applies two examples must not replace one by the other without noticing."""
    first: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, where, shown in named_objects():
        before, same = first.setdefault(name, (where, shown))
        assert shown == same, f"{name} differs between {before} and {where}"
    assert len(first) >= 5


@pytest.mark.parametrize(("source", "block"), SOURCES)
def test_every_source_is_complete_with_its_preset(source: dict[str, Any], block: Block) -> None:
    read, shipped = Source.model_validate(source), None
    if read.preset_config_map_ref is not None:  # of a ConfigMap that is shown beside it
        (texts,) = [
            one["data"] for one in yaml.safe_load_all(block.text) if one["kind"] == "ConfigMap"
        ]
        shipped = from_configmap(read, texts[key_of(read)], block.where)
    assert effective(read, shipped).definition


@pytest.mark.parametrize("block", REQUESTS, ids=str)
def test_every_request_is_one_of_a_source(block: Block) -> None:
    given = {
        "name": "users",
        "pods": {"selector": {"matchLabels": {"app": "x"}}, "port": 80, "scheme": "HTTP"},
        "http": yaml.safe_load(block.text),
        "users": {"id": "id", "lastActive": {"path": "seen"}},
    }
    assert list(source_refusals(given)) == []
    assert effective(Source.model_validate(given)).http


@pytest.mark.parametrize("block", [b for b in blocks("yaml") if "title=" in b.info], ids=str)
def test_every_other_yaml_can_be_read(block: Block) -> None:
    assert all(yaml.safe_load_all(block.text))


@pytest.mark.parametrize(("where", "words"), OURS.values(), ids=OURS)
def test_every_command_of_ours_exists_with_its_options(
    where: str,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = []
    for word in words[1:4]:
        if not re.fullmatch(r"[a-z][a-z-]*", word):
            break
        names.append(word)
    for name, value in {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["licenseusage", *names, "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    shown = capsys.readouterr()
    assert not ended.value.code, f"{where}: {shown.err}"
    for option in (word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)):
        assert re.search(rf"(?<![-\w]){re.escape(option)}(?![-\w])", shown.out), (where, option)


def test_each_secret_that_is_shown_for_a_product_is_made_to_be_sent() -> None:
    shown = [words for _, words in commands() if ["create", "secret"] == _verbs(words)]
    for_products = [
        words
        for words in shown
        if not any("license.jwt" in one or one == "licenseusage-receiver" for one in words)
    ]
    assert len(for_products) >= 2
    for words in for_products:
        assert "--type=licenseusage.dev/credentials" in words, words


def _verbs(words: list[str]) -> list[str]:
    plain = [one for one in words if not one.startswith("-")]
    return [one for one in plain if one in ("create", "secret")]


def test_the_documents_show_commands_of_ours() -> None:
    assert len(OURS) >= 5


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {words[1] for _, words in commands() if words[0] == "make"}
    used |= {t for d in DOCUMENTS for t in re.findall(r"`make ([a-z0-9-]+)", d.read_text())}
    assert used - targets == set()
    assert {"demo", "test"} <= used


def test_every_setting_exists() -> None:
    known = {f"{PREFIX}{field.name.upper()}" for field in fields(Settings)}
    known |= {DEV, DEV_CLOCK_OFFSET_SECONDS, DEBUG}
    shown = {n for d in DOCUMENTS for n in re.findall(r"LICENSEUSAGE_[A-Z_]+\b", d.read_text())}
    assert "LICENSEUSAGE_NAMESPACES" in shown
    assert shown - known - {"LICENSEUSAGE_"} == set()


def test_every_metric_exists() -> None:
    metrics = Metrics(lambda: 0.0)
    exposed = {family.name for family in metrics.registry.collect()}
    exposed |= {f"{name}_total" for name in exposed}
    shown = {n for d in DOCUMENTS for n in re.findall(r"\blicenseusage_[a-z_]+", d.read_text())}
    assert "licenseusage_active_users" in shown
    assert shown - exposed == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_to_a_file(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())
    missing = [link for link in links if not (document.parent / link).exists()]
    assert missing == []


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    plain = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return plain.replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_anchor_of_a_link_is_a_heading(document: Path) -> None:
    missing = []
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", document.read_text()):
        target = document.parent / path if path else document
        headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
        anchors = {slug(heading) for heading in headings}
        anchors |= set(re.findall(r'<a id="([^"]+)">', target.read_text()))
        if anchor not in anchors:
            missing.append(f"{path}#{anchor}")
    assert missing == []


@pytest.mark.parametrize(("name", "document"), CITED.items(), ids=CITED)
def test_every_section_that_the_code_cites_exists(name: str, document: Path) -> None:
    headings = set(re.findall(r"^## (\d+)\.", document.read_text(), re.MULTILINE))
    cited: set[str] = set()
    for folder in ("operator", "tests", "hack", "trials", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            cited |= set(re.findall(rf"{name}(?:\.md)? §(\d+)", path.read_text()))
    assert cited
    assert cited - headings == set()


def test_no_document_outside_the_repository_is_cited() -> None:
    strange = re.compile(r"\b(?:PRODUCTS|KUBERNETES|STYLE|PRIOR_ART)(?:\.md)? §")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for folder in ("operator", "hack", "trials", "examples")
        for path in (ROOT / folder).rglob("*.py")
        if (match := strange.search(path.read_text()))
    ]
    assert found == []
