"""Two servers that each keep a log of their own, and one of them is away when the cycle is closed.

Real servers and the real ledger; only the clocks leap, so that no cycle need be waited for.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hack.nats import NatsServer
from licenseusage.clock import SystemClock
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import MeterKey, PollRecord
from licenseusage.metering.cycles import DAY_MS, Cycle, Terms
from licenseusage.metering.properties import Guarantee
from licenseusage.metering.stores import DeclaredSource, StoreKey, StoreState
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.logs.jetstream import JetstreamSession
from licenseusage.sources.poll import CycleRequest, PollResult, Target
from licenseusage.sources.workers.kinds import collect
from tests.sources.broker import Broker, Reader, message, now_ms, source

HOUR_MS = 3_600_000
STORE = StoreKey("events", "domain")
SOURCE = effective(source(guarantees={"clockSkewSeconds": 300}))
DECLARED = DeclaredSource(STORE, SOURCE.properties, DAY_MS, declaration=SOURCE.declaration)
TERMS = Terms(datetime.now(UTC).date() + timedelta(days=2), length_days=1)


@dataclass
class Leaps:
    """Our time: the servers' time, and from each leap on so much later."""

    real_ms: list[int] = field(default_factory=lambda: [0])
    ahead_ms: list[int] = field(default_factory=lambda: [0])

    def leap(self, ours_ms: int) -> None:
        at = now_ms()
        self.real_ms.append(at)
        self.ahead_ms.append(ours_ms - at)

    def ours(self, server_ms: int) -> int:
        return server_ms + self.ahead_ms[bisect_right(self.real_ms, server_ms) - 1]

    def theirs(self, ours_ms: int) -> int:
        """Return the server's time of ours; of a time that was leapt over, the leap's."""
        leaps = zip(self.real_ms, self.ahead_ms, [*self.real_ms[1:], 2**62], strict=True)
        return next(
            min(ours_ms - ahead, end - 1)
            for real, ahead, end in reversed(list(leaps))
            if real + ahead <= ours_ms
        )


@pytest.fixture
def clock(monkeypatch):
    leaps = Leaps()
    monkeypatch.setattr(JetstreamSession, "_shifted", lambda _, at: leaps.ours(at))
    monkeypatch.setattr(JetstreamSession, "_unshifted", lambda _, at: leaps.theirs(at))
    monkeypatch.setattr(SystemClock, "now_ms", lambda _: leaps.ours(now_ms()))
    return leaps


@pytest.fixture
def second(nats_program, tmp_path):
    with NatsServer(tmp_path / "second", program=nats_program) as server:
        made = Broker(server)
        made.create()
        yield made


@dataclass
class Operator:
    """Polls the pods that are ready, and makes it durable."""

    ledger: Ledger
    pods: dict[str, NatsServer]

    def poll(self, cycle: Cycle, *ready: str) -> PollResult:
        state = self.ledger.store_states(1, cycle).get(STORE, StoreState())
        ports = {name: server.port for name, server in self.pods.items()}
        request = Reader(next(iter(self.pods.values())), cycle).made(
            source=SOURCE,
            targets=tuple(Target("127.0.0.1", ports[name], "NATS", name) for name in ready),
            cycles=(CycleRequest(cycle, log=state.log),),
            every_pod=len(ready) == len(self.pods),
        )
        result = collect(request, SystemClock())
        record = PollRecord(
            meter_id=1,
            store=STORE,
            properties=SOURCE.properties_given(ids_stable=result.ids_stable),
            interval_ms=DAY_MS,
            started_ms=result.started_ms,
            ended_ms=result.ended_ms,
            clock_skew_ms=result.clock_skew_ms,
            complete=result.complete,
            facts=_only(cycle, result.facts),
            readings=_only(cycle, result.readings),
            pseudonym_key_id="f" * 32,
            declaration=SOURCE.declaration,
            failure=result.failure,
            one_log=result.one_log,
        )
        self.ledger.record_poll(record, result.ended_ms)
        return result

    def bounds(self, cycle: Cycle) -> tuple[int, int | None]:
        said = self.ledger.statement(1, cycle, sources=[DECLARED], as_of_ms=cycle.end_ms).bounds
        return said.lower, said.upper


def _only(cycle: Cycle, told: dict[int, Any]) -> dict[Cycle, Any]:
    """What a poll told of the one cycle that it was about."""
    return {cycle: told[cycle.index]} if told else {}


@pytest.fixture
def operator(broker, second, tmp_path):
    path = f"sqlite:///{tmp_path / 'ledger.db'}"
    with Ledger.open(path, now_ms=now_ms(), ledger_id="ledger-1") as ledger:
        meter = ledger.ensure_meter(MeterKey("default", "cloud", "opencloud"), now_ms())
        ledger.keep_terms(meter.id, TERMS, now_ms())
        yield Operator(ledger, {"pod-0": broker.server, "pod-1": second.server})


def closed(operator, clock, broker, cycle) -> tuple[int, int | None]:
    """Let somebody be active at the first pod, and close the cycle with it alone."""
    clock.leap(cycle.start_ms + 10 * HOUR_MS)
    broker.publish(message("a", clock.ours(now_ms())))
    clock.leap(cycle.end_ms + HOUR_MS)
    assert operator.poll(cycle, "pod-0").complete
    return operator.bounds(cycle)


def test_a_second_log_that_is_away_when_the_cycle_is_closed_makes_no_first_one_exact(
    operator, broker, second, clock
):
    first, following, _, last = (TERMS.cycle(n) for n in range(4))
    broker.publish(message("z", now_ms()))
    clock.leap(first.start_ms + 2 * HOUR_MS)
    second.publish(message("b", clock.ours(now_ms())))
    assert operator.poll(first, "pod-0", "pod-1").failure.reason == "SeveralLogs"
    second.server.stop(kill=True)
    assert operator.poll(first, "pod-0", "pod-1").failure is None, "pod-0 answers alone"
    assert closed(operator, clock, broker, first) == (1, None), "b was active, too"
    assert closed(operator, clock, broker, following) == (1, None), "nor in the second month"

    del operator.pods["pod-1"]  # no such pod is selected any more
    assert operator.poll(following, "pod-0").one_log
    assert operator.ledger.refuted(1) == ()
    assert operator.bounds(following) == (1, None)
    assert closed(operator, clock, broker, last) == (1, 1)


def test_a_poll_tells_whether_every_pod_that_is_selected_keeps_the_same_log(operator, broker):
    """A pod that is not ready is not asked, and one that is silent says nothing."""
    broker.publish(message("z", now_ms()))
    cycle = TERMS.cycle(0)
    operator.pods["pod-1"] = broker.server
    assert operator.poll(cycle, "pod-0", "pod-1").one_log is True
    assert operator.poll(cycle, "pod-0").one_log is None
    operator.pods["pod-2"] = Nowhere()
    assert operator.poll(cycle, "pod-0", "pod-1", "pod-2").one_log is None


class Nowhere:
    """A server that is not there."""

    port = 1


def test_a_sighting_is_kept_of_the_source_and_says_what_to_do(operator):
    assert operator.poll(TERMS.cycle(0), "pod-0", "pod-1").one_log is False
    (seen,) = operator.ledger.refuted(1)
    assert (seen.source, seen.guarantee) == ("events", Guarantee.ONE_LOG)
    assert "Make a source for each pod" in seen.words
