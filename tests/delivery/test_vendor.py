"""The HTTPS client, against a real server that misbehaves on purpose (REPORT_FORMAT §9)."""

import asyncio
import gzip
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
import structlog

from licenseusage.delivery import vendor
from licenseusage.delivery.outcome import Answer, NoAnswer
from licenseusage.delivery.vendor import Proxy, VendorClient, check_endpoint
from licenseusage.errors import Stalled
from licenseusage.reports.typs import ENROLMENT, REPORT
from tests.delivery.tlsserver import answering, make_authority, serving

JTI = "0" * 32 + "-0000000001"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return make_authority(tmp_path_factory.mktemp("ca"))


@asynccontextmanager
async def client_for(authority, **more):
    client = VendorClient(ca_file=authority.ca_file if authority else None, **more)
    try:
        yield client
    finally:
        await client.aclose()


async def put(authority, handler, typ=REPORT):
    async with serving(authority, handler) as url, client_for(authority) as client:
        return await client.put(url, typ, JTI, "a.b.c")


@pytest.mark.parametrize(("typ", "path"), [(REPORT, "reports"), (ENROLMENT, "keys")])
async def test_put_sends_the_token_as_it_is_to_the_path_of_its_type(authority, typ, path):
    seen = []

    async def handler(request, writer):
        seen.append(request)
        await answering("201 Created", "content-type: application/jose", body=b"x.y.z")(
            request, writer
        )

    answer = await put(authority, handler, typ)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(f"PUT /v1/{path}/{JTI} HTTP/1.1".encode())
    assert b"content-type: application/jose" in head.lower()
    assert b"authorization" not in head.lower()
    assert b"cookie" not in head.lower()
    assert body == b"a.b.c"
    assert answer == Answer(201, "application/jose", b"x.y.z")


async def test_an_endpoint_with_a_path_keeps_it(authority):
    seen = []

    async def handler(request, writer):
        seen.append(request)
        await answering("404 Not Found")(request, writer)

    async with serving(authority, handler) as url, client_for(authority) as client:
        await client.put(url + "/usage/", REPORT, JTI, "a.b.c")
    assert seen[0].startswith(f"PUT /usage/v1/reports/{JTI} ".encode())


async def test_redirects_are_not_followed(authority):
    answer = await put(authority, answering("307 Temporary Redirect", "location: https://x/"))
    assert isinstance(answer, Answer)
    assert answer.status == 307


async def test_cookies_are_not_kept(authority):
    seen = []

    async def handler(request, writer):
        seen.append(request)
        await answering("503 Unavailable", "set-cookie: id=1; Path=/")(request, writer)

    async with serving(authority, handler) as url, client_for(authority) as client:
        await client.put(url, REPORT, JTI, "a.b.c")
        await client.put(url, REPORT, JTI, "a.b.c")
    assert len(seen) == 2
    assert b"id=1" not in seen[1]


async def test_retry_after_is_handed_on(authority):
    answer = await put(authority, answering("429 Slow down", "retry-after: 77"))
    assert answer == Answer(429, "", b"", "77")


@pytest.mark.parametrize(("size", "kept"), [(64 * 1024, 64 * 1024), (64 * 1024 + 1, 0)])
async def test_an_answer_is_read_up_to_64_kib(authority, size, kept):
    answer = await put(authority, answering("200 OK", body=b"x" * size))
    assert isinstance(answer, Answer)
    assert (answer.status, len(answer.body)) == (200, kept)


async def test_an_endless_answer_is_cut_off(authority):
    async def handler(request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(10_000):
            writer.write(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
            await writer.drain()

    answer = await put(authority, handler)
    assert answer == Answer(200, "", b"")


async def test_a_compressed_answer_is_not_unpacked(authority):
    bomb = gzip.compress(b"\0" * 10_000_000)
    answer = await put(authority, answering("200 OK", "content-encoding: gzip", body=bomb))
    assert answer == Answer(200, "", b"")


async def test_an_unknown_certificate_authority_is_refused(authority):
    async with serving(authority, answering("201 Created")) as url, client_for(None) as client:
        answer = await client.put(url, REPORT, JTI, "a.b.c")
    assert isinstance(answer, NoAnswer)
    assert answer.reason == "TLSFailed"


async def test_a_certificate_of_another_name_is_refused(authority):
    async with serving(authority, answering("201 Created")) as url, client_for(authority) as client:
        port = url.rsplit(":", 1)[1]
        answer = await client.put(f"https://ip6-localhost.test:{port}", REPORT, JTI, "a.b.c")
        wrong = await client.put(f"https://127.0.0.2:{port}", REPORT, JTI, "a.b.c")
    assert isinstance(answer, NoAnswer)
    assert isinstance(wrong, NoAnswer)
    assert wrong.reason in {"TLSFailed", "EndpointUnreachable"}


async def test_a_server_without_tls_is_refused(authority):
    async def plain(reader, writer):
        writer.write(b"HTTP/1.1 201 Created\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server, client_for(authority) as client:
        port = server.sockets[0].getsockname()[1]
        answer = await client.put(f"https://127.0.0.1:{port}", REPORT, JTI, "a.b.c")
    assert isinstance(answer, NoAnswer)
    assert answer.reason == "TLSFailed"


async def test_a_server_that_never_shakes_hands_is_given_up_in_time(authority, monkeypatch):
    monkeypatch.setattr(vendor, "CONNECT_SECONDS", 0.2)
    async with serving(None, answering("201 Created")) as url, client_for(authority) as client:
        answer = await client.put(url, REPORT, JTI, "a.b.c")
    assert answer == NoAnswer("Timeout", "no connection within 0.2 s")


async def test_nobody_listening_is_unreachable(authority):
    async with serving(authority, answering("200 OK")) as url:
        pass
    async with client_for(authority) as client:
        answer = await client.put(url, REPORT, JTI, "a.b.c")
    assert isinstance(answer, NoAnswer)
    assert answer.reason == "EndpointUnreachable"


@pytest.mark.parametrize(
    "cut",
    [
        b"",
        b"HTTP/1.1 201",
        b"HTTP/1.1 201 Created\r\ncontent-length: 50\r\n\r\nabc",
        b"\0\1garbage",
    ],
    ids=["at once", "status", "body", "garbage"],
)
async def test_a_cut_answer_is_no_answer(authority, cut):
    async def handler(request, writer):
        writer.write(cut)
        await writer.drain()

    answer = await put(authority, handler)
    assert isinstance(answer, NoAnswer)
    assert answer.reason == "EndpointUnreachable"


async def test_a_silent_server_is_given_up_in_time(authority, monkeypatch):
    monkeypatch.setattr(vendor, "TOTAL_SECONDS", 0.2)
    release = asyncio.Event()

    async def handler(request, writer):
        await release.wait()

    async with serving(authority, handler) as url, client_for(authority) as client:
        answer = await client.put(url, REPORT, JTI, "a.b.c")
        release.set()
    assert isinstance(answer, NoAnswer)
    assert answer.reason == "Timeout"


async def test_a_trickling_answer_is_given_up_in_time(authority, monkeypatch):
    monkeypatch.setattr(vendor, "TOTAL_SECONDS", 0.3)

    async def handler(request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(100):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    answer = await put(authority, handler)
    assert answer == NoAnswer("Timeout", "no answer within 0.3 s")


@pytest.mark.parametrize(
    "url",
    [
        "http://usage.vendor.example",
        "https://",
        "usage.vendor.example",
        "https://user:secret@usage.vendor.example",
        "https://usage.vendor.example/?a=b",
        "https://usage.vendor.example/#x",
        "file:///etc/passwd",
    ],
)
def test_an_endpoint_that_is_not_plain_https_is_refused(url):
    with pytest.raises(Stalled) as caught:
        check_endpoint(url)
    assert caught.value.reason == "SettingsInvalid"
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_ca_file_without_a_certificate_is_named(tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Stalled, match=r"ca\.pem"):
        VendorClient(ca_file=path)


async def test_an_authority_that_is_replaced_while_running_is_the_one_that_is_trusted(tmp_path):
    former, renewed = (make_authority(folder(tmp_path, name)) for name in ("former", "renewed"))
    path = tmp_path / "ca.pem"
    path.symlink_to(former.ca_file)
    ok = answering("200 OK")
    async with (
        serving(former, ok) as old,
        serving(renewed, ok) as new,
        client_for(replace(former, ca_file=path)) as client,
    ):
        assert (await client.put(old, REPORT, JTI, "a.b.c")).status == 200
        assert (await client.put(new, REPORT, JTI, "a.b.c")).reason == "TLSFailed"
        swap(path, renewed.ca_file)  # as the kubelet renews a mounted ConfigMap
        assert (await client.put(new, REPORT, JTI, "a.b.c")).status == 200
        assert (await client.put(old, REPORT, JTI, "a.b.c")).reason == "TLSFailed"


async def test_a_request_under_way_ends_although_the_authorities_change(tmp_path):
    former, renewed = (make_authority(folder(tmp_path, name)) for name in ("former", "renewed"))
    path = tmp_path / "ca.pem"
    path.symlink_to(former.ca_file)
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request, writer):
        arrived.set()
        await go_on.wait()
        await answering("200 OK")(request, writer)

    async with (
        serving(former, slow) as old,
        serving(renewed, answering("200 OK")) as new,
        client_for(replace(former, ca_file=path)) as client,
    ):
        waiting = asyncio.create_task(client.put(old, REPORT, JTI, "a.b.c"))
        await arrived.wait()
        swap(path, renewed.ca_file)
        assert (await client.put(new, REPORT, JTI, "a.b.c")).status == 200
        go_on.set()
        assert (await waiting).status == 200


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
async def test_a_ca_file_that_becomes_useless_leaves_the_former_authority_trusted(
    tmp_path, content
):
    authority = make_authority(tmp_path)
    async with (
        serving(authority, answering("200 OK")) as url,
        client_for(authority) as client,
    ):
        authority.ca_file.unlink()
        if content is not None:
            authority.ca_file.write_bytes(content)
        with structlog.testing.capture_logs() as logs:
            for _ in range(2):
                assert (await client.put(url, REPORT, JTI, "a.b.c")).status == 200
    (logged,) = logs
    assert "LICENSEUSAGE_VENDOR_CA_FILE" in logged["error"], "once, with the setting's name"


def folder(parent, name):
    made = parent / name
    made.mkdir()
    return made


def swap(link, target):
    following = link.with_suffix(".new")
    following.symlink_to(target)
    following.replace(link)


@pytest.mark.parametrize(
    ("host", "proxied"),
    [
        ("usage.vendor.example", True),
        ("vendor.internal", False),
        ("a.vendor.internal", False),
        ("xvendor.internal", True),
        ("localhost", False),
    ],
)
def test_proxy_bypass(host, proxied):
    assert Proxy("http://proxy:3128", ".vendor.internal, LOCALHOST,").serves(host) is proxied


async def test_the_proxy_is_asked_for_a_tunnel():
    seen = []

    async def proxy(reader, writer):
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        client = VendorClient(proxy=Proxy(f"http://127.0.0.1:{port}"))
        answer = await client.put("https://usage.vendor.example", REPORT, JTI, "a.b.c")
        await client.aclose()
    assert seen[0].startswith(b"CONNECT usage.vendor.example:443 ")
    assert b"a.b.c" not in seen[0]
    assert isinstance(answer, NoAnswer)


async def test_any_transport_error_is_no_answer():
    def fail(request):
        raise httpx.RemoteProtocolError("peer closed")

    client = VendorClient(transport=httpx.MockTransport(fail))
    answer = await client.put("https://v.example", REPORT, JTI, "a.b.c")
    await client.aclose()
    assert answer == NoAnswer("EndpointUnreachable", "the connection was cut")
