"""One collected test session against many mutants, each in a process forked from it."""

import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import CodeType, FrameType

import pytest

from trials.mutation.groups import Group
from trials.mutation.mutants import Mutant
from trials.mutation.transplant import transplant


@dataclass
class Trials:
    """A pytest plugin: runs all tests once as they are, then those concerned for every mutant.

    Attributes:
        chosen: The mutants.
        group: Their package, and the tests.
        jobs: How many are tried at the same time.
        seconds: Most CPU time of one, whatever else the machine does; a mutant that takes longer
            is noticed. So is one that takes ten times as long by the clock: it waits for nothing.
        report: Told each mutant and whether a test noticed it, in the order in which they end.
        sound: Whether all tests pass without any mutant.
    """

    chosen: Sequence[Mutant]
    group: Group
    jobs: int
    seconds: float
    report: Callable[[Mutant, bool], None]
    sound: bool = False
    _called: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    _took: dict[str, float] = field(default_factory=dict)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Take the place of pytest's own loop."""
        for number, item in enumerate(session.items):
            following = session.items[number + 1] if number + 1 < len(session.items) else None
            self._watched(item, following)
        self.sound = session.testsfailed == 0
        if self.sound:
            for mutant, noticed in self._tried(session):
                self.report(mutant, noticed)
        return True

    def _watched(self, item: pytest.Item, following: pytest.Item | None) -> None:
        """Run a test and note which functions it calls: only their mutants need it."""
        called: set[CodeType] = set()

        def note(frame: FrameType, event: str, _: object) -> None:
            if event == "call":
                called.add(frame.f_code)

        began = time.monotonic()
        sys.setprofile(note)
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        finally:
            sys.setprofile(None)
        self._took[item.nodeid] = time.monotonic() - began
        self._called[item.nodeid] = {
            (code.co_filename.rpartition("/")[2], code.co_qualname)
            for code in called
            if code.co_filename.startswith(str(self.group.folder))
        }

    def _tried(self, session: pytest.Session) -> Iterator[tuple[Mutant, bool]]:
        waiting = list(reversed(self.chosen))
        running: dict[int, tuple[Mutant, float]] = {}
        while waiting or running:
            while waiting and len(running) < self.jobs:
                mutant = waiting.pop()
                running[self._forked(session, mutant)] = (
                    mutant,
                    time.monotonic() + 10 * self.seconds,
                )
            ended, status = os.waitpid(-1, os.WNOHANG)
            if ended:
                mutant, _ = running.pop(ended)
                yield mutant, os.waitstatus_to_exitcode(status) != 0
                continue
            for process, (_, until) in running.items():
                if time.monotonic() > until:
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.005)

    def _forked(self, session: pytest.Session, mutant: Mutant) -> int:
        process = os.fork()
        if process:
            return process
        noticed = True
        try:
            limit = math.ceil(self.seconds)
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1)
            os.dup2(silent, 2)
            name = f"licenseusage.{self.group.package}.{mutant.module.removesuffix('.py')}"
            module = import_module(name)
            items = self._concerned(session, mutant)
            transplant(module, mutant.source)
            for number, item in enumerate(items):
                following = items[number + 1] if number + 1 < len(items) else None
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.testsfailed:
                    break
            noticed = bool(session.testsfailed)
        finally:
            os._exit(noticed)

    def _concerned(self, session: pytest.Session, mutant: Mutant) -> list[pytest.Item]:
        """The tests that call the broken function, quick ones first; all, if it is in none."""
        where = mutant.function
        items = [
            item
            for item in session.items
            if not where
            or any(
                module == mutant.module and (name == where or name.startswith(f"{where}.<locals>"))
                for module, name in self._called[item.nodeid]
            )
        ]
        return sorted(items, key=lambda item: self._took[item.nodeid])
