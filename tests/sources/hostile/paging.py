"""Pages: cursors, offsets and totals that lead nowhere, in a circle, or astray."""

from collections.abc import Callable
from typing import Any

from tests.sources.hostile.case import ANN, BOB, LEAK, OLD, PEOPLE, AtLeast, Case, Complete, Fails
from tests.sources.product import Request, answer

_CURSOR = {"type": "Cursor", "params": [{"name": "after", "path": "next"}]}
_OFFSET = {"type": "Offset", "offsetParam": "offset", "limitParam": "limit", "size": 2}
BY_CURSOR = {"http": {"pagination": _CURSOR}}
BY_KEY = {**BY_CURSOR, "guarantees": {"order": "KeyCursor"}}
BY_OFFSET = {"http": {"pagination": {**_OFFSET, "total": "total"}}}
BY_RANK = {"http": {"pagination": _OFFSET}, "guarantees": {"order": "ImmutableKey"}}
_SORTED = sorted(PEOPLE, key=lambda row: row["id"])


def _page(rows: list[Any], **around: Any) -> bytes:
    return answer({"value": rows, **around})


def _next(value: Any) -> bytes:
    return _page(PEOPLE, next=value)


def _after(first: bytes, second: bytes) -> Callable[[Request], bytes]:
    """The first page, and the one to which its cursor leads."""
    return lambda asked: first if asked.param("after") is None else second


def _offsets(rows: list[Any], base: int = 0, **around: Any) -> Callable[[Request], bytes]:
    def respond(asked: Request) -> bytes:
        first = max(int(asked.param("offset") or base) - base, 0)
        return _page(rows[first : first + int(asked.param("limit") or 9)], **around)

    return respond


def _counting(asked: Request) -> bytes:
    """Another user and another page, for ever."""
    number = int(asked.param("after") or 0) + 1
    return _page([{"id": f"u{number:09}", "seen": None}], next=number)


CURSORS = [
    Case("a cursor that is a list", _next([LEAK]), Fails("CursorInvalid"), BY_CURSOR),
    Case("a cursor that is an object", _next({LEAK: 1}), Fails("CursorInvalid"), BY_CURSOR),
    Case("a cursor that is true", _next(True), Fails("CursorInvalid"), BY_CURSOR),
    Case("a cursor that is a fraction", _next(1.5), Fails("CursorInvalid"), BY_CURSOR),
    Case("a cursor of 400 digits", _after(_next(10**400), _page([OLD | {"id": "x"}])),
         AtLeast(2, "CannotOverlap"), BY_CURSOR),
    Case("a cursor of 70 KB", _after(_next("c" * 70_000), _page([])),
         AtLeast(2, "CannotOverlap"), BY_CURSOR),
    Case("a cursor of line breaks", _after(_next("a\r\nHost: x\r\n\r\n"), _page([])),
         AtLeast(2, "CannotOverlap"), BY_CURSOR),
    Case("a cursor with half an emoji", answer(
        b'{"value": [{"id": "ann"}], "next": "\\ud83d"}'), Fails("CursorInvalid"), BY_CURSOR),
    Case("a cursor in Latin-1", answer(b'{"value": [{"id": "ann"}], "next": "\xe9"}'),
         Fails("CursorInvalid"), BY_CURSOR),
    Case("a cursor that leads to itself", _next("a"), Fails("PagingIgnored"), BY_CURSOR),
    Case("cursors in a circle", lambda asked: _page(
        [{"id": asked.param("after") or "0"}],
        next={"a": "b", "b": "a"}.get(asked.param("after") or "", "a")),
        Fails("PagingLoop"), BY_CURSOR),
    Case("pages without end", _counting, Fails("TooManyPages"), BY_CURSOR),
    Case("empty pages without end", lambda asked: _page(
        [], next=int(asked.param("after") or 0) + 1), Fails("TooManyPages"), BY_CURSOR),
    Case("keys that descend", _page([BOB, ANN]), Fails("OrderViolated"), BY_KEY),
    Case("keys that repeat", _page([ANN, ANN]), Fails("OrderViolated"), BY_KEY),
    Case("keys of two kinds", _page([{"id": 1}, {"id": "b"}]), Fails("OrderViolated"), BY_KEY),
    Case("keys that begin anew on page 2", _after(
        _page(_SORTED, next="z"), _page([{"id": "aaa"}])), Fails("OrderViolated"), BY_KEY),
    Case("a second page that is no JSON", _after(_next("a"), answer(b"<html>")),
         Fails("AnswerNotJSON"), BY_CURSOR),
    Case("a second page that is no list", _after(_next("a"), answer({"value": None})),
         Fails("ItemsNotAList"), BY_CURSOR),
    Case("a second page that fails", _after(_next("a"), answer(b"", "500 x")),
         Fails("ServerError"), BY_CURSOR),
    Case("a cursor that is an expression which fails", _next("a"), Fails("ExpressionFailed"),
         {"http": {"pagination": {"type": "Cursor", "params": [
             {"name": "after", "path": "sum(next)"}]}}}),
]  # fmt: skip

OFFSETS = [
    Case("offsets that are ignored", _page(PEOPLE[:2], total=9), Fails("PagingIgnored"), BY_OFFSET),
    Case("offsets that are ignored in a declared order", _page(PEOPLE[:2]), Fails("PagingIgnored"),
         BY_RANK),
    Case("more rows than asked for", _page(PEOPLE, total=4), Complete(2), BY_OFFSET),
    Case("rows of another order on each page", lambda asked: _page(
        PEOPLE[:2] if asked.param("offset") == "0" else PEOPLE[2:]), Fails("ListMoved"), BY_RANK),
    Case("offsets that begin at 1", _offsets(PEOPLE, 1), Fails("ListMoved"),
         {**BY_RANK, "http": {"pagination": {**_OFFSET, "size": 3}}}),
    Case("offsets that begin at 1 without an order", _offsets(PEOPLE, 1, total=4),
         AtLeast(2, "RowsRepeated"), BY_OFFSET),
    Case("offsets that begin at 1, as declared", _offsets(PEOPLE, 1), Complete(2),
         {**BY_RANK, "http": {"pagination": {**_OFFSET, "first": 1}}}),
]  # fmt: skip

TOTALS = [
    Case("a total that is a text", _page(PEOPLE, total="4"), Fails("TotalInvalid"), BY_OFFSET),
    Case("a total that is nothing", _page(PEOPLE), Fails("TotalInvalid"), BY_OFFSET),
    Case("a total that is negative", _page(PEOPLE, total=-1), Fails("TotalInvalid"), BY_OFFSET),
    Case("a total that is a fraction", _page(PEOPLE, total=4.0), Fails("TotalInvalid"), BY_OFFSET),
    Case("a total that is true", _page(PEOPLE, total=True), Fails("TotalInvalid"), BY_OFFSET),
    Case("a total of 400 digits", _page(PEOPLE, total=10**400), Fails("TotalInvalid"),
         {"http": {"pagination": {"type": "None", "total": "total"}}}),
    Case("a total that is too small", _page(PEOPLE, total=1), Fails("TotalInvalid"), BY_OFFSET),
    Case("a total that is too great", _offsets(PEOPLE, total=5), Fails("FewerThanTotal"),
         BY_OFFSET),
    Case("a total that falls", lambda asked: _page(
        PEOPLE[int(asked.param("offset") or 0):][:2], total=9 if asked.param("offset") == "0" else 3
        ), Fails("ListMoved"), BY_OFFSET),
    Case("a total beside the list of 400 digits", _page(PEOPLE, total=10**400),
         AtLeast(2, "ListCut")),
    Case("a total beside the list in 900 lists", _page(PEOPLE, total=[[[]]]), Complete(2)),
    Case("a next page that is a map of everything", _page(PEOPLE, next={"a": {"b": 1}}),
         AtLeast(2, "ListCut")),
    Case("a hundred levels of links", _page(PEOPLE, links=[{"rel": [1], "next": 2}] * 100),
         Complete(2)),
    Case("links of the wrong kind", _page(PEOPLE, links=7, meta="x", paging=[1, None]),
         Complete(2)),
]  # fmt: skip

BY_LINK = {"http": {"pagination": {"type": "Next", "path": "next"}}}
BY_HEADER = {"http": {"pagination": {"type": "Next"}}}
_MORE = _page([OLD | {"id": "x"}])
"""A second page, if it should be asked for."""


def _link(*headers: str) -> bytes:
    return answer({"value": PEOPLE}, headers={"Link": ", ".join(headers)})


def _then(first: bytes, second: bytes = _MORE) -> Callable[[Request], bytes]:
    """The first page, and what answers to any other address."""
    return lambda asked: second if asked.query or asked.path != "/users" else first


def _moving_on(asked: Request) -> bytes:
    """Another user and a link to another page, for ever."""
    number = int(asked.param("p") or 0) + 1
    return _page([{"id": f"u{number:09}", "seen": None}], next=f"?p={number}")


LINKS = [
    *(
        Case(f"a link that is {name}", _next(value), Fails("NextInvalid"), BY_LINK)
        for name, value in {
            "a number": 2,
            "a list": [LEAK],
            "an object": {"href": LEAK},
            "false": False,
            "no URL": f"http://[{LEAK}",
            "a port that is none": "localhost:80/users?p=2",
            "an address of mail": f"mailto:{LEAK}@example.org",
            "a script": f"javascript:{LEAK}",
            "a file": f"file:///{LEAK}",
        }.items()
    ),
    Case("a link with half an emoji", answer(
        b'{"value": [{"id": "ann"}], "next": "/users?p=\\ud83d"}'), Fails("NextInvalid"), BY_LINK),
    *(
        Case(f"a link to {name}", _then(_next(url)), Fails("NextElsewhere"), BY_LINK)
        for name, url in {
            "another server": f"https://{LEAK}.example.org/other?p=2",
            "another server without a scheme": f"//{LEAK}/other",
            "another server's root": f"https://{LEAK}",
            "the metadata of a cloud": "http://169.254.169.254/latest/meta-data",
            "a server in a user's name": f"http://127.0.0.1@{LEAK}/x",
            "a path that ends alike": f"https://{LEAK}/myusers?p=2",
        }.items()
    ),
    *(
        Case(f"a link to {name}", _then(_next(url)), AtLeast(2, "CannotOverlap"), BY_LINK)
        for name, url in {
            "the product's public name": "https://app.example.org/users?p=2",
            "the public name behind a prefix": "https://app.example.org/wiki/users?p=2",
            "a name with a password": f"https://{LEAK}:{LEAK}@app.example.org/users?p=2",
            "another path of the same pod": "/users/pages/2",
            "a page by its query alone": "?p=2",
            "a page with line breaks": "/users?p=2\r\nHost: x\r\n\r\n",
            "a page in other letters": "/users?p=größe und mehr",
            "a page with a fragment": "/users?p=2#top",
            "a page of 70 KB": "/users?p=" + "c" * 70_000,
        }.items()
    ),
    Case("a link to the first page", _next("/users"), Fails("PagingLoop"), BY_LINK),
    Case("a link back to the first page", _then(
        _next("?p=2"), _page([OLD | {"id": "x"}], next="/users")), Fails("PagingLoop"), BY_LINK),
    Case("links in a circle", lambda asked: _page(
        [{"id": asked.param("p") or "0"}],
        next={"1": "?p=2", "2": "?p=1"}.get(asked.param("p") or "", "?p=1")),
        Fails("PagingLoop"), BY_LINK),
    Case("a link back to the first page, written otherwise", lambda asked: _page(
        [{"id": asked.param("p") or "1"}], next="?p=1" if asked.param("p") == "2" else "?p=2"),
        Fails("PagingLoop"), BY_LINK),
    Case("a link at another member than the declared one", _next("?p=2"), AtLeast(2, "ListCut"),
         {"http": {"pagination": {"type": "Next", "path": "following"}}}),
    Case("links without end", _moving_on, Fails("TooManyPages"), BY_LINK),
    Case("empty pages with links without end", lambda asked: _page(
        [], next=f"?p={int(asked.param('p') or 0) + 1}"), Fails("TooManyPages"), BY_LINK),
    Case("a link in the header, and another one", _link(
        '</users?p=2>; rel="next"', '</users?p=3>; rel="next"'), Fails("NextInvalid"), BY_HEADER),
    Case("a link in the header to another server", _link(
        f'<https://{LEAK}/other>; rel="next"'), Fails("NextElsewhere"), BY_HEADER),
    Case("a link in the header to nothing", _link('<>; rel="next"'), Fails("PagingLoop"),
         BY_HEADER),
    Case("a link in the header to the same page", _link('</users>; rel="next"'),
         Fails("PagingLoop"), BY_HEADER),
    Case("a link in the header to a last page", _then(_link('</users?p=2>; rel="next"')),
         AtLeast(2, "CannotOverlap"), BY_HEADER),
    Case("a link in the header beside the declared one", answer(
        {"value": PEOPLE, "next": None}, headers={"Link": '</users?p=2>; rel="next"'}),
        AtLeast(2, "ListCut"), BY_LINK),
    Case("a link in the answer beside the header", _next("/users?p=2"), AtLeast(2, "ListCut"),
         BY_HEADER),
    Case("a link on a second page that fails", _then(_next("?p=2"), answer(b"", "404 x")),
         Fails("PathNotFound"), BY_LINK),
    Case("a link to a page that redirects", _then(_next("?p=2"), answer(
        b"", "302 x", headers={"Location": "https://elsewhere.example.org/users?p=2"})),
        Fails("Redirected"), BY_LINK),
]  # fmt: skip

_HEADER_CURSOR = {"type": "HeaderCursor", "header": "X-Next", "cursorParam": "after"}
BY_HEADER_CURSOR = {"http": {"pagination": _HEADER_CURSOR}}
BY_HEADER_KEY = {**BY_HEADER_CURSOR, "guarantees": {"order": "KeyCursor"}}


def _headed(rows: list[Any] | None = None, **headers: str | None) -> bytes:
    """A page with headers; ``_`` in a name is ``-``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return answer({"value": PEOPLE if rows is None else rows}, headers=named)


def _back(cursor: str) -> Callable[[Request], bytes]:
    """The last page comes only if the cursor comes back as it was."""
    last, other = answer({"value": []}), answer(b"", "400 x")
    return lambda asked: {None: _headed(X_Next=cursor), cursor: last}.get(
        asked.param("after"), other
    )


HEADER_CURSORS = [
    Case("two cursors in two headers", _headed(X_Next="a", x_next="b"), Fails("CursorInvalid"),
         BY_HEADER_CURSOR),
    Case("a cursor in a header, and an empty one", _headed(X_Next="a", x_next=""),
         Fails("CursorInvalid"), BY_HEADER_CURSOR),
    Case("one cursor in two headers", _after(_headed(X_Next="a", x_next="a "), _page([])),
         AtLeast(2, "CannotOverlap"), BY_HEADER_CURSOR),
    Case("a cursor in a header in other letters", _headed(X_Next=f"{LEAK}é"),
         Fails("CursorInvalid"), BY_HEADER_CURSOR),
    Case("a cursor in a header with a control character", _headed(X_Next=f"{LEAK}\x01"),
         Fails("CursorInvalid"), BY_HEADER_CURSOR),
    Case("a cursor in a header over two lines", _headed(X_Next="a\r\n b"), Fails("CursorInvalid"),
         BY_HEADER_CURSOR),
    Case("a cursor in a header of blanks", _headed(X_Next="  "), Complete(2), BY_HEADER_CURSOR),
    Case("a cursor in a header of 60 KB", _back("c" * 60_000), AtLeast(2, "CannotOverlap"),
         BY_HEADER_CURSOR),
    Case("a cursor in a header of 70 KB", _back("c" * 70_000), Fails("NotHTTP"), BY_HEADER_CURSOR),
    *(
        Case(f"a cursor in a header that looks like {name}", _back(cursor),
             AtLeast(2, "CannotOverlap"), BY_HEADER_CURSOR)
        for name, cursor in {
            "more parameters": "a&admin=1#x y%20",
            "an address": f"https://{LEAK}.example.org/users?p=2",
            "a template": "{{cycle.start}}",
        }.items()
    ),
    Case("a cursor in a header that leads to itself", _headed(X_Next="a"), Fails("PagingIgnored"),
         BY_HEADER_CURSOR),
    Case("cursors in headers in a circle", lambda asked: _headed(
        [{"id": asked.param("after") or "0"}],
        X_Next={"a": "b", "b": "a"}.get(asked.param("after") or "", "a")),
        Fails("PagingLoop"), BY_HEADER_CURSOR),
    Case("empty pages with cursors in headers without end", lambda asked: _headed(
        [], X_Next=str(int(asked.param("after") or 0) + 1)), Fails("TooManyPages"),
        BY_HEADER_CURSOR),
    Case("a cursor in a header of the last page", _after(
        _headed(_SORTED, X_Next="z"), _page([])), Complete(2), BY_HEADER_KEY),
    Case("keys that begin anew on a page that a header names", _after(
        _headed(_SORTED, X_Next="z"), _page([{"id": "aaa"}])), Fails("OrderViolated"),
        BY_HEADER_KEY),
    Case("keys on a page that comes again, whatever cursor is sent", _headed(_SORTED, X_Next="z"),
         Fails("PagingIgnored"), BY_HEADER_KEY),
    Case("a cursor in another header than the declared one", _headed(X_Next_Page="2"),
         AtLeast(2, "ListCut"), BY_HEADER_CURSOR),
    Case("a cursor in a header where no pages are declared",
         _headed(X_MS_ContinuationToken=LEAK), AtLeast(2, "ListCut")),
    Case("a cursor in the answer beside the header", _next("a"), AtLeast(2, "ListCut"),
         BY_HEADER_CURSOR),
    Case("a second page by a header that fails", _after(_headed(X_Next="a"), answer(b"", "500 x")),
         Fails("ServerError"), BY_HEADER_CURSOR),
]  # fmt: skip

CASES = [*CURSORS, *OFFSETS, *TOTALS, *LINKS, *HEADER_CURSORS]
