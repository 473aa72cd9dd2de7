"""The intake without a cluster: its server, its queue and a real ledger; tokens are names."""

import asyncio
import threading
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime, timedelta

from licenseusage.api.source import Source
from licenseusage.clock import SystemClock
from licenseusage.controller.effects.books import Books
from licenseusage.controller.effects.identity import PseudonymKey
from licenseusage.controller.effects.intake import Intake
from licenseusage.controller.effects.metrics import Metrics
from licenseusage.controller.process import intakeserver
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.pushes import Caller, PushTarget
from licenseusage.errors import Stalled
from licenseusage.ledger.records import MeterKey
from licenseusage.metering.cycles import Terms, cycle_at
from licenseusage.metering.stores import DeclaredSource, StoreKey
from licenseusage.reasons import Reason
from licenseusage.sources.definition.presets import effective

KEY = PseudonymKey(b"k" * 32)


class Keys:
    async def pseudonym_key(self, loop_s: float) -> PseudonymKey:
        return KEY


class Callers:
    """Tells a token by its text: ``namespace/account``."""

    problem = None

    async def caller(self, token: str, address: str) -> Caller:
        if "/" not in token:
            raise Stalled(Reason.PUSH_TOKEN_REFUSED, "not a token")
        return Caller(*token.split("/"))


def pushed(producers=("/shop",), accounts=("shop",), **more):
    push = {"serviceAccounts": list(accounts)}
    push |= {"producers": list(producers)} if producers else {}
    return effective(
        Source.model_validate({"name": "app", "preset": "StandardPush", "push": push, **more})
    )


class Desk:
    """An intake that listens; for the loop in which it was made."""

    def __init__(self, folder, *, days=30, begun_days_ago=1, rate=1_000_000, random=None):
        self.clock = SystemClock()
        self.books = Books(
            f"sqlite:///{folder}/ledger.sqlite", now_ms=self.clock.now_ms, ledger_id="desk"
        )
        self.metrics, self.nudged = Metrics(lambda: self.clock.now_ms() / 1000), []
        numbers = iter(range(10**9))
        self.intake = Intake(
            self.books,
            Keys(),
            Callers(),
            self.metrics,
            self.clock,
            self.nudged.append,
            random or (lambda size: next(numbers).to_bytes(size)),
            on=True,
            events_per_second=rate,
        )
        begun = datetime.now(UTC).date() - timedelta(days=begun_days_ago)
        self.terms = Terms(begun, length_days=days)

    async def open(self, stack: AsyncExitStack) -> None:
        await self.books.open(lambda ledger: None)
        stack.push_async_callback(self.books.close)
        runner, server, self.port = await intakeserver.serve(self.intake, "127.0.0.1", 0)
        stack.push_async_callback(runner.cleanup)
        stack.callback(server.close)
        task = asyncio.create_task(self.intake.work())
        stack.callback(task.cancel)

    async def declare(self, source=None, namespace="shop", name="shop") -> PushTarget:
        """Have an object declare a source, as its reconcile would."""
        now_ms = self.clock.now_ms()

        def known(ledger):
            meter = ledger.ensure_meter(MeterKey(namespace, name, name), now_ms)
            ledger.keep_terms(meter.id, self.terms, now_ms)
            cycle = cycle_at(ledger.meter(meter.key).grids, now_ms)
            ledger.ensure_cycle(meter.id, cycle, now_ms)
            return ledger.meter(meter.key), cycle

        meter, cycle = await self.books.do(known)
        source = source or pushed()
        target = PushTarget(
            key=Key(namespace, name),
            meter_id=meter.id,
            product=name,
            source=source,
            store=StoreKey("app", "domain"),
            cycles=(cycle,),
            grids=meter.grids,
            interval_ms=source.interval_ms,
            rules_digest="sha256:" + "a" * 64,
            key_id=KEY.id,
            ends_ms=cycle.end_ms,
        )
        self.intake.declare(target.key, {"app": target})
        return target

    async def counted(self, target: PushTarget):
        """Return the bounds of the running cycle."""
        (cycle,) = target.cycles
        source = target.source
        declared = DeclaredSource(
            target.store,
            source.properties,
            source.interval_ms,
            source.selection,
            source.declaration,
        )
        said = await self.books.do(
            lambda ledger: ledger.statement(target.meter_id, cycle, sources=[declared])
        )
        return said.bounds


@contextmanager
def running(folder, source=None, **settings):
    """A desk with one object, on a thread of its own: for clients that are processes."""
    ready, ending, made = threading.Event(), threading.Event(), {}

    async def serve():
        async with AsyncExitStack() as stack:
            desk = Desk(folder, **settings)
            await desk.open(stack)
            made["target"] = await desk.declare(source)
            made["desk"], made["loop"] = desk, asyncio.get_running_loop()
            ready.set()
            await asyncio.to_thread(ending.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(30)
    try:
        yield Running(**made)
    finally:
        ending.set()
        thread.join(30)


class Running:
    def __init__(self, desk, target, loop):
        self.desk, self.target, self.loop, self.port = desk, target, loop, desk.port

    def lower(self) -> int:
        future = asyncio.run_coroutine_threadsafe(self.desk.counted(self.target), self.loop)
        return future.result(30).lower
