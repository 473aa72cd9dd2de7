"""JMESPath as it is interpreted: compiled, with functions that fit PHP, and failures in words."""

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import jmespath
from jmespath.exceptions import JMESPathError, JMESPathTypeError
from jmespath.functions import Functions, signature

_Json: TypeAlias = Any

_CANNOT_APPLY = (
    JMESPathError, RecursionError, ArithmeticError, TypeError, ValueError, LookupError,
    AttributeError,
)  # fmt: skip
"""Errors of jmespath for values that an expression cannot handle, such as ``[::0]``."""


class ExpressionError(ValueError):
    """An expression is not valid JMESPath; the message names the fault."""


class EvaluationError(ValueError):
    """An expression that cannot be applied to this answer (a function got the wrong type).

    The text says why, in words and without a value.

    Attributes:
        expression: Which one, as written.
    """

    def __init__(self, why: str, expression: str = "") -> None:
        """Keep both."""
        super().__init__(why)
        self.expression = expression


def compiled(text: str) -> tuple[dict[str, Any], Callable[[_Json], _Json]]:
    """Compile an expression.

    Returns:
        Its syntax tree, and a function that evaluates it on a document and may raise
        `EvaluationError`.

    Raises:
        ExpressionError: It is no JMESPath, or uses an unknown function.
    """
    try:
        made = jmespath.compile(text)
    except (JMESPathError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ExpressionError(f"{text!r} is not a JMESPath expression: {reason[:200]}") from None
    unknown = _functions(cast("dict[str, Any]", made.parsed)) - _known_functions()
    if unknown:
        raise ExpressionError(f"{text!r} uses {sorted(unknown)[0]}(), which JMESPath does not have")

    def search(document: _Json) -> _Json:
        try:
            return made.search(document, _OPTIONS)
        except _CANNOT_APPLY as error:
            raise EvaluationError(_why(error), text) from None

    return cast("dict[str, Any]", made.parsed), search


class _Functions(Functions):
    """JMESPath's functions, for documents of PHP as well.

    PHP has one kind of array: what is a map of users on one page is a list where the keys happen to
    be 0, 1, 2, and ``[]`` where it is empty. The values are the same.
    """

    @signature({"types": ["object", "array"]})
    def _func_values(self, arg: _Json) -> list[_Json]:
        return list(arg.values()) if isinstance(arg, dict) else arg


_OPTIONS = jmespath.Options(custom_functions=_Functions())
_KINDS = {
    "array": "a list", "object": "an object", "string": "a text", "number": "a number",
    "boolean": "true or false", "null": "nothing", "expref": "an expression",
    "array-string": "a list of texts", "array-number": "a list of numbers",
    "str": "a text", "int": "a number", "float": "a number", "bool": "true or false",
    "list": "a list", "dict": "an object", "NoneType": "nothing",
}  # fmt: skip


def _why(error: Exception) -> str:
    if isinstance(error, JMESPathTypeError):
        seen = _KINDS.get(error.actual_type, error.actual_type)
        taken = " or ".join(_KINDS.get(kind, kind) for kind in error.expected_types)
        return f"{error.function_name}() got {seen} where it takes {taken}"
    if isinstance(error, TypeError):
        return "values of different kinds cannot be compared"
    return "it cannot be computed"


def _known_functions() -> set[str]:
    return set(Functions.FUNCTION_TABLE)


def _functions(tree: dict[str, Any]) -> set[str]:
    names = {tree["value"]} if tree.get("type") == "function_expression" else set()
    for child in tree.get("children", ()):
        if isinstance(child, dict):
            names |= _functions(child)
    return names
