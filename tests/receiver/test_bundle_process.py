"""Bundles at a real process: full disks, huge files, and what stands before the receiver."""

import httpx
import pytest

from licenseusage.reports.receipt import read_receipt
from tests.receiver.people import VENDOR_KEYS, Customer
from tests.receiver.processes import Process
from tests.receiver.test_access import PASSWORD, basic
from tests.receiver.test_uploads import BOUNDARY, FORM, form

SECONDS = 120


@pytest.fixture
def run(tmp_path, keys):
    """Start a receiver; again after a stop gives one on the same database."""
    (tmp_path / "password").write_text(PASSWORD)
    running = []

    def run(**limits):
        running.append(
            Process(tmp_path, keys, "--pages-password-file", tmp_path / "password", **limits)
        )
        return running[-1]

    yield run
    for process in running:
        process.stop()


def post(process, content):
    return httpx.post(
        f"{process.url}/v1/bundles",
        content=content,
        headers={"content-type": "text/plain"},
        timeout=SECONDS,
        trust_env=False,
    )


def upload(process, content):
    return httpx.post(
        f"{process.url}/bundles",
        content=content,
        headers={"content-type": FORM, "authorization": basic(PASSWORD)},
        timeout=SECONDS,
        trust_env=False,
    )


def test_bundle_that_a_full_disk_cut_short_is_completed_by_the_same_file(run):
    customer = Customer()
    chain = [customer.report()]
    while len(chain) < 60:
        chain.append(customer.report(chain[-1]))
    data = customer.bundle(*chain)
    process = run(max_file_bytes=400_000)
    answer = post(process, data)
    assert answer.status_code == 503
    assert "Send the same file again" in upload(process, form(data)).text
    process.stop()
    process = run()
    answer = post(process, data)
    assert answer.status_code == 200
    taken = process.await_line(lambda line: line["message"] == "bundle taken")
    assert 0 < taken["known"] < taken["lines"] == 61
    receipts = [read_receipt(line, VENDOR_KEYS) for line in answer.text.splitlines()]
    assert [receipt.verdict for receipt in receipts] == ["Accepted"] * 61
    assert receipts[-1].head.sequence == 60


def test_browser_that_sends_100_mb_gets_a_page(run):
    def body():
        yield form("")[:200]
        for _ in range(100):
            yield b"a" * 1_000_000
        yield f"\r\n--{BOUNDARY}--\r\n".encode()

    answer = upload(run(), body())
    assert answer.status_code == 413
    assert "The file was not taken" in answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
