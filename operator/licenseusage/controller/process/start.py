"""The operator's process: it starts everything in order, and everything ends with it.

Long-lived tasks are created before kopf, which cancels foreign tasks made after its start; the
process ends with kopf, by cancelling it (0.02 s; its stop flag takes 5 s). Exit code 0 after
SIGTERM or SIGINT, 1 if kopf or a task of ours ended by itself.
"""

import asyncio
import secrets
import signal
import uuid
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import kopf
import structlog
from aiohttp import web

from licenseusage import __version__
from licenseusage.clock import SystemClock
from licenseusage.controller.effects import listing
from licenseusage.controller.effects.books import Books
from licenseusage.controller.effects.clusterid import cluster_of
from licenseusage.controller.effects.defects import problem_of
from licenseusage.controller.effects.deliveries import WORKERS
from licenseusage.controller.effects.kube import KubeError
from licenseusage.controller.effects.metrics import Metrics
from licenseusage.controller.effects.workqueue import WorkQueue
from licenseusage.controller.process import background, health, intakeserver, watch
from licenseusage.controller.process.login import connect
from licenseusage.controller.process.wiring import wire
from licenseusage.controller.rules.key import Key, ReceiptsKey
from licenseusage.controller.rules.resources import RECEIPTS
from licenseusage.controller.settings import Settings
from licenseusage.controller.steps.importing import reconcile_receipts
from licenseusage.controller.steps.reconcile import reconcile
from licenseusage.controller.steps.world import World
from licenseusage.delivery.vendor import Proxy, VendorClient
from licenseusage.errors import UNEXPECTED_FIX, Stalled, UsageError
from licenseusage.ledger.storage.database import path_of
from licenseusage.reasons import Reason
from licenseusage.reports.content import OperatorInfo
from licenseusage.reports.fitting import report_version
from licenseusage.reports.keys import generate_key
from licenseusage.sources.definition.presets import presets
from licenseusage.sources.workers.workers import Workers

_OPEN_AGAIN_SECONDS = 10.0
_log = structlog.get_logger(__name__)


async def run(settings: Settings, clock: SystemClock, *, development: bool) -> int:
    """Run until told to stop; return the exit code.

    Args:
        settings: Checked settings.
        clock: The one clock.
        development: Permits pods on loopback addresses.

    Raises:
        UsageError: What prevents a start: ledger, roles, custom resources, settings.
    """
    async with AsyncExitStack() as stack:
        operator = await _Operator.build(settings, clock, stack, development=development)
        return await operator.run()


def _vendor_client(settings: Settings) -> VendorClient:
    """Return the client; what its library imports when it is first used is imported here.

    Raises:
        Stalled: ``SettingsInvalid``: as ``VendorClient``.
    """
    asyncio.run(VendorClient().aclose())
    return VendorClient(
        ca_file=Path(settings.vendor_ca_file) if settings.vendor_ca_file else None,
        proxy=Proxy(settings.vendor_proxy, settings.vendor_no_proxy)
        if settings.vendor_proxy
        else None,
        version=__version__,
    )


class _Operator:
    """The running process: queue, tasks, surroundings."""

    def __init__(
        self, world: World, queue: WorkQueue[Key | ReceiptsKey], state: health.Health
    ) -> None:
        self._world, self._queue, self._health = world, queue, state
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def build(
        cls, settings: Settings, clock: SystemClock, stack: AsyncExitStack, *, development: bool
    ) -> "_Operator":
        """Start what does not need the API server, then wait for that."""
        loop = asyncio.get_running_loop()
        queue: WorkQueue[Key | ReceiptsKey] = WorkQueue()
        state = health.Health(queue_overdue=queue.overdue_seconds)
        metrics = Metrics(lambda: clock.now_ms() / 1000)
        runner, port = await _serve(settings, state, metrics)
        stack.push_async_callback(runner.cleanup)
        _log.info("started", version=__version__, http_port=port, simulated=clock.simulated)

        try:
            kube = await connect()
        except KubeError as error:
            raise Stalled(Reason.NO_CLUSTER, f"{error}.") from None
        stack.push_async_callback(kube.close)
        path_of(settings.database_url)  # a wrong setting is nothing to wait for
        books = Books(settings.database_url, now_ms=clock.now_ms, ledger_id=uuid.uuid4().hex)
        stack.push_async_callback(books.close)
        await listing.first(kube, settings.namespaces)
        state.listed_at = loop.time()

        workers = await stack.enter_async_context(Workers(settings.poll_workers))
        # Both read files, for a third of a second where the disk is cold: not on the loop, which
        # answers /healthz already.
        await asyncio.to_thread(presets)
        client = await asyncio.to_thread(_vendor_client, settings)
        stack.push_async_callback(client.aclose)
        world = wire(
            settings,
            clock=clock,
            kube=kube,
            books=books,
            metrics=metrics,
            workers=workers,
            client=client,
            operator=OperatorInfo(
                report_version(__version__, simulated_clock=clock.simulated), await cluster_of(kube)
            ),
            nudge=queue.add,
            nudge_receipts=queue.add,
            new_signing_key=generate_key,
            random_bytes=secrets.token_bytes,
            permille=_permille,
            loopback_allowed=development,
        )
        intake_port = await intakeserver.open_for(settings, world.intake, stack)
        if intake_port is not None:
            _log.info("the intake is open", intake_port=intake_port)
        state.deaf = lambda: max(
            world.watched.deaf_seconds(), world.receipts.watched.deaf_seconds()
        )
        return cls(world, queue, state)

    async def run(self) -> int:
        """Work until a signal, or until something ends that should not."""
        world, settings = self._world, self._world.settings
        try:
            await background.resume(world, self._queue.add)
        except UsageError as error:
            # Said in every object's conditions, too; and a shell in this pod can mend it.
            _log.error("the ledger cannot be opened", reason=error.reason, error=error.message)
        for number in range(settings.reconcile_workers):
            self._start(f"reconcile {number}", self._reconcile())
        for number in range(WORKERS):
            self._start(f"deliver {number}", world.deliveries.work())
        if world.intake.on:
            self._start("intake", world.intake.work())
        self._start("heartbeat", self._health.beat())
        self._start("relist", self._relist())
        self._start("clock", background.watch_clock(world, self._queue.add))
        self._start("ledger", background.keep_open(world, self._queue.add, _OPEN_AGAIN_SECONDS))
        self._start("dependencies", background.watch_dependencies(world, self._queue.add))
        self._start("statements", background.publish_statements(world))
        self._start("retention", background.delete_expired(world))
        self._start("volume", background.watch_volume(world))
        self._start("person requests", background.log_person_requests(world))

        ready = asyncio.Event()
        # kopf would make an identity of the name of its user, and a pod's user has none.
        identity = f"{settings.pod_name}/{secrets.token_hex(4)}"
        where: dict[str, Any] = (
            {"namespaces": settings.namespaces} if settings.namespaces else {"clusterwide": True}
        )
        watching = asyncio.create_task(
            kopf.operator(
                registry=watch.registry(self._queue.add, world.watched, world.receipts),
                settings=watch.settings(),
                ready_flag=ready,
                identity=cast(Any, identity),
                **where,
            ),
            name="kopf",
        )
        watching.add_done_callback(self._ended_by)
        self._ended.add_done_callback(lambda _: ready.set())
        await ready.wait()
        self._take_signals()
        self._health.ready = not self._ended.done()
        reason = await self._ended
        self._health.ready = False
        for task in (watching, *self._tasks):
            task.cancel()
        await asyncio.gather(watching, *self._tasks, return_exceptions=True)
        stopped = reason in _SIGNALS
        if stopped:
            _log.info("stopped", reason=reason)
        else:
            _log.error("stopped", reason=reason, fix=UNEXPECTED_FIX)
        return 0 if stopped else 1

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended_by)
        self._tasks.append(task)

    def _ended_by(self, task: asyncio.Task[None]) -> None:
        """End with a task that should not have ended; say where it failed, if it did."""
        if self._ended.done():
            return
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("task failed", task=task.get_name(), exc_info=error, fix=UNEXPECTED_FIX)
        self._end(f"{task.get_name()}: {_why(task)}")

    def _end(self, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)

    def _take_signals(self) -> None:
        """Take over from kopf, whose own handlers stop it by a flag that takes 5 s."""
        loop = asyncio.get_running_loop()
        for name in _SIGNALS:
            loop.add_signal_handler(getattr(signal, name), self._end, name)

    async def _reconcile(self) -> None:
        """Reconcile for ever: one broken object never stops the others."""
        while True:
            key = await self._queue.get()
            failed = False
            self._world.metrics.reconciles.inc()
            try:
                with structlog.contextvars.bound_contextvars(object=str(key)):
                    if isinstance(key, ReceiptsKey):
                        wait = await reconcile_receipts(self._world, key)
                    else:
                        wait = await reconcile(self._world, key)
                if wait is not None:
                    self._queue.add(key, wait)
            except KubeError as error:
                failed = True
                _log.warning("reconcile failed", object=str(key), error=str(error))
            except Exception as error:  # not even the condition could be written
                failed = True
                at = key.at if isinstance(key, ReceiptsKey) else key
                problem_of(error, self._world.metrics, at, "it wrote what had failed")
            finally:
                self._queue.done(key, failed=failed)

    async def _relist(self) -> None:
        """Hold the watch against a LIST now and once a minute, so as never to rely on it alone.

        Looked at is what the watch has not told: an object that is unknown, changed or gone.
        """
        world = self._world
        while True:
            try:
                listed = await listing.versions(world.kube, world.settings.namespaces)
                for key in world.watched.listed(listed):
                    self._queue.add(key)
                for key in listed:
                    if key not in self._queue:
                        self._queue.add(key)
                self._health.listed_at = asyncio.get_running_loop().time()
                receipts = await listing.versions(world.kube, world.settings.namespaces, RECEIPTS)
                for at in world.receipts.watched.listed(receipts):
                    self._queue.add(ReceiptsKey(at))
            except KubeError as error:
                _log.warning("LIST failed", error=str(error))
            await asyncio.sleep(listing.RELIST_SECONDS)


async def _serve(
    settings: Settings, state: health.Health, metrics: Metrics
) -> tuple[web.AppRunner, int]:
    host, port = settings.http_host_port
    try:
        return await health.serve(state, metrics.snapshot, host, port)
    except OSError as error:
        raise Stalled(
            Reason.SETTINGS_INVALID,
            f"LICENSEUSAGE_HTTP_ADDRESS={settings.http_address} cannot be listened on: "
            f"{error.strerror}.",
        ) from None


def _permille() -> int:
    return secrets.randbelow(1000)


def _why(task: asyncio.Task[Any]) -> str:
    if task.cancelled():
        return "cancelled"
    error = task.exception()
    return type(error).__name__ if error is not None else "ended"


_SIGNALS = ("SIGTERM", "SIGINT")
