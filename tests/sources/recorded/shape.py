"""A product as its API answers: who is listed, in which form, on which pages.

A `Shape` is written down from the product's source or documentation, and knows nothing of our
preset: it decides by the request alone. So a preset that asks for the wrong thing gets what the
product would give it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from tests.sources.product import Request, answer

Kind = Literal["person", "program"]
Row = dict[str, Any]
Span = Callable[[Request, Sequence[Row]], tuple[int, int] | None]

JULY = datetime(2026, 7, 1, 8, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Someone:
    """Somebody, or something, that the product knows.

    Attributes:
        number: Unique; ids are made of it.
        seen: The last activity; None: never.
        disabled: An administrator has switched the account off.
        kind: ``program``: an account that the product marks as no person.
    """

    number: int
    seen: datetime | None
    created: datetime = JULY
    disabled: bool = False
    kind: Kind = "person"


def november(day: int, *clock: int) -> datetime:
    return datetime(2026, 11, day, *(clock or (9, 30, 15)), tzinfo=UTC)


ANN = Someone(1, november(5))
BOB = Someone(2, november(19, 23, 59, 59))
AT_THE_START = Someone(3, november(1, 0, 0, 0))
BEFORE = Someone(4, datetime(2026, 10, 31, 23, 59, 58, tzinfo=UTC))
NEVER = Someone(5, None)
NEW = Someone(6, None, created=november(10))
LEFT = Someone(7, november(12), disabled=True)
BOT = Someone(8, november(13), kind="program")
CROWD = (ANN, BOB, AT_THE_START, BEFORE, NEVER, NEW, LEFT, BOT)
"""Ann, Bob, somebody at the first second and one who is disabled now were active in the cycle."""


@dataclass(frozen=True, slots=True)
class Page:
    """The rows that a request asks for.

    Attributes:
        rows: They.
        total: Rows of the whole list.
        begins: Number of the first of them, from 0.
    """

    rows: Sequence[Row]
    total: int
    begins: int

    @property
    def ends(self) -> int:
        return self.begins + len(self.rows)


@dataclass(frozen=True, slots=True)
class Shape:
    """One product's list of users.

    Attributes:
        preset: The preset that reads it.
        path: Where the list is.
        row: One account as the product writes it.
        id: The id of an account, as the preset reads it.
        lets_in: Whether a request carries the credentials that the product asks for.
        span: Which of the rows a request asks for: the first one, and how many; None: all.
        page_size: How many a page has as the preset asks for it; 0: there is one page.
        body: The document around the rows of a page.
        lists: Whether the product lists somebody, given what the request asks for.
        headers: Headers of a page.
        sign_in: The answer to a login.
        fields: What a user gives beside the preset.
        counted: Who counts of the crowd.
        sorts: By what the product sorts its list; None: as they were added.
        marks_never: It says of a user that there was no activity; else it writes some old time.
    """

    preset: str
    path: str
    row: Callable[[Someone], Row]
    id: Callable[[Someone], str]
    lets_in: Callable[[Request], bool]
    body: Callable[[Page], Any]
    span: Span = lambda _request, _rows: None
    page_size: int = 0
    lists: Callable[[Someone, Request], bool] = lambda _someone, _request: True
    headers: Callable[[Page, Request], Mapping[str, str | None]] = lambda _page, _request: {}
    sign_in: Callable[[Request], bytes] | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    counted: tuple[Someone, ...] = (ANN, BOB, AT_THE_START, LEFT)
    marks_never: bool = True
    sorts: Callable[[Someone], Any] | None = None


def number_of(request: Request, name: str, default: int) -> int:
    return int(request.param(name) or default)


def by_offset(offset: str, limit: str, *, usual: int, most: int = 1 << 30, first: int = 0) -> Span:
    """Pages by the number of rows to skip."""
    return lambda asked, _rows: (
        number_of(asked, offset, first) - first,
        min(number_of(asked, limit, usual), most),
    )


def by_page(page: str, size: str, *, usual: int, most: int = 1 << 30, first: int = 1) -> Span:
    """Pages by their number; what is larger than the product's largest page is cut to it."""

    def span(asked: Request, _: Sequence[Row]) -> tuple[int, int]:
        length = min(number_of(asked, size, usual), most)
        return (number_of(asked, page, first) - first) * length, length

    return span


def header(name: str, value: str) -> Callable[[Request], bool]:
    return lambda asked: asked.headers.get(name.lower()) == value


@dataclass(slots=True)
class Site:
    """The product, with these accounts; what is replaced is where it lies."""

    shape: Shape
    people: Sequence[Someone] = CROWD
    told: Callable[[Page], Page] = lambda page: page
    pages: int = 0

    def __call__(self, asked: Request) -> bytes:
        shape = self.shape
        if asked.method == "POST" and shape.sign_in is not None:
            return shape.sign_in(asked)
        if asked.path != shape.path or asked.method != "GET":
            return answer({"message": "nothing here"}, "404 Not Found")
        if not shape.lets_in(asked):
            return answer({"message": "who are you?"}, "401 Unauthorized")
        self.pages += 1
        page = self.told(self.page(asked))
        return answer(shape.body(page), headers=dict(shape.headers(page, asked)))

    def page(self, asked: Request) -> Page:
        listed = [one for one in self.people if self.shape.lists(one, asked)]
        if self.shape.sorts is not None:
            listed.sort(key=self.shape.sorts)
        rows = [self.shape.row(one) for one in listed]
        start, size = self.shape.span(asked, rows) or (0, len(rows))
        return Page(rows[start : start + size], len(rows), start)
