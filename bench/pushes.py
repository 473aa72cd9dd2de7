"""How many pushed events the intake takes in a second, on one core, until they are durable.

Intake and clients are processes of their own; the intake is held to one core. Its events are of a
month's people, its ledger is a file with ``synchronous=FULL``, and each request is answered after
its commit, as in the operator. What is not measured is the API server's answer about a token, which
is remembered for a minute.
"""

import asyncio
import json
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from tests.controller.intakedesk import Desk, pushed

EVENTS = 500
PEOPLE = 200_000
SECONDS = 20.0
_HEADERS = {
    "Content-Type": "application/cloudevents-batch+json",
    "Authorization": "Bearer shop/shop",
}


def measure(batch: int = EVENTS, seconds: float = SECONDS, clients: int = 8) -> dict[str, float]:
    """Push for some seconds; return events a second, and how long a request took (ms)."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        intake = context.Process(target=_serve, args=(folder, theirs, clients))
        intake.start()
        port = ours.recv()
        taken, waits = asyncio.run(_push(port, batch, seconds, clients))
        ours.send(None)
        cpu_s, stall_ms = ours.recv()
        intake.join()
    waits.sort()
    return {
        "batch": batch,
        "eventsPerSecond": taken / seconds,
        "eventsPerCpuSecond": taken / cpu_s,
        "medianMs": 1000 * waits[len(waits) // 2],
        "p99Ms": 1000 * waits[len(waits) * 99 // 100],
        "longestStallMs": stall_ms,
    }


def _serve(folder: str, pipe: Any, clients: int) -> None:  # noqa: ANN401 - a Connection
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    asyncio.run(_served(Path(folder), pipe, clients))


async def _served(folder: Path, pipe: Any, clients: int) -> None:  # noqa: ANN401
    async with AsyncExitStack() as stack:
        desk = Desk(folder, begun_days_ago=28)
        await desk.open(stack)
        producers = tuple(f"/shop/{number}" for number in range(clients))
        await desk.declare(pushed(producers))
        pipe.send(desk.port)
        began_s, stall_s = time.process_time(), 0.0
        while not pipe.poll():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            stall_s = max(stall_s, time.monotonic() - before - 0.01)
        pipe.send((time.process_time() - began_s, 1000 * stall_s))


async def _push(port: int, batch: int, seconds: float, clients: int) -> tuple[int, list[float]]:
    bodies = [[_batch(f"/shop/{n}", batch) for _ in range(20)] for n in range(clients)]
    ends, waits = time.monotonic() + seconds, list[float]()
    url = f"http://127.0.0.1:{port}/v1/activity"
    async with aiohttp.ClientSession() as session:
        taken = await asyncio.gather(
            *(_client(session, url, bodies[n], batch, ends, waits) for n in range(clients))
        )
    return sum(taken), waits


async def _client(
    session: aiohttp.ClientSession,
    url: str,
    bodies: Sequence[bytes],
    batch: int,
    ends: float,
    waits: list[float],
) -> int:
    taken, headers = 0, dict(_HEADERS)
    while time.monotonic() < ends:
        began = time.monotonic()
        async with session.post(url, data=random.choice(bodies), headers=headers) as answer:  # noqa: S311
            body = await answer.json()
            if answer.status != 200:
                raise RuntimeError(f"{answer.status} {body}")
        headers["LicenseUsage-Receipt"] = body["receipt"]
        waits.append(time.monotonic() - began)
        taken += batch
    return taken


def _batch(source: str, size: int) -> bytes:
    now_s = time.time()
    return json.dumps(
        [
            {
                "specversion": "1.0",
                "id": f"{number:032x}",
                "source": source,
                "type": "dev.licenseusage.activity",
                "time": datetime.fromtimestamp(
                    now_s - random.random() * 20 * 86_400,  # noqa: S311
                    UTC,
                ).isoformat(timespec="milliseconds"),
                "data": {"user": f"user-{random.randrange(PEOPLE)}@example.org"},  # noqa: S311
            }
            for number in range(size)
        ]
    ).encode()


if __name__ == "__main__":
    for size in (100, 500, 2000):
        print(json.dumps({name: round(value, 1) for name, value in measure(size).items()}))
