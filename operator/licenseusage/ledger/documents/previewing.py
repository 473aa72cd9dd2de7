"""What commands read of a meter while an operator writes the ledger: for a preview, of a person."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, select

from licenseusage.ledger.documents.chains import chain_state
from licenseusage.ledger.documents.closing import dated_in_order, draft_of
from licenseusage.ledger.documents.committing import Commitment, commitment_of
from licenseusage.ledger.documents.gathering import facts_of
from licenseusage.ledger.documents.issued import reports_of
from licenseusage.ledger.documents.records import (
    MeterFacts,
    OutboxItem,
    ReportChain,
    ReportDraft,
    ReportKind,
)
from licenseusage.ledger.facts.persons import evidence_about
from licenseusage.ledger.facts.registry import cycle_record, dated_ms, find_meter, high_water_ms
from licenseusage.ledger.facts.statements import make_statement
from licenseusage.ledger.records import ClosingIntent, CycleRecord, CycleState, Meter, MeterKey
from licenseusage.ledger.storage.schema import cycles
from licenseusage.metering.combine import Combine
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.persons import Evidence
from licenseusage.metering.stores import DeclaredSource, StoreKey


@dataclass(frozen=True, slots=True)
class LedgerView:
    """One snapshot of a ledger (`exporting.opened`); nothing is written."""

    connection: Connection

    def facts(
        self, key: MeterKey, chains: Callable[[Meter], Iterable[ReportChain]], cycles_: int = 5
    ) -> MeterFacts | None:
        """Return what is known of a meter and its newest cycles; None: the ledger has none."""
        meter = find_meter(self.connection, key)
        if meter is None:
            return None
        return facts_of(self.connection, meter.id, chains, cycles_, 3)

    def commitments(self, key: MeterKey) -> Iterator[tuple[OutboxItem, Commitment]]:
        """Yield the reports of a meter that commit to users who are kept; newest first."""
        meter = find_meter(self.connection, key)
        for item in () if meter is None else reports_of(self.connection, meter.id):
            commitment = commitment_of(self.connection, item.jti)
            if commitment is not None:
                yield item, commitment

    def evidence_about(
        self,
        record: CycleRecord,
        user_of: Callable[[str], bytes],
        sources: tuple[DeclaredSource, ...],
    ) -> list[list[tuple[StoreKey, Evidence]]]:
        """Return what is known of a person in a cycle whose facts are kept; see `persons`."""
        ended_ms = None if record.state is CycleState.OPEN else record.cycle.end_ms
        meter_id = record.meter_id
        return evidence_about(self.connection, meter_id, record.cycle, user_of, sources, ended_ms)

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
        content = dated_in_order(self.connection, state, content, now_ms)
        return draft_of(self.connection, row, state, kind, content)
