"""The statement about a cycle: rows are read and sets are counted here, `metering` concludes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row

from licenseusage.ledger.facts import unsettled
from licenseusage.ledger.facts.attendance import are_dropped
from licenseusage.ledger.facts.counting import CountedStore, count_domain
from licenseusage.ledger.facts.logs import log_of
from licenseusage.ledger.facts.lost import (
    EVERY_SOURCE,
    LostSpan,
    lost_spans_of,
    proved_by_reports,
)
from licenseusage.ledger.facts.refutations import refuted_in
from licenseusage.ledger.facts.rosters import rosters_of, runs_of
from licenseusage.ledger.facts.samples import samples_of
from licenseusage.ledger.facts.sources import intervals, source_statuses
from licenseusage.ledger.facts.stores import state_of, store_rows
from licenseusage.ledger.facts.vanished import (
    Doubt,
    any_vanished,
    seen_but_idle,
    seen_but_unlisted,
)
from licenseusage.metering.combine import Combine
from licenseusage.metering.counts import Counts, tally_counts
from licenseusage.metering.coverage import FACTS_LOST, Interval, Observed, unobserved
from licenseusage.metering.crosscheck import CrossCheck, cross_check
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.derivation import (
    DomainCount,
    Sight,
    by_domain,
    count_of_numbers,
    count_of_samples,
    counted_apart,
    derive,
    read_until_ms,
)
from licenseusage.metering.events import Hole, unread
from licenseusage.metering.refuting import Refutation
from licenseusage.metering.reported import Proved, raised
from licenseusage.metering.roster import missing
from licenseusage.metering.statement import CycleStatement
from licenseusage.metering.stores import (
    DeclaredSource,
    JudgedStore,
    RosterFindings,
    StoreKey,
    deciding,
    stores_of,
)


def make_statement(
    connection: Connection,
    meter_id: int,
    cycle: Cycle,
    *,
    sources: Sequence[DeclaredSource],
    combine: Combine = Combine.UNION,
    as_of_ms: int | None = None,
    against: Sequence[Refutation] | None = None,
) -> CycleStatement:
    """Return what can be stated about a cycle from the facts held.

    Args:
        connection: The ledger.
        meter_id: The meter.
        cycle: The cycle.
        sources: Every source declared now. Stores of sources no longer declared count too.
        combine: How the sources belong together.
        as_of_ms: End of the time stated; None: the end of the newest poll that succeeded, rounded
            up, plus its skew (the cycle's start without one), at most the cycle's end. Pass
            ``cycle.end_ms`` for a cycle that has ended.
        against: What stands refuted of what is declared; None: what the ledger knows.
    """
    proved = proved_by_reports(connection, meter_id, cycle)
    stores, rows, end_ms = _judged(
        connection, meter_id, cycle, sources, as_of_ms=as_of_ms, against=against, proved=proved
    )
    beside = [source for source in sources if source not in deciding(sources)]
    sources = deciding(sources)
    ended = end_ms == cycle.end_ms
    counts = [
        _count(connection, group, rows, combine, cycle, None if ended else end_ms)
        for group in by_domain(stores)
    ]
    sight = _sight(connection, meter_id, stores, sources, cycle, end_ms)
    statement = derive(cycle, end_ms, stores, counts, sources, combine, sight)
    checked = _cross_checks(connection, cycle, statement, rows, beside)
    statement = replace(statement, beside=checked)
    if proved is not None and proved.as_of_ms <= end_ms:
        statement = raised(statement, proved)
    if are_dropped(connection, meter_id, cycle):
        return replace(statement, daily=(None,) * len(statement.daily))
    return statement


def judged_stores(
    connection: Connection,
    meter_id: int,
    cycle: Cycle,
    sources: Sequence[DeclaredSource],
    as_of_ms: int | None,
) -> list[list[tuple[JudgedStore, CountedStore | None]]]:
    """Return the stores of a cycle as `make_statement` judges and counts them now.

    In groups of one identity domain (`by_domain`); None: never read, or users cannot be told apart.
    """
    proved = proved_by_reports(connection, meter_id, cycle)
    stores, rows, _ = _judged(
        connection, meter_id, cycle, sources, as_of_ms=as_of_ms, against=None, proved=proved
    )
    return [
        [(store, rows.counted(store) if store.stable else None) for store in group]
        for group in by_domain(stores)
    ]


def _judged(
    connection: Connection,
    meter_id: int,
    cycle: Cycle,
    sources: Sequence[DeclaredSource],
    *,
    as_of_ms: int | None,
    against: Sequence[Refutation] | None,
    proved: Proved | None,
) -> tuple[list[JudgedStore], "_Rows", int]:
    """Return the stores of a cycle, their rows, and the end of the time that is stated."""
    against = refuted_in(connection, meter_id, cycle) if against is None else against
    rows = _Rows(store_rows(connection, meter_id, cycle), rosters_of(connection, meter_id, cycle))
    states = {
        key: state_of(row, log_of(connection, row), rows.rosters.get(key))
        for key, row in rows.stores.items()
    }
    stores, _ = counted_apart(stores_of(states, sources, against))
    end_ms = read_until_ms(cycle, stores) if as_of_ms is None else min(as_of_ms, cycle.end_ms)
    if proved is not None and as_of_ms is None:
        end_ms = max(end_ms, proved.as_of_ms)
    ended = end_ms == cycle.end_ms
    judged = [
        replace(
            store,
            roster=rows.roster_findings(connection, store, cycle, ended=ended),
            cycle=cycle,
        )
        for store in stores
    ]
    return judged, rows, end_ms


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of ``stores`` and ``rosters`` of a cycle."""

    stores: Mapping[StoreKey, Row[Any]]
    rosters: Mapping[StoreKey, Row[Any]]

    def roster_findings(
        self, connection: Connection, store: JudgedStore, cycle: Cycle, *, ended: bool
    ) -> RosterFindings | None:
        """Return what the store's roster says; None: it has none, or its ids may be renamed."""
        row, roster = self.stores.get(store.key), self.rosters.get(store.key)
        if row is None or roster is None or not store.stable:
            return None
        if store.by_days:
            return RosterFindings()
        if not ended:
            return RosterFindings()
        gap_ms = store.properties.roster_gap_ms
        gap = missing(cycle.start_ms, roster.open_at_ms, runs_of(roster), gap_ms)
        return RosterFindings(
            gap,
            unlisted=gap is None and seen_but_unlisted(connection, row.id, roster.id),
            vanished=roster.open_at_ms is not None and any_vanished(connection, roster.id),
            back=seen_but_idle(connection, row.id, roster.id),
        )

    def counted(self, store: JudgedStore) -> CountedStore | None:
        """Return the store as counting sees it; None: it was never read."""
        row = self.stores.get(store.key)
        if row is None:
            return None
        if store.by_days:
            doubt = Doubt(None, lost=True) if store.disbelieved else None
            return CountedStore(row.id, store.proves, doubt=doubt, by_days=True)
        roster_id = self.rosters[store.key].id if store.roster is not None else None
        vanished = store.roster is not None and store.roster.vanished
        return CountedStore(
            row.id,
            store.proves,
            roster_id=roster_id if store.by_roster else None,
            moved_id=roster_id if vanished and store.proves and not store.by_roster else None,
            doubt=Doubt(roster_id, store.loses) if store.doubted else None,
        )


def _count(
    connection: Connection,
    group: Sequence[JudgedStore],
    rows: _Rows,
    combine: Combine,
    cycle: Cycle,
    until_ms: int | None,
) -> DomainCount:
    """Count one group of `by_domain`.

    Args:
        connection: The ledger.
        group: Its stores.
        rows: Of the cycle.
        combine: How the sources belong together.
        cycle: The cycle.
        until_ms: Of a running cycle: without users whom only failed polls after that have named.
    """
    if group[0].key.of_numbers:
        (store,) = group
        row = rows.stores.get(store.key)
        numbers = samples_of(connection, row.id) if row is not None else Counts()
        return count_of_samples(cycle, store, numbers)
    if not group[0].stable:
        count = count_of_numbers(cycle, group[0])
    else:
        read = [counted for store in group if (counted := rows.counted(store)) is not None]
        count = count_domain(connection, read, combine, cycle.days)
        if len(read) < len(group):
            count = count.with_unread(combine)
    if until_ms is None:
        return count
    late = unsettled.total(
        rows.stores[store.key].unsettled
        for store in group
        if (store.words.seen_until_ms or 0) > until_ms
    )
    return count.without(late)


def _cross_checks(
    connection: Connection,
    cycle: Cycle,
    statement: CycleStatement,
    rows: _Rows,
    beside: Sequence[DeclaredSource],
) -> tuple[CrossCheck, ...]:
    """Return how numbers beside the statement's sources disagree with it."""
    checks = []
    for source in beside:
        row = rows.stores.get(source.store)
        if row is None or row.selection_changes:
            continue
        tally = tally_counts(samples_of(connection, row.id), source.terms, cycle)
        checks.append(cross_check(statement.bounds, source.store.source, tally))
    return tuple(each for each in checks if each is not None)


def _sight(
    connection: Connection,
    meter_id: int,
    stores: Sequence[JudgedStore],
    sources: Sequence[DeclaredSource],
    cycle: Cycle,
    end_ms: int,
) -> Sight:
    """Return what each declared source saw; without any (the object is gone), each with facts."""
    spans = {source.store.source: source.interval_ms for source in sources}
    if not spans:
        spans = {store.key.source: 0 for store in stores}
    known = source_statuses(connection, meter_id)
    lost = lost_spans_of(connection, meter_id)
    observed = []
    for source, interval_ms in spans.items():
        status = known.get(source)
        failure = status.failure.reason if status and status.failure else None
        seen = intervals(connection, meter_id, source)
        logs = [s.words.log for s in stores if s.key.source == source and s.words.log is not None]
        holes = (*unread(logs, cycle, end_ms), *_lost(lost, source, seen))
        observed.append(Observed(seen, failure, interval_ms, holes))
    listed = {
        name: status_.provisioned
        for name, status_ in known.items()
        if status_.provisioned is not None
    }
    return Sight(observed, listed)


def _lost(spans: Sequence[LostSpan], source: str, seen: Sequence[Interval]) -> list[Hole]:
    """Return what a lost ledger had observed of a source, and nobody else did."""
    return [
        Hole(start_ms, end_ms, FACTS_LOST)
        for span in spans
        if span.source in {source, EVERY_SOURCE}
        for start_ms, end_ms in unobserved((span.start_ms, span.end_ms), seen)
    ]
