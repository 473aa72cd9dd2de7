"""Receipts files beside what is verified: ``bundle verify`` and ``report verify`` judge alike."""

import json

import pytest

from licenseusage.cli import bundle, report
from licenseusage.cli.documents import MAX_BYTES
from tests.cli.test_vectors import At
from tests.receiver.people import (
    ANCHOR,
    DAY,
    VENDOR_KEYS,
    Customer,
    FixedClock,
    Receiver,
    key,
    published,
)


@pytest.fixture(scope="module")
def receipts(tmp_path_factory):
    """What the vendor answers to a bundle of an enrolment and two reports; by another key, too."""
    customer = Customer()
    data = customer.bundle(*customer.chain(2))
    answers = []
    for name, changes in {
        "known": {},
        "other": {"receipt_key": key("other"), "vendor_keys": published(key("other"))},
    }.items():
        folder = tmp_path_factory.mktemp(name)
        receiver = Receiver(f"sqlite:///{folder}/receiver.sqlite", FixedClock(), **changes)
        answers.append(receiver.post_bundle(data).text.splitlines())
        receiver.close()
    return answers


@pytest.fixture(params=["bundle", "report"])
def verify(run, request, tmp_path, monkeypatch):
    for module in (bundle, report):
        monkeypatch.setattr(module, "clock_from", lambda _env: At(ANCHOR + 90 * DAY))
    customer = Customer()
    reports = customer.chain(2)
    (tmp_path / "jwks.json").write_text(VENDOR_KEYS.to_jwks())
    (tmp_path / "x.usage-bundle").write_text(customer.bundle(*reports))
    (tmp_path / "reports.jwt").write_text("\n".join(reports))
    (tmp_path / "enrolment.jwt").write_text(customer.enrolment)
    given = {
        "bundle": ("x.usage-bundle",),
        "report": ("reports.jwt", "--enrolment", "enrolment.jwt"),
    }[request.param]

    def verify(content):
        (tmp_path / "receipts.txt").write_bytes(content)
        done = run(
            *(request.param, "verify", *given, "--vendor-keys", "jwks.json"),
            *("--receipt", "receipts.txt", "--output", "json"),
        )
        checks = json.loads(done.out)["checks"] if done.out else []
        return done, {
            (check["document"], check["reason"]) for check in checks if check["result"] == "FAILED"
        }

    return verify


def file(lines):
    return "".join(f"{line}\n" for line in lines).encode()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (0, 1, 1, 2)])
def test_receipts_in_any_order_and_twice_are_in_order(verify, receipts, order):
    done, failed = verify(file(receipts[0][number] for number in order))
    assert (done.code, failed) == (0, set())


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda line: line[:-42], "SignatureInvalid"),
        (lambda line: line[:100], "MalformedToken"),
        (lambda line: "hello", "MalformedToken"),
        (lambda line: line[:200] + ("A" if line[200] != "A" else "B") + line[201:], None),
        (lambda line: Customer().report(), "UnsupportedType"),
    ],
    ids=["cut-in-the-signature", "cut-in-the-payload", "other-text", "edited", "a-report"],
)
def test_a_bad_line_is_named_and_the_others_are_judged(verify, receipts, damage, error):
    good = receipts[0]
    done, failed = verify(file([good[0], damage(good[1]), good[2]]))
    assert done.code == 1
    ((document, reason),) = failed
    assert "receipts.txt:2" in document or document.endswith((":3", "reports.jwt:1"))
    assert error is None or reason == error


def test_a_receipt_by_an_unknown_key_is_named(verify, receipts):
    good, other = receipts
    done, failed = verify(file([good[0], other[1], good[2]]))
    assert done.code == 1
    ((_, reason),) = failed
    assert reason == "KeyUnknown"


def test_a_file_that_holds_no_receipt_at_all_is_one_bad_document(verify):
    done, failed = verify(b"<html>a portal</html>\n")
    assert done.code == 1
    assert failed == {("receipts.txt", "MalformedToken")}


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "NoDocument"),
        (b"\xff\xfe\x00", "FileUnreadable"),
        (bytes(MAX_BYTES + 1), "FileUnreadable"),
    ],
    ids=["empty", "not-text", "oversized"],
)
def test_a_file_that_cannot_be_read_is_an_error(verify, content, error):
    done, _ = verify(content)
    assert done.code == 3
    assert done.err.startswith(f"error: {error}: receipts.txt")
