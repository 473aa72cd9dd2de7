"""The process that performs polls: ``python -m licenseusage.sources.workers.process``.

Reads requests from standard input and writes results to standard output, one at a time, until the
input ends. Its memory is limited by the system, its time by an alarm and, should that fail, by the
operator, which kills it. It dies with its parent.
"""

import ctypes
import gc
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from licenseusage.clock import SystemClock
from licenseusage.errors import Failure
from licenseusage.reasons import Reason
from licenseusage.sources.http.signin.memory import TokenMemory
from licenseusage.sources.lists.memory import ListMemory
from licenseusage.sources.poll import MIB, Looked, PollRequest, PollResult
from licenseusage.sources.workers.frames import (
    LENGTH_BYTES,
    LOOK,
    READY,
    framed,
    looked_of,
    request_of,
)
from licenseusage.sources.workers.kinds import collect

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve requests until standard input ends."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    # Whatever a library prints must not get between the messages; and from now on nobody hears it.
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for file in (1, 2):
        os.dup2(nowhere, file)
    answers.write(READY)
    answers.flush()
    gc.freeze()
    gc.disable()  # a poll makes no cycles worth a walk over a million rows
    memory, tokens = ListMemory(), TokenMemory()
    while (body := _next(sys.stdin.buffer)) is not None:
        request = request_of(body)
        result, alive = _performed(
            request, memory, tokens, lambda: _looked(sys.stdin.buffer, answers)
        )
        answers.write(framed(result))
        answers.flush()
        if not alive:
            return
        del body, request, result
        gc.collect()
        _return_memory()


def _next(messages: BinaryIO) -> bytes | None:
    """Return the next message; None: the operator has ended."""
    length = messages.read(LENGTH_BYTES)
    if len(length) < LENGTH_BYTES:
        return None
    size = int.from_bytes(length, "big")
    body = messages.read(size)
    return body if len(body) == size else None


def _looked(messages: BinaryIO, answers: BinaryIO) -> Looked:
    """Ask the operator where the source is now.

    The poll's alarm waits meanwhile: an answer that nobody has read would be the next request.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    try:
        answers.write(LOOK)
        answers.flush()
        body = _next(messages)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if body is None:
        sys.exit()
    return looked_of(body)


def _performed(
    request: PollRequest, memory: ListMemory, tokens: TokenMemory, look: Callable[[], Looked]
) -> tuple[PollResult, bool]:
    """Perform one poll; False if this process should not perform another one."""
    clock = SystemClock(request.clock_offset_ms // 1000)
    started_ms = clock.now_ms()
    _limit_memory(request.limits.worker_bytes)
    try:
        return collect(request, clock, memory, tokens=tokens, alarm=True, look=look), True
    except MemoryError:
        failure = Failure(
            Reason.WORKER_MEMORY,
            f"Source {request.source.name}: the answer needs more memory than a worker may use "
            f"({request.limits.worker_bytes // MIB} MiB). Ask for smaller pages or fewer fields, "
            "or raise WORKER_BYTES of the operator.",
        )
    except Exception as error:  # a defect must not end the operator's polling
        place = traceback.extract_tb(error.__traceback__)[-1]
        failure = Failure(
            Reason.WORKER_FAILED,
            f"Source {request.source.name}: the worker failed ({type(error).__name__} at "
            f"{os.path.basename(place.filename)}:{place.lineno}). This is a defect of the "
            "operator; please report it.",
        )
    _limit_memory(0)
    return PollResult(started_ms=started_ms, ended_ms=clock.now_ms(), failure=failure), False


def _limit_memory(size: int) -> None:
    """Bound the address space; 0 removes the bound."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = size if size > 0 else resource.RLIM_INFINITY
    if hard != resource.RLIM_INFINITY:
        soft = hard if soft == resource.RLIM_INFINITY else min(soft, hard)
    with suppress(ValueError, OSError):  # not every system can
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _return_memory() -> None:
    """Return the memory of the last poll, because other workers share the pod's limit."""
    with suppress(OSError, AttributeError):  # the GNU C library has it
        ctypes.CDLL(None).malloc_trim(0)


def _die_with_parent() -> None:
    """Ask Linux for SIGKILL when the parent ends; elsewhere the end of the input has to do."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended just before
        os._exit(1)


if __name__ == "__main__":
    main()
