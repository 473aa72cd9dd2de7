"""What is no proper request, sent to a real process: refused, in one line, and nobody else notices.

The table is of octets as a socket carries them; nothing here goes through an HTTP client.
"""

import re
import socket
import time
from contextlib import ExitStack

import httpx
import pytest

from licenseusage.receiver.server import CONNECTIONS
from tests.receiver.people import Customer, error_of
from tests.receiver.processes import Process

PUT = (
    b"PUT /v1/reports/" + b"0" * 32 + b"-0000000001 HTTP/1.1\r\nHost: x\r\n"
    b"Content-Type: application/jose\r\nConnection: close\r\n"
)

POST = b"POST /v1/bundles HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nConnection: close\r\n"


def get(path, *headers):
    return b"\r\n".join([b"GET %s HTTP/1.1" % path, *headers, b"Connection: close", b"", b""])


REQUESTS = {
    "password beyond ASCII": (get(b"/", b"Host: localhost", b"Authorization: Basic \xff"), 401),
    "password of no base64": (get(b"/", b"Host: localhost", b"Authorization: Basic ?"), 401),
    "two passwords": (get(b"/", b"Host: localhost", *[b"Authorization: Basic eDp4"] * 2), 401),
    "no host": (b"GET / HTTP/1.0\r\n\r\n", 421),
    "foreign host": (get(b"/", b"Host: rebound.example"), 421),
    "unfinished host": (get(b"/", b"Host: [::1"), 421),
    "host beyond ASCII": (get(b"/nothing", b"Host: \xff"), 404),
    "two hosts": (get(b"/", b"Host: localhost", b"Host: x"), 400),
    "port beyond all ports": (get(b"/nothing", b"Host: a:99999999"), 404),
    "path that is no UTF-8": (get(b"/chains/%ff", b"Host: localhost"), 401),
    "path with a null": (get(b"/nothing%00%0a", b"Host: [::1"), 404),
    "path of two slashes": (get(b"//rebound.example/x", b"Host: localhost"), 404),
    "absolute address": (get(b"http://rebound.example/", b"Host: localhost"), 404),
    "authority as address": (b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
    "options of everything": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
    "query that is no UTF-8": (get(b"/?page=%ff", b"Host: localhost"), 401),
    "query beyond ASCII": (get(b"/?page=\xff", b"Host: localhost"), 400),
    "number of another script": (get(b"/?page=%D9%A3", b"Host: localhost"), 401),
    "another protocol": (get(b"/nothing", b"Host: x", b"Upgrade: websocket"), 404),
    "TLS to a plain port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "empty lines": (b"\r\n\r\n\r\n\r\n", 400),
    "a version from elsewhere": (b"GET / HTTP/9.9\r\nHost: x\r\nConnection: close\r\n\r\n", 421),
    "a very long line": (b"A" * 70_000, 400),
    "a very long header": (get(b"/", b"Host: x", b"X: " + b"a" * 70_000), 421),
    "very many headers": (get(b"/", b"Host: x", *[b"X: a"] * 9000), 421),
    "a body nobody asked for": (get(b"/nothing", b"Host: x", b"Content-Length: 0"), 404),
    "a broken chunk": (PUT + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", 400),
    "a broken second chunk": (PUT + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\nZZ\r\n", 400),
    "a broken chunk nobody reads": (
        get(b"/nothing", b"Host: x", b"Transfer-Encoding: chunked") + b"ZZ\r\n",
        400,
    ),
    "a broken chunk for the database": (
        get(b"/healthz", b"Host: x", b"Transfer-Encoding: chunked") + b"ZZ\r\n",
        400,
    ),
    "a coding that is unknown": (PUT + b"Transfer-Encoding: gzip\r\n\r\nabc", 400),
    "two lengths": (PUT + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", 400),
    "length and chunks": (
        PUT + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "a negative length": (PUT + b"Content-Length: -1\r\n\r\n", 400),
    "an endless length": (PUT + b"Content-Length: " + b"9" * 30 + b"\r\n\r\nabc", 400),
    "a length beyond the limit": (PUT + b"Content-Length: 99999999\r\n\r\nabc", 413),
    "no body": (PUT + b"\r\n", 400),
    "no document": (PUT + b"Content-Length: 3\r\n\r\nabc", 400),
    "octets": (PUT + b"Content-Length: 3\r\n\r\n\xff\x00\xfe", 400),
    "three dots": (PUT + b"Content-Length: 3\r\n\r\n...", 400),
    "a body to be continued": (PUT + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc", 400),
    "a bundle that is none": (POST + b"Content-Length: 99999\r\n\r\nGET / HTTP/1.1\r\n\r\n", 400),
    "a bundle without a line end": (
        POST + b"Content-Length: 9999999\r\n\r\n" + b"a" * 9000,
        400,
    ),
    "a bundle beyond the limit": (POST + b"Content-Length: 99999999\r\n\r\nabc", 413),
    "a bundle of octets": (POST + b"Content-Length: 4\r\n\r\n\xff\x00\xfe\n", 400),
    "a form from nobody": (POST.replace(b"/v1", b"") + b"Content-Length: 3\r\n\r\nabc", 421),
    "a type beyond ASCII": (
        PUT.replace(b"application/jose", b"\xff\xfe;\xff") + b"Content-Length: 1\r\n\r\nx",
        415,
    ),
    "a proxy that says nonsense": (
        PUT + b"X-Forwarded-For: \xff, [::1\r\nX-Forwarded-Proto: \xff\r\n"
        b"Content-Length: 1\r\n\r\nx",
        400,
    ),
    "very many proxies": (
        PUT + b"X-Forwarded-For: " + b"1," * 4000 + b"\r\nContent-Length: 1\r\n\r\nx",
        400,
    ),
}
"""What is sent, and the status of its answer."""


@pytest.fixture
def process(tmp_path, keys):
    (tmp_path / "password").write_text("correct horse")
    process = Process(tmp_path, keys, "--pages-password-file", tmp_path / "password")
    yield process
    process.stop()


def connect(process):
    return socket.create_connection(("127.0.0.1", process.port), timeout=20)


def answer(process, octets):
    with connect(process) as client:
        client.sendall(octets)
        parts = []
        try:
            while part := client.recv(65_536):
                parts.append(part)
        except ConnectionResetError:
            pass  # it was refused before all of it was read
    return b"".join(parts)


def statuses(octets):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", octets)]


def exceptions(process):
    return [line for line in process.lines if "exception" in line or "Traceback" in str(line)]


def test_whatever_is_sent_is_answered_by_a_refusal_and_never_fails(process):
    seen = {name: statuses(answer(process, octets)) for name, (octets, _) in REQUESTS.items()}
    final = {name: [one for one in found if one != 100] for name, found in seen.items()}
    assert final == {name: [status] for name, (_, status) in REQUESTS.items()}
    assert exceptions(process) == []
    assert httpx.get(f"{process.url}/healthz", trust_env=False).status_code == 200


def test_requests_one_after_the_other_in_one_go_are_all_answered(process):
    several = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" * 20 + get(b"/nothing", b"Host: x")
    assert statuses(answer(process, several)) == [404] * 21


@pytest.mark.parametrize(
    "begun", [b"Content-Length: 100\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"]
)
def test_a_cut_upload_is_one_quiet_line(process, begun):
    with connect(process) as client:
        client.sendall(PUT.replace(b"Connection: close\r\n", b"") + begun)
    line = process.await_line(lambda line: line.get("error") == "RequestCut")
    assert line["level"] == "info"
    assert exceptions(process) == []
    assert len(process.lines) == len([one for one in process.lines if one["level"] == "info"])


def test_connections_that_say_nothing_cost_nobody_an_answer(process):
    with ExitStack() as idle:
        for number in range(CONNECTIONS + 10):
            client = idle.enter_context(connect(process))
            if number % 2:
                client.sendall(b"PUT /v1/rep")  # a head that never ends
        for _ in range(3):
            assert httpx.get(f"{process.url}/healthz", trust_env=False).status_code == 200
    assert exceptions(process) == []


FULL_BYTES = 700 * 1024


def test_a_full_disk_is_a_503_and_said_by_healthz_and_everything_else_goes_on(tmp_path, keys):
    """A real one, to the process: no file may grow any further."""
    process = Process(tmp_path, keys, "--open-pages", max_file_bytes=FULL_BYTES)
    try:
        with httpx.Client(base_url=process.url, trust_env=False) as client:
            assert client.get("/healthz").status_code == 200
            answers = []
            deadline = time.monotonic() + 60
            while not answers or answers[-1].status_code != 503:
                assert time.monotonic() < deadline
                customer = Customer(f"customer {len(answers)}")
                put = {"content-type": "application/jose"}
                jti = f"/v1/keys/{customer.key_chain}-0000000001"
                answers.append(client.put(jti, content=customer.enrolment, headers=put))
            assert {one.status_code for one in answers[:-1]} == {201}
            assert error_of(answers[-1]) == "VendorUnavailable"
            assert int(answers[-1].headers["retry-after"]) > 0
            process.await_line(lambda line: line.get("reason") == "DatabaseUnavailable")
            deadline = time.monotonic() + 30
            while (health := client.get("/healthz")).status_code == 200:
                assert time.monotonic() < deadline  # the last answer is given for some seconds
            assert (health.status_code, error_of(health)) == (503, "VendorUnavailable")
            assert client.get("/").status_code == 200
            again = client.put(jti, content=customer.enrolment, headers=put)
            assert again.status_code == 503
        assert exceptions(process) == []
    finally:
        process.stop()
