"""What a poll is made with is as old as its turn, not as its place in the queue."""

import asyncio

from licenseusage.clock import SystemClock
from licenseusage.controller.effects.collection import Collector
from licenseusage.controller.effects.identity import PseudonymKey
from licenseusage.controller.effects.metrics import Metrics
from licenseusage.controller.effects.reaching import Reach
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.polls import Job
from licenseusage.controller.settings import Settings
from licenseusage.errors import Failure
from licenseusage.ledger.records import StoreKey
from licenseusage.sources.poll import PollResult, Target
from tests.sources.product import source


class Cluster:
    """Pods whose addresses change, and one worker that polls for as long as it is told to."""

    def __init__(self):
        self.address, self.read, self.polled = "10.0.0.1", [], []
        self.release, self.nudged = asyncio.Event(), asyncio.Queue()

    async def reach(self, namespace, source, selector):
        self.read.append(selector)
        return Reach((Target(self.address, 80),), None, "")

    async def pseudonym_key(self, now_s):
        return PseudonymKey(b"k" * 32)

    async def do(self, work):
        return []

    def depends(self, *asked):
        return frozenset()

    async def poll(self, request, look):
        self.polled.append((request.subject, request.targets[0].host))
        await self.release.wait()
        return PollResult(started_ms=0, ended_ms=0, failure=Failure("Timeout", "slow"))


def job(name):
    return Job(
        key=Key("team", name),
        meter_id=1,
        product="app",
        source=source(),
        selector=f"app={name}",
        store=StoreKey("people", "product"),
        cycles=(),
        interval_ms=60_000,
        rules_digest="",
        closing=False,
        due=True,
        fingerprint="",
        proven=True,
    )


async def test_pods_and_secrets_are_read_when_a_poll_has_its_turn():
    """What was known of them before may not be so any more."""
    seen = Cluster()
    collector = Collector(
        seen, seen, seen, seen, Metrics(lambda: 0.0), Settings(poll_workers=1), SystemClock(),
        nudge=seen.nudged.put_nowait,
    )  # fmt: skip
    collector.start(job("first"))
    collector.start(job("second"))
    await asyncio.sleep(0.05)
    assert seen.read == ["app=first"]

    seen.address = "10.0.0.2"
    seen.release.set()
    assert [await seen.nudged.get() for _ in range(2)] == [job(n).key for n in ("first", "second")]
    assert seen.polled == [("team/first", "10.0.0.1"), ("team/second", "10.0.0.2")]
