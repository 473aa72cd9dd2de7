"""Structs with just the fields that a source names, built for msgspec at run time.

msgspec skips every other field without making an object of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec

from licenseusage.sources.definition.expressions import Getter, Json, Path

Rows: TypeAlias = Sequence[Any]
"""Instances of a struct made by ``struct_of``."""

ID_TYPE = str | int | None
TIME_TYPE = str | int | float | None
NAME_TYPE = str | int | float | bool | None
"""What is compared with texts only; decoded a fifth faster than what may be anything."""


class StructConflictError(ValueError):
    """One path leads through another: the fields cannot be decoded apart."""


def struct_of(fields: Mapping[Path, Any]) -> tuple[type[msgspec.Struct], dict[Path, str]]:
    """Build a struct with the fields at these paths, absent ones None.

    Returns:
        The struct, and for each path the dotted attribute name of its value.

    Raises:
        StructConflictError: A path is the beginning of another one.
    """
    tree: dict[str, Any] = {}
    for path, kind in fields.items():
        level = tree
        for name in path[:-1]:
            level = level.setdefault(name, {})
            if not isinstance(level, dict):
                raise StructConflictError(".".join(path))
        if path[-1] in level:
            raise StructConflictError(".".join(path))
        level[path[-1]] = _Leaf(kind)
    names: dict[Path, str] = {}
    return _struct(tree, (), "", names), names


@dataclass(frozen=True, slots=True)
class _Leaf:
    kind: Any


def _struct(
    tree: dict[str, Any], above: Path, prefix: str, names: dict[Path, str]
) -> type[msgspec.Struct]:
    members: list[tuple[str, Any, Any]] = []
    for number, (name, below) in enumerate(tree.items()):
        short = f"f{number}"
        path = (*above, name)
        if isinstance(below, _Leaf):
            names[path] = prefix + short
            members.append((short, below.kind, msgspec.field(default=None, name=name)))
        else:
            inner = _struct(below, path, f"{prefix}{short}.", names)
            # An absent object is an empty one, so that attrgetter needs no test; null stays null.
            members.append((short, inner | None, msgspec.field(default=inner(), name=name)))
    return msgspec.defstruct("Item", members, frozen=True, gc=False)


def column(rows: Rows, name: str) -> list[Json]:
    """Return one attribute (dotted) of all rows; None where an object on the way is null."""
    try:
        return list(map(attrgetter(name), rows))
    except AttributeError:
        return list(map(attribute(name), rows))


def attribute(name: str) -> Getter:
    """Return a function that reads one attribute (dotted) of a row; None as in ``column``."""
    get = attrgetter(name)

    def read(row: Json) -> Json:
        try:
            return get(row)
        except AttributeError:  # a struct has all its attributes: None has not
            return None

    return read
