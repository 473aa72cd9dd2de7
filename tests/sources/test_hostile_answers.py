"""Whatever a product answers, a worker ends its poll with a named failure or a right number.

The table is in ``hostile/``; each of its answers is read by the workers as they are, over HTTP.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from licenseusage.sources.poll import MIB, PollResult
from licenseusage.sources.workers.workers import Workers
from tests.sources.hostile.case import LEAK, LIMITS, AtLeast, Case, Complete, Fails
from tests.sources.hostile.table import TABLE
from tests.sources.product import (
    ADMIN,
    KNOWN_CLOCK,
    NOW_MS,
    SECRET,
    Answer,
    Product,
    Request,
    request,
    source,
)

MOST_BYTES = 160 * MIB
"""What a worker may hold for an answer of at most 8 MiB; one that has nothing to do holds 40."""


@dataclass(frozen=True, slots=True)
class Read:
    """What came of one case, and what it took."""

    result: PollResult
    peak_bytes: int
    seconds: float


def _respond(case: Case) -> Callable[[Request], Answer]:
    served = case.serve
    return (lambda _: served) if isinstance(served, bytes) else served


async def _read(workers: Workers, case: Case, port: int) -> Read:
    fields = dict(case.read)
    fields["guarantees"] = KNOWN_CLOCK | fields.get("guarantees", {})
    offset_ms = NOW_MS - int(time.time() * 1000)
    for pid in workers.processes:
        _forget_peak(pid)
    asked = request(
        port, source(**fields), **({"limits": LIMITS, "clock_offset_ms": offset_ms} | case.asked)
    )
    for _ in range(case.polls - 1):
        await workers.poll(asked)
    started = time.monotonic()
    result = await workers.poll(asked)
    return Read(result, max(map(_peak, workers.processes), default=0), time.monotonic() - started)


def _forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


async def _read_all() -> dict[str, Read]:
    found = {}
    async with Workers(1) as workers:
        for case in TABLE:
            product = Product(_respond(case))
            try:
                found[case.name] = await _read(workers, case, product.port)
            finally:
                product.close()
    return found


@pytest.fixture(scope="module")
def answers() -> dict[str, Read]:
    """Every answer of the table as one worker after the other read it."""
    return asyncio.run(_read_all())


def test_the_table_is_large_and_names_each_answer_once():
    assert len({case.name for case in TABLE}) == len(TABLE) >= 200


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name)
def test_a_hostile_answer_is_a_named_failure_or_a_right_number(answers, case):
    result = answers[case.name].result
    seen = result.failure or result.incomplete
    assert _outcome(result) == case.expected, seen
    if seen is not None:
        assert seen.message.startswith("Source people")
        assert len(seen.message) < 1024
    for secret in (LEAK, SECRET, ADMIN):
        assert secret not in repr(result)


def _outcome(result: PollResult) -> Fails | AtLeast | Complete:
    if result.failure is not None:
        return Fails(result.failure.reason)
    if result.incomplete is not None:
        return AtLeast(result.counted, result.incomplete.reason)
    assert result.complete
    return Complete(result.counted)


def test_no_hostile_answer_takes_more_memory_than_a_large_one_needs(answers):
    peaks = {name: read.peak_bytes // MIB for name, read in answers.items()}
    assert max(peaks.values()) <= MOST_BYTES // MIB, sorted(peaks.items(), key=lambda one: -one[1])
