"""Pages by a cursor: each names the next one, in a member or in a header of its answer."""

import hashlib
from abc import abstractmethod

import msgspec

from licenseusage.reasons import Reason
from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.guarantees import Order
from licenseusage.sources.definition.paging import Cursor, HeaderCursor, Pair
from licenseusage.sources.definition.timestamps import Reader, kind_of
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.asking import Ask, Head, named_cursor
from licenseusage.sources.lists.paging.onward import OnwardPager
from licenseusage.sources.lists.paging.rows import ID_TYPES, Rows
from licenseusage.sources.lists.paging.totals import must_be_all
from licenseusage.sources.mending import is_broken


class _ByCursor(OnwardPager):
    """Follows cursors until a page names none; its types differ in where a cursor stands."""

    def __init__(self, rows: Rows, total: str | None, field: str) -> None:
        """Ask for the first page, which has no cursor.

        Args:
            rows: Checks what is read.
            total: As of the pagination.
            field: The field that says where a cursor stands, for messages.
        """
        self._total, self._field = total, field
        self._read: set[bytes] = set()  # digests of the cursors so far
        super().__init__(rows, ())

    def _onward(self, values: dict[str, Json], head: Head) -> Ask | None:
        rows, following = self._rows, self._following(values, head)
        if not following:
            must_be_all(rows.earlier + rows.count, values, self._total, pages=rows.pages)
            return None
        mark = hashlib.sha256(msgspec.json.encode(following)).digest()
        if mark in self._read:
            raise PollError(
                Reason.PAGING_LOOP,
                f"page {rows.pages} names a next page that was read before: the pages run in a "
                f"circle. Check {self._field}.",
                stalls=True,
            )
        self._read.add(mark)
        return following

    @abstractmethod
    def _following(self, values: dict[str, Json], head: Head) -> tuple[Pair, ...]:
        """Return the parameters of the next page, empty after the last; raises as `Pager`."""

    def _complete(self) -> bool:
        return self._rows.order is Order.KEY_CURSOR or super()._complete()


class CursorPager(_ByCursor):
    """A `Pager` of pagination type ``Cursor``."""

    def __init__(self, pagination: Cursor, order: Order, reader: Reader) -> None:
        """Ask for the first page."""
        self._params = pagination.params
        names = " and ".join(name for name, _ in pagination.params)
        super().__init__(Rows(order, reader, names), pagination.total, "http.pagination.params")

    def _following(self, values: dict[str, Json], _head: Head) -> tuple[Pair, ...]:
        return tuple(
            (name, _cursor_text(name, path, values[name]))
            for name, path in self._params
            if values[name] not in (None, "")
        )


class HeaderCursorPager(_ByCursor):
    """A `Pager` of pagination type ``HeaderCursor``."""

    def __init__(self, pagination: HeaderCursor, order: Order, reader: Reader) -> None:
        """Ask for the first page."""
        self._header, self._param = pagination.header, pagination.cursor_param
        super().__init__(
            Rows(order, reader, self._param),
            pagination.total,
            "http.pagination.header and cursorParam",
        )

    def _following(self, _values: dict[str, Json], head: Head) -> tuple[Pair, ...]:
        cursor = named_cursor(head, self._header)
        return () if cursor is None else ((self._param, cursor),)


def _cursor_text(name: str, path: str, value: Json) -> str:
    if type(value) in ID_TYPES and not is_broken(value):
        return str(value)
    kind = "a text with broken letters" if is_broken(value) else kind_of(value)
    raise PollError(
        Reason.CURSOR_INVALID,
        f"http.pagination.params {name} ({path}) gives {kind} instead of a text or a "
        "number. Correct the path.",
        stalls=True,
    )
