"""The interface of all types of pagination, and the class for each type."""

from typing import Protocol

from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.guarantees import Order
from licenseusage.sources.definition.model import Http
from licenseusage.sources.definition.paging import (
    Cursor,
    HeaderCursor,
    Linked,
    Numbered,
    Offset,
    OnePage,
)
from licenseusage.sources.definition.timestamps import Reader
from licenseusage.sources.http.asking import Ask, Head
from licenseusage.sources.lists.columns import Columns
from licenseusage.sources.lists.paging.cursors import CursorPager, HeaderCursorPager
from licenseusage.sources.lists.paging.links import LinkPager
from licenseusage.sources.lists.paging.numbered import NumberedPager
from licenseusage.sources.lists.paging.offsets import OffsetPager
from licenseusage.sources.lists.paging.whole import WholeList


class Pager(Protocol):
    """One pass over a listing.

    Attributes:
        ask: What the page to read next is asked for by; None when the listing has ended.
        proves: The listing has ended and is complete by itself.
        note: A hint about the pages, for a person; None: none.
    """

    ask: Ask | None
    proves: bool
    note: str | None

    @property
    def pages(self) -> int:
        """Pages read."""

    @property
    def sequence(self) -> bytes:
        """Digest of all ids in the order read, to compare two passes."""

    def take(self, columns: Columns) -> Columns:
        """Look at rows of the page being read; return those that were not on the page before.

        Raises:
            PollError: ``ListMoved``, ``PagingIgnored`` or ``OrderViolated``.
            BadStampError: In the order of the last activity, one of them cannot be read.
        """

    def end_page(self, values: dict[str, Json], head: Head) -> None:
        """Close the page and set ``ask`` to the next one.

        Args:
            values: The page's ``total``, or its cursor parameters.
            head: Its request, and the head of the answer.

        Raises:
            PollError: Any of the paging reasons.
        """


def pager_of(http: Http, order: Order, reader: Reader) -> Pager:
    """Begin a pass over a listing.

    Args:
        http: The request.
        order: The declared order of its pages.
        reader: Reads last activities, for the order by them.
    """
    match http.pagination:
        case OnePage() as whole:
            return WholeList(whole)
        case Offset() as offset:
            return OffsetPager(offset, order, reader)
        case Numbered() as numbered:
            return NumberedPager(numbered, order, reader)
        case Cursor() as cursor:
            return CursorPager(cursor, order, reader)
        case HeaderCursor() as named:
            return HeaderCursorPager(named, order, reader)
        case Linked() as linked:
            return LinkPager(linked, order, reader)
