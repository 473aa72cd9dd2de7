"""Worker processes: every poll runs in one, so that no answer can stall or kill the operator.

This is the operator's end; ``worker_process`` is the other. A worker is started when first needed,
serves one poll at a time, and is killed and replaced when it exceeds its time or dies.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeAlias

from licenseusage.clock import Clock, SystemClock
from licenseusage.errors import Failure
from licenseusage.reasons import Reason
from licenseusage.sources.lists.memory import ListKey
from licenseusage.sources.poll import MIB, Looked, PollRequest, PollResult
from licenseusage.sources.workers.frames import LENGTH_BYTES, LOOK, framed, result_of

GRACE_SECONDS = 10.0
"""The time of a worker beyond the poll's limit, to make facts and report why it stopped."""

_LOOK_SECONDS = 5.0

Look: TypeAlias = Callable[[], Awaitable[Looked]]
"""Finds the current targets of a source; never raises for an answer of the cluster."""

_MOST_SAID = 300

_ENVIRONMENT = (
    "PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
"""All that a worker inherits: the operator's own environment may hold secrets."""


class Workers:
    """A pool of worker processes; an async context manager.

    Polls beyond ``size`` wait for a free worker. Polls that are cancelled kill theirs.
    """

    def __init__(self, size: int = 4, *, clock: Clock | None = None) -> None:
        """Prepare a pool of at most ``size`` processes.

        Args:
            size: Polls at the same time.
            clock: For the times of polls that a worker could not finish.
        """
        self._free = asyncio.Semaphore(size)
        self._clock = clock or SystemClock()
        self._idle: list[Process] = []
        self._all: set[Process] = set()
        self._unready: set[Process] = set()  # started, and nothing was heard of them yet
        self._readers: dict[ListKey, Process] = {}  # by what each has read last

    async def __aenter__(self) -> Self:
        """Start a first worker, so that the first poll need not wait for it."""
        self._idle.append(await self._started())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all workers."""
        self._idle.clear()
        await asyncio.gather(*(self._end(process) for process in list(self._all)))

    @property
    def processes(self) -> list[int]:
        """Process ids of the workers that run."""
        return [process.pid for process in self._all if process.returncode is None]

    async def poll(self, request: PollRequest, look: Look | None = None) -> PollResult:
        """Perform one poll, once a worker is free for it.

        Never raises for what the product or a worker does.

        Args:
            request: What to read. What it knows of pods and Secrets is as old as it is: who polls
                more than ``size`` at a time makes a request only when its turn has come.
            look: Tells where the source is now, for a poll that lasts; None: the targets stay.
        """
        async with self._free:
            started_ms = self._clock.now_ms()
            try:
                made = await self._tried(request, look)
            except OSError as error:
                made = Failure(
                    Reason.WORKER_FAILED,
                    f"Source {request.source.name}: no worker could be started "
                    f"({error.strerror}). Check the operator's limits of memory and processes.",
                )
            if isinstance(made, Failure):
                ended_ms = self._clock.now_ms()
                return PollResult(started_ms=started_ms, ended_ms=ended_ms, failure=made)
            return made

    async def _tried(self, request: PollRequest, look: Look | None) -> PollResult | Failure:
        """Ask a worker; another one if one that was idle turns out to be dead."""
        while (idle := self._take(ListKey.of(request))) is not None:
            made = await self._served(idle, request, look)
            if made is not None:
                return made
            self._unready.discard(idle)
        process = await self._started()
        made = await self._served(process, request, look)
        return made if made is not None else await self._died(request, process)

    async def _served(
        self, process: Process, request: PollRequest, look: Look | None
    ) -> PollResult | Failure | None:
        """Return a worker's result for a request; None if the worker died or was dead."""
        seconds = request.limits.poll_seconds + GRACE_SECONDS
        try:
            async with asyncio.timeout(seconds):
                result = await self._asked(process, request, look)
        except TimeoutError:
            await self._end(process)
            return Failure(
                Reason.POLL_TIMEOUT,
                f"Source {request.source.name}: the worker did not finish within {seconds:g} s and "
                "was killed. Ask for smaller pages or fewer fields, or raise POLL_SECONDS of the "
                "operator.",
            )
        except (EOFError, OSError):
            await self._end(process, by_itself=True)
            return None
        except BaseException:
            await self._end(process)
            raise
        if _last_words(result):
            await self._end(process, by_itself=True)
        else:
            self._idle.append(process)
            self._readers[ListKey.of(request)] = process
        return result

    def _take(self, wanted: ListKey) -> Process | None:
        """Take an idle worker: the one that remembers this list, if it is among them."""
        while self._idle:
            reader = self._readers.get(wanted)
            process = self._idle.pop(self._idle.index(reader) if reader in self._idle else -1)
            if process.returncode is None:
                return process
            self._all.discard(process)
            self._unready.discard(process)
        return None

    async def _started(self) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "licenseusage.sources.workers.process",
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,  # until it is ready: later a traceback could quote a product's answer
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            start_new_session=True,
        )
        self._all.add(process)
        self._unready.add(process)
        return process

    async def _asked(self, process: Process, request: PollRequest, look: Look | None) -> PollResult:
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        if process in self._unready:
            await process.stdout.readexactly(LENGTH_BYTES)
            self._unready.discard(process)
        process.stdin.write(framed(request))
        await process.stdin.drain()
        while (length := await process.stdout.readexactly(LENGTH_BYTES)) == LOOK:
            process.stdin.write(framed(await _looked(request, look)))
            await process.stdin.drain()
        return result_of(await process.stdout.readexactly(int.from_bytes(length, "big")))

    async def _end(self, process: Process, *, by_itself: bool = False) -> None:
        """Wait for the end of a worker, and bring it about.

        One that is ending anyway is left to it for a while: ``kill`` looks whether the process
        still runs, and thereby takes its status away from asyncio.
        """
        if by_itself:
            with suppress(TimeoutError):
                async with asyncio.timeout(GRACE_SECONDS):
                    await process.wait()
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        self._all.discard(process)
        self._readers = {
            key: reader for key, reader in self._readers.items() if reader is not process
        }

    async def _died(self, request: PollRequest, process: Process) -> Failure:
        status, limit = process.returncode, request.limits.worker_bytes // MIB
        if process in self._unready:
            self._unready.discard(process)
            return Failure(
                Reason.WORKER_FAILED,
                f"Source {request.source.name}: no worker could be started: it ended with status "
                f"{status} before it had read anything, and said {await _last_line(process)}. "
                "Check the operator's image, its volumes, and its limits of memory and processes.",
            )
        return Failure(
            Reason.WORKER_MEMORY,
            f"Source {request.source.name}: the worker died while it read the answer (status "
            f"{status}), most likely for lack of memory (limit {limit} MiB). Ask for smaller pages "
            "or fewer fields, or raise WORKER_BYTES and the pod's memory limit together.",
        )


async def _last_line(process: Process) -> str:
    """Return the output of a worker that never became ready: it has no data of a product yet."""
    assert process.stderr is not None  # noqa: S101
    lines = (await process.stderr.read(64 * 1024)).decode("utf-8", "replace").split("\n")
    line = next((line.strip() for line in reversed(lines) if line.strip()), "")
    printable = "".join(sign if sign.isprintable() else "?" for sign in line)[:_MOST_SAID]
    return repr(printable) if printable else "nothing"


async def _looked(request: PollRequest, look: Look | None) -> Looked:
    if look is None:
        return Looked(request.targets, request.credentials)
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            return await look()
    except TimeoutError:
        text = f"the API server did not say within {_LOOK_SECONDS:g} s which pods are ready now."
        return Looked(failure=Failure(Reason.API_UNAVAILABLE, text))


def _last_words(result: PollResult) -> bool:
    """Whether the worker ends by itself after this result."""
    last = (Reason.WORKER_MEMORY, Reason.WORKER_FAILED)
    return result.failure is not None and result.failure.reason in last
