"""Who may see the pages: they ask for a password, whatever stands before the receiver."""

import base64

import pytest
import structlog

from licenseusage.receiver.access import PagesAccess
from licenseusage.receiver.guesses import FREE, FREE_TOGETHER, LONGEST_WAIT_S, Guesses
from licenseusage.receiver.hosts import is_ours
from tests.receiver.people import HOST, OPEN, Customer

ADDRESSES = ["/", f"/chains/{'0' * 32}"]
PASSWORD = "correct horse:battery"
ASKING = PagesAccess(password=PASSWORD, hosts=frozenset({HOST}))


def basic(password, user="vendor"):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def asking(start):
    return start(access=ASKING)


@pytest.mark.parametrize("address", ADDRESSES)
def test_pages_without_a_password_are_closed(start, address):
    answer = start(access=PagesAccess(hosts=OPEN.hosts)).get(address)
    assert answer.status_code == 403
    assert "PASSWORD_FILE" in answer.text


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "via", "x-real-ip"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_open_pages_are_closed_behind_a_proxy(receiver, address, header):
    assert receiver.get(address, **{header: "203.0.113.9"}).status_code == 403


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("access", [ASKING, OPEN])
@pytest.mark.parametrize("host", ["rebound.example", "127.0.0.1.example", "", "[::1", "a b"])
def test_a_foreign_host_is_refused_whatever_the_password(start, address, access, host):
    answer = start(access=access).get(address, host=host, authorization=basic(PASSWORD))
    assert answer.status_code == 421
    assert "--host" in answer.text


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("localhost", True), ("LOCALHOST:8443", True), ("127.0.0.1:8443", True), ("[::1]:1", True),
        ("usage.vendor.example:443", True), ("usage.vendor.example.", True), ("10.0.0.8", True),
        ("a.pages.example", True), ("a.b.pages.example", False), ("pages.example", False),
        ("10.0.0.9", False), ("vendor.example", False), ("x@localhost", False),
        ("localhost:x", False), ("[localhost]", False), ("localhost:1:1", False),
        ("127.0.0.1\\n", False),
    ],
)  # fmt: skip
def test_ours_are_loopback_and_what_is_known(host, ours):
    assert is_ours(host, {"usage.vendor.example", "*.pages.example", "10.0.0.8"}) is ours


def test_the_password_opens_the_pages_for_any_user(asking):
    for user in ("vendor", "", "ann"):
        assert asking.get("/", authorization=basic(PASSWORD, user)).status_code == 200


@pytest.mark.parametrize(
    "header",
    [basic("wrong"), basic(""), "Basic ???", "Bearer x", "Basic", "", b"Basic \xff", b"\xff",
     "Basic " + base64.b64encode(b"\xff:\xff").decode(), "Basic " + "A" * 9000],
)  # fmt: skip
def test_anything_else_is_asked_for_the_password(asking, header):
    answer = asking.request("GET", "/", headers=[("authorization", header)])
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_wrong_passwords_make_wait_and_nothing_is_looked_at_before(asking, clock):
    for _ in range(FREE):
        assert asking.get("/", authorization=basic("wrong")).status_code == 401
    answer = asking.get("/", authorization=basic(PASSWORD))
    assert answer.status_code == 429
    clock.now_s += int(answer.headers["retry-after"])
    assert asking.get("/", authorization=basic(PASSWORD)).status_code == 200


def test_who_asks_without_a_password_is_not_slowed_down(asking):
    assert {asking.get("/").status_code for _ in range(3 * FREE)} == {401}


def test_a_wrong_password_is_logged_without_it(asking):
    with structlog.testing.capture_logs() as logs:
        asking.get("/", authorization=basic("hunter2", user="also-secret"))
    (line,) = [line for line in logs if line["event"] == "wrong password"]
    assert (line["log_level"], line["client"], line["wrong"]) == ("warning", "127.0.0.1", 1)
    assert "hunter2" not in str(logs)
    assert "also-secret" not in str(logs)


def test_each_wrong_password_doubles_the_wait_up_to_five_minutes():
    guesses, now_s, waits = Guesses(), 0, []
    for _ in range(FREE + 12):
        guesses.wrong("192.0.2.1", now_s)
        waits.append(guesses.wait_s("192.0.2.1", now_s))
        now_s += waits[-1]
    assert waits[: FREE + 3] == [0, 0, 1, 2, 4, 8]
    assert waits[-1] == LONGEST_WAIT_S


def test_one_client_s_wrong_passwords_hold_up_no_other():
    guesses = Guesses()
    for _ in range(20):
        guesses.wrong("192.0.2.1", 0)
    assert guesses.wait_s("192.0.2.2", 0) == 0
    assert guesses.wait_s("192.0.2.1", 0) > 0


def test_an_ipv6_network_is_one_client():
    guesses = Guesses()
    for number in range(FREE):
        guesses.wrong(f"2001:db8::{number + 1}", 0)
    assert guesses.wait_s("2001:db8::ffff", 0) > 0
    assert guesses.wait_s("2001:db8:0:1::1", 0) == 0


def test_guessers_with_many_addresses_are_slowed_down_but_nobody_who_knows_it():
    guesses = Guesses()
    guesses.right("192.0.2.200")
    for number in range(FREE_TOGETHER + 3):
        guesses.wrong(f"198.51.100.{number}", 0)
    assert guesses.wait_s("203.0.113.1", 0) == 5
    assert guesses.wait_s("192.0.2.200", 0) == 0


def test_a_clock_that_was_put_back_locks_nobody_out():
    guesses = Guesses()
    for _ in range(20):
        guesses.wrong("192.0.2.1", 1_000_000)
    assert guesses.wait_s("192.0.2.1", 0) == 0


def test_reports_are_taken_whoever_may_see_the_pages(start):
    receiver = start(access=PagesAccess())
    assert receiver.put_key(Customer().enrolment).status_code == 201
    assert receiver.get("/healthz").status_code == 200
