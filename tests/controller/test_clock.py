"""A wrong clock: found and said; no cycle is closed early, opened again or dated in the future."""

import json
import re
import socket
import subprocess
import threading
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path

import pytest

from licenseusage.controller.rules.clockwatch import judge
from licenseusage.controller.steps.viewing import counting_time
from licenseusage.ledger.records import CycleRecord, CycleState
from licenseusage.metering.cycles import Cycle
from tests.controller.stage import Operator, until
from tests.controller.test_cycle_end import Scene

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOW = 100 * DAY_MS


def test_clocks_that_agree_within_the_tolerance_are_trusted():
    for offset in (None, 0, 300, -300):
        assert judge(NOW, offset, NOW) == judge(NOW, 0, NOW)
    assert judge(NOW, 0, NOW).counting_ms == NOW


def test_cycles_are_counted_by_the_later_clock_to_say_so():
    ahead = judge(NOW, -3600, NOW)
    assert ahead.counting_ms == NOW - HOUR_MS + 300_000
    assert ahead.ahead is ahead.problem is not None
    assert ahead.problem.reason == "ClockSkewed"
    assert "about 60 minutes ahead of" in ahead.problem.message


def test_a_clock_behind_dates_nothing_in_the_future_and_may_sign():
    behind = judge(NOW, 7200, NOW)
    assert behind.counting_ms == NOW
    assert behind.ahead is None
    assert "about 2 hours behind" in behind.problem.message


def test_a_clock_behind_the_ledger_is_said_and_stops_nothing():
    seen = judge(NOW, 0, NOW + 3 * DAY_MS)
    assert (seen.counting_ms, seen.ahead, seen.problem) == (NOW, None, None)
    assert "about 3 days behind the latest time in the ledger" in seen.hint
    assert judge(NOW, 0, NOW + 300_000).hint is None


def test_what_is_said_does_not_change_with_every_look():
    assert len({judge(NOW + s, -3600 - s, NOW).problem.message for s in range(50)}) == 1


@pytest.mark.parametrize("now_ms", [NOW - 5 * DAY_MS, NOW])
def test_a_cycle_that_is_final_never_runs_again(now_ms):
    final = CycleRecord(1, Cycle(0, NOW - DAY_MS, NOW), CycleState.FINAL)
    running = CycleRecord(1, Cycle(1, NOW, NOW + DAY_MS), CycleState.OPEN)
    assert counting_time(judge(now_ms, 0, NOW), [running, final]) == NOW


class Relay:
    """Stands before an API server and changes the ``Date`` of its answers by some seconds."""

    _DATE = re.compile(rb"(?i)(\r\ndate: )([A-Z][a-z]{2}, [^\r]{20} GMT)(?=\r\n)")

    def __init__(self, control_plane, folder: Path):
        self.seconds = 0
        self._proxy = subprocess.Popen(
            [control_plane.binaries.kubectl, "proxy", "--port=0", "--reject-paths=^$"],
            env=control_plane.environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._proxy.stdout.readline()
        self._upstream = int(re.search(r":(\d+)\s*$", line)[1])
        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.kubeconfig = folder / "relayed.kubeconfig"
        entry = {"name": "r", "cluster": {"server": url}}
        context = {"name": "r", "context": {"cluster": "r", "user": "r"}}
        self.kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [entry],
                    "contexts": [context],
                    "users": [{"name": "r", "user": {}}],
                    "current-context": "r",
                }
            )
        )

    def _accept(self):
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            upstream = socket.create_connection(("127.0.0.1", self._upstream))
            ends = ((client, upstream, bytes), (upstream, client, self._shift))
            for source, sink, change in ends:
                threading.Thread(
                    target=self._pump, args=(source, sink, change), daemon=True
                ).start()

    @staticmethod
    def _pump(source, sink, change):
        try:
            while data := source.recv(65536):
                sink.sendall(change(data))
        except OSError:
            pass
        finally:
            for end in (source, sink):
                end.close()

    def _shift(self, data: bytes) -> bytes:
        def shifted(found):
            at = parsedate_to_datetime(found[2].decode()).timestamp() + self.seconds
            return found[1] + formatdate(at, usegmt=True).encode()

        return self._DATE.sub(shifted, data)

    def close(self):
        self._server.close()
        self._proxy.kill()
        self._proxy.wait()


@pytest.fixture
def relayed(crds, tmp_path):
    """A cycle that ends in seconds, and an operator that sees the API server through a relay."""
    scene, relay = Scene(crds, "wrong-clock", tmp_path, seconds=5), Relay(crds, tmp_path)
    scene.operator = Operator(
        crds,
        scene.namespace,
        tmp_path / "operator",
        offset=scene.offset,
        kubeconfig=relay.kubeconfig,
        vendor_ca_file=scene.vendor.tls.ca_file,
    )
    yield scene, relay
    scene.close()
    relay.close()


@pytest.mark.controlplane
def test_a_clock_that_is_ahead_closes_no_cycle_and_signs_nothing(relayed):
    scene, relay = relayed
    relay.seconds = -3600
    scene.operator.cp = scene.cp  # kubectl asks the API server itself
    scene.apply()
    scene.operator.start()
    seen = scene.operator.wait_condition("shop", "Ready", "False", "ClockSkewed")
    assert "ahead of the API server's" in seen["message"]
    until(lambda: scene.operator.status("shop").get("activeUsers") == 20)
    until(lambda: scene.simulated() > scene.midnight + 15, 60)
    now = scene.operator.status("shop")
    assert now["cycle"]["endTime"] == scene.end.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert not now.get("history")
    assert scene.operator.reports() == []
    assert scene.vendor.documents() == 0
    relay.seconds = 0
    final = until(scene.accepted_final, 120)
    assert final["spec"]["activeText"] == "20"
    scene.operator.wait_condition("shop", "Ready", "True")
