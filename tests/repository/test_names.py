"""A name says what its thing is: words that fit everything are not names."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("operator", "hack", "trials", "bench")
NOT_NAMES = frozenset({"one", "told", "said", "held", "found"})


def names_of(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of each variable, parameter and function that the source defines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name


def refused(source: str) -> list[tuple[int, str]]:
    return [(line, name) for line, name in names_of(source) if name.strip("_") in NOT_NAMES]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_name_fits_everything(folder):
    seen = {
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in (ROOT / folder).rglob("*.py")
        for line, name in refused(path.read_text())
    }
    assert not seen


@pytest.mark.parametrize(
    "source",
    [
        "one = 1",
        "def f(found): ...",
        "def told(): ...",
        "[held for held in x]",
        "for _said in x: ...",
        "lambda one: one",
        "with x as found: ...",
    ],
)
def test_each_way_to_give_such_a_name_is_seen(source):
    assert refused(source)
