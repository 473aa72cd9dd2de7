"""Lists that move while they are read: whoever was there all the time is never lost where a listing
says that it is complete.
"""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.sources.definition.model import Stamp
from licenseusage.sources.definition.timestamps import reader
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.asking import Head, Link
from licenseusage.sources.lists.columns import Columns
from licenseusage.sources.lists.paging.pager import Pager, pager_of
from tests.sources.product import CYCLE, answer, at, poll, source

READER = reader(Stamp(path="seen", format="Auto", naive_timezone="UTC", granularity_ms=1000))


@dataclass
class Moving:
    """A product's table, changed by ``events`` between two requests."""

    order: str
    rows: list[list[Any]]  # id, last activity (seconds), place of creation
    chance: random.Random
    cap: int
    next_id: int = 1000
    clock: int = 2_000_000_000
    gone: set[Any] = field(default_factory=set)

    def listed(self) -> list[list[Any]]:
        key = {
            "ImmutableKey": lambda row: row[2],
            "KeyCursor": lambda row: row[0],
            "Activity": lambda row: (row[1] or 0, row[2]),
            "Unknown": lambda row: (-(row[1] or 0), row[2]),
        }[self.order]
        return sorted(self.rows, key=key)

    def move(self, events: int) -> None:
        for _ in range(events):
            what = self.chance.random()
            if what < 0.4 and self.rows:
                row = self.rows.pop(self.chance.randrange(len(self.rows)))
                self.gone.add(row[0])
            elif what < 0.6:
                self.next_id += 1
                name = (
                    f"{self.chance.randrange(10**6):06}"
                    if self.order == "KeyCursor"
                    else self.next_id
                )
                self.rows.append([name, None, self.next_id])
            elif self.rows:
                self.clock += 1
                self.chance.choice(self.rows)[1] = self.clock

    def offset_page(self, offset: int, limit: int) -> tuple[list[list[Any]], int]:
        listed = self.listed()
        return listed[offset : offset + min(limit, self.cap)], len(listed)

    def cursor_page(self, after: str | None) -> tuple[list[list[Any]], str | None]:
        left = [row for row in self.listed() if after is None or row[0] > after]
        page = left[: self.cap]
        return page, page[-1][0] if len(left) > len(page) else None


def columns(page: list[list[Any]]) -> Columns:
    return Columns([row[0] for row in page], [row[1] for row in page])


def read_all(pager: Pager, moving: Moving, events: list[int]) -> list[Any]:
    """Read to the end; returns ids in order. Raises what the pager raises."""
    read: list[Any] = []
    for events_before in [*events, *([0] * 200)]:
        if pager.ask is None:
            return read
        assert not isinstance(pager.ask, Link)
        params = dict(pager.ask)
        values: dict[str, Any]
        if "page" in params:
            limit = min(int(params["n"]), moving.cap)
            page, total = moving.offset_page((int(params["page"]) - 1) * limit, limit)
            values = {"total": total}
        elif "offset" in params:
            page, total = moving.offset_page(int(params["offset"]), int(params["limit"]))
            values = {"total": total}
        else:
            page, following = moving.cursor_page(params.get("after"))
            values = {"after": following}
        for start in range(0, len(page), 3):  # in pieces, as they arrive
            read += pager.take(columns(page[start : start + 3])).ids
        pager.end_page(values, Head())
        moving.move(events_before)
    raise AssertionError("never ended")


def offset_source(order: str, *, total: bool, size: int = 4) -> Any:
    paging = {"type": "Offset", "offsetParam": "offset", "limitParam": "limit", "size": size}
    if total:
        paging["total"] = "n"
    return source(http={"pagination": paging}, guarantees={"order": order, "ids": "Stable"})


def cursor_source(order: str) -> Any:
    paging = {"type": "Cursor", "params": [{"name": "after", "path": "next"}]}
    return source(http={"pagination": paging}, guarantees={"order": order, "ids": "Stable"})


def page_source(*, size: int = 4, **more: Any) -> Any:
    paging = {"type": "Page", "pageParam": "page", "sizeParam": "n", "size": size, "first": 1}
    return source(http={"pagination": paging | more}, guarantees={"ids": "Stable"})


def pager_for(made: Any) -> Pager:
    return pager_of(made.http, made.guarantees.order, READER)


scenes = st.tuples(
    st.integers(0, 14),  # users at the start
    st.integers(2, 5),  # rows that the server gives at most
    st.lists(st.integers(0, 3), max_size=30),  # events between requests
    st.randoms(use_true_random=False),
)


def moving_list(order: str, count: int, cap: int, chance: random.Random) -> Moving:
    rows = []
    for number in range(count):
        seen = chance.choice([None, 1_900_000_000 + chance.randrange(1000)])
        name = f"{chance.randrange(10**6):06}{number}" if order == "KeyCursor" else number
        rows.append([name, seen, number])
    return Moving(order, rows, chance, cap)


@given(scenes, st.sampled_from(["ImmutableKey", "Activity"]), st.booleans())
def test_overlapping_offset_pages_that_say_complete_lost_nobody(scene, order, total):
    count, cap, events, chance = scene
    moving = moving_list(order, count, cap, chance)
    there = {row[0] for row in moving.rows}
    pager = pager_for(offset_source(order, total=total))
    try:
        read = read_all(pager, moving, events)
    except PollError:
        return
    assert pager.proves
    assert there - moving.gone <= set(read)
    assert len(read) == len(set(read)) or order == "Activity"


@given(scenes)
def test_ascending_key_cursors_lose_nobody(scene):
    count, cap, events, chance = scene
    moving = moving_list("KeyCursor", count, cap, chance)
    there = {row[0] for row in moving.rows}
    pager = pager_for(cursor_source("KeyCursor"))
    read = read_all(pager, moving, events)
    assert pager.proves
    assert there - moving.gone <= set(read)


@given(scenes, st.booleans(), st.booleans())
def test_pages_in_an_unknown_order_prove_only_their_first(scene, total, numbered):
    count, cap, events, chance = scene
    moving = moving_list("Unknown", count, cap, chance)
    there = {row[0] for row in moving.rows}
    by_number = page_source(**({"total": "n"} if total else {}))
    pager = pager_for(by_number if numbered else offset_source("Unknown", total=total))
    try:
        read = read_all(pager, moving, events)
    except PollError:
        return
    if pager.proves:
        assert pager.pages == 1
        assert there - moving.gone <= set(read)


@given(
    st.integers(0, 20),
    st.integers(2, 6),
    st.booleans(),
    st.sampled_from(["ImmutableKey", "Unknown"]),
)
def test_a_still_list_is_read_whole_and_once(count, cap, total, order):
    moving = moving_list("ImmutableKey", count, cap, random.Random(count))
    pager = pager_for(offset_source(order, total=total))
    assert read_all(pager, moving, []) == list(range(count))
    assert pager.proves or order == "Unknown"


@given(st.integers(0, 20), st.integers(2, 6))
def test_two_passes_over_a_still_list_have_the_same_sequence(count, cap):
    sequences = set()
    for _ in range(2):
        pager = pager_for(offset_source("Unknown", total=False))
        read_all(pager, moving_list("ImmutableKey", count, cap, random.Random(1)), [])
        sequences.add(pager.sequence)
    assert len(sequences) == 1


def test_another_order_is_another_sequence():
    def sequence(*pages: list[Any]) -> bytes:
        pager = pager_for(offset_source("Unknown", total=False))
        for ids in [*pages, []]:
            pager.take(Columns(ids, [None] * len(ids)))
            pager.end_page({}, Head())
        return pager.sequence

    assert sequence(["a", "b"], ["c"]) == sequence(["a", "b"], ["c"])
    assert sequence(["a", "b"], ["c"]) != sequence(["b", "a"], ["c"])
    assert sequence(["a,b"], ["c"]) != sequence(["a", "b"], ["c"])


def run(made: Any, *pages: tuple[list[Any], dict[str, Any]]) -> Pager:
    """Feed given pages: ids (or (id, stamp) pairs) and the page's values."""
    pager = pager_for(made)
    for rows, values in pages:
        assert pager.ask is not None
        pairs = [row if isinstance(row, tuple) else (row, None) for row in rows]
        pager.take(Columns([one for one, _ in pairs], [seen for _, seen in pairs]))
        pager.end_page(values, Head())
    return pager


IMMUTABLE, UNKNOWN = (
    offset_source("ImmutableKey", total=False),
    offset_source("Unknown", total=False),
)
COUNTED = offset_source("ImmutableKey", total=True)
COUNTED_UNKNOWN = offset_source("Unknown", total=True)
T = 1_790_000_000  # a last activity, in seconds since 1970
ACTIVITY = offset_source("Activity", total=False)
KEYS, OPAQUE = cursor_source("KeyCursor"), cursor_source("Unknown")
NUMBERED, NUMBERED_COUNTED = page_source(), page_source(total="n")
N = {"total": None}


FAILING = [
    ("paging ignored, offset", UNKNOWN, "PagingIgnored", ["a", "b"], ["a", "b"]),
    ("paging ignored, overlap", IMMUTABLE, "PagingIgnored", ["a", "b"], ["a", "b"]),
    ("paging ignored, cursor", OPAQUE, "PagingIgnored", (["a"], "x"), (["a"], "y")),
    ("paging ignored, keys", KEYS, "PagingIgnored", (["a", "b"], "b"), (["a", "b"], "b")),
    ("cursor loop", OPAQUE, "PagingLoop", (["a"], "x"), (["b"], "y"), (["c"], "x")),
    ("overlap row differs", IMMUTABLE, "ListMoved", ["a", "b"], ["c", "d"]),
    ("overlap row gone", IMMUTABLE, "ListMoved", ["a", "b"], []),
    ("overlap row gone at the total", COUNTED, "ListMoved", (["a", "b", "c"], 5), ([], 2)),
    ("overlap row without id", IMMUTABLE, "ListMoved", ["a", None], [None, "b"]),
    (
        "overlap value differs",
        ACTIVITY,
        "ListMoved",
        [("a", T), ("b", T + 1)],
        [("b", T + 2), ("c", T + 3)],
    ),
    ("activity descends", ACTIVITY, "OrderViolated", [("a", T + 9), ("b", T + 6)]),
    ("never active after active", ACTIVITY, "OrderViolated", [("a", T), ("b", None)]),
    ("keys equal", KEYS, "OrderViolated", (["a", "a"], None)),
    ("keys descend", KEYS, "OrderViolated", (["a", "c"], "c"), (["b"], None)),
    ("keys by code point", KEYS, "OrderViolated", (["a", "B"], None)),
    ("keys of two kinds", KEYS, "OrderViolated", ([1, "2"], None)),
    ("one row per page", IMMUTABLE, "OrderViolated", ["a"], ["b"]),
    ("total below the list", COUNTED, "TotalInvalid", (["a", "b"], 1)),
    ("total is no number", COUNTED, "TotalInvalid", (["a"], "1")),
    ("total is missing", COUNTED, "TotalInvalid", (["a"], None)),
    ("total is -1", COUNTED, "TotalInvalid", (["a"], -1)),
    ("total falls", COUNTED_UNKNOWN, "ListMoved", (["a", "b"], 5), (["c", "d"], 3)),
    ("list ends before total", COUNTED_UNKNOWN, "FewerThanTotal", (["a", "b"], 5), ([], 5)),
    ("overlap ends before total", COUNTED, "FewerThanTotal", (["a", "b"], 5), (["b"], 5)),
    ("a page comes twice", NUMBERED, "PagingIgnored", ["a", "b"], ["a", "b"]),
    ("pages end before total", NUMBERED_COUNTED, "FewerThanTotal", (["a", "b"], 5), ([], 5)),
    ("pages pass the total", NUMBERED_COUNTED, "ListMoved", (["a", "b"], 3), (["c", "d"], 3)),
    ("a page of more than all", NUMBERED_COUNTED, "TotalInvalid", (["a", "b"], 1)),
    ("all pages are short", NUMBERED, "PageSizeCapped", ["a", "b", "c"], ["d", "e", "f"], []),
    ("cursor is a list", OPAQUE, "CursorInvalid", (["a"], ["x"])),
    ("cursor is true", OPAQUE, "CursorInvalid", (["a"], True)),
]


@pytest.mark.parametrize(
    ("made", "reason", "pages"),
    [pytest.param(made, reason, pages, id=name) for name, made, reason, *pages in FAILING],
)
def test_a_listing_that_cannot_be_trusted_fails(made, reason, pages):
    pairs = [page if isinstance(page, tuple) else (page, None) for page in pages]
    named = [(rows, {"total": value, "after": value}) for rows, value in pairs]
    run(made, *named[:-1])
    with pytest.raises(PollError) as caught:
        run(made, *named)
    assert caught.value.failure.reason == reason


ENDING = [
    ("one page of a cursor", OPAQUE, True, ([], None)),
    ("empty text ends a cursor", OPAQUE, True, (["a", "b"], "")),
    ("two pages of an opaque cursor", OPAQUE, False, (["a"], "x"), (["b"], None)),
    ("an empty page in the middle", KEYS, True, (["a"], "a"), ([], "b"), (["c"], None)),
    ("integer keys ascend as numbers", KEYS, True, ([2, 9], 9), ([10, 11], None)),
    ("code points beyond the BMP", KEYS, True, (["\uffff", "\U0001f600"], None)),
    ("total reached at once", COUNTED_UNKNOWN, True, (["a", "b"], 2)),
    ("total reached on page two", COUNTED_UNKNOWN, False, (["a", "b"], 3), (["c"], 3)),
    ("total reached with overlap", COUNTED, True, (["a", "b"], 3), (["b", "c"], 3)),
    ("only the overlap row is left", IMMUTABLE, True, (["a", "b"], None), (["b"], None)),
    ("a single user", IMMUTABLE, True, (["a"], None), ([], None)),
    ("nobody", IMMUTABLE, True, ([], None)),
    ("an empty page ends without total", UNKNOWN, False, (["a", "b"], None), ([], None)),
    ("a short page does not end", UNKNOWN, False, (["a", "b"], None), (["c"], None), ([], None)),
    ("the only page, by its total", NUMBERED_COUNTED, True, (["a", "b"], 2)),
    ("pages up to their total", NUMBERED_COUNTED, False, (["a", "b"], 3), (["c"], 3)),
    ("an empty page ends pages", NUMBERED, False, (list("abcd"), None), (["e"], None), ([], None)),
    ("a page may be short", NUMBERED, False, (["a"], None), (list("bcde"), None), ([], None)),
    ("one short page", NUMBERED, False, (["a"], None), ([], None)),
    (
        "never active comes first",
        ACTIVITY,
        True,
        ([("a", None), ("b", T)], None),
        ([("b", T)], None),
    ),
]


@pytest.mark.parametrize(
    ("made", "proves", "pages"),
    [pytest.param(made, proves, pages, id=name) for name, made, proves, *pages in ENDING],
)
def test_where_a_listing_ends_and_what_that_proves(made, proves, pages):
    pager = run(made, *[(rows, {"total": value, "after": value}) for rows, value in pages])
    assert pager.ask is None
    assert pager.proves is proves


def test_offset_pages_overlap_by_one_row():
    pager = run(IMMUTABLE, (["a", "b", "c"], {}))
    assert pager.ask == (("offset", "2"), ("limit", "4"))
    assert pager.take(Columns(["c", "d"], [None, None])).ids == ["d"]


@pytest.mark.parametrize(
    ("declared", "asked"),
    [
        ({}, [("page", "1"), ("n", "4")]),
        ({"first": 0}, [("page", "0"), ("n", "4")]),
        ({"sizeParam": None}, [("page", "1")]),
        (
            {"template": "(page:{page},page_size:{size})"},
            [("page", "(page:1,page_size:4)"), ("n", "4")],
        ),
    ],
)
def test_the_first_page_is_asked_for_by_its_number(declared, asked):
    pager = pager_for(page_source(**declared))
    assert pager.ask == tuple(asked)
    pager.take(Columns(["a"], [None]))
    pager.end_page({}, Head())
    assert pager.ask == tuple(
        (name, value.replace("1", "2").replace("0", "1")) for name, value in asked
    )


@pytest.mark.parametrize(
    ("declared", "pages", "advice"),
    [
        ({"first": 0}, [(["a"], 0), (["a"], 0)], "set http.pagination.first to 1"),
        ({}, [(["a"], 0), (["a"], 0)], "declare http.pagination.total"),
        ({"total": "n"}, [(list("abcd"), 9), ([], 9)], "set http.pagination.first to 0"),
    ],
)
def test_a_wrong_first_page_or_end_is_told_with_the_fix(declared, pages, advice):
    with pytest.raises(PollError) as caught:
        run(page_source(**declared), *[(rows, {"total": total}) for rows, total in pages])
    assert advice in caught.value.failure.message


# -- over the wire --


def pages_of(users, size, *, moves=()):
    """Answers by page number; ``moves`` are lists to serve in later passes."""
    passes = iter([users, *moves])
    current = next(passes)

    def respond(request):
        nonlocal current
        start = int(request.param("after") or 0)
        page = current[start : start + size]
        following = start + size if start + size < len(current) else None
        if following is None:
            current = next(passes, current)
        return answer({"value": page, "next": following})

    return respond


PEOPLE = [{"id": f"u{n}", "seen": at("05T10:00:00")} for n in range(5)]


def test_a_closing_poll_reads_again_and_is_complete_when_two_passes_agree(serve):
    product = serve(pages_of(PEOPLE, 2))
    assert not poll(product.port, OPAQUE).complete
    assert len(product.requests) == 3
    result = poll(product.port, source(http={"pagination": _paging(OPAQUE)}), closing=True)
    assert (result.complete, result.pages, result.users_listed, result.counted) == (True, 6, 5, 5)


def test_three_passes_are_enough_to_find_two_that_agree(serve):
    product = serve(pages_of(PEOPLE[1:], 2, moves=[PEOPLE]))
    result = poll(product.port, OPAQUE, closing=True)
    assert (result.complete, result.pages, result.users_listed) == (True, 2 + 3 + 3, 5)


def test_after_three_different_passes_nothing_is_proved_but_all_are_named(serve):
    product = serve(pages_of(PEOPLE[:3], 2, moves=[PEOPLE[1:4], PEOPLE[2:]]))
    result = poll(product.port, OPAQUE, closing=True)
    assert result.failure is None
    assert not result.complete
    assert result.incomplete is not None
    assert (result.incomplete.reason, len(product.requests)) == ("CannotOverlap", 6)
    assert len(result.facts[CYCLE.index].sure) == 5  # the users of all passes


def test_a_closing_poll_tries_a_moved_list_again(serve):
    asked = []

    def respond(request):
        asked.append(request.param("offset"))
        page = PEOPLE[int(request.param("offset")) :][:3]
        if len(asked) == 2:
            page = page[1:]
        return answer({"value": page})

    made = source(
        http={"pagination": _paging(IMMUTABLE)},
        guarantees={"order": "ImmutableKey", "ids": "Stable", "removal": "Never"},
    )
    result = poll(serve(respond).port, made, closing=True)
    assert (result.failure, result.complete, result.counted) == (None, True, 5)
    assert asked == ["0", "2", "0", "2", "4"]
    asked.clear()
    failed = poll(serve(respond).port, made)
    assert failed.failure is not None
    assert failed.failure.reason == "ListMoved"


def _paging(made):
    if made is OPAQUE:
        return {"type": "Cursor", "params": [{"name": "after", "path": "next"}]}
    return {"type": "Offset", "offsetParam": "offset", "limitParam": "limit", "size": 4}


def test_renamable_ids_are_counted_from_one_page_only(serve):
    made = source(
        http={"pagination": _paging(OPAQUE)}, guarantees={"removal": "Never", "ids": "Renamable"}
    )
    result = poll(serve(pages_of(PEOPLE, 2)).port, made, closing=True)
    assert result.failure is None
    assert result.incomplete is not None
    assert result.incomplete.reason == "IdsRenamable"
    assert result.facts[CYCLE.index].low[62] == 2
