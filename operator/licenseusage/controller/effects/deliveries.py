"""The delivery step: a separate queue, by chain, so that a vendor delays no collection.

A reconcile only says that a chain may have something to send, and how; the workers here ask
`delivery.sender` until nothing is due, and wake the object so that its status says what came of it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from licenseusage.clock import Clock
from licenseusage.controller.effects.books import Books
from licenseusage.controller.effects.defects import problem_of
from licenseusage.controller.effects.ledgeroutbox import LedgerOutbox
from licenseusage.controller.effects.metrics import Metrics
from licenseusage.controller.effects.workqueue import WorkQueue
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.trace import trace_of
from licenseusage.delivery.outbox import Attempt, DeliveryState
from licenseusage.delivery.sender import Route, Sender
from licenseusage.delivery.vendor import VendorClient
from licenseusage.errors import Failure, UsageError

WORKERS = 4
_MAX_WAIT_SECONDS = 600.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Errand:
    """What a chain's worker needs to know; the newest one counts."""

    key: Key
    route: Route


class Deliveries:
    """Sends what is due, chain by chain."""

    def __init__(
        self,
        books: Books,
        client: VendorClient,
        clock: Clock,
        metrics: Metrics,
        *,
        permille: Callable[[], int],
        settled: Callable[[Key, tuple[Attempt, ...]], None],
    ) -> None:
        """Take the world; ``settled`` hears of each attempt (events, status)."""
        self._queue: WorkQueue[str] = WorkQueue(first_seconds=5.0, cap_seconds=300.0)
        self._errands: dict[str, Errand] = {}
        self._defects: dict[str, Failure] = {}
        self._books, self._metrics, self._settled = books, metrics, settled
        self._sender = Sender(
            client,
            LedgerOutbox(books.now_open),
            clock=clock,
            permille=permille,
            in_thread=lambda work: books.do(lambda _: work()),
        )

    def due(self, errand: Errand, after_seconds: float) -> None:
        """Have a chain looked at; what is really due the outbox decides.

        One that met a defect is tried again by its back-off alone: telling of it wakes the object,
        which asks for delivery at once.
        """
        self._errands[errand.route.chain_id] = errand
        if errand.route.chain_id in self._defects:
            return
        self._queue.add(errand.route.chain_id, min(after_seconds, _MAX_WAIT_SECONDS))

    def stop(self, chain_id: str) -> None:
        """Send nothing more of a chain (reporting is suspended) until it is due again."""
        self._errands.pop(chain_id, None)

    def defect_of(self, key: Key) -> Failure | None:
        """Return why the last delivery for an object failed, if it was a defect of ours."""
        for chain, problem in self._defects.items():
            if chain in self._errands and self._errands[chain].key == key:
                return problem
        return None

    async def work(self) -> None:
        """Deliver for ever; run `WORKERS` of these."""
        while True:
            chain = await self._queue.get()
            failed = False
            try:
                with structlog.contextvars.bound_contextvars(chain=chain):
                    failed = not await self._deliver(chain)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                self._note_defect(chain, error)
                failed = True
            else:
                self._defects.pop(chain, None)
            finally:
                self._queue.done(chain, failed=failed)

    async def _deliver(self, chain: str) -> bool:
        while (errand := self._errands.get(chain)) is not None:
            try:
                attempts = await self._sender.step(errand.route)
            except UsageError as error:
                _log.error(
                    "delivery not possible",
                    object=str(errand.key),
                    reason=error.reason,
                    error=error.message,
                )
                return False
            if not attempts:
                return True
            for attempt in attempts:
                self._note(errand.key, attempt)
            self._settled(errand.key, attempts)
        return True

    def _note_defect(self, chain: str, error: Exception) -> None:
        """Keep an unforeseen failure for the object's conditions, which wait for nothing else."""
        errand = self._errands.get(chain)
        if errand is None:
            return  # reporting was suspended meanwhile
        doing = "it delivered a document"
        self._defects[chain] = problem_of(error, self._metrics, errand.key, doing)
        self._settled(errand.key, ())

    def _note(self, key: Key, attempt: Attempt) -> None:
        settlement = attempt.settlement
        accepted = settlement.state is DeliveryState.ACCEPTED
        self._metrics.deliveries.labels(
            str(settlement.state) if settlement.receipt else settlement.reason
        ).inc()
        log = _log.info if accepted else _log.warning
        log(
            "document sent",
            object=str(key),
            trace=trace_of(key, attempt.queued.cycle),
            document=attempt.queued.jti,
            state=str(settlement.state),
            reason=settlement.reason,
        )
