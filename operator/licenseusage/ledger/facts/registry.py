"""Meters, their terms and cycles, and the clock's high water. Functions of an open transaction."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    Row,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from licenseusage.ledger.records import (
    Amendment,
    ClosingIntent,
    Contradiction,
    CycleRecord,
    CycleState,
    Meter,
    MeterKey,
    Subscribed,
)
from licenseusage.ledger.storage.encoding import load_statement
from licenseusage.ledger.storage.schema import amendments, cycles, grids, ledger, licenses, meters
from licenseusage.metering.cycles import Cycle, Grid, Terms, with_terms

MANUAL = "Manual"
"""In the column ``approval`` of a meter: its reports wait for a person."""

DROPPED = "Dropped"
"""In the column ``daily_facts`` of a meter: its cycles keep of nobody on which days."""

_TURN_MS = 60_000
"""Longer than a look waits for its turn; steps of the clock from 5 s on are counted anyway."""

# What every look reads, made once: building a statement takes longer than running it.
_HIGH_WATER = select(ledger.c.clock_high_water_ms)
_METER = select(meters).where(meters.c.id == bindparam("meter_id"))
_METER_OF_KEY = select(meters).where(
    meters.c.namespace == bindparam("namespace"),
    meters.c.name == bindparam("name"),
    meters.c.product == bindparam("product"),
)
_GRIDS = select(grids).where(grids.c.meter_id == bindparam("meter_id")).order_by(grids.c.from_ms)
_LICENSES = select(licenses.c.subscription, licenses.c.token).where(
    licenses.c.meter_id == bindparam("meter_id")
)
_CYCLES = select(cycles).where(cycles.c.meter_id == bindparam("meter_id"))
_CYCLE = _CYCLES.where(cycles.c.start_ms == bindparam("start_ms"))
_NEWEST_CYCLES = _CYCLES.order_by(cycles.c.start_ms.desc()).limit(bindparam("most", type_=Integer))
_UNFINISHED_CYCLES = _CYCLES.where(cycles.c.state != CycleState.FINAL).order_by(cycles.c.start_ms)
_OLDER_UNFINISHED = (
    select(func.count())
    .select_from(cycles)
    .where(
        cycles.c.meter_id == bindparam("meter_id"),
        cycles.c.start_ms < bindparam("start_ms"),
        cycles.c.state != CycleState.FINAL,
    )
)
_AMENDMENTS = (
    select(amendments)
    .where(amendments.c.cycle_id.in_(bindparam("cycle_ids", expanding=True)))
    .order_by(amendments.c.cycle_id, amendments.c.number)
)


def high_water_ms(connection: Connection) -> int:
    """Return the latest time made durable: a clock behind it has been set back."""
    return int(connection.execute(_HIGH_WATER).scalar_one())


def dated_ms(connection: Connection, now_ms: int) -> int:
    """Return the time that a report made now is given: never before what is durable already.

    Objects are looked at side by side: each look reads the clock once and then waits for its turn
    at the ledger, where another's later reading may have become durable meanwhile. A report dated
    before that would prove a clock that was set back (REPORT_FORMAT §6 rule 5), and none was. A
    clock that is further behind was: then the report says so.
    """
    durable_ms = high_water_ms(connection)
    return durable_ms if now_ms < durable_ms <= now_ms + _TURN_MS else now_ms


def add_clock_step(connection: Connection, step_ms: int) -> None:
    """Count a step of the clock in every cycle that is not Final."""
    column = cycles.c.backward_steps if step_ms < 0 else cycles.c.forward_steps
    seconds = -(-abs(step_ms) // 1000)
    unfinished = cycles.c.state != CycleState.FINAL
    connection.execute(update(cycles).where(unfinished).values({column: column + 1}))
    connection.execute(
        update(cycles)
        .where(unfinished, cycles.c.largest_step_seconds < seconds)
        .values(largest_step_seconds=seconds)
    )


def ensure_meter(connection: Connection, key: MeterKey, now_ms: int) -> Meter:
    """Return the meter, created if absent; a meter marked deleted lives again."""
    row = connection.execute(_METER_OF_KEY, key._asdict()).one_or_none()
    if row is None:
        values = {**key._asdict(), "created_ms": now_ms}
        connection.execute(insert(meters).values(values))
        row = connection.execute(_METER_OF_KEY, key._asdict()).one()
    elif row.deleted_ms is not None:
        connection.execute(update(meters).where(meters.c.id == row.id).values(deleted_ms=None))
        row = connection.execute(_METER_OF_KEY, key._asdict()).one()
    return _meter(connection, row)


def find_meter(connection: Connection, key: MeterKey) -> Meter | None:
    """Return the meter of an object that exists; None: `ensure_meter` has work to do."""
    row = connection.execute(_METER_OF_KEY, key._asdict()).one_or_none()
    return None if row is None or row.deleted_ms is not None else _meter(connection, row)


def all_meters(connection: Connection, namespace: str | None = None) -> tuple[Meter, ...]:
    """Return every meter, also those whose objects are gone, in the order of their creation.

    Args:
        connection: Of an open transaction.
        namespace: Only those of this namespace; None: of all.
    """
    query = select(meters).order_by(meters.c.id)
    if namespace is not None:
        query = query.filter_by(namespace=namespace)
    rows = connection.execute(query).all()
    return tuple(_meter(connection, row) for row in rows)


def one_meter(connection: Connection, meter_id: int) -> Meter:
    """Return a meter that exists."""
    return _meter(connection, connection.execute(_METER, {"meter_id": meter_id}).one())


def delete_meter(connection: Connection, meter_id: int, now_ms: int) -> None:
    """Note that the object is gone; its cycles still end with their reports."""
    alive = (meters.c.id == meter_id) & meters.c.deleted_ms.is_(None)
    connection.execute(update(meters).where(alive).values(deleted_ms=now_ms))


def keep_terms(
    connection: Connection,
    meter_id: int,
    terms: Terms,
    now_ms: int,
    *,
    licensed: Subscribed | None = None,
) -> Meter:
    """Keep verified terms and the licence they came from.

    Other terms than before, or another subscription, act from the end of the running cycle on;
    another licence of the same subscription acts at once.
    """
    meter = one_meter(connection, meter_id)
    subscription = None if licensed is None else licensed.subscription
    changed = with_terms(meter.grids, terms, now_ms, subscription)
    if changed != meter.grids:
        connection.execute(delete(grids).where(grids.c.meter_id == meter_id))
        for grid in changed:
            connection.execute(
                insert(grids).values(
                    meter_id=meter_id,
                    from_ms=grid.from_ms,
                    anchor=grid.terms.anchor.isoformat(),
                    length_days=grid.terms.length_days,
                    length_months=grid.terms.length_months,
                    subscription=grid.subscription,
                )
            )
    if licensed is not None:
        of_it = {"meter_id": meter_id, "subscription": licensed.subscription}
        connection.execute(delete(licenses).filter_by(**of_it))
        connection.execute(insert(licenses).values(**of_it, token=licensed.token))
    connection.execute(
        update(meters).where(meters.c.id == meter_id).values(subscription=subscription)
    )
    return one_meter(connection, meter_id)


def ensure_cycle(connection: Connection, meter_id: int, cycle: Cycle, now_ms: int) -> CycleRecord:
    """Return the record of a cycle, created Open if absent; ``now_ms`` becomes durable with it."""
    return cycle_record(cycle_row(connection, meter_id, cycle))


def cycle_row(connection: Connection, meter_id: int, cycle: Cycle) -> Row[Any]:
    """Return the row of a cycle, created Open if absent."""
    same = {"meter_id": meter_id, "start_ms": cycle.start_ms}
    row = connection.execute(_CYCLE, same).one_or_none()
    if row is None:
        kept = select(meters.c.daily_facts).where(meters.c.id == meter_id)
        connection.execute(
            insert(cycles).values(
                meter_id=meter_id,
                cycle_index=cycle.index,
                start_ms=cycle.start_ms,
                end_ms=cycle.end_ms,
                state=CycleState.OPEN,
                days_dropped=connection.execute(kept).scalar_one() == DROPPED,
            )
        )
        row = connection.execute(_CYCLE, same).one()
    return row


def newest_cycles(
    connection: Connection, meter_id: int, limit: int = 14
) -> tuple[CycleRecord, ...]:
    """Return the newest cycles, newest first."""
    rows = connection.execute(_NEWEST_CYCLES, {"meter_id": meter_id, "most": limit}).all()
    amended = amendments_of(connection, [row.id for row in rows])
    return tuple(cycle_record(row, amended.get(row.id, ())) for row in rows)


def unfinished_cycles(connection: Connection, meter_id: int) -> tuple[CycleRecord, ...]:
    """Return the cycles that are not Final, oldest first."""
    rows = connection.execute(_UNFINISHED_CYCLES, {"meter_id": meter_id})
    return tuple(cycle_record(row) for row in rows)


def older_unfinished(connection: Connection, meter_id: int, cycle: Cycle) -> int:
    """Return how many cycles before ``cycle`` are not Final."""
    before = {"meter_id": meter_id, "start_ms": cycle.start_ms}
    return int(connection.execute(_OLDER_UNFINISHED, before).scalar_one())


def amendments_of(
    connection: Connection, cycle_ids: Sequence[int]
) -> dict[int, tuple[Amendment, ...]]:
    """Return the amendments of those cycles that have any, in order."""
    by_cycle: dict[int, tuple[Amendment, ...]] = {}
    for row in connection.execute(_AMENDMENTS, {"cycle_ids": cycle_ids}):
        amendment = Amendment(row.at_ms, row.reason, row.words, load_statement(row.statement))
        by_cycle[row.cycle_id] = (*by_cycle.get(row.cycle_id, ()), amendment)
    return by_cycle


def cycle_record(row: Row[Any], amended: tuple[Amendment, ...] = ()) -> CycleRecord:
    """Return the record of a row of ``cycles`` with its amendments."""
    statement = load_statement(row.statement) if row.statement else None
    intent = None
    if row.intent_ms is not None and statement is not None:
        intent = ClosingIntent(
            row.intent_ms, row.intent_reason, statement, row.intent_high_water_ms
        )
    contradiction = None
    if row.contradiction_ms is not None:
        contradiction = Contradiction(row.contradiction_ms, row.contradiction_words)
    final = row.state == CycleState.FINAL
    return CycleRecord(
        meter_id=row.meter_id,
        cycle=Cycle(row.cycle_index, row.start_ms, row.end_ms),
        state=CycleState(row.state),
        intent=intent,
        statement=statement if final else None,
        closed_ms=row.closed_ms,
        interim_slot=row.interim_slot,
        pseudonym_key_id=row.pseudonym_key_id,
        rules_digest=row.rules_digest,
        rules_changes=row.rules_changes,
        backward_steps=row.backward_steps,
        forward_steps=row.forward_steps,
        largest_step_seconds=row.largest_step_seconds,
        wiped=bool(row.wiped),
        sealed=bool(row.sealed),
        evidence=row.evidence,
        amendments=amended,
        contradiction=contradiction,
    )


def _meter(connection: Connection, row: Row[Any]) -> Meter:
    of_meter = {"meter_id": row.id}
    return Meter(
        id=row.id,
        key=MeterKey(row.namespace, row.name, row.product),
        grids=tuple(
            Grid(
                grid.from_ms,
                Terms(date.fromisoformat(grid.anchor), grid.length_days, grid.length_months),
                grid.subscription,
            )
            for grid in connection.execute(_GRIDS, of_meter)
        ),
        subscription=row.subscription,
        licenses={name: token for name, token in connection.execute(_LICENSES, of_meter)},
        deleted_ms=row.deleted_ms,
        approval=row.approval == MANUAL,
        days_dropped=row.daily_facts == DROPPED,
    )
