"""Lives the lives: starts the operator, kills it, looks at what it left, starts it again."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hack.controlplane import ControlPlane
from hack.demo.children import Children
from hack.kills import aftermath, journal, stage
from hack.kills.evidence import Evidence, collect
from hack.kills.journal import Committed, Tail
from hack.kills.people import DAY, People
from hack.kills.plan import Life, Plan
from hack.kills.product import Clock, Product
from hack.kills.stage import Subject
from hack.kills.vendor import Vendor

_METERS: Final = (
    ("alpha", "shop", "subscription-1"),
    ("bravo", "shop", "subscription-1"),
    ("charlie", "mail", "subscription-2"),
    ("delta", "wiki", "subscription-3"),
)
_USERS: Final = 24
_SETTLE_SECONDS: Final = 180.0
_LOOK_SECONDS: Final = 0.02

Say = Callable[[str], None]


@dataclass(slots=True)
class Record:
    """What happened.

    Attributes:
        killed_at: Place -> kills there, by the process itself.
        killed_after: Last place passed -> kills at a random moment.
        at_rest: Kills of a process that had nothing more to do.
        passed: Places that were passed, killed there or not.
        troubles: What must not be, as it was seen.
    """

    killed_at: Counter[str] = field(default_factory=Counter)
    killed_after: Counter[str] = field(default_factory=Counter)
    at_rest: int = 0
    passed: Counter[str] = field(default_factory=Counter)
    committed: Committed = field(default_factory=Committed)
    troubles: list[str] = field(default_factory=list)
    first_s: int = 0
    last_s: int = 0

    @property
    def kills(self) -> int:
        """All of them."""
        return self.killed_at.total() + self.killed_after.total() + self.at_rest


class Run:
    """One run, in one folder."""

    def __init__(
        self, cp: ControlPlane, folder: Path, *, kills: int, seed: int, sweep: Sequence[str]
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            cp: A control plane without the namespace ``kills``.
            folder: Empty; everything that helps to explain a failure is left there.
            kills: How many.
            seed: Of every choice.
            sweep: Places at which a process has to be killed.
        """
        self._cp, self._folder = cp, folder
        self._rng = random.Random(f"licenseusage kills {seed}")
        self._kills = kills
        self._plan = Plan(self._rng, kills, len(_METERS), list(sweep))
        self._clock = Clock()
        # So far back that the clock, which each life sets forward, never comes near the present.
        days = 60 + 2 * kills
        self._day = int(time.time()) // DAY * DAY - days * DAY
        self.record = Record(first_s=self._day)
        self._people = [
            People(random.Random(f"{seed} {name}"), self._day, days + 2, _USERS)
            for name, _, _ in _METERS
        ]
        self._ledger = folder / "ledger.sqlite"
        self._tail = Tail(folder / "journal")
        self._log = folder / "operator.log"
        self._standby: subprocess.Popen[bytes] | None = None
        self._ready: set[int] = set()

    def play(self, say: Say) -> Evidence:
        """Kill as often as asked, let the last process finish, and return what is left."""
        with ExitStack() as stack:
            vendor = Vendor(self._folder / "vendor")
            children = stack.enter_context(Children(self._folder))
            stack.callback(self._dismiss)
            stack.callback(self._tail.close)
            subjects = self._subjects(vendor, stack)
            now = float(self._day + DAY // 2)
            self._set_clock(vendor, int(now))
            vendor.start(children)
            stage.set_up(self._cp, vendor, subjects)
            environment = stage.operator_environment(self._cp, vendor, self._ledger)
            self._standby = self._start()
            for _ in range(self._kills):
                children.check()
                life = self._plan.next(now)
                self._live(life, subjects, vendor, environment, say)
                now = self._clock.now()
            last = int(now) // DAY * DAY + DAY + 30
            say(f"the last life begins at {_shown(last)} and is let finish")
            evidence = self._finish(last, subjects, vendor, environment)
            children.check()
            return evidence

    # -- one life

    def _live(
        self, life: Life, subjects: Sequence[Subject], vendor: Vendor, env: dict[str, str], say: Say
    ) -> None:
        if life.restore is not None:
            self._cp.apply(stage.usage(subjects[life.restore]))
        for number, subject in enumerate(subjects):
            subject.product.down = number == life.down
        process = self._go(life.starts_s, vendor, env, life.armed, f"life {life.number}")
        begun = quiet_since = time.monotonic()
        due: float | None = None
        acted, place, last, committed = False, None, "nothing", Committed()
        passed: list[str] = []
        how = ""
        while process.poll() is None:
            time.sleep(_LOOK_SECONDS)
            now = time.monotonic()
            for kind, content in self._new():
                quiet_since = now
                committed.add(kind, content)
                if kind == journal.PASSED:
                    last = content
                    passed.append(content)
            if not acted and len(passed) > 8:
                acted = True
                self._act(life, subjects)
            if due is None and life.kill_after and len(passed) >= life.kill_after[0]:
                due = now + life.kill_after[1]
            if due is not None and now >= due:
                how = "random"
            elif now - begun >= life.limit_seconds:
                how = "late"
            elif passed and now - quiet_since >= life.rest_seconds:
                how = "rest" if self._clock.now() >= life.rest_until_s else ""
            if how:
                process.kill()
                process.wait()
        for kind, content in self._new():
            committed.add(kind, content)
            if kind == journal.KILLED:
                place = content
            elif kind == journal.PASSED:
                last = content
                passed.append(content)
        self._tail.cut()
        self._bury(process, life, place, last, how, passed)
        self._plan.died(place, passed)
        lost = aftermath.missing(self._ledger, committed)
        self.record.troubles += [f"life {life.number}, killed {place or last}: {x}" for x in lost]
        _join(self.record.committed, committed)
        told = place or (f"at rest after {last}" if how == "rest" else f"after {last}")
        say(
            f"{life.number:4}/{self._kills}  {_shown(life.starts_s)}  "
            f"{time.monotonic() - begun:4.1f} s  killed {told}"
            + "".join(f"  LOST: {x}" for x in lost)
        )

    def _bury(
        self,
        process: subprocess.Popen[bytes],
        life: Life,
        place: str | None,
        last: str,
        how: str,
        passed: Sequence[str],
    ) -> None:
        record = self.record
        record.passed.update(passed)
        if process.returncode != -signal.SIGKILL:
            record.troubles.append(
                f"life {life.number} ended by itself, exit code {process.returncode}: see "
                f"{self._log.name}"
            )
        elif place is not None:
            record.killed_at[place] += 1
            record.passed[place] += 1
        elif how == "rest":
            record.at_rest += 1
        else:
            record.killed_after[last] += 1

    def _act(self, life: Life, subjects: Sequence[Subject]) -> None:
        """Do what people do while the operator runs."""
        where = ("-n", stage.NAMESPACE)
        if life.request is not None:
            name = subjects[life.request].name
            stamp = f"licenseusage.dev/requested-at={time.time_ns()}"
            self._cp.kubectl("annotate", "--overwrite", "lu", name, stamp, *where, check=False)
        if life.delete is not None:
            name = subjects[life.delete].name
            self._cp.kubectl("delete", "lu", name, *where, "--timeout=20s")

    # -- processes

    def _new(self) -> list[tuple[str, Any]]:
        """Return what the operator has written; who waits for its turn has written ``READY``."""
        lines = self._tail.new()
        self._ready |= {content for kind, content in lines if kind == journal.READY}
        return [line for line in lines if line[0] != journal.READY]

    def _start(self) -> subprocess.Popen[bytes]:
        """Start a process that becomes the operator when it is told to."""
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "hack.kills.victim", str(self._folder / "journal")],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=stage.ROOT,
                env=self._cp.environment() | {"PYTHONPATH": stage.environment()["PYTHONPATH"]},
                start_new_session=True,
            )

    def _go(
        self,
        starts_s: int,
        vendor: Vendor,
        env: dict[str, str],
        armed: dict[str, int],
        title: str,
    ) -> subprocess.Popen[bytes]:
        """Set all clocks to ``starts_s`` and let the waiting process be the operator."""
        process = self._standby
        assert process is not None and process.stdin is not None  # noqa: PT018, S101
        while process.pid not in self._ready and process.poll() is None:
            self._new()
            time.sleep(_LOOK_SECONDS)
        self._standby = self._start()
        with self._log.open("a") as log:
            log.write(f"--- {title}, {_shown(starts_s)}\n")
        self._set_clock(vendor, starts_s)
        clock = {"LICENSEUSAGE_DEV_CLOCK_OFFSET_SECONDS": str(self._clock.offset)}
        word = {"env": env | clock, "armed": armed}
        process.stdin.write(json.dumps(word).encode() + b"\n")
        process.stdin.flush()
        return process

    def _set_clock(self, vendor: Vendor, now_s: int) -> None:
        before = self._clock.offset
        self._clock.offset = now_s - int(time.time())
        if before and self._clock.offset <= before:
            self._clock.offset = before + 1  # each restart gets a later clock
        self.record.last_s = now_s
        vendor.set_clock(self._clock.offset)

    def _dismiss(self) -> None:
        if self._standby is not None:
            self._standby.kill()
            self._standby.wait()

    # -- the stage and the end

    def _subjects(self, vendor: Vendor, stack: ExitStack) -> list[Subject]:
        subjects = []
        for people, (name, product, subscription) in zip(self._people, _METERS, strict=True):
            license_ = vendor.license(product, subscription, self._day)
            served = stack.enter_context(Product(people, self._clock))
            subjects.append(Subject(name, product, subscription, license_, served))
        return subjects

    def _finish(
        self, starts_s: int, subjects: Sequence[Subject], vendor: Vendor, env: dict[str, str]
    ) -> Evidence:
        """Let a process end what was begun; then end it as a pod is ended, and look."""
        for subject in subjects:
            subject.product.down = False
        self._cp.apply([stage.usage(subject) for subject in subjects])
        process = self._go(starts_s, vendor, env, {}, "the last life")
        cycles = len(subjects) * (starts_s // DAY - self._day // DAY)
        deadline = time.monotonic() + _SETTLE_SECONDS
        quiet_since = time.monotonic()
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
            for kind, content in self._new():
                self.record.committed.add(kind, content)
                quiet_since = time.monotonic()
            if vendor.finals() >= cycles and time.monotonic() - quiet_since > 3:
                break
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        if code != 0:
            self.record.troubles.append(f"the last process ended with exit code {code}")
        for kind, content in self._new():
            self.record.committed.add(kind, content)
        return collect(self._cp, vendor, subjects, self._ledger, self._log, self._clock.now())


def _join(whole: Committed, part: Committed) -> None:
    for cycle, users in part.sure.items():
        whole.add(journal.COMMITTED, [*cycle, users])
    for cycle, decisions in part.decided.items():
        for decision in decisions:
            whole.add(journal.DECIDED, [*cycle, *decision])
    for jti, tokens in part.signed.items():
        for token in tokens:
            whole.add(journal.SIGNED, [jti, token])


def _shown(at_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at_s))
