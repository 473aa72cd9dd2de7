"""Answers as products write them: offsets from 1, maps of PHP, letters in two spellings."""

import json
from typing import Any

import pytest

from licenseusage.metering.cycles import CYCLE_BIT
from tests.sources.product import CYCLE, USERS, Request, answer, at, poll, source

PEOPLE = [{"id": f"u{n:02}", "seen": at(f"{1 + n % 19:02}T10:{n:02}:07")} for n in range(25)]
SCIM = {"type": "Offset", "offsetParam": "startIndex", "limitParam": "count", "size": 10}


def scim(asked: Request) -> bytes:
    """RFC 7644 §3.4.2.4: the first index is 1, and what is less is taken for 1."""
    first = max(1, int(asked.param("startIndex") or 1))
    rows = PEOPLE[first - 1 :][: int(asked.param("count") or 99)]
    return answer({"Resources": rows, "totalResults": len(PEOPLE)})


def scim_source(order: str = "ImmutableKey", **pagination: Any) -> Any:
    return source(
        http={"items": "Resources", "pagination": {**SCIM, **pagination}},
        guarantees={"removal": "Never", "ids": "Stable", "order": order},
    )


# -- offsets that begin at 1 --


@pytest.mark.parametrize("total", [{"total": "totalResults"}, {}])
def test_a_list_whose_offsets_begin_at_1_is_read_whole(serve, total):
    product = serve(scim)
    result = poll(product.port, scim_source(first=1, **total))
    assert (result.failure, result.complete, result.counted) == (None, True, 25)
    assert product.requests[0].param("startIndex") == "1"


def test_offsets_that_begin_at_1_undeclared_are_noticed_and_told(serve):
    result = poll(serve(scim).port, scim_source())
    assert result.failure is not None
    assert result.failure.reason == "ListMoved"
    assert "set http.pagination.first to 1" in result.failure.message


@pytest.mark.parametrize(
    ("total", "reason"), [({}, "RowsRepeated"), ({"total": "totalResults"}, "ListMoved")]
)
def test_without_a_declared_order_the_repeated_rows_tell_of_it(serve, total, reason):
    result = poll(serve(scim).port, scim_source("Unknown", **total))
    seen = result.failure or result.incomplete
    assert seen is not None
    assert seen.reason == reason
    assert "set http.pagination.first to 1" in seen.message


# -- maps of PHP --


def php(*pages: Any) -> Any:
    """Users by offset; a map of them is a list where its keys are 0, 1, 2, or where it is empty."""

    def respond(asked: Request) -> bytes:
        first = int(asked.param("offset") or 0)
        return answer({"ocs": {"data": {"users": dict(pages).get(first, [])}}})

    return respond


def php_source(items: str) -> Any:
    offset = {"type": "Offset", "offsetParam": "offset", "limitParam": "limit", "size": 3}
    return source(http={"items": items, "pagination": offset})


FIRST = {row["id"]: row for row in USERS[:3]}
SECOND = [{"id": "0", "seen": at("06T10:00:00")}, {"id": "1", "seen": at("07T10:00:00")}]


def test_an_empty_map_is_nobody_also_where_advice_is_asked_for(serve):
    result = poll(serve(php()).port, php_source("ocs.data.users.*"), advise=True)
    assert result.incomplete is not None
    assert result.incomplete.reason == "EmptyListing"


def test_the_values_of_a_map_are_read_also_where_php_writes_it_as_a_list(serve):
    product = serve(php((0, FIRST), (3, SECOND)))
    result = poll(product.port, php_source("values(ocs.data.users)"))
    assert result.failure is None
    assert (result.users_listed, result.counted) == (5, 4)


@pytest.mark.parametrize("advise", [False, True])
def test_all_members_of_a_map_that_php_writes_as_an_empty_list_are_nobody(serve, advise):
    product = serve(php((0, FIRST)))
    result = poll(product.port, php_source("ocs.data.users.*"), advise=advise)
    assert result.failure is None
    assert (result.users_listed, result.counted) == (3, 2)


def test_an_expression_that_fits_one_page_only_is_named_with_the_page_and_what_was_found(serve):
    product = serve(php((0, FIRST), (3, "none")))
    result = poll(product.port, php_source("values(ocs.data.users)"))
    assert result.failure is not None
    assert result.failure.reason == "ExpressionFailed"
    for told in (
        "the expression values(ocs.data.users) cannot be applied to the answer on page 2",
        "values() got a text where it takes an object or a list",
    ):
        assert told in result.failure.message


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ({"ocs": {"data": []}}, "on page 2; ocs.data is a list"),
        ({"ocs": "x"}, "on page 2; ocs is a text"),
        ([], "on page 2; the answer is a list"),
        ({"ocs": {"data": {"users": 7}}}, "gives a number instead of a list on page 2"),
    ],
)
def test_where_there_is_no_list_it_is_told_how_far_the_path_led(serve, page, told):
    def respond(asked: Request) -> bytes:
        rows = {"ocs": {"data": {"users": USERS[:3]}}}
        return answer(rows if asked.param("offset") == "0" else page)

    result = poll(serve(respond).port, php_source("ocs.data.users"))
    assert result.failure is not None
    assert result.failure.reason == "ItemsNotAList"
    assert "http.items (ocs.data.users)" in result.failure.message
    assert told in result.failure.message


# -- a total that counts others as well --


def test_a_total_that_counts_others_as_well_is_told_to_be_removed(serve):
    read = scim_source(first=1, total="totalResults")

    def respond(asked: Request) -> bytes:
        return scim(asked).replace(b'"totalResults": 25', b'"totalResults": 26')

    result = poll(serve(respond).port, read)
    assert result.failure is not None
    assert result.failure.reason == "FewerThanTotal"
    assert "remove http.pagination.total" in result.failure.message


# -- times without seconds --


def test_a_time_without_seconds_proves_its_minute_only(serve):
    """The cycle begins at midnight; a list read 30 s before its end may show that minute."""
    rows = [{"id": "in", "seen": "2026-11-05T10:00Z"}, {"id": "old", "seen": "2026-10-31T23:59Z"}]
    result = poll(serve(answer({"value": rows})).port)
    facts = result.facts[CYCLE.index]
    assert (result.complete, result.counted) == (True, 1)
    assert facts.low.get(CYCLE_BIT, len(facts.sure)) == 1


@pytest.mark.parametrize(
    ("seen", "made", "sure"),
    [
        ("2026-11-05T10:00Z", "2026-11-05T10:00:30Z", 0),
        ("2026-11-05T10:00:30Z", "2026-11-05T10:00Z", 0),
        ("2026-11-05T10:00Z", "2026-11-05T10:00Z", 0),
        ("2026-11-05T10:01Z", "2026-11-05T10:00Z", 1),
        ("2026-11-05T10:01:30Z", "2026-11-05T10:00:30Z", 1),
    ],
)
def test_a_time_that_may_be_the_creation_is_no_sure_activity(serve, seen, made, sure):
    read = source(users={"createdAt": {"path": "made"}})
    rows = [
        {"id": "a", "seen": seen, "made": made},
        {"id": "b", "seen": at("06T10:00:00"), "made": at("01T10:00:00")},
    ]
    assert poll(serve(answer({"value": rows})).port, read).counted == 1 + sure


# -- letters in two spellings --

RENE = [
    {"id": "ren\u00e9", "seen": at("05T10:00:00")},
    {"id": "rene\u0301", "seen": at("06T10:00:00")},
    {"id": "zo\u00eb", "seen": at("06T10:00:00")},
]


def test_a_person_in_two_spellings_is_a_hint(serve):
    result = poll(serve(answer({"value": RENE})).port)
    assert (result.counted, result.complete) == (3, True)
    (note,) = result.notes
    assert note.startswith("Source people: 1 id of those active lately is there in two spellings")
    assert "NFC" in note
    assert "ren" not in note


def test_normalized_to_one_form_she_counts_once_and_there_is_no_hint(serve):
    read = source(users={"normalize": ["NFC"]})
    result = poll(serve(answer({"value": RENE})).port, read)
    assert (result.counted, result.notes) == (2, ())


# -- broken letters --

HALF_AN_EMOJI = b'"\\ud83d"'
LATIN_1 = b'"andr\xe9"'


def with_text(text: bytes, member: str) -> bytes:
    """Two users, of whom one has this text, as it stands, as a member."""
    rows = [
        {"id": "ann", "seen": at("05T10:00:00")},
        {"id": "bob", "seen": at("06T10:00:00"), member: "X"},
    ]
    return answer(json.dumps({"value": rows}).encode().replace(b'"X"', text.ljust(3)))


@pytest.mark.parametrize("text", [HALF_AN_EMOJI, LATIN_1])
@pytest.mark.parametrize("path", ["id", "to_string(id)"])
def test_broken_letters_that_nobody_reads_cost_nothing(serve, text, path):
    result = poll(serve(with_text(text, "name")).port, source(users={"id": path}))
    assert (result.failure, result.complete, result.counted) == (None, True, 2)


@pytest.mark.parametrize("text", [HALF_AN_EMOJI, LATIN_1])
@pytest.mark.parametrize("path", ["id", "to_string(id)"])
def test_broken_letters_in_an_id_cost_that_row_and_the_proof_about_others(serve, text, path):
    result = poll(serve(with_text(text, "id")).port, source(users={"id": path}))
    assert result.failure is None
    assert (result.counted, result.skipped) == (1, {"NoId": 1})
    assert result.incomplete is not None
    assert result.incomplete.reason == "IdUnreadable"
    assert "1 of 2 users were active lately" in result.incomplete.message
    assert not result.facts[CYCLE.index].closed
