"""The operator's processes, one after the other: each starts at once, as a fork."""

import json
import os
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from trials.forked import Forked
from trials.kills import journal
from trials.kills.journal import Committed, Tail

VICTIM: Final = Path(__file__).with_name("victim.py")


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
    """Starts one process at a time that is the operator."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Keep journal and log in ``folder``."""
        self._journal, self._log = folder / "journal", folder / "operator.log"
        self._environment = dict(environment)
        self._tail = Tail(self._journal)
        self._running: Forked | None = None
        # They see in their standard input, which nobody writes to, that this process has ended.
        reading, self._alive = os.pipe()
        self._stdin = os.fdopen(reading, "rb")

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kill what is left."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()
        self._tail.close()
        self._stdin.close()
        os.close(self._alive)

    def go(self, title: str, environment: Mapping[str, str], armed: Mapping[str, int]) -> Forked:
        """Let a new process be the operator.

        Args:
            title: For the log.
            environment: Of the operator.
            armed: Place -> at its n-th time the process kills itself.
        """
        self._tail.cut()
        with self._log.open("ab") as log:
            log.write(f"--- {title}\n".encode())
            log.flush()
            self._running = Forked(
                [str(VICTIM), str(self._journal), json.dumps(dict(armed))],
                {**self._environment, **environment},
                log,
                script=True,
                stdin=self._stdin,
            )
        return self._running

    def follow(self, traces: Traces) -> None:
        """Add to ``traces`` what has been written since the last time."""
        for kind, content in self._tail.new():
            traces.new_at = time.monotonic()
            if kind == journal.PASSED:
                traces.passed.append(content)
            elif kind == journal.KILLED:
                traces.place = content
            else:
                traces.committed.add(kind, content)
