"""What the next report would be signed from, read while an operator writes the ledger."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, select

from licenseusage.ledger.documents.chains import chain_state
from licenseusage.ledger.documents.closing import draft_of
from licenseusage.ledger.documents.gathering import facts_of
from licenseusage.ledger.documents.records import MeterFacts, ReportChain, ReportDraft, ReportKind
from licenseusage.ledger.facts.registry import cycle_record, dated_ms, find_meter, high_water_ms
from licenseusage.ledger.facts.statements import make_statement
from licenseusage.ledger.records import ClosingIntent, Meter, MeterKey
from licenseusage.ledger.storage.schema import cycles
from licenseusage.metering.combine import Combine
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.stores import DeclaredSource


@dataclass(frozen=True, slots=True)
class LedgerView:
    """One snapshot of a ledger (`exporting.opened`); nothing is written."""

    connection: Connection

    def facts(
        self, key: MeterKey, chains: Callable[[Meter], Iterable[ReportChain]]
    ) -> MeterFacts | None:
        """Return what is known of a meter; None: the ledger does not know it."""
        meter = find_meter(self.connection, key)
        if meter is None:
            return None
        return facts_of(self.connection, meter.id, chains, 5, 3)

    def next_draft(
        self,
        meter_id: int,
        cycle: Cycle,
        chain: ReportChain,
        sources: tuple[DeclaredSource, ...],
        combine: Combine,
        now_ms: int,
    ) -> ReportDraft:
        """Return what the next report about a cycle would be signed from now.

        A final, if the cycle has ended; then what was decided stands. Else an interim, as of the
        newest poll.

        Args:
            meter_id: The meter.
            cycle: A cycle that the ledger knows, not Final.
            chain: Of the report.
            sources: As declared.
            combine: How they belong together.
            now_ms: The time.
        """
        of_cycle = (cycles.c.meter_id == meter_id) & (cycles.c.start_ms == cycle.start_ms)
        row = self.connection.execute(select(cycles).where(of_cycle)).one()
        ended = now_ms >= cycle.end_ms
        content = cycle_record(row).intent
        if content is None:
            statement = make_statement(
                self.connection,
                meter_id,
                cycle,
                sources=sources,
                combine=combine,
                as_of_ms=cycle.end_ms if ended else None,
            )
            at_ms = dated_ms(self.connection, now_ms)
            high_water = max(at_ms, high_water_ms(self.connection))
            content = ClosingIntent(at_ms, "", statement, high_water)
        kind = ReportKind.FINAL if ended else ReportKind.INTERIM
        state = chain_state(self.connection, chain.id)
        return draft_of(self.connection, row, state, kind, content)
