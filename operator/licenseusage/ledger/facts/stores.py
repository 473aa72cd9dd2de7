"""Rows of stores: the state of each source in one cycle, besides its users.

Functions of an open transaction.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select

from licenseusage.ledger.facts.logs import log_of
from licenseusage.ledger.facts.rosters import rosters_of
from licenseusage.ledger.records import PollRecord
from licenseusage.ledger.storage.schema import cycles, log_positions, stores
from licenseusage.metering.cycles import CYCLE_MASK, Cycle
from licenseusage.metering.definitions import Definition
from licenseusage.metering.events import LogState
from licenseusage.metering.stores import StoreKey, StoreState

_of_cycle = (cycles.c.meter_id == bindparam("meter_id")) & (
    cycles.c.start_ms == bindparam("start_ms")
)
_named = (stores.c.source == bindparam("source")) & (stores.c.domain == bindparam("domain"))
# Each store with how far its log was read, if it has one.
_ROWS = (
    select(stores, log_positions)
    .join(cycles, cycles.c.id == stores.c.cycle_id)
    .outerjoin(log_positions, log_positions.c.store_id == stores.c.id)
    .where(_of_cycle)
    .order_by(stores.c.id)
)
_NAMED = select(stores).join(cycles).where(_of_cycle, _named)
_OF_CYCLE = select(stores).where(stores.c.cycle_id == bindparam("cycle_id"), _named)


def store_states(connection: Connection, meter_id: int, cycle: Cycle) -> dict[StoreKey, StoreState]:
    """Return what is known of every store of a cycle: where its next poll goes on from."""
    rows = store_rows(connection, meter_id, cycle)
    lists = rosters_of(connection, meter_id, cycle) if _untimed(rows) else {}
    return {
        key: state_of(row, log_of(connection, row), lists.get(key)) for key, row in rows.items()
    }


def _untimed(rows: Mapping[StoreKey, Row[Any]]) -> bool:
    return any(row.by_rows is not None for row in rows.values())


def store_rows(connection: Connection, meter_id: int, cycle: Cycle) -> dict[StoreKey, Row[Any]]:
    """Return the rows of every store of a cycle, in the order in which they were begun.

    Each with its row of ``log_positions``; of null where the store has no log.
    """
    rows = connection.execute(_ROWS, {"meter_id": meter_id, "start_ms": cycle.start_ms})
    return {StoreKey(row.source, row.domain): row for row in rows}


def state_of(
    row: Row[Any], log: LogState | None = None, roster: Row[Any] | None = None
) -> StoreState:
    """Return a row of ``stores`` as a value, with what is known of its log or list."""
    return StoreState(
        closed=row.closed,
        ended=row.ended,
        refuted=row.refuted,
        followed=row.followed,
        seen_until_ms=row.seen_until_ms,
        read_until_ms=row.read_until_ms,
        log=log,
        definition=Definition(row.selection, row.selection_since_ms),
        redefinitions=row.selection_changes,
        doubted=row.doubted_ms is not None and not row.ended & CYCLE_MASK,
        ids_stable=bool(row.ids_stable),
        low=_numbers(row.low),
        full=_numbers(row.full),
        unproved=row.unproved,
        by_rows=None if row.by_rows is None else bool(row.by_rows),
        forgets=roster is not None and roster.returned_ms is not None,
    )


def columns_of(state: StoreState) -> dict[str, Any]:
    """Return the columns of ``stores`` that say it; see `state_of`."""
    return {
        "closed": state.closed,
        "ended": state.ended,
        "refuted": state.refuted,
        "followed": state.followed,
        "seen_until_ms": state.seen_until_ms,
        "read_until_ms": state.read_until_ms,
        "selection": state.definition.digest,
        "selection_since_ms": state.definition.since_ms,
        "selection_changes": state.redefinitions,
        "ids_stable": int(state.ids_stable),
        "low": json.dumps(dict(state.low)),
        "full": json.dumps(dict(state.full)),
        "unproved": state.unproved,
        "by_rows": None if state.by_rows is None else int(state.by_rows),
    }


def find_store(connection: Connection, poll: PollRecord, cycle: Cycle) -> Any:  # noqa: ANN401
    """Return the row of ``stores`` that a poll's facts go to; None before there is one."""
    of_cycle = {"meter_id": poll.meter_id, "start_ms": cycle.start_ms}
    return connection.execute(_NAMED, of_cycle | poll.store._asdict()).one_or_none()


def ensure_store(connection: Connection, cycle_id: int, poll: PollRecord) -> Row[Any]:
    """Return the row of ``stores`` that a poll's facts go to, made if absent."""
    same = {"cycle_id": cycle_id, **poll.store._asdict()}
    row = connection.execute(_OF_CYCLE, same).one_or_none()
    if row is None:
        values = {**same, "ids_stable": int(poll.properties.ids_stable)}
        connection.execute(insert(stores).values(values))
        row = connection.execute(_OF_CYCLE, same).one()
    return row


def _numbers(text: str) -> dict[int, int]:
    numbers: Mapping[str, int] = json.loads(text)
    return {int(window): count for window, count in numbers.items()}
