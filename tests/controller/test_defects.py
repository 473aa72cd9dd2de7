"""A defect of the operator's own, anywhere, is told by the object that meets it and stops nothing.

One operator, a dozen objects: each meets an unforeseen exception at another place of the way.
"""

import json
import re
from pathlib import Path

import pytest

from licenseusage.reports.report import read_report
from tests.controller import broken_operator
from tests.controller.ages import DAY, MIDNIGHT, Ages, day, licensed
from tests.controller.stage import create_pods, until, usage

pytestmark = pytest.mark.controlplane

NAMESPACE = "defects"
SHOP = {"selector": {"matchLabels": {"app": "shop"}}, "port": "http", "scheme": "HTTP"}
FIRST = MIDNIGHT - 4 * DAY + 3600
NAMES = [*broken_operator.POINTS, "healthy"]
DELIVERED = [name for name in NAMES if name != "in-the-delivery"]
ID = re.compile(r"\b[0-9a-f]{8}\b")


def named(name):
    whole = usage(
        NAMESPACE,
        name,
        source={
            "name": name,
            "pods": SHOP,
        },
        spec={"license": {"secretRef": {"name": "license"}}, "closeGraceHours": 24},
    )
    return whole


@pytest.fixture(scope="module")
def ages(crds, tmp_path_factory):
    """Everybody was counted for an hour; then comes an operator with defects, after the grace."""
    crds.create_namespace(NAMESPACE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(crds.kubeconfig))
        ages = Ages(crds, NAMESPACE, tmp_path_factory.mktemp("ages"))
        create_pods(NAMESPACE, {"shop": (ages.product.port, True)})
        ages.product.users = {"ann": FIRST - 60}
        around = licensed(ages, anchor=day(FIRST), at=FIRST)[:-1]
        crds.apply([*around, *map(named, NAMES)])
        healthy = ages.travel(FIRST)
        for name in NAMES:
            until(lambda name=name: healthy.status(name).get("activeUsers") == 1, 60)
        ages.travel(FIRST + 3 * DAY, script=Path(broken_operator.__file__))
        yield ages
        ages.close()


@pytest.mark.parametrize("name", list(broken_operator.POINTS))
def test_an_unforeseen_exception_is_told_with_an_id_that_finds_it_in_the_log(ages, name):
    operator = ages.operator
    ready = operator.wait_condition(name, "Ready", "False", "InternalError", seconds=60)
    assert "Unforeseen" in ready["message"]
    (found,) = ID.findall(ready["message"])
    lines = [json.loads(line) for line in operator.log.read_text().splitlines()]
    (first, *_) = [line for line in lines if line.get("defect") == found]
    assert first["object"] == f"{NAMESPACE}/{name}"
    assert any("broken_operator.py" in frame for frame in first["frames"])
    assert "private value" not in operator.log.read_text() + json.dumps(operator.get(name))


@pytest.mark.parametrize("name", DELIVERED)
def test_closing_reporting_and_delivery_of_that_object_still_run(ages, name):
    def accepted():
        finals = ages.finals(name)
        return finals and finals[0].get("status", {}).get("delivery") == "Accepted" and finals[0]

    final = until(accepted, 60)
    content = read_report(final["spec"]["token"]).content
    assert content.active_users == 1, "what was counted before stays counted"
    assert content.active_users_upper_bound in (None, 1)


def test_a_final_that_cannot_be_delivered_for_a_defect_is_visibly_pending(ages):
    operator = ages.operator
    operator.wait_condition("in-the-delivery", "Reported", "False", "InternalError")

    def delivery():
        final, *_ = ages.finals("in-the-delivery") or [{}]
        return final.get("status", {}).get("delivery")

    assert until(delivery, 60) == "Pending"


def test_the_same_defect_keeps_its_id_so_that_nothing_is_written_again_and_again(ages):
    operator, name = ages.operator, "in-the-view"
    operator.wait_condition(name, "Ready", "False", "InternalError")
    before = operator.get(name)["metadata"]["resourceVersion"]
    ages.crds.kubectl(
        *("annotate", "lu", name, "-n", NAMESPACE, "licenseusage.dev/requested-at=now")
    )
    stamped = operator.get(name)["metadata"]["resourceVersion"]
    looked = operator.reconciles()
    until(lambda: operator.reconciles() >= looked + 2, 30)
    assert before != stamped
    assert operator.get(name)["metadata"]["resourceVersion"] == stamped


def test_defects_are_counted(ages):
    text = ages.operator.http("/metrics")[1]
    (line,) = [x for x in text.splitlines() if x.startswith("licenseusage_reconcile_errors_total")]
    assert float(line.split()[1]) >= len(broken_operator.POINTS)


def test_the_other_objects_are_served_as_always(ages):
    ages.operator.wait_condition("healthy", "Ready", "True")
