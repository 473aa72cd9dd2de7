"""Is a ledger in order? Every rule that its rows must keep, asked of a file that is only read."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, func, select, text

from licenseusage import __version__
from licenseusage.ledger.facts.statements import make_statement
from licenseusage.ledger.records import CycleState
from licenseusage.ledger.storage import schema
from licenseusage.ledger.storage.copying import connected, nothing_to_tell, reading
from licenseusage.ledger.storage.encoding import load_statement
from licenseusage.ledger.storage.faults import Corrupt
from licenseusage.ledger.storage.schema import (
    amendments,
    cycles,
    facts,
    meters,
    refutations,
    stores,
)
from licenseusage.ledger.upkeep.chainchecks import check_chains, check_commitments
from licenseusage.ledger.upkeep.samplechecks import check_samples
from licenseusage.ledger.upkeep.snapshot import identity_of
from licenseusage.metering.bounds import Bounds
from licenseusage.metering.cycles import Cycle

_TOLD = 3


class Level(StrEnum):
    """Outcome of one check."""

    GOOD = "ok"
    BAD = "FAILED"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check.

    Attributes:
        check: Its name.
        level: Its outcome.
        message: For people: what was looked at, or what was seen where.
    """

    check: str
    level: Level
    message: str


def check_ledger(
    path: Path, progress: Callable[[int, int], None] = nothing_to_tell
) -> tuple[CheckResult, ...]:
    """Check a ledger, even while it is written; this writes nothing.

    Args:
        path: The ledger or a backup of one.
        progress: Hears of checks.

    Raises:
        Retryable: It cannot be read.
    """
    try:
        with reading(path) as connection:
            return tuple(_results(connection, progress))
    except Corrupt as error:  # no ledger at all, or damaged where every program looks first
        return (CheckResult("file", Level.BAD, error.seen),)


def _results(
    raw: sqlite3.Connection, progress: Callable[[int, int], None]
) -> Iterator[CheckResult]:
    total = len(_CHECKS) + 2
    pages = [str(row[0]) for row in raw.execute(f"PRAGMA integrity_check({_TOLD})")]
    size = raw.execute("PRAGMA page_count").fetchone()[0]
    progress(1, total)
    if pages != ["ok"]:
        yield CheckResult("file", Level.BAD, "; ".join(pages))
        return
    yield CheckResult("file", Level.GOOD, f"every one of its {size} pages can be read")
    identity = identity_of(raw)
    version = identity.schema_version
    written = f"schema {version}, written by licenseusage {identity.written_by or '(unknown)'}"
    progress(2, total)
    if version != schema.VERSION:
        then = "the operator brings it up to date" if version < schema.VERSION else "too new"
        known = f"licenseusage {__version__} knows schema {schema.VERSION}"
        yield CheckResult("schema", Level.NOT_CHECKED, f"{written}; {known}: {then}")
        return
    yield CheckResult("schema", Level.GOOD, written)
    with connected(raw) as connection:
        for number, (name, check) in enumerate(_CHECKS, 3):
            outcome = check(connection)
            words = outcome if isinstance(outcome, str) else _several(outcome)
            level = Level.GOOD if isinstance(outcome, str) else Level.BAD
            yield CheckResult(name, level, words)
            progress(number, total)


def _several(faults: list[str]) -> str:
    more = f"; and {len(faults) - _TOLD} more" if len(faults) > _TOLD else ""
    return "; ".join(faults[:_TOLD]) + more


Outcome = str | list[str]
"""A sentence about the checked rows, or every fault."""


def _outcome(faults: Iterable[str], good: str) -> Outcome:
    return list(faults) or good


def _references(connection: Connection) -> Outcome:
    rows = connection.execute(text("PRAGMA foreign_key_check")).all()
    faults = [f"a row of {row[0]} points to no row of {row[2]}" for row in rows]
    unlicensed = text("""
        WITH named AS (
            SELECT id AS meter_id, subscription FROM meters WHERE subscription IS NOT NULL UNION
            SELECT meter_id, subscription FROM grids WHERE subscription IS NOT NULL)
        SELECT * FROM named EXCEPT SELECT meter_id, subscription FROM licenses""")
    missing = connection.execute(unlicensed)
    faults += [f"the licence of subscription {row.subscription} is missing" for row in missing]
    return _outcome(faults, "every row points to one that exists")


def _facts(connection: Connection) -> Outcome:
    """Words only of the cycle's windows, each user with a bit, nobody after the facts' deletion."""
    rows = connection.execute(
        text("""
        WITH held AS (
            SELECT f.pseudonym, f.sure, f.maybe, s.closed, c.wiped, c.days_dropped,
                   ((1 << ((c.end_ms - c.start_ms) / 86400000)) - 1) | (1 << 62) AS windows
            FROM facts f JOIN stores s ON s.id = f.store_id JOIN cycles c ON c.id = s.cycle_id)
        SELECT count(*) AS users,
               sum(length(pseudonym) <> 16) AS misnamed,
               sum((sure | maybe) & ~windows <> 0) AS outside,
               sum(sure | maybe = 0) AS empty,
               sum(sure & maybe <> 0) AS doubled,
               sum(sure <> 0 AND sure >> 62 & 1 = 0) AS daily,
               sum(maybe & ~closed <> 0) AS unclosed,
               sum(days_dropped AND (sure | maybe) & ~(1 << 62) <> 0) AS dated,
               sum(wiped) AS wiped
        FROM held""")
    ).one()
    meanings = {
        "misnamed": "are not named by a pseudonym of 16 bytes",
        "outside": "have a bit outside the cycle's days",
        "empty": "have no bit at all",
        "doubled": "are sure and maybe in one window",
        "daily": "are sure on a day and not in the cycle",
        "unclosed": "are maybe in a window that is not closed",
        "dated": "have a bit of a day in cycles that keep none",
        "wiped": "are held in cycles whose facts were deleted",
    }
    faults = [
        f"{getattr(row, name)} users {why}"
        for name, why in meanings.items()
        for row in [rows]
        if getattr(row, name)
    ]
    listed = connection.execute(
        text(
            "SELECT count(*), sum(length(pseudonym) <> 16 OR word NOT BETWEEN 0 AND 127)"
            " FROM roster_users"
        )
    ).one()
    if listed[1]:
        faults.append(f"{listed[1]} users of rosters have no pseudonym or an unknown word")
    return _outcome(faults, f"{rows.users} users with facts, {listed[0]} on rosters")


def _cycles(connection: Connection) -> Outcome:
    """Cycles follow each other, are closed in order, and each is decided on once."""
    faults, count = [], 0
    before: Row[Any] | None = None
    for row in connection.execute(_cycle_rows()):
        count += 1
        where = _named(row)
        last = before if before is not None and before.meter_id == row.meter_id else None
        final = row.state == CycleState.FINAL
        if last is not None and row.start_ms < last.end_ms:
            faults.append(f"{where} begins before the one before it ends")
        if last is not None and final and last.state != CycleState.FINAL:
            faults.append(f"{where} is Final, and the one before it is {last.state}")
        if final and (row.intent_ms is None or row.statement is None or row.closed_ms is None):
            faults.append(f"{where} is Final without a decision or a statement")
        if row.state == CycleState.OPEN and row.intent_ms is not None:
            faults.append(f"{where} is Open, and there is a decision to close it")
        if (row.intent_ms is None) != (row.statement is None):
            faults.append(f"{where} has a decision without a statement, or the reverse")
        before = row
    return _outcome(faults, f"{count} cycles, closed in order")


def _statements(connection: Connection) -> Outcome:
    """Statements can be derived again: facts can only narrow them."""
    faults, count, wiped = [], 0, 0
    for row in connection.execute(_cycle_rows().where(cycles.c.statement.is_not(None))):
        where = _named(row)
        try:
            stated = load_statement(row.statement)
        except (ValueError, KeyError, TypeError) as error:
            faults.append(f"{where}: its statement cannot be read ({type(error).__name__})")
            continue
        count += 1
        cycle = Cycle(row.cycle_index, row.start_ms, row.end_ms)
        if stated.cycle != cycle:
            faults.append(f"{where}: its statement is about another cycle")
            continue
        if row.wiped:
            wiped += 1
            continue
        # What was refuted meanwhile takes nothing away from what was stated before.
        now = make_statement(
            connection, row.meter_id, cycle, sources=(), as_of_ms=cycle.end_ms, against=()
        )
        # What was stated from facts that are lost, these facts need not bear out.
        upper = None if row.reported is not None else _possible(connection, row.id)
        amended, unread = _amendments(connection, row.id)
        faults += [f"{where}: {fault}" for fault in unread]
        count += len(amended)
        for bounds in (stated.bounds, *amended):
            if now.bounds.lower < bounds.lower:
                faults.append(
                    f"{where}: at least {bounds.lower} was stated, "
                    f"the facts prove {now.bounds.lower}"
                )
            if upper is not None and bounds.upper is not None and upper > bounds.upper:
                faults.append(
                    f"{where}: at most {bounds.upper} was stated, the facts leave {upper}"
                )
    kept = f"; of {wiped} the facts were deleted after their retention" if wiped else ""
    return _outcome(faults, f"{count} statements, borne out by the facts{kept}")


def _amendments(connection: Connection, cycle_id: int) -> tuple[list[Bounds], list[str]]:
    """Return what the amendments of a cycle state, and what is wrong with them as such."""
    stated: list[Bounds] = []
    query = select(amendments).filter_by(cycle_id=cycle_id).order_by(amendments.c.number)
    for number, row in enumerate(connection.execute(query).all(), 1):
        if row.number != number:
            return stated, [f"amendment {number} is missing"]
        try:
            stated.append(load_statement(row.statement).bounds)
        except (ValueError, KeyError, TypeError) as error:
            return stated, [f"amendment {number} cannot be read ({type(error).__name__})"]
    return stated, []


def _possible(connection: Connection, cycle_id: int) -> Any:  # noqa: ANN401 - int or None
    """Count whom the facts of a cycle's only store leave possible; None where they do not say.

    Who counts, and how several stores belong together, is declared in the object and not here.
    """
    rows = connection.execute(select(stores).where(stores.c.cycle_id == cycle_id)).all()
    if len(rows) != 1 or not rows[0].closed >> 62 & 1 or rows[0].selection_changes:
        return None
    of_source = (cycles.c.id == cycle_id) & (refutations.c.source == rows[0].source)
    query = select(refutations.c.at_ms).join(cycles, cycles.c.meter_id == refutations.c.meter_id)
    if rows[0].refuted or connection.execute(query.where(of_source)).first() is not None:
        return None  # a guarantee turned out false: told in the status, and no fault of the ledger
    if not rows[0].ids_stable:
        return json.loads(rows[0].full).get("62")
    listed = (facts.c.sure != 0) | (facts.c.maybe.bitwise_and(1 << 62) != 0)
    query = select(func.count()).select_from(facts).where(facts.c.store_id == rows[0].id, listed)
    return connection.execute(query).scalar_one()


def _coverage(connection: Connection) -> Outcome:
    rows = connection.execute(
        text("""
        SELECT m.namespace, m.name, c.source, c.start_ms, c.end_ms,
               lag(c.end_ms) OVER (PARTITION BY c.meter_id, c.source ORDER BY c.start_ms) AS before
        FROM coverage c JOIN meters m ON m.id = c.meter_id""")
    ).all()
    faults = [
        f"source {row.source} of {row.namespace}/{row.name} is observed twice, or backwards, at "
        f"{row.start_ms}"
        for row in rows
        if row.end_ms < row.start_ms or (row.before is not None and row.start_ms < row.before)
    ]
    return _outcome(faults, f"{len(rows)} spans observed, apart from each other")


def _logs(connection: Connection) -> Outcome:
    """Ranges of event logs lie apart; what is known of one is known of a cycle's store."""
    rows = connection.execute(
        text("""
        SELECT store_id, start_ms, end_ms,
               lag(end_ms) OVER (PARTITION BY store_id ORDER BY start_ms) AS before
        FROM log_ranges""")
    ).all()
    faults = [
        f"the log of store {row.store_id} is read twice, or backwards, at {row.start_ms}"
        for row in rows
        if row.end_ms <= row.start_ms or (row.before is not None and row.start_ms <= row.before)
    ]
    return _outcome(faults, f"{len(rows)} spans of event logs read, apart from each other")


def _clock(connection: Connection) -> Outcome:
    """Nothing is dated after the latest time that was made durable."""
    row = connection.execute(
        text("""
        SELECT clock_high_water_ms AS high,
               (SELECT max(created_ms) FROM outbox) AS signed,
               (SELECT max(max(coalesce(intent_ms, 0), coalesce(closed_ms, 0))) FROM cycles)
               AS closed
        FROM ledger""")
    ).one()
    faults = [
        f"{what} at {at}, after the latest time known, {row.high}"
        for what, at in (("a report was signed", row.signed), ("a cycle was closed", row.closed))
        if at is not None and at > row.high
    ]
    return _outcome(faults, "nothing is dated after the latest time known")


def _cycle_rows() -> Any:  # noqa: ANN401 - a Select of many columns
    names = (meters.c.namespace, meters.c.name, meters.c.product)
    return select(cycles, *names).join(meters).order_by(cycles.c.meter_id, cycles.c.start_ms)


def _named(row: Row[Any]) -> str:
    return f"cycle {row.cycle_index} of {row.namespace}/{row.name} ({row.product})"


def _chains(connection: Connection) -> Outcome:
    faults, good = check_chains(connection)
    return _outcome(faults, good)


def _commitments(connection: Connection) -> Outcome:
    faults, good = check_commitments(connection)
    return _outcome(faults, good)


def _samples(connection: Connection) -> Outcome:
    faults, good = check_samples(connection)
    return _outcome(faults, good)


_CHECKS: tuple[tuple[str, Callable[[Connection], Outcome]], ...] = (
    ("references", _references),
    ("facts", _facts),
    ("cycles", _cycles),
    ("statements", _statements),
    ("chains", _chains),
    ("commitments", _commitments),
    ("coverage", _coverage),
    ("logs", _logs),
    ("numbers", _samples),
    ("clock", _clock),
)
