"""``bundle show`` and ``bundle verify``: who, which cycles, and a verdict for each line."""

import json

import pytest

from licenseusage.cli import bundle as command
from licenseusage.reasons import Reason
from licenseusage.reports.bundle import Parties, make_bundle
from licenseusage.reports.receipt import ReceiptVerdict
from tests.cli.test_vectors import At
from tests.receiver.people import ANCHOR, DAY, VENDOR_KEYS, Customer, FixedClock, Receiver, chain_id

NOW_S = ANCHOR + 90 * DAY


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(command, "clock_from", lambda _env: At(NOW_S))


@pytest.fixture
def customer(tmp_path):
    (tmp_path / "jwks.json").write_text(VENDOR_KEYS.to_jwks())
    return Customer()


@pytest.fixture
def pack(tmp_path, customer):
    """Write a bundle as the sender makes it."""

    def pack(*reports, statements=None, change=lambda data: data):
        parties = Parties.of(customer.enrolment)
        (data,) = make_bundle(
            parties,
            customer.signer,
            key_statements=(customer.enrolment,) if statements is None else statements,
            reports=reports,
            now_s=ANCHOR + 70 * DAY,
        )
        path = tmp_path / "x.usage-bundle"
        path.write_bytes(change(data.encode()))
        return path.name

    return pack


def verify(run, file, *more):
    done = run("bundle", "verify", file, "--vendor-keys", "jwks.json", *more, "-o", "json")
    return done.code, json.loads(done.out)


def failed(answer):
    return {
        tuple(check["lines"]): check["reason"]
        for check in answer["checks"]
        if check["result"] == "FAILED"
    }


def test_show_says_who_and_which_cycles_and_that_nothing_is_verified(run, pack, customer):
    done = run("bundle", "show", pack(*customer.chain(3)))
    assert done.code == 0
    assert done.out.startswith("x.usage-bundle (not verified)\n")
    for words in (
        customer.first.installation,
        "sub-1",
        "https://vendor.example",
        "2026-03-12T00:00:00Z",
        "1 enrolment, 0 successions, 3 reports",
        "cycle 0, 2026-01-01 to 2026-01-31: 41 active users (1 interim, 1 final)",
        "cycle 1, 2026-01-31 to 2026-03-02: 42 active users, provisional (1 interim)",
    ):
        assert words in done.out


def test_show_lists_every_line(run, pack, customer):
    succession = customer.rotate("second key")
    file = pack(customer.report(), statements=(customer.enrolment, succession))
    rows = [line.split() for line in run("bundle", "show", file).out.splitlines()]
    assert [row[:3] for row in rows if row and row[0].isdecimal()] == [
        ["2", "enrolment", "1"],
        ["3", "succession", "2"],
        ["4", "interim", "1"],
    ]


def test_show_for_programs_says_the_same(run, pack, customer):
    first, second = customer.chain(2)
    shown = json.loads(run("bundle", "show", pack(first, second), "-o", "json").out)
    assert shown["verified"] is False
    assert shown["documents"] == {"enrolment": 1, "succession": 0, "report": 2}
    (cycle,) = shown["cycles"]
    assert (cycle["usage"], cycle["kind"], cycle["activeUsers"]) == ("apps/meter", "final", 41)
    assert cycle["reports"] == {"interim": 1, "final": 1}
    assert [line["line"] for line in shown["lines"]] == [2, 3, 4]
    assert shown["lines"][1]["id"] == f"{chain_id(first)}-0000000001"


def test_amendment_is_the_value_of_its_cycle(run, pack, customer):
    final = customer.report(kind="final", users=41)
    amended = customer.amendment(final, final, users=40)
    assert (
        "40 active users (1 final, 1 amendment)" in run("bundle", "show", pack(final, amended)).out
    )


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda data: data[:-9], "BundleInvalid"),
        (lambda data: data.split(b"\n", 1)[1], "BundleInvalid"),
        (lambda _: b"", "BundleInvalid"),
        (lambda _: b"<html>\n", "MalformedToken"),
        (lambda data: data + b"x" * 2**24, "TooLarge"),
    ],
)
def test_show_of_what_is_no_bundle_names_the_class(run, pack, customer, change, error):
    done = run("bundle", "show", pack(customer.report(), change=change))
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(f"error: {error}: ")


def test_file_that_is_not_there_could_not_be_determined(run, customer):
    for action in ("show", "verify"):
        done = run("bundle", action, "missing")
        assert (done.code, done.err.split(": ")[1]) == (3, Reason.FILE_UNREADABLE)


def test_wrong_usage_is_2(run):
    assert run("bundle", "verify").code == 2
    assert run("bundle", "verify", "x", "--unknown").code == 2


def test_bundle_in_order_is_ok_with_the_vendors_keys_alone(run, pack, customer):
    succession = customer.rotate("second key")
    file = pack(*customer.chain(4), statements=(customer.enrolment, succession))
    code, answer = verify(run, file)
    assert (code, answer["answer"], failed(answer)) == (0, "OK", {})
    assert answer["documents"]["report"] == 4


def test_every_line_has_a_verdict(run, pack, customer):
    out = run("bundle", "verify", pack(*customer.chain(2)), "--vendor-keys", "jwks.json").out
    rows = [line.split("   ") for line in out.splitlines() if line[:1].isdecimal()]
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    assert all("ok" in [cell.strip() for cell in row] for row in rows)


def test_without_the_vendors_keys_nothing_is_determined(run, pack, customer):
    done = run("bundle", "verify", pack(*customer.chain(1)))
    assert done.code == 3
    assert "NOT DETERMINED" in done.out
    assert "--enrolment" not in done.out


def test_bad_line_is_named_and_the_others_are_still_verified(run, pack, customer, tmp_path):
    first, second = customer.chain(2)
    wrong = customer.report(second, product="other")
    code, answer = verify(run, pack(first, second, wrong))
    assert (code, failed(answer)) == (1, {(5,): "LicenseMismatch"})


def test_line_of_another_installation_is_named(run, customer, tmp_path):
    first, second = customer.chain(2)
    foreign = Customer("unknown").report()
    (tmp_path / "x.usage-bundle").write_text(customer.bundle(first, foreign, second))
    code, answer = verify(run, "x.usage-bundle")
    assert (code, failed(answer)) == (1, {(4,): "KeyUnknown"})


def test_document_that_is_carried_twice_is_no_fault(run, customer, tmp_path):
    first, second = customer.chain(2)
    (tmp_path / "x.usage-bundle").write_text(customer.bundle(first, first, second))
    assert verify(run, "x.usage-bundle")[0] == 0


def test_documents_out_of_order_are_no_fault(run, customer, tmp_path):
    (tmp_path / "x.usage-bundle").write_text(customer.bundle(*reversed(customer.chain(3))))
    assert verify(run, "x.usage-bundle", "--complete")[0] == 0


def test_two_reports_at_one_position_are_a_fault(run, customer, tmp_path):
    (tmp_path / "x.usage-bundle").write_text(
        customer.bundle(customer.report(), customer.report(users=41))
    )
    code, answer = verify(run, "x.usage-bundle")
    assert (code, list(failed(answer).values())) == (1, ["ReportConflict"])


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-9],
        lambda data: data[: data.rindex(b"\n", 0, -1) + 1],
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data[:-9] + b"x" + data[-8:],
        lambda data: data.replace(b"\n", "\u00e9\n".encode(), 1),
    ],
)
def test_damaged_file_is_not_ok_and_no_more_is_claimed(run, pack, customer, change):
    code, answer = verify(run, pack(*customer.chain(2), change=change))
    assert code == 1
    assert failed(answer)[(1,)] in ("BundleInvalid", "MalformedToken")


def test_100_mb_are_too_large_and_not_read(run, customer, tmp_path):
    with (tmp_path / "big").open("wb") as file:
        file.truncate(100_000_000)
    code, answer = verify(run, "big")
    assert (code, failed(answer)) == (1, {(1,): "TooLarge"})
    shown = run("bundle", "show", "big")
    assert shown.code == 3
    assert shown.err.startswith("error: TooLarge: ")


def test_standard_input_is_a_file(run, customer):
    done = run("bundle", "show", "-", stdin=customer.bundle(customer.report()))
    assert done.code == 0
    assert done.out.startswith("standard input (not verified)\n")


def test_tail_is_verified_with_what_was_received_before(run, pack, customer, tmp_path):
    chain = customer.chain(4)
    (tmp_path / "before.usage-bundle").write_text(customer.bundle(*chain[:2]))
    file = pack(*chain[2:])
    assert verify(run, file)[0] == 0
    assert verify(run, file, "--complete")[0] == 1
    assert verify(run, file, "--complete", "--received", "before.usage-bundle")[0] == 0


def test_receipts_file_is_checked_against_the_bundle(run, pack, customer, tmp_path):
    receiver = Receiver(f"sqlite:///{tmp_path / 'receiver.sqlite'}", FixedClock())
    first, second = customer.chain(2)
    file = pack(first, second)
    (tmp_path / "receipts.txt").write_bytes(
        receiver.post_bundle((tmp_path / file).read_bytes()).content
    )
    receiver.close()
    code, answer = verify(run, file, "--receipt", "receipts.txt")
    assert (code, failed(answer)) == (0, {})
    accepted = [check for check in answer["checks"] if check["reason"] == ReceiptVerdict.ACCEPTED]
    assert sorted(check["lines"] for check in accepted) == [[2], [3], [4]]
    other = pack(first)
    code, answer = verify(run, other, "--receipt", "receipts.txt")
    assert (code, list(failed(answer).values())) == (1, ["ReceiptMismatch"])


def test_hostile_names_do_not_reach_the_terminal(run, customer, tmp_path):
    (tmp_path / "x.usage-bundle").write_text(customer.bundle(sub="\x1b[2Jsub"))
    for done in (
        run("bundle", "show", "x.usage-bundle"),
        run("bundle", "verify", "x.usage-bundle"),
    ):
        assert done.code != 0
        assert "\x1b" not in done.out + done.err
