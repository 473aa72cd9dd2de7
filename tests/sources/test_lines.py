"""Reading one document per line: however it arrives the rows are the same, in bounded memory."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from licenseusage.sources.failures import PollError
from licenseusage.sources.lists.columns import Columns, ItemColumns
from licenseusage.sources.lists.decoder import PageDecoder
from licenseusage.sources.lists.lines import LineReader
from tests.sources.product import answer, at, poll, source

SOURCE = source(http={"items": None, "format": "NDJSON"})
ROWS = [{"id": f"ü{number}", "seen": None, "tags": ["a\nb", {"c": 1}]} for number in range(40)]
BODY = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)


def read(
    body: bytes, chunk: int = 1 << 20, piece: int = 1 << 20, made: Any = SOURCE
) -> list[Columns]:
    """The columns of each piece that was decoded."""
    parts: list[Columns] = []
    decoder = PageDecoder.of(made.http, ItemColumns(made.users))
    reader = LineReader(decoder, parts.append, piece_bytes=piece)
    for start in range(0, len(body), chunk):
        reader.feed(body[start : start + chunk])
    reader.finish()
    return parts


def ids(parts: list[Columns]) -> list[Any]:
    return [user_id for part in parts for user_id in part.ids]


def failure(body: bytes, **how: int) -> Any:
    with pytest.raises(PollError) as caught:
        read(body, **how)
    return caught.value.failure


@given(
    st.integers(1, 200), st.integers(1, 400), st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\n \n"])
)
def test_lines_are_the_same_however_they_arrive(chunk, piece, end):
    body = b"\xef\xbb\xbf" + BODY.replace(b"\n", end)
    assert ids(read(body, chunk, piece)) == [row["id"] for row in ROWS]


@given(st.integers(1, len(BODY) - 1), st.integers(1, 200), st.integers(1, 400))
def test_a_body_that_is_cut_within_a_line_is_never_a_page(length, chunk, piece):
    assume(b"\n" not in BODY[length - 1 : length + 1])  # HTTP shows a cut there, or nothing does
    failed = failure(BODY[:length], chunk=chunk, piece=piece)
    assert failed.reason == "AnswerInvalidJSON"


def test_a_long_list_is_decoded_piece_by_piece():
    parts = read(BODY * 50, chunk=1000, piece=4096)
    assert len(ids(parts)) == 2000
    assert len(parts) > 20
    assert max(map(len, parts)) < 100


def test_whole_items_are_decoded_where_an_expression_asks_for_them():
    made = source(
        http={"items": None, "format": "NDJSON"},
        users={"id": "join('-', [id, id])", "lastActive": {"path": "seen"}},
    )
    assert ids(read(BODY, 100, 300, made))[:2] == ["ü0-ü0", "ü1-ü1"]


def test_the_line_that_is_broken_is_named_by_its_number_in_the_answer():
    assert "line 41 of the answer" in failure(BODY + b'{"id": \n', chunk=50, piece=100).message
    assert (
        "line 43 of the answer" in failure(BODY + b"\n\n[1]\n" + BODY, chunk=50, piece=100).message
    )


def test_an_excluded_line_may_be_no_user():
    made = source(
        http={"items": None, "format": "NDJSON"},
        users={"id": "id", "lastActive": {"path": "seen"}, "exclude": "kind == 'summary'"},
    )
    body = b'{"id": "a", "seen": null}\n{"kind": "summary", "lines": 1}\n'
    assert ids(read(body, made=made)) == ["a", None]


def test_an_empty_page_ends_pages_of_lines_and_is_no_list(serve):
    numbered = {"type": "Page", "pageParam": "page", "first": 1}
    made = source(http={"items": None, "format": "NDJSON", "pagination": numbered})

    def respond(request):
        line = json.dumps({"id": "a", "seen": at("05T10:00:00")}).encode()
        return answer(line if request.param("page") == "1" else b"")

    product = serve(respond)
    result = poll(product.port, made, closing=True)
    assert (result.failure, result.complete, result.counted) == (None, True, 1)
    assert product.requests[0].headers["accept"] == "application/x-ndjson, application/json"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (answer(BODY, headers={"Content-Length": None, "Connection": "close"}), "EndUnseen"),
        (answer(BODY + b'{"error": "no more"}\n'), "LineNotAUser"),
        (answer(BODY + b"[]\n"), "LineNotAUser"),
    ],
)
def test_lines_of_which_some_may_be_missing_rule_nobody_out(serve, sent, reason):
    result = poll(serve(lambda _: [sent]).port, SOURCE)
    seen = result.failure or result.incomplete
    assert seen is not None
    assert (seen.reason, result.complete, result.provisioned) == (reason, False, None)


def test_every_member_of_a_compressed_answer_is_read(serve):
    packed = b"".join(gzip.compress(line + b"\n") for line in BODY.splitlines())
    product = serve(answer(packed, headers={"Content-Encoding": "gzip"}))
    assert poll(product.port, SOURCE).users_listed == len(ROWS)


@pytest.mark.parametrize(
    ("body", "format_", "advice"),
    [
        (BODY, "JSON", "set http.format to NDJSON"),
        (b'{"value": []}\n', "NDJSON", "set http.format to JSON"),
        (b'{\n"value": []}\n', "NDJSON", "set http.format to JSON"),
    ],
)
def test_the_other_format_is_told(serve, body, format_, advice):
    made = source(http={"items": None, "format": format_})
    result = poll(serve(answer(body)).port, made)
    assert result.failure is not None
    assert advice in result.failure.message
