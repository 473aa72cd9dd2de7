"""The rows that a poll writes: facts, words of its store, evidence about ended cycles.

Functions of an open transaction; one poll is recorded in one transaction.
"""

from collections import Counter
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, update

from licenseusage.errors import Stalled
from licenseusage.ledger.facts import unsettled
from licenseusage.ledger.facts.claims import record_claims
from licenseusage.ledger.facts.listedbefore import Compared, compared, note_list
from licenseusage.ledger.facts.logs import record_reading
from licenseusage.ledger.facts.refutations import lift, note_logs, refute, seen_in
from licenseusage.ledger.facts.registry import cycle_row
from licenseusage.ledger.facts.rosters import Joined, join_roster, rosters_of
from licenseusage.ledger.facts.samples import record_samples
from licenseusage.ledger.facts.sources import note_poll
from licenseusage.ledger.facts.stores import columns_of, ensure_store, find_store, state_of
from licenseusage.ledger.facts.users import join_users
from licenseusage.ledger.records import CycleState, PollRecord
from licenseusage.ledger.storage.schema import cycles, stores
from licenseusage.metering.accrual import PollOfStore, accrued, adds
from licenseusage.metering.cycles import CYCLE_MASK, Cycle
from licenseusage.metering.definitions import differ, evidence_counts
from licenseusage.metering.facts import Facts, without_days
from licenseusage.metering.refuting import Seen
from licenseusage.metering.rolling import rows_fit
from licenseusage.reasons import Reason

_CHANGE_CYCLE = update(cycles).where(cycles.c.id == bindparam("of_id"))
_MORE_EVIDENCE = _CHANGE_CYCLE.values(evidence=cycles.c.evidence + 1)
_CHANGE_STORE = update(stores).where(stores.c.id == bindparam("of_id"))


def record_poll(connection: Connection, poll: PollRecord, now_ms: int) -> bool:
    """Make one poll durable: facts of all its cycles, closed words, coverage, source status.

    Also the position of an event log. Cycles that have no record yet are created Open. Facts for a
    cycle whose facts were deleted are dropped, and so are those for one that somebody was erased
    from: nobody can say whether he is among them.

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
    if any(_of_store(poll, cycle).tells(facts) for cycle, facts in poll.facts.items()):
        lift(connection, poll.meter_id, poll.store.source, poll.declaration, poll.started_ms)
    note_logs(connection, poll)
    decides = True
    closing = _closed_first(connection, poll)
    if closing:
        attempt = connection.begin_nested()
        recorded = _record_facts(connection, poll)
        if recorded.refutes:
            attempt.rollback()
            poll, decides = _without_proof(poll), False
            recorded = _record_facts(connection, poll)
            doubted = stores.c.id.in_(find_store(connection, poll, cycle).id for cycle in closing)
            connection.execute(update(stores).where(doubted).values(doubted_ms=poll.started_ms))
        else:
            attempt.commit()
    else:
        recorded = _record_facts(connection, poll)
    if recorded.at_once:
        skipped = {**poll.skipped, Reason.CAME_AT_ONCE: recorded.at_once}
        poll = replace(poll, skipped=skipped)
    note_poll(connection, poll)
    return decides


class _Recorded(NamedTuple):
    """What came of the facts of a poll.

    Attributes:
        refutes: They refute what is declared.
        at_once: So many came to a list without times at once that none of them counts.
    """

    refutes: bool
    at_once: int


def _record_facts(connection: Connection, poll: PollRecord) -> _Recorded:
    """Record what a poll says of each cycle."""
    refutes, at_once, untimed = False, 0, poll.properties.window is not None
    for cycle, facts in poll.facts.items():
        if cycle.start_ms > poll.ended_ms:
            # Only for its first roster: other terms may still make it another cycle.
            listing = poll.listing or poll.selection
            joined = join_roster(
                connection, poll.meter_id, cycle, poll.store, facts.roster, listing
            )
            if untimed and joined is not None and facts.roster is not None:
                note_list(connection, joined.row.id, poll, facts.roster, returned=False)
            continue
        row = cycle_row(connection, poll.meter_id, cycle)
        decided = row.intent_ms is not None
        closed = row.wiped or row.sealed
        if closed or (decided and not evidence_counts(row.rules_digest, poll.rules_digest)):
            continue
        if _of_another_key(row, poll) and poll.started_ms >= cycle.end_ms and len(poll.facts) > 1:
            continue  # the key changed with the cycle: the next one is not held up by this one
        store = ensure_store(connection, row.id, poll)
        if differ(store.selection, poll.selection) and poll.started_ms >= cycle.end_ms:
            continue  # another definition of who counts, which began when the cycle was over
        _note_rules(connection, row, poll, tells=_of_store(poll, cycle).tells(facts))
        roster = rosters_of(connection, poll.meter_id, cycle).get(poll.store)
        comparison = Compared(facts)
        if untimed:
            comparison = compared(connection, store.id, cycle, poll, facts, roster)
            at_once = max(at_once, comparison.at_once)
        facts = comparison.facts
        if row.days_dropped:
            facts = without_days(facts, by_days=untimed)
        added, late = _join_store(connection, store, cycle, poll, facts, roster)
        if poll.failure is None:
            unsettled.settle(connection, row.id, poll.ended_ms + poll.clock_skew_ms)
        listing = poll.listing or poll.selection
        joined = join_roster(connection, poll.meter_id, cycle, poll.store, facts.roster, listing)
        added |= joined is not None and joined.more
        if untimed and joined is not None and facts.roster is not None:
            note_list(connection, joined.row.id, poll, facts.roster, returned=comparison.returned)
        if (reading := poll.readings.get(cycle)) is not None:
            added |= record_reading(connection, store.id, cycle, poll.properties, reading)
        if (numbers := poll.samples.get(cycle)) is not None:
            since_ms = _of_store(poll, cycle).since_ms(state_of(store))
            added |= record_samples(connection, store.id, cycle, numbers, since_ms)
        if poll.pushed is not None:
            added |= record_claims(connection, store.id, cycle, poll.properties, poll.pushed)
        refutes |= _refutes(connection, cycle, poll, store, facts, joined, late=late)
        if added and row.intent_ms is not None:
            connection.execute(_MORE_EVIDENCE, {"of_id": row.id})
    return _Recorded(refutes, at_once)


def _closed_first(connection: Connection, poll: PollRecord) -> list[Cycle]:
    """Return the cycles that a poll would close, and that no poll before would have closed."""
    if poll.properties.log:
        return []
    closing = []
    for cycle, facts in poll.facts.items():
        if facts.ended & CYCLE_MASK:
            store = find_store(connection, poll, cycle)
            if store is None or not (store.ended & CYCLE_MASK or store.doubted_ms is not None):
                closing.append(cycle)
    return closing


def _without_proof(poll: PollRecord) -> PollRecord:
    """Return a poll as one that was not complete: it says who was active, and nothing else."""
    only = {cycle: Facts(facts.sure, low=facts.low) for cycle, facts in poll.facts.items()}
    return replace(poll, facts=only, complete=False)


def _refutes(
    connection: Connection,
    cycle: Cycle,
    poll: PollRecord,
    store: Row[Any],
    facts: Facts,
    joined: Joined | None,
    *,
    late: bool,
) -> bool:
    """Keep what a poll's facts refute together with those held; return whether anything is new."""
    properties, seen = poll.properties, Seen(late=late)
    if properties.window is not None:
        pass  # users leave it: what refutes it was found with their days (`metering.rolling`)
    elif not properties.ids_stable:
        seen = Seen(store.listed, max(0, store.listed - facts.listed) if facts.listed else 0)
    elif joined is not None and (
        joined.newest or poll.ended_ms >= cycle.end_ms or store.declaration != poll.declaration
    ):
        seen = seen_in(connection, cycle, properties, store, joined.row)
        # What is known of the store is from before this poll.
        seen = replace(seen, late=late or (seen.late and not store.refuted))
    source, meter_id = poll.store.source, poll.meter_id
    return refute(connection, meter_id, source, poll.declaration, properties, seen, poll.started_ms)


def _of_another_key(row: Row[Any], poll: PollRecord) -> bool:
    """Whether a poll's pseudonyms cannot be compared with the cycle's, and nobody permitted that.

    With a lost key that an administrator named, its users stay a domain of their own, which no
    other is added to: people are never united or counted twice (MEASUREMENT §7).
    """
    if poll.store.of_numbers:
        return False  # it names nobody
    return row.pseudonym_key_id not in {None, poll.pseudonym_key_id, poll.replaced_key_id}


def _note_rules(connection: Connection, row: Row[Any], poll: PollRecord, *, tells: bool) -> None:
    """Keep which key and which rules the cycle's facts were made with."""
    if _of_another_key(row, poll):
        raise Stalled(
            Reason.PSEUDONYM_KEY_CHANGED,
            f"The cycle's users are counted under pseudonym key {row.pseudonym_key_id}, the Secret "
            f"now holds {poll.pseudonym_key_id}: people would count twice. Restore the former key; "
            f"it may change at a cycle's start only. If it is lost, licenseusage keys new "
            f"pseudonym --replaces {row.pseudonym_key_id} (docs/operations.md).",
        )
    rules = poll.rules_digest if tells else None
    changed = differ(row.rules_digest, rules)
    key_id = row.pseudonym_key_id if poll.store.of_numbers else poll.pseudonym_key_id
    now = {
        "pseudonym_key_id": key_id,
        "rules_digest": rules or row.rules_digest,
        "rules_changes": row.rules_changes + (changed and row.state != CycleState.FINAL),
    }
    connection.execute(_CHANGE_CYCLE, {"of_id": row.id, **now})


def _join_store(
    connection: Connection,
    store: Row[Any],
    cycle: Cycle,
    poll: PollRecord,
    facts: Facts,
    roster: Row[Any] | None,
) -> tuple[bool, bool]:
    """Join the facts of a poll.

    Returns:
        Whether something came to be known; and whether it came too late, or went back.
    """
    of_store = _of_store(poll, cycle)
    before = state_of(store)
    facts = of_store.usable(before, cycle, facts)
    added, refuted, unlisted = False, facts.refuted, False
    # Whom a failed poll proved active first, by window; a success settles everything before it.
    late: Counter[int] | None = Counter() if poll.failure is not None else None
    if facts.sure or facts.maybe or facts.closed:
        untimed = poll.properties.window is not None
        added, refutes, unlisted = join_users(
            connection, store, facts, roster, late, untimed=untimed
        )
        refuted |= refutes
    if late is not None:
        late.update({w: max(0, n - before.low.get(w, 0)) for w, n in facts.low.items()})
    after = accrued(before, cycle, of_store, facts, refuted)
    now = {
        **columns_of(after),
        "unsettled": unsettled.joined(store.unsettled, late or {}),
        "listed": max(store.listed, facts.listed),
        "declaration": poll.declaration if of_store.tells(facts) else store.declaration,
    }
    connection.execute(_CHANGE_STORE, {"of_id": store.id, **now})
    return added or adds(before, after), unlisted or bool(refuted)


def _of_store(poll: PollRecord, cycle: Cycle) -> PollOfStore:
    """Return what a poll is for a store of one cycle."""
    return PollOfStore(
        started_ms=poll.started_ms,
        ended_ms=poll.ended_ms,
        clock_skew_ms=poll.clock_skew_ms,
        interval_ms=poll.interval_ms,
        succeeded=poll.failure is None,
        ids_stable=poll.properties.ids_stable,
        by_log=cycle in poll.readings or poll.pushed is not None,
        selection=poll.selection,
        planned_ms=poll.since.get(cycle),
        incomplete=poll.incomplete,
        by_rows=None if poll.properties.window is None else rows_fit(cycle, poll.properties),
    )
