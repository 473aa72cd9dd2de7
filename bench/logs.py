"""Who reads an event log, each run as ``python -m bench.logs NAME PORT START END``.

Prints a JSON object: the people found active, the seconds from the first request to that number,
and how many polls it took.
"""

import asyncio
import base64
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.events import COUNTED, STREAM

POLLS = "polls, to their last commit"
NAIVE = "plain consumer (nats-py, json)"
FETCH = 500


@dataclass(frozen=True)
class Read:
    """What one reader found, and took."""

    people: int
    seconds: float
    polls: int = 0


def polls(port: int, start_ms: int, end_ms: int) -> Read:
    """Poll as the operator does, by one worker into a ledger, until everything is read."""
    return asyncio.run(_polls(port, start_ms, end_ms))


async def _polls(port: int, start_ms: int, end_ms: int) -> Read:
    from bench.shipped import active, unused_port
    from licenseusage.api.source import Source
    from licenseusage.clock import SystemClock
    from licenseusage.ledger.ledger import Ledger
    from licenseusage.ledger.records import MeterKey, PollRecord
    from licenseusage.metering.cycles import Cycle
    from licenseusage.metering.stores import StoreKey, StoreState
    from licenseusage.sources.definition.presets import effective
    from licenseusage.sources.poll import CycleRequest, PollRequest, Target
    from licenseusage.sources.workers.workers import Workers

    clock, cycle, store = SystemClock(), Cycle(0, start_ms, end_ms), StoreKey("events", "bench")
    pods = {"selector": {"matchLabels": {"app": "bench"}}, "port": port, "scheme": "NATS"}
    source = effective(
        Source.model_validate({"name": "events", "preset": "OpenCloudEvents", "pods": pods})
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        url = f"sqlite:///{Path(folder) / 'ledger.db'}"
        with Ledger.open(url, now_ms=clock.now_ms(), ledger_id="bench") as ledger:
            meter = ledger.ensure_meter(MeterKey("bench", "bench", "bench"), clock.now_ms()).id
            async with Workers(1) as workers:
                request = PollRequest(
                    source=source,
                    targets=(Target("127.0.0.1", unused_port(), "NATS"),),
                    product="bench",
                    pseudonym_key=b"k" * 32,
                    cycles=(CycleRequest(cycle),),
                )
                await workers.poll(request)  # imports
                request = replace(request, targets=(Target("127.0.0.1", port, "NATS"),))
                began, made, complete = time.perf_counter(), 0, False
                while not complete:
                    state = ledger.store_states(meter, cycle).get(store, StoreState())
                    on = (CycleRequest(cycle, log=state.log),)
                    result = await workers.poll(replace(request, cycles=on))
                    if result.failure is not None:
                        raise SystemExit(f"it failed: {result.failure}")
                    ledger.record_poll(
                        PollRecord(
                            meter_id=meter,
                            store=store,
                            properties=source.properties,
                            interval_ms=source.interval_ms,
                            started_ms=result.started_ms,
                            ended_ms=result.ended_ms,
                            clock_skew_ms=result.clock_skew_ms,
                            complete=result.complete,
                            facts={cycle: result.facts[cycle.index]},
                            readings={cycle: result.readings[cycle.index]},
                            pseudonym_key_id="bench",
                            selection=source.selection,
                        ),
                        clock.now_ms(),
                    )
                    made, complete = made + 1, result.complete
                seconds = time.perf_counter() - began
        return Read(active(folder), seconds, made)


def naive(port: int, start_ms: int, end_ms: int) -> Read:
    """Read as one writes it first: fetch, decode everything, a set of ids."""
    return asyncio.run(_naive(port))


async def _naive(port: int) -> Read:
    import nats
    from nats.errors import TimeoutError as NothingLeft

    client = await nats.connect(f"nats://127.0.0.1:{port}")
    stream = client.jetstream()
    began = time.perf_counter()
    people: set[str] = set()
    left = (await stream.stream_info(STREAM)).state.messages
    reader = await stream.pull_subscribe("", durable=None, stream=STREAM)
    while left > 0:
        try:
            batch = await reader.fetch(min(FETCH, left), timeout=30)
        except NothingLeft:
            break
        for message in batch:
            event = json.loads(message.data)
            payload = json.loads(base64.b64decode(event["Payload"]))
            if event["Metadata"]["eventtype"] in COUNTED:
                who = payload.get("Executant") or payload["ExecutingUser"]["id"]
                people.add(who["opaque_id"])
            await message.ack()
        left -= len(batch)
    seconds = time.perf_counter() - began
    await client.close()
    return Read(len(people), seconds)


READERS: dict[str, Callable[[int, int, int], Read]] = {POLLS: polls, NAIVE: naive}


if __name__ == "__main__":
    print(json.dumps(asdict(READERS[sys.argv[1]](*map(int, sys.argv[2:])))))
