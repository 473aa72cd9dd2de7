"""JMESPath expressions of a source: compiled once, plain ones turned into field paths.

Most expressions are plain paths (``signInActivity.lastSuccessfulSignInDateTime``) or choices and
comparisons of plain paths and literals (``user_type == 'bot'``). Those need no interpreter, which
is several times slower, and the fields they name can be decoded alone. Everything else goes through
``jmespath``; both must give the same answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import and_, not_, or_
from typing import Any, TypeAlias

from licenseusage.sources.definition.interpreter import EvaluationError, compiled

Json: TypeAlias = Any
"""A value as decoded from JSON."""

Path: TypeAlias = tuple[str, ...]
"""Member names from the item inwards: ``("signInActivity", "lastSuccessfulSignInDateTime")``."""

Getter: TypeAlias = Callable[[Json], Json]
"""Reads a value out of a JSON document (or item); absent is None, as in JMESPath."""

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
}


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression.

    Attributes:
        text: As written.
        path: The field path it is, or None where it is more than that.
        search: Evaluates it on a JSON document. May raise ``EvaluationError``.
    """

    text: str
    path: Path | None
    search: Getter


def expression(text: str) -> Expression:
    """Compile an expression.

    Raises:
        ExpressionError: It is no JMESPath, or uses an unknown function.
    """
    tree, search = compiled(text)
    path = _plain(tree)
    if path is not None:
        return Expression(text, path, lambda document: walk(document, path))
    paths: list[Path] = []
    simple = _condition(tree, paths)
    return Expression(
        text, None, search if simple is None else _over_items(text, simple, paths, search)
    )


def _over_items(text: str, simple: "_Condition", paths: list[Path], search: Getter) -> Getter:
    def getter(item: Json) -> Json:
        if item is None:
            return search(item)  # a list of literals is null there, as everything is
        try:
            return simple(tuple([walk(item, path) for path in paths]))
        except EvaluationError as error:
            raise EvaluationError(str(error), text) from None

    return getter


def walk(document: Json, path: Path) -> Json:
    """Follow a field path through JSON objects; None as soon as something is not there."""
    for name in path:
        if not isinstance(document, dict):
            return None
        document = document.get(name)
    return document


def leading_path(text: str) -> Path:
    """Return the field path that an expression begins with: ``data.users`` of ``data.users[?a]``.

    It is the whole of a plain path, and empty where the expression begins otherwise.
    """
    return _leading(compiled(text)[0])[0]


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition on an item.

    Attributes:
        paths: The fields it reads, in the order in which ``holds_for`` takes their values; None
            where it needs the whole item.
        holds_for: Evaluates it on those values; only with ``paths``.
        holds: Evaluates it on a whole item. May raise ``EvaluationError``.
        over: Evaluates it on columns of values, one for each path and all of one length; None where
            it has to look at rows one by one, which takes ten times as long.
    """

    paths: tuple[Path, ...] | None
    holds_for: Callable[[tuple[Any, ...]], bool]
    holds: Callable[[Any], bool]
    over: "OverColumns | None" = None


def predicate(text: str) -> Predicate:
    """Compile a condition; raises as `expression`."""
    tree, search = compiled(text)
    paths: list[Path] = []
    simple = _condition(tree, paths)

    if simple is None:
        return Predicate(None, _never, lambda item: _truth(search(item)))
    find = _over_items(text, simple, paths, search)

    def holds_for(values: tuple[Any, ...]) -> bool:
        try:
            return _truth(simple(values))
        except EvaluationError as error:
            raise EvaluationError(str(error), text) from None

    return Predicate(
        tuple(paths),
        holds_for,
        lambda item: _truth(find(item)),
        _over(tree, paths),
    )


def _never(values: tuple[Any, ...]) -> bool:
    raise AssertionError("a predicate without paths takes whole items")


def _plain(tree: dict[str, Any]) -> Path | None:
    if tree["type"] == "field":
        return (tree["value"],)
    if tree["type"] == "subexpression":
        parts = [_plain(child) for child in tree["children"]]
        path: Path = ()
        for part in parts:
            if part is None:
                return None
            path += part
        return path
    return None


def _leading(tree: dict[str, Any]) -> tuple[Path, bool]:
    """Return the field path that a tree begins with, and whether that is all of it."""
    if tree["type"] == "field":
        return (tree["value"],), True
    if tree["type"] == "subexpression":
        path: Path = ()
        for child in tree["children"]:
            part, whole = _leading(child)
            path += part
            if not whole:
                return path, False
        return path, True
    if tree["type"] in _FROM_ITS_FIRST:
        return _leading(tree["children"][0])[0], False
    return (), False


_FROM_ITS_FIRST = {
    "projection", "filter_projection", "value_projection", "flatten", "index_expression", "pipe",
}  # fmt: skip

_Condition = Callable[[tuple[Any, ...]], Any]


def _condition(tree: dict[str, Any], paths: list[Path]) -> _Condition | None:
    """Turn comparisons, logic and membership of plain paths into a function of their values.

    None where an expression is more than that.
    """
    path = _plain(tree)
    if path is not None:
        if path not in paths:
            paths.append(path)
        index = paths.index(path)
        return lambda values: values[index]
    if tree["type"] == "literal":
        literal = tree["value"]
        return lambda values: literal
    if tree["type"] == "function_expression":
        return _membership(tree, paths)
    parts = (
        [_condition(child, paths) for child in tree["children"]] if tree["type"] in _LOGIC else []
    )
    if not parts or any(part is None for part in parts):
        return None
    first, second = parts[0], parts[-1]
    assert first is not None  # noqa: S101
    assert second is not None  # noqa: S101
    match tree["type"]:
        case "not_expression":
            return lambda values: not _truth(first(values))
        case "or_expression":
            return lambda values: left if _truth(left := first(values)) else second(values)
        case "and_expression":
            return lambda values: second(values) if _truth(left := first(values)) else left
        case _:
            return _comparison(tree["value"], first, second)


_LOGIC = {"not_expression", "or_expression", "and_expression", "comparator"}


def _membership(tree: dict[str, Any], paths: list[Path]) -> _Condition | None:
    """Turn ``contains([`1`, `5`], path)`` into a function: is the value one of those listed?"""
    if tree["value"] != "contains" or len(tree["children"]) != 2:
        return None
    listed, asked = tree["children"]
    choices = _literals(listed)
    wanted = None if choices is None else _condition(asked, paths)
    if choices is None or wanted is None:
        return None
    return lambda values: wanted(values) in choices


def _literals(tree: dict[str, Any]) -> list[Json] | None:
    if tree["type"] == "literal":
        return tree["value"] if isinstance(tree["value"], list) else None
    if tree["type"] != "multi_select_list":
        return None
    each = [child["value"] for child in tree["children"] if child["type"] == "literal"]
    return each if len(each) == len(tree["children"]) else None


def _comparison(operator: str, first: _Condition, second: _Condition) -> _Condition:
    if operator == "eq":
        return lambda values: _equal(first(values), second(values))
    if operator == "ne":
        return lambda values: not _equal(first(values), second(values))
    compare = _COMPARE[operator]

    def ordered(values: tuple[Any, ...]) -> bool | None:
        left, right = first(values), second(values)
        for kind in (_is_number, _is_text):
            if kind(left) and kind(right):
                return compare(left, right)
        if (_is_number(left) and _is_text(right)) or (_is_text(left) and _is_number(right)):
            raise EvaluationError("a text cannot be ordered against a number")
        return None

    return ordered


OverColumns: TypeAlias = Callable[[Sequence[Sequence[Json]]], list[bool]]
"""Takes columns, one for each path; returns for each row whether a condition holds."""


def _over(tree: dict[str, Any], paths: list[Path]) -> OverColumns | None:
    """Turn (in)equality of plain paths and texts, and logic of it, into a function of columns."""
    if tree["type"] == "comparator" and tree["value"] in ("eq", "ne"):
        return _compared(tree, paths, equal=tree["value"] == "eq")
    parts = [_over(child, paths) for child in tree["children"]] if tree["type"] in _LOGIC else []
    if not parts or any(part is None for part in parts):
        return None
    first, second = parts[0], parts[-1]
    assert first is not None  # noqa: S101
    assert second is not None  # noqa: S101
    match tree["type"]:
        case "not_expression":
            return lambda columns: list(map(not_, first(columns)))
        case "or_expression":
            return lambda columns: list(map(or_, first(columns), second(columns)))
        case "and_expression":
            return lambda columns: list(map(and_, first(columns), second(columns)))
        case _:
            return None


def _compared(tree: dict[str, Any], paths: list[Path], *, equal: bool) -> OverColumns | None:
    sides = sorted(tree["children"], key=lambda side: bool(side["type"] == "literal"))
    path, literal = _plain(sides[0]), sides[1].get("value")
    if path is None or sides[1]["type"] != "literal" or not isinstance(literal, str):
        return None
    index = paths.index(path)

    def compared(columns: Sequence[Sequence[Json]]) -> list[bool]:
        values = columns[index]
        if literal not in values:  # as for nearly every page; a million take 20 ms
            return [not equal] * len(values)
        return [(value == literal) is equal for value in values]

    return compared


def _truth(value: Json) -> bool:
    """Whether JMESPath counts a value as true: all but null, false, empty texts, lists, objects."""
    return not (value is None or value is False or value in ("", [], {}))


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: Json) -> bool:
    return isinstance(value, str)


def _equal(left: Json, right: Json) -> bool:
    """Equality of JSON values; as in jmespath, a bool is never a number."""
    if isinstance(left, bool) is not isinstance(right, bool) and (
        _is_number(left) or _is_number(right)
    ):
        return False
    return bool(left == right)
