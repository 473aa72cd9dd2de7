"""Says what is going on and for how long, on stderr, while the reader waits."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class Progress:
    """Prints one line per step and keeps the time visible: nothing may look like a hang.

    On a terminal the running step's line is redrawn every second; elsewhere (CI's log) it is
    repeated every 15 s.
    """

    def __init__(self, stream: TextIO | None = None, *, about: str = "control plane") -> None:
        """Write to ``stream``, or to stderr; ``about`` begins each line."""
        self._about = about
        self._stream = stream if stream is not None else sys.stderr
        self._terminal = self._stream.isatty()
        self._detail = ""

    def say(self, text: str) -> None:
        """Print one line."""
        print(f"{self._about}: {text}", file=self._stream, flush=True)

    def detail(self, text: str) -> None:
        """Set what is shown beside the time of the running step, such as ``1200 packages``."""
        self._detail = text

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Show ``text`` with the seconds it has taken, until the block ends."""
        begun, over = time.monotonic(), threading.Event()
        self._detail = ""

        def line(mark: str) -> str:
            extra = f", {self._detail}" if self._detail else ""
            return f"{self._about}: {text} {mark} {time.monotonic() - begun:.0f} s{extra}"

        def beat() -> None:
            while not over.wait(1.0 if self._terminal else 15.0):
                end = "" if self._terminal else "\n"
                start = "\r\x1b[K" if self._terminal else ""
                print(f"{start}{line('…')}", end=end, file=self._stream, flush=True)

        print(
            f"{self._about}: {text} …",
            end="" if self._terminal else "\n",
            file=self._stream,
            flush=True,
        )
        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        outcome = "stopped after"
        try:
            yield
            outcome = "done in"
        finally:
            over.set()
            thread.join()
            start = "\r\x1b[K" if self._terminal else ""
            print(f"{start}{line(outcome)}", file=self._stream, flush=True)
