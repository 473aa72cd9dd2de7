"""The real operator on an event log over HTTP: counted, gone on after a kill, losses stated."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.controller.sample import reply
from tests.controller.stage import Operator, until, usage
from tests.sources.eventlog import EventLog

pytestmark = pytest.mark.controlplane

NAMESPACE = "http-event-log"
DAY_MS = 86_400_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture(scope="module")
def place(crds):
    crds.create_namespace(NAMESPACE)
    return NAMESPACE


@pytest.fixture
def log():
    """A product that records events, and says so."""
    made = EventLog(settings={"on": True, "keep": 0})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            reply(self, 200, json.dumps(made.respond(self.path)).encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made.port = server.server_address[1]
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def operator(crds, place, tmp_path):
    operator = Operator(crds, place, tmp_path).start()
    yield operator
    operator.stop()


def log_usage(name="audited"):
    made = usage(NAMESPACE, name, product="audited")
    made["spec"]["sources"] = [
        {
            "name": "audit",
            "pods": {"selector": {"matchLabels": {"app": name}}, "port": "http", "scheme": "HTTP"},
            "intervalMinutes": 60,
            "http": {
                "path": "/events",
                "items": "items",
                "query": [
                    {"name": edge, "value": f"{{{{range.{edge}.epochMillis}}}}"}
                    for edge in ("start", "end")
                ],
                "pagination": {
                    "type": "Offset",
                    "offsetParam": "first",
                    "limitParam": "max",
                    "size": 10,
                },
            },
            "events": {
                "order": "NewestFirst",
                "id": "id",
                "settings": {"path": "/settings", "recording": "on", "retentionSeconds": "keep"},
            },
            "users": {
                "id": "user",
                "time": {"path": "at", "format": "EpochMillis", "granularity": "Millisecond"},
            },
            "guarantees": {"lagSeconds": 0, "ids": "Stable"},
        }
    ]
    return made


def ask(crds):
    stamp = f"licenseusage.dev/requested-at={time.time_ns()}"
    crds.kubectl("annotate", "--overwrite", "licenseusage/audited", "-n", NAMESPACE, stamp)


def asked_until(crds, holds, seconds=40):
    """Ask for polls until one has seen it: what is too new for one is read by the next."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        ask(crds)
        try:
            until(holds, 3)
        except AssertionError:
            continue


def test_an_event_log_over_http_is_counted_and_goes_on_after_a_kill(crds, place, log, operator):
    log.write(now_ms() - 70 * DAY_MS, "long-ago")
    for number in range(40):
        log.write(now_ms() - 60_000 - number * 1000, f"person-{number % 3}@example.org")
    crds.create_pod(place, "audited-0", labels={"app": "audited"}, ports={"http": log.port})
    crds.apply(log_usage())
    until(lambda: operator.status("audited").get("activeUsers") == 3, 60)
    status = operator.status("audited")
    assert status["activeText"] == "3 so far"
    assert operator.condition("audited", "Ready")["status"] == "True"
    assert "usersListed" not in status["sources"][0]
    seen = operator.condition("audited", "Collected")
    assert (seen["status"], seen["reason"]) == ("True", "PollSucceeded")

    operator.kill()
    operator.start()
    log.write(now_ms() - 2_500, "person-3@example.org")  # later than what was read, old enough
    asked_until(crds, lambda: operator.status("audited").get("activeUsers") == 4)

    def collected(text):
        return text in json.dumps(operator.condition("audited", "Collected"))

    log.held.clear()  # an administrator clears the log, and with it what was not read yet
    log.write(now_ms(), "person-4@example.org")
    asked_until(crds, lambda: collected("LogWentBack"))
    asked_until(crds, lambda: collected("PollSucceeded"))  # else both are one gap
    log.settings["on"], off_ms = False, now_ms()
    # Gaps are stated in whole seconds.
    asked_until(crds, lambda: collected("EventsNotRecorded") and now_ms() > off_ms + 2_500)
    assert collected("Switch the recording of these events on")
    log.settings["on"] = True
    asked_until(crds, lambda: collected("PollSucceeded"))

    def gaps():
        return {gap["reason"] for gap in operator.status("audited")["coverage"]["gaps"]}

    asked_until(crds, lambda: {"LogWentBack", "EventsNotRecorded"} <= gaps())
    assert "person" not in json.dumps(operator.get("audited"))
