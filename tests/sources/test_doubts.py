"""A claim of completeness is heard against the answer itself (MEASUREMENT §3.10).

Whatever an answer repeats, cuts or says of its own size: no poll is complete that it contradicts,
and the rows that are there stay true.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.metering.cycles import CYCLE_BIT
from licenseusage.metering.facts import Facts
from licenseusage.sources.poll import CycleRequest, PollResult
from tests.sources.product import CYCLE, NOW, Product, Request, answer, poll, source

OFFSET = {"type": "Offset", "offsetParam": "offset", "limitParam": "limit", "size": 5}


def people(count: int) -> list[dict[str, Any]]:
    """Users u00, u01, … who were active in the cycle, each at a time of her own."""
    days, hours, minutes, seconds = 19, 24, 59, 60
    return [
        {
            "id": f"u{n:02}",
            "seen": f"2026-11-{1 + n % days:02}T{n % hours:02}:{n % minutes:02}:{n % seconds:02}Z",
        }
        for n in range(count)
    ]


def by_offset(rows: list[dict[str, Any]], **around: Any) -> Callable[[Request], bytes]:
    def respond(asked: Request) -> bytes:
        first, size = int(asked.param("offset") or 0), int(asked.param("limit") or len(rows))
        return answer({"value": rows[first : first + size], **around})

    return respond


def facts(result: PollResult) -> Facts:
    return result.facts[CYCLE.index]


def reason(result: PollResult) -> str | None:
    assert result.failure is None, result.failure
    return result.incomplete.reason if result.incomplete else None


# -- repeated rows --


def test_a_repeated_row_proves_nothing_about_who_is_not_listed(serve):
    rows = people(12)
    served = serve(answer({"value": [*rows[:11], rows[0]]}))
    result = poll(served.port)
    assert reason(result) == "RowsRepeated"
    assert "12 rows, but only 11 different ids" in result.incomplete.message
    assert not result.complete
    assert len(facts(result).sure) == 11  # rows are true, each by itself
    assert result.hint == result.incomplete.message


def test_two_equal_passes_do_not_heal_repeated_rows(serve):
    """The list repeats its rows the same way each time: u10 and u11 are never shown."""
    rows = people(12)
    served = serve(by_offset([*rows[:10], *rows[:2]], total=12))
    read = source(http={"pagination": {**OFFSET, "total": "total"}})
    result = poll(served.port, read, closing=True)
    assert reason(result) == "RowsRepeated"
    assert "the total (total) counts rows, and 2 users may be missing" in result.incomplete.message


def test_a_repeated_row_refutes_a_declared_immutable_order(serve):
    rows = people(12)
    served = serve(by_offset([*rows, rows[1]]))
    read = source(http={"pagination": OFFSET}, guarantees={"order": "ImmutableKey"})
    result = poll(served.port, read, closing=True)
    assert reason(result) == "RowsRepeated"
    assert "refutes guarantees.order ImmutableKey" in result.incomplete.message


def test_the_row_in_which_two_pages_overlap_is_no_repeated_row(serve):
    served = serve(by_offset(people(12), total=12))
    read = source(http={"pagination": OFFSET}, guarantees={"order": "ImmutableKey"})
    result = poll(served.port, read)
    assert result.complete
    assert (result.users_listed, result.provisioned) == (12, 12)


def test_rows_that_repeat_across_the_pages_of_a_cursor_are_found(serve):
    rows = people(10)

    def respond(asked: Request) -> bytes:
        if asked.param("after") is None:
            return answer({"value": rows[:6], "next": "2"})
        return answer({"value": rows[5:], "next": None})

    cursor = {"type": "Cursor", "params": [{"name": "after", "path": "next"}]}
    read = source(http={"pagination": cursor})
    assert reason(poll(serve(respond).port, read, closing=True)) == "RowsRepeated"


def test_an_excluded_row_that_is_repeated_took_a_place_as_well(serve):
    rows = [*people(5), {"id": "bot", "seen": None}, {"id": "bot", "seen": None}]
    read = source(users={"exclude": "id == 'bot'"})
    assert reason(poll(serve(answer({"value": rows})).port, read)) == "RowsRepeated"


def test_rows_without_an_id_are_not_taken_for_one_another(serve):
    rows = [*people(5), {"seen": None}, {"id": None}, {"id": ""}]
    result = poll(serve(answer({"value": rows})).port)
    assert result.complete
    assert result.provisioned == 8


def test_two_spellings_of_one_person_took_nobodys_place(serve):
    rows = [{"id": "Ann", "seen": None}, {"id": "ann", "seen": "2026-11-05T10:00:00Z"}]
    result = poll(serve(answer({"value": rows})).port, source(users={"normalize": ["Lowercase"]}))
    assert result.complete
    assert result.provisioned == 1


def test_provisioned_users_are_different_ids(serve):
    """A list with one row for each user and group."""
    rows = [{"id": one, "seen": None, "group": g} for one in (1, 2) for g in "abc"]
    rows[0]["seen"] = "2026-11-05T10:00:00Z"
    result = poll(serve(answer({"value": rows})).port)
    assert (result.users_listed, result.provisioned) == (6, 2)


# -- a list that says itself that it is cut --


LINK = '</users?page=2>; rel="next", </users?page=3>; rel="last"'


@pytest.mark.parametrize(
    ("headers", "around", "seen"),
    [
        ({"Link": LINK}, {}, 'more follows (a header Link with rel="next")'),
        ({}, {"@odata.nextLink": "/users?$skiptoken=5"}, "(a member @odata.nextLink)"),
        ({}, {"has_more": True}, "(a member has_more)"),
        ({"X-Total-Count": "120"}, {}, "there are 120 users (header X-Total-Count)"),
        ({}, {"totalResults": 120}, "there are 120 users (member totalResults)"),
    ],
)
def test_a_list_that_says_that_it_is_cut_is_not_complete(serve, headers, around, seen):
    served = serve(answer({"value": people(5), **around}, headers=headers))
    result = poll(served.port)
    assert reason(result) == "ListCut"
    assert seen in result.incomplete.message
    assert "http.pagination" in result.incomplete.message
    assert len(facts(result).sure) == 5
    assert result.provisioned is None  # there are more


@pytest.mark.parametrize("total", [5, 4, 0])
def test_a_total_that_is_not_above_the_rows_is_no_doubt(serve, total):
    """Such as a count of the items of this page, or of those active."""
    served = serve(answer({"value": people(5), "count": total}, headers={"X-Total": str(total)}))
    assert poll(served.port).complete


def test_pages_that_ended_before_the_total_beside_them_are_not_complete(serve):
    served = serve(by_offset(people(12), total=13))
    read = source(http={"pagination": OFFSET}, guarantees={"order": "ImmutableKey"})
    result = poll(served.port, read)
    assert reason(result) == "ListCut"
    assert "the pages ended after 12 users" in result.incomplete.message


def test_a_cursor_that_ends_while_more_follows_is_not_complete(serve):
    served = serve(answer({"value": people(5), "after": None, "has_more": True}))
    cursor = {"type": "Cursor", "params": [{"name": "after", "path": "after"}]}
    read = source(http={"pagination": cursor}, guarantees={"order": "KeyCursor"})
    assert reason(poll(served.port, read)) == "ListCut"


def test_only_the_last_page_can_say_that_more_follows(serve):
    rows = people(12)

    def respond(asked: Request) -> bytes:
        first = int(asked.param("offset") or 0)
        more = first + 5 < len(rows)
        return answer({"value": rows[first : first + 5], "next": "more" if more else None})

    read = source(http={"pagination": OFFSET}, guarantees={"order": "ImmutableKey"})
    assert poll(serve(respond).port, read).complete


def test_members_that_mean_something_else_are_named_in_the_source(serve):
    served = serve(answer({"value": people(5), "count": 9, "next": "2027"}, headers={"Link": LINK}))
    assert reason(poll(served.port, source(http={"ignoreMembers": ["link", "next"]}))) == "ListCut"
    assert poll(served.port, source(http={"ignoreMembers": ["Link", "next", "count"]})).complete


def test_the_open_cloud_preset_survives_the_day_its_api_pages(serve):
    rows = [
        {"id": row["id"], "signInActivity": {"lastSuccessfulSignInDateTime": row["seen"]}}
        for row in people(5)
    ]
    whole = {"value": rows}
    paged = {"@odata.nextLink": "/graph/v1.0/users?$skiptoken=5", "value": rows}
    read = source(
        preset="OpenCloud",
        http={"path": "/graph/v1.0/users"},
        users=None,
        guarantees=None,
        auth={"header": None, "basic": {"secretRef": {"name": "meter"}}},
    )
    assert poll(serve(answer(whole)).port, read).complete
    assert reason(poll(serve(answer(paged)).port, read)) == "ListCut"


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("total", [None, "total"])
def test_an_empty_first_page_proves_zero_only_by_its_total(serve, first, total):
    """Pages that are counted from another number look empty."""
    numbered = {"type": "Page", "pageParam": "page", "first": first, "total": total}
    since = [{"name": "since", "value": "{{cycle.start}}"}]
    read = source(http={"query": since, "pagination": numbered})
    result = poll(serve(answer({"value": [], "total": 0})).port, read, closing=True)
    if total:
        assert (result.failure, result.incomplete, result.complete) == (None, None, True)
    else:
        assert result.incomplete is not None
        assert result.incomplete.reason == "EmptyListing"
        assert "http.pagination.first" in result.incomplete.message


@pytest.mark.parametrize("kind", ["None", "Cursor"])
def test_a_declared_total_is_checked_for_every_kind_of_pages(serve, kind):
    paging: dict[str, Any] = {"type": kind, "total": "meta.n"}
    if kind == "Cursor":
        paging["params"] = [{"name": "after", "path": "after"}]
    read = source(http={"pagination": paging})
    assert poll(serve(answer({"value": people(5), "meta": {"n": 5}})).port, read).complete
    fewer = poll(serve(answer({"value": people(5), "meta": {"n": 6}})).port, read)
    assert fewer.failure.reason == "FewerThanTotal"
    more = poll(serve(answer({"value": people(5), "meta": {"n": 4}})).port, read)
    assert more.failure.reason == "TotalInvalid"


@pytest.mark.parametrize("rows", [50, 100])
def test_a_list_that_ends_at_a_round_number_is_worth_a_hint(serve, rows):
    result = poll(serve(answer({"value": people(rows)})).port)
    assert result.complete
    assert f"exactly {rows} users, a usual limit of one answer" in result.notes[0]


@pytest.mark.parametrize(
    "pages",
    [{"type": "Next"}, {"type": "HeaderCursor", "header": "X-Next", "cursorParam": "after"}],
)
def test_so_it_is_where_a_proxy_may_have_dropped_the_header_that_names_the_next_page(serve, pages):
    read = source(http={"pagination": pages})
    result = poll(serve(answer({"value": people(50)})).port, read)
    assert "exactly 50 users, a usual limit of one answer" in result.notes[0]


@pytest.mark.parametrize("around", [{"total": 50}, {"has_more": False}])
def test_a_round_number_that_the_answer_vouches_for_is_none(serve, around):
    assert poll(serve(answer({"value": people(50), **around})).port).notes == ()
    assert poll(serve(answer({"value": people(51)})).port).notes == ()


@pytest.mark.parametrize("order", ["ImmutableKey", "Activity", "Unknown"])
def test_a_cursor_with_an_order_for_offsets_is_told_what_cursors_need(serve, order):
    def respond(asked: Request) -> bytes:
        first = int(asked.param("after") or 0)
        return answer({"value": people(10)[first : first + 5], "next": 5 if first == 0 else None})

    cursor = {"type": "Cursor", "params": [{"name": "after", "path": "next"}]}
    read = source(http={"pagination": cursor}, guarantees={"order": order})
    result = poll(serve(respond).port, read)
    assert reason(result) == "CannotOverlap"
    assert "declare guarantees.order KeyCursor" in result.incomplete.message
    assert (f"order is {order}, which is for offsets" in result.hint) is (order != "Unknown")


# -- answers that can be read in two ways --


def test_a_list_that_stands_twice_in_an_answer_is_not_complete(serve):
    first, second = json.dumps(people(5)), json.dumps(people(3))
    served = serve(answer(f'{{"value": {first}, "value": {second}}}'.encode()))
    result = poll(served.port)
    assert reason(result) == "AnswerAmbiguous"
    assert "the member value twice" in result.incomplete.message
    assert len(facts(result).sure) == 3


def test_a_list_that_stands_twice_is_found_across_the_pieces_of_a_large_answer(serve):
    """Larger than what is decoded at once: the first list is dropped before the second comes."""
    first = json.dumps([{"id": f"u{n}", "seen": None} for n in range(60_000)])
    served = serve(answer(f'{{"value": {first}, "value": {json.dumps(people(3))}}}'.encode()))
    result = poll(served.port)
    assert reason(result) == "AnswerAmbiguous"
    assert result.users_listed > 3


def rows_of(*rows: bytes) -> bytes:
    return answer(b'{"value": [' + b", ".join(rows) + b"]}")


def written(count: int) -> list[bytes]:
    return [json.dumps(row).encode() for row in people(count)]


@pytest.mark.parametrize(
    ("row", "member"),
    [
        (b'{"id": "bob", "id": "bea"}', "id"),
        (b'{"id": "bob", "seen": null, "x": {"id": 1}, "seen": null}', "seen"),
        (b'{"id": "bob", "user": {"name": "a"}, "user": {"kind": "bot"}}', "user"),
        (b'{"id": "bob", "user": {"kind": "bot", "kind": null}}', "user.kind"),
    ],
)
def test_a_member_that_stands_twice_in_one_row_is_not_complete(serve, row, member):
    served = serve(rows_of(*written(5), row))
    result = poll(served.port, source(users={"exclude": "user.kind == 'bot'"}))
    assert reason(result) == "AnswerAmbiguous"
    assert f"a user's row holds the member {member} twice" in result.incomplete.message
    assert result.provisioned is None


@pytest.mark.parametrize(
    "row",
    [
        b'{"id": "bob", "name": 1, "name": 2}',
        b'{"id": "bob", "groups": [{"id": 1}, {"id": 2}], "manager": {"id": "x", "seen": 1}}',
        b'{"id": "id", "kind": "seen", "note": "\\"id\\": \\"id\\""}',
    ],
)
def test_what_stands_twice_elsewhere_in_a_row_is_no_doubt(serve, row):
    assert poll(serve(rows_of(*written(5), row)).port).complete


def test_in_a_closing_poll_a_row_far_behind_in_a_long_list_is_found(serve):
    """The whole answer is some pieces long, and the row is in one of the last."""
    row = b'{"id": "bob", "id": "bea", "seen": null}'
    many = [
        json.dumps({"id": f"u{n}", "seen": None, "pad": "x" * 200}).encode() for n in range(9000)
    ]
    served = serve(rows_of(*written(5), *many[:-500], row, *many[-500:]))
    assert reason(poll(served.port, closing=True)) == "AnswerAmbiguous"


def ahead(seconds: float) -> str:
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("order", [(0, 30), (30, 0), (0, -30)])
def test_of_two_date_headers_the_one_further_from_our_clock_counts(serve, order):
    first, second = order
    served = serve(
        answer({"value": people(3)}, headers={"Date": ahead(first), "date": ahead(second)})
    )
    assert poll(served.port).clock_skew_ms == 31_000


def test_a_second_date_header_too_far_away_fails_the_poll(serve):
    served = serve(answer({"value": people(3)}, headers={"Date": ahead(0), "date": ahead(-600)}))
    assert poll(served.port).failure.reason == "ClockSkewTooLarge"


# -- whatever the answer says --


@given(
    shown=st.lists(st.integers(0, 11), min_size=1, max_size=14),
    around=st.sampled_from([{}, {"next": "x"}, {"total": 20}, {"has_more": True}, {"count": 1}]),
    paged=st.booleans(),
    order=st.sampled_from(["Unknown", "ImmutableKey"]),
)
def test_no_poll_is_complete_that_its_own_answer_contradicts(shown, around, paged, order):
    """A product that repeats rows, leaves some out, and says what it likes."""
    everybody = people(12)
    rows = [everybody[n] for n in shown]
    product = Product(by_offset(rows, **around))
    try:
        read = source(http={"pagination": OFFSET if paged else None}, guarantees={"order": order})
        cycles = (CycleRequest(CYCLE),)
        result = poll(product.port, read, closing=True, cycles=cycles)
    finally:
        product.close()
    lies = len(set(shown)) < len(shown) or (around and around != {"count": 1})
    assert not (lies and result.complete)
    if not lies and not paged:
        assert result.complete
    named = facts(result).sure if CYCLE.index in result.facts else {}
    assert len(named) <= len(set(shown))
    assert not (lies and facts(result).ended) if named else True
    assert CYCLE_BIT not in facts(result).full if named else True
