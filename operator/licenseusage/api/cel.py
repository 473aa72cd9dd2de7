"""The part of CEL (https://cel.dev) that the rules of our CRDs use, evaluated in Python.

A file that no API server has seen is held to the very rules that the server would apply, and there
is one text of each. Anything beyond this part is refused when it is compiled; that both runtimes
agree is tested with the official one on every rule.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn, TypeAlias

Value: TypeAlias = Any
"""A JSON value."""

Program: TypeAlias = Callable[[Value], Value]
"""Takes ``self`` and returns the expression's value."""

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      | (?P<number>\d+)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<sign>\|\||&&|==|!=|<=|>=|[-<>!?:+.,()\[\]])
    )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}
_COMPARE: dict[str, Callable[[Value, Value], bool]] = {
    "==": lambda a, b: _alike(a, b) and bool(a == b),
    "!=": lambda a, b: not (_alike(a, b) and a == b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
    "in": lambda a, b: any(_alike(a, element) and a == element for element in b),
}
_TYPES = {"int": int, "string": str, "bool": bool}


class NotSupportedError(ValueError):
    """An expression beyond the part of CEL that is known here."""


@cache
def program(expression: str) -> Program:
    """Compile an expression over ``self``.

    Raises:
        NotSupportedError: It uses what is not known here.
    """
    parser = _Parser(expression)
    made = parser.condition()
    parser.end()
    return made


class _Parser:
    """Recursive descent, one method for each level of precedence."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens: list[tuple[str, str]] = []
        at, end = 0, len(expression.rstrip())
        while at < end:
            token = _TOKEN.match(expression, at)
            if token is None:
                self._refuse()
            self._tokens.append((str(token.lastgroup), token[str(token.lastgroup)]))
            at = token.end()
        self._at = 0

    def condition(self) -> Program:
        test = self._logic("||")
        if not self._take("?"):
            return test
        chosen = self.condition()
        self._need(":")
        other = self.condition()
        return lambda value: chosen(value) if test(value) else other(value)

    def end(self) -> None:
        if self._at < len(self._tokens):
            self._refuse()

    def _logic(self, sign: str) -> Program:
        parts = [self._below(sign)]
        while self._take(sign):
            parts.append(self._below(sign))
        if len(parts) == 1:
            return parts[0]
        join = any if sign == "||" else all
        return lambda value: join(part(value) for part in parts)

    def _below(self, sign: str) -> Program:
        return self._logic("&&") if sign == "||" else self._comparison()

    def _comparison(self) -> Program:
        left = self._sum()
        if self._peek() not in _COMPARE:
            return left
        compare, right = _COMPARE[self._next()[1]], self._sum()
        return lambda value: compare(left(value), right(value))

    def _sum(self) -> Program:
        left = self._unary()
        while self._take("+"):
            left = _added(left, self._unary())
        return left

    def _unary(self) -> Program:
        if self._take("!"):
            inner = self._unary()
            return lambda value: not inner(value)
        made = self._primary()
        while self._take("."):
            name = self._name()
            made = self._method(made, name) if self._take("(") else _member(made, name)
        return made

    def _primary(self) -> Program:
        kind, word = self._next()
        if kind == "text":
            text = _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), word[1:-1])
            return lambda _: text
        if kind == "number":
            return lambda _: int(word)
        if word == "(":
            inner = self.condition()
            self._need(")")
            return inner
        if word == "[":
            items = self._arguments("]")
            return lambda value: [item(value) for item in items]
        if word == "self":
            return lambda value: value
        if word in _TYPES:
            return lambda _: _TYPES[word]
        if kind == "name" and self._take("("):
            return self._function(word)
        self._refuse()

    def _function(self, name: str) -> Program:
        if name == "has":
            *way, last = self._way()
            return lambda value: last in _walked(value, way)
        (argument,) = self._arguments(")")
        if name == "size":
            return lambda value: len(argument(value))
        if name == "type":
            return lambda value: type(argument(value))
        self._refuse()

    def _way(self) -> list[str]:
        if self._name() != "self":
            self._refuse()
        names = []
        while self._take("."):
            names.append(self._name())
        self._need(")")
        return names

    def _method(self, of: Program, name: str) -> Program:
        (argument,) = self._arguments(")")
        match name:
            case "matches":
                return lambda value: bool(_regex(argument(value)).search(of(value)))
            case "startsWith":
                return lambda value: of(value).startswith(argument(value))
            case "contains":
                return lambda value: argument(value) in of(value)
        self._refuse()

    def _arguments(self, closing: str) -> list[Program]:
        programs: list[Program] = []
        while not self._take(closing):
            if programs:
                self._need(",")
            programs.append(self.condition())
        return programs

    def _peek(self) -> str | None:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else None

    def _next(self) -> tuple[str, str]:
        if self._at == len(self._tokens):
            self._refuse()
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, sign: str) -> bool:
        if self._peek() != sign or self._tokens[self._at][0] == "text":
            return False
        self._at += 1
        return True

    def _need(self, sign: str) -> None:
        if not self._take(sign):
            self._refuse()

    def _name(self) -> str:
        kind, word = self._next()
        if kind != "name":
            self._refuse()
        return word

    def _refuse(self) -> NoReturn:
        raise NotSupportedError(f"not in the part of CEL known here: {self._expression}")


def _added(left: Program, right: Program) -> Program:
    return lambda value: left(value) + right(value)


def _member(of: Program, name: str) -> Program:
    return lambda value: of(value)[name]


def _walked(value: Value, way: list[str]) -> Value:
    for name in way:
        value = value[name]
    return value


def _alike(a: Value, b: Value) -> bool:
    return isinstance(a, bool) == isinstance(b, bool)


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    """RE2's ``$`` is the end of the text; Python's would also stop before a last line break."""
    if pattern.endswith("$") and not pattern.endswith("\\$"):
        pattern = pattern[:-1] + r"\Z"
    return re.compile(pattern)
