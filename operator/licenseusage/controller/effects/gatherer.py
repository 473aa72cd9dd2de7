"""The ledger's facts of one meter during one reconcile: gathered once, and anew after an effect.

A reconcile decides by one snapshot. What it changes in the ledger goes through `Gatherer.do`, which
reads the snapshot anew in the same work, so that the next decision knows what the last one did.
(As cert-manager's ``policies/gatherer.go``: one gatherer, one input of all decisions.)
"""

from collections.abc import Callable, Iterable
from typing import Protocol, Self, TypeVar

import structlog

from licenseusage.controller.effects.reportobjects import INTERIMS
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.trace import trace_of
from licenseusage.ledger.documents.records import MeterFacts, OutboxItem, ReportChain
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import Meter

T = TypeVar("T")
_log = structlog.get_logger(__name__)


class Works(Protocol):
    """Runs works on the ledger's thread, one after the other (`effects.books.Books`)."""

    async def do(self, work: Callable[[Ledger], T]) -> T:
        """Run a work and return its result.

        Raises:
            UsageError: As `Ledger` says; nothing has changed then.
        """


class Gatherer:
    """Holds the facts of one meter.

    Attributes:
        facts: The newest snapshot.
    """

    facts: MeterFacts

    def __init__(
        self, books: Works, chains: Callable[[Meter], Iterable[ReportChain]], cycles: int
    ) -> None:
        """Know how to gather; `open` does it.

        Args:
            books: The ledger's thread.
            chains: Names the chains that reports about a meter may be in.
            cycles: So many of its newest cycles are wanted.
        """
        self._books, self._chains, self._cycles = books, chains, cycles

    async def open(self, meter_of: Callable[[Ledger], Meter]) -> Self:
        """Find the meter and gather what is known of it.

        Raises:
            UsageError: The ledger cannot be read or written.
        """

        def work(ledger: Ledger) -> MeterFacts:
            return self._gather(ledger, meter_of(ledger).id)

        self.facts = await self._books.do(work)
        return self

    async def do(self, work: Callable[[Ledger], T]) -> T:
        """Run a work that changes the ledger, then gather anew.

        Raises:
            UsageError: As `Ledger` says. If gathering failed, the work is done nevertheless.
        """

        def changed(ledger: Ledger) -> tuple[T, MeterFacts]:
            result = work(ledger)
            return result, self._gather(ledger, self.facts.meter.id)

        before = {report.jti for report in self.facts.reports}
        result, self.facts = await self._books.do(changed)
        self._tell([report for report in self.facts.reports if report.jti not in before])
        return result

    def _tell(self, reports: Iterable[OutboxItem]) -> None:
        """Log reports that are in the ledger since now; each is sent, exported or approved next."""
        key = Key(self.facts.meter.key.namespace, self.facts.meter.key.name)
        for report in reports:
            _log.info(
                "report kept",
                object=str(key),
                trace=trace_of(key, report.cycle),
                document=report.jti,
                kind=str(report.kind),
                state=str(report.state),
            )

    def _gather(self, ledger: Ledger, meter_id: int) -> MeterFacts:
        return ledger.facts_of(meter_id, self._chains, self._cycles, INTERIMS)
