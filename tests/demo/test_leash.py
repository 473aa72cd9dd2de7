"""No process survives its owner, however the owner ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hack.demo.children import ChildDied, Children

# Starts a grandchild of its own, says both pids, and ignores a polite end if told to.
PROGRAM = """
import os, signal, subprocess, sys, time
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
other = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(300)"])
print(os.getpid(), other.pid, flush=True)
time.sleep(300)
"""


def pids(log: Path) -> list[int]:
    """The pids that PROGRAM wrote, once it has."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if log.exists() and (text := log.read_text()).endswith("\n"):
            return [int(word) for word in text.split()]
        time.sleep(0.02)
    raise AssertionError("the program said nothing")


def check_until_it_fails(children: Children) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        children.check()
        time.sleep(0.02)


def await_gone(numbers: list[int]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not any(alive(pid) for pid in numbers):
            return
        time.sleep(0.02)
    raise AssertionError(f"still alive: {[pid for pid in numbers if alive(pid)]}")


def alive(pid: int) -> bool:
    """Whether it runs; a zombie that nobody has waited for yet does not."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return done.stdout.strip() not in ("",) and not done.stdout.strip().startswith("Z")


def test_leaving_the_block_ends_program_and_grandchild(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        children.start("x", [sys.executable, "-S", "-c", PROGRAM], os.environ)
        started = pids(children.log("x"))
        assert all(alive(pid) for pid in started)
    assert not any(alive(pid) for pid in started)


def test_a_program_that_ignores_the_polite_end_is_killed(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        children.start("x", [sys.executable, "-S", "-c", PROGRAM, "stubborn"], os.environ)
        started = pids(children.log("x"))
    assert not any(alive(pid) for pid in started)


def test_killing_the_owner_ends_program_and_grandchild(tmp_path: Path) -> None:
    owner = f"""
import os, sys, time
from pathlib import Path
from hack.demo.children import Children
with Children(Path({str(tmp_path)!r})) as children:
    children.start("x", [sys.executable, "-S", "-c", {PROGRAM!r}], os.environ)
    time.sleep(300)
"""
    with subprocess.Popen([sys.executable, "-c", owner]) as process:
        started = pids(tmp_path / "x.log")
        process.send_signal(signal.SIGKILL)
    await_gone(started)


def test_a_program_that_ended_is_told_with_its_last_words(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        say = "print('the last words'); raise SystemExit(3)"
        children.start("x", [sys.executable, "-S", "-c", say], os.environ)
        with pytest.raises(ChildDied, match=r"x ended by itself \(exit 3\):\nthe last words"):
            check_until_it_fails(children)
