"""One history, from its plan to its verdict."""

import base64
import logging
import random
import shutil
import sys
import tempfile
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog

from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.resources import CONFIGMAPS, PODS, SECRETS, USAGES
from licenseusage.metering.cycles import Terms
from licenseusage.reports.terms import CycleTerms
from trials.soak import vendor as vendors
from trials.soak.arrivals import Arrivals
from trials.soak.checks import Checker
from trials.soak.cluster import Cluster, pod
from trials.soak.drawing import draw
from trials.soak.need import Violation, need
from trials.soak.people import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from trials.soak.plan import Event, Plan, Usage
from trials.soak.process import NAMESPACE, VENDOR_KEYS, Estate, Process
from trials.soak.tally import Tally
from trials.soak.timeline import Timeline, World, WrongClock
from trials.soak.verdict import examine

OBJECTS = "shop"
_defects: list[str] = []


def run(seed: str, cycles: int, folder: Path | None = None) -> Tally:
    """Run the history of a seed.

    Args:
        seed: Names the history.
        cycles: About how many cycles of each object.
        folder: Where the databases are; None: a temporary folder in memory where there is one.

    Raises:
        Violation: Something that must hold does not.
    """
    return play(draw(seed, cycles), folder)


def play(plan: Plan, folder: Path | None = None) -> Tally:
    """Run a history as planned; see `run`."""
    quiet()
    _defects.clear()
    shared = Path("/dev/shm")  # noqa: S108 - the kernel's, in memory
    place = folder or Path(
        tempfile.mkdtemp(prefix="soak-", dir=shared if shared.is_dir() else None)
    )
    loop = Timeline()
    loop.set_exception_handler(lambda *_: None)
    try:
        return loop.run_until_complete(History(plan, loop, place).run())
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        shutil.rmtree(place, ignore_errors=True)


class History:
    """The state of the world while a history happens."""

    def __init__(self, plan: Plan, loop: Timeline, folder: Path) -> None:
        """Prepare the world; nothing is installed yet."""
        self.plan, self.tally = plan, Tally()
        self.world = World(loop, plan.start_ms)
        self.random = random.Random(f"{plan.seed} run")  # noqa: S311 - repeatable, not secret
        self.checker = Checker(plan.usages, self.tally)
        self.cluster = Cluster()
        self.usages = {usage.name: usage for usage in plan.usages}
        operator, vendor = (WrongClock(self.world.now_ms, ms) for ms in plan.clock_error_ms)
        self.clock, self.vendor_clock = operator, vendor
        client, line = vendors.connect()
        self.vendor = vendors.Vendor(
            self.world, folder, vendor, self.random, plan.outages, self.tally
        )
        line.vendor = self.vendor
        self.arrivals = Arrivals(self.vendor.path)
        self.estate = Estate(
            world=self.world,
            folder=folder,
            cluster=self.cluster,
            vendor=self.vendor,
            client=client,
            clock=operator,
            shops={
                (usage.product, source): shop
                for usage in plan.usages
                for source, shop in usage.shops.items()
            },
            random=self.random,
            tally=self.tally,
            signing_key=vendors.key(f"installation {plan.seed}"),
            spread_seconds=plan.spread_seconds,
            asked=self.checker.books.asked,
            kept=self.checker.kept,
            heard=self.checker.doubt.heard,
            api_down=self._api_down,
        )
        self.process: Process | None = None
        self.processes = 0
        self.away_until_ms = 0
        self.peace = False
        self.deleted: set[str] = set()
        self.ever_deleted: set[str] = set()
        self.serials: dict[str, int] = {}
        self.terms: dict[str, tuple[int, Terms]] = {}

    async def run(self) -> Tally:
        """Let it happen, then judge."""
        try:
            self._install()
            await self._start()
            for event in self.plan.events:
                await self._until(event.at_ms)
                happens = getattr(self, event.kind)(event)
                if happens is not None:
                    await happens
                self._check()
            await self._peace()
            await self._end()
            assert self.process is not None  # noqa: S101
            self.checker.ledger(self.process.path, thorough=True)
            await examine(self)
            self._fresh()
        finally:
            if self.process is not None:
                await self.process.stop()
            self.arrivals.close()
            self.vendor.close()
        self.tally.histories = 1
        return self.tally

    # --- time ------------------------------------------------------------------------------------

    async def _until(self, at_ms: int) -> None:
        """Let time pass; a process that dies meanwhile is followed by another one."""
        while True:
            process = self.process
            if process is None:
                if self.away_until_ms > at_ms:
                    await self.world.until(at_ms)
                    return
                await self.world.until(self.away_until_ms)
                await self._start()
                continue
            left = (at_ms - self.world.now_ms()) / 1000
            if left > 0:
                await process.wait(left)
            if not process.dead:
                if self.world.now_ms() >= at_ms:
                    return
                continue
            await self._end_process(random_pause(self.random))

    async def _start(self) -> None:
        self.processes += 1
        self.process = Process(self.estate, self.processes)
        self.checker.ledger(self.process.path)
        await self.process.start()
        for name in self.usages:
            self.process.look(Key(OBJECTS, name))

    async def _end_process(self, pause_ms: int) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        self._failures(process)
        await process.stop()
        self.away_until_ms = self.world.now_ms() + pause_ms

    async def _peace(self) -> None:
        """End all trouble and let what is late be done: two days, looked at ever more seldom."""
        self.peace = self.vendor.healthy = True
        for usage in self.plan.usages:
            for shop in usage.shops.values():
                shop.faults = ()
            self._pods(usage, ready=True)
            if usage.name not in self.deleted:
                self._set(usage, suspend="None")
                self._license(usage)
        self.away_until_ms = min(self.away_until_ms, self.world.now_ms())
        begun = self.world.now_ms()
        for hours in (0, 0.02, 0.3, 3.1, 7, 13.1, 26.1, 48):
            await self._until(begun + int(hours * HOUR_MS))
            if self.process is not None:
                self.process.mortality.spare()
            for name in self.usages:
                self.process.look(Key(OBJECTS, name)) if self.process else None
            await self._until(self.world.now_ms() + 30 * SECOND_MS)
            self._check()

    async def _end(self) -> None:
        await self._until(self.world.now_ms() + 5 * MINUTE_MS)
        self._check()

    # --- checks ----------------------------------------------------------------------------------

    def _check(self) -> None:
        process = self.process
        if process is not None:
            self._failures(process)
            if not process.dead:
                self.checker.ledger(process.path)
        for name in self.usages:
            item = self.cluster.objects.get((USAGES.plural, OBJECTS, name))
            if item is not None and "status" in item:
                self.checker.status(name, item["status"])
        self.arrivals.check()

    def _failures(self, process: Process) -> None:
        if process.failure is not None:
            raise Violation(f"a reconcile failed: {process.failure!r}") from process.failure
        need(not _defects, f"the operator logged a defect: {_defects[:1]}")

    def _fresh(self) -> None:
        """What was counted in peace is shown as Ready."""
        for name in self.usages.keys() - self.deleted:
            status = self.cluster.objects[USAGES.plural, OBJECTS, name]["status"]
            stalled = [
                condition["reason"]
                for condition in status["conditions"]
                if (condition["type"], condition["status"]) == ("Stalled", "True")
            ]
            right = self._repeats(name) and stalled == ["PagingIgnored"]
            need(right or not stalled, f"{name} is stalled: {status['conditions']}")

    def _repeats(self, name: str) -> bool:
        """Whether a product puts rows in others' places: two of its pages may be the same."""
        now = self.world.now_ms()
        lies = [lie for shop in self.usages[name].shops.values() for lie in shop.lies]
        return any(lie.kind == "repeated" and lie.now(now) for lie in lies)

    def _api_down(self) -> bool:
        now = self.world.now_ms()
        return not self.peace and any(a <= now < b for a, b in self.plan.api_outages)

    # --- what happens ----------------------------------------------------------------------------

    def boundary(self, event: Event) -> None:
        """A cycle ends; the truth is checked then, as after everything that happens."""
        self.tally.notes["ends of cycles checked"] += 1

    def look(self, event: Event) -> None:
        """The operator looks at an object."""
        if self.process is not None:
            self.process.look(Key(OBJECTS, event.subject))

    def arm(self, event: Event) -> None:
        """The process will die at the n-th boundary of a kind from now."""
        if self.process is not None:
            self.process.mortality.arm(*event.value)

    async def leave(self, event: Event) -> None:
        """The operator is shut down for a while."""
        self.tally.faults["operator away"] += 1
        if self.process is not None:
            await self._end_process(event.value)
        else:
            self.away_until_ms = max(self.away_until_ms, self.world.now_ms() + event.value)

    async def set_clock(self, event: Event) -> None:
        """The clocks of operator and vendor are set."""
        step = event.value[0] - self.clock.error_ms
        self.clock.step(event.value[0])
        self.vendor_clock.step(event.value[1])
        self.tally.faults["clock set"] += 1
        if self.process is not None:
            await self.process.note_clock(step)

    def pods(self, event: Event) -> None:
        """The product's pods become unready, or ready."""
        self.tally.faults["pods not ready"] += not event.value
        self._pods(self.usages[event.subject], ready=event.value)

    def license(self, event: Event) -> None:
        """A licence with other terms, hence another subscription."""
        number, _ = self.terms[event.subject]
        self.terms[event.subject] = (number + 1, event.value)
        self.tally.faults["licence with new terms"] += 1
        self._license(self.usages[event.subject])

    def renew(self, event: Event) -> None:
        """A licence with the same terms."""
        self.tally.faults["licence renewed"] += 1
        self._license(self.usages[event.subject])

    def spoil_license(self, event: Event) -> None:
        """Somebody breaks the licence's Secret."""
        self.tally.faults["licence spoiled"] += 1
        self.cluster.secret(
            SECRETS, OBJECTS, f"{event.subject}-license", **{"license.jwt": "not.a.licence"}
        )

    def suspend(self, event: Event) -> None:
        """Reporting is suspended, or resumed."""
        if event.subject not in self.deleted:
            self.tally.faults["reporting suspended"] += bool(event.value)
            usage = self.usages[event.subject]
            self._set(usage, suspend="Reporting" if event.value else "None")

    def delete(self, event: Event) -> None:
        """The object is deleted."""
        self.tally.faults["object deleted"] += 1
        self.deleted.add(event.subject)
        self.ever_deleted.add(event.subject)
        self.cluster.remove(USAGES, OBJECTS, event.subject)

    def apply(self, event: Event) -> None:
        """The object is applied again."""
        self.deleted.discard(event.subject)
        usage = self.usages[event.subject]
        self._set(usage)

    def request(self, event: Event) -> None:
        """An administrator asks to collect and send now."""
        item = self.cluster.objects.get((USAGES.plural, OBJECTS, event.subject))
        if item is not None:
            item["metadata"]["annotations"] = {
                "licenseusage.dev/requested-at": str(self.world.now_ms())
            }

    def rotate(self, event: Event) -> None:
        """An administrator wants another identity key; each object learns of it when it is next."""
        name = (SECRETS.plural, NAMESPACE, "licenseusage-identity")
        item = self.cluster.objects.get(name)
        if item is not None:
            wish = base64.b64encode(str(event.value).encode()).decode()
            body = {**item, "data": {**item["data"], "rotate": wish}}
            self.cluster.put(SECRETS, NAMESPACE, name[2], body)
            self.tally.notes["rotations wanted"] += 1

    async def expire(self, event: Event) -> None:
        """Facts whose retention is over are deleted."""
        if self.process is not None:
            self.checker.books.expired()
            await self.process.delete_expired()

    # --- the cluster -----------------------------------------------------------------------------

    def _install(self) -> None:
        self.cluster.secret(
            CONFIGMAPS, NAMESPACE, VENDOR_KEYS, **{"jwks.json": vendors.KEYS.to_jwks()}
        )
        for usage in self.plan.usages:
            self._pods(usage, ready=True)
            if usage.licensed:
                self.terms[usage.name] = (1, usage.terms[0][1])
                self._license(usage)
            self._set(usage)

    def _set(self, usage: Usage, **changes: str) -> None:
        item = self.cluster.objects.get((USAGES.plural, OBJECTS, usage.name))
        generation = item["metadata"]["generation"] + 1 if item else 1
        spec = {**(item["spec"] if item else usage.spec), **changes}
        body = {
            "apiVersion": USAGES.api_version,
            "kind": "LicenseUsage",
            "metadata": {"generation": generation},
            "spec": spec,
        }
        self.cluster.put(USAGES, OBJECTS, usage.name, body)

    def _pods(self, usage: Usage, *, ready: bool) -> None:
        for number in range(usage.pods):
            name, ip = f"{usage.name}-{number}", f"10.1.2.{number + 1}"
            body = pod(name, ip, ready=ready, labels={"app": usage.name})
            self.cluster.put(PODS, OBJECTS, name, body)

    def _license(self, usage: Usage) -> None:
        if not usage.licensed:
            return
        number, terms = self.terms[usage.name]
        serial = self.serials[usage.name] = self.serials.get(usage.name, 0) + 1
        subscription, now_s = f"subscription-{usage.name}-{number}", self.world.now_ms() // 1000
        # A first licence that expires before anybody has seen it would begin no cycle.
        expires = subscription in self.arrivals.enrolled and self.random.random() < 0.3
        token = vendors.licence(
            usage.product,
            subscription,
            serial,
            CycleTerms(terms.anchor, terms.length_days, terms.length_months),
            from_s=now_s - 600,
            to_s=now_s + (20 * DAY_MS // 1000 if expires else 10**8),
            interval_hours=usage.interval_hours,
        )
        self.cluster.secret(SECRETS, OBJECTS, f"{usage.name}-license", **{"license.jwt": token})


def random_pause(random_: random.Random) -> int:
    """Draw how long it takes until a process follows one that died."""
    longest = random_.choice((SECOND_MS, 20 * SECOND_MS, 5 * MINUTE_MS, HOUR_MS, 30 * HOUR_MS))
    return random_.randrange(1, longest)


def quiet() -> None:
    """Keep nothing of the logs but defects."""

    def note(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401
        if event.get("exc_info"):
            error = sys.exception()
            where = traceback.extract_tb(error.__traceback__)[-1] if error else ""
            _defects.append(f"{event.get('event')}: {error!r} at {where}")
        raise structlog.DropEvent

    structlog.configure(processors=[note], cache_logger_on_first_use=False)
    logging.getLogger("httpx").setLevel(logging.WARNING)
