"""The few fields of each item that a source names, as columns: decoded alone where they can be.

A listing is mostly what nobody asked for (names, addresses, groups). Where a source's expressions
are plain field paths, structs with just these fields are built for msgspec, which skips the rest
without making objects of it. Where they are more than that, or the answer does not fit the
structs, items are decoded as a whole and the expressions applied: slower, with the same result.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec

from licenseusage.sources.definition import Users
from licenseusage.sources.expressions import (
    Expression,
    Getter,
    Json,
    Path,
    expression,
    leading_path,
    predicate,
)

Rows: TypeAlias = Sequence[Any]
"""Instances of a struct made by ``struct_of``."""

ID_TYPE = str | int | None
TIME_TYPE = str | int | float | None
NAME_TYPE = str | int | float | bool | None
"""What is compared with texts only; decoded a fifth faster than what may be anything."""


@dataclass(slots=True)
class Columns:
    """One value per item and column, all of the same length, in the order of the listing.

    Attributes:
        ids: As shown; anything may come.
        stamps: Last activity, as shown.
        created: Creation, as shown; None where the source has none.
        excluded: Whether ``exclude`` holds; None where the source has none.
        accounts: User names, as shown; None where nobody asks for them.
        broken: Whether the id, None here, was no text (``mending``); None where none was.
    """

    ids: list[Json]
    stamps: list[Json]
    created: list[Json] | None = None
    excluded: list[bool] | None = None
    accounts: list[Json] | None = None
    broken: list[bool] | None = None

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.ids)

    def without_first(self) -> "Columns":
        """Return the same without the first item (the row in which two pages overlap)."""
        return Columns(
            self.ids[1:],
            self.stamps[1:],
            None if self.created is None else self.created[1:],
            None if self.excluded is None else self.excluded[1:],
            None if self.accounts is None else self.accounts[1:],
            None if self.broken is None else self.broken[1:],
        )


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


class ItemColumns:
    """Makes columns of items, typed or whole, as a source's ``users`` asks.

    Attributes:
        struct: The struct for typed decoding; None where the expressions need whole items.
        paths: What is read of an item, as far as field paths lead.
    """

    struct: type[msgspec.Struct] | None
    paths: tuple[Path, ...]

    def __init__(self, users: Users, account: str | None = None) -> None:
        """Compile the expressions; they have been checked before.

        Args:
            users: What the items mean.
            account: Path of the user name, where that is asked for.
        """
        self._id = expression(users.id)
        self._stamp = expression(users.last_active.path)
        self._created = expression(users.created_at.path) if users.created_at else None
        self._exclude = predicate(users.exclude) if users.exclude is not None else None
        self._account = expression(account) if account else None
        self.struct, self._names = self._typed()
        read = [self._id, self._stamp, self._created]
        found = [leading_path(one.text) for one in read if one is not None]
        if self._exclude is not None:
            found += self._exclude.paths or [leading_path(users.exclude or "")]
        self.paths = tuple(dict.fromkeys(found))
        read = [self._id, self._stamp, self._created]
        found = [leading_path(one.text) for one in read if one is not None]
        if self._exclude is not None:
            found += self._exclude.paths or [leading_path(users.exclude or "")]
        self.paths = tuple(dict.fromkeys(found))

    def _typed(self) -> tuple[type[msgspec.Struct] | None, dict[Path, str]]:
        wanted: list[tuple[Path | None, Any]] = [
            (self._id.path, ID_TYPE),
            (self._stamp.path, TIME_TYPE),
        ]
        if self._created:
            wanted.append((self._created.path, TIME_TYPE))
        fields: dict[Path, Any] = {}
        for path, kind in wanted:
            if path is None:
                return None, {}
            fields[path] = Any if path in fields else kind
        if self._exclude:
            if self._exclude.paths is None:
                return None, {}
            for path in self._exclude.paths:
                fields.setdefault(path, NAME_TYPE if self._exclude.over else Any)
        if self._account and self._account.path:
            fields.setdefault(self._account.path, NAME_TYPE)
        try:
            return struct_of(fields)
        except StructConflictError:
            return None, {}

    def of_rows(self, rows: Rows) -> Columns:
        """Make columns of typed rows.

        Raises:
            EvaluationError: ``exclude`` cannot be applied to a row.
        """
        columns = Columns(self._from(rows, self._id), self._from(rows, self._stamp))
        if self._created:
            columns.created = self._from(rows, self._created)
        if self._exclude and self._exclude.paths is not None:
            values = [column(rows, self._names[path]) for path in self._exclude.paths]
            over, holds = self._exclude.over, self._exclude.holds_for
            columns.excluded = (
                over(values) if over else [holds(row) for row in zip(*values, strict=True)]
            )
        if self._account:
            columns.accounts = self._from(rows, self._account)
        return columns

    def of_items(self, items: list[Json]) -> Columns:
        """Make columns of whole items.

        Raises:
            EvaluationError: An expression cannot be applied to an item.
        """
        columns = Columns(_each(self._id, items), _each(self._stamp, items))
        if self._created:
            columns.created = _each(self._created, items)
        if self._exclude:
            columns.excluded = list(map(self._exclude.holds, items))
        if self._account:
            columns.accounts = _each(self._account, items)
        return columns

    def _from(self, rows: Rows, wanted: Expression) -> list[Json]:
        assert wanted.path is not None  # noqa: S101
        return column(rows, self._names[wanted.path])


def _each(wanted: Expression, items: list[Json]) -> list[Json]:
    search: Callable[[Json], Json] = wanted.search
    return [search(item) for item in items]
