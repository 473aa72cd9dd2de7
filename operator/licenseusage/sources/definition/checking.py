"""Checks of single fields of a source; a refusal begins with the field's name."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from licenseusage.sources.definition import expressions

_T = TypeVar("_T")


class InvalidError(ValueError):
    """A field that cannot be used; the text begins with the field's name."""


def given(value: _T | None, field: str, fix: str) -> _T:
    """Return a field's value.

    Raises:
        InvalidError: It is missing.
    """
    if value is None:
        raise InvalidError(f"{field} is missing: {fix}")
    return value


def path(field: str, text: str | None) -> str | None:
    """Return a JMESPath expression, if there is one.

    Raises:
        InvalidError: It is none.
    """
    if text is not None:
        checked(field, lambda: expressions.expression(text))
    return text


def needed_path(field: str, text: str | None) -> str:
    """Return a JMESPath expression; raises `InvalidError` where it is missing or none."""
    needed = given(text, field, "give a JMESPath over one item, or name a preset")
    path(field, needed)
    return needed


def checked(field: str, check: Callable[[], object]) -> None:
    """Run a check; the ``ValueError`` that it raises becomes an `InvalidError` of the field."""
    try:
        check()
    except ValueError as error:
        raise InvalidError(f"{field}: {error}") from None


def unknown_members(given: object, known: object, path: str = "") -> Iterator[str]:
    """Yield the members that a model did not take; the API server would drop them as well.

    Args:
        given: As written.
        known: What the model made of it, as an object.
        path: Of both, with a dot at its end.
    """
    if isinstance(given, Mapping) and isinstance(known, Mapping):
        for name, value in given.items():
            if value is not None and name not in known:
                yield f"{path}{name}"
            else:
                yield from unknown_members(value, known.get(name), f"{path}{name}.")
    elif isinstance(given, list) and isinstance(known, list):
        for value, taken in zip(given, known, strict=False):
            yield from unknown_members(value, taken, path)
