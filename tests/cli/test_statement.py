"""``statement`` and ``history``: from objects, files and bundles; refused where it must be."""

import csv
import errno
import io
import json
import os
import stat
import threading

import pytest

from licenseusage.reports.receipt import ReceiptVerdict
from tests.delivery.people import VENDOR_KEYS, VendorDesk, key
from tests.statement.bookkeeping import ANCHOR, DAY, Bookkeeper, licence
from tests.statement.page import described, read


def usage_report(token, name, namespace="collab", receipt=None):
    return {
        "apiVersion": "licenseusage.dev/v1alpha1",
        "kind": "UsageReport",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"token": token},
        "status": {"receipt": receipt} if receipt else {},
    }


def listed(*books, receipts=False):
    desk = VendorDesk(now_s=ANCHOR + 200 * DAY)
    items = [
        usage_report(
            token,
            f"{book.name}-{at:06d}",
            book.namespace,
            desk.receipt(token) if receipts else None,
        )
        for book in books
        for at, token in enumerate(book.tokens, 1)
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


@pytest.fixture
def book():
    made = Bookkeeper()
    for index in range(3):
        made.final(index, 400 + 60 * index, 400 + 60 * index, provisioned_users=100_000)
    made.interim(3, 120, 4)
    return made


@pytest.fixture
def desk(tmp_path, book):
    """Files of a customer: objects, vendor keys, enrolment."""
    (tmp_path / "reports.json").write_text(listed(book, receipts=True))
    (tmp_path / "jwks.json").write_text(VENDOR_KEYS.to_jwks())
    (tmp_path / "enrolment.jwt").write_text(book.enrolment() + "\n")
    return tmp_path


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    """A kubectl that prints what it is given, forbids ConfigMaps, and keeps its arguments."""

    def made(answer, *configmaps):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (tmp_path / "answer.json").write_text(answer)
        for manifest in configmaps:
            (folder / manifest["metadata"]["name"]).write_text(json.dumps(manifest))
        program = folder / "kubectl"
        program.write_text(
            f'#!/bin/sh\necho "$@" >> {tmp_path}/arguments\n'
            f'[ "$2" != configmap ] && exec cat {tmp_path}/answer.json\n'
            f'[ -f {folder}/"$3" ] && exec cat {folder}/"$3"\n'
            'echo "Error from server (Forbidden): configmaps \\"$3\\" is forbidden" >&2; exit 1\n'
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return tmp_path / "arguments"

    return made


VERIFIED = ("--vendor-keys", "jwks.json", "--enrolment", "enrolment.jwt")


def table(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


# -- where the reports come from


def test_reports_are_read_by_kubectl_in_the_named_namespace(run, desk, book, kubectl):
    arguments = kubectl(listed(book))
    done = run("statement", "production", "-n", "collab", "--context", "prod")
    assert done.code == 0
    assert read(done.out).classed("big")[0].text == "520"
    words = arguments.read_text().split()
    assert words[:2] == ["get", "usagereports.licenseusage.dev"]
    assert {"--namespace=collab", "--context=prod"} <= set(words)


def configmap(name, **data):
    return {"kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def published(*books):
    """What the operator publishes, and the vendor's keys beside it."""
    statements = "\n".join(book.enrolment() for book in books)
    return (
        configmap(
            "licenseusage-key-statements", **{"statements": statements, "status.json": '{"a": 1}'}
        ),
        configmap("licenseusage-vendor-keys", **{"jwks.json": VENDOR_KEYS.to_jwks()}),
    )


def test_what_the_operator_publishes_verifies_the_reports_and_states_the_entitlement(
    run, book, kubectl
):
    arguments = kubectl(listed(book, receipts=True), *published(book))
    done = run("statement", "production", "--operator-namespace", "ops", "-o", "json")
    assert (done.code, done.err) == (0, "")
    made = json.loads(done.out)
    assert made["verified"]
    assert made["chains"][0]["cycles"][0]["entitlement"]["maximumActiveUsers"] == 500
    assert arguments.read_text().count("--namespace=ops") == 2


def test_without_the_right_to_read_it_the_statement_says_what_is_not_verified(run, book, kubectl):
    kubectl(listed(book))
    done = run("statement", "production")
    assert done.code == 0
    assert done.err.startswith("note: what verifies the reports could not be read")
    names = described(read(done.out))
    assert (names["Signature"], names["Entitled"]) == ("not verified here", "not known here")


def test_what_is_given_is_not_read_from_the_cluster(run, desk, book, kubectl):
    arguments = kubectl(listed(book))
    done = run("statement", "production", "-o", "json", *VERIFIED)
    assert (done.code, done.err) == (0, "")
    assert "configmap" not in arguments.read_text()
    assert json.loads(done.out)["verified"]


def test_a_former_installation_that_nothing_enrols_is_shown_and_not_verified(run, book, kubectl):
    lost = Bookkeeper(key=key("lost"))
    lost.final(2, 77, 77)
    kubectl(listed(book, lost, receipts=True), *published(book))
    done = run("statement", "production", "-o", "json")
    assert done.code == 0, done.err
    made = json.loads(done.out)
    seen = {
        chain["cycles"][0]["activeUsers"]: chain["cycles"][0]["report"] for chain in made["chains"]
    }
    assert seen[520]["signature"] == "verified"
    assert seen[77]["signature"] == "not verified here"
    assert seen[77]["receipt"]["signature"] == "verified"
    assert not made["verified"]


def test_a_forged_receipt_is_a_fault_whoever_signed_the_report(run, desk, book):
    lost = Bookkeeper(key=key("lost"))
    token = lost.final(0, 77, 77)
    forged = VendorDesk(key=key("somebody")).receipt(token)
    (desk / "lost.json").write_text(json.dumps(usage_report(token, "a", receipt=forged)))
    done = run("statement", "production", "--from", "lost.json", *VERIFIED)
    assert done.code == 1
    assert "receipt: KeyUnknown" in done.err


def test_a_failure_of_kubectl_is_the_failure_of_the_command(run, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run("statement", "production")
    assert done.code == 3
    assert done.err.startswith("error: NotInstalled: kubectl is not in PATH")


def test_reports_are_read_from_standard_input(run, book):
    done = run("statement", "production", "--from", "-", "-o", "csv", stdin=listed(book))
    assert [row["active_users"] for row in table(done.out)] == ["520"]


def test_a_bundle_brings_its_licence_and_so_the_entitlement(run, tmp_path, desk):
    from tests.reports.conformance import TOKENS, VECTORS

    (tmp_path / "x.usage-bundle").write_text(TOKENS["bundle"])
    (tmp_path / "vectors.json").write_text(json.dumps(VECTORS["context"]["vendorJwks"]))
    done = run(
        *("statement", "production", "--from", "x.usage-bundle", "-o", "json", "--cycle", 0),
        *("--vendor-keys", "vectors.json"),
    )
    assert done.code == 0, done.err
    made = json.loads(done.out)
    assert made["verified"]
    entitlement = made["chains"][0]["cycles"][0]["entitlement"]
    assert (entitlement["known"], entitlement["signature"]) == (True, "verified")


def test_a_folder_gives_all_its_files(run, tmp_path, book):
    folder = tmp_path / "exports"
    folder.mkdir()
    for at, token in enumerate(book.tokens):
        (folder / f"{at}.jwt").write_text(token)
    (folder / ".hidden").write_text("no document")
    done = run("history", "production", "--from", folder, "-o", "csv")
    assert [row["cycle"] for row in table(done.out)] == ["3", "2", "1", "0"]


def test_a_damaged_bundle_is_refused(run, tmp_path):
    from tests.reports.conformance import TOKENS

    (tmp_path / "x.usage-bundle").write_text(TOKENS["bundle"][:-1])
    done = run("statement", "production", "--from", "x.usage-bundle")
    assert done.code == 1
    assert done.err.startswith("error: BundleInvalid: x.usage-bundle: ")


def test_a_file_that_is_no_document_is_named(run, tmp_path):
    (tmp_path / "note.txt").write_text("dear vendor")
    done = run("statement", "production", "--from", "note.txt")
    assert done.code == 3
    assert "NoDocument: note.txt is no report" in done.err


# -- which cycle


def test_the_newest_finished_cycle_unless_another_is_asked_for(run, desk):
    def figure(*choice):
        done = run("statement", "production", "--from", "reports.json", *choice)
        return read(done.out).classed("big")[0].text

    assert figure() == figure("--last") == "520"
    assert figure("--cycle", 0) == "400"
    assert figure("--running") == "120 so far"


def test_while_none_is_finished_the_running_one_is_shown_as_provisional(run, tmp_path):
    made = Bookkeeper()
    made.interim(0, 12, 3)
    done = run("statement", "production", "--from", "-", "-o", "json", stdin=listed(made))
    assert json.loads(done.out)["provisional"]


def test_a_quarter_in_a_table(run, desk):
    done = run(
        "statement", "production", "--from", "reports.json", "--quarter", "2026Q1", "-o", "csv"
    )
    assert [row["cycle"] for row in table(done.out)] == ["0", "1", "2"]


def test_a_cycle_that_does_not_exist_is_refused_with_those_that_do(run, desk):
    done = run("statement", "production", "--from", "reports.json", "--cycle", 9)
    assert done.code == 3
    assert done.err.startswith("error: NoSuchCycle: collab/production has no cycle 9")
    assert "3 (2026-04-01 to 2026-04-30, provisional)" in done.err


def test_an_object_without_reports_is_refused_with_those_that_have_some(run, desk):
    done = run("statement", "staging", "--from", "reports.json")
    assert done.code == 3
    assert "No report of staging is here. There are reports of: collab/production" in done.err


def test_one_name_in_two_namespaces_must_be_told_apart(run, tmp_path, book):
    other = Bookkeeper(namespace="shop")
    other.final(0, 7, 7)
    (tmp_path / "both.json").write_text(listed(book, other))
    done = run("statement", "production", "--from", "both.json")
    assert done.code == 3
    assert "Ambiguous: 2 namespaces have reports of production: collab, shop" in done.err
    done = run("statement", "production", "-n", "shop", "--from", "both.json", "-o", "csv")
    assert [row["active_users"] for row in table(done.out)] == ["7"]


def test_several_chains_are_apart_and_one_can_be_chosen(run, tmp_path, book):
    other = Bookkeeper(key=key("second"))
    other.final(2, 77, 77)
    (tmp_path / "both.json").write_text(listed(book, other))
    done = run("statement", "production", "--from", "both.json", "-o", "json")
    made = json.loads(done.out)
    assert len(made["chains"]) == 2
    assert "must never be added" in made["warnings"][0]
    wanted = next(c for c in made["chains"] if c["cycles"][0]["activeUsers"] == 77)
    done = run(
        *("statement", "production", "--from", "both.json", "-o", "csv"),
        *("--chain", wanted["chain"][:8]),
    )
    assert [row["active_users"] for row in table(done.out)] == ["77"]
    done = run("statement", "production", "--from", "both.json", "--chain", "xyz")
    assert done.code == 3
    assert "0 chains begin with 'xyz'. There are: " in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("production", "--last", "--cycle", "1"), "give one of --cycle"),
        (("production", "--quarter", "Q4"), "write it as 2026Q4"),
        (("production", "--year", "26"), "write it as 2026"),
        ((), "name a LicenseUsage"),
        (("production", "-A"), "--all-namespaces goes with --directory"),
        (("production", "--directory", "d", "--last"), "--directory writes every finished"),
        (("production", "--cycle", "-1"), "greater than or equal to 0"),
    ],
)
def test_a_wrong_command_line_says_what_is_right(run, arguments, words):
    done = run("statement", *arguments, COLUMNS="300")
    assert done.code == 2
    assert words in " ".join(done.err.split())


# -- what is verified


def test_with_keys_and_enrolment_everything_is_verified(run, desk):
    done = run("statement", "production", "--from", "reports.json", *VERIFIED)
    assert done.code == 0, done.err
    names = described(read(done.out))
    assert names["Signature"] == "verified"
    assert names["Vendor's receipt"].startswith("Accepted, ")
    assert names["Vendor's receipt"].endswith("signature verified")
    assert names["Entitled"] == "500"
    assert names["Licence"] == "lic-1"


def test_without_keys_everything_is_shown_as_not_verified(run, desk):
    done = run("statement", "production", "--from", "reports.json", "--enrolment", "enrolment.jwt")
    names = described(read(done.out))
    assert names["Signature"] == "not verified here"
    assert names["Vendor's receipt"].endswith("signature not verified here")
    assert names["Entitled"] == "500"
    assert names["Licence"] == "lic-1 (signature not verified here)"


def test_a_licence_may_be_given_by_itself(run, desk):
    (desk / "license.jwt").write_text(licence(maximum=510).token)
    done = run(
        *("statement", "production", "--from", "reports.json", "-o", "json"),
        *("--license", "license.jwt"),
    )
    (cycle,) = json.loads(done.out)["chains"][0]["cycles"]
    assert cycle["entitlement"]["over"] == {"atLeast": 10, "atMost": 10}


def test_a_folder_of_evidence_is_used_as_far_as_it_is_there(run, desk):
    folder = desk / "evidence"
    folder.mkdir()
    (folder / "..data").write_text("a ConfigMap's own")
    common = ("statement", "production", "--from", "reports.json", "-o", "json")
    assert not json.loads(run(*common, "--documents", folder).out)["verified"]
    for name in ("jwks.json", "enrolment.jwt"):
        (folder / name).write_text((desk / name).read_text())
    assert json.loads(run(*common, "--documents", folder).out)["verified"]


def test_an_altered_report_makes_no_statement_and_writes_no_file(run, desk, book):
    header, _, signature = book.tokens[2].split(".")
    book.tokens[2] = ".".join([header, book.tokens[1].split(".")[1], signature])
    (desk / "reports.json").write_text(listed(book))
    done = run("statement", "production", "--from", "reports.json", *VERIFIED, "--file", "out.html")
    assert done.code == 1
    assert done.err.startswith("error: NotVerified: no statement was made. 3. production-000003")
    assert "SignatureInvalid" in done.err
    assert not (desk / "out.html").exists()


def test_a_report_that_the_vendor_refused_is_left_out(run, desk, book):
    refused = Bookkeeper()
    token = refused.final(0, 900, 900)
    refused.final(0, 9, 9)
    receipt = VendorDesk().receipt(token, ReceiptVerdict.REJECTED, "CountsInconsistent")
    items = [usage_report(token, "a", receipt=receipt), usage_report(refused.tokens[1], "b")]
    (desk / "two.json").write_text(json.dumps({"kind": "List", "items": items}))
    for evidence in ((), VERIFIED):
        done = run("statement", "production", "--from", "two.json", "-o", "csv", *evidence)
        assert [row["active_users"] for row in table(done.out)] == ["9"], done.err


def test_a_refusal_that_the_vendor_did_not_sign_leaves_nothing_out(run, desk, book):
    made = Bookkeeper()
    token = made.final(0, 900, 900)
    forged = VendorDesk(key=key("somebody")).receipt(
        token, ReceiptVerdict.REJECTED, "CountsInconsistent"
    )
    item = usage_report(token, "a", receipt=forged)
    (desk / "forged.json").write_text(json.dumps(item))
    done = run("statement", "production", "--from", "forged.json", *VERIFIED)
    assert done.code == 1
    assert "receipt: KeyUnknown" in done.err


def test_two_reports_at_one_position_are_not_stated(run, desk, book):
    other = Bookkeeper()
    other.final(0, 1, 1)
    (desk / "other.json").write_text(listed(other))
    done = run("statement", "production", "--from", "reports.json", "--from", "other.json")
    assert done.code == 1
    assert done.err.startswith("error: ReportConflict: production-000001 and production-000001")


def test_a_fault_of_another_object_is_not_this_ones(run, desk, book):
    broken = json.loads(listed(book))
    other = Bookkeeper(name="other")
    token = other.final(0, 9, 9)
    broken["items"].append(usage_report(token[:-8] + "AAAAAAAA", "other-000001"))
    (desk / "reports.json").write_text(json.dumps(broken))
    assert run("statement", "production", "--from", "reports.json", *VERIFIED).code == 0


# -- files


@pytest.mark.parametrize(
    ("name", "start"), [("a.html", "<!doctype"), ("a.csv", "namespace,"), ("a.json", "{\n")]
)
def test_the_form_follows_from_the_name_of_the_file(run, desk, name, start):
    done = run("statement", "production", "--from", "reports.json", "--file", name)
    assert (done.code, done.out) == (0, "")
    assert (desk / name).read_text().lstrip().startswith(start)


def test_an_option_decides_before_the_name_of_the_file(run, desk):
    run("statement", "production", "--from", "reports.json", "--file", "a.html", "-o", "json")
    assert json.loads((desk / "a.html").read_text())["format"] == "licenseusage-statement"


def test_a_file_that_cannot_be_written_is_said_and_nothing_is_left(run, desk):
    done = run("statement", "production", "--from", "reports.json", "--file", "no/where.html")
    assert done.code == 3
    assert "NotWritable: no/where.html cannot be written" in done.err


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_gets_two_files_of_each_finished_cycle_once(run, desk):
    done = run("statement", "--directory", "out", "--from", "reports.json", *VERIFIED)
    assert done.code == 0, done.err
    names = files(desk / "out")
    assert len(names) == 6
    start = names[0].rpartition("_cycle")[0]
    assert start.startswith("collab_production_")
    assert names[:2] == [f"{start}_cycle0000_report000001.{end}" for end in ("csv", "html")]
    before = {name: (desk / "out" / name).read_bytes() for name in names}
    again = run("statement", "--directory", "out", "--from", "reports.json")
    assert (again.code, again.out) == (0, "")
    assert again.err == "0 written, 6 were there before\n"
    assert {name: (desk / "out" / name).read_bytes() for name in files(desk / "out")} == before


def test_an_amendment_is_a_new_revision_beside_the_final(run, desk):
    made = Bookkeeper()
    final = made.final(0, 9, 12)
    (desk / "one.json").write_text(listed(made))
    run("statement", "--directory", "out", "--from", "one.json")
    made.amendment(final, 10, 11)
    (desk / "one.json").write_text(listed(made))
    done = run("statement", "--directory", "out", "--from", "one.json")
    assert "2 written, 0 were there before" in done.err
    ends = [name.rpartition("_")[2] for name in files(desk / "out")]
    assert ends == [
        "report000001.csv",
        "report000001.html",
        "report000002.csv",
        "report000002.html",
    ]


def test_what_was_interrupted_between_two_files_is_completed(run, desk):
    run("statement", "--directory", "out", "--from", "reports.json")
    lost = next((desk / "out").glob("*cycle0001*.csv"))
    lost.unlink()
    done = run("statement", "--directory", "out", "--from", "reports.json")
    assert done.out.strip().endswith(lost.name)
    assert lost.exists()


def test_a_fault_of_one_object_does_not_keep_the_others_from_theirs(run, desk, book):
    other, twin = Bookkeeper(name="other"), Bookkeeper(name="other")
    other.final(0, 9, 9)
    twin.final(0, 8, 8)
    (desk / "all.json").write_text(listed(other, twin, book))
    done = run("statement", "--directory", "out", "--from", "all.json")
    assert done.code == 1
    assert "error: collab/other: ReportConflict" in done.err
    assert len(files(desk / "out")) == 6


def test_a_folder_is_filled_from_all_namespaces_by_kubectl(run, tmp_path, book, kubectl):
    shop = Bookkeeper(namespace="shop")
    shop.final(0, 9, 9)
    arguments = kubectl(listed(book, shop))
    done = run("statement", "-A", "--directory", "out")
    assert done.code == 0
    assert "--all-namespaces" in arguments.read_text()
    assert {name.split("_")[0] for name in files(tmp_path / "out")} == {"collab", "shop"}


def test_two_runs_at_once_leave_whole_files_only(run_process, desk):
    results = []
    command = ("statement", "--directory", "out", "--from", "reports.json")
    runs = [
        threading.Thread(target=lambda: results.append(run_process(*command))) for _ in range(2)
    ]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    assert [done.code for done in results] == [0, 0]
    names = files(desk / "out")
    assert len(names) == 6
    pages = [(desk / "out" / name).read_text() for name in names if name.endswith(".html")]
    assert all(page.rstrip().endswith("</html>") for page in pages)


def test_a_volume_that_fills_up_leaves_whole_files_only_and_the_next_run_goes_on(
    run, desk, monkeypatch
):
    written, room = [], [3]

    def write(path, content):
        if len(written) >= room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)
        path.write_bytes(content)

    monkeypatch.setattr("licenseusage.cli.written._write_new", write)
    command = ("statement", "--directory", "out", "--from", "reports.json")
    full = run(*command)
    assert full.code == 3
    assert "NotWritable" in full.err
    assert "No space left on device" in full.err
    assert "free space on the volume" in full.err
    assert len(files(desk / "out")) == 3
    room[0] = 100
    assert run(*command).code == 0
    assert len(files(desk / "out")) == 6


def test_a_folder_that_cannot_be_made_is_said(run, desk):
    (desk / "file").write_text("")
    done = run("statement", "--directory", "file/out", "--from", "reports.json")
    assert done.code == 3
    assert "NotWritable: file/out cannot be written" in done.err


# -- history


def test_the_history_lists_every_cycle_newest_first(run, desk):
    done = run("history", "production", "--from", "reports.json", *VERIFIED)
    lines = done.out.splitlines()
    assert lines[0].split() == [
        *("CYCLE", "DAYS", "ACTIVE", "TO-BILL", "ENTITLED", "COMPARED", "PROVISIONED", "STATE")
    ]
    assert [line.split()[0] for line in lines[1:]] == ["3", "2", "1", "0"]
    assert "120 so far" in lines[1]
    assert "over by 20" in lines[2]
    assert "100,000" in lines[2]


def test_the_history_has_more_cycles_than_the_status_of_an_object(run, tmp_path):
    made = Bookkeeper()
    for index in range(20):
        made.final(index, 9, 9)
    done = run("history", "production", "--from", "-", "-o", "json", stdin=listed(made))
    assert len(json.loads(done.out)[0]["cycles"]) == 20


def test_chains_are_listed_apart(run, tmp_path, book):
    other = Bookkeeper(key=key("second"))
    other.final(2, 77, 77)
    done = run("history", "production", "--from", "-", stdin=listed(book, other))
    assert done.out.count("not to be added to another chain's numbers") == 2
    assert done.out.count("CYCLE ") == 2
