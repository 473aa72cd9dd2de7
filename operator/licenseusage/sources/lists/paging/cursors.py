"""Pages by a cursor: each names the next one."""

import hashlib

import msgspec

from licenseusage.reasons import Reason
from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.guarantees import Order
from licenseusage.sources.definition.model import Cursor, Pair
from licenseusage.sources.definition.timestamps import Reader, kind_of
from licenseusage.sources.failures import PollError
from licenseusage.sources.lists.columns import Columns
from licenseusage.sources.lists.paging.rows import ID_TYPES, Rows
from licenseusage.sources.lists.paging.totals import must_be_all
from licenseusage.sources.mending import is_broken


class CursorPager:
    """A `Pager` of pagination type ``Cursor``."""

    def __init__(self, pagination: Cursor, order: Order, reader: Reader) -> None:
        """Ask for the first page, which has no cursor."""
        self._pagination = pagination
        self._rows = Rows(order, reader, " and ".join(name for name, _ in pagination.params))
        self._read: set[bytes] = set()  # digests of the cursors so far
        self.query: tuple[Pair, ...] | None = ()
        self.proves = False

    @property
    def pages(self) -> int:
        """As of `Pager`."""
        return self._rows.pages

    @property
    def sequence(self) -> bytes:
        """As of `Pager`."""
        return self._rows.sequence

    def take(self, columns: Columns) -> Columns:
        """Check the order of the rows; pages of a cursor do not overlap."""
        if len(columns):
            self._rows.add(columns)
            self._rows.follow(columns, columns)
        return columns

    def end_page(self, values: dict[str, Json]) -> None:
        """End the listing, or ask for the page that this one names."""
        self._rows.end_page()
        self._rows.refuse_repeated()
        self._go_on(values)
        self._rows.begin_page()

    def _go_on(self, values: dict[str, Json]) -> None:
        rows, pagination = self._rows, self._pagination
        following = tuple(
            (name, _cursor_text(name, path, values[name]))
            for name, path in pagination.params
            if values[name] not in (None, "")
        )
        if not following:
            must_be_all(rows.earlier + rows.count, values, pagination.total, pages=rows.pages)
            self.query = None
            self.proves = rows.order is Order.KEY_CURSOR or rows.pages == 1
            return
        mark = hashlib.sha256(msgspec.json.encode(following)).digest()
        if mark in self._read:
            raise PollError(
                Reason.PAGING_LOOP,
                f"page {rows.pages} names a next page that was read before: the pages run in a "
                "circle. Check http.pagination.params.",
                stalls=True,
            )
        self._read.add(mark)
        self.query = following


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
