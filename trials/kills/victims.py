"""The operator's processes: one that runs, and the next that is ready to."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from trials.kills import journal
from trials.kills.journal import Committed, Tail

_LOOK_SECONDS = 0.02
_START_SECONDS = 120.0


class NeverReady(Exception):
    """A process ended, or hung, before it could become the operator."""


@dataclass(slots=True)
class Traces:
    """What one process has left in the journal so far.

    Attributes:
        passed: Places it has passed, in order.
        place: Where it killed itself; None if it did not.
        committed: What it had made durable.
        new_at: Monotonic time of the newest line.
    """

    passed: list[str] = field(default_factory=list)
    place: str | None = None
    committed: Committed = field(default_factory=Committed)
    new_at: float = field(default_factory=time.monotonic)

    @property
    def last(self) -> str:
        """The last place passed."""
        return self.passed[-1] if self.passed else "start"


class Victims(AbstractContextManager["Victims"]):
    """Starts processes that wait, and lets one at a time be the operator."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Keep journal and log in ``folder``."""
        self._journal, self._log = folder / "journal", folder / "operator.log"
        self._environment = dict(environment)
        self._tail = Tail(self._journal)
        self._ready: set[int] = set()
        self._running: subprocess.Popen[bytes] | None = None
        self._waiting = self._start()

    def __enter__(self) -> Self:
        """One waits already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kill what is left."""
        for process in (self._running, self._waiting):
            if process is not None:
                process.kill()
                process.wait()
        self._tail.close()

    def ready(self) -> None:
        """Wait until a process can become the operator.

        Raises:
            NeverReady: It cannot.
        """
        deadline = time.monotonic() + _START_SECONDS
        while self._waiting.pid not in self._ready:
            if self._waiting.poll() is not None or time.monotonic() > deadline:
                raise NeverReady(f"the next operator does not start: see {self._log}")
            self.follow(Traces())
            time.sleep(_LOOK_SECONDS)

    def go(
        self, title: str, environment: Mapping[str, str], armed: Mapping[str, int]
    ) -> subprocess.Popen[bytes]:
        """Let the process that is ready be the operator; the next one starts beside it.

        Args:
            title: For the log.
            environment: Of the operator.
            armed: Place -> at its n-th time the process kills itself.
        """
        self._tail.cut()
        process = self._running = self._waiting
        with self._log.open("a") as log:
            log.write(f"--- {title}\n")
        word = {"env": dict(environment), "armed": dict(armed)}
        assert process.stdin is not None  # noqa: S101 - started with a pipe
        process.stdin.write(json.dumps(word).encode() + b"\n")
        process.stdin.flush()
        self._waiting = self._start()
        return process

    def follow(self, traces: Traces) -> None:
        """Add to ``traces`` what has been written since the last time."""
        for kind, content in self._tail.new():
            if kind == journal.READY:
                self._ready.add(content)
                continue
            traces.new_at = time.monotonic()
            if kind == journal.PASSED:
                traces.passed.append(content)
            elif kind == journal.KILLED:
                traces.place = content
            else:
                traces.committed.add(kind, content)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "trials.kills.victim", str(self._journal)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
