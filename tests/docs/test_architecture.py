"""Every file and function that the tables of docs/architecture.md name exists."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = ROOT / "operator" / "licenseusage"
TEXT = (ROOT / "docs" / "architecture.md").read_text()
RULES = "Where is the rule that …?"
ADDITIONS = "To add a …, touch …"


def rows(heading: str) -> list[list[str]]:
    """The rows of the table of a section, without its head."""
    (section,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S)
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def defined(file: Path) -> set[str]:
    """Functions, classes, their methods, and names that a module assigns."""
    names: set[str] = set()

    def walk(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    names.add(prefix + name)
                case ast.ClassDef(name=name):
                    names.add(prefix + name)
                    walk(node.body, f"{name}.")
                case ast.Assign(targets=[ast.Name(id=name)]):
                    names.add(prefix + name)
                case ast.AnnAssign(target=ast.Name(id=name)):
                    names.add(prefix + name)

    walk(ast.parse(file.read_text()).body, "")
    return names


def named() -> Iterator[tuple[str, str | None]]:
    """Every path of the tables, with None, and with each name that follows it."""
    for heading in (RULES, ADDITIONS):
        for _, where in rows(heading):
            path = None
            for token in re.findall(r"`([^`]+)`", where):
                if "/" in token:
                    path = token
                    yield path, None
                elif path and path.endswith(".py") and not token.startswith("make "):
                    yield path, token


@pytest.mark.parametrize(("path", "name"), sorted(set(named()), key=str))
def test_what_a_table_names_exists(path: str, name: str | None) -> None:
    found = [base / path for base in (CODE, ROOT) if (base / path).exists()]
    assert found, f"{path} does not exist: has it moved?"
    assert name is None or name in defined(found[0]), f"{path} has no {name}: has it moved?"


def test_the_code_that_decisions_name_exists() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert len(decisions) >= 3
    for decision in decisions:
        (line,) = re.findall(r"Code:\n?(.*?)\n\n", decision.read_text(), re.S)
        paths = re.findall(r"`([^`]+)`", line)
        assert paths
        assert [path for path in paths if not (CODE / path).exists()] == [], decision.name


def test_the_tables_answer_what_a_newcomer_asks() -> None:
    assert len(rows(RULES)) >= 20
    assert all(re.search(r"`[\w/]+\.py`: `\w", where) for _, where in rows(RULES))
    wanted = ["preset", "real product for a preset's tests", "pagination type"]
    wanted += ["way to authenticate", "kind of source", "kind of event log", "condition reason"]
    assert [what for what, _ in rows(ADDITIONS)] == [
        *wanted,
        "metric",
        "alert",
        "setting",
        "report field",
    ]


def test_the_glossary_has_one_meaning_for_each_word() -> None:
    words = [word for word, _ in rows("Glossary")]
    assert words == sorted(set(words))
    assert {"cycle", "anchor", "entitlement", "coverage", "receipt", "outbox", "store"} <= set(
        words
    )


def test_every_folder_of_the_package_is_in_the_picture() -> None:
    (picture,) = re.findall(r"^```text\n(operator/licenseusage/.*?)^```$", TEXT, re.M | re.S)
    shown = set(re.findall(r"^ +(\w+)/ ", picture, re.M))
    rooms = {
        path.name
        for base in (CODE, *(CODE / room for room in ("controller", "ledger", "sources")))
        for path in base.iterdir()
        if (path / "__init__.py").exists()
    }
    assert shown == rooms


def identifiers(code: str) -> Iterator[str]:
    """Names, attributes, arguments and one-word texts of a module."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                yield name
            case ast.ImportFrom(module=str() as module):
                yield from module.split(".")
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name
            case ast.Constant(value=str() as text) if re.fullmatch(r"\w+", text):
                yield text


def knows(code: str, pattern: str) -> bool:
    """Whether a module has an identifier of the pattern; only who holds such a word is parsed."""

    def fits(names: Iterable[str]) -> bool:
        return any(re.fullmatch(pattern, name) for name in names)

    return fits(set(re.findall(r"\w+", code))) and fits(identifiers(code))


NEWEST = {
    "pagination type": "HeaderCursor|HeaderCursorPager|named_cursor|cursor_header",
    "kind of event log": "(?i:.*redis.*)",
}


@pytest.mark.parametrize(("what", "pattern"), NEWEST.items(), ids=NEWEST)
def test_what_knows_the_newest_addition_is_named_in_its_row(what: str, pattern: str) -> None:
    """So whoever adds the next one touches what the row says, and nothing else."""
    (where,) = [where for added, where in rows(ADDITIONS) if added == what]
    paths = {token for token in re.findall(r"`([^`]+)`", where) if "/" in token}
    those = [
        str(file.relative_to(CODE))
        for file in CODE.rglob("*.py")
        if knows(file.read_text(), pattern)
    ]
    assert len(those) >= 5
    folders = {path for path in paths if path.endswith("/")}
    folders |= {f"{folder}/" for folder in re.findall(r"beside `([^`]+)/[^`/]+`", where)}
    left = [file for file in those if file not in paths and not file.startswith(tuple(folders))]
    assert left == []
