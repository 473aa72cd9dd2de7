"""The receiver as its users run it: settings, TLS, a real process."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from licenseusage.errors import Stalled
from licenseusage.receiver.access import PagesAccess
from licenseusage.receiver.settings import (
    Address,
    Certificate,
    VendorFiles,
    access_for,
    certificate_for,
)
from licenseusage.reports.keys import VendorKey, VendorKeys
from licenseusage.reports.receipt import Sent, verify_receipt
from licenseusage.reports.typs import LICENSE, RECEIPT
from tests.receiver.people import (
    LICENCE_KEY,
    RECEIPT_KEY,
    VENDOR_KEYS,
    Customer,
    jti,
    key,
    published,
)
from tests.receiver.processes import LICENSEUSAGE, Process
from tests.receiver.tls import write_certificate

LOCAL, ANYWHERE = Address("127.0.0.1", 8443), Address("0.0.0.0", 8443)


@pytest.mark.parametrize(
    ("text", "host", "port", "local"),
    [
        ("127.0.0.1:8443", "127.0.0.1", 8443, True),
        ("127.8.8.8:1", "127.8.8.8", 1, True),
        ("localhost:0", "localhost", 0, True),
        ("[::1]:8443", "::1", 8443, True),
        ("0.0.0.0:8443", "0.0.0.0", 8443, False),
        ("[::]:8443", "::", 8443, False),
    ],
)
def test_address(text, host, port, local):
    address = Address.parse(text)
    assert (address.host, address.port, address.local) == (host, port, local)


@pytest.mark.parametrize(
    "text", ["", "8443", ":8443", "127.0.0.1", "host:x", "example.com:1", "::1:8443", "a@[::1]:1",
             "127.0.0.1:1/x", "127.0.0.1:99999", "[::1:8443"]
)  # fmt: skip
def test_address_that_is_none_is_refused(text):
    with pytest.raises(Stalled, match=r"8443") as caught:
        Address.parse(text)
    assert caught.value.reason == "SettingsInvalid"


def test_plain_http_is_for_loopback_only():
    certificate, private = Path("c"), Path("k")
    assert certificate_for(LOCAL, None, None) is None
    assert certificate_for(ANYWHERE, certificate, private) == Certificate(certificate, private)
    with pytest.raises(Stalled, match="--tls-cert and --tls-key"):
        certificate_for(ANYWHERE, None, None)
    for given in ((certificate, None), (None, private)):
        with pytest.raises(Stalled, match="go together"):
            certificate_for(LOCAL, *given)


@pytest.fixture
def made(tmp_path):
    """The folder that keygen makes."""
    command = [LICENSEUSAGE, "vendor", "keygen", "-o", tmp_path / "made"]
    subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL)
    return tmp_path / "made"


def test_keys_are_read_from_the_folder_that_keygen_makes_for_it(made):
    files = VendorFiles.read(made / "online")
    assert files.receipt_key.kid in files.published


def test_the_whole_folder_of_keygen_is_refused_since_it_holds_the_licence_key(made):
    for file in (made / "online").iterdir():
        (made / file.name).write_bytes(file.read_bytes())
    with pytest.raises(Stalled, match=r"offline/license\.jwk signs licences") as caught:
        VendorFiles.read(made)
    assert caught.value.reason == "LicenseKeyOnLine"
    assert "online/" in caught.value.message


@pytest.mark.parametrize("name", ["license.jwk", "old.jwk", "backup/key.txt", "..data/x"])
def test_a_folder_that_holds_the_licence_key_is_refused_under_whatever_name(keys, name):
    (keys / name).parent.mkdir(exist_ok=True)
    (keys / name).write_text(LICENCE_KEY.to_jwk())
    with pytest.raises(Stalled, match="signs licences") as caught:
        VendorFiles.read(keys)
    assert str(keys / name) in caught.value.message
    assert json.loads(LICENCE_KEY.to_jwk())["d"] not in caught.value.message


def test_a_receipt_key_that_may_also_sign_licences_is_refused(keys):
    both = VendorKeys([VendorKey(RECEIPT_KEY.public, frozenset({LICENSE, RECEIPT}))])
    (keys / "jwks.json").write_text(both.to_jwks())
    with pytest.raises(Stalled, match="signs licences"):
        VendorFiles.read(keys)


def test_other_files_beside_the_keys_are_left_alone(keys):
    (keys / "licenseusage-vendor-keys.yaml").write_text("kind: ConfigMap")
    (keys / "large").write_bytes(b"x" * 100_000)
    os.mkfifo(keys / "pipe")
    assert VendorFiles.read(keys).receipt_key.kid == RECEIPT_KEY.kid


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("jwks.json", None, "cannot be read"),
        ("jwks.json", "{}", "cannot be used"),
        ("receipt.jwk", None, "cannot be read"),
        ("receipt.jwk", "{}", "no receipt key"),
        ("receipt.jwk", "\xff", "no receipt key"),
        ("receipt.jwk", key("unpublished").to_jwk(), "not published"),
        ("receipt.jwk", LICENCE_KEY.to_jwk(), "not published"),
        ("jwks.json", published().to_jwks(), "not published"),
    ],
)
def test_unusable_keys_are_said_with_the_file(keys, file, content, words):
    if content is None:
        (keys / file).unlink()
    else:
        (keys / file).write_text(content)
    with pytest.raises(Stalled, match=words) as caught:
        VendorFiles.read(keys)
    assert str(keys) in caught.value.message
    assert RECEIPT_KEY.to_jwk() not in caught.value.message


def test_pages_are_closed_unless_something_opens_them(tmp_path):
    assert access_for(LOCAL, None) == PagesAccess(hosts=frozenset({"127.0.0.1"}))
    file = tmp_path / "password"
    file.write_text("secret\n")
    access = access_for(ANYWHERE, file)
    assert (access.password, access.open_pages) == ("secret", False)
    assert "secret" not in repr(access)
    assert access_for(LOCAL, None, open_pages=True).open_pages
    file.write_text("\n")
    for unusable in (file, tmp_path / "absent"):
        with pytest.raises(Stalled) as caught:
            access_for(ANYWHERE, unusable)
        assert "keygen" not in caught.value.message


def test_open_pages_are_for_loopback_and_exclude_a_password(tmp_path):
    with pytest.raises(Stalled, match="--pages-password-file, or listen on a loopback"):
        access_for(ANYWHERE, None, open_pages=True)
    with pytest.raises(Stalled, match="contradict"):
        access_for(LOCAL, tmp_path / "password", open_pages=True)


def test_hosts_are_those_given_listened_on_and_certified(tmp_path):
    certificate, _ = write_certificate(tmp_path)
    access = access_for(
        Address("10.0.0.8", 443), None, hosts=["Usage.Vendor.Example."], certificate=certificate
    )
    assert access.hosts == {"10.0.0.8", "usage.vendor.example", "127.0.0.1"}


def test_process_serves_https_and_stops_on_request(tmp_path, keys):
    certificate, private = write_certificate(tmp_path)
    process = Process(tmp_path, keys, "--tls-cert", certificate, "--tls-key", private)
    customer = Customer()
    trust = ssl.create_default_context(cafile=str(certificate))
    put = {"content-type": "application/jose"}
    # The licence of the tests is for 2026; the machine's clock may be anywhere after.
    try:
        with httpx.Client(base_url=process.url, verify=trust, trust_env=False) as client:
            assert process.url.startswith("https://")
            assert client.get("/").status_code == 403
            assert client.get("/docs").status_code == 200
            answer = client.put(
                f"/v1/keys/{jti(customer.enrolment)}", content=customer.enrolment, headers=put
            )
            if answer.status_code == 201:
                verify_receipt(answer.text, VENDOR_KEYS, Sent.from_token(customer.enrolment))
            else:
                assert answer.json()["error"] == "LicenseExpired"
            assert "server" not in answer.headers
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            httpx.get(process.url.replace("https", "http"), trust_env=False)
    finally:
        code = process.stop()
    assert code in (0, -signal.SIGTERM)
    log = process.log.read_text()
    assert '"verdict": "Accepted"' in log or "LicenseExpired" in log
    assert "Traceback" not in log


def test_a_renewed_certificate_is_shown_to_new_connections_and_old_ones_go_on(tmp_path, keys):
    fresh = tmp_path / "renewed"
    fresh.mkdir()
    certificate, private = write_certificate(tmp_path)
    process = Process(tmp_path, keys, "--tls-cert", certificate, "--tls-key", private)
    first = ssl.create_default_context(cafile=str(certificate))
    try:
        with httpx.Client(base_url=process.url, verify=first, trust_env=False) as old:
            assert old.get("/docs").status_code == 200
            for new, path in zip(write_certificate(fresh), (certificate, private), strict=True):
                os.utime(new, ns=(1, 1))  # another time, whatever the file system's clock shows
                new.rename(path)
            second = ssl.create_default_context(cafile=str(certificate))
            with httpx.Client(base_url=process.url, verify=second, trust_env=False) as client:
                assert client.get("/docs").status_code == 200
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                httpx.get(f"{process.url}/docs", verify=first, trust_env=False)
            assert old.get("/docs").status_code == 200
    finally:
        process.stop()


def test_process_behind_a_proxy_speaks_http_and_is_stopped_by_ctrl_c(tmp_path, keys):
    process = Process(tmp_path, keys)
    try:
        assert process.url.startswith("http://")
        healthy = httpx.get(f"{process.url}/healthz", trust_env=False)
        behind = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}
        refused = httpx.get(f"{process.url}/", headers=behind, trust_env=False)
        problem = httpx.get(f"{process.url}/nothing", headers=behind, trust_env=False).json()
    finally:
        code = process.stop(signal.SIGINT)
    assert healthy.status_code == 200
    assert refused.status_code == 403
    assert problem["type"].startswith("https://127.0.0.1")
    assert code == 0
    assert "Traceback" not in process.log.read_text()


def test_a_failure_that_nobody_foresaw_shows_frames_and_a_fix_but_no_variables(tmp_path, keys):
    broken = """
import sys, uvicorn
def run(self, sockets):
    report_of_a_customer = "secret-of-ann"
    raise OSError("broken")
uvicorn.Server.run = run
from licenseusage.cli import main
main()
"""
    database = f"sqlite:///{tmp_path / 'receiver.sqlite'}"
    done = subprocess.run(
        [sys.executable, "-c", broken, "receiver", "--keys", keys, "--database-url", database],
        env={"PATH": "/usr/bin", "LICENSEUSAGE_RECEIVER_ADDRESS": "127.0.0.1:0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("{")]
    said = json.loads(line)
    assert (done.returncode, said["message"]) == (3, "the receiver failed")
    assert said["exception"][0]["frames"][-1]["name"] == "run"
    assert "report this line" in said["fix"]
    assert "secret-of-ann" not in done.stderr


def begin(keys: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [LICENSEUSAGE, "receiver", "--keys", keys, *arguments],
        env={"PATH": "/usr/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_unusable_settings_end_in_one_line_without_a_traceback(tmp_path, keys):
    certificate, _ = write_certificate(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        no_key = ("--tls-cert", certificate, "--tls-key", keys / "receipt.jwk")
        database = ("--database-url", f"sqlite:///{tmp_path / 'receiver.sqlite'}")
        attempts = [
            begin(keys, "--address", "0.0.0.0:8443"),
            begin(keys, "--address", f"127.0.0.1:{port}"),
            begin(keys, "--address", "127.0.0.1:0", *no_key, *database),
        ]
        for attempt in attempts:
            _, said = attempt.communicate(timeout=60)
            assert attempt.returncode == 3, said
            assert re.fullmatch(r"error: SettingsInvalid: .+\n", said), said
