"""How a list is divided into pages, as it is declared; one class for each ``http.pagination.type``.

Parts of what a digest is made of: a field that is added later needs a default (see ``model``).
"""

from typing import ClassVar

import msgspec

Pair = tuple[str, str]
"""A name and a value, in the order the user wrote them; names may repeat."""

TOTAL = "total"
"""Name of the total among the values that are read of a page."""

NEXT = "next"
"""Name of the address of the next page among them."""


class _Pages(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a list is divided into pages.

    Attributes:
        total: JMESPath to the number of rows in the whole list; None = the answer tells none.
        larger: Where the size of a page is set; None = there is one page only.
    """

    larger: ClassVar[str | None] = None

    total: str | None = None

    @property
    def values(self) -> dict[str, str]:
        """JMESPath expressions over each page by name: what paging reads of it."""
        return {} if self.total is None else {TOTAL: self.total}

    @property
    def cursor_header(self) -> str | None:
        """Name of the response header that holds the next page's cursor; None: none does."""
        return None


class OnePage(_Pages, frozen=True, omit_defaults=True, tag="None"):
    """The whole list comes in one answer."""


class Offset(_Pages, frozen=True, omit_defaults=True, kw_only=True, tag="Offset"):
    """Pages by ``offset`` and ``limit``; without a total they end at an empty page.

    Attributes:
        offset_param: Query parameter of the first row's position.
        limit_param: Query parameter of the page size.
        size: Rows asked for per page.
        first: The position of the list's first row: 0, or 1 as in SCIM.
    """

    larger: ClassVar[str | None] = "http.pagination.size"

    offset_param: str
    limit_param: str
    size: int
    first: int = 0


class Numbered(_Pages, frozen=True, omit_defaults=True, kw_only=True, tag="Page"):
    """Pages by their number; without a total they end at an empty page.

    Attributes:
        page_param: Query parameter that holds the number.
        first: The number of the first page: 0 or 1.
        size_param: Query parameter of the page size; None = none is sent.
        size: Rows asked for per page; None = the product decides.
        template: The value of ``page_param``, with ``{page}`` and perhaps ``{size}``.
    """

    larger: ClassVar[str | None] = "http.pagination.size"

    page_param: str
    first: int
    size_param: str | None = None
    size: int | None = None
    template: str = "{page}"


class Cursor(_Pages, frozen=True, omit_defaults=True, kw_only=True, tag="Cursor"):
    """The next page is named by the page just read.

    Attributes:
        params: Query parameter and the JMESPath, over the page just read, of its value. The listing
            ends when all of them are absent, null or empty.
    """

    larger: ClassVar[str | None] = "in http.query"

    params: tuple[Pair, ...]

    @property
    def values(self) -> dict[str, str]:
        """As of `_Pages`."""
        return dict(self.params) | super().values


class HeaderCursor(_Pages, frozen=True, omit_defaults=True, kw_only=True, tag="HeaderCursor"):
    """The next page is named by a header of the answer just read.

    Attributes:
        header: Name of the header, in any case. The listing ends when it is absent or empty.
        cursor_param: Query parameter that carries its value to the product.
    """

    larger: ClassVar[str | None] = "in http.query"

    header: str
    cursor_param: str

    @property
    def cursor_header(self) -> str:
        """As of `_Pages`."""
        return self.header

    @property
    def counts_pages(self) -> bool:
        """Whether the header is known to hold a page's number, as GitLab's."""
        return self.header.lower() == "x-next-page"


class Linked(_Pages, frozen=True, omit_defaults=True, kw_only=True, tag="Next"):
    """Each page names the address of the next one; the last one names none.

    Attributes:
        path: JMESPath, over the page just read, of the next one's URL; None = the header ``Link``
            with ``rel="next"`` (RFC 8288).
    """

    larger: ClassVar[str | None] = "in http.query"

    path: str | None = None

    @property
    def values(self) -> dict[str, str]:
        """As of `_Pages`."""
        return ({} if self.path is None else {NEXT: self.path}) | super().values


Pagination = OnePage | Offset | Numbered | Cursor | HeaderCursor | Linked
