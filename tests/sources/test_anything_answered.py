"""Rows of anything, read by sources of any kind: a poll ends with a result and raises nothing.

What it must be is told elsewhere (``hostile/``); here it is only asked that there is one.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.errors import Stalled
from licenseusage.sources.lists import passes
from licenseusage.sources.lists.lines import LineReader
from licenseusage.sources.lists.pages import PageReader
from licenseusage.sources.poll import CycleRequest, PollResult
from licenseusage.sources.workers.frames import framed
from tests.sources.product import CYCLE, Product, answer, poll, source

VALUES = st.sampled_from(
    [
        *(b"null", b"true", b"0", b"-1", b"-0.0", b"1.5", b"1e308", b"2", b"[]", b"{}", b"[[[]]]"),
        *(b'{"a": 1}', b'["a", "b"]', b'""', b'"a"', b'"b"', b'"\\u0000"', b'"x"', b"9" * 400),
        *(b'"\\ud83d"', b'"caf\xe9"', b"9223372036854775807", b'"' + b"z" * 5000 + b'"'),
        *(b"1794297600", b"1794297600000", b'"1794297600"', b"134387136000000000"),
        *(b'"2026-11-10T08:00:00Z"', b'"2026-11-10T08:00Z"', b'"2026-11-10T24:00:00Z"'),
        *(b'"0001-01-01T00:00:00+23:59"', b'"9999-12-31T23:59:59-23:59"', b'"10.11.2026"'),
        *(b'"2026-10-25T02:30:00"', b'"Tue, 10 Nov 2026 08:00:00 GMT"', b'"20261110080000Z"'),
    ]
)
USUAL = {
    b"id": st.sampled_from([b'"u1"', b'"u2"', b'"u3"', b'"u4"']),
    b"seen": st.sampled_from([b"null", b'"2026-11-05T10:00:07Z"', b'"2026-11-06T10:00:08Z"']),
    b"made": st.sampled_from([b"null", b'"2026-11-05T10:00:07Z"', b'"2026-11-01T10:00:08Z"']),
    b"name": VALUES,
}


def chosen(*texts: str | None) -> st.SearchStrategy[str | None]:
    return st.sampled_from([*texts])


@st.composite
def rows(draw: st.DrawFn) -> bytes:
    """A row, mostly an object, with members of which some are missing and some stand twice."""
    if draw(st.integers(0, 15)) == 0:
        return draw(VALUES)
    members = [
        b'"%b": %b' % (name, draw(st.one_of(usual, usual, VALUES)))
        for name, usual in USUAL.items()
        for _ in range(draw(st.sampled_from([0, 1, 1, 1, 1, 1, 2])))
    ]
    return b"{" + b", ".join(members) + b"}"


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """An answer with a list, or with something else in its place, and what stands beside it."""
    found = draw(st.lists(rows(), max_size=4))
    if draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from([b"\n", b"\r\n", b"\n\n", b","])).join(found)
    listed = b"[" + b", ".join(found) + b"]"
    if draw(st.integers(0, 9)) == 0:
        listed = draw(st.one_of(VALUES, st.just(b'{"a": {"id": "u1", "seen": null}}')))
    about = [
        b'"%b": %b' % (name, draw(st.one_of(VALUES, st.just(b"%d" % len(found)))))
        for name in draw(st.lists(st.sampled_from([b"total", b"next", b"links", b"meta"])))
    ]
    return b"{" + b", ".join([*about, b'"value": ' + listed]) + b"}"


@st.composite
def sources(draw: st.DrawFn) -> dict[str, Any]:
    """Fields of a source; not all can be used."""
    offset = {"type": "Offset", "offsetParam": "o", "limitParam": "l", "size": 2}
    cursor = {"type": "Cursor", "params": [{"name": "after", "path": "next"}]}
    page = {"type": "Page", "pageParam": "p", "first": 1}
    template = {
        "type": "Page",
        "pageParam": "q",
        "first": 0,
        "template": "{page},{size}",
        "size": 2,
    }
    paging = [
        *(None, {"type": "None", "total": "total"}, offset, {**offset, "first": 1}, cursor),
        *(page, {**page, "total": "total"}, template, {"type": "Next"}),
        *({"type": "Next", "path": "next"}, {"type": "Next", "path": "links.next || next"}),
    ]
    lines = draw(st.integers(0, 4)) == 0
    made = draw(chosen(None, "made", "name", "id", "seen"))
    return {
        "http": {
            "path": "/users",
            "format": "NDJSON" if lines else None,
            "items": None
            if lines
            else draw(
                chosen(*["value"] * 4, None, "value.*", "values(value)", "value[::2]", "[value]")
            ),
            "pagination": draw(st.sampled_from(paging)),
        },
        "users": {
            "id": draw(chosen(*["id"] * 4, "to_string(id)", "id.a", "name || id", "max([id])")),
            "lastActive": {
                "path": draw(chosen(*["seen"] * 4, "seen || made", "name", "to_string(seen)")),
                "format": draw(chosen(*[None] * 4, "EpochSeconds", "EpochMillis", "%d.%m.%Y")),
                "naiveTimezone": draw(chosen(None, "Europe/Berlin")),
                "never": draw(st.sampled_from([None, ["x", "1"]])),
            },
            "createdAt": {"path": made, "toleranceSeconds": 5} if made else None,
            "exclude": draw(
                chosen(None, "id == 'u1'", "contains(name, 'x')", "id > name", "name.a == 'b'")
            ),
            "excludeIds": draw(st.sampled_from([None, ["u1", "1"]])),
            "normalize": draw(st.sampled_from([None, ["NFC"], ["Trim", "Lowercase"]])),
        },
        "guarantees": {
            "order": draw(chosen("KeyCursor", "ImmutableKey", "Activity", "Unknown")),
            "ids": draw(chosen("Stable", "Unknown", "Renamable")),
        },
    }


@pytest.fixture(scope="module")
def told() -> Iterator[dict[str, Any]]:
    """A product that answers what ``body`` says."""
    told: dict[str, Any] = {"body": b""}
    product = Product(lambda _: answer(told["body"]))
    told["port"] = product.port
    yield told
    product.close()


@pytest.fixture(scope="module", params=["at once", "in pieces"])
def decoded(request: pytest.FixtureRequest) -> Iterator[None]:
    """Also as a large answer is read: these are small, so the pieces are."""
    small = partial(PageReader, large_bytes=50, piece_bytes=40)
    made = PageReader if request.param == "at once" else small
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "PageReader", made)
        if request.param == "in pieces":
            patch.setattr(passes, "LineReader", partial(LineReader, piece_bytes=40))
        yield


@pytest.mark.usefixtures("decoded")
@given(bodies(), sources(), st.booleans(), st.booleans(), st.booleans())
def test_whatever_rows_hold_a_poll_has_a_result(told, body, fields, closing, advise, roster):
    try:
        read = source(**fields)
    except Stalled:
        return  # refused before anything is read
    told["body"] = body
    cycles = (CycleRequest(CYCLE, roster=roster),)
    result = poll(told["port"], read, closing=closing, advise=advise, cycles=cycles)
    assert isinstance(result, PollResult)
    assert result.failure or result.incomplete or result.complete
    assert framed(result)  # and it can be handed to the operator
