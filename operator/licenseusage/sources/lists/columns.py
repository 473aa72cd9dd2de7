"""The few fields of each item that a source names, as columns: decoded alone where they can be.

A listing is mostly what nobody asked for (names, addresses, groups). Where a source's expressions
are plain field paths, structs with just these fields are decoded (``definition.structs``). Where
they are more than that, or the answer does not fit the structs, items are decoded as a whole and
the expressions applied: slower, with the same result.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import msgspec

from licenseusage.sources.definition.expressions import (
    Expression,
    Json,
    Path,
    expression,
    leading_path,
    predicate,
)
from licenseusage.sources.definition.model import Users
from licenseusage.sources.definition.structs import (
    ID_TYPE,
    NAME_TYPE,
    TIME_TYPE,
    Rows,
    StructConflictError,
    column,
    struct_of,
)


@dataclass(slots=True)
class Columns:
    """One value per item and column, all of the same length, in the order of the listing.

    Attributes:
        ids: As shown; anything may come.
        stamps: Last activity, as shown; None of each where items have no times.
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

    def only(self, wanted: Sequence[bool]) -> "Columns":
        """Return the wanted items, without the columns that say who is excluded, and accounts."""
        return Columns(
            list(compress(self.ids, wanted)),
            list(compress(self.stamps, wanted)),
            None if self.created is None else list(compress(self.created, wanted)),
            broken=None if self.broken is None else list(compress(self.broken, wanted)),
        )


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
        self._stamp = expression(users.last_active.path) if users.timed else None
        self._created = expression(users.created_at.path) if users.created_at else None
        self._exclude = predicate(users.exclude) if users.exclude is not None else None
        self._account = expression(account) if account else None
        self.struct, self._names = self._typed()
        read = [self._id, self._stamp, self._created]
        paths = [leading_path(compiled.text) for compiled in read if compiled is not None]
        if self._exclude is not None:
            paths += self._exclude.paths or [leading_path(users.exclude or "")]
        self.paths = tuple(dict.fromkeys(paths))

    def _typed(self) -> tuple[type[msgspec.Struct] | None, dict[Path, str]]:
        wanted: list[tuple[Path | None, Any]] = [(self._id.path, ID_TYPE)]
        if self._stamp:
            wanted.append((self._stamp.path, TIME_TYPE))
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
        stamps = self._from(rows, self._stamp) if self._stamp else _untimed(rows)
        columns = Columns(self._from(rows, self._id), stamps)
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
        stamps = _each(self._stamp, items) if self._stamp else _untimed(items)
        columns = Columns(_each(self._id, items), stamps)
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


def _untimed(items: Rows) -> list[Json]:
    return [None] * len(items)


def _each(wanted: Expression, items: list[Json]) -> list[Json]:
    search: Callable[[Json], Json] = wanted.search
    return [search(item) for item in items]
