"""A key that is lost for good: an administrator makes another one, and nothing counts twice."""

import base64
import json
import os
import time

import pytest

from licenseusage.controller.effects.identity import PseudonymKey
from licenseusage.reports.content import Kind
from licenseusage.reports.report import read_report
from licenseusage.reports.tokens import decode
from tests.controller.ages import DAY, MIDNIGHT, day, licensed
from tests.controller.stage import until
from trials import forked

pytestmark = pytest.mark.controlplane

FIRST = MIDNIGHT - 6 * DAY + 12 * 3600


@pytest.fixture
def counted(ages):
    """Two people were counted in the first of the cycle's four days, and reported."""
    ages.product.users = {"ann": FIRST - 60, "ben": FIRST - 120}
    ages.objects = licensed(ages, days=4, anchor=day(FIRST), at=FIRST)
    ages.crds.apply(ages.objects)
    operator = ages.travel(FIRST)
    until(lambda: operator.status("shop").get("activeUsers") == 2, 30)
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted")
    return ages


def kubectl(ages, *args, **kwargs):
    return ages.crds.kubectl(*args, "-n", ages.namespace, **kwargs)


def ask(ages):
    stamp = f"licenseusage.dev/requested-at={time.time_ns()}"
    kubectl(ages, "annotate", "--overwrite", "lu/shop", stamp)


def create_new(ages, *args, stdin=None):
    """``licenseusage keys new … | kubectl create -f -``, as docs/operations.md says it."""
    command = ("keys", "new", *args, "--namespace", ages.namespace)
    made = forked.run(*command, env=dict(os.environ), stdin=stdin or "", code=0)
    kubectl(ages, "create", "-f", "-", stdin=made.stdout)


def reports(ages):
    return [read_report(one["spec"]["token"]) for one in ages.operator.reports()]


def test_a_lost_identity_becomes_a_new_installation_that_says_so(counted):
    operator = counted.operator
    (former,) = reports(counted)
    kubectl(counted, "delete", "secret", "licenseusage-identity")
    counted.travel(FIRST + DAY)
    operator = counted.operator
    seen = operator.wait_condition("shop", "Reported", "False", "IdentityLost")
    assert "licenseusage keys new" in seen["message"]

    listed = kubectl(counted, "get", "usagereports", "-o", "json").stdout
    create_new(counted, "identity", "--replaces", "-", stdin=listed)
    ask(counted)
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted", 60)

    operator = counted.travel(FIRST + 4 * DAY)
    until(lambda: counted.accepted(1), 60)
    found = reports(counted)
    chains = {one.envelope.chain_id for one in found}
    assert len(chains) == 2
    finals = [one for one in found if one.content.kind is Kind.FINAL]
    (final,) = finals  # one cycle, one final, over both chains
    assert final.envelope.chain_id != former.envelope.chain_id
    assert final.content.active_users == 2
    assert former in found  # what the former installation said stays as it was
    firsts = [one for one in found if one.envelope.sequence == 1]
    assert {one.envelope.continuity for one in firsts} == {"Start"}

    secret = json.loads(
        kubectl(counted, "get", "secret/licenseusage-identity", "-o", "json").stdout
    )
    enrolment = base64.b64decode(secret["data"]["statements"]).decode().split()[0]
    assert decode(enrolment)[1]["replaces"] == former.envelope.installation
    assert [verdict for _, verdict in counted.vendor.finals()] == ["Accepted"]


def test_what_the_former_installation_signed_still_arrives_and_is_not_said_again(counted):
    (interim,) = reports(counted)
    counted.travel(FIRST + 4 * DAY, vendor_endpoint="https://127.0.0.1:9")  # nobody is there
    (final,) = until(counted.finals, 60)
    assert final.get("status", {}).get("delivery") != "Accepted"
    kubectl(counted, "delete", "secret", "licenseusage-identity")
    listed = kubectl(counted, "get", "usagereports", "-o", "json").stdout
    create_new(counted, "identity", "--replaces", "-", stdin=listed)

    counted.travel(FIRST + 5 * DAY)  # the next interim is due
    (arrived,) = until(lambda: counted.accepted(1), 60)
    assert arrived["spec"]["token"] == final["spec"]["token"]
    new = until(
        lambda: [
            one
            for one in reports(counted)
            if one.envelope.installation != interim.envelope.installation
        ],
        60,
    )
    # The new chain begins with the cycle that runs: the ended one was stated.
    assert {(one.content.kind, one.content.cycle.index) for one in new} == {(Kind.INTERIM, 1)}
    assert len(counted.finals()) == 1
    assert [token for token, _ in counted.vendor.finals()] == [final["spec"]["token"]]


def test_a_lost_pseudonym_key_neither_unites_people_nor_counts_them_twice(counted):
    secret = json.loads(
        kubectl(counted, "get", "secret/licenseusage-pseudonym", "-o", "json").stdout
    )
    lost = PseudonymKey(base64.b64decode(secret["data"]["key"])).id
    kubectl(counted, "delete", "secret", "licenseusage-pseudonym")
    operator = counted.travel(FIRST + DAY)
    seen = operator.wait_condition("shop", "Stalled", "True", "PseudonymKeyLost")
    assert f"id is {lost}" in seen["message"]

    # The same two people, one of them again, and a third: never five, and never fewer than before.
    counted.product.users |= {"ben": FIRST + DAY - 60, "cat": FIRST + DAY - 30}
    create_new(counted, "pseudonym", "--replaces", lost)
    ask(counted)
    operator.wait_condition("shop", "Ready", "True", seconds=60)
    until(lambda: operator.status("shop").get("activeUsers") == 3, 40)

    operator = counted.travel(FIRST + 4 * DAY)
    (final,) = until(lambda: counted.accepted(1), 60)
    content = read_report(final["spec"]["token"]).content
    assert (content.active_users, content.active_users_upper_bound) == (3, None)
    assert content.pseudonym_key_id != lost
    (ended, *_) = operator.status("shop")["history"]
    assert ended["words"].startswith("at least 3: the pseudonym key was lost")
    assert final["spec"]["words"] == ended["words"]
    assert "PseudonymKeyChanged" in final["status"]["findings"]  # the vendor is told
