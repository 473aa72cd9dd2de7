"""The rows of a pass: whether they keep the declared order, and whether a page comes twice."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import lt
from typing import NamedTuple

import msgspec

from licenseusage.reasons import Reason
from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.guarantees import Order
from licenseusage.sources.definition.timestamps import Reader
from licenseusage.sources.failures import PollError
from licenseusage.sources.lists.columns import Columns

ID_TYPES = {str, int}


class PageBefore(NamedTuple):
    """The memory of a page while the next one is read."""

    rows: int
    first: Json
    digest: bytes


@dataclass(slots=True)
class Rows:
    """The checks over the rows of a pass so far.

    Attributes:
        order: The declared order.
        reader: Reads last activities.
        parameters: Names of the paging parameters, for messages.
        advice: What else the cause of a repeated page may be, with a space before it.
        pages: Pages that have ended.
        count: Rows of the page being read.
        earlier: Rows of the pages before it; rows on two pages count twice.
        first: Id of the first row of the page being read.
        last: Id of the last row so far.
        last_stamp: Its last activity.
        last_but_one: Id of the row before it.
        before: The page before; None on the first page.
        digest: Of the ids of the page that has just ended.
    """

    order: Order
    reader: Reader
    parameters: str
    advice: str = ""
    pages: int = 0
    count: int = 0
    earlier: int = 0
    first: Json = None
    last: Json = None
    last_stamp: Json = None
    last_but_one: Json = None
    before: PageBefore | None = None
    digest: bytes = b""
    _page_ids: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _sequence: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    @property
    def sequence(self) -> bytes:
        """Digest of all ids in the order read, to compare two passes."""
        return self._sequence.digest()

    def add(self, columns: Columns) -> bool:
        """Count rows of the page being read; return whether they are its first."""
        begins = self.count == 0
        self.count += len(columns)
        if self.order is not Order.KEY_CURSOR:  # ascending keys show a repeated page by themselves
            self._page_ids.update(_written(columns.ids))
        if begins:
            self.first = columns.ids[0]
        return begins

    def follow(self, columns: Columns, fresh: Columns) -> None:
        """Check the order of rows and remember the last one.

        Args:
            columns: The rows that were added.
            fresh: Those of them that were not on the page before.

        Raises:
            PollError: ``OrderViolated``, or ``PagingIgnored`` where the page before came again.
            BadStampError: A last activity cannot be read.
        """
        if self.order is Order.KEY_CURSOR:
            self._must_ascend(fresh.ids)
        elif self.order is Order.ACTIVITY:
            self._must_not_descend(columns.stamps)
        self.last_but_one = columns.ids[-2] if len(columns) > 1 else self.last
        self.last, self.last_stamp = columns.ids[-1], columns.stamps[-1]

    def end_page(self) -> None:
        """Close the page being read."""
        self.pages += 1
        self.digest = self._page_ids.digest()
        self._sequence.update(self.digest)

    def begin_page(self) -> None:
        """Begin the page after the one that has ended."""
        self.before = PageBefore(self.count, self.first, self.digest)
        self.earlier += self.count
        self.count, self._page_ids = 0, hashlib.sha256()

    def refuse_repeated(self) -> None:
        """Refuse a page that equals the one before.

        Raises:
            PollError: ``PagingIgnored``: the product does not look at the paging parameters.
        """
        if self.order is Order.KEY_CURSOR or self.before is None or not self.count:
            return
        if self.before.digest == self.digest:
            raise self.paging_ignored()

    def paging_ignored(self) -> PollError:
        """Say that the product gives the same page again."""
        return PollError(
            Reason.PAGING_IGNORED,
            f"two pages are the same: the product ignores the paging parameters "
            f"({self.parameters}). Correct http.pagination; if one answer holds all users, use "
            f"type None.{self.advice}",
            stalls=True,
        )

    def _must_ascend(self, ids: Sequence[Json]) -> None:
        named = [self.last, *ids]
        kinds = set(map(type, named)) - {type(None)}
        if not kinds <= ID_TYPES:
            return  # no ids: the tally refuses them
        if None in named:
            named = [user_id for user_id in named if user_id is not None]
        if len(kinds) <= 1 and all(map(lt, named, islice(named, 1, None))):
            return
        if self.before is not None and self.first == self.before.first:
            raise self.paging_ignored()
        raise PollError(
            Reason.ORDER_VIOLATED,
            f"the ids of page {self.pages + 1} do not ascend strictly by code point, as "
            "guarantees.order KeyCursor declares. Correct the product's order, or declare "
            "guarantees.order Unknown.",
            stalls=True,
        )

    def _must_not_descend(self, stamps: Sequence[Json]) -> None:
        before = self.reader.read(self.last_stamp)
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


def _written(ids: Sequence[Json]) -> bytes:
    """Return ids as bytes that tell them apart."""
    try:
        return msgspec.json.encode(ids)[1:-1] + b","
    except (OverflowError, RecursionError):  # integers beyond 64 bits, and what is no id
        return b"".join(b"%d:%b," % (len(text), text) for text in map(_as_text, ids))


def _as_text(user_id: Json) -> bytes:
    return f"{type(user_id).__name__} {user_id}".encode() if type(user_id) in ID_TYPES else b""
