"""What counts goes on while objects come and go: the usage, its pods, the namespace."""

import itertools
import json
import re
import sqlite3
import time
from contextlib import closing

import pytest

from licenseusage.reports.report import read_report
from tests.controller.ages import DAY, MIDNIGHT, day, licensed
from tests.controller.sample import Product, answers, stamp
from tests.controller.stage import until

pytestmark = pytest.mark.controlplane

FIRST = MIDNIGHT - 6 * DAY + 12 * 3600


def begin(ages, **guarantees):
    """An object with two active users, in the middle of the first of its cycle's four days."""
    ages.product.users = {"ann": FIRST - 60, "ben": FIRST - 120}
    ages.objects = licensed(ages, days=4, anchor=day(FIRST), at=FIRST)
    ages.objects[-1]["spec"]["sources"][0]["guarantees"].update(guarantees)
    ages.crds.apply(ages.objects)
    operator = ages.travel(FIRST)
    until(lambda: operator.status("shop").get("activeUsers") == 2, 30)
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted")
    return ages


@pytest.fixture
def counted(ages):
    return begin(ages)


def kubectl(ages, *args):
    return ages.crds.kubectl(*args, "-n", ages.namespace)


def ask(ages, name="shop"):
    stamp = f"licenseusage.dev/requested-at={time.time_ns()}"
    kubectl(ages, "annotate", "--overwrite", f"lu/{name}", stamp)


def merge(ages, kind, patch):
    kubectl(ages, "patch", kind, "--type=merge", "-p", json.dumps(patch))


def row(ages, *args):
    """The table as kubectl prints it: column -> cell."""
    head, line = kubectl(ages, "get", "licenseusage", *args).stdout.splitlines()
    starts = [found.start() for found in re.finditer(r"\S+", head)] + [None]
    return {head[a:b].strip(): line[a:b].strip() for a, b in itertools.pairwise(starts)}


def chain(ages):
    found = sorted(ages.operator.reports(), key=lambda one: one["spec"]["sequence"])
    return [read_report(one["spec"]["token"]) for one in found]


@pytest.mark.parametrize("restarted", [False, True], ids=["alive", "restarted"])
def test_an_object_deleted_and_applied_again_continues_its_number_and_chain(ages, restarted):
    counted = begin(ages, removal="Unknown")
    uid = counted.operator.get("shop")["metadata"]["uid"]
    kubectl(counted, "delete", "lu", "shop", "--timeout=5s")
    counted.product.users = {"cat": FIRST - 30}  # the others are not listed any more
    if restarted:
        counted.travel(FIRST + 3600)
    counted.crds.apply(counted.objects[-1])
    operator = counted.operator
    until(lambda: operator.status("shop").get("activeUsers", 0) >= 2, 40)
    ask(counted)
    until(lambda: operator.status("shop").get("activeUsers") == 3, 40)
    assert operator.get("shop")["metadata"]["uid"] != uid
    assert len(operator.reports()) == 1

    operator = counted.travel(FIRST + 4 * DAY)
    until(lambda: counted.accepted(1), 60)
    first, final = chain(counted)[:2]  # an interim of the next cycle may follow
    assert (first.envelope.sequence, final.envelope.sequence) == (1, 2)
    assert final.envelope.previous == first.envelope.digest
    assert final.envelope.continuity == "Continues"
    assert final.content.active_users == 3
    assert final.content.rules.changes_in_cycle == 0


def test_a_renamed_object_and_its_copy_say_that_they_may_count_the_same_users(counted):
    operator, renamed = counted.operator, json.loads(json.dumps(counted.objects[-1]))
    renamed["metadata"]["name"] = "store"
    counted.crds.apply(renamed)
    operator.wait_condition("store", "CountedOnce", "Unknown", "CountedElsewhere")
    ask(counted)
    beside = operator.wait_condition("shop", "CountedOnce", "Unknown", "CountedElsewhere")
    assert f"{counted.namespace}/store" in beside["message"]
    kubectl(counted, "delete", "lu", "shop", "--timeout=5s")
    ask(counted, "store")
    moved = operator.wait_condition("store", "CountedOnce", "False", "MovedInCycle")
    assert f"{counted.namespace}/shop was deleted" in moved["message"]
    assert operator.condition("store", "Ready")["status"] == "True"


def test_renamed_pods_and_another_selector_change_neither_number_nor_rules(counted):
    operator, former = counted.operator, counted.product
    kubectl(counted, "delete", "pod", "shop-0", "--timeout=5s")
    counted.product = other = Product(former.offset)
    other.users = dict(former.users)
    former.close()
    counted.crds.create_pod(
        counted.namespace, "web-6fd9", labels={"app": "shop"}, ports={"http": other.port}
    )
    ask(counted)
    until(lambda: other.requests > 0, 30)
    operator.wait_condition("shop", "Ready", "True")

    merge(counted, "pod/web-6fd9", {"metadata": {"labels": {"app": None, "tier": "web"}}})
    ask(counted)
    seen = operator.wait_condition("shop", "Collected", "False", "NoPods")
    assert "app=shop" in seen["message"]
    source = operator.get("shop")["spec"]["sources"][0]
    source["pods"]["selector"] = {"matchLabels": {"tier": "web"}}
    before = other.requests
    merge(counted, "lu/shop", {"spec": {"sources": [source]}})
    until(lambda: other.requests > before, 30)
    operator.wait_condition("shop", "Ready", "True")
    assert operator.status("shop")["activeText"] == "2 so far"

    counted.travel(FIRST + 4 * DAY)
    (final,) = until(lambda: counted.accepted(1), 60)
    content = read_report(final["spec"]["token"]).content
    assert (content.active_users, content.rules.changes_in_cycle) == (2, 0)


def test_a_terminating_pod_is_not_asked(counted):
    hold = {"metadata": {"finalizers": ["tests.licenseusage.dev/hold"]}}
    merge(counted, "pod/shop-0", hold)
    kubectl(counted, "delete", "pod", "shop-0", "--wait=false")
    try:
        before = counted.product.requests
        ask(counted)
        seen = counted.operator.wait_condition("shop", "Collected", "False", "NoReadyPods")
        assert "0 of 1" in seen["message"]
        assert counted.product.requests == before
    finally:
        merge(counted, "pod/shop-0", {"metadata": {"finalizers": None}})


@pytest.mark.parametrize("restarted", [False, True], ids=["alive", "restarted"])
def test_a_rollout_of_the_product_is_told_and_takes_ready_away_from_nobody(counted, restarted):
    operator = counted.operator
    before = operator.condition("shop", "Ready")
    kubectl(counted, "delete", "pod", "shop-0", "--timeout=5s")
    ask(counted)
    operator.wait_condition("shop", "Collected", "False", "NoPods")
    if restarted:  # the operator's own rollout, at the same time
        operator = counted.travel(counted.at + 60)
        until(lambda: operator.reconciles() > 0, 30)
    told = {c["type"]: c for c in operator.status("shop")["conditions"]}
    assert told["Ready"] == before
    assert told["Collected"]["reason"] == "NoPods"
    assert not {"Stalled", "Reconciling"} & set(told)
    counted.crds.create_pod(
        counted.namespace, "shop-1", labels={"app": "shop"}, ports={"http": counted.product.port}
    )
    ask(counted)
    operator.wait_condition("shop", "Collected", "True")
    assert operator.condition("shop", "Ready") == before


def test_a_product_that_refuses_once_while_it_starts_is_believed_the_second_time(counted):
    operator = counted.operator
    before = operator.condition("shop", "Ready")
    counted.product.fault = answers(401, b"")
    asked = counted.product.requests
    ask(counted)
    seen = operator.wait_condition("shop", "Collected", "False", "Unauthorized")
    assert counted.product.requests == asked + 1
    assert operator.condition("shop", "Ready") == before
    assert operator.condition("shop", "Stalled") is None
    ask(counted)
    operator.wait_condition("shop", "Stalled", "True", "Unauthorized")
    assert operator.condition("shop", "Ready")["message"] == seen["message"]


def test_a_poll_that_is_cut_on_its_second_page_moves_neither_as_of_nor_number(counted):
    operator, product = counted.operator, counted.product
    product.users |= {f"user-{n:04}": FIRST - 30 for n in range(1200)}
    ask(counted)
    until(lambda: operator.status("shop").get("activeUsers") == 1202, 30)
    before = operator.status("shop")

    until(lambda: stamp(product.now() - 5) > before["asOfTime"], 30)
    product.users["aaa"] = product.now() - 2  # on the first page, and active after AS-OF
    refuse = answers(500, b"")
    product.fault = lambda handler: "after=" in handler.path and refuse(handler)
    ask(counted)
    operator.wait_condition("shop", "Collected", "False", "ServerError")
    cut = operator.status("shop")
    assert (cut["asOfTime"], cut["activeUsers"]) == (before["asOfTime"], 1202)

    product.fault = None
    product.users.pop("aaa")  # what the cut poll read of it is evidence all the same
    ask(counted)
    until(lambda: operator.status("shop").get("activeUsers") == 1203, 30)
    assert operator.status("shop")["asOfTime"] > before["asOfTime"]


def test_without_pods_for_a_day_no_old_number_looks_fresh_and_none_is_lost(counted):
    fresh = counted.operator.status("shop")
    assert row(counted)["READY"] == "True"
    kubectl(counted, "delete", "pod", "shop-0", "--timeout=5s")

    operator = counted.travel(FIRST + DAY)
    operator.wait_condition("shop", "Ready", "False", "NoPods")
    shown = row(counted, "-o", "wide")
    assert (shown["ACTIVE"], shown["READY"], shown["REASON"]) == ("2 so far", "False", "NoPods")
    assert shown["ACCURACY"] == "LowerBound"
    assert row(counted)["AS-OF"] == shown["AS-OF"] != ""
    status = operator.status("shop")
    assert status["asOfTime"] == fresh["asOfTime"]
    source = status["sources"][0]
    assert source["reason"] == "NoPods"
    assert source["lastSuccessTime"] <= fresh["asOfTime"]

    # The next cycle has no number before something was read in it.
    operator = counted.travel(FIRST + 4 * DAY)
    until(lambda: operator.status("shop")["cycle"]["index"] == 1, 30)
    operator.wait_condition("shop", "Ready", "False", "NoPods")
    shown = row(counted, "-o", "wide")
    assert (shown["ACTIVE"], shown["AS-OF"]) == ("unknown", "")
    assert (shown["READY"], shown["LAST-CYCLE"]) == ("False", "≥2")

    # Pods again: what was proved before the gap is still counted, and the gap is stated.
    counted.crds.create_pod(
        counted.namespace, "shop-1", labels={"app": "shop"}, ports={"http": counted.product.port}
    )
    ask(counted)
    (final,) = until(lambda: counted.accepted(1), 60)
    content = read_report(final["spec"]["token"]).content
    assert (content.active_users, content.active_users_upper_bound) == (2, 2)
    assert [gap.reason for gap in content.coverage.gaps]
    assert content.coverage.observed_seconds < 3600
    operator.wait_condition("shop", "Ready", "True")
    assert row(counted)["ACTIVE"] == "none seen so far"


def test_an_outage_within_the_cycle_is_a_gap_in_the_coverage(counted):
    kubectl(counted, "delete", "pod", "shop-0", "--timeout=5s")
    counted.travel(FIRST + DAY)
    counted.operator.wait_condition("shop", "Ready", "False", "NoPods")
    counted.crds.create_pod(
        counted.namespace, "shop-1", labels={"app": "shop"}, ports={"http": counted.product.port}
    )
    ask(counted)
    counted.operator.wait_condition("shop", "Ready", "True")
    status = counted.operator.status("shop")
    assert status["activeText"] == "2 so far"
    (gap,) = [
        g for g in status["coverage"]["gaps"] if g["startTime"] > status["cycle"]["startTime"]
    ]
    assert gap["reason"] == "NoPods"
    assert status["coverage"]["observedSeconds"] < 3600


def test_of_other_namespaces_nothing_that_the_ledger_remembers_is_done(counted):
    """``LICENSEUSAGE_NAMESPACES`` was narrowed: another operator looks after the rest."""
    other = f"{counted.namespace[:40]}-other"
    counted.crds.create_namespace(other)
    counted.crds.create_pod(
        other, "shop-0", labels={"app": "shop"}, ports={"http": counted.product.port}
    )
    counted.crds.apply(
        [{**one, "metadata": {**one["metadata"], "namespace": other}} for one in counted.objects]
    )

    def there():
        found = counted.crds.kubectl("get", "lu", "shop", "-n", other, "-o", "json").stdout
        return json.loads(found).get("status", {})

    operator = counted.travel(FIRST + 3600, namespaces=f"{counted.namespace},{other}")
    until(lambda: there().get("activeUsers") == 2, 30)
    before = there()

    operator = counted.travel(FIRST + 5 * DAY)  # one namespace only, and both cycles are over
    until(lambda: counted.accepted(1), 60)
    counted.crds.kubectl("delete", "lu", "shop", "-n", other, "--timeout=5s")
    ask(counted)
    operator.wait_condition("shop", "Reported", "True")
    assert before["cycle"]["index"] == 0
    assert f'namespace="{other}"' not in operator.http("/metrics")[1]
    assert {read_report(token).envelope.namespace for token, _ in counted.vendor.finals()} == {
        counted.namespace
    }
    with closing(sqlite3.connect(f"file:{operator.folder}/ledger.sqlite?mode=ro", uri=True)) as db:
        held = db.execute(
            "select c.state, m.deleted_ms from cycles c join meters m on m.id = c.meter_id "
            "where m.namespace = ?",
            (other,),
        ).fetchall()
    assert held == [("Open", None)]


def test_a_namespace_that_is_being_deleted_holds_up_nobody(counted):
    doomed = f"{counted.namespace[:40]}-doomed"
    counted.crds.create_namespace(doomed)
    counted.crds.create_pod(
        doomed, "shop-0", labels={"app": "shop"}, ports={"http": counted.product.port}
    )
    counted.crds.apply(
        [{**one, "metadata": {**one["metadata"], "namespace": doomed}} for one in counted.objects]
    )
    both = {"namespaces": f"{counted.namespace},{doomed}"}
    operator = counted.travel(FIRST + 3600, **both)
    status = lambda: json.loads(  # noqa: E731
        counted.crds.kubectl("get", "lu", "shop", "-n", doomed, "-o", "json").stdout
    ).get("status", {})
    until(lambda: status().get("activeUsers") == 2, 30)

    # As in a real cluster, but slowly: first nothing new may be made, then all objects go.
    counted.crds.kubectl("delete", "namespace", doomed, "--wait=false")
    phase = counted.crds.kubectl(
        "get", "namespace", doomed, "-o", "jsonpath={.status.phase}"
    ).stdout
    assert phase == "Terminating"
    counted.product.users["cat"] = FIRST + 3600
    operator = counted.travel(FIRST + 2 * DAY, **both)
    until(lambda: status().get("activeUsers") == 3, 40)
    until(lambda: operator.status("shop").get("activeUsers") == 3, 40)
    told = lambda: {c["type"]: c["reason"] for c in status()["conditions"]}  # noqa: E731
    until(lambda: told()["Reported"] == "NamespaceTerminating", 30)  # kept in the ledger
    assert told()["Ready"] == "Succeeded"
    assert "Stalled" not in told()
    for kind in ("lu", "secret", "pod"):
        counted.crds.kubectl("delete", kind, "--all", "-n", doomed, "--timeout=10s")
    counted.product.users["dan"] = FIRST + 2 * DAY  # nobody asks for that namespace any more

    operator = counted.travel(FIRST + 5 * DAY, **both)
    until(lambda: len(counted.vendor.finals()) == 2, 60)
    finals = {}
    for token, verdict in counted.vendor.finals():
        report = read_report(token)
        assert verdict == "Accepted"
        finals[report.envelope.namespace] = report.content
    assert finals[doomed].active_users == 3
    assert finals[doomed].active_users_upper_bound is None
    assert finals[doomed].coverage.gaps
    assert finals[counted.namespace].active_users == 4
    operator.wait_condition("shop", "Ready", "True")
    assert operator.ready
