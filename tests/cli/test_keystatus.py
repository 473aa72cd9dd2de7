"""``licenseusage keys status``: ids, dates and receipts of the keys; never a key."""

import json
import os
import stat

import pytest

from licenseusage.controller.rules.keystatus import configmap_data
from licenseusage.ledger.documents.records import Delivery, OutboxItem, ReportKind
from licenseusage.reports.keyring import KeyRing, KeyStatement
from tests.delivery.people import INSTALLATION_KEY as FIRST
from tests.delivery.people import NOW_MS, VENDOR_KEYS
from tests.reports.test_keyring import ENROLMENT, SECOND, SUCCESSION


def item(token, kind, state, **more):
    sent = KeyStatement.from_token(token).sent
    return OutboxItem(
        jti=sent.subject.jti,
        kind=kind,
        chain_id=sent.chain_id,
        key_chain_id=None,
        sequence=sent.subject.sequence,
        digest=sent.subject.digest,
        token=token,
        meter_id=None,
        cycle=None,
        active_text="",
        created_ms=NOW_MS,
        state=state,
        **more,
    )


ITEMS = (
    item(ENROLMENT, ReportKind.ENROLMENT, Delivery.ACCEPTED, accepted_ms=NOW_MS),
    item(SUCCESSION, ReportKind.SUCCESSION, Delivery.PENDING),
)
RING = KeyRing(FIRST, SECOND, (ENROLMENT, SUCCESSION), "Scheduled")
CONFIGMAP = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "licenseusage-key-statements", "namespace": "licenseusage-system"},
    "data": configmap_data(ITEMS, RING, "0123456789abcdef" * 2, None),
}


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    """A program `kubectl` that prints an object, or fails with words."""

    def prints(answer, *, fails=False):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (tmp_path / "answer").write_text(answer)
        program = folder / "kubectl"
        end = ">&2; exit 1" if fails else ""
        program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\ncat {tmp_path}/answer {end}')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return tmp_path / "asked"

    return prints


def test_it_shows_each_statement_with_its_receipt_and_who_signs(run, kubectl):
    asked = kubectl(json.dumps(CONFIGMAP))
    done = run("keys", "status")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    (enrolled,) = [line for line in lines if "Enrolment" in line]
    (succeeded,) = [line for line in lines if "Succession (Scheduled)" in line]
    assert f"{FIRST.kid}   yes     Accepted 2026-02-10T00:00:00Z" in enrolled
    assert f"{SECOND.kid}   no      Pending" in succeeded
    assert asked.read_text().split()[:4] == [
        *("get", "configmap", "licenseusage-key-statements"),
        "--namespace=licenseusage-system",
    ]


def test_json_for_programs(run, kubectl):
    kubectl(json.dumps(CONFIGMAP))
    shown = json.loads(run("keys", "status", "--output", "json").out)
    assert shown["identity"] == {
        "keyId": FIRST.kid,
        "nextKeyId": SECOND.kid,
        "rotation": "Scheduled",
    }
    (chain,) = shown["keyChains"]
    assert chain["installation"] == FIRST.installation
    assert [one["receiptTime"] for one in chain["statements"]] == ["2026-02-10T00:00:00Z", None]


def test_no_private_key_is_in_it():
    text = json.dumps(CONFIGMAP)
    for secret in (FIRST, SECOND):
        assert json.loads(secret.to_jwk())["d"] not in text


def test_before_the_first_enrolment_it_says_when_there_will_be_one(run, kubectl):
    words = 'Error from server (NotFound): configmaps "licenseusage-key-statements" not found'
    kubectl(words, fails=True)
    done = run("keys", "status", "--operator-namespace", "ours")
    assert done.code == 3
    assert "NotEnrolled: ConfigMap ours/licenseusage-key-statements does not exist" in done.err


def test_an_edited_configmap_is_no_status(run, kubectl):
    kubectl(json.dumps({**CONFIGMAP, "data": {"status.json": "[]"}}))
    done = run("keys", "status")
    assert done.code == 3
    assert "delete it: the operator writes it again" in done.err


@pytest.mark.parametrize("kind", ["ConfigMap", "List"])
def test_report_verify_reads_the_statements_from_the_configmap(run, tmp_path, kind):
    given = CONFIGMAP if kind == "ConfigMap" else {"kind": "List", "items": [CONFIGMAP]}
    (tmp_path / "enrolment.json").write_text(json.dumps(given))
    (tmp_path / "jwks.json").write_text(VENDOR_KEYS.to_jwks())
    done = run(
        *("report", "verify", "enrolment.json", "--vendor-keys", "jwks.json"),
        *("--enrolment", "enrolment.json"),
    )
    assert done.code == 0, done.out + done.err
