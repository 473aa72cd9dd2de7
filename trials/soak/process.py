"""One operator process after the other: built, run, killed at an effect, started again.

A kill is what SIGKILL leaves behind: the ledger's files as they are at that instant (also in the
middle of a transaction) are what the next process opens, nothing of the old process has any effect
any more, and what it had in memory is gone.
"""

import asyncio
import random
import shutil
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import event

from licenseusage.controller.effects.books import Books
from licenseusage.controller.effects.deliveries import WORKERS
from licenseusage.controller.effects.kube import KubeError
from licenseusage.controller.effects.metrics import Metrics
from licenseusage.controller.effects.workqueue import WorkQueue
from licenseusage.controller.process import background
from licenseusage.controller.process.wiring import wire
from licenseusage.controller.rules import clockwatch
from licenseusage.controller.rules.key import Key, ReceiptsKey
from licenseusage.controller.settings import Settings
from licenseusage.controller.steps.importing import reconcile_receipts
from licenseusage.controller.steps.reconcile import reconcile
from licenseusage.controller.steps.world import World as Surroundings
from licenseusage.delivery.vendor import VendorClient
from licenseusage.errors import UsageError
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import PollRecord
from licenseusage.reports.content import OperatorInfo
from licenseusage.reports.keys import SigningKey
from licenseusage.sources.poll import PollResult
from licenseusage.sources.workers.workers import Workers
from trials.soak.answering import Product
from trials.soak.cluster import Cluster, SimulatedKube
from trials.soak.heard import Heard
from trials.soak.tally import Tally
from trials.soak.timeline import World, WrongClock
from trials.soak.vendor import Vendor, key
from trials.soak.workers import SimulatedWorkers

NAMESPACE = "licenseusage-system"
VENDOR_KEYS = "licenseusage-vendor-keys"

T = TypeVar("T")


_WRITES = ("INSERT", "UPDATE", "DELETE")


class Killed(BaseException):
    """The process has ended; nothing may happen after it."""


@dataclass(slots=True)
class Mortality:
    """When the process dies: at the n-th effect boundary of a kind from now.

    Attributes:
        killed: Told where it died.
        snapshot: Keeps the ledger as it is at that instant.
        passed: Boundaries passed, by name.
        kind: How the names of the boundaries begin that count.
        left: Boundaries of the kind still to pass; None: it is safe.
        dead: It has died.
    """

    killed: Callable[[str], None]
    snapshot: Callable[[], None]
    passed: Counter[str]
    kind: str = ""
    left: int | None = None
    dead: bool = False

    def arm(self, kind: str, count: int) -> None:
        """Die at the n-th boundary whose name begins with ``kind``."""
        self.kind, self.left = kind, count

    def spare(self) -> None:
        """Die no more."""
        self.left = None

    def boundary(self, what: str) -> None:
        """Pass an effect boundary, or die at it."""
        if self.dead:
            raise Killed
        self.passed[what] += 1
        if self.left is None or not what.startswith(self.kind):
            return
        self.left -= 1
        if self.left > 0:
            return
        self.left, self.dead = None, True
        self.snapshot()
        self.killed(what)
        raise Killed


class SoakLedger(Ledger):
    """The ledger, which tells what it has been asked to keep and what it has kept."""

    asked: Callable[[PollRecord], None]
    kept: Callable[[PollRecord, bool], None]

    def record_poll(self, poll: PollRecord, now_ms: int) -> bool:
        """Keep a poll."""
        self.asked(poll)
        decides = super().record_poll(poll, now_ms)
        self.kept(poll, decides)
        return decides


class SoakBooks(Books):
    """The operator's books without a thread: a simulated process does one thing at a time."""

    def __init__(self, ledger: Ledger) -> None:
        """Hold a ledger that is open."""
        super().__init__("", now_ms=lambda: 0, ledger_id="")
        self._opened_ledger = ledger

    async def open(self, first: Callable[[Ledger], None]) -> None:
        """Take up: the ledger is open already."""
        await self.do(first)

    def now_open(self) -> Ledger:
        """Return the ledger."""
        return self._opened_ledger

    async def do(self, work: Callable[[Ledger], T]) -> T:
        """Run the work, then let others take their turn, as a thread would."""
        try:
            return work(self._opened_ledger)
        finally:
            await asyncio.sleep(0)


@dataclass(frozen=True)
class Estate:
    """What outlives a process.

    Attributes:
        folder: Of the ledger's files, one folder per process.
        asked: Told of each poll before the ledger is.
        kept: Told of each poll that the ledger has kept.
        heard: Told what each poll of a product and source has read, and what came of it.
        api_down: Whether the API server is away.
        route: Says of an object what changes with how its reports reach the vendor.
        looked: Told of each object that was looked at, with the route that it had before.
        keys: The identity's keys that were made, in order.
    """

    world: World
    folder: Path
    cluster: Cluster
    vendor: Vendor
    client: VendorClient
    clock: WrongClock
    shops: Mapping[tuple[str, str], Product]
    random: random.Random
    tally: Tally
    signing_key: SigningKey
    spread_seconds: int
    asked: Callable[[PollRecord], None]
    kept: Callable[[PollRecord, bool], None]
    heard: Callable[[tuple[str, str], PollResult, Heard], None]
    api_down: Callable[[], bool]
    route: Callable[[str], int] = lambda _: 0
    looked: Callable[[str, int], None] = lambda *_: None
    keys: list[SigningKey] = field(default_factory=list)

    def new_key(self) -> SigningKey:
        """Make the identity's key, and another one each time that it is rotated."""
        number = len(self.keys)
        made = key(f"{self.signing_key.kid} {number}") if number else self.signing_key
        self.keys.append(made)
        return made


class Process:
    """One operator process.

    Attributes:
        surroundings: What its reconciles may touch.
        ledger: Its open ledger.
        failure: A defect that it has met, if any.
    """

    def __init__(self, estate: Estate, number: int) -> None:
        """Open the ledger where the process before (``number`` - 1) has left it."""
        self.estate, self.number = estate, number
        self.failure: BaseException | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._queue: WorkQueue[Key | ReceiptsKey] = WorkQueue()
        self._died = asyncio.Event()
        self.mortality = Mortality(self._killed, self._snapshot, estate.tally.boundaries)
        boundary = self.mortality.boundary
        estate.vendor.boundary = boundary
        now_ms = estate.clock.now_ms
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.ledger = SoakLedger.open(
            f"sqlite:///{self.path}", now_ms=now_ms(), ledger_id="soak-ledger"
        )
        self.ledger.asked, self.ledger.kept = estate.asked, estate.kept
        engine = self.ledger._database.engine
        event.listen(engine, "before_cursor_execute", self._statement)
        event.listen(engine, "commit", lambda *_: boundary("commit"))
        self.surroundings = self._surroundings()

    @property
    def path(self) -> Path:
        """The ledger's file of this process."""
        return self.estate.folder / f"{self.number:06d}" / "ledger.db"

    @property
    def dead(self) -> bool:
        """Whether it was killed."""
        return self.mortality.dead

    async def start(self) -> None:
        """Take up, as `controller.process` does, without a watch: keys come from ``nudge``."""
        world = self.surroundings
        try:
            await background.resume(world, self._nudge)
        except Killed:
            return
        for _ in range(2):
            self._run(self._reconcile())
        for _ in range(WORKERS):
            self._run(world.deliveries.work())
        self._run(world.intake.work())

    async def until(self, work: asyncio.Future[None], seconds: float) -> None:
        """Wait for work that this process does for somebody, as long as it lives."""
        death = asyncio.ensure_future(self._died.wait())
        await asyncio.wait((work, death), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for each in (work, death):
            each.cancel()
        done = await asyncio.gather(work, death, return_exceptions=True)
        if isinstance(done[0], Exception):
            raise done[0]

    async def wait(self, seconds: float) -> None:
        """Let time pass, at most until the process dies."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._died.wait()

    def look(self, key: Key | ReceiptsKey) -> None:
        """Have an object looked at."""
        self._queue.add(key)

    async def note_clock(self, step_ms: int) -> None:
        """Tell of a step of the clock, as `background.watch_clock` would have seen it."""
        before = clockwatch.ClockReading(0, 0)
        seen = clockwatch.step_between(before, clockwatch.ClockReading(step_ms, 0))
        if seen is not None:
            await self._quietly(
                lambda ledger: ledger.record_clock_step(seen, self.estate.clock.now_ms())
            )

    async def delete_expired(self) -> None:
        """Do one turn of `background.delete_expired`."""
        keep = self.surroundings.settings.keep_facts_cycles
        now_ms = self.estate.clock.now_ms
        await self._quietly(
            lambda ledger: ledger.delete_expired_facts(now_ms(), cycle_lengths=keep)
        )

    async def stop(self) -> None:
        """End, killed or in good order."""
        if not self.dead:
            self._snapshot()
            self.mortality.dead = True
        for task in self._tasks:
            task.cancel()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self.ledger._database.close()
        shutil.rmtree(self.path.parent)

    def _statement(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        """Pass a boundary before each statement that writes; reading is no effect."""
        verb, *rest = statement.split()
        if verb in _WRITES:
            table = next(word for word in rest if word.islower())
            self.mortality.boundary(f"{verb.lower()} {table}")

    def _killed(self, what: str) -> None:
        self.estate.tally.kills[what] += 1
        self._died.set()

    def _snapshot(self) -> None:
        """Leave the files, as they are now, to the next process."""
        following = self.estate.folder / f"{self.number + 1:06d}"
        following.mkdir()
        for suffix in ("", "-wal"):
            file = self.path.with_name(self.path.name + suffix)
            if file.exists():
                shutil.copyfile(file, following / file.name)

    def _nudge(self, key: Key) -> None:
        """Look at an object again soon; what comes in the next second is one piece of work."""
        self._queue.add(key, 1.0)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.ensure_future(work))

    async def _reconcile(self) -> None:
        while True:
            key = await self._queue.get()
            failed = False
            try:
                if isinstance(key, ReceiptsKey):
                    again = await reconcile_receipts(self.surroundings, key)
                    if again is not None:
                        self._queue.add(key, again)
                    continue
                route = self.estate.route(key.name)
                # When to look again is left to the history: it knows the moments that matter.
                await reconcile(self.surroundings, key)
                self.estate.looked(key.name, route)
            except KubeError:
                failed = True
            except Exception as error:
                self.failure = self.failure or error
            finally:
                self._queue.done(key, failed=failed)

    async def _quietly(self, work: Callable[[Ledger], object]) -> None:
        try:
            await self.surroundings.books.do(work)
        except (UsageError, Killed):
            return

    def _surroundings(self) -> Surroundings:
        estate, boundary = self.estate, self.mortality.boundary
        clock, random_ = estate.clock, estate.random
        kube = SimulatedKube(estate.cluster, estate.world, boundary, estate.api_down)
        settings = Settings(
            operator_namespace=NAMESPACE,
            vendor_keys_configmap=VENDOR_KEYS,
            pod_name="soak",
            first_send_spread_seconds=estate.spread_seconds,
            intake_address="127.0.0.1:0",
        )
        workers = SimulatedWorkers(
            estate.world, clock, estate.shops, random_, estate.tally, boundary, estate.heard
        )
        return wire(
            settings,
            clock=clock,
            kube=kube,
            books=SoakBooks(self.ledger),
            metrics=Metrics(lambda: clock.now_ms() / 1000),
            workers=cast(Workers, workers),
            client=estate.client,
            operator=OperatorInfo("soak", None),
            nudge=self._nudge,
            nudge_receipts=self._queue.add,
            new_signing_key=estate.new_key,
            random_bytes=random_.randbytes,
            permille=lambda: random_.randrange(1000),
        )
