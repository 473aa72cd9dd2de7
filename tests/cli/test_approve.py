"""``approve``: what is shown is what the token says, and only that document is approved."""

import json
import os
import stat

import pytest

from licenseusage.reports.names import digest
from licenseusage.reports.report import read_report
from tests.delivery.people import reports

TOKENS = reports(3)
CHAIN = read_report(TOKENS[0]).envelope.chain_id
NAMES = [f"production-{CHAIN[:8]}-{sequence:06d}" for sequence in (1, 2, 3)]
WAITS = "AwaitingApproval"


def live(number, delivery=WAITS, approved=None, **changes):
    """A UsageReport as the API server has it; reports are numbered from 1."""
    metadata = {"namespace": "collab", "name": NAMES[number - 1]}
    if approved is not None:
        metadata["annotations"] = {"licenseusage.dev/approved": approved}
    return {
        "metadata": {**metadata, **changes.pop("metadata", {})},
        "spec": {"token": TOKENS[number - 1], "activeText": "a lie"},
        "status": {"delivery": delivery, **changes},
    }


class Cluster:
    """A `kubectl` that lists UsageReports and keeps the patches."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        program = folder / "kubectl"
        program.write_text(
            f"""#!/bin/sh
case $1 in
get) cat {folder}/reports ;;
patch) test -e {folder}/refuse && {{ cat {folder}/refuse >&2; exit 1; }}
    echo "$@" >> {folder}/patches; echo patched ;;
esac
"""
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def has(self, *objects):
        (self.folder / "reports").write_text(json.dumps({"items": objects}))

    def refuses(self, words):
        (self.folder / "refuse").write_text(words)

    @property
    def approved(self):
        """UsageReport -> digest that was written."""
        file = self.folder / "patches"
        lines = file.read_text().splitlines() if file.exists() else []
        return {line.split()[2]: line.split('approved": "')[1].split('"')[0] for line in lines}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    return Cluster(folder, monkeypatch)


def test_all_that_wait_are_approved_by_the_digest_of_their_tokens(run, cluster):
    cluster.has(live(3), live(1, "Accepted"), live(2))
    done = run("approve", "--all", "-n", "collab", "--yes")
    assert (done.code, done.err) == (0, "")
    assert cluster.approved == {NAMES[1]: digest(TOKENS[1]), NAMES[2]: digest(TOKENS[2])}


def test_the_number_is_the_signed_one_and_the_deadline_is_shown(run, cluster):
    cluster.has(live(2, approvalDueTime="2026-03-03T00:00:00Z"))
    done = run("approve", "--all", "--dry-run")
    assert "a lie" not in done.out
    assert f"{NAMES[1]} states: 2 so far active users" in done.out
    assert "2026-03-03T00:00:00Z" in done.out
    assert cluster.approved == {}


def test_without_yes_and_without_a_terminal_nothing_is_approved(run, cluster):
    cluster.has(live(1))
    done = run("approve", NAMES[0])
    assert done.code == 2
    assert "--yes" in done.err
    assert cluster.approved == {}


def test_names_or_all_and_not_both(run, cluster):
    cluster.has(live(1))
    assert run("approve").code == 2
    assert run("approve", NAMES[0], "--all").code == 2


def test_a_name_that_does_not_exist_approves_nothing(run, cluster):
    cluster.has(live(1))
    done = run("approve", NAMES[0], "absent", "--yes")
    assert done.code == 3
    assert "There is no UsageReport absent" in done.err
    assert cluster.approved == {}


@pytest.mark.parametrize(
    ("report", "code", "words"),
    [
        (
            live(1, "Accepted", acceptedTime="2026-02-01T00:00:00Z"),
            0,
            "the vendor accepted it on 2026-02-01T00:00:00Z: nothing is left to approve",
        ),
        (live(1, "Pending"), 0, "does not wait for approval: it is on its way"),
        (live(1, approved=digest(TOKENS[0])), 0, "is approved; the operator acts on it"),
        (live(1, "Rejected", reason="CycleMismatch"), 1, "the vendor refused it (CycleMismatch)"),
        (live(1, "Conflict"), 1, "the vendor refused it (Conflict): it was sent before"),
        (live(1, None), 1, "the operator has not looked at it yet"),
        (live(1, metadata={"name": NAMES[1]}), 1, "the operator did not make it"),
        (live(1, metadata={"namespace": "other"}), 1, "its token is that of collab/"),
        ({**live(1), "spec": {"token": "a.b.c"}}, 1, "its token cannot be read"),
    ],
)
def test_what_needs_no_approval_or_cannot_be_approved_says_why(run, cluster, report, code, words):
    cluster.has(report)
    done = run("approve", report["metadata"]["name"], "--yes")
    assert done.code == code
    assert words in done.out + done.err
    assert cluster.approved == {}


def test_an_approval_of_another_document_is_written_anew(run, cluster):
    cluster.has(live(1, approved=digest(TOKENS[1])))
    run("approve", NAMES[0], "--yes")
    assert cluster.approved == {NAMES[0]: digest(TOKENS[0])}


def test_what_holds_it_up_is_named(run, cluster):
    cluster.has(live(1), live(2), live(3))
    done = run("approve", NAMES[2], "--yes")
    assert done.code == 0
    assert f"note: reports leave in order: {NAMES[0]}, {NAMES[1]} of the same chain" in done.err
    assert list(cluster.approved) == [NAMES[2]]
    assert run("approve", NAMES[0], "--yes").err == ""


def test_json_says_what_was_approved(run, cluster):
    cluster.has(live(2, approvalDueTime="2026-03-03T00:00:00Z"))
    (shown,) = json.loads(run("approve", "--all", "--yes", "--output", "json").out)
    assert shown["result"] == "Approved"
    assert (shown["kind"], shown["activeUsers"], shown["accuracy"]) == ("Interim", 2, "LowerBound")
    assert shown["digest"] == digest(TOKENS[1])
    assert shown["dueTime"] == "2026-03-03T00:00:00Z"
    (shown,) = json.loads(run("approve", "--all", "--dry-run", "--output", "json").out)
    assert shown["result"] == "Waits"


def test_nothing_to_approve_is_said(run, cluster):
    cluster.has(live(1, "Accepted"))
    done = run("approve", "--all")
    assert (done.code, done.out) == (0, "No report waits for approval.\n")


def test_without_the_right_it_names_the_role(run, cluster):
    cluster.has(live(1))
    cluster.refuses("Error from server (Forbidden): usagereports is forbidden")
    done = run("approve", "--all", "--yes")
    assert done.code == 3
    assert "ClusterRole licenseusage-approve in that namespace." in done.err
