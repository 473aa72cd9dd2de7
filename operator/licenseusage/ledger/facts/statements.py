"""The statement about a cycle, put together from the facts held. Reads only."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, select

from licenseusage.ledger.facts import logs, polls, unsettled
from licenseusage.ledger.facts.counting import CountedStore, DomainCount, count_domain
from licenseusage.ledger.facts.refutations import judged, refuted, refuted_of
from licenseusage.ledger.facts.rosters import rosters_of, runs_of
from licenseusage.ledger.facts.vanished import (
    Doubt,
    any_vanished,
    seen_but_idle,
    seen_but_unlisted,
)
from licenseusage.ledger.records import DeclaredSource, Refutation, SourceStatus, StoreKey
from licenseusage.ledger.storage.schema import cycles, stores
from licenseusage.metering.bounds import Bounds
from licenseusage.metering.combine import Combine, overlap_of, unstable_tally
from licenseusage.metering.coverage import Observed, coverage, gap_around
from licenseusage.metering.cycles import CYCLE_BIT, CYCLE_MASK, Cycle
from licenseusage.metering.events import LogState
from licenseusage.metering.facts import Facts
from licenseusage.metering.known import Tally, across, bounds_of
from licenseusage.metering.properties import Guarantee, Properties
from licenseusage.metering.roster import missing
from licenseusage.metering.statement import (
    ACTIVITY_LOST,
    LOG_HOLE,
    NO_CLOSING_POLL,
    OBJECT_GONE,
    PSEUDONYM_KEY_CHANGED,
    REMOVED_USERS,
    ROSTER_MISSING,
    RULES_CHANGED,
    SOURCE_GONE,
    UNLISTED_USERS,
    CycleStatement,
    daily_series,
    uncertainty_of,
)


class _Held:
    """A store of the cycle: its row (None: declared, never read) and what its source declares."""

    def __init__(
        self,
        row: Row[Any] | None,
        declared: DeclaredSource | None,
        refutations: Sequence[Refutation],
        roster: Row[Any] | None = None,
    ) -> None:
        self.row = row
        self.gone = declared is None
        self.why_gone = SOURCE_GONE
        self.source = declared.store.source if declared else str(row.source) if row else ""
        self.domain = declared.store.domain if declared else str(row.domain) if row else ""
        # Nothing is declared any more about a source that is gone: it proves nothing. What was
        # refuted of it stays so.
        claims = declared.properties if declared else Properties(ids_stable=True)
        declaration = declared.declaration if declared else None
        against = refuted_of(refutations, self.source, declaration)
        self.refutations = against if declared else ()
        self.properties = judged(claims, against)
        lost = any(one.guarantee is Guarantee.REMOVAL_NEVER for one in against)
        self.loses = self.properties.loses_users or (self.gone and lost)
        self.stable = self.properties.ids_stable and (row is None or bool(row.ids_stable))
        # Who counts changed within the cycle: what was found before is about a segment of its own,
        # which no later poll can prove anything about (MEASUREMENT §7).
        self.segmented = row is not None and row.selection_changes > 0
        # What is declared now says nothing of a cycle that was over by then.
        known = row.selection if row is not None else None
        wanted = declared.selection if declared else None
        self.redefined = None not in {known, wanted} and known != wanted
        self.listed = roster if self.stable else None
        self.lacks = ""
        self.moved = False
        self.back = False

    def word(self, column: str) -> int:
        return int(getattr(self.row, column)) if self.row is not None else 0

    @property
    def roster(self) -> Row[Any] | None:
        """The roster, where it says who is possible."""
        return self.listed if self.properties.keeps_roster else None

    @property
    def proves(self) -> bool:
        if self.segmented or self.gone:
            return False
        if self.properties.keeps_roster:
            return self.roster is not None and not self.lacks
        closed = self.word("closed") >> CYCLE_BIT & 1
        return self.properties.keeps_users and bool(closed) and not self.word("refuted")

    @property
    def doubt(self) -> Doubt | None:
        """Why some with proof of activity do not count."""
        if not (self.loses or self.back):
            return None
        return Doubt(self.listed.id if self.listed is not None else None, self.loses)

    def judge_roster(self, connection: Connection, start_ms: int) -> None:
        """Find what the roster lacks, and whether it contradicts what was seen."""
        if self.listed is None or self.row is None:
            return
        runs, gap_ms = runs_of(self.listed), self.properties.roster_gap_ms
        self.lacks = missing(start_ms, self.listed.open_at_ms, runs, gap_ms) or ""
        if not self.lacks and seen_but_unlisted(connection, self.row.id, self.listed.id):
            self.lacks = UNLISTED_USERS
        if self.listed.open_at_ms is not None:
            self.moved = any_vanished(connection, self.listed.id)
        self.back = seen_but_idle(connection, self.row.id, self.listed.id)

    def counted(self) -> CountedStore | None:
        """The store as counting sees it; None: it was never read."""
        if self.row is None:
            return None
        by_roster = self.roster.id if self.roster is not None else None
        moved = self.listed.id if self.moved and self.listed is not None else None
        stays = by_roster is None and self.proves
        return CountedStore(
            self.row.id, self.proves, by_roster, moved if stays else None, self.doubt
        )

    def numbers(self) -> Facts:
        """The numbers of single polls, for unstable ids."""
        if self.row is None:
            return Facts()
        low, full = json.loads(self.row.low), json.loads(self.row.full)
        if self.segmented:
            full = {}
        return Facts(
            low={int(window): count for window, count in low.items()},
            full={int(window): count for window, count in full.items()},
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
    against = refuted(connection, meter_id) if against is None else against
    held = _held(connection, meter_id, cycle, sources, against)
    end = _as_of(cycle, held) if as_of_ms is None else min(as_of_ms, cycle.end_ms)
    ended = end == cycle.end_ms
    if ended:
        for store in held:
            store.judge_roster(connection, cycle.start_ms)
    counts = _counts(connection, held, combine, cycle, None if ended else end)
    tally = across([count.cycle for count in counts], overlap_of(combine))
    bounds = bounds_of(tally)
    if not ended:
        bounds = bounds.so_far()
    logged = logs.log_states(connection, meter_id, cycle)
    observed = _observed(connection, meter_id, held, sources, logged, cycle, end)
    return CycleStatement(
        cycle=cycle,
        as_of_ms=end,
        bounds=bounds,
        daily=_daily(cycle, end, counts, held, sources),
        coverage=coverage(cycle.start_ms, end, observed),
        uncertainty=uncertainty_of(
            bounds, [store.properties for store in held], len(counts), tally.vanished
        ),
        unbounded=_unbounded(bounds, held) if ended else (),
        refuted=_refuted(held, counts),
        boundary_gap_ms=gap_around(cycle.end_ms, observed) if ended else None,
        provisioned=_provisioned(polls.source_statuses(connection, meter_id), sources, combine),
        assumptions=_assumptions(held, sources),
    )


def _held(
    connection: Connection,
    meter_id: int,
    cycle: Cycle,
    sources: Sequence[DeclaredSource],
    against: Sequence[Refutation],
) -> list[_Held]:
    """Every store of the cycle: those with facts, and those declared but never read."""
    of_cycle = (cycles.c.meter_id == meter_id) & (cycles.c.start_ms == cycle.start_ms)
    query = select(stores).join(cycles).where(of_cycle).order_by(stores.c.id)
    declared = {source.store: source for source in sources}
    former = {source.former for source in sources}
    names = {source.store.source for source in sources}
    rosters = rosters_of(connection, meter_id, cycle)
    held = []
    for row in connection.execute(query):
        key = StoreKey(row.source, row.domain)
        store = _Held(row, declared.pop(key, None), against, rosters.get(key))
        if not sources:
            store.why_gone = OBJECT_GONE
        elif key in former:
            store.why_gone = PSEUDONYM_KEY_CHANGED
        elif key.source in names:
            store.why_gone = RULES_CHANGED  # its ids are read otherwise since
        held.append(store)
    return held + [_Held(None, source, against) for source in declared.values()]


def _as_of(cycle: Cycle, held: Sequence[_Held]) -> int:
    """End of the newest poll that succeeded, in whole seconds, at most the cycle's end."""
    read = [s.row.read_until_ms for s in held if s.row and s.row.read_until_ms is not None]
    latest = max(read, default=cycle.start_ms)
    return min(cycle.end_ms, max(cycle.start_ms, -(-latest // 1000) * 1000))


def _counts(
    connection: Connection,
    held: Sequence[_Held],
    combine: Combine,
    cycle: Cycle,
    until_ms: int | None,
) -> list[DomainCount]:
    """Count each domain; until a time of the running cycle, without those named after it."""
    domains: dict[str, list[_Held]] = {}
    counts = []
    for store in held:
        if store.stable:
            domains.setdefault(store.domain, []).append(store)
            continue
        numbers = store.numbers()
        days = tuple(numbers.low.get(day, 0) for day in range(cycle.days))
        count = DomainCount(unstable_tally(numbers, store.properties, CYCLE_BIT), days)
        counts.append(_until(until_ms, count, [store]))
    for group in domains.values():
        found = [one for store in group if (one := store.counted()) is not None]
        count = count_domain(connection, found, combine, cycle.days)
        if combine is Combine.UNION and len(found) < len(group):
            # A store that was never read may hold anybody.
            count = replace(count, cycle=Tally(count.cycle.lower, None))
        counts.append(_until(until_ms, count, group))
    return counts


def _until(until_ms: int | None, count: DomainCount, group: Sequence[_Held]) -> DomainCount:
    """Return the count without those whom only failed polls after ``until_ms`` have named."""
    rows = [store.row for store in group if store.row is not None]
    late = unsettled.total(
        row.unsettled
        for row in rows
        if until_ms is not None and (row.seen_until_ms or 0) > until_ms
    )
    if not late:
        return count
    lower = max(0, count.cycle.lower - late.get(CYCLE_BIT, 0))
    days = tuple(max(0, users - late.get(day, 0)) for day, users in enumerate(count.days))
    return replace(count, cycle=replace(count.cycle, lower=lower), days=days)


def _refuted(held: Sequence[_Held], counts: Sequence[DomainCount]) -> tuple[str, ...]:
    """Return what is refuted of what the sources declare, in words."""
    told = [f"source {one.source}: {one.words}" for store in held for one in store.refutations]
    if any(count.contradicted for count in counts):
        names = ", ".join(store.source for store in held)
        told.append(
            f"sources {names}: one saw somebody active whom another one rules out; combine: Same "
            "says that they observe the same activity. Declare combine: Union, or correct the "
            "guarantees of the one that is wrong"
        )
    return tuple(dict.fromkeys(told))


def _unbounded(bounds: Bounds, held: Sequence[_Held]) -> tuple[str, ...]:
    if bounds.upper is not None:
        return ()
    reasons = [s.lacks for s in held if s.roster is not None or s.lacks == UNLISTED_USERS]
    if any(store.segmented or store.redefined for store in held):
        reasons.append(RULES_CHANGED)
    for store in held:
        if store.gone:
            reasons.append(store.why_gone)
        elif not store.properties.keeps_activity or store.word("refuted"):
            reasons.append(ACTIVITY_LOST)
        elif store.properties.keeps_roster and store.roster is None:
            reasons.append(ROSTER_MISSING)
        elif not store.properties.keeps_users and not store.properties.keeps_roster:
            reasons += [REMOVED_USERS] if store.lacks != UNLISTED_USERS else []
        elif store.properties.log and store.word("ended") & ~store.word("closed") & CYCLE_MASK:
            reasons.append(LOG_HOLE)
    left = [store for store in held if not store.word("ended") >> CYCLE_BIT & 1]
    reasons += [store.row.unproved for store in left if store.row is not None]
    if left or not held:
        reasons.append(NO_CLOSING_POLL)
    return tuple(dict.fromkeys(reason for reason in reasons if reason))


def _daily(
    cycle: Cycle,
    end: int,
    counts: Sequence[DomainCount],
    held: Sequence[_Held],
    sources: Sequence[DeclaredSource],
) -> tuple[int | None, ...]:
    declared = {source.store for source in sources}
    known, refuted = (1 << cycle.days) - 1 if held else 0, 0
    if any(count.contradicted for count in counts):
        known = 0
    for store in held:
        refuted |= store.word("refuted")
        if not declared or StoreKey(store.source, store.domain) in declared:
            known &= store.word("followed")
    days = [max(column) for column in zip(*(count.days for count in counts), strict=True)]
    return daily_series(cycle, end, days or [0] * cycle.days, known & ~refuted)


def _observed(
    connection: Connection,
    meter_id: int,
    held: Sequence[_Held],
    sources: Sequence[DeclaredSource],
    logged: Mapping[StoreKey, LogState],
    cycle: Cycle,
    end_ms: int,
) -> list[Observed]:
    """What each declared source saw; without any (the object is gone), each that has facts."""
    spans = {source.store.source: source.interval_ms for source in sources}
    if not spans:
        spans = {store.source: 0 for store in held}
    statuses = polls.source_statuses(connection, meter_id)
    observed = []
    for source, interval_ms in spans.items():
        status = statuses.get(source)
        failure = status.failure.reason if status and status.failure else None
        seen = polls.intervals(connection, meter_id, source)
        holes = logs.unread(logged, source, cycle, end_ms)
        observed.append(Observed(seen, failure, interval_ms, holes))
    return observed


def _provisioned(
    statuses: dict[str, SourceStatus], sources: Sequence[DeclaredSource], combine: Combine
) -> int | None:
    """Users listed; of several sources only where they list the same users."""
    names = {source.store.source for source in sources}
    counts = [statuses[name].provisioned for name in names if name in statuses]
    known = [count for count in counts if count is not None]
    if len(names) > 1 and combine is not Combine.SAME:
        return None
    return max(known, default=None)


def _assumptions(held: Sequence[_Held], sources: Sequence[DeclaredSource]) -> tuple[str, ...]:
    """What is left of what every source declares, in a fixed order."""
    wanted = {source.store for source in sources}
    named = [store for store in held if StoreKey(store.source, store.domain) in wanted]
    declared = [store.properties.assumptions() for store in named]
    if not declared:
        return ()
    return tuple(token for token in declared[0] if all(token in tokens for tokens in declared))
