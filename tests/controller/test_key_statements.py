"""The key statements in a ConfigMap: anyone can verify reports without coming near a key."""

import json
import subprocess

import pytest

from tests.controller.ages import DAY, MIDNIGHT, day, licensed
from tests.controller.stage import CLI, until

pytestmark = pytest.mark.controlplane

FIRST = MIDNIGHT - 6 * DAY + 12 * 3600
NAME = "licenseusage-key-statements"


@pytest.fixture
def reported(ages):
    """One person was counted and reported; the vendor has receipted enrolment and report."""
    ages.product.users = {"ann": FIRST - 60}
    ages.crds.apply(licensed(ages, days=4, anchor=day(FIRST), at=FIRST))
    operator = ages.travel(FIRST)
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted")
    return ages


def kubectl(ages, *args):
    return ages.crds.kubectl(*args, "-n", ages.namespace)


def published(ages):
    return ages.crds.get(f"/api/v1/namespaces/{ages.namespace}/configmaps/{NAME}")


def test_anyone_verifies_the_whole_chain_with_what_is_published(reported, tmp_path):
    until(lambda: published(reported))
    jwks = tmp_path / "jwks.json"
    jwks.write_text(reported.vendor.jwks)
    enrolment, given = tmp_path / "enrolment.yaml", tmp_path / "reports.yaml"
    enrolment.write_text(kubectl(reported, "get", "configmap", NAME, "-o", "yaml").stdout)
    given.write_text(kubectl(reported, "get", "usagereports", "-o", "yaml").stdout)
    verify = [*CLI, "report", "verify", "--complete", given, "--vendor-keys", jwks]
    done = subprocess.run(
        [*verify, "--enrolment", enrolment], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_receipt_is_shown_and_no_key_is(reported):
    def receipted():
        seen = published(reported)
        status = json.loads(seen["data"]["status.json"]) if seen else {"keyChains": ()}
        statements = [one for chain in status["keyChains"] for one in chain["statements"]]
        return [one for one in statements if one["receiptTime"]]

    (enrolment,) = until(receipted, 80)
    assert (enrolment["kind"], enrolment["delivery"]) == ("Enrolment", "Accepted")
    secret = json.loads(
        kubectl(reported, "get", "secret", "licenseusage-identity", "-o", "json").stdout
    )
    text = json.dumps(published(reported))
    assert secret["data"]["private.jwk"] not in text
    assert '"d"' not in text


def test_deleted_or_edited_it_comes_back(reported):
    before = until(lambda: published(reported))
    kubectl(reported, "delete", "configmap", NAME)
    until(lambda: published(reported), 80)
    kubectl(
        reported, "patch", "configmap", NAME, "--type=merge", "-p", '{"data":{"statements":""}}'
    )
    until(lambda: published(reported)["data"]["statements"] == before["data"]["statements"], 80)
