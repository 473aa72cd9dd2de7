"""Each way to answer wrongly: a reason, what was seen, the fix; never an id or a secret."""

import gzip
import json
import zlib
from typing import Any

import pytest

from licenseusage.sources.poll import CycleRequest, PollLimits, PollResult, Target
from tests.sources.product import (
    ADMIN,
    CYCLE,
    NOW,
    SECRET,
    USERS,
    FixedClock,
    answer,
    at,
    poll,
    source,
)

LEAK = "leaky-id-4711"
"""Stands wherever a product's content could be quoted."""


def active(**fields: Any) -> dict[str, Any]:
    return {"value": [{"id": LEAK, "seen": at("10T08:00:00"), **fields}]}


def failed(result: PollResult, reason: str, *told: str) -> None:
    """A failure with this reason, whose message tells these things and nothing secret."""
    assert result.failure is not None
    assert (result.failure.reason, result.complete) == (reason, False), result.failure
    message = result.failure.message
    assert message.startswith("Source people")
    for text in told:
        assert text in message
    for secret in (LEAK, SECRET, ADMIN):
        assert secret not in repr(result)
    assert result.provisioned is None
    assert not any(fact.closed for fact in result.facts.values())


STATUSES = [
    ("401 Unauthorized", "Unauthorized", "Secret meter"),
    ("403 Forbidden", "AccessDenied", "Secret meter"),
    ("404 Not Found", "PathNotFound", "http.path"),
    ("400 Bad Request", "UnexpectedStatus", "http.query"),
    ("429 Too Many Requests", "TooManyRequests", "intervalMinutes"),
    ("500 Internal Server Error", "ServerError", "log"),
    ("503 Service Unavailable", "ServerError", "log"),
    ("204 No Content", "AnswerEmpty", "not the same as nobody"),
    ("206 Partial Content", "UnexpectedStatus", "http.path"),
]


@pytest.mark.parametrize(("status", "reason", "fix"), STATUSES)
def test_a_status_other_than_200_fails_and_names_the_fix(serve, status, reason, fix):
    product = serve(answer(active(), status))
    failed(poll(product.port), reason, f"HTTP {status[:3]}", "/users", fix, "pod-0")


def test_a_redirect_is_not_followed_and_its_host_is_named(serve):
    elsewhere = serve(answer(active()))
    to = f"http://sso.example.org:{elsewhere.port}/login?token={SECRET}"
    product = serve(answer(b"", "302 Found", headers={"Location": to}))
    failed(poll(product.port), "Redirected", "sso.example.org", "not followed")
    assert elsewhere.requests == []


def test_a_redirect_to_another_path_of_the_product_names_the_path_to_set(serve):
    product = serve(
        answer(b"", "307 Temporary Redirect", headers={"Location": "http://127.0.0.1/users/"})
    )
    failed(poll(product.port), "Redirected", "to 127.0.0.1/users/", "Set http.path to /users/")


def test_of_the_path_of_a_redirect_only_plain_words_are_shown(serve):
    to = f"/oauth2/sign_in/{LEAK}/X-{LEAK}?next={LEAK}#{LEAK}"
    product = serve(answer(b"", "302 Found", headers={"Location": to}))
    failed(poll(product.port), "Redirected", "(to /oauth2/sign_in/…/…)")


NO_NAMES = [
    *("a" * 254, "a\x01b", "caf\u00e9.example.org", "[", "ann smith.example.org"),
    *("a" * 64 + ".org", "-ann.example.org", "ann..example.org", "x\x1b[31m.example.org"),
    ".".join(["a" * 63] * 3 + ["b" * 62]),
]


@pytest.mark.parametrize("host", NO_NAMES)
def test_a_redirect_to_a_host_that_is_no_name_does_not_show_it(serve, host):
    product = serve(answer(b"", "302 Found", headers={"Location": f"http://{host}/login"}))
    result = poll(product.port)
    failed(result, "Redirected")
    assert host.encode().decode("latin-1") not in result.failure.message


BODIES = [
    (b"", "AnswerEmpty", "no content"),
    (b"  \n", "AnswerEmpty", "white space"),
    (b"<html><body>sign in leaky-id-4711</body></html>", "AnswerNotJSON", "sign-in page"),
    (b'{"value": [{"id": "leaky-id-4711", "seen"', "AnswerInvalidJSON", "not valid JSON"),
    (b'{"value": [{"id": "leaky-id-4711"}]}]', "AnswerInvalidJSON", "not valid JSON"),
    (b'{"value": [NaN]}', "AnswerInvalidJSON", "not valid JSON"),
    (b'{"value": ' + b"[" * 100_000, "AnswerInvalidJSON", "not valid JSON"),
    (b'{"error": {"message": "leaky-id-4711"}}', "ItemsNotAList", "http.items (value)"),
    (b'{"value": {"id": "leaky-id-4711"}}', "ItemsNotAList", "an object"),
    (b'{"value": "leaky-id-4711"}', "ItemsNotAList", "a text"),
    (b'{"value": null}', "ItemsNotAList", "nothing"),
    (b"[]", "ItemsNotAList", "nothing"),
    (b"-1", "ItemsNotAList", "nothing"),
    (b'"leaky-id-4711"', "ItemsNotAList", "nothing"),
]


@pytest.mark.parametrize(("body", "reason", "told"), BODIES)
def test_a_200_without_a_list_of_users_is_no_sample(serve, body, reason, told):
    failed(poll(serve(answer(body)).port), reason, told)


def test_json_that_is_called_html_is_json(serve):
    called = {"Content-Type": "text/html; charset=utf-8"}
    result = poll(serve(answer({"value": USERS}, headers=called)).port)
    assert (result.failure, result.complete, result.counted) == (None, True, 2)


def test_html_is_refused_whatever_it_is_called(serve):
    for called in ("text/html", "application/json"):
        product = serve(answer(b"<p>sign in</p>", headers={"Content-Type": called}))
        failed(poll(product.port), "AnswerNotJSON", "HTML", "credentials")


ROWS = [
    ({"id": [LEAK]}, "IdInvalid", "a list for 1 of 1"),
    ({"id": 4.5}, "IdInvalid", "a number"),
    ({"id": True}, "IdInvalid", "true or false"),
    ({"id": None}, "IdMissing", "1 of 1 users were active lately"),
    ({"id": ""}, "IdMissing", "users.id (id)"),
    ({"seen": "10/11/2026 08:00"}, "TimestampInvalid", "a text like '99/99/9999 99:99'"),
    ({"seen": "2026-11-10"}, "TimestampInvalid", "RFC 3339"),
    ({"seen": "2026-11-10T08+01:00"}, "TimestampInvalid", "RFC 3339"),
    ({"seen": LEAK}, "TimestampInvalid", "aaaaa-aa-9999"),
    ({"seen": [1]}, "TimestampInvalid", "a list"),
    ({"seen": True}, "TimestampInvalid", "true or false"),
    ({"seen": 1e300}, "TimestampInvalid", "since 1970"),
]


@pytest.mark.parametrize(("fields", "reason", "told"), ROWS)
def test_a_row_of_the_wrong_kind_fails_the_poll_without_being_quoted(serve, fields, reason, told):
    failed(poll(serve(answer(active(**fields))).port), reason, told)


def test_rows_before_a_failure_still_name_people(serve):
    pages = {None: USERS[:2], "2": [{"id": 1.5, "seen": at("10T08:00:00")}]}

    def respond(request):
        page = pages[request.param("after")]
        return answer({"value": page, "next": None if request.param("after") else "2"})

    cursor = {"type": "Cursor", "params": [{"name": "after", "path": "next"}]}
    read = source(http={"pagination": cursor})
    result = poll(serve(respond).port, read)
    failed(result, "IdInvalid")
    assert (result.counted, len(result.facts[CYCLE.index].sure)) == (2, 2)


def test_a_jmespath_that_gets_the_wrong_type_fails_with_the_fix(serve):
    read = source(http={"items": "sort_by(value, &seen)"})
    body = {"value": [{"id": "a", "seen": 1}, {"id": LEAK, "seen": "x"}]}
    failed(poll(serve(answer(body)).port, read), "ExpressionFailed", "source check")


# -- stamps in the future --


def test_a_stamp_in_the_future_fails_the_whole_poll_and_says_how_to_find_it(serve):
    users = [
        *USERS,
        {"id": LEAK, "seen": at("20T21:00:00")},
        {"id": "b", "seen": at("20T12:01:00")},
    ]
    result = poll(serve(answer({"value": users})).port)
    failed(result, "StampInFuture", "2 of 7 users", "9.0 h", "naiveTimezone", "sort", "exclude")
    assert result.facts == {}
    assert result.counted == 0


def test_a_stamp_within_the_clock_difference_is_not_in_the_future(serve):
    result = poll(serve(answer({"value": [{"id": "a", "seen": at("20T12:00:00.9")}]})).port)
    assert result.failure is None
    assert result.clock_skew_ms == 1000
    assert result.counted == 1


@pytest.mark.parametrize(
    "users", [{"exclude": "bot"}, {"excludeIds": [LEAK]}, {"excludeIds": ["x", LEAK]}]
)
def test_excluded_accounts_may_have_stamps_in_the_future(serve, users):
    rows = [*USERS, {"id": LEAK, "seen": at("25T00:00:00"), "bot": True}]
    read = source(users={"id": "id", "lastActive": {"path": "seen"}, **users})
    result = poll(serve(answer({"value": rows})).port, read)
    assert result.failure is None
    assert (result.counted, result.provisioned) == (2, 5)


def test_a_failed_poll_with_a_future_stamp_makes_no_facts_either(serve):
    def respond(request):
        if request.param("after"):
            return answer(b"", "500 Internal Server Error")
        return answer({"value": [{"id": LEAK, "seen": at("22T00:00:00")}], "next": "2"})

    cursor = {"type": "Cursor", "params": [{"name": "after", "path": "next"}]}
    result = poll(serve(respond).port, source(http={"pagination": cursor}))
    failed(result, "StampInFuture")
    assert result.facts == {}


# -- the clock --


@pytest.mark.parametrize(
    ("headers", "reason", "told"),
    [
        ({"Date": None}, "ClockUnknown", "no Date header"),
        ({"Age": "12"}, "ClockUnknown", "cache"),
        ({"Date": "yesterday"}, "ClockUnknown", "no HTTP date"),
        ({"Date": "Fri, 20 Nov 2026 12:10:00 GMT"}, "ClockSkewTooLarge", "600 s ahead of ours"),
        ({"Date": "Fri, 20 Nov 2026 11:00:00 GMT"}, "ClockSkewTooLarge", "3600 s behind ours"),
    ],
)
def test_without_a_comparable_clock_there_are_no_facts(serve, headers, reason, told):
    result = poll(serve(answer({"value": USERS}, headers=headers)).port)
    failed(result, reason, told, "clockSkewSeconds")
    assert result.facts == {}


def test_a_declared_clock_difference_replaces_the_date_header(serve):
    read = source(guarantees={"removal": "Never", "ids": "Stable", "clockSkewSeconds": 30})
    result = poll(serve(answer({"value": USERS}, headers={"Date": None})).port, read)
    assert (result.failure, result.clock_skew_ms, result.counted) == (None, 30_000, 2)


def test_the_largest_difference_of_all_answers_counts(serve):
    dates = iter(["Fri, 20 Nov 2026 12:00:00 GMT", "Fri, 20 Nov 2026 12:00:40 GMT"])

    def respond(request):
        body = {"value": USERS[:1], "next": None if request.param("after") else "2"}
        return answer(body, headers={"Date": next(dates)})

    cursor = {"type": "Cursor", "params": [{"name": "after", "path": "next"}]}
    result = poll(serve(respond).port, source(http={"pagination": cursor}))
    assert result.clock_skew_ms == 41_000


def test_half_the_round_trip_widens_the_clock_difference(serve):
    result = poll(serve(answer({"value": USERS})).port, clock=FixedClock(step_ms=2_000))
    assert result.clock_skew_ms >= 1_000 + 1_000


# -- the wire --


def test_a_body_shorter_than_announced_is_a_failure_not_a_count(serve):
    body = json.dumps({"value": USERS}).encode()
    product = serve(lambda _: [answer(body, length=len(body) + 10)])
    failed(poll(product.port), "AnswerTruncated", "middle of the answer")


def test_a_chunked_body_without_its_last_chunk_is_a_failure(serve):
    body = json.dumps({"value": USERS}).encode()
    headers = {"Content-Length": None, "Transfer-Encoding": "chunked"}
    head = answer(b"", headers=headers)
    product = serve(lambda _: [head + f"{len(body):x}\r\n".encode() + body + b"\r\n"])
    failed(poll(product.port), "AnswerTruncated")


def test_bytes_that_are_no_http_are_a_failure(serve):
    failed(poll(serve(lambda _: [b"SSH-2.0-OpenSSH_9\r\n\r\n"]).port), "NotHTTP", "pods.port")


@pytest.mark.parametrize(
    "told",
    [
        b"\x15\x03\x01\x00\x02\x02\x46",
        answer(b"Client sent an HTTP request to an HTTPS server.", "400 Bad Request"),
        b"",
    ],
)
def test_whatever_a_tls_port_answers_to_plain_http_the_message_names_the_scheme(serve, told):
    """An alert, a page of its own, or nothing at all."""
    result = poll(serve(lambda _: [told]).port)
    assert result.failure is not None
    assert "pods.scheme to HTTPS" in result.failure.message


def test_a_connection_closed_without_a_word_is_a_failure(serve):
    failed(poll(serve(lambda _: [b""]).port), "ConnectionLost", "product's log")


def test_a_refused_connection_names_address_and_fix(serve):
    product = serve(b"")
    product.close()
    failed(poll(product.port), "Unreachable", f"127.0.0.1:{product.port}", "refused", "pods.port")


@pytest.mark.parametrize("name", ["n" * 64 + ".example", "a..b", ".a"])
def test_a_host_that_is_no_name_is_a_failure(name):
    failed(poll(0, targets=(Target(name, 80),)), "Unreachable", "no name")


@pytest.mark.parametrize("name", ["n" * 64 + ".example", "a..b", ".a"])
def test_a_server_name_that_is_no_name_is_a_failure(serve, name):
    product = serve(answer({"value": USERS}))
    targets = (Target("127.0.0.1", product.port, "HTTPS", server_name=name),)
    failed(poll(0, targets=targets), "Unreachable", "pods.tls.serverName")


def test_no_pod_at_all_is_a_failure():
    failed(poll(1, targets=()), "NoReadyPods")


def test_the_next_ready_pod_is_asked_when_one_cannot_be_reached(serve):
    gone, silent = serve(b""), serve(lambda _: [b""])
    gone.close()
    product = serve(answer({"value": USERS}))
    ports = (gone.port, silent.port, product.port)
    targets = tuple(Target("127.0.0.1", port, label=f"pod-{n}") for n, port in enumerate(ports))
    result = poll(0, targets=targets)
    assert (result.failure, result.counted, result.target) == (None, 2, "pod-2")


def test_an_answer_that_is_wrong_is_not_asked_of_the_next_pod(serve):
    wrong, other = serve(answer(b"", "401 Unauthorized")), serve(answer({"value": USERS}))
    targets = (Target("127.0.0.1", wrong.port), Target("127.0.0.1", other.port))
    failed(poll(0, targets=targets), "Unauthorized")
    assert other.requests == []


def test_when_no_pod_answers_their_number_is_told(serve):
    gone = serve(b"")
    gone.close()
    targets = (Target("127.0.0.1", gone.port, label="a"), Target("127.0.0.1", gone.port, label="b"))
    failed(poll(0, targets=targets), "Unreachable", "none of 2 ready pods")


# -- bounds --


def test_more_bytes_than_allowed_stop_the_reading(serve):
    rows = [{"id": f"u{number}", "seen": None, "x": "y" * 900} for number in range(200)]
    result = poll(serve(answer({"value": rows})).port, limits=PollLimits(poll_bytes=50_000))
    failed(result, "PollTooLarge", "50000 bytes", "POLL_BYTES")
    assert result.bytes < 200_000


def test_a_gzip_bomb_is_bounded_by_its_decoded_bytes(serve):
    bomb = gzip.compress(b'{"value": "' + b"0" * 50_000_000)
    product = serve(answer(bomb, headers={"Content-Encoding": "gzip"}))
    result = poll(product.port, limits=PollLimits(poll_bytes=4_000_000))
    failed(result, "PollTooLarge")
    assert result.bytes < 6_000_000


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_a_compressed_answer_is_read_although_not_asked_for(serve, encoding, pack):
    body = pack(json.dumps({"value": USERS}).encode())
    product = serve(answer(body, headers={"Content-Encoding": encoding}))
    assert poll(product.port).counted == 2
    assert product.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("encoding", "body", "reason"),
    [
        ("br", b"x", "UnknownEncoding"),
        ("gzip, gzip", b"x", "UnknownEncoding"),
        ("gzip", b"not gzip", "AnswerInvalidJSON"),
        ("gzip", gzip.compress(b'{"value": []}', mtime=0)[:-9], "AnswerTruncated"),
    ],
)
def test_a_compressed_answer_that_cannot_be_read_is_a_failure(serve, encoding, body, reason):
    product = serve(answer(body, headers={"Content-Encoding": encoding}))
    failed(poll(product.port), reason)


def test_a_poll_over_its_time_ends_between_two_pages(serve):
    def respond(request):
        number = int(request.param("after") or 0) + 1
        return answer({"value": [{"id": number}], "next": number})

    cursor = {"type": "Cursor", "params": [{"name": "after", "path": "next"}]}
    product = serve(respond)
    read = source(http={"pagination": cursor})
    failed(
        poll(product.port, read, limits=PollLimits(poll_seconds=0.5)), "PollTimeout", "POLL_SECONDS"
    )


def test_a_product_that_says_nothing_ends_the_request_in_time(serve):
    product = serve(lambda _: [])
    product.respond = lambda _: _wait(product)
    result = poll(product.port, limits=PollLimits(request_seconds=0.3))
    failed(result, "RequestTimeout", "0.3 s", "POLL_REQUEST_SECONDS")
    assert result.seconds < 3


def _wait(product):
    product.stopped.wait(10)
    yield b""


def test_a_cap_on_pages_fails_the_poll(serve):
    def respond(request):
        number = int(request.param("after") or 0) + 1
        return answer({"value": [{"id": f"u{number}"}], "next": number})

    cursor = {"type": "Cursor", "params": [{"name": "after", "path": "next"}]}
    product = serve(respond)
    read = source(http={"pagination": cursor})
    failed(poll(product.port, read, limits=PollLimits(poll_pages=7)), "TooManyPages", "7 pages")
    assert len(product.requests) == 7


def test_a_cap_on_users_fails_the_poll_and_says_so(serve):
    product = serve(answer({"value": [{"id": f"u{number}"} for number in range(4)]}))
    failed(
        poll(product.port, source(), limits=PollLimits(poll_users=3)),
        "TooManyUsers",
        "than 3 users",
    )
    assert poll(product.port, source(), limits=PollLimits(poll_users=4)).failure is None


# -- what is not a failure, and proves nothing --


def test_an_empty_list_is_no_proof_of_nobody(serve):
    result = poll(serve(answer({"value": []})).port)
    assert result.failure is None
    assert not result.complete
    assert result.incomplete is not None
    assert result.incomplete.reason == "EmptyListing"
    assert result.facts[CYCLE.index].closed == 0


def test_a_list_in_which_nobody_was_ever_active_says_so(serve):
    result = poll(serve(answer({"value": [{"id": "a"}, {"id": "b", "seen": None}]})).port)
    assert result.failure is None
    assert not result.complete
    assert "None of 2 users has a last activity at seen" in (result.hint or "")


def test_the_preset_for_opencloud_explains_why_nobody_has_a_stamp(serve):
    read = source(
        preset="OpenCloud",
        auth={"header": {"secretRef": {"name": "meter", "key": "token"}}},
        users={},
        http={},
    )
    result = poll(serve(answer({"value": [{"id": "a"}]})).port, read)
    assert "OC_LDAP_SERVER_WRITE_ENABLED" in (result.hint or "")
    assert not result.complete


def test_two_cycles_get_their_facts_from_one_listing(serve):
    from licenseusage.metering.cycles import DAY_MS, Cycle

    start = CYCLE.start_ms
    before = Cycle(4, start - 30 * DAY_MS, start)
    product = serve(answer({"value": USERS}))
    result = poll(product.port, cycles=(CycleRequest(before), CycleRequest(CYCLE)))
    assert len(product.requests) == 1
    assert {index: len(facts.sure) for index, facts in result.facts.items()} == {4: 1, 5: 2}
    assert not set(result.facts[4].sure) & set(result.facts[5].sure)  # pseudonyms of each cycle
    assert NOW.year == 2026


# -- the connection between pages --

CURSOR = {"type": "Cursor", "params": [{"name": "after", "path": "next"}]}


def paged(request):
    """Three pages of one user each."""
    number = int(request.param("after") or 0)
    following = number + 1 if number < 2 else None
    return answer({"value": [{"id": f"u{number}", "seen": at("05T10:00:00")}], "next": following})


def test_pages_come_over_one_connection(serve):
    opened = []

    def count(plain):
        opened.append(plain)
        return plain

    product = serve(paged, wrap=count)
    result = poll(product.port, source(http={"pagination": CURSOR}))
    assert (result.failure, result.counted, len(opened)) == (None, 3, 1)


def test_a_kept_connection_that_the_pod_closed_is_opened_anew(serve):
    product = serve(lambda request: [paged(request)])  # closes after each answer, unannounced
    result = poll(product.port, source(http={"pagination": CURSOR}))
    assert (result.failure, result.counted, len(product.requests)) == (None, 3, 3)


def test_a_new_connection_that_is_closed_without_a_word_is_asked_once(serve):
    product = serve(lambda _: [b""])
    failed(poll(product.port), "ConnectionLost")
    assert len(product.requests) == 1


def test_after_an_answer_that_was_not_read_to_its_end_another_request_works(serve):
    rows = [{"id": f"u{n:05}", "seen": None, "x": "y" * 200} for n in range(9000)]
    asked = []

    def respond(request):
        first = int(request.param("offset"))
        asked.append(first)
        page = rows[first : first + 8000]
        return answer({"value": page[1:] if len(asked) == 2 else page})

    offsets = {"type": "Offset", "offsetParam": "offset", "limitParam": "limit", "size": 8000}
    read = source(
        http={"pagination": offsets},
        guarantees={"order": "ImmutableKey", "ids": "Stable", "removal": "Never"},
    )
    result = poll(serve(respond).port, read, closing=True)
    assert result.failure is None
    assert result.users_listed == 9000
    assert asked == [0, 7999, 0, 7999, 8999]


def test_a_path_is_escaped_once(serve):
    product = serve(answer({"value": USERS}))
    poll(product.port, source(http={"path": "/users%2Fall/ä b".replace(" ", "%20")}))
    assert product.requests[0].path == "/users%2Fall/%C3%A4%20b"


def test_a_secret_that_no_header_can_hold_is_not_sent(serve):
    from licenseusage.sources.poll import Credentials

    product = serve(answer({"value": USERS}))
    bad = Credentials(header_value=f"Bearer {SECRET}\nX-Evil: 1")
    failed(poll(product.port, credentials=bad), "CredentialsInvalid", "Secret's value")
    assert product.requests == []
