"""Pages by a cursor: each names the next one."""

import hashlib

import msgspec

from licenseusage.reasons import Reason
from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.guarantees import Order
from licenseusage.sources.definition.paging import Cursor
from licenseusage.sources.definition.timestamps import Reader, kind_of
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.asking import Ask, Head
from licenseusage.sources.lists.paging.onward import OnwardPager
from licenseusage.sources.lists.paging.rows import ID_TYPES, Rows
from licenseusage.sources.lists.paging.totals import must_be_all
from licenseusage.sources.mending import is_broken


class CursorPager(OnwardPager):
    """A `Pager` of pagination type ``Cursor``."""

    def __init__(self, pagination: Cursor, order: Order, reader: Reader) -> None:
        """Ask for the first page, which has no cursor."""
        self._pagination = pagination
        self._read: set[bytes] = set()  # digests of the cursors so far
        names = " and ".join(name for name, _ in pagination.params)
        super().__init__(Rows(order, reader, names), ())

    def _onward(self, values: dict[str, Json], _head: Head) -> Ask | None:
        rows, pagination = self._rows, self._pagination
        following = tuple(
            (name, _cursor_text(name, path, values[name]))
            for name, path in pagination.params
            if values[name] not in (None, "")
        )
        if not following:
            must_be_all(rows.earlier + rows.count, values, pagination.total, pages=rows.pages)
            return None
        mark = hashlib.sha256(msgspec.json.encode(following)).digest()
        if mark in self._read:
            raise PollError(
                Reason.PAGING_LOOP,
                f"page {rows.pages} names a next page that was read before: the pages run in a "
                "circle. Check http.pagination.params.",
                stalls=True,
            )
        self._read.add(mark)
        return following

    def _complete(self) -> bool:
        return self._rows.order is Order.KEY_CURSOR or super()._complete()


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
