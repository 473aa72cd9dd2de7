"""From page to page, and whether the pages together prove who is not listed (MEASUREMENT §3.6, §0).

A list moves while it is read: users are created, removed and become active between two pages. So
offset pages in the order of an immutable key overlap by one row, key cursors must ascend, and
anything else proves nothing beyond its first page, unless two passes in a row give the same ids.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import lt
from typing import TypeAlias

import msgspec

from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.model import Cursor, Http, Offset, OnePage, Pair
from licenseusage.sources.definition.timestamps import Reader, kind_of
from licenseusage.sources.failures import PollError, Reason
from licenseusage.sources.lists.columns import Columns
from licenseusage.sources.lists.pages import TOTAL
from licenseusage.sources.lists.said import MOST_USERS
from licenseusage.sources.mending import is_broken

Order: TypeAlias = str

_IDS = {str, int}
OFFSETS_FROM_1 = "If the product counts its offsets from 1, set http.pagination.first to 1."


@dataclass(slots=True)
class Pager:
    """One pass over a listing.

    Attributes:
        query: Parameters of the page to read next; None when the listing has ended.
        proves: The listing has ended and is complete by itself.
        pages: Pages read.
    """

    http: Http
    order: Order
    reader: Reader
    query: tuple[Pair, ...] | None = ()
    proves: bool = False
    pages: int = 0
    _offset: int = 0
    _rows: int = 0  # of the page being read
    _all_rows: int = 0  # of the pages before, where they do not overlap
    _first: Json = None  # id of its first row
    _last: Json = None  # id of the last row so far
    _last_stamp: Json = None
    _last_but_one: Json = None
    _one_early: bool = False  # a page began one row before where it should
    _page_ids: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _before: tuple[int, Json, bytes] | None = None  # rows, first id and digest of the page before
    _cursors: set[bytes] = field(default_factory=set)
    _sequence: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def __post_init__(self) -> None:
        """Ask for the first page."""
        if isinstance(self.http.pagination, Offset):
            self.query = self._offset_query(self.http.pagination, 0)

    @property
    def sequence(self) -> bytes:
        """Digest of all ids in the order read, to compare two passes."""
        return self._sequence.digest()

    def take(self, columns: Columns) -> Columns:
        """Look at rows of the page being read; return those that were not on the page before.

        Raises:
            PollError: ``ListMoved``, ``PagingIgnored`` or ``OrderViolated``.
            BadStampError: In the order of the last activity, one of them cannot be read.
        """
        if not len(columns):
            return columns
        starts_page = self._rows == 0
        self._rows += len(columns)
        if not isinstance(self.http.pagination, Offset | Cursor):
            return columns
        ids = columns.ids
        if self.order != "KeyCursor":  # ascending keys show a repeated page by themselves
            self._page_ids.update(_written(ids))
        fresh = columns
        if starts_page:
            self._first = ids[0]
            expected = self._last_but_one if self._overlaps else self._last
            self._one_early |= ids[0] is not None and ids[0] == expected
            if self._overlaps:
                self._compare_overlap(ids[0], columns.stamps[0])
                fresh = columns.without_first()
        if self.order == "KeyCursor":
            self._must_ascend(fresh.ids)
        elif self.order == "Activity":
            self._must_not_descend(columns.stamps)
        self._last_but_one = ids[-2] if len(ids) > 1 else self._last
        self._last, self._last_stamp = ids[-1], columns.stamps[-1]
        return fresh

    def end_page(self, values: dict[str, Json]) -> None:
        """Close the page and say what comes next, in ``query``.

        Args:
            values: The page's ``total``, or its cursor parameters.

        Raises:
            PollError: Any of the paging reasons.
        """
        self.pages += 1
        digest = self._page_ids.digest()
        self._sequence.update(digest)
        match self.http.pagination:
            case Offset() as offset:
                self._refuse_repeated(digest)
                self._end_offset(offset, values)
            case Cursor() as cursor:
                self._refuse_repeated(digest)
                self._end_cursor(cursor, values)
            case OnePage() as whole:
                self._must_be_all(values, whole.total)
                self._end(proves=True)
        self._before = (self._rows, self._first, digest)
        self._all_rows += self._rows
        self._rows, self._page_ids = 0, hashlib.sha256()

    # -- offsets --

    @property
    def _overlaps(self) -> bool:
        """Whether the page being read must begin with the last row of the page before."""
        return (
            isinstance(self.http.pagination, Offset)
            and self.order != "Unknown"
            and self._before is not None
            and self._before[0] > 1
        )

    def _compare_overlap(self, first: Json, stamp: Json) -> None:
        if (
            first is not None
            and first == self._last
            and (self.order != "Activity" or stamp == self._last_stamp)
        ):
            return
        if self._before is not None and first == self._before[1]:
            raise _paging_ignored(self.http)
        if self._one_early and first is not None:
            fix = f"it begins with the one before. {OFFSETS_FROM_1}"
        else:
            fix = (
                "the list changed while it was read. It is read again; if this keeps happening, "
                f"the list is not in the declared order (guarantees.order {self.order})."
            )
        raise PollError(
            Reason.LIST_MOVED,
            f"page {self.pages + 1} does not begin with the last user of page {self.pages}: {fix}",
        )

    def _end_offset(self, offset: Offset, values: dict[str, Json]) -> None:
        if self._overlaps and self._rows == 0:
            self._compare_overlap(None, None)  # gone, whatever the total says
        seen = self._offset + self._rows
        total = _total(values[TOTAL], offset.total) if offset.total is not None else None
        if total is not None and seen > total:
            raise self._too_many(seen, total, offset.total)
        if total == seen:
            self._end(proves=self.order != "Unknown" or self.pages == 1)
            return
        new_rows = self._rows - (1 if self._overlaps else 0)
        if new_rows > 0:
            if self.order != "Unknown" and self._before and self._before[0] == 1:
                raise PollError(
                    Reason.ORDER_VIOLATED,
                    "the product gives one user per page, so that pages cannot overlap. Ask for "
                    "larger pages, or declare guarantees.order Unknown.",
                    stalls=True,
                )
            overlap = 1 if self.order != "Unknown" and self._rows > 1 else 0
            self._offset = seen - overlap
            self.query = self._offset_query(offset, self._offset)
            return
        if total is not None:
            raise _fewer(seen, total)
        self._end(proves=self.order != "Unknown" or self.pages == 1)

    def _too_many(self, seen: int, total: int, path: str | None) -> PollError:
        if self.pages > 1:
            return PollError(
                Reason.LIST_MOVED,
                f"the product's total fell to {total} while {seen} users were read. It is read "
                f"again.{f' {OFFSETS_FROM_1}' if self._one_early else ''}",
            )
        return PollError(
            Reason.TOTAL_INVALID,
            f"http.pagination.total ({path}) is {total}, but {seen} users were listed. "
            "Correct the path of the total.",
            stalls=True,
        )

    @staticmethod
    def _offset_query(offset: Offset, at: int) -> tuple[Pair, ...]:
        return (
            (offset.offset_param, str(at + offset.first)),
            (offset.limit_param, str(offset.size)),
        )

    # -- cursors --

    def _end_cursor(self, cursor: Cursor, values: dict[str, Json]) -> None:
        following = tuple(
            (name, _cursor_text(name, path, values[name]))
            for name, path in cursor.params
            if values[name] not in (None, "")
        )
        if not following:
            self._must_be_all(values, cursor.total)
            self._end(proves=self.order == "KeyCursor" or self.pages == 1)
            return
        mark = hashlib.sha256(msgspec.json.encode(following)).digest()
        if mark in self._cursors:
            raise PollError(
                Reason.PAGING_LOOP,
                f"page {self.pages} names a next page that was read before: the pages run in a "
                "circle. Check http.pagination.params.",
                stalls=True,
            )
        self._cursors.add(mark)
        self.query = following

    def _must_ascend(self, ids: Sequence[Json]) -> None:
        named = [self._last, *ids]
        kinds = set(map(type, named)) - {type(None)}
        if not kinds <= _IDS:
            return  # no ids: the tally refuses them
        if None in named:
            named = [one for one in named if one is not None]
        if len(kinds) <= 1 and all(map(lt, named, islice(named, 1, None))):
            return
        if self._before is not None and self._first == self._before[1]:
            raise _paging_ignored(self.http)
        raise PollError(
            Reason.ORDER_VIOLATED,
            f"the ids of page {self.pages + 1} do not ascend strictly by code point, as "
            "guarantees.order KeyCursor declares. Correct the product's order, or declare "
            "guarantees.order Unknown.",
            stalls=True,
        )

    def _must_not_descend(self, stamps: Sequence[Json]) -> None:
        before = self.reader.read(self._last_stamp)
        latest = before.at_ms if before else None
        for stamp in stamps:
            instant = self.reader.read(stamp)
            if (instant is None and latest is not None) or (
                instant is not None and latest is not None and instant.at_ms < latest
            ):
                raise PollError(
                    Reason.ORDER_VIOLATED,
                    "the list is not in ascending order of the last activity, never active first, "
                    "as guarantees.order Activity declares. Correct the query, or declare Unknown.",
                    stalls=True,
                )
            latest = instant.at_ms if instant else None

    # -- both --

    def _refuse_repeated(self, digest: bytes) -> None:
        """A page that equals the one before: the product does not look at the paging parameters."""
        one_row_again = self._overlaps and self._rows == 1
        equal = self.order != "KeyCursor" and self._before and self._before[2] == digest
        if equal and self._rows and not one_row_again:
            raise _paging_ignored(self.http)

    def _must_be_all(self, values: dict[str, Json], path: str | None) -> None:
        """Hold a list that has ended against its declared total."""
        if path is None:
            return
        seen, total = self._all_rows + self._rows, _total(values[TOTAL], path)
        if seen > total:
            raise self._too_many(seen, total, path)
        if seen < total:
            raise _fewer(seen, total)

    def _end(self, *, proves: bool) -> None:
        self.query = None
        self.proves = proves


def _written(ids: Sequence[Json]) -> bytes:
    """Return ids as bytes that tell them apart."""
    try:
        return msgspec.json.encode(ids)[1:-1] + b","
    except (OverflowError, RecursionError):  # integers beyond 64 bits, and what is no id
        return b"".join(b"%d:%b," % (len(one), one) for one in map(_as_text, ids))


def _as_text(one: Json) -> bytes:
    return f"{type(one).__name__} {one}".encode() if type(one) in _IDS else b""


def _total(value: Json, path: str | None) -> int:
    if type(value) is int and 0 <= value <= MOST_USERS:
        return value
    raise PollError(
        Reason.TOTAL_INVALID,
        f"http.pagination.total ({path}) gives {kind_of(value)} instead of a number of "
        "users. Correct the path, or remove it.",
        stalls=True,
    )


def _fewer(seen: int, total: int) -> PollError:
    return PollError(
        Reason.FEWER_THAN_TOTAL,
        f"the product says that there are {total} users, but its list ends after {seen}. It is "
        "read again; if this keeps happening, the credentials may not see all users. If the total "
        "counts others as well, remove http.pagination.total and name its member in "
        "http.ignoreMembers.",
    )


def _cursor_text(name: str, path: str, value: Json) -> str:
    if type(value) in _IDS and not is_broken(value):
        return str(value)
    found = "a text with broken letters" if is_broken(value) else kind_of(value)
    raise PollError(
        Reason.CURSOR_INVALID,
        f"http.pagination.params {name} ({path}) gives {found} instead of a text or a "
        "number. Correct the path.",
        stalls=True,
    )


def _paging_ignored(http: Http) -> PollError:
    match http.pagination:
        case Offset(offset_param=first, limit_param=second):
            names = f"{first} and {second}"
        case Cursor(params=params):
            names = " and ".join(name for name, _ in params)
        case _:
            names = "no parameter"
    return PollError(
        Reason.PAGING_IGNORED,
        f"two pages are the same: the product ignores the paging parameters ({names}). Correct "
        "http.pagination; if one answer holds all users, use type None.",
        stalls=True,
    )
