"""What an answer says of its own size, wherever and however it says it (MEASUREMENT §3.10 b)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.sources.http.said import in_headers, next_links
from licenseusage.sources.lists.columns import ItemColumns
from licenseusage.sources.lists.decoder import PageDecoder
from licenseusage.sources.lists.pages import PageReader
from licenseusage.sources.lists.repeated import repeated_member
from tests.sources.product import source


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ('</users?page=2>; rel="next"', "/users?page=2"),
        ("</users?page=2>; rel=next", "/users?page=2"),
        ("</users?page=2>;REL = NEXT", "/users?page=2"),
        ('</a>; rel="prev", </b>; rel="next"', "/b"),
        ('</a,b;c>; title="x, y; rel=z"; rel="next"', "/a,b;c"),
        (r'</a>; title="say \"rel\"" ; rel="last next"', "/a"),
        ('< /a >; foo; rel="next"', "/a"),
        ('</a>; rel="prev", </b>; title*=UTF-8\'\'x; rel="next"; type="text/html"', "/b"),
        ('<>; rel="next"', ""),
        ('</a>; rel="next"; results="true"; cursor="0:100:0"', "/a"),
    ],
)
def test_a_link_to_a_next_page_is_found_however_it_is_written(link, target):
    assert list(next_links(link)) == [target]
    assert in_headers([("LINK", link)]).more is not None


@pytest.mark.parametrize(
    "link",
    [
        "",
        '</users?page=2>; rel="last"',
        '</users?rel="next">; rel="self"',
        '</a>; title="rel=next"',
        '</a>; title="</b>; rel=\\"next\\""; rel="self"',
        '</a>; rel="prev"; rel="next"',  # RFC 8288 §3.3: the first rel counts
        '</a>; rel="nextish"',
        "rel=next",
        '</a>; rel="next"; results="false"; cursor="0:200:0"',  # Sentry's last page
    ],
)
def test_other_links_lead_nowhere(link):
    assert list(next_links(link)) == []


def test_a_header_may_hold_several_links_to_a_next_page():
    assert list(next_links('</a>; rel=next, </b>; rel="next last"')) == ["/a", "/b"]


@pytest.mark.parametrize(
    ("headers", "users"),
    [
        ([("X-Total-Count", "120")], 120),
        ([("x-total", " 7 ")], 7),
        ([("X-Total", "7"), ("X-Total-Count", "9")], 9),
        ([("Content-Range", "users 0-49/120")], 120),
        ([("X-Total-Count", "many")], None),
        ([("Content-Range", "users 0-49/*")], None),
    ],
)
def test_a_total_in_a_header_is_read(headers, users):
    said = in_headers(headers)
    assert (said.total.users if said.total else None) == users


def test_ignored_headers_say_nothing():
    headers = [("LINK", '<b>; rel="next"'), ("X-Total-Count", "9"), ("X-Next-Page", "2")]
    assert in_headers(headers).more
    assert in_headers(headers, ["link", "x-total-count", "x-next-page"]) == in_headers([])


def end_of(document: Any, **http: Any) -> Any:
    """What is found around the items, by whole decoding, typed decoding, and in pieces alike."""
    body = json.dumps(document, indent=1).encode()
    ends = []
    for exclude in (None, "length(id) > `100`"):  # the second needs whole items
        made = source(http={"items": "value", **http}, users={"exclude": exclude})
        decoder = PageDecoder.of(made.http, ItemColumns(made.users))
        for chunk in (len(body), 16):
            reader = PageReader(decoder, lambda _: None, large_bytes=chunk, piece_bytes=chunk)
            for start in range(0, len(body), chunk):
                reader.feed(body[start : start + chunk])
            ends.append(reader.finish())
    assert all(one == ends[0] for one in ends)
    return ends[0]


ROWS = [{"id": f"u{n}", "seen": None} for n in range(12)]


@pytest.mark.parametrize(
    "around",
    [
        {"@odata.nextLink": "/users?$skiptoken=50"},
        {"nextLink": "x"},
        {"next": 2},
        {"next": {"offset": 50}},
        {"next_token": "abc"},
        {"nextPageToken": "abc"},
        {"has_more": True},
        {"hasMore": True},
        {"links": {"next": "/users?page=2"}},
        {"_links": {"next": {"href": "/users?page=2"}}},
        {"link": [{"relation": "self", "url": "a"}, {"relation": "next", "url": "b"}]},
        {"paging": {"next_cursor": "abc"}},
        {"pageInfo": {"hasNextPage": True, "endCursor": "abc"}},
        {"metadata": {"continue": "abc"}},
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_an_answer_that_says_that_more_follows_is_heard(around, before):
    document = {**around, "value": ROWS} if before else {"value": ROWS, **around}
    assert end_of(document).extent.more is not None


@pytest.mark.parametrize(
    "around",
    [
        {},
        {"next": None},
        {"next": ""},
        {"next": False},
        {"next_token": []},
        {"has_more": False},
        {"hasMore": "yes"},
        {"links": {"self": "/users", "next": None}},
        {"links": [{"rel": "prev", "href": "a"}]},
        {"nested": {"other": {"next": "x"}}},
        {"links": "none"},
    ],
)
def test_an_answer_that_does_not_say_so_is_not_accused(around):
    assert end_of({**around, "value": ROWS}).extent.more is None


@pytest.mark.parametrize(
    ("around", "users"),
    [
        ({"total": 120}, 120),
        ({"totalCount": "120"}, 120),
        ({"totalResults": 120, "itemsPerPage": 50}, 120),
        ({"@odata.count": 3}, 3),
        ({"meta": {"total": 120}}, 120),
        ({"count": 50, "total": 120}, 120),
        ({"total": True}, None),
        ({"total": "about 120"}, None),
        ({"total": {"value": "x"}}, None),
    ],
)
def test_a_total_in_the_answer_is_read(around, users):
    total = end_of({"value": ROWS, **around}).extent.total
    assert (total.users if total else None) == users


def test_what_stands_beside_the_items_is_heard_in_every_object_on_the_way():
    said = end_of({"total": 3, "data": {"value": ROWS, "total": 120}}, items="data.value").extent
    assert said.total == ("member data.total", 120)
    cursor = {"type": "Cursor", "params": [{"name": "after", "path": "page.after"}]}
    said = end_of(
        {"value": ROWS, "page": {"after": None, "hasNext": True}}, pagination=cursor
    ).extent
    assert said.more == "a member page.hasNext"


def test_a_list_out_of_a_projection_is_heard_as_well():
    assert end_of({"value": ROWS, "next": "x"}, items="value[?id != 'u1']").extent.more
    assert end_of({"data": [{"value": ROWS}], "next": "x"}, items="data[0].value").extent.more


def test_what_the_source_reads_itself_is_no_news():
    paging = {"type": "None", "total": "total"}
    assert end_of({"value": ROWS, "total": 120}, pagination=paging).extent.total is None


@pytest.mark.parametrize("ignored", ["next", "paging.next"])
def test_members_that_mean_something_else_can_be_named(ignored):
    document = {"value": ROWS, "paging": {"next": "2027"}}
    assert end_of(document).extent.more
    assert end_of(document, ignoreMembers=[ignored]).extent.more is None


@pytest.mark.parametrize(
    ("body", "path", "twice"),
    [
        (b'{"value": [1], "value": [2]}', ("value",), "value"),
        (b'{"value": null, "n": 1, "value" : [2]}', ("value",), "value"),
        (b'{"data": {"users": [1]}, "data": {"users": [2]}}', ("data", "users"), "data"),
        (b'{"data": {"users": [1], "x": {}, "users": [2]}}', ("data", "users"), "data.users"),
        (b'{"value": [{"value": 1, "value": 2}]}', ("value",), None),
        (b'{"about": {"value": [1]}, "value": [2]}', ("value",), None),
        (b'{"value": ["\\"value\\":", "value"], "t": "\\"value\\": [1]"}', ("value",), None),
        (b'{"a": [{"users": 1}], "users": [], "users2": []}', ("users",), None),
        (b'[{"value": 1}, {"value": 2}]', (), None),
        (b'[{"value": 1}, {"value": 2}]', ("value",), None),
        ('{"größe": [1], "größe": [2]}'.encode(), ("größe",), "größe"),
    ],
)
def test_a_member_that_stands_twice_on_the_way_is_found(body, path, twice):
    found = repeated_member(body, [path])
    assert (found and found.member) == twice


names = st.sampled_from(["value", "data", "x"])
trees = st.recursive(
    st.one_of(st.none(), st.integers(), names),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(st.tuples(names, inner), max_size=4).map(tuple)
    ),
    max_leaves=12,
)


def written(tree: Any) -> str:
    """JSON with members as they are given, repeated ones too: objects are tuples of pairs."""
    if isinstance(tree, tuple):
        return "{" + ", ".join(f"{json.dumps(n)}: {written(inner)}" for n, inner in tree) + "}"
    if isinstance(tree, list):
        return "[" + ",".join(map(written, tree)) + "]"
    return json.dumps(tree)


def twice_in(tree: Any, path: tuple[str, ...]) -> bool:
    if not path or not isinstance(tree, tuple):
        return False
    inner = [value for name, value in tree if name == path[0]]
    return len(inner) > 1 or (len(inner) == 1 and twice_in(inner[0], path[1:]))


@given(trees, st.lists(names, min_size=1, max_size=3).map(tuple))
def test_a_repeated_member_is_found_if_and_only_if_it_is_on_the_way(tree, path):
    found = repeated_member(written(tree).encode(), [path])
    assert (found is not None) == twice_in(tree, path)
