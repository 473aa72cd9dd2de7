"""Runs one program that ends when its owner does, however the owner ended.

``python -I -S leash.py LOG PROGRAM ARGUMENT…`` with a pipe as stdin. The kernel closes the pipe
when the owner is gone, even by SIGKILL; then the program and whatever it started get SIGTERM and,
if that does not help, SIGKILL. Standard library only; Linux and macOS.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from typing import Final

GRACE_SECONDS: Final = 5.0


def main(log: str, argv: list[str]) -> int:
    """Run ``argv`` with its output appended to ``log`` until stdin ends; return its exit code."""
    # Whoever signals the owner's group, as a terminal's Ctrl-C does, leaves the end to the owner.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with open(log, "ab") as output:
        program = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        while program.poll() is None and 0 not in select.select([0, ended], [], [])[0]:
            os.read(ended, 512)
        _signal(program, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while program.poll() is None and (left := deadline - time.monotonic()) > 0:
            select.select([ended], [], [], min(left, 0.5))
    finally:
        _signal(program, signal.SIGKILL)  # also what a dead program left behind in its group
    code = program.wait()
    return code if code >= 0 else 128 - code  # killed by a signal: as a shell says it


def _signal(program: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(program.pid, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
