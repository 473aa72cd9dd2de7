"""What a poll leaves behind: facts, words of stores, coverage, the source's status.

Functions of an open transaction; one poll is recorded in one transaction.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from licenseusage.errors import Stalled
from licenseusage.ledger.facts import unsettled
from licenseusage.ledger.facts.logs import log_states, record_reading
from licenseusage.ledger.facts.refutations import lift, refute, seen_in
from licenseusage.ledger.facts.registry import cycle_row
from licenseusage.ledger.facts.rosters import Joined, delete_rosters, join_roster, rosters_of
from licenseusage.ledger.facts.users import join_users
from licenseusage.ledger.records import (
    CycleState,
    PollFailure,
    PollRecord,
    SourceStatus,
    StoreKey,
    StoreState,
)
from licenseusage.ledger.storage.database import upsert
from licenseusage.ledger.storage.schema import coverage, cycles, facts, source_status, stores
from licenseusage.metering.coverage import Interval, days_followed, extended
from licenseusage.metering.cycles import CYCLE_MASK, Cycle
from licenseusage.metering.facts import Facts
from licenseusage.metering.refuting import Seen


def record_poll(connection: Connection, poll: PollRecord, now_ms: int) -> bool:
    """Make one poll durable: facts of all its cycles, closed words, coverage, source status.

    Also the position of an event log. Cycles that have no record yet are created Open. Facts for a
    cycle whose facts were deleted are dropped.

    Args:
        connection: The ledger.
        poll: The poll.
        now_ms: The time; it becomes durable with the poll.

    Returns:
        False: the poll would have closed a cycle and contradicts what is declared. It decides
        nothing (who it names counts), and the next poll does (MEASUREMENT §3.10).

    Raises:
        Stalled: ``PseudonymKeyChanged``: facts made with another key than the cycle's.
    """
    if _told(poll):
        lift(connection, poll.meter_id, poll.store.source, poll.declaration, poll.started_ms)
    decides = True
    closing = _closed_first(connection, poll)
    if closing:
        attempt = connection.begin_nested()
        if _record_facts(connection, poll):
            attempt.rollback()
            poll, decides = _without_proof(poll), False
            _record_facts(connection, poll)
            doubted = stores.c.id.in_(_store(connection, poll, cycle).id for cycle in closing)
            connection.execute(update(stores).where(doubted).values(doubted_ms=poll.started_ms))
        else:
            attempt.commit()
    else:
        _record_facts(connection, poll)
    status = source_statuses(connection, poll.meter_id).get(poll.store.source)
    if poll.failure is None:
        _extend_coverage(connection, poll, status)
    _write_status(connection, poll, status)
    return decides


def _record_facts(connection: Connection, poll: PollRecord) -> bool:
    """Record what a poll says of each cycle; return whether it refutes what is declared."""
    refutes = False
    for cycle, found in poll.facts.items():
        if cycle.start_ms > poll.ended_ms:
            # Only for its first roster: other terms may still make it another cycle.
            listing = poll.listing or poll.selection
            join_roster(connection, poll.meter_id, cycle, poll.store, found.roster, listing)
            continue
        row = cycle_row(connection, poll.meter_id, cycle)
        if row.wiped or _decided_by_other_rules(row, poll):
            continue
        if _of_another_key(row, poll) and poll.started_ms >= cycle.end_ms and len(poll.facts) > 1:
            continue  # the key changed with the cycle: the next one is not held up by this one
        store = _ensure_store(connection, row.id, poll)
        if _selects_anew(store, poll) and poll.started_ms >= cycle.end_ms:
            continue  # another definition of who counts, which began when the cycle was over
        _note_rules(connection, row, poll, told=_said(poll, found))
        roster = rosters_of(connection, poll.meter_id, cycle).get(poll.store)
        added, late = _join_store(connection, store, cycle, poll, found, roster)
        if poll.failure is None:
            unsettled.settle(connection, row.id, poll.ended_ms + poll.clock_skew_ms)
        listing = poll.listing or poll.selection
        joined = join_roster(connection, poll.meter_id, cycle, poll.store, found.roster, listing)
        added |= joined is not None and joined.more
        if (reading := poll.readings.get(cycle)) is not None:
            added |= record_reading(connection, store.id, cycle, poll.properties, reading)
        refutes |= _refutes(connection, cycle, poll, store, found, joined, late=late)
        if added and row.intent_ms is not None:
            this = cycles.c.id == row.id
            connection.execute(update(cycles).where(this).values(evidence=cycles.c.evidence + 1))
    return refutes


def store_states(connection: Connection, meter_id: int, cycle: Cycle) -> dict[StoreKey, StoreState]:
    """Return what is known of every store of a cycle: where its next poll goes on from."""
    logs = log_states(connection, meter_id, cycle)
    of_cycle = (cycles.c.meter_id == meter_id) & (cycles.c.start_ms == cycle.start_ms)
    rows = connection.execute(select(stores).join(cycles).where(of_cycle))
    return {
        StoreKey(row.source, row.domain): StoreState(
            row.closed,
            row.ended,
            row.refuted,
            row.followed,
            row.seen_until_ms,
            row.read_until_ms,
            log=logs.get(StoreKey(row.source, row.domain)),
            selection=row.selection,
            selection_since_ms=row.selection_since_ms,
            doubted=row.doubted_ms is not None and not row.ended & CYCLE_MASK,
        )
        for row in rows
    }


def source_statuses(connection: Connection, meter_id: int) -> dict[str, SourceStatus]:
    """Return the status of each source that was ever polled."""
    rows = connection.execute(select(source_status).filter_by(meter_id=meter_id))
    return {row.source: _status(row) for row in rows}


def intervals(connection: Connection, meter_id: int, source: str) -> tuple[Interval, ...]:
    """Return the observed intervals of a source, ascending."""
    rows = connection.execute(
        select(coverage.c.start_ms, coverage.c.end_ms, coverage.c.gap_reason)
        .filter_by(meter_id=meter_id, source=source)
        .order_by(coverage.c.start_ms)
    )
    return tuple(Interval(*row) for row in rows)


def delete_expired_facts(connection: Connection, now_ms: int, *, cycle_lengths: int = 3) -> int:
    """Delete facts about users of cycles that have been Final for so many cycle lengths.

    Counts, statements, tokens and receipts stay. Returns how many cycles were wiped.
    """
    kept_until = cycles.c.closed_ms + cycle_lengths * (cycles.c.end_ms - cycles.c.start_ms)
    expired = select(cycles.c.id).where(
        cycles.c.state == CycleState.FINAL, cycles.c.wiped == 0, kept_until <= now_ms
    )
    wiped = connection.execute(expired).scalars().all()
    for cycle_id in wiped:
        of_cycle = select(stores.c.id).where(stores.c.cycle_id == cycle_id)
        connection.execute(delete(facts).where(facts.c.store_id.in_(of_cycle)))
        connection.execute(update(cycles).where(cycles.c.id == cycle_id).values(wiped=1))
    delete_rosters(connection, now_ms)
    return len(wiped)


def _decided_by_other_rules(row: Row[Any], poll: PollRecord) -> bool:
    """Whether the cycle's statement was decided on under other rules: they are not about it."""
    decided = row.intent_ms is not None and row.rules_digest is not None
    return decided and poll.rules_digest not in {None, row.rules_digest}


def _closed_first(connection: Connection, poll: PollRecord) -> list[Cycle]:
    """Return the cycles that a poll would close, and that no poll before would have closed."""
    if poll.properties.log:
        return []
    found = []
    for cycle, facts_ in poll.facts.items():
        if facts_.ended & CYCLE_MASK:
            store = _store(connection, poll, cycle)
            if store is None or not (store.ended & CYCLE_MASK or store.doubted_ms is not None):
                found.append(cycle)
    return found


def _without_proof(poll: PollRecord) -> PollRecord:
    """Return a poll as one that was not complete: it says who was active, and nothing else."""
    only = {cycle: Facts(one.sure, low=one.low) for cycle, one in poll.facts.items()}
    return replace(poll, facts=only, complete=False)


def _refutes(
    connection: Connection,
    cycle: Cycle,
    poll: PollRecord,
    store: Row[Any],
    found: Facts,
    joined: Joined | None,
    *,
    late: bool,
) -> bool:
    """Keep what a poll's facts refute together with those held; return whether anything is new."""
    properties, seen = poll.properties, Seen(late=late)
    if not properties.ids_stable:
        seen = Seen(store.listed, max(0, store.listed - found.listed) if found.listed else 0)
    elif joined is not None and (
        joined.newest or poll.ended_ms >= cycle.end_ms or store.declaration != poll.declaration
    ):
        seen = seen_in(connection, cycle, properties, store, joined.row)
        # What is known of the store is from before this poll.
        seen = replace(seen, late=late or (seen.late and not store.refuted))
    source, meter_id = poll.store.source, poll.meter_id
    return refute(connection, meter_id, source, poll.declaration, properties, seen, poll.started_ms)


def _told(poll: PollRecord) -> bool:
    """Whether a poll said anything about some cycle."""
    return any(_said(poll, found) for found in poll.facts.values())


def _said(poll: PollRecord, found: Facts) -> bool:
    """Whether a poll said something: what never did is no definition that anything was counted by.

    A source that is written by trial and error counts as of the cycle's start once it works.
    """
    return poll.failure is None or bool(found.sure or found.low)


def _of_another_key(row: Row[Any], poll: PollRecord) -> bool:
    """Whether a poll's pseudonyms cannot be compared with the cycle's, and nobody permitted that.

    With a lost key that an administrator named, its users stay a domain of their own, which no
    other is added to: people are never united or counted twice (MEASUREMENT §7).
    """
    return row.pseudonym_key_id not in {None, poll.pseudonym_key_id, poll.replaced_key_id}


def _note_rules(connection: Connection, row: Row[Any], poll: PollRecord, *, told: bool) -> None:
    """Keep which key and which rules the cycle's facts were made with."""
    if _of_another_key(row, poll):
        raise Stalled(
            "PseudonymKeyChanged",
            f"The cycle's users are counted under pseudonym key {row.pseudonym_key_id}, the Secret "
            f"now holds {poll.pseudonym_key_id}: people would count twice. Restore the former key; "
            f"it may change at a cycle's start only. If it is lost, licenseusage keys new "
            f"pseudonym --replaces {row.pseudonym_key_id} (docs/operations.md).",
        )
    rules = poll.rules_digest if told else None
    changed = rules is not None and row.rules_digest not in {None, rules}
    connection.execute(
        update(cycles)
        .where(cycles.c.id == row.id)
        .values(
            pseudonym_key_id=poll.pseudonym_key_id,
            rules_digest=rules or row.rules_digest,
            rules_changes=row.rules_changes + (changed and row.state != CycleState.FINAL),
        )
    )


def _selects_anew(store: Row[Any], poll: PollRecord) -> bool:
    """Whether who counts has changed since the store's last poll."""
    return poll.selection is not None and store.selection not in {None, poll.selection}


def _counted_since(store: Row[Any], cycle: Cycle, poll: PollRecord) -> int | None:
    """Return since when this definition decides who counts; None: in the whole cycle."""
    if _selects_anew(store, poll):
        return poll.since.get(cycle, poll.started_ms)
    if store.selection is None:
        return poll.since.get(cycle)
    since_ms: int | None = store.selection_since_ms
    return since_ms


def _join_store(
    connection: Connection,
    store: Row[Any],
    cycle: Cycle,
    poll: PollRecord,
    found: Facts,
    roster: Row[Any] | None,
) -> tuple[bool, bool]:
    """Join the facts of a poll.

    Returns:
        Whether something came to be known; and whether it came too late, or went back.
    """
    since_ms = _counted_since(store, cycle, poll)
    if since_ms is not None and poll.since.get(cycle, cycle.start_ms) < since_ms:
        # They may be about time in which another definition decided who counts.
        found = Facts(ended=found.ended)
    added, refuted, unlisted = False, found.refuted, False
    # Whom a failed poll proved active first, by window; a success settles everything before it.
    late: Counter[int] | None = Counter() if poll.failure is not None else None
    if found.sure or found.maybe or found.closed:
        added, refutes, unlisted = join_users(connection, store, found, roster, late)
        refuted |= refutes
    low, full = _numbers(store.low), _numbers(store.full)
    for window, count in found.low.items():
        if late is not None:
            late[window] += max(0, count - low.get(window, 0))
        low[window] = max(low.get(window, 0), count)
    for window, count in found.full.items():
        full[window] = min(full.get(window, count), count)
    told = _said(poll, found)
    anew = told and _selects_anew(store, poll)
    seen_until = poll.ended_ms + poll.clock_skew_ms if told else None
    read_until = seen_until if poll.failure is None else None
    # A log's days are known once they were read, however late.
    succeeded = poll.failure is None and cycle not in poll.readings
    followed = days_followed(cycle, poll.ended_ms, poll.interval_ms) if succeeded else 0
    connection.execute(
        update(stores)
        .where(stores.c.id == store.id)
        .values(
            # Unstable once is unstable for the cycle: listings before and after are not united.
            ids_stable=min(store.ids_stable, int(poll.properties.ids_stable)),
            closed=store.closed | found.closed,
            ended=store.ended | found.ended,
            refuted=store.refuted | refuted,
            followed=store.followed | followed,
            seen_until_ms=_latest(store.seen_until_ms, seen_until),
            read_until_ms=_latest(store.read_until_ms, read_until),
            unsettled=unsettled.joined(store.unsettled, late or {}),
            selection=(poll.selection if told else None) or store.selection,
            selection_changes=store.selection_changes + anew,
            selection_since_ms=since_ms if told else store.selection_since_ms,
            low=json.dumps(low),
            full=json.dumps(full),
            listed=max(store.listed, found.listed),
            declaration=poll.declaration if told else store.declaration,
            unproved=_unproved(store, cycle, poll),
        )
    )
    words = ((store.closed, found.closed), (store.ended, found.ended), (store.refuted, refuted))
    more = any(now & ~held for held, now in words)
    more = more or (low, full) != (_numbers(store.low), _numbers(store.full))
    return added or more, unlisted or bool(refuted)


def _unproved(store: Row[Any], cycle: Cycle, poll: PollRecord) -> str | None:
    """Return why no poll after the cycle's end proves anything, as the newest such poll says.

    A failed one says nothing of it; where it could not be read at all, coverage has a gap.
    """
    late = poll.started_ms - poll.clock_skew_ms >= cycle.end_ms
    known: str | None = store.unproved
    return poll.incomplete if late and poll.failure is None else known


def _store(connection: Connection, poll: PollRecord, cycle: Cycle) -> Any:  # noqa: ANN401
    """Return the row of ``stores`` that a poll's facts go to; None before there is one."""
    of_cycle = (cycles.c.meter_id == poll.meter_id) & (cycles.c.start_ms == cycle.start_ms)
    same = select(stores).join(cycles).where(of_cycle).filter_by(**poll.store._asdict())
    return connection.execute(same).one_or_none()


def _latest(one: int | None, other: int | None) -> int | None:
    return max((ms for ms in (one, other) if ms is not None), default=None)


def _ensure_store(connection: Connection, cycle_id: int, poll: PollRecord) -> Row[Any]:
    same = select(stores).filter_by(cycle_id=cycle_id, **poll.store._asdict())
    row = connection.execute(same).one_or_none()
    if row is None:
        connection.execute(
            insert(stores).values(
                cycle_id=cycle_id,
                ids_stable=int(poll.properties.ids_stable),
                **poll.store._asdict(),
            )
        )
        row = connection.execute(same).one()
    return row


def _extend_coverage(connection: Connection, poll: PollRecord, status: SourceStatus | None) -> None:
    of_source = {"meter_id": poll.meter_id, "source": poll.store.source}
    newest = (
        select(coverage.c.start_ms, coverage.c.end_ms, coverage.c.gap_reason)
        .filter_by(**of_source)
        .order_by(coverage.c.start_ms.desc())
        .limit(1)
    )
    row = connection.execute(newest).one_or_none()
    failure = status.failure.reason if status and status.failure else None
    last = Interval(*row) if row else None
    if last is not None and poll.started_ms < last.start_ms:
        return  # the clock was set back: nothing to add
    seen = extended(last, poll.started_ms, poll.ended_ms, poll.interval_ms, failure)
    write = upsert(coverage).values(
        **of_source, start_ms=seen.start_ms, end_ms=seen.end_ms, gap_reason=seen.gap_reason
    )
    key = [coverage.c.meter_id, coverage.c.source, coverage.c.start_ms]
    connection.execute(write.on_conflict_do_update(key, set_={"end_ms": seen.end_ms}))


def _write_status(connection: Connection, poll: PollRecord, status: SourceStatus | None) -> None:
    values: dict[str, Any] = {
        "last_attempt_ms": poll.started_ms,
        "last_attempt_ended_ms": poll.ended_ms,
        "clock_skew_ms": poll.clock_skew_ms,
    }
    if poll.failure is None:
        values |= {
            "last_success_ms": poll.ended_ms,
            "last_duration_ms": poll.ended_ms - poll.started_ms,
            "size_bytes": poll.size_bytes,
            "listed": poll.listed,
            "counted": poll.counted,
            "skipped": json.dumps(dict(poll.skipped)),
            "provisioned": poll.provisioned,
            "failure_reason": None,
            "failure_message": None,
            "failures": 0,
            "failing_since_ms": None,
        }
    else:
        since = status.failing_since_ms if status else None
        values |= {
            "failure_reason": poll.failure.reason,
            "failure_message": poll.failure.message,
            "failures": (status.failures if status else 0) + 1,
            "failing_since_ms": poll.started_ms if since is None else since,
        }
    if poll.complete:
        values["last_complete_duration_ms"] = poll.ended_ms - poll.started_ms
    key = {"meter_id": poll.meter_id, "source": poll.store.source}
    connection.execute(
        upsert(source_status)
        .values(**key, **values)
        .on_conflict_do_update([source_status.c.meter_id, source_status.c.source], set_=values)
    )


def _status(row: Row[Any]) -> SourceStatus:
    failure = None
    if row.failure_reason is not None:
        failure = PollFailure(row.failure_reason, row.failure_message)
    return SourceStatus(
        source=row.source,
        last_attempt_ms=row.last_attempt_ms,
        last_attempt_ended_ms=row.last_attempt_ended_ms,
        last_success_ms=row.last_success_ms,
        last_duration_ms=row.last_duration_ms,
        last_complete_duration_ms=row.last_complete_duration_ms,
        clock_skew_ms=row.clock_skew_ms,
        size_bytes=row.size_bytes,
        listed=row.listed,
        counted=row.counted,
        skipped=json.loads(row.skipped),
        provisioned=row.provisioned,
        failure=failure,
        failures=row.failures,
        failing_since_ms=row.failing_since_ms,
    )


def _numbers(text: str) -> dict[int, int]:
    numbers: Mapping[str, int] = json.loads(text)
    return {int(window): count for window, count in numbers.items()}
