"""Runs the control plane's processes and ends them when its parent is gone, however it went.

Started as a script of its own with a pipe as stdin, which nobody writes to but the parent and which
the kernel closes even when the parent is killed with SIGKILL. Works on Linux and macOS; needs the
standard library only.

Protocol, one JSON object per line on stdin: ``{"argv": [...], "log": path}`` starts a process. The
end of the input, or a new parent (a forked child of the old one may hold the pipe open), ends
everything. The end of one process ends the others, too: half a control plane is of no use.
"""

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable


def main(folder: str) -> None:
    """Serve until stdin ends; then kill what was started and remove ``folder``.

    If a process ends by itself, the others are killed at once and ``ended`` is written to stdout;
    the folder stays until the parent has read the logs in it and closes stdin.
    """
    parent = os.getppid()
    signalled, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    processes: list[subprocess.Popen[bytes]] = []
    pending = b""
    try:
        while os.getppid() == parent:
            ready, _, _ = select.select([0, signalled], [], [], 1.0)
            if signalled in ready:
                os.read(signalled, 4096)
            if any(process.poll() is not None for process in processes):
                kill(processes)
                processes = []
                os.write(1, b"ended\n")
            if 0 not in ready:
                continue
            received = os.read(0, 65536)
            if not received:
                break
            *lines, pending = (pending + received).split(b"\n")
            processes += [start(**json.loads(line)) for line in lines]
    finally:
        kill(processes)
        shutil.rmtree(folder, ignore_errors=True)


def kill(processes: list[subprocess.Popen[bytes]]) -> None:
    """End them at once, the last started first.

    Nothing here outlives the run, so nothing deserves a graceful end: a kube-apiserver that is
    asked nicely waits for its watches.
    """
    for process in reversed(processes):
        process.kill()
    for process in processes:
        process.wait()


def start(argv: list[str], log: str) -> subprocess.Popen[bytes]:
    """Start one process with its output appended to ``log``."""
    with open(log, "ab") as output:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=_die_with_me(),  # safe: there is one thread here
        )


def _die_with_me() -> Callable[[], None] | None:
    """Linux only: the kernel kills the process if this guard itself is killed."""
    if sys.platform != "linux":
        return None
    set_parent_death_signal, libc = 1, ctypes.CDLL(None)

    def ask() -> None:
        with contextlib.suppress(OSError):
            libc.prctl(set_parent_death_signal, signal.SIGKILL)

    return ask


if __name__ == "__main__":
    main(sys.argv[1])
