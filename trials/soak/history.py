"""One history, from its plan to its verdict."""

import asyncio
import base64
import logging
import random
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterable, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from licenseusage.controller.effects.identity import Keys, Names
from licenseusage.controller.effects.kube import KubeError
from licenseusage.controller.effects.secrets import SecretReader
from licenseusage.controller.rules.key import Key, ReceiptsKey
from licenseusage.controller.rules.resources import CONFIGMAPS, PODS, SECRETS, USAGES
from licenseusage.errors import UsageError
from licenseusage.metering.cycles import Terms
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.receipt import Sent
from licenseusage.reports.terms import CycleTerms
from trials.compiledsql import share_compiled_sql
from trials.consent import begins_anew, proposed_head
from trials.soak import vendor as vendors
from trials.soak.approving import Approvers
from trials.soak.arrivals import Arrivals
from trials.soak.checks import Checker
from trials.soak.cluster import OBJECTS, Cluster, SimulatedKube, pod
from trials.soak.courier import Courier
from trials.soak.drawing import draw
from trials.soak.kinds.drawing import KINDS
from trials.soak.kinds.numbers import Teller
from trials.soak.kinds.pushing import Pusher
from trials.soak.kinds.streams import Stream
from trials.soak.losing import delete_reports
from trials.soak.need import Violation, need
from trials.soak.people import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from trials.soak.plan import Event, Plan, Usage
from trials.soak.process import NAMESPACE, VENDOR_KEYS, Estate, Process
from trials.soak.recovery import Recovery
from trials.soak.tally import Tally
from trials.soak.timeline import Timeline, World, WrongClock
from trials.soak.verdict import examine

_defects: list[str] = []
_PUSH_SECONDS = 30.0
"""So long a product waits for an answer."""


def run(seed: str, cycles: int, folder: Path | None = None, kinds: Sequence[str] = KINDS) -> Tally:
    """Run the history of a seed.

    Args:
        seed: Names the history.
        cycles: About how many cycles of each object.
        folder: Where the databases are; None: a temporary folder in memory where there is one.
        kinds: Those that its objects' sources may be of.

    Raises:
        Violation: Something that must hold does not.
    """
    return play(draw(seed, cycles, kinds), folder)


def play(plan: Plan, folder: Path | None = None) -> Tally:
    """Run a history as planned; see `run`."""
    quiet()
    share_compiled_sql()
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
            route=lambda name: self.routes.get(name, 0),
            looked=self._looked,
        )
        self.recovery = Recovery(folder, self.checker, self.tally)
        self.courier = Courier(self.vendor, self.cluster, self.random, self.tally)
        self.arrivals.disordered = self.courier.disordered
        self.vendor.pushed = self._pushed
        self.approvers = Approvers(self.cluster, self.random, self.tally)
        self.approvals = {usage.name: usage.approval for usage in plan.usages}
        self.courier.packed = self._packed
        self.modes = {usage.name: usage.mode for usage in plan.usages}
        self.suspended: set[str] = set()
        self.routes: dict[str, int] = {}
        self.silent: set[str] = set()
        self.licences: dict[str, list[str]] = {}
        self.process: Process | None = None
        self.processes = 0
        self.away_until_ms = 0
        self.peace = False
        self._last_file = 0
        self.deleted: set[str] = set()
        self.ever_deleted: set[str] = set()
        self.heads: dict[str, str] = {}
        self.serials: dict[str, int] = {}
        self.terms: dict[str, tuple[int, Terms]] = {}
        self.ready_ms: dict[str, int] = {}

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
        self._look_at(self.courier.objects())

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
                self.suspended.discard(usage.name)
                self._rerouted(usage.name)
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
            for name, usage in self.usages.items():
                if usage.kind == "Pushed" and name not in self.deleted:
                    await self.push(Event(0, "push", name))
            await self._approve_all()
            if hours > 3 and self.recovery.stopped(self._running().path):
                await self.merge(Event(0, "merge"))
                await self._start_now()
            await self._decide_all()
            await self._carry_what_waits()

    async def _end(self) -> None:
        await self._until(self.world.now_ms() + 5 * MINUTE_MS)
        self._check()
        stopped = self.recovery.stopped(self._running().path)
        need(not stopped, f"chains are stopped for good: {stopped}")
        both = self.checker.signed_anew.keys() & self.vendor.tokens()
        need(not both, f"the vendor holds what was given up: {sorted(both)[:1]}")
        for _ in range(2):  # an interim may be signed just after the first approval
            await self._approve_all()
            await self._carry_what_waits()
        before = self.vendor.tokens()
        await self.courier.carry_again()
        need(self.vendor.tokens() == before, "files carried again have changed the vendor's books")
        for name, usage in self.usages.items():
            if usage.carried:
                waits = self.checker.waiting(name)
                need(not waits, f"{name}: no receipt has come back for {waits[:3]}")

    async def _approve_all(self) -> None:
        """Approve everything, and let it be noticed."""
        for name, usage in self.usages.items():
            if usage.approved:
                self.approvers.approve(name, 1.0)
                self._running().look(Key(OBJECTS, name))
        await self._until(self.world.now_ms() + 30 * SECOND_MS)
        self._check()

    async def _carry_what_waits(self) -> None:
        """Carry all that waits for an export, and bring the receipts back."""
        names = tuple(name for name, usage in self.usages.items() if usage.carried)
        if not names:
            return
        number = self._last_file = self._last_file - 1
        await self.pack(Event(0, "pack", value=(number, names)))
        await self.carry(Event(0, "carry", value=(number, "")))
        self.bring_back(Event(0, "bring_back", value=(number, "whole")))
        await self._until(self.world.now_ms() + 30 * SECOND_MS)
        self._check()

    async def _start_now(self) -> None:
        """Do not wait until a process follows the one before."""
        self.away_until_ms = min(self.away_until_ms, self.world.now_ms())
        await self._until(self.world.now_ms() + 30 * SECOND_MS)
        self._check()

    def _running(self) -> Process:
        assert self.process is not None  # noqa: S101
        return self.process

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
        accepted = self.checker.accepted
        lost = accepted.keys() - self.arrivals.held
        need(not lost, f"Accepted, and the vendor does not have them: {sorted(lost)[:3]}")
        never_sent = {name for name, usage in self.usages.items() if self._never_sent(usage)}
        self.courier.check(
            {jti: (chain, at) for jti, (of, chain, at) in accepted.items() if of in never_sent}
        )

    @staticmethod
    def _never_sent(usage: Usage) -> bool:
        return usage.carried and not usage.endpoint

    def _packed(self, reports: Iterable[str]) -> None:
        for token in reports:
            name = _usage_of(Sent.from_token(token).subscription)
            self.approvers.leaves("is exported", name, token)

    def _pushed(self, subscription: str, token: str) -> None:
        """Something is on its way to the vendor's endpoint."""
        name = _usage_of(subscription)
        self.approvers.leaves("is sent", name, token)
        sent = f"something of subscription {subscription} is sent"
        need(name not in self.silent, f"{sent}, and {name} is exported or suspended")
        need(not self._never_sent(self.usages[name]), f"{sent}, and no licence names an address")

    def _looked(self, name: str, route: int) -> None:
        """An object was looked at: what its spec said then is done from now on."""
        if route == self.routes.get(name, 0) and self._must_be_silent(name):
            self.silent.add(name)
        if route == self.routes.get(name, 0) and name not in self.deleted:
            wanted = self.approvals[name] == "Manual"
            (self.approvers.held.add if wanted else self.approvers.held.discard)(name)

    def _rerouted(self, name: str) -> None:
        """Note that the way of an object's reports has changed."""
        self.routes[name] = self.routes.get(name, 0) + 1
        if not self._must_be_silent(name):
            self.silent.discard(name)

    def _must_be_silent(self, name: str) -> bool:
        if name in self.deleted:  # what it was last, if that was seen
            return name in self.silent and self.modes[name] == "Export"
        return self.modes[name] == "Export" or name in self.suspended

    def _look_at(self, receipts: Iterable[Key]) -> None:
        for at in receipts:
            if self.process is not None:
                self.process.look(ReceiptsKey(at))

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
            # A row that is shown again looks like paging that is ignored, or like a false order.
            right = self._repeats(name) and stalled in (["PagingIgnored"], ["OrderViolated"])
            right = right or (self._keeps_two_logs(name) and stalled == ["SeveralLogs"])
            need(right or not stalled, f"{name} is stalled: {status['conditions']}")

    def _keeps_two_logs(self, name: str) -> bool:
        products = self.usages[name].shops.values()
        return any(isinstance(each, Stream) and each.apart for each in products)

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
            (self.suspended.add if event.value else self.suspended.discard)(event.subject)
            self._rerouted(event.subject)
            self._set(usage, suspend="Reporting" if event.value else "None")

    def switch(self, event: Event) -> None:
        """Reports are exported from now on, or sent."""
        self.tally.notes[f"mode {event.value}"] += 1
        self.modes[event.subject] = event.value
        self._rerouted(event.subject)
        if event.subject not in self.deleted:
            self._set(self.usages[event.subject])

    async def pack(self, event: Event) -> None:
        """Somebody writes what waits into files; without a running operator nobody can."""
        number, names = event.value
        process, ring = self.process, await self._ring()
        if process is None or process.dead or ring is None:
            self.tally.notes["files not packed"] += 1
            return
        at_s = self.clock.now_ms() // 1000
        packed = self.courier.pack(number, process.path, names, ring, at_s)
        self.tally.notes["documents packed"] += packed

    async def carry(self, event: Event) -> None:
        """A file arrives at the vendor, who knows the licences that he has signed."""
        number, damage = event.value
        for name, usage in self.usages.items():
            if usage.carried:
                for token in self.licences.pop(name, ()):
                    await self.vendor.register(token)
        await self.courier.carry(number, damage, await self._ring())

    def bring_back(self, event: Event) -> None:
        """Receipts are applied as objects."""
        self._look_at(self.courier.bring_back(*event.value))

    def back_up(self, event: Event) -> None:
        """A backup of the ledger is made."""
        process = self.process
        if process is not None and not process.dead:
            self.checker.ledger(process.path)
            self.recovery.back_up(process.path)

    async def restore(self, event: Event) -> None:
        """The ledger is replaced by a backup; of deleted objects it knows an older state."""
        if not self.recovery.possible:
            return
        path = await self._halt()
        self.recovery.restore(event.value, path, self.clock.now_ms())
        self.silent -= self.deleted
        self.approvers.held -= self.deleted

    async def merge(self, event: Event) -> None:
        """The ledgers that were replaced are merged into the one in use."""
        self.recovery.merge(await self._halt(), self.clock.now_ms())

    async def _halt(self) -> Path:
        """Stop the operator, if it runs; return the ledger that the next one will open."""
        if self.process is not None:
            await self._end_process(random_pause(self.random))
        return self.estate.folder / f"{self.processes + 1:06d}" / "ledger.db"

    async def forfeit(self, event: Event) -> None:
        """A backup is restored, and the ledger that it replaces is lost, with some reports."""
        if not self.recovery.possible:
            return
        share, deleted = event.value
        path = await self._halt()
        shown = delete_reports(self.cluster, self.random, deleted, self.tally)
        self.recovery.forfeit(share, path, self.clock.now_ms(), shown)

    async def lose(self, event: Event) -> None:
        """The ledger is lost, with some reports."""
        _, deleted = event.value
        path = await self._halt()
        self.recovery.lose(path, delete_reports(self.cluster, self.random, deleted, self.tally))

    def decide(self, event: Event) -> None:
        """An administrator reads the conditions, and does what they say.

        They say to merge the ledger that was replaced, and to name a head only if there is none.
        """
        if self.recovery.mergeable:
            return
        for name in self.usages.keys() - self.deleted:
            item = self.cluster.objects[USAGES.plural, OBJECTS, name]
            status = item.get("status", {})
            head = proposed_head(status)
            if head is not None and head != self.heads.get(name):
                self.tally.notes["heads named"] += 1
                self.heads[name] = head
                self._set(self.usages[name])
            elif begins_anew(status):
                self.tally.notes["objects applied anew"] += 1
                self.delete(Event(0, "delete", name))
                self.apply(Event(0, "apply", name))

    async def _decide_all(self) -> None:
        """Let somebody decide what waits for it, and let it be noticed."""
        self.decide(Event(0, "decide"))
        for name in self.usages:
            self._running().look(Key(OBJECTS, name))
        await self._until(self.world.now_ms() + 30 * SECOND_MS)
        self._check()

    def want_approval(self, event: Event) -> None:
        """Reports wait for approval from now on, or no longer."""
        self.tally.notes[f"approval {event.value}"] += 1
        self.approvals[event.subject] = event.value
        self._rerouted(event.subject)
        if event.value != "Manual":
            self.approvers.held.discard(event.subject)
        if event.subject not in self.deleted:
            self._set(self.usages[event.subject])

    def approve(self, event: Event) -> None:
        """Somebody looks at what waits, and approves some of it."""
        self.approvers.approve(event.subject, event.value)

    def take_back(self, event: Event) -> None:
        """Somebody takes an approval back."""
        self.approvers.take_back(event.subject)

    def withdraw(self, event: Event) -> None:
        """Somebody deletes receipts that were used."""
        at = self.courier.withdraw()
        self._look_at([] if at is None else [at])

    async def _ring(self) -> KeyRing | None:
        """Return the installation's keys, as whoever may read the Secret sees them."""
        kube = SimulatedKube(self.cluster, self.world, lambda _: None, self._api_down)
        names = Names(NAMESPACE, "licenseusage-identity", "licenseusage-pseudonym")
        reader = SecretReader(kube, {(names.namespace, names.identity)})
        keys = Keys(kube, reader, names, new_signing_key=self.estate.new_key, random_bytes=bytes)
        try:
            return await keys.ring(0.0)
        except (KubeError, UsageError):
            return None

    def delete(self, event: Event) -> None:
        """The object is deleted."""
        self.tally.faults["object deleted"] += 1
        self.deleted.add(event.subject)
        self.ever_deleted.add(event.subject)
        self.suspended.discard(event.subject)
        self._rerouted(event.subject)
        self.cluster.remove(USAGES, OBJECTS, event.subject)

    def apply(self, event: Event) -> None:
        """The object is applied again."""
        self.deleted.discard(event.subject)
        self._rerouted(event.subject)
        usage = self.usages[event.subject]
        self._set(usage)

    async def push(self, event: Event) -> None:
        """A product that pushes sends what it has; a process that dies never answers."""
        process, at_ms = self.process, self.world.now_ms()
        if process is None or process.dead:
            self.tally.faults["pushed to nobody"] += 1
            return
        for product in self.usages[event.subject].shops.values():
            if isinstance(product, Pusher):
                intake = process.surroundings.intake
                pushing = asyncio.ensure_future(
                    product.push(intake, at_ms, self.random, self.tally)
                )
                await process.until(pushing, _PUSH_SECONDS)

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

    def _set(self, usage: Usage, **changes: object) -> None:
        item = self.cluster.objects.get((USAGES.plural, OBJECTS, usage.name))
        generation = item["metadata"]["generation"] + 1 if item else 1
        reporting = {"mode": self.modes[usage.name], "approval": self.approvals[usage.name]}
        head = self.heads.get(usage.name)
        reporting |= {} if head is None else {"adoptHead": head}
        way = {"reporting": reporting} if usage.carried or usage.approved or head else {}
        spec = {**(item["spec"] if item else usage.spec), **way, **changes}
        body = {
            "apiVersion": USAGES.api_version,
            "kind": "LicenseUsage",
            "metadata": {"generation": generation},
            "spec": spec,
        }
        self.cluster.put(USAGES, OBJECTS, usage.name, body)

    def _pods(self, usage: Usage, *, ready: bool) -> None:
        if ready and usage.name not in self.ready_ms:
            # The API server writes whole seconds.
            now_ms = self.world.now_ms() // SECOND_MS * SECOND_MS
            self.ready_ms[usage.name] = now_ms
            for product in usage.shops.values():
                if isinstance(product, Teller):
                    product.started(now_ms)
        elif not ready:
            self.ready_ms.pop(usage.name, None)
        for number in range(usage.pods):
            name, ip = f"{usage.name}-{number}", f"10.1.2.{number + 1}"
            since_ms = self.ready_ms.get(usage.name)
            body = pod(name, ip, ready=ready, labels={"app": usage.name}, since_ms=since_ms)
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
            endpoint=vendors.ENDPOINT if usage.endpoint else None,
        )
        self.licences.setdefault(usage.name, []).append(token)
        self.cluster.secret(SECRETS, OBJECTS, f"{usage.name}-license", **{"license.jwt": token})


def _usage_of(subscription: str) -> str:
    return subscription.removeprefix("subscription-").rpartition("-")[0]


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
