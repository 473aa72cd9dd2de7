"""``report show`` and ``report verify``: with the evidence there is, and never more than it."""

import json
from dataclasses import fields, replace

import pytest

from licenseusage.reports.content import Kind, ReportCoverage, Uncertainty
from licenseusage.reports.licence import LicenseTerms, build_license
from licenseusage.reports.names import Link
from licenseusage.reports.receipt import ReceiptVerdict, Sent
from licenseusage.reports.report import ReportInput, build_report, read_report
from tests.delivery.people import (
    INSTALLATION_KEY,
    LICENCE_KEY,
    VENDOR_KEYS,
    VendorDesk,
    enrolment,
    key,
    licence,
    reports,
)

TOKENS = reports(3)
CONTENT = read_report(TOKENS[1]).content


@pytest.fixture
def desk(tmp_path):
    """Files of a customer: vendor keys, enrolment, reports and receipts."""
    (tmp_path / "jwks.json").write_text(VENDOR_KEYS.to_jwks())
    (tmp_path / "enrolment.jwt").write_text(enrolment() + "\n")
    (tmp_path / "license.jwt").write_text(licence().token)
    vendor = VendorDesk()
    for number, token in enumerate(TOKENS, 1):
        (tmp_path / f"{number}.jwt").write_text(token)
        (tmp_path / f"{number}.receipt").write_text(vendor.receipt(token))
    return tmp_path


def usage_report(token, receipt=None, name="production-8ee9a1f2-000001"):
    status = {"delivery": "Accepted", "receipt": receipt} if receipt else {}
    return {
        "apiVersion": "licenseusage.dev/v1alpha1",
        "kind": "UsageReport",
        "metadata": {"name": name},
        "spec": {"token": token},
        "status": status,
    }


def terms():
    """The terms of the licence that the installation enrolled with."""
    return LicenseTerms(**{one.name: getattr(licence(), one.name) for one in fields(LicenseTerms)})


def checks(done):
    return {
        (check["document"], check["check"]): (check["result"], check["reason"])
        for check in json.loads(done.out)["checks"]
    }


def test_show_says_everything_in_words(run, desk):
    done = run("report", "show", "1.jwt")
    assert done.code == 0
    assert done.out.startswith("1.jwt (not verified)\n")
    for words in ("at least 1", "collab/production", "signed in", "2026-01-01T00:00:00Z"):
        assert words in done.out


def test_show_leaves_no_value_of_the_claims_out(run, desk):
    from tests.reports.conformance import TOKENS as VECTORS

    (desk / "amendment.jwt").write_text(VECTORS["report-3-amendment"])
    (desk / "full.jwt").write_text(VECTORS["report-purpose-standby"])
    out = run("report", "show", "amendment.jwt", "full.jwt").out
    for value in ("two days re-read", "NewEvidence", "Standby", "steps back 0", "offset -1 s"):
        assert value in out


def test_show_says_why_the_number_is_not_exact(run, desk):
    changes = {
        "kind": Kind.FINAL,
        "cycle": replace(CONTENT.cycle, as_of_s=CONTENT.cycle.end_s),
        "uncertainty": (Uncertainty("NoClosingPoll", 0),),
        "coverage": ReportCoverage(CONTENT.cycle.end_s - CONTENT.cycle.start_s),
    }
    (desk / "final.jwt").write_text(another(2, **changes))
    out = run("report", "show", "final.jwt").out
    assert "in words" in out
    assert "at least 2: nothing could be read completely after the cycle's end" in out


def test_show_as_json_is_the_claims(run, desk):
    shown = json.loads(run("report", "show", "2.jwt", "--output", "json").out)
    assert shown["header"]["typ"] == "usage-report+jwt"
    assert shown["claims"]["activeUsers"] == 2


def test_show_reads_objects_as_kubectl_prints_them(run):
    listed = {"kind": "List", "items": [usage_report(token) for token in TOKENS]}
    done = run("report", "show", "-", "--output", "json", stdin=json.dumps(listed))
    assert [one["claims"]["chain"]["sequence"] for one in json.loads(done.out)] == [1, 2, 3]


def test_everything_given_everything_checked(run, desk):
    done = run(
        *("report", "verify", "1.jwt", "2.jwt", "3.jwt", "--vendor-keys", "jwks.json"),
        *("--enrolment", "enrolment.jwt", "--output", "json"),
        *(word for n in (1, 2, 3) for word in ("--receipt", f"{n}.receipt")),
    )
    assert done.code == 0
    found = checks(done)
    assert set(found.values()) == {("ok", "Valid"), ("ok", "Accepted")}
    assert len(found) == 1 + 3 + 3 + 1


def test_the_table_ends_with_the_answer(run, desk):
    done = run(
        *("report", "verify", "1.jwt", "--receipt", "1.receipt", "--vendor-keys", "jwks.json"),
        *("--enrolment", "enrolment.jwt"),
    )
    assert done.code == 0
    assert "receipt verified: Accepted by https://vendor.example" in done.out
    assert done.out.endswith("\nOK\n")


def test_a_receipt_does_not_stand_for_the_signature_of_the_report(run, desk):
    done = run(
        *("report", "verify", "1.jwt", "--receipt", "1.receipt", "--vendor-keys", "jwks.json")
    )
    assert done.code == 3
    assert "receipt verified: Accepted by https://vendor.example" in done.out
    assert "not checked   needs --enrolment" in done.out
    assert done.out.endswith("\nnot checked: signature of 1.jwt\nNOT DETERMINED\n")


def test_one_signature_that_was_not_checked_is_enough_not_to_be_ok(run, desk):
    from licenseusage.cli.findings import DocumentCheck, Level, OverallResult, overall_result

    checked = DocumentCheck("1.jwt", "signature", Level.GOOD, "Valid", "")
    unchecked = DocumentCheck("2.jwt", "signature", Level.NOT_CHECKED, "NoEnrolment", "")
    assert overall_result([checked]) is OverallResult.OK
    assert overall_result([checked, unchecked]) is OverallResult.UNDETERMINED
    assert overall_result([]) is OverallResult.UNDETERMINED


def test_an_enrolment_without_the_vendors_keys_checks_no_signature(run, desk):
    done = run("report", "verify", "1.jwt", "--enrolment", "enrolment.jwt")
    assert done.code == 3
    assert "not checked: keys of enrolment.jwt, signature of 1.jwt, receipt of 1.jwt" in done.out


def test_what_was_not_checked_is_named_beside_an_answer_that_is_ok(run, desk):
    done = run(
        *("report", "verify", "1.jwt", "3.jwt", "--vendor-keys", "jwks.json"),
        *("--enrolment", "enrolment.jwt"),
    )
    assert done.code == 0
    chain = Sent.from_token(TOKENS[0]).chain_id[:8]
    assert f"not checked: receipt of 2 documents, chain {chain}\nOK\n" in done.out


def test_a_usage_report_brings_its_own_receipt(run, desk):
    item = usage_report(TOKENS[0], VendorDesk().receipt(TOKENS[0]))
    done = run(
        *("report", "verify", "-", "--vendor-keys", "jwks.json", "--output", "json"),
        stdin=json.dumps(item),
    )
    assert done.code == 3
    assert checks(done)["production-8ee9a1f2-000001", "receipt"] == ("ok", "Accepted")
    assert json.loads(done.out)["ok"] is False


def test_without_evidence_nothing_is_determined(run, desk):
    done = run("report", "verify", "1.jwt")
    assert done.code == 3
    assert "not checked: signature of 1.jwt" in done.out
    assert done.out.endswith("NOT DETERMINED\n")


def test_an_altered_report_is_not_ok(run, desk):
    header, _body, signature = TOKENS[0].split(".")
    other = TOKENS[1].split(".")[1]
    (desk / "forged.jwt").write_text(f"{header}.{other}.{signature}")
    done = run(
        *("report", "verify", "forged.jwt", "--vendor-keys", "jwks.json"),
        *("--enrolment", "enrolment.jwt"),
    )
    assert done.code == 1
    assert "SignatureInvalid" in done.out
    assert done.out.endswith("NOT OK\n")


def test_a_report_of_another_installation_is_not_ok(run, desk):
    from licenseusage.reports.enrolment import build_enrolment

    other = build_enrolment(licence(), key("other"), issued_at_s=1767225600)
    (desk / "other.jwt").write_text(other)
    done = run(
        *("report", "verify", "1.jwt", "--vendor-keys", "jwks.json", "--enrolment", "other.jwt")
    )
    assert done.code == 1
    assert "KeyUnknown" in done.out


def test_the_receipt_of_another_report_is_not_ok(run, desk):
    done = run(
        *("report", "verify", "1.jwt", "--receipt", "2.receipt", "--vendor-keys", "jwks.json")
    )
    assert done.code == 1
    assert "ReceiptMismatch" in done.out


def test_a_forged_receipt_is_not_ok(run, desk):
    forged = VendorDesk(key=key("somebody")).receipt(TOKENS[0])
    done = run(
        *("report", "verify", "-", "--vendor-keys", "jwks.json"),
        stdin=json.dumps(usage_report(TOKENS[0], forged)),
    )
    assert done.code == 1
    assert "KeyUnknown" in done.out


def test_a_signed_rejection_is_not_ok(run, desk):
    receipt = VendorDesk().receipt(TOKENS[0], ReceiptVerdict.REJECTED, "CountsInconsistent")
    done = run(
        *("report", "verify", "-", "--vendor-keys", "jwks.json"),
        stdin=json.dumps(usage_report(TOKENS[0], receipt)),
    )
    assert done.code == 1
    assert "the vendor signed Rejected (CountsInconsistent)" in done.out


def test_a_hole_in_the_chain_is_said_and_no_fault(run, desk):
    done = run(
        *("report", "verify", "1.jwt", "3.jwt", "--vendor-keys", "jwks.json"),
        *("--enrolment", "enrolment.jwt", "--output", "json"),
    )
    assert done.code == 0
    chain = Sent.from_token(TOKENS[0]).chain_id
    assert checks(done)[f"chain {chain[:8]}", "chain"] == ("not checked", "Incomplete")


def test_a_hole_in_the_chain_is_a_fault_where_the_documents_are_said_to_be_complete(run, desk):
    files = ("report", "verify", "1.jwt", "3.jwt", "--vendor-keys", "jwks.json", "--complete")
    for evidence in (("--enrolment", "enrolment.jwt"), ()):
        done = run(*files, *evidence, "--output", "json")
        assert done.code == 1
        chain = Sent.from_token(TOKENS[0]).chain_id
        assert checks(done)[f"chain {chain[:8]}", "chain"] == ("FAILED", "ChainGap")


def test_the_first_report_is_missing_like_any_other(run, desk):
    done = run(
        *("report", "verify", "2.jwt", "3.jwt", "--vendor-keys", "jwks.json", "--complete"),
        *("--enrolment", "enrolment.jwt"),
    )
    assert done.code == 1
    assert "1 of 3 reports are not here, from 1 on" in done.out


def test_a_report_that_only_a_receipt_knows_of_is_missing(run, desk):
    files = ("report", "verify", "1.jwt", "2.jwt", "3.receipt", "--vendor-keys", "jwks.json")
    done = run(*files, "--enrolment", "enrolment.jwt", "--complete")
    assert done.code == 1
    assert "ChainTruncated" in done.out


def another(sequence, **changes):
    """Another report that claims a position of the chain, signed by the same installation."""
    envelope = read_report(TOKENS[sequence - 1]).envelope
    content = replace(read_report(TOKENS[sequence - 1]).content, **changes)
    return build_report(
        ReportInput(
            installation=envelope.installation,
            vendor=envelope.vendor,
            subscription=envelope.subscription,
            namespace=envelope.namespace,
            name=envelope.name,
            issued_at_s=max(envelope.issued_at_s, content.cycle.as_of_s) + 1,
            content=content,
            previous=Link(sequence - 1, envelope.previous),
        ),
        INSTALLATION_KEY,
    )


@pytest.mark.parametrize("evidence", [(), ("--enrolment", "enrolment.jwt")], ids=["un", "signed"])
@pytest.mark.parametrize("files", [("1.jwt", "2.jwt"), ("2.jwt",)], ids=["whole", "hole"])
def test_two_reports_at_one_position_are_a_conflict_that_names_both(run, desk, evidence, files):
    (desk / "other.jwt").write_text(another(2))
    done = run(
        *("report", "verify", *files, "other.jwt", "3.jwt", "--vendor-keys", "jwks.json"),
        *evidence,
        *("--output", "json"),
    )
    assert done.code == 1
    (told,) = [one for one in json.loads(done.out)["checks"] if one["result"] == "FAILED"]
    assert (told["check"], told["reason"]) == ("chain", "ReportConflict")
    assert "sequence 2: 2.jwt and other.jwt" in told["message"]


def test_one_report_that_is_here_twice_is_no_conflict(run, desk):
    (desk / "again.jwt").write_text(TOKENS[1] + "\n")
    done = run(
        *("report", "verify", "1.jwt", "2.jwt", "again.jwt", "--vendor-keys", "jwks.json"),
        *("--enrolment", "enrolment.jwt"),
    )
    assert done.code == 0


def test_neighbours_that_do_not_follow_each_other_are_a_fork_beside_a_hole_too(run, desk):
    (desk / "other.jwt").write_text(another(2))
    done = run(
        *("report", "verify", "other.jwt", "3.jwt", "--vendor-keys", "jwks.json"),
        *("--enrolment", "enrolment.jwt", "--output", "json"),
    )
    assert done.code == 1
    assert ("FAILED", "ChainForked") in checks(done).values()


def test_receipts_and_key_statements_may_lie_among_the_reports(run, desk):
    done = run(
        *("report", "verify", "enrolment.jwt", "1.receipt", "1.jwt", "2.jwt", "3.jwt"),
        *("--vendor-keys", "jwks.json", "--output", "json"),
    )
    assert done.code == 0
    found = checks(done)
    assert found["enrolment.jwt", "keys"] == ("ok", "Valid")
    assert found["1.jwt", "receipt"] == ("ok", "Accepted")
    assert found["3.jwt", "receipt"] == ("not checked", "NoReceipt")


def test_a_receipt_by_itself_is_verified_by_itself(run, desk):
    done = run("report", "verify", "2.receipt", "--vendor-keys", "jwks.json")
    assert done.code == 0
    assert "its document is not here" in done.out
    (desk / "cut.receipt").write_text((desk / "2.receipt").read_text()[:-42])
    done = run("report", "verify", "cut.receipt", "--vendor-keys", "jwks.json")
    assert done.code == 1
    assert "SignatureInvalid" in done.out


def test_a_damaged_line_among_others_is_named_by_its_number(run, desk):
    lines = [TOKENS[0], "# kept by hand", TOKENS[1][:200], TOKENS[2]]
    (desk / "all.jwt").write_text("\n".join(lines))
    done = run(
        *("report", "verify", "all.jwt", "--vendor-keys", "jwks.json"),
        *("--enrolment", "enrolment.jwt", "--output", "json"),
    )
    assert done.code == 1
    assert checks(done)["all.jwt:3", "signature"] == ("FAILED", "MalformedToken")
    assert checks(done)["all.jwt:4", "signature"] == ("ok", "Valid")


@pytest.mark.parametrize("text", ["<html>a portal</html>", "hello", TOKENS[0][:300], "{", "\x00"])
def test_a_file_that_holds_no_token_is_a_damaged_document(run, desk, text):
    (desk / "bad.jwt").write_text(text)
    done = run("report", "verify", "bad.jwt", "--vendor-keys", "jwks.json")
    assert done.code == 1
    assert "bad.jwt" in done.out
    assert "MalformedToken" in done.out


def test_an_object_without_a_token_is_nothing_to_verify(run):
    done = run("report", "verify", "-", stdin=json.dumps({"kind": "List", "items": []}))
    assert done.code == 3
    assert done.err.startswith("error: NoDocument: ")


def test_a_cut_chain_is_found_by_the_vendors_head(run, desk):
    head = Sent.from_token(TOKENS[2]).subject
    receipt = VendorDesk().receipt(TOKENS[1], head=Link(3, head.digest))
    (desk / "late.receipt").write_text(receipt)
    done = run(
        *("report", "verify", "1.jwt", "2.jwt", "--vendor-keys", "jwks.json"),
        *("--enrolment", "enrolment.jwt"),
        *("--receipt", "1.receipt", "--receipt", "late.receipt"),
    )
    assert done.code == 1
    assert "ChainTruncated" in done.out


def test_an_enrolment_whose_licence_has_expired_since_still_verifies_old_reports(
    run, desk, monkeypatch
):
    from licenseusage.cli import report
    from licenseusage.clock import SystemClock

    ten_years = 10 * 366 * 86400
    monkeypatch.setattr(report, "clock_from", lambda env: SystemClock(ten_years))
    done = run(
        *("report", "verify", "1.jwt", "--vendor-keys", "jwks.json"),
        *("--enrolment", "enrolment.jwt", "--output", "json"),
    )
    assert done.code == 0
    assert checks(done)["1.jwt", "signature"] == ("ok", "Valid")


@pytest.mark.parametrize("token", ["a.b.c", "é.ü.x", TOKENS[0][:-40], TOKENS[0] + "A"])
def test_a_token_that_is_none_is_not_ok_and_no_traceback(run, desk, token):
    (desk / "bad.jwt").write_text(token)
    done = run(
        *("report", "verify", "bad.jwt", "--vendor-keys", "jwks.json"),
        *("--enrolment", "enrolment.jwt"),
    )
    assert done.code == 1
    assert "Traceback" not in done.err


@pytest.mark.parametrize("file", ["none.jwt", "."])
def test_a_file_that_cannot_be_read_is_undetermined(run, desk, file):
    done = run("report", "verify", file)
    assert done.code == 3
    assert done.err.startswith("error: FileUnreadable: ")


def test_each_report_is_judged_by_the_licence_that_it_names(run, desk):
    renewed = build_license(replace(terms(), license_id="lic-2", product="acme-plus"), LICENCE_KEY)
    (desk / "renewed.jwt").write_text(renewed)
    of_renewed = another(2, license_id="lic-2", product="acme-plus")
    (desk / "plus.jwt").write_text(of_renewed)
    files = ("report", "verify", "1.jwt", "plus.jwt", "--vendor-keys", "jwks.json", "--complete")
    done = run(*files, "--enrolment", "enrolment.jwt", "--license", "renewed.jwt")
    assert done.code == 0, done.out
    (desk / "other.jwt").write_text(another(2, license_id="lic-2"))
    done = run(
        *("report", "verify", "other.jwt", "--vendor-keys", "jwks.json"),
        *("--enrolment", "enrolment.jwt", "--license", "renewed.jwt"),
    )
    assert done.code == 1
    assert "LicenseMismatch" in done.out


def test_a_report_of_a_licence_that_is_not_here_is_verified_and_told(run, desk):
    (desk / "later.jwt").write_text(another(2, license_id="lic-9", product="acme-plus"))
    done = run(
        *("report", "verify", "1.jwt", "later.jwt", "--vendor-keys", "jwks.json"),
        *("--enrolment", "enrolment.jwt", "--output", "json"),
    )
    assert done.code == 0
    (told,) = [one for one in json.loads(done.out)["checks"] if "LicenseUnknown" in one["findings"]]
    assert told["document"] == "later.jwt"
    assert "licence lic-9 is not here (--license)" in told["message"]


def test_a_licence_is_no_report(run, desk):
    done = run(
        *("report", "verify", "license.jwt", "--vendor-keys", "jwks.json"),
        *("--enrolment", "enrolment.jwt"),
    )
    assert done.code == 1
    assert "UnsupportedType" in done.out


def test_show_of_text_that_is_no_report_is_undetermined(run):
    done = run("report", "show", "-", stdin="hello world")
    assert done.code == 3
    assert done.err.startswith("error: NoDocument: ")
