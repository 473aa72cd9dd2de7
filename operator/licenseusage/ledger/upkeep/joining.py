"""The join of one store's users, one roster, one source's coverage, between two ledger files.

The same as ``metering.facts.merge`` and ``metering.roster.merge_rosters`` say, a part of the users
at a time, so that a million of them fit into any memory.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, insert, select, update

from licenseusage.ledger.facts.rosters import (
    AT_ONCE,
    BEFORE,
    EVER,
    IDLE,
    INACTIVE,
    LISTED,
    OPEN,
    QUIET,
    START,
    count_users,
    ensure_roster,
    runs_of,
    words_between,
    write_span,
)
from licenseusage.ledger.facts.sources import intervals
from licenseusage.ledger.storage.bulk import spans
from licenseusage.ledger.storage.schema import (
    commitments,
    coverage,
    cycles,
    erasures,
    facts,
    roster_users,
    rosters,
    stores,
)
from licenseusage.metering.coverage import Interval
from licenseusage.metering.facts import Facts, merge, without_days
from licenseusage.metering.packing import packed
from licenseusage.metering.roster import JOINED_GAP_MS, Roster, joined_runs
from licenseusage.metering.stores import StoreKey


def join_users(
    ours: Connection,
    our_store: Row[Any],
    theirs: Connection,
    their_store: Row[Any],
    *,
    dated: bool = True,
) -> tuple[int, int]:
    """Join the users of two stores into ours.

    Args:
        ours: Our ledger.
        our_store: The store's row there.
        theirs: The other ledger.
        their_store: The store's row there.
        dated: The cycle keeps on which days somebody was active.

    Returns:
        Of how many users something is new here; and the windows that the join refutes.
    """
    new, refuted = 0, 0
    rosters_ = _roster_id(ours, our_store), _roster_id(theirs, their_store)
    most = max(_count(ours, our_store.id), _count(theirs, their_store.id))
    for first, end in spans(most, AT_ONCE):
        our_facts = _words(ours, our_store, rosters_[0], first, end)
        their_facts = _words(theirs, their_store, rosters_[1], first, end)
        if not dated:
            by_days = {our_store.by_rows, their_store.by_rows} != {None}
            our_facts = without_days(our_facts, by_days=by_days)
            their_facts = without_days(their_facts, by_days=by_days)
        joined = merge(our_facts, their_facts)
        refuted |= joined.refuted
        new += _write(ours, our_store.id, our_facts, joined)
    return new, refuted


def join_rosters(ours: Connection, meter_id: int, theirs: Connection, their_meter_id: int) -> None:
    """Join the rosters of a meter into ours."""
    wiped = select(cycles.c.start_ms).where(cycles.c.meter_id == meter_id, cycles.c.wiped == 1)
    gone = set(ours.execute(wiped).scalars())
    for roster in theirs.execute(select(rosters).filter_by(meter_id=their_meter_id)).all():
        if roster.cycle_start_ms not in gone:
            _join_roster(ours, meter_id, theirs, roster)


def join_erasures(ours: Connection, meter_id: int, theirs: Connection, their_meter_id: int) -> None:
    """Take over whom the other ledger is to erase."""
    same = select(erasures.c.cycle_start_ms, erasures.c.pseudonym)
    known = {tuple(row) for row in ours.execute(same.where(erasures.c.meter_id == meter_id))}
    ordered = select(erasures).where(erasures.c.meter_id == their_meter_id)
    for row in theirs.execute(ordered).mappings():
        if (row["cycle_start_ms"], row["pseudonym"]) not in known:
            ours.execute(insert(erasures).values({**row, "meter_id": meter_id}))


def join_coverage(ours: Connection, meter_id: int, theirs: Connection, their_meter_id: int) -> None:
    """Unite the observed spans of each source."""
    named = select(coverage.c.source).where(coverage.c.meter_id == their_meter_id).distinct()
    for source in theirs.execute(named).scalars().all():
        our_spans = intervals(ours, meter_id, source)
        joined = united((*our_spans, *intervals(theirs, their_meter_id, source)))
        if joined == our_spans:
            continue
        of_source = {"meter_id": meter_id, "source": source}
        ours.execute(delete(coverage).filter_by(**of_source))
        for span in joined:
            ours.execute(
                insert(coverage).values(
                    **of_source,
                    start_ms=span.start_ms,
                    end_ms=span.end_ms,
                    gap_reason=span.gap_reason,
                )
            )


def united(spans: Iterable[Interval]) -> tuple[Interval, ...]:
    """Return spans with those that touch made one; why nothing was seen before is the first's."""
    joined: list[Interval] = []
    for span in sorted(
        spans, key=lambda interval: (interval.start_ms, interval.gap_reason, interval.end_ms)
    ):
        if joined and span.start_ms <= joined[-1].end_ms:
            end_ms = max(joined[-1].end_ms, span.end_ms)
            joined[-1] = replace(joined[-1], end_ms=end_ms)
        else:
            joined.append(span)
    return tuple(joined)


def wipe(ours: Connection, cycle: Row[Any]) -> None:
    """Delete the facts of a cycle whose retention is over in one of the ledgers."""
    of_cycle = select(stores.c.id).where(stores.c.cycle_id == cycle.id)
    ours.execute(delete(facts).where(facts.c.store_id.in_(of_cycle)))
    ours.execute(delete(commitments).where(commitments.c.cycle_id == cycle.id))
    of_rosters = select(rosters.c.id).where(
        rosters.c.meter_id == cycle.meter_id, rosters.c.cycle_start_ms == cycle.start_ms
    )
    ours.execute(delete(roster_users).where(roster_users.c.roster_id.in_(of_rosters)))
    ours.execute(delete(rosters).where(rosters.c.id.in_(of_rosters)))
    ours.execute(update(cycles).where(cycles.c.id == cycle.id).values(wiped=1))


def _join_roster(
    ours: Connection, meter_id: int, theirs: Connection, their_roster: Row[Any]
) -> None:
    """Join one roster, a part of the users at a time, as ``merge_rosters`` does."""
    store = StoreKey(their_roster.source, their_roster.domain)
    row = ensure_roster(ours, meter_id, their_roster.cycle_start_ms, store)
    if None not in {row.listing, their_roster.listing} and row.listing != their_roster.listing:
        return  # another list: neither can be held against the other
    kept, clearing = BEFORE | INACTIVE | QUIET, 0
    now = {"open_at_ms": row.open_at_ms}
    # Of the closing polls the earliest counts; of those before the start, and of all, the newest.
    newest = (("start_at_ms", START), ("last_at_ms", LISTED), ("idle_at_ms", IDLE))
    for column, bit in newest:
        held_ms, there_ms = getattr(row, column), getattr(their_roster, column)
        now[column] = held_ms
        if there_ms is not None and (held_ms is None or there_ms >= held_ms):
            kept, now[column] = kept | bit, there_ms
            clearing |= bit if there_ms != held_ms else 0
    if their_roster.open_at_ms is not None and (
        row.open_at_ms is None or their_roster.open_at_ms <= row.open_at_ms
    ):
        kept, now["open_at_ms"] = kept | OPEN, their_roster.open_at_ms
        clearing |= OPEN if their_roster.open_at_ms != row.open_at_ms else 0
    most = max(count_users(ours, row.id), count_users(theirs, their_roster.id))
    for first, end in spans(most, AT_ONCE):
        there = words_between(theirs, their_roster.id, first, end)
        words = {user: word & kept for user, word in there.items() if word & kept}
        write_span(ours, row.id, (first, end), words, clearing)
    # The newest list's: which of them it is was decided above. And whether it ever forgot anybody.
    theirs_is_newest = kept & LISTED
    now["last_read_ms"] = their_roster.last_read_ms if theirs_is_newest else row.last_read_ms
    returned = [at for at in (row.returned_ms, their_roster.returned_ms) if at is not None]
    now["returned_ms"] = min(returned, default=None)
    runs = joined_runs((*runs_of(row), *runs_of(their_roster)), JOINED_GAP_MS)
    listing = row.listing or their_roster.listing
    this = update(rosters).where(rosters.c.id == row.id)
    ours.execute(this.values(**now, runs=json.dumps(runs), listing=listing, before_digest=None))


def _count(connection: Connection, store_id: int) -> int:
    query = select(func.count()).select_from(facts).where(facts.c.store_id == store_id)
    return int(connection.execute(query).scalar_one())


def _roster_id(connection: Connection, store: Row[Any]) -> int | None:
    """Return the roster of a store; None if it needs none or has none."""
    if not store.closed:
        return None
    same = and_(
        cycles.c.id == store.cycle_id,
        rosters.c.meter_id == cycles.c.meter_id,
        rosters.c.cycle_start_ms == cycles.c.start_ms,
    )
    query = select(rosters.c.id).join(cycles, same)
    named = query.filter(rosters.c.source == store.source, rosters.c.domain == store.domain)
    roster_id: int | None = connection.execute(named).scalar_one_or_none()
    return roster_id


def _words(
    connection: Connection, store: Row[Any], roster_id: int | None, first: bytes, end: bytes | None
) -> Facts:
    """Return a part of a store's users, and who of them is listed."""
    query = select(facts.c.pseudonym, facts.c.sure, facts.c.maybe).where(
        facts.c.store_id == store.id, facts.c.pseudonym >= first
    )
    if end is not None:
        query = query.where(facts.c.pseudonym < end)
    sure, maybe = {}, {}
    for user, proved, possible in connection.execute(query):
        if proved:
            sure[user] = proved
        if possible:
            maybe[user] = possible
    roster = None
    if roster_id is not None:
        words = words_between(connection, roster_id, first, end)
        roster = Roster(
            before=packed(user for user, word in words.items() if word & (EVER | OPEN | INACTIVE)),
            last=packed(user for user, word in words.items() if word & LISTED),
        )
    return Facts(sure, maybe, closed=store.closed, roster=roster)


def _write(ours: Connection, store_id: int, our_facts: Facts, joined: Facts) -> int:
    """Write what the join changed; return of how many users."""
    before = our_facts.sure.keys() | our_facts.maybe.keys()
    after = joined.sure.keys() | joined.maybe.keys()
    same = (facts.c.store_id == store_id) & (facts.c.pseudonym == bindparam("user"))
    gone = [{"user": user} for user in before - after]
    if gone:
        ours.execute(delete(facts).where(same), gone)
    changed, added = [], []
    for user in sorted(after):
        words = joined.sure.get(user, 0), joined.maybe.get(user, 0)
        if user not in before:
            added.append(
                {"store_id": store_id, "pseudonym": user, "sure": words[0], "maybe": words[1]}
            )
        elif words != (our_facts.sure.get(user, 0), our_facts.maybe.get(user, 0)):
            changed.append({"user": user, "now_sure": words[0], "now_maybe": words[1]})
    if changed:
        now: dict[str, Any] = {"sure": bindparam("now_sure"), "maybe": bindparam("now_maybe")}
        ours.execute(update(facts).where(same).values(now), changed)
    if added:
        ours.execute(insert(facts), added)
    return len(gone) + len(changed) + len(added)
