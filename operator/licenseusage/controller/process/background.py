"""Work beside the queue: resuming after a restart, steps of the clock, end of retention."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress

import structlog

from licenseusage.controller.effects.dependencies import version
from licenseusage.controller.effects.kube import KubeError
from licenseusage.controller.effects.personlog import Repeater
from licenseusage.controller.effects.volume import measured
from licenseusage.controller.rules import clockwatch
from licenseusage.controller.rules.key import Key, ReceiptsKey
from licenseusage.controller.steps.publishing import publish
from licenseusage.controller.steps.world import World
from licenseusage.delivery.schedule import after_restart_ms
from licenseusage.errors import UsageError
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.storage.database import path_of

_CLOCK_SECONDS = 10.0
_PUBLISH_SECONDS = 60.0
_PERSONS_SECONDS = 5.0
_VOLUME_SECONDS = 60.0
_RETENTION_SECONDS = 3600.0
_TICK_SECONDS = 1.0
_log = structlog.get_logger(__name__)


async def resume(world: World, nudge: Callable[[Key], None]) -> None:
    """Open the ledger and take up where the last process ended, whenever and however that was.

    Raises:
        UsageError: It cannot be opened.
    """
    spread = world.settings.first_send_spread_seconds > 0
    known: set[Key] = set()

    def take_up(ledger: Ledger) -> None:
        now_ms = world.clock.now_ms()
        step = clockwatch.step_since_restart(ledger.clock_high_water_ms(), now_ms)
        if step is not None:
            ledger.record_clock_step(step, now_ms)
        ledger.restart_outbox(
            now_ms, lambda _: after_restart_ms(0, 0, world.permille()) if spread else 0
        )
        # What the ledger remembers of other namespaces is another operator's, or a later one's.
        known.update(
            Key(meter.key.namespace, meter.key.name)
            for meter in ledger.meters()
            if world.settings.watches(meter.key.namespace)
        )

    # What was remembered came from another file, perhaps: everything is looked at anew.
    waiting = set(world.remembered)
    world.forget()
    await world.books.open(take_up)
    world.known.update(known)
    for key in known | waiting:
        nudge(key)
    world.receipts.wake()


async def keep_open(world: World, nudge: Callable[[Key], None], seconds: float) -> None:
    """Try for ever to open a ledger that could not be opened, or turned out to be damaged."""
    logged = None
    while True:
        await asyncio.sleep(seconds)
        if world.books.is_open:
            logged = None
            continue
        try:
            await resume(world, nudge)
        except UsageError as error:
            if logged != error.message:
                logged = error.message
                _log.error("the ledger cannot be opened", reason=error.reason, error=logged)
        else:
            _log.info("the ledger is open again")


async def watch_clock(world: World, nudge: Callable[[Key], None]) -> None:
    """Count steps of the wall clock, for the reports; look at every object after one.

    What they wait for was planned by the clock before it.
    """
    loop = asyncio.get_running_loop()

    def reading() -> clockwatch.ClockReading:
        return clockwatch.ClockReading(world.clock.now_ms(), round(1000 * loop.time()))

    before = reading()
    while True:
        await asyncio.sleep(_CLOCK_SECONDS)
        after = reading()
        step = clockwatch.step_between(before, after)
        before = after
        if step is not None:
            _log.warning("the clock was set", step_seconds=round(step / 1000))
            await _quietly(world, _noting(step, after.wall_ms))
            for key in tuple(world.known):
                nudge(key)


async def watch_dependencies(world: World, nudge: Callable[[Key], None]) -> None:
    """Ask for ever, once a minute, for the version of everything that objects depend on.

    Objects that have used another version are looked at. What was read is forgotten meanwhile.
    """
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        world.reader.forget_old(loop.time())
        for dependency in world.dependencies.due():
            now = await version(world.kube, dependency)
            if now is None:
                continue
            outdated = world.dependencies.outdated(dependency, now)
            if outdated:
                world.reader.forget(dependency.namespace)
            for key in outdated:
                if isinstance(key, ReceiptsKey):
                    world.receipts.nudge(key)
                    continue
                world.collector.mended(key)
                nudge(key)


async def publish_statements(world: World) -> None:
    """Keep the ConfigMap of key statements: at once when there is a new one, else once a minute."""
    logged = ""
    while True:
        world.published.changed.clear()
        try:
            if await publish(world):
                _log.info("key statements published", configmap=world.published.named)
            logged = ""
        except (UsageError, KubeError) as error:
            if str(error) != logged:
                logged = str(error)
                _log.warning("key statements not published", error=logged)
        except Exception:  # what can wait must not end the process for everybody
            _log.exception("a task beside the queue failed")
            world.metrics.reconcile_errors.inc()
        with suppress(TimeoutError):
            async with asyncio.timeout(_PUBLISH_SECONDS):
                await world.published.changed.wait()


async def log_person_requests(world: World) -> None:
    """Say in the log who asked the ledger for a person; the commands run beside this process."""
    repeater = Repeater(path_of(world.settings.database_url))
    while True:
        await asyncio.sleep(_PERSONS_SECONDS)
        await asyncio.to_thread(repeater.repeat)


async def watch_volume(world: World) -> None:
    """Measure for ever, once a minute, how full the ledger's volume is."""
    while True:
        world.metrics.volume = await asyncio.to_thread(measured, world.settings.database_url)
        await asyncio.sleep(_VOLUME_SECONDS)


async def delete_expired(world: World) -> None:
    """Delete facts about users after their retention; counts, tokens and receipts stay.

    Whoever is to be erased is erased from the cycles that are Final by now.
    """

    def erase(ledger: Ledger) -> None:
        if ledger.carry_out_erasures(world.clock.now_ms(), secrets.token_bytes):
            ledger.forget_log()

    while True:
        await _quietly(world, erase)
        await _quietly(
            world,
            lambda ledger: ledger.delete_expired_facts(
                world.clock.now_ms(), cycle_lengths=world.settings.keep_facts_cycles
            ),
        )
        await asyncio.sleep(_RETENTION_SECONDS)


def _noting(step_ms: int, now_ms: int) -> Callable[[Ledger], None]:
    return lambda ledger: ledger.record_clock_step(step_ms, now_ms)


async def _quietly(world: World, work: Callable[[Ledger], object]) -> None:
    """Run work that can wait for its next turn if the ledger cannot be written."""
    try:
        await world.books.do(work)
    except UsageError as error:
        _log.warning("ledger", reason=error.reason, error=error.message)
    except Exception:  # what can wait must not end the process for everybody
        _log.exception("a task beside the queue failed")
        world.metrics.reconcile_errors.inc()
