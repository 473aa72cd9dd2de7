"""Lives the lives: starts the operator, kills it, looks at what it left, starts it again."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hack.controlplane import ControlPlane
from hack.demo.children import Children
from trials.forked import Forked
from trials.kills import aftermath, stage
from trials.kills.checkout import environment
from trials.kills.deeds import Administrator
from trials.kills.evidence import Evidence, collect
from trials.kills.journal import Committed
from trials.kills.people import DAY, People
from trials.kills.plan import Life, Plan
from trials.kills.product import Clock, Product
from trials.kills.stage import Subject
from trials.kills.vendor import Vendor
from trials.kills.victims import Traces, Victims

_METERS: Final = (
    ("alpha", "shop", "subscription-1"),
    ("bravo", "shop", "subscription-1"),
    ("charlie", "mail", "subscription-2"),
    ("delta", "wiki", "subscription-3"),
)
_USERS: Final = 24
_SETTLE_SECONDS: Final = 600.0
_REST_SECONDS: Final = 3.0
_LOOK_SECONDS: Final = 0.02
_BUSY: Final = 8
"""Places passed after which the operator is at work, and people come to it."""

Say = Callable[[str], None]


@dataclass(slots=True)
class Record:
    """What happened.

    Attributes:
        killed_at: Place -> kills there, by the process itself.
        killed_after: Last place passed -> kills at a random moment.
        at_rest: Kills of a process that had nothing more to do.
        passed: Place -> how often it was passed.
        committed: Everything that the processes had made durable.
        troubles: What must not be, as it was seen.
        first_s: Simulated time of the begin.
        last_s: Simulated time at which the last process began.
        watched: Processes that were alive while a cycle ended.
    """

    killed_at: Counter[str] = field(default_factory=Counter)
    killed_after: Counter[str] = field(default_factory=Counter)
    at_rest: int = 0
    passed: Counter[str] = field(default_factory=Counter)
    committed: Committed = field(default_factory=Committed)
    troubles: list[str] = field(default_factory=list)
    first_s: int = 0
    last_s: int = 0
    watched: int = 0

    @property
    def kills(self) -> int:
        """All of them."""
        return self.killed_at.total() + self.killed_after.total() + self.at_rest


class Run:
    """One run, in one folder.

    Attributes:
        record: What happened.
    """

    def __init__(self, cp: ControlPlane, folder: Path, plan: Plan, *, seed: int) -> None:
        """Prepare; nothing runs yet.

        Args:
            cp: A control plane without the namespace ``kills``.
            folder: Empty; everything that helps to explain a failure is left there.
            plan: Says when to kill.
            seed: Of what people do.
        """
        self._cp, self._folder, self._plan = cp, folder, plan
        self._clock = Clock()
        # So far back that the clock, which each life sets forward, never comes near the present.
        days = 60 + 2 * plan.kills
        day = int(time.time()) // DAY * DAY - days * DAY
        self.record = Record(first_s=day)
        self._people = [
            People(random.Random(f"{seed} {name}"), day, days + 2, _USERS)  # noqa: S311
            for name, _, _ in _METERS
        ]
        self._ledger = folder / "ledger.sqlite"

    def play(self, say: Say) -> Evidence:
        """Kill as often as planned, let the last process finish, and return what is left."""
        with ExitStack() as stack:
            vendor = Vendor(self._folder / "vendor")
            children = stack.enter_context(Children(self._folder))
            subjects = self._subjects(vendor, stack)
            self._set_clock(vendor, self.record.first_s + DAY // 2)
            vendor.start(children)
            stage.set_up(self._cp, vendor, subjects)
            victims = stack.enter_context(Victims(self._folder, environment()))
            administrator = Administrator(
                self._cp, vendor, subjects, self._ledger, self.record.committed
            )
            scene = _Scene(vendor, subjects, victims, self._operator(vendor), administrator)
            for _ in range(self._plan.kills):
                children.check()
                self._live(self._plan.next(self._clock.now()), scene, say)
            self._finish(scene, say)
            children.check()
            return collect(
                self._cp,
                vendor,
                subjects,
                self._ledger,
                self._folder / "operator.log",
                self._clock.now(),
            )

    # -- one life

    def _live(self, life: Life, scene: "_Scene", say: Say) -> None:
        if life.delete is not None:
            name = scene.subjects[life.delete].name
            self._cp.kubectl("delete", "lu", name, "-n", stage.NAMESPACE, "--timeout=20s")
        if life.restore is not None:
            self._cp.apply(scene.administrator.usage(scene.subjects[life.restore]))
        self._prepare(life, scene, say)
        process = self._begin(f"life {life.number}", life.starts_s, scene, life.armed, life.down)
        begun, traces = time.monotonic(), self._traces()
        how = self._watched(process, life, scene, traces)
        process.kill()
        process.wait()
        scene.victims.follow(traces)
        self.record.watched += int(self._clock.now()) // DAY > life.starts_s // DAY
        where = self._note(process, life, traces, how)
        self._plan.died(traces.place, traces.passed)
        lost = aftermath.missing(self._ledger, traces.committed)
        self.record.troubles += [f"life {life.number}, killed {where}: {loss}" for loss in lost]
        self.record.committed.join(traces.committed)
        seconds = time.monotonic() - begun
        say(f"{life.number:4}  {_shown(life.starts_s)}  {seconds:5.1f} s  killed {where}")
        for loss in lost:
            say(f"      LOST: {loss}")

    def _prepare(self, life: Life, scene: "_Scene", say: Say) -> None:
        """Do before a life what an administrator does, on the clock that it will have."""
        if scene.administrator.decide():
            say("      an administrator names the head that is proposed")
        if life.deeds:
            self._set_clock(scene.vendor, life.starts_s - 1)
        for deed in life.deeds:
            before = scene.administrator.done[deed]
            scene.administrator.do(deed, self._clock.now(), scene.environment | self._offset())
            if scene.administrator.done[deed] > before:
                say(f"      an administrator {deed}")

    def _traces(self) -> Traces:
        """Return where the traces of a life go; what was settled before it stays."""
        return Traces(committed=Committed(settled=self.record.committed.settled))

    def _offset(self) -> dict[str, str]:
        return {"LICENSEUSAGE_DEV_CLOCK_OFFSET_SECONDS": str(self._clock.offset)}

    def _watched(self, process: Forked, life: Life, scene: "_Scene", traces: Traces) -> str:
        """Watch a process until it is dead or to be killed; return why it is to be."""
        begun, acted, due = time.monotonic(), False, float("inf")
        while process.poll() is None:
            time.sleep(_LOOK_SECONDS)
            scene.victims.follow(traces)
            now = time.monotonic()
            if not acted and life.request is not None and len(traces.passed) >= _BUSY:
                acted = True
                self._request(scene.subjects[life.request])
            if life.kill_after and due == float("inf"):
                places, delay = life.kill_after
                due = now + delay if len(traces.passed) >= places else due
            if now >= due or now - begun >= life.limit_seconds:
                return "random"
            rests = traces.passed and now - traces.new_at >= _REST_SECONDS
            if rests and self._clock.now() >= life.rest_until_s:
                return "rest"
        return ""

    def _note(self, process: Forked, life: Life, traces: Traces, how: str) -> str:
        """Take a death into the record; return where it was."""
        record = self.record
        record.passed.update(traces.passed)
        if process.returncode != -signal.SIGKILL:
            record.troubles.append(
                f"life {life.number} ended by itself, exit code {process.returncode}: see "
                f"operator.log"
            )
        if traces.place is not None:
            record.killed_at[traces.place] += 1
            return traces.place
        if how == "rest":
            record.at_rest += 1
            return "at rest"
        record.killed_after[traces.last] += 1
        return f"some time after: {traces.last}"

    def _request(self, subject: Subject) -> None:
        """Ask for a poll and a delivery, as an administrator does."""
        stamp = f"licenseusage.dev/requested-at={time.time_ns()}"
        where = ("-n", stage.NAMESPACE)
        self._cp.kubectl("annotate", "--overwrite", "lu", subject.name, stamp, *where, check=False)

    # -- begin and end

    def _begin(
        self,
        title: str,
        starts_s: int,
        scene: "_Scene",
        armed: dict[str, int],
        down: int | None,
    ) -> Forked:
        """Set all clocks forward to ``starts_s`` and let the next process be the operator."""
        for number, subject in enumerate(scene.subjects):
            subject.product.down = number == down
        self._set_clock(scene.vendor, starts_s)
        self.record.last_s = starts_s
        environment = scene.environment | self._offset()
        return scene.victims.go(f"{title}, {_shown(starts_s)}", environment, armed)

    def _set_clock(self, vendor: Vendor, now_s: int) -> None:
        offset = now_s - int(time.time())
        # Each restart gets a later clock, however long the one before took to die.
        self._clock.offset = max(offset, self._clock.offset + 1) if self._clock.offset else offset
        vendor.set_clock(self._clock.offset)

    def _finish(self, scene: "_Scene", say: Say) -> None:
        """Let a process end what was begun; then end it as a pod is ended."""
        starts_s = int(self._clock.now()) // DAY * DAY + DAY + 30
        say(f"      {_shown(starts_s)}: the last process is let finish")
        self._cp.apply(scene.administrator.usages())
        scene.administrator.mend(self._clock.now())
        process, traces = self._begin("the last life", starts_s, scene, {}, None), self._traces()
        deadline = time.monotonic() + _SETTLE_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
            scene.victims.follow(traces)
            rests = time.monotonic() - traces.new_at >= _REST_SECONDS
            if not rests or not traces.passed:
                continue
            if not scene.administrator.decide() and self._settled(len(scene.subjects)):
                break
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        if (code := process.wait(60)) != 0:
            self.record.troubles.append(f"the last process ended with exit code {code}")
        scene.victims.follow(traces)
        self.record.committed.join(traces.committed)

    def _settled(self, subjects: int) -> bool:
        ledger = self._ledger
        known = aftermath.reporting(ledger) == subjects and not aftermath.stopped(ledger)
        return known and aftermath.settled(ledger, self._clock.now())

    def _operator(self, vendor: Vendor) -> dict[str, str]:
        return stage.operator_environment(self._cp, vendor, self._ledger)

    def _subjects(self, vendor: Vendor, stack: ExitStack) -> list[Subject]:
        subjects = []
        for people, (name, product, subscription) in zip(self._people, _METERS, strict=True):
            license_ = vendor.license(product, subscription, self.record.first_s)
            served = stack.enter_context(Product(people, self._clock))
            subjects.append(Subject(name, product, subscription, license_, served))
        return subjects


@dataclass(frozen=True, slots=True)
class _Scene:
    """Whom a life plays with; ``environment`` is the operator's but for its clock."""

    vendor: Vendor
    subjects: Sequence[Subject]
    victims: Victims
    environment: dict[str, str]
    administrator: Administrator


METERS: Final = len(_METERS)


def _shown(at_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at_s))
