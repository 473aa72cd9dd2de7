"""What the operator does of a poll, with a preset as it is shipped: from request to commit.

A worker process reads the list and hands its facts over; this process, in the operator's place,
writes them to a ledger on disk. Everybody listed is on the roster, as in the operator.
"""

import asyncio
import gc
import socket
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.listing import CYCLE_DAYS, Form, cycle_start
from licenseusage.api.source import Source
from licenseusage.clock import SystemClock
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import MeterKey, PollRecord
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.stores import StoreKey, StoreState
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.poll import (
    Credentials,
    CycleRequest,
    PollLimits,
    PollRequest,
    PollResult,
    Target,
)
from licenseusage.sources.workers.workers import Workers

GIB = 1024**3
STORE = StoreKey("list", "bench")


@dataclass(frozen=True)
class Collected:
    """One collection.

    Attributes:
        users: Users the ledger knows to be active after it.
        seconds: From the first request to the end of the commit.
    """

    users: int
    seconds: float


def collections(form: Form, ports: Sequence[int]) -> list[Collected]:
    """Collect from one port after the other, into one ledger and by one worker."""
    gc.freeze()  # what is there by now lives as long as the operator
    return asyncio.run(_collections(form, ports))


async def _collections(form: Form, ports: Sequence[int]) -> list[Collected]:
    clock = SystemClock()
    start_ms = int(cycle_start(datetime.now(UTC)).timestamp()) * 1000
    cycle = Cycle(0, start_ms, start_ms + CYCLE_DAYS * DAY_MS)
    source = source_of(form)
    collected = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        url = f"sqlite:///{Path(folder) / 'ledger.db'}"
        with Ledger.open(url, now_ms=clock.now_ms(), ledger_id="bench") as ledger:
            meter = ledger.ensure_meter(MeterKey("bench", "bench", "bench"), clock.now_ms())
            async with Workers(1) as workers:
                await workers.poll(
                    request_of(source, unused_port(), cycle, StoreState())
                )  # imports
                for port in ports:
                    began = time.perf_counter()
                    state = ledger.store_states(meter.id, cycle).get(STORE, StoreState())
                    result = await workers.poll(request_of(source, port, cycle, state))
                    if result.failure is not None or not result.complete:
                        raise SystemExit(f"it failed: {result.failure or result.incomplete}")
                    ledger.record_poll(record_of(meter.id, source, [cycle], result), clock.now_ms())
                    seconds = time.perf_counter() - began
                    collected.append(Collected(active(folder), seconds))
    return collected


def source_of(form: Form) -> EffectiveSource:
    """Return a source with a preset as shipped, without options."""
    fields: dict[str, Any] = {
        "name": "list",
        "preset": form,
        "pods": {"selector": {"matchLabels": {"app": "bench"}}, "port": 80, "scheme": "HTTP"},
    }
    secret = {"secretRef": {"name": "meter"}}
    if form is Form.OPENCLOUD:
        fields["auth"] = {"basic": secret}
    else:
        fields["auth"] = {"header": {"secretRef": {"name": "meter", "key": "token"}}}
    return effective(Source.model_validate(fields))


def request_of(
    source: EffectiveSource,
    port: int,
    cycle: Cycle,
    state: StoreState,
    *,
    subject: str = "",
    worker_bytes: int = GIB,
    coming: Cycle | None = None,
) -> PollRequest:
    """Return a poll of a port of this machine that wants everybody.

    For a cycle; before its end also for the first roster of the ``coming`` one.
    """
    following = () if coming is None else (CycleRequest(coming, roster=True, coming=True),)
    return PollRequest(
        source=source,
        targets=(Target("127.0.0.1", port),),
        product="bench",
        pseudonym_key=b"k" * 32,
        cycles=(CycleRequest(cycle, state.closed, roster=True), *following),
        credentials=Credentials("admin", "password", "Bearer token"),
        limits=PollLimits(request_seconds=300, poll_bytes=GIB, worker_bytes=worker_bytes),
        subject=subject,
    )


def record_of(
    meter_id: int,
    source: EffectiveSource,
    cycles: Sequence[Cycle],
    result: PollResult,
    store: StoreKey = STORE,
) -> PollRecord:
    """Return what is made durable of a poll."""
    return PollRecord(
        meter_id=meter_id,
        store=store,
        properties=source.properties_given(ids_stable=result.ids_stable),
        interval_ms=900_000,
        started_ms=result.started_ms,
        ended_ms=result.ended_ms,
        clock_skew_ms=result.clock_skew_ms,
        complete=result.complete,
        facts={cycle: result.facts[cycle.index] for cycle in cycles if cycle.index in result.facts},
        pseudonym_key_id="bench",
        selection=source.selection,
        declaration=source.declaration,
        listing=source.listed_by,
        listed=result.users_listed,
        counted=result.counted,
        skipped=result.skipped,
        provisioned=result.provisioned,
        size_bytes=result.bytes,
    )


def unused_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def active(folder: str) -> int:
    """Count what is durable, beside the ledger."""
    with sqlite3.connect(f"file:{folder}/ledger.db?mode=ro", uri=True) as reader:
        (users,) = reader.execute("select count(*) from facts where sure != 0").fetchone()
    reader.close()
    return int(users)
