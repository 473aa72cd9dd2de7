"""The real operator with its intake on: pods' tokens, pushes, heartbeats, kills, other tenants."""

import json
import time
from pathlib import Path

import pytest

from tests.controller.pushing import (
    Pusher,
    activity,
    heartbeat,
    pushed_usage,
    token_of,
)
from tests.controller.stage import DAY, Operator, Process, free_port, until

pytestmark = pytest.mark.controlplane

MIDNIGHT = int(time.time()) // DAY * DAY


@pytest.fixture
def place(crds, namespace):
    for account in ("shop", "other"):
        crds.kubectl("create", "serviceaccount", account, "-n", namespace)
    return namespace


@pytest.fixture
def at(crds, place, tmp_path):
    """Start the operator at a time (epoch seconds); it goes on in the same folder."""
    running = []

    def start(at_s=None, *, script=None, **settings):
        for operator in running:
            if operator.process.alive:
                operator.stop()
        offset = 0 if at_s is None else int(at_s - time.time())
        port = free_port()
        settings = {"intake_address": f"127.0.0.1:{port}", **settings}
        operator = Operator(crds, place, tmp_path / "operator", offset=offset, **settings)
        operator.intake_port = port
        running.append(operator)
        return operator if script else operator.start()

    yield start
    for operator in running:
        if operator.process is not None and operator.process.alive:
            operator.stop()


@pytest.fixture
def pusher(crds, place):
    def of(operator, account="shop"):
        return Pusher(operator.intake_port, token_of(crds, place, account))

    return of


def accepted(pusher, events):
    """Push until the operator knows the object; return the answer."""

    def push():
        answer = pusher.send(events)
        assert answer.status in (200, 403, 503), answer.body
        return answer if answer.status == 200 else None

    return until(push, 60)


def history(operator, name="shop"):
    return {cycle["startTime"][:10]: cycle for cycle in operator.status(name).get("history", ())}


def day(at_s):
    return time.strftime("%Y-%m-%d", time.gmtime(at_s))


def test_a_cycle_that_was_told_from_before_its_start_to_its_end_is_exact(crds, place, at, pusher):
    operator = at(MIDNIGHT - DAY - 30)
    crds.apply(pushed_usage(place))
    client = pusher(operator)
    accepted(client, [heartbeat(MIDNIGHT - DAY - 30)])
    operator = at(MIDNIGHT + 20)
    again = pusher(operator)
    again.receipt = client.receipt
    noon = MIDNIGHT - DAY // 2
    accepted(again, [activity("ada", noon), activity("ben", MIDNIGHT - 1), activity("ada", noon)])
    until(lambda: history(operator).get(day(MIDNIGHT - DAY)), 60)
    assert history(operator)[day(MIDNIGHT - DAY)]["state"] == "Closing"
    assert again.send([activity("eve", MIDNIGHT + 1), heartbeat(MIDNIGHT + 10)]).status == 200
    closed = until(
        lambda: (found := history(operator)[day(MIDNIGHT - DAY)])["state"] == "Final" and found, 60
    )
    assert (closed["activeText"], closed["accuracy"]) == ("2", "Exact")
    assert operator.condition("shop", "Ready")["status"] == "True"
    assert operator.status("shop")["activeText"] == "1 so far"
    whole = json.dumps(operator.get("shop")) + operator.log.read_text()
    whole += operator.http("/metrics")[1]
    assert not any(name in whole for name in ('"ada"', '"ben"', '"eve"', again.token))
    assert "licenseusage_push_events_total" in whole


def test_a_kill_between_commit_and_answer_doubles_and_loses_nothing(crds, place, at, pusher):
    operator = at()
    crds.apply(pushed_usage(place))
    now = time.time()
    client = pusher(operator)
    accepted(client, [activity("ada", now - 60)])
    operator.stop()
    dying = at(script=True)
    dying.process = None
    events = [activity(name, now - 30) for name in ("ada", "ben", "eve")]
    client.url = client.url.replace(str(operator.intake_port), str(dying.intake_port))
    dies_at_the_push(dying, lambda: client.send(events))
    again = at()
    client.url = client.url.replace(str(dying.intake_port), str(again.intake_port))
    answer = accepted(client, events)
    assert answer.body["accepted"] == 3
    until(lambda: again.status("shop").get("activeText") == "3 so far", 60)


def dies_at_the_push(operator, push):
    """Start an operator that dies once a push is committed, before it is answered."""
    script = Path(__file__).with_name("killed_operator.py")
    operator.process = Process(
        [str(script), "after:Ledger.record_pushes"], operator.env, operator.log, script=True
    )

    def died():
        if not operator.process.alive:
            return True
        try:
            answer = push()
        except OSError:  # no answer: it is not there yet, or not any more
            return False
        assert answer.status != 200, answer.body
        return False

    until(died, 60)


def test_a_token_of_another_namespace_or_account_pushes_nothing(crds, place, at, pusher):
    operator = at()
    crds.apply(pushed_usage(place))
    now = time.time()
    accepted(pusher(operator), [activity("ada", now - 60)])
    elsewhere = f"{place}-elsewhere"
    crds.create_namespace(elsewhere)
    crds.kubectl("create", "serviceaccount", "shop", "-n", elsewhere)
    stranger = Pusher(operator.intake_port, token_of(crds, elsewhere))
    refused = stranger.send([activity("eve", now - 60)])
    assert (refused.status, refused.body["error"]) == (403, "NoPushSource")
    assert elsewhere in refused.body["detail"]
    refused = pusher(operator, "other").send([activity("eve", now - 60)])
    assert (refused.status, refused.body["error"]) == (403, "NoPushSource")
    assert "push.serviceAccounts" in refused.body["fix"]


def test_a_token_for_somebody_else_is_refused(crds, place, at):
    operator = at()
    crds.apply(pushed_usage(place))
    for token in (
        token_of(crds, place, audience="https://kubernetes.default.svc"),
        token_of(crds, place)[:-8] + "AAAAAAAA",
        "no token at all",
    ):
        refused = Pusher(operator.intake_port, token).send([])
        assert (refused.status, refused.body["error"]) == (401, "PushTokenRefused")
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert "audience licenseusage.dev" in refused.body["detail"]
    refused = Pusher(operator.intake_port, None).send([])
    assert (refused.status, refused.body["error"]) == (401, "PushTokenMissing")
    assert refused.headers["Content-Type"].startswith("application/problem+json")


def test_what_a_product_has_to_correct_stands_in_its_status(crds, place, at, pusher):
    operator = at()
    crds.apply(pushed_usage(place))
    now = time.time()
    client = pusher(operator)
    accepted(client, [activity("ada", now - 60), heartbeat(now - 30)])
    operator.wait_condition("shop", "Collected", "True", seconds=60)
    broken = activity("secret-person", now - 60) | {"time": "yesterday"}
    refused = client.send([activity("ben", now - 60), broken])
    assert (refused.status, refused.body["error"]) == (422, "EventInvalid")
    assert refused.body["detail"].startswith("event 2: time must be RFC 3339")
    seen = operator.wait_condition("shop", "Collected", "False", "PushRefused", 60)
    assert "event 2: time must be RFC 3339" in seen["message"]
    assert "secret-person" not in json.dumps(operator.get("shop")) + operator.log.read_text()
    assert operator.status("shop")["activeText"] == "1 so far"
    assert client.send([activity("ben", now - 60), heartbeat(now - 20)]).status == 200
    operator.wait_condition("shop", "Collected", "True", seconds=60)
    until(lambda: operator.status("shop")["activeText"] == "2 so far", 60)


def test_a_service_account_that_two_sources_name_is_a_condition(crds, place, at, pusher):
    operator = at()
    crds.apply([pushed_usage(place), pushed_usage(place, "rival")])
    seen = operator.wait_condition("rival", "Ready", "False", "PushAmbiguous", 60)
    assert "rival/app, shop/app" in seen["message"]
    client = pusher(operator)
    refused = until(lambda: (a := client.send([])).status == 409 and a, 60)
    assert refused.body["error"] == "PushAmbiguous"


def test_an_intake_that_is_off_is_a_condition(crds, place, at):
    operator = at(intake_address="")
    crds.apply(pushed_usage(place))
    seen = operator.wait_condition("shop", "Ready", "False", "IntakeOff", 60)
    assert "manifests/components/intake" in seen["message"]
    assert operator.condition("shop", "Stalled")["reason"] == "IntakeOff"


def test_a_silent_product_is_a_condition_from_the_start(crds, place, at):
    operator = at()
    crds.apply(pushed_usage(place))
    seen = operator.wait_condition("shop", "Ready", "False", "NothingPushed", 60)
    assert "nothing was pushed yet by the service accounts it names (shop)" in seen["message"]
