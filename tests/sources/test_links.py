"""Where a link to the next page leads: to a path and a query of the asked pod, or nowhere."""

import pytest

from licenseusage.sources.failures import PollError
from licenseusage.sources.http.asking import Head
from licenseusage.sources.lists.paging.links import target_of
from tests.sources.product import answer, at, poll, source

HEAD = Head("10.0.0.7:8080", "/api/users?page=2")
FIRST = "/api/users?active=true"


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("/api/users?page=3", "/api/users?page=3"),
        ("?page=3", "/api/users?page=3"),
        ("users?page=3", "/api/users?page=3"),
        ("./next/3", "/api/next/3"),
        ("/api/pages/3", "/api/pages/3"),
        ("http://10.0.0.7:8080/api/pages/3", "/api/pages/3"),
        ("HTTP://10.0.0.7:8080/api/users?page=3#top", "/api/users?page=3"),
        ("https://app.example.org/api/users?page=3", "/api/users?page=3"),
        ("//app.example.org/api/users?page=3", "/api/users?page=3"),
        ("https://app.example.org:8443/gitlab/api/users?page=3", "/api/users?page=3"),
        ("https://app.example.org/api%2Fusers?page=3", "/api/users?page=3"),
        ("?after=a%2Fb+c&q=(x:y)", "/api/users?after=a%2Fb+c&q=(x:y)"),
        ("?name=größe 3", "/api/users?name=gr%C3%B6%C3%9Fe%203"),
        ("?a=1\r\nHost: b", "/api/users?a=1Host:%20b"),
    ],
)
def test_a_link_is_read_as_path_and_query_of_the_pod(link, target):
    assert target_of(link, HEAD, FIRST) == target


@pytest.mark.parametrize(
    "link",
    [
        "https://app.example.org/other?page=3",
        "https://app.example.org",
        "https://app.example.org/apis/users",
        "https://app.example.org/api/users/3",
        "https://10.0.0.7/api/pages/3",
        "//evil.example.org/x",
    ],
)
def test_a_link_to_another_server_and_another_path_is_refused(link):
    with pytest.raises(PollError) as caught:
        target_of(link, HEAD, FIRST)
    assert caught.value.failure.reason == "NextElsewhere"
    assert "example" not in caught.value.failure.message


def test_a_list_at_the_root_has_no_path_that_stands_behind_others():
    with pytest.raises(PollError):
        target_of("https://app.example.org/other/", HEAD, "/")


@pytest.mark.parametrize(
    "link", ["ftp://10.0.0.7:8080/x", "mailto:a@b", "http:", "http://[", "x:1"]
)
def test_a_link_that_is_no_url_of_http_is_refused(link):
    with pytest.raises(PollError) as caught:
        target_of(link, HEAD, FIRST)
    assert caught.value.failure.reason == "NextInvalid"


def test_only_the_query_of_the_link_is_sent_and_the_credentials_with_it(serve):
    def respond(request):
        if request.param("page") == "2":
            return answer([{"id": "bob", "seen": at("06T10:00:00")}])
        return answer(
            [{"id": "ann", "seen": at("05T10:00:00")}],
            headers={"Link": '<https://app.example.org/users?page=2>; rel="next"'},
        )

    product = serve(respond)
    read = source(
        http={
            "items": None,
            "query": [{"name": "active", "value": "true"}],
            "pagination": {"type": "Next"},
        }
    )
    result = poll(product.port, read, closing=True)
    assert (result.failure, result.complete, result.counted) == (None, True, 2)
    asked = [(request.path, request.query) for request in product.requests]
    assert asked == 2 * [("/users", [("active", "true")]), ("/users", [("page", "2")])]
    hosts = {
        (request.headers["host"], request.headers["authorization"][:6])
        for request in product.requests
    }
    assert hosts == {(f"127.0.0.1:{product.port}", "Bearer")}


@pytest.mark.parametrize(
    ("query", "hinted"),
    [
        ([("deactivated", "true"), ("size", "1")], ["deactivated, size"]),
        ([("p", "1")], []),
        ([], []),
    ],
)
def test_a_link_that_leaves_out_what_was_asked_causes_a_hint(serve, query, hinted):
    first = {"value": [{"id": "ann", "seen": at("05T10:00:07")}], "next": "?p=2"}
    last = {"value": [{"id": "bob", "seen": at("06T10:01:08")}], "next": None}
    product = serve(lambda asked: answer(last if asked.param("p") == "2" else first))
    parameters = [{"name": name, "value": value} for name, value in query]
    made = source(http={"query": parameters, "pagination": {"type": "Next", "path": "next"}})
    notes = [note for note in poll(product.port, made).notes if "leaves out" in note]
    assert [names in note for note, names in zip(notes, hinted, strict=True)] == [True] * len(
        hinted
    )


def test_exactly_a_hundred_users_and_no_link_cause_a_hint(serve):
    rows = [{"id": f"u{number}", "seen": at("05T10:00:07")} for number in range(100)]
    read = source(http={"pagination": {"type": "Next"}})
    assert any(
        "exactly 100 users" in note
        for note in poll(serve(answer({"value": rows})).port, read).notes
    )
