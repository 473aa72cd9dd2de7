"""docs/presets.md is what the presets' files say, and README names what there is."""

import re
from pathlib import Path

import pytest

from hack.marks import NoMarksError
from hack.presets.__main__ import PAGE, SOURCES
from hack.presets.kinds import with_kinds
from hack.presets.page import page
from licenseusage.sources.definition.presets import presets


def test_the_committed_page_is_the_generated_one():
    assert page(presets().values()) == PAGE.read_text("utf-8"), "run: make generate"


def test_the_committed_table_of_kinds_is_the_generated_one():
    text = SOURCES.read_text("utf-8")
    assert with_kinds(text, presets().values()) == text, "run: make generate"


def test_a_page_without_the_marks_is_not_changed():
    with pytest.raises(NoMarksError, match="needs the lines"):
        with_kinds("# Sources\n", presets().values())


@pytest.mark.parametrize("name", presets())
def test_the_page_of_sources_leads_to_each_preset(name):
    assert f"[`{name}`](presets.md#{name.lower()})" in SOURCES.read_text("utf-8")


ROOT = Path(__file__).resolve().parents[2]
QUESTIONS = (
    "What counts",
    "What does not count",
    "Who is not a person",
    "Which permission",
    "How exact",
    "What breaks it",
    "The same person elsewhere",
)


@pytest.fixture(scope="module")
def written():
    return page(presets().values())


@pytest.mark.parametrize("name", presets())
def test_each_section_answers_the_same_questions(name, written):
    (section,) = re.findall(rf"^## {name}\n(.*?)(?=^## |\Z)", written, re.M | re.S)
    asked = [section.find(f"**{question}.**") for question in QUESTIONS]
    assert min(asked) > 0
    assert asked == sorted(asked)


README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", presets())
def test_the_readme_names_each_preset(name):
    assert f"`{name}`" in README


@pytest.mark.parametrize(
    "document", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name
)
def test_the_readme_leads_to_each_document(document):
    assert f"(docs/{document.name})" in README
