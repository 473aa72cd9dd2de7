"""Workers: bounded in time and memory, replaced when they die, and never left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from licenseusage.sources.poll import MIB, PollLimits
from licenseusage.sources.workers.kinds import collect
from licenseusage.sources.workers.workers import Workers
from tests.sources.product import (
    KNOWN_CLOCK,
    SECRET,
    USERS,
    FixedClock,
    answer,
    request,
    source,
)

LIMITS = PollLimits(request_seconds=5, poll_seconds=10)
DECLARED = source(guarantees=KNOWN_CLOCK)
"""The workers' clock is the real one, the products' Date is not: so the difference is declared."""


def asked(port, **more):
    return request(port, more.pop("read", DECLARED), **({"limits": LIMITS} | more))


async def test_a_worker_gives_what_a_poll_in_this_process_gives(serve):
    product = serve(answer({"value": USERS}))
    async with Workers(1) as workers:
        result = await workers.poll(asked(product.port))
    here = collect(asked(product.port), FixedClock())
    assert result.facts.keys() == here.facts.keys()
    assert result.facts[5].sure == here.facts[5].sure
    assert (result.counted, result.skipped) == (here.counted, here.skipped)


async def test_a_worker_is_used_again(serve):
    product = serve(answer({"value": USERS}))
    async with Workers(2) as workers:
        for _ in range(5):
            assert (await workers.poll(asked(product.port))).failure is None
        assert len(workers.processes) == 1


async def test_polls_beyond_the_size_wait(serve):
    product = serve(answer({"value": USERS}))
    async with Workers(2) as workers:
        results = await asyncio.gather(*(workers.poll(asked(product.port)) for _ in range(8)))
        assert [result.failure for result in results] == [None] * 8
        assert len(workers.processes) <= 2


async def test_an_answer_too_large_for_the_memory_is_a_failure_and_the_next_poll_works(serve):
    # A list of lists cannot be cut into pieces nor decoded alone: all of it becomes objects.
    body = b'{"value": [[' + b",".join([b'{"a":"b"}'] * 1_500_000) + b"]]}"
    large, small = serve(answer(body)), serve(answer({"value": USERS}))
    limits = PollLimits(worker_bytes=300 * MIB, request_seconds=20, poll_seconds=20)
    async with Workers(1) as workers:
        result = await workers.poll(asked(large.port, limits=limits))
        assert result.failure is not None
        assert result.failure.reason == "WorkerMemory"
        assert "WORKER_BYTES" in result.failure.message
        assert (await workers.poll(asked(small.port, limits=limits))).counted == 2


async def test_a_header_that_drips_for_ever_ends_at_the_polls_limit(serve):
    def drip(_):
        yield b"HTTP/1.1 200 OK\r\n"
        while not product.stopped.wait(0.05):
            yield b"X: y\r\n"

    product = serve(drip)
    limits = PollLimits(request_seconds=5, poll_seconds=0.4)
    async with Workers(1) as workers:
        result = await workers.poll(asked(product.port, limits=limits))
    assert result.failure is not None
    assert result.failure.reason == "PollTimeout"
    assert result.seconds < 5


async def test_an_answer_may_take_longer_than_one_silence(serve):
    """As 100,000 accounts do: half a minute before the first byte, and then it goes on slowly."""
    whole = answer({"value": USERS})

    def slow(_):
        for at in range(0, len(whole), 40):
            product.stopped.wait(0.1)
            yield whole[at : at + 40]

    product = serve(slow)
    limits = PollLimits(request_seconds=0.5, poll_seconds=30)
    async with Workers(1) as workers:
        result = await workers.poll(asked(product.port, limits=limits))
    assert result.failure is None
    assert result.counted == 2
    assert result.seconds > 0.5


async def test_a_silence_in_the_middle_of_an_answer_ends_the_poll_in_time(serve):
    def stop(_):
        yield answer({"value": USERS})[:200]
        product.stopped.wait(20)

    product = serve(stop)
    limits = PollLimits(request_seconds=0.3, poll_seconds=30)
    async with Workers(1) as workers:
        result = await workers.poll(asked(product.port, limits=limits))
    assert result.failure is not None
    assert result.failure.reason == "RequestTimeout"
    assert result.seconds < 10


async def test_a_body_that_drips_for_ever_ends_at_the_polls_limit(serve):
    def drip(_):
        yield answer(b"", headers={"Content-Length": "1000000"})
        while not product.stopped.wait(0.05):
            yield b" "

    product = serve(drip)
    limits = PollLimits(request_seconds=10, poll_seconds=0.4)
    async with Workers(1) as workers:
        result = await workers.poll(asked(product.port, limits=limits))
    assert result.failure is not None
    assert result.failure.reason == "PollTimeout"


async def test_a_worker_that_hangs_is_killed_and_replaced(serve, monkeypatch):
    monkeypatch.setattr("licenseusage.sources.workers.workers.GRACE_SECONDS", 0.0)
    product = serve(answer({"value": USERS}))
    async with Workers(1) as workers:
        (hung,) = workers.processes
        os.kill(hung, signal.SIGSTOP)
        limits = PollLimits(request_seconds=1, poll_seconds=0.5)
        result = await workers.poll(asked(product.port, limits=limits))
        assert result.failure is not None
        assert result.failure.reason == "PollTimeout"
        assert "killed" in result.failure.message
        assert not alive(hung)
        monkeypatch.setattr("licenseusage.sources.workers.workers.GRACE_SECONDS", 10.0)
        assert (await workers.poll(asked(product.port))).counted == 2
        assert hung not in workers.processes


async def test_a_worker_that_dies_is_a_failure_and_is_replaced(serve):
    def kill(_):
        for victim in workers.processes:
            os.kill(victim, signal.SIGKILL)
        yield b""

    product = serve(kill)
    async with Workers(1) as workers:
        result = await workers.poll(asked(product.port))
        assert result.failure is not None
        assert result.failure.reason == "WorkerMemory"
        assert "status -9" in result.failure.message
        product.respond = lambda _: answer({"value": USERS})
        assert (await workers.poll(asked(product.port))).counted == 2


async def test_where_no_worker_can_be_started_the_poll_fails(serve, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    result = await Workers(1).poll(asked(serve(b"").port))
    assert result.failure is not None
    assert result.failure.reason == "WorkerFailed"


async def test_a_worker_that_cannot_start_is_told_with_what_it_said(serve, monkeypatch, tmp_path):
    (tmp_path / "msgspec.py").write_text("raise ImportError('libfoo.so.1: no such file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    product = serve(answer({"value": USERS}))
    async with Workers(1) as workers:
        result = await workers.poll(asked(product.port))
        assert result.failure is not None
        assert result.failure.reason == "WorkerFailed"
        assert "status 1 before it had read anything" in result.failure.message
        assert "ImportError: libfoo.so.1: no such file" in result.failure.message
        assert not product.requests
        monkeypatch.delenv("PYTHONPATH")
        assert (await workers.poll(asked(product.port))).counted == 2


async def test_an_idle_worker_that_died_is_not_used(serve):
    product = serve(answer({"value": USERS}))
    async with Workers(1) as workers:
        (idle,) = workers.processes
        os.kill(idle, signal.SIGKILL)
        result = await workers.poll(asked(product.port))
        assert (result.failure, result.counted) == (None, 2)


async def test_a_cancelled_poll_ends_its_worker(serve):
    product = serve(lambda _: waiting())
    loop, under_way = asyncio.get_running_loop(), asyncio.Event()

    def waiting():
        loop.call_soon_threadsafe(under_way.set)
        product.stopped.wait(20)
        yield b""

    async with Workers(1) as workers:
        task = asyncio.create_task(workers.poll(asked(product.port)))
        await under_way.wait()
        (busy,) = workers.processes
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not alive(busy)
        product.respond = lambda _: answer({"value": USERS})
        assert (await workers.poll(asked(product.port))).counted == 2


async def test_leaving_the_pool_ends_all_workers(serve):
    product = serve(answer({"value": USERS}))
    async with Workers(2) as workers:
        await asyncio.gather(*(workers.poll(asked(product.port)) for _ in range(3)))
        left = workers.processes
    assert left
    assert not any(map(alive, left))


async def test_a_defect_is_reported_without_any_value(serve, monkeypatch, tmp_path):
    # A worker that is made to fail in the middle of a row that holds an id.
    (tmp_path / "sitecustomize.py").write_text(
        "import licenseusage.metering.pseudonym as p\n"
        "def fail(self, names): raise KeyError(*names)\n"
        "p.Pseudonymiser.each = fail\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    product = serve(answer({"value": [{"id": "leaky-id", "seen": "2026-11-05T10:00:00Z"}]}))
    async with Workers(1) as workers:
        result = await workers.poll(asked(product.port))
    assert result.failure is not None
    assert result.failure.reason == "WorkerFailed"
    assert "KeyError at sitecustomize.py:2" in result.failure.message
    assert "leaky" not in repr(result)


async def test_secrets_are_neither_on_the_command_line_nor_in_the_environment(serve, monkeypatch):
    monkeypatch.setenv("LICENSEUSAGE_DATABASE_URL", "postgresql://u:hidden-password@db/x")
    seen = []

    def look(_):
        for process in workers.processes:
            for file in ("cmdline", "environ"):
                seen.append(Path(f"/proc/{process}/{file}").read_bytes().decode())
        return answer({"value": USERS})

    product = serve(look)
    async with Workers(1) as workers:
        assert (await workers.poll(asked(product.port))).failure is None
    assert product.requests[0].headers["authorization"].endswith(SECRET)
    assert len(seen) == 2
    for text in seen:
        assert SECRET not in text
        assert "hidden-password" not in text


def test_workers_die_with_a_parent_that_is_killed(serve, tmp_path):
    product = serve(lambda _: waiting())

    def waiting():
        product.stopped.wait(20)
        yield b""

    script = f"""
import asyncio, sys
sys.path.insert(0, {str(Path.cwd())!r})
from licenseusage.sources.workers.workers import Workers
from tests.sources.test_worker import asked
async def main():
    async with Workers(2) as workers:
        polls = [asyncio.create_task(workers.poll(asked({product.port})))]
        while not polls[0].done() and len(workers.processes) < 1: await asyncio.sleep(0.01)
        print(*workers.processes, flush=True)
        await asyncio.gather(*polls)
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    workers = [int(one) for one in parent.stdout.readline().split()]
    assert workers
    assert all(map(alive, workers))
    until = time.monotonic() + 10
    while not product.requests and time.monotonic() < until:
        product.stopped.wait(0.01)
    parent.kill()
    parent.wait()
    while any(map(alive, workers)) and time.monotonic() < until:
        product.stopped.wait(0.01)
    assert not any(map(alive, workers))


def alive(process: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_requests_and_results_survive_the_frame(serve):
    from licenseusage.sources.workers.frames import framed, request_of, result_of

    product = serve(answer({"value": USERS}))
    made = asked(product.port)
    assert request_of(framed(made)[4:]) == made
    result = collect(made, FixedClock())
    assert result_of(framed(result)[4:]) == result
    assert SECRET.encode() not in framed(result)
    assert json.dumps(USERS[0]["id"]).encode() not in framed(result)
