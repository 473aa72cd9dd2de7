"""Decoding a page: typed or whole, in one piece or as it arrives, the columns are the same."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.sources.definition import expressions
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.failures import PollError
from licenseusage.sources.lists.columns import Columns, ItemColumns
from licenseusage.sources.lists.decoder import PageDecoder
from licenseusage.sources.lists.pages import PageReader
from tests.sources.product import source

CURSOR = {"type": "Cursor", "params": [{"name": "after", "path": "meta.next"}]}
GUARDED = {
    "id": "user.id",
    "lastActive": {"path": "user.activity.seen"},
    "createdAt": {"path": "made"},
    "exclude": "kind == 'bot' || user.off",
}


def read(
    read_source: EffectiveSource, body: bytes, chunk: int = 0, piece: int = 1 << 20
) -> tuple[Columns, dict[str, Any]]:
    columns = ItemColumns(read_source.users)
    got = Columns([], [], [], [])
    batches = []

    def sink(part: Columns) -> None:
        batches.append(len(part))
        got.ids += part.ids
        got.stamps += part.stamps
        got.created += part.created or []
        got.excluded += part.excluded or []

    reader = PageReader(
        PageDecoder.of(read_source.http, columns), sink, large_bytes=piece, piece_bytes=piece
    )
    for start in range(0, len(body), chunk or len(body) or 1):
        reader.feed(body[start : start + (chunk or len(body))])
    end = reader.finish()
    got.batches = batches  # type: ignore[attr-defined]
    got.end = end  # type: ignore[attr-defined]
    return got, end.values


class _Open(Columns):
    """Columns that remember how many batches they came in, and what stood around them."""

    __slots__ = ("batches", "end")


@pytest.fixture(autouse=True)
def remember_batches(monkeypatch):
    monkeypatch.setitem(read.__globals__, "Columns", _Open)


texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(['},{"user":', '"}],"', "\\", '"', "]}", '{"value":[', "é"]),
)
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(-1e9, 1e9), texts)
noise = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["user", "value", "id", "x"]), inner, max_size=3),
    ),
    max_leaves=6,
)
people = st.one_of(
    noise,
    st.fixed_dictionaries(
        {},
        optional={
            "user": st.one_of(
                leaves,
                st.fixed_dictionaries(
                    {},
                    optional={
                        "id": st.one_of(texts, st.integers(), leaves),
                        "activity": st.one_of(
                            leaves, st.fixed_dictionaries({}, optional={"seen": noise, "x": noise})
                        ),
                        "off": noise,
                    },
                ),
            ),
            "made": noise,
            "kind": st.sampled_from(["bot", "human", None, 1]),
            "x": noise,
        },
    ),
)
documents = st.builds(
    lambda rows, following, before, after: {
        "odd": before,
        "value": rows,
        "meta": {"next": following},
        "x": after,
    },
    st.lists(people, max_size=12),
    leaves,
    noise,
    noise,
)
styles = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", ":\n")])


def outcome(made: EffectiveSource, body: bytes, **how: Any) -> Any:
    try:
        columns, values = read(made, body, **how)
    except PollError as error:
        return error.failure
    return columns.ids, columns.stamps, columns.created, columns.excluded, values


@given(documents, styles, st.integers(1, 400), st.integers(1, 200), st.booleans())
def test_typed_and_streamed_decoding_give_what_jmespath_gives(
    document, style, chunk, piece, indent
):
    body = json.dumps(document, separators=style, indent=1 if indent else None).encode()
    made = source(http={"pagination": CURSOR}, users=GUARDED)
    search = {name: expressions.expression(path) for name, path in (
        ("id", "user.id"), ("seen", "user.activity.seen"), ("made", "made"),
    )}  # fmt: skip
    holds = expressions.predicate(GUARDED["exclude"]).holds
    rows = json.loads(body)["value"]
    expected = (
        [search["id"].search(row) for row in rows],
        [search["seen"].search(row) for row in rows],
        [search["made"].search(row) for row in rows],
        [holds(row) for row in rows],
        {"after": document["meta"]["next"]},
    )
    assert outcome(made, body) == expected
    assert outcome(made, body, chunk=chunk, piece=piece) == expected


@given(documents, st.data())
def test_a_cut_body_is_never_a_page(document, data):
    body = json.dumps(document).encode()
    length = data.draw(st.integers(0, len(body) - 1))
    made = source(users=GUARDED)
    for how in ({}, {"chunk": 16, "piece": 32}):
        with pytest.raises(PollError):
            read(made, body[:length], **how)


def many(count: int) -> bytes:
    rows = [{"id": f"u{n}", "tags": [{"a": 1}, {"b": "},{"}], "seen": None} for n in range(count)]
    return json.dumps({"about": {"value": [{"id": "x"}]}, "value": rows, "n": 1}).encode()


def test_a_large_list_is_decoded_piece_by_piece():
    columns, _ = read(source(), many(2000), chunk=4096, piece=8192)
    assert columns.ids == [f"u{n}" for n in range(2000)]
    assert len(columns.batches) > 5
    assert max(columns.batches) < 1000


def test_a_list_at_the_top_is_decoded_piece_by_piece():
    rows = json.dumps([{"id": n, "seen": None} for n in range(1000)]).encode()
    columns, _ = read(
        source(http={"path": "/u", "items": None}), b" " + rows, chunk=999, piece=2048
    )
    assert columns.ids == list(range(1000))
    assert len(columns.batches) > 3


def test_a_list_of_the_same_name_elsewhere_is_not_taken_for_it():
    body = b'{"x": {"value": [{"id": "no"}, {"id": "no2"}]}, "value": [{"id": "a"}, {"id": "b"}]}'
    assert read(source(), body, chunk=10, piece=8)[0].ids == ["a", "b"]


def test_a_byte_order_mark_is_skipped():
    assert read(source(), b"\xef\xbb\xbf" + many(3))[0].ids == ["u0", "u1", "u2"]
    assert len(read(source(), b"\xef\xbb\xbf" + many(300), chunk=100, piece=500)[0].ids) == 300


def test_ids_beyond_64_bits_stay_exact():
    body = b'{"value": [{"id": 123456789012345678901234567890}]}'
    assert read(source(), body)[0].ids == [123456789012345678901234567890]


def test_expressions_that_are_more_than_paths_are_applied_to_whole_items():
    made = source(
        http={"items": "values(data.people)"},
        users={
            "id": "join('-', [realm, id])",
            "lastActive": {"path": "sessions[-1].seen"},
            "exclude": "contains(roles, 'bot')",
        },
    )
    person = {"realm": "r", "id": "7", "roles": ["x"], "sessions": [{"seen": 1}, {"seen": 2}]}
    columns, _ = read(made, json.dumps({"data": {"people": {"k": person}}}).encode())
    assert (columns.ids, columns.stamps, columns.excluded) == (["r-7"], [2], [False])


@pytest.mark.parametrize("odd", ["null", "7", "1.5", "true", "{}", '["bot"]', '{"name": "bot"}'])
def test_what_is_compared_with_a_text_may_be_anything(odd):
    made = source(users={"id": "id", "lastActive": {"path": "seen"}, "exclude": "kind == 'bot'"})
    body = b'{"value": [{"id": "a", "kind": %b}, {"id": "b", "kind": "bot"}, {"id": "c"}]}'
    columns, _ = read(made, body % odd.encode())
    assert (columns.ids, columns.excluded) == (["a", "b", "c"], [False, True, False])


@pytest.mark.parametrize("last", ["user", "id"])
def test_paths_through_each_other_fall_back_to_whole_items(last):
    made = source(
        users={"id": "user.id", "lastActive": {"path": "seen"}, "exclude": f"{last} == `1`"}
    )
    assert read(made, b'{"value": [{"user": {"id": "a"}, "seen": 5}]}')[0].ids == ["a"]


def test_only_the_named_fields_are_decoded(monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("decoded whole items")

    monkeypatch.setattr(msgspec.json, "decode", refuse)
    assert len(read(source(), many(50))[0].ids) == 50
