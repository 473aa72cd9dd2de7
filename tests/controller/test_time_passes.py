"""Cycles that ended unseen: the operator was away, the object is gone, the terms have changed."""

import sqlite3
import time
from datetime import timedelta

import pytest

from licenseusage.reports.report import read_report
from tests.controller.ages import DAY, MIDNIGHT, day, licensed
from tests.controller.stage import secret, until

pytestmark = pytest.mark.controlplane


def test_after_an_absence_of_cycles_one_poll_is_tried_and_all_are_closed_in_order(ages):
    first = MIDNIGHT - 6 * DAY + 3600
    ages.product.users = {"early": first - 60}  # active on the first day only
    ages.crds.apply(licensed(ages, anchor=day(first), at=first))
    operator = ages.travel(first)
    until(lambda: operator.status("shop").get("activeUsers") == 1, 30)
    ages.product.users["often"] = first + 2 * DAY  # seen last in the middle of the absence
    operator = ages.travel(first + 4 * DAY)
    finals = until(lambda: ages.accepted(4), 60)
    # Day by day: "often" may have been there before, and was there on the third day.
    assert [r["spec"]["activeText"] for r in finals] == ["1–2", "≤1", "1", "0"]  # noqa: RUF001
    chain = [read_report(r["spec"]["token"]).envelope for r in finals]
    assert [c.sequence for c in chain] == sorted(c.sequence for c in chain)
    gaps = read_report(finals[1]["spec"]["token"]).content.coverage.gaps
    assert gaps, "the absence is stated"
    history = operator.status("shop")["history"]
    assert [h["state"] for h in history] == ["Final"] * 4
    assert history[0]["startTime"] > history[3]["startTime"]


def test_a_deleted_objects_cycle_still_ends_with_a_final_that_states_the_gap(ages):
    first = MIDNIGHT - 4 * DAY + 3600
    ages.product.users = {"ann": first - 60}
    ages.crds.apply(licensed(ages, anchor=day(first), at=first))
    operator = ages.travel(first)
    until(lambda: operator.status("shop").get("activeUsers") == 1, 30)
    ages.crds.kubectl("delete", "lu", "shop", "-n", ages.namespace, "--timeout=5s")
    operator = ages.travel(first + 2 * DAY + 3600)
    (final,) = until(lambda: ages.accepted(1), 60)
    content = read_report(final["spec"]["token"]).content
    assert content.active_users == 1
    assert content.active_users_upper_bound is None
    assert content.coverage.gaps
    # No cycle begins for an object that is not there.
    assert len(ages.finals()) == 1


def test_new_terms_begin_after_the_old_cycle_which_ends_under_the_old_licence(ages):
    first = MIDNIGHT - 6 * DAY + 3600
    ages.product.users = {"ann": first - 60}
    ages.crds.apply(licensed(ages, days=2, anchor=day(first), at=first))
    operator = ages.travel(first)
    until(lambda: operator.status("shop").get("activeUsers") == 1, 30)
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted")
    renewed = ages.vendor.license(anchor=day(first), days=3, subscription="sub-2")
    ages.crds.apply(secret(ages.namespace, "license", **{"license.jwt": renewed}))
    now = f"licenseusage.dev/requested-at={time.time_ns()}"
    ages.crds.kubectl("annotate", "--overwrite", "lu/shop", "-n", ages.namespace, now)
    until(lambda: "sub-2" in enrolled(ages), 30)
    assert operator.status("shop")["cycle"]["endTime"].startswith(str(day(first + 2 * DAY)))

    operator = ages.travel(first + 4 * DAY)  # day 5: the new grid's second cycle, days 4 to 6
    (final,) = until(lambda: ages.accepted(1), 60)
    envelope = read_report(final["spec"]["token"]).envelope
    assert envelope.subscription == "sub-1", "the old cycle is reported under the old licence"
    cycle = until(lambda: operator.status("shop").get("cycle"), 20)
    assert cycle["startTime"].startswith(str(day(first) + timedelta(days=3)))
    assert cycle["endTime"].startswith(str(day(first) + timedelta(days=6)))


def test_another_contract_begins_with_the_next_cycle_though_its_terms_are_the_same(ages):
    first = MIDNIGHT - 6 * DAY + 3600
    ages.product.users = {"ann": first - 60}
    ages.crds.apply(licensed(ages, anchor=day(first), at=first))
    operator = ages.travel(first)
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted")
    other = ages.vendor.license(
        anchor=day(first), days=1, subscription="sub-2", maximum_active_users=900
    )
    ages.crds.apply(secret(ages.namespace, "license", **{"license.jwt": other}))
    now = f"licenseusage.dev/requested-at={time.time_ns()}"
    ages.crds.kubectl("annotate", "--overwrite", "lu/shop", "-n", ages.namespace, now)
    until(lambda: "sub-2" in enrolled(ages), 30)
    (told,) = (c for c in operator.status("shop")["conditions"] if c["type"] == "Licensed")
    assert f"Its first cycle begins on {day(first + DAY)};" in told["message"]
    assert operator.status("shop")["maximumActiveUsers"] == 500

    operator = ages.travel(first + 2 * DAY)
    finals = until(lambda: ages.accepted(2), 60)
    envelopes = [read_report(r["spec"]["token"]).envelope for r in finals]
    assert [one.subscription for one in envelopes] == ["sub-1", "sub-2"]
    assert [r["spec"]["cycle"]["index"] for r in finals] == [0, 1]
    until(lambda: operator.status("shop").get("maximumActiveUsers") == 900, 30)


def test_a_final_refused_for_its_date_is_issued_anew_and_later_cycles_wait_for_it(ages):
    first = MIDNIGHT - 6 * DAY + 3600
    ages.product.users = {"ann": first - 60}
    ages.crds.apply(licensed(ages, anchor=day(first), at=first))
    operator = ages.travel(first)
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted")

    operator = ages.travel(first + DAY, vendor_late=3600)
    seen = operator.wait_condition("shop", "Reported", "False", "IssuedInFuture")
    assert "signed the verdict" in seen["message"]
    (refused,) = until(
        lambda: [r for r in ages.finals() if r.get("status", {}).get("delivery") == "Rejected"]
    )

    ages.travel(first + 2 * DAY + 3600)
    anew, following = until(lambda: ages.accepted(2), 60)
    assert anew["spec"]["cycle"] == refused["spec"]["cycle"]
    assert anew["spec"]["activeText"] == refused["spec"]["activeText"]
    sequences = [r["spec"]["sequence"] for r in (refused, anew, following)]
    assert sequences == sorted(sequences)
    assert len(ages.finals()) == 3


def enrolled(ages):
    path = f"file:{ages.vendor.folder}/receiver.sqlite?mode=ro"
    with sqlite3.connect(path, uri=True) as database:
        return {row[0] for row in database.execute("select subscription from installations")}
