"""The lies of MEASUREMENT §3.10, told by one product in each way to divide a list into pages.

Five people were active; a page has two of them. Each lie is told in each dialect: what comes of it
is a named reason, or the right number.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.sources.hostile.case import AtLeast, Case, Complete, Fails
from tests.sources.product import Request, answer, at

SIZE = 2
PEOPLE = [
    {"id": f"u{number}", "seen": at(f"{number:02}T10:00:0{number}")} for number in range(1, 6)
]
Onward = tuple[dict[str, Any], dict[str, str | None]]
"""Members and headers of a page by which it leads to the next one."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way to ask for pages.

    Attributes:
        name: Of the pagination.
        pagination: As a user declares it.
        place: Where in the list the page begins that a request asks for.
        onward: What leads from a page to the row at a place; None: to nothing.
    """

    name: str
    pagination: dict[str, Any]
    place: Callable[[Request], int]
    onward: Callable[[int | None], Onward] = lambda _: ({}, {})

    @property
    def by_place(self) -> bool:
        """Whether we say which page comes next, and not the product."""
        return self.onward(0) == ({}, {})


def _number(first: int) -> Callable[[Request], int]:
    return lambda asked: (int(asked.param("page") or 0) - first) * SIZE


def _public(place: int) -> str:
    """The address of a page as the product's users would call it, not as a pod is called."""
    return f"https://app.example.org/behind/users?from={place}"


def _rison(asked: Request) -> int:
    page = re.fullmatch(r"\(order:id,page:(\d+),page_size:2\)", asked.param("q") or "")
    assert page is not None
    return int(page[1]) * SIZE


DIALECTS = [
    Dialect(
        "Offset",
        {"type": "Offset", "offsetParam": "offset", "limitParam": "limit", "size": SIZE},
        lambda asked: int(asked.param("offset") or 0),
    ),
    Dialect(
        "Page from 1",
        {"type": "Page", "pageParam": "page", "first": 1, "sizeParam": "per_page", "size": SIZE},
        _number(1),
    ),
    Dialect("Page from 0", {"type": "Page", "pageParam": "page", "first": 0}, _number(0)),
    Dialect(
        "Page within a value",
        {
            "type": "Page",
            "pageParam": "q",
            "template": "(order:id,page:{page},page_size:{size})",
            "first": 0,
            "size": SIZE,
        },
        _rison,
    ),
    Dialect(
        "Cursor",
        {"type": "Cursor", "params": [{"name": "after", "path": "after"}]},
        lambda asked: int(asked.param("after") or 0),
        lambda place: ({"after": place}, {}),
    ),
    Dialect(
        "Cursor in the header",
        {"type": "HeaderCursor", "header": "x-ms-continuationtoken", "cursorParam": "after"},
        lambda asked: int(asked.param("after") or 0),
        lambda place: ({}, {"X-MS-ContinuationToken": None if place is None else str(place)}),
    ),
    Dialect(
        "Cursor in the header, empty at the end",
        {"type": "HeaderCursor", "header": "X-Next-Page", "cursorParam": "page"},
        lambda asked: (int(asked.param("page") or 1) - 1) * SIZE,
        lambda place: ({}, {"X-Next-Page": "" if place is None else str(place // SIZE + 1)}),
    ),
    Dialect(
        "Next in the answer",
        {"type": "Next", "path": "links.next"},
        lambda asked: int(asked.param("from") or 0),
        lambda place: ({"links": {"next": None if place is None else _public(place)}}, {}),
    ),
    Dialect(
        "Next in the header",
        {"type": "Next"},
        lambda asked: int(asked.param("from") or 0),
        lambda place: ({}, {"Link": None if place is None else f'<?from={place}>; rel="next"'}),
    ),
]


@dataclass(slots=True)
class Liar:
    """A product that is asked in a dialect; each lie changes what is marked so."""

    dialect: Dialect
    people: list[dict[str, Any]] = field(default_factory=lambda: list(PEOPLE))
    asked: int = 0

    def __call__(self, asked: Request) -> bytes:
        self.asked += 1
        place = self.begins(self.dialect.place(asked))
        rows = self.listed(place)
        members, headers = self.dialect.onward(self.after(place))
        return answer({"value": rows, **members, **self.beside(place)}, headers=headers)

    def begins(self, place: int) -> int:
        return place

    def listed(self, place: int) -> list[dict[str, Any]]:
        return self.people[place : place + SIZE]

    def after(self, place: int) -> int | None:
        following = place + SIZE
        return following if following < len(self.people) else None

    def beside(self, _: int) -> dict[str, Any]:
        return {}


class IgnoresPaging(Liar):
    def begins(self, _: int) -> int:
        return 0


class OnePageTwice(Liar):
    def listed(self, place: int) -> list[dict[str, Any]]:
        return self.people[:SIZE] if place == SIZE else Liar.listed(self, place)


class LastPageAgain(Liar):
    """Whatever is behind the end is the last page, as some libraries have it."""

    def begins(self, place: int) -> int:
        return min(place, (len(self.people) - 1) // SIZE * SIZE)


class ShiftsOnce(Liar):
    """The first user is removed when the first page has been read; no lie, if read again."""

    def listed(self, place: int) -> list[dict[str, Any]]:
        rows = Liar.listed(self, place)
        if self.asked == 1:
            self.people = self.people[1:]
        return rows


class ShiftsAlways(Liar):
    """Between two pages the first user is removed and another one created, in each pass."""

    def listed(self, place: int) -> list[dict[str, Any]]:
        rows = Liar.listed(self, place)
        self.people = [*self.people[1:], {"id": f"new{self.asked}", "seen": None}]
        return rows


class RepeatsARow(Liar):
    def listed(self, place: int) -> list[dict[str, Any]]:
        rows = Liar.listed(self, place)
        return [PEOPLE[0], *rows[1:]] if place == SIZE else rows


class SaysMore(Liar):
    def beside(self, _: int) -> dict[str, Any]:
        return {"has_more": True}


class StatesMore(Liar):
    def beside(self, _: int) -> dict[str, Any]:
        return {"total": 9}


class StatesLess(Liar):
    def beside(self, _: int) -> dict[str, Any]:
        return {"total": 3}


class NeverEnds(Liar):
    def listed(self, place: int) -> list[dict[str, Any]]:
        return [{"id": f"u{place + number}", "seen": None} for number in range(SIZE)]

    def after(self, place: int) -> int | None:
        return place + SIZE


class RunsInACircle(Liar):
    def after(self, place: int) -> int | None:
        return (place + SIZE) % 6


class SkipsAPage(Liar):
    """Caps its pages, and counts them as if they were as long as asked for: half is left out."""

    def listed(self, place: int) -> list[dict[str, Any]]:
        return Liar.listed(self, place)[:1]


AGAIN = {"closing": True}
TOTAL = {"total": "total"}
BY_PRODUCT_5: dict[str, Any] = {
    dialect.name: Complete(5) for dialect in DIALECTS if not dialect.by_place
}
Expected = Fails | AtLeast | Complete
LIES: list[tuple[str, type[Liar], dict[str, Any], Expected, dict[str, Expected]]] = [
    ("the truth", Liar, {}, Complete(5), {}),
    ("the same page for ever", IgnoresPaging, {}, Fails("PagingIgnored"), {}),
    ("the first page twice", OnePageTwice, {}, Fails("PagingIgnored"), {}),
    ("the last page for ever", LastPageAgain, {}, Fails("PagingIgnored"), BY_PRODUCT_5),
    ("a list that moves once", ShiftsOnce, {}, Complete(5), {}),
    ("a list that always moves", ShiftsAlways, {}, AtLeast(4, "CannotOverlap"), {}),
    ("a row on two pages", RepeatsARow, {}, AtLeast(4, "RowsRepeated"), {}),
    ("more to come at the end", SaysMore, {}, AtLeast(5, "ListCut"), {}),
    ("a total that nobody declared", StatesMore, {}, AtLeast(5, "ListCut"), {}),
    ("a total that is too great", StatesMore, TOTAL, Fails("FewerThanTotal"), {}),
    ("a total that is too small", StatesLess, TOTAL, Fails("ListMoved"), {}),
    ("pages without end", NeverEnds, {}, Fails("TooManyPages"), {}),
]  # fmt: skip
BY_THE_PRODUCT = [("pages in a circle", RunsInACircle, {}, Fails("PagingLoop"), {})]
BY_NUMBER = [("half of what is asked for", SkipsAPage, {}, Fails("PageSizeCapped"), {})]


def _cases() -> Iterator[Case]:
    for dialect in DIALECTS:
        sized = dialect.pagination["type"] == "Page" and "size" in dialect.pagination
        lies = [*LIES, *(() if dialect.by_place else BY_THE_PRODUCT), *(BY_NUMBER if sized else ())]
        for name, liar, declared, expected, others in lies:
            yield Case(
                f"{dialect.name}: {name}",
                _fresh(liar, dialect),
                others.get(dialect.name, expected),
                {"http": {"pagination": dialect.pagination | declared}},
                AGAIN,
            )


def _fresh(liar: type[Liar], dialect: Dialect) -> Callable[[Request], bytes]:
    return liar(dialect)


CASES = list(_cases())
