"""What is written after a cycle's final: amendments, and evidence that contradicts it.

Functions of an open transaction. An amendment's statement, its report and its outbox row are one
transaction, as at the close; what is signed narrows what is in force in that very transaction, so
that a repetition after a crash finds nothing left to do.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, insert, update

from licenseusage.ledger.documents.closing import Signing, sign_report
from licenseusage.ledger.documents.issued import statements_of
from licenseusage.ledger.documents.records import Link, OutboxItem, ReportKind, Superseded
from licenseusage.ledger.facts.registry import (
    amendments_of,
    cycle_record,
    dated_ms,
    ensure_cycle,
    high_water_ms,
)
from licenseusage.ledger.records import (
    Amendment,
    ClosingIntent,
    Contradiction,
    CycleRecord,
    CycleState,
)
from licenseusage.ledger.storage.encoding import dump_statement
from licenseusage.ledger.storage.schema import amendments, cycles
from licenseusage.metering.amendment import NEW_EVIDENCE, narrows
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.statement import CycleStatement


def amend_cycle(
    connection: Connection,
    meter_id: int,
    cycle: Cycle,
    statement: CycleStatement,
    words: str,
    now_ms: int,
    signing: Signing | None,
) -> Amendment | None:
    """State less than before about a Final cycle; see ``Ledger.amend_cycle``."""
    row = ensure_cycle(connection, meter_id, cycle)
    record = _record(connection, meter_id, cycle)
    stated, at_ms = record.stated, dated_ms(connection, now_ms)
    standing = record.state is CycleState.FINAL and record.contradiction is None
    if stated is None or not standing or record.wiped or at_ms < cycle.end_ms:
        return None
    if not narrows(stated.bounds, statement.bounds):
        return None
    amendment = Amendment(at_ms, NEW_EVIDENCE, words, statement)
    reports = statements_of(connection, row.id)
    if reports and _sign(connection, row, reports, amendment, signing) is None:
        return None
    connection.execute(
        insert(amendments).values(
            cycle_id=row.id,
            number=len(record.amendments) + 1,
            at_ms=at_ms,
            reason=amendment.reason,
            words=words,
            statement=dump_statement(statement),
        )
    )
    return amendment


def replace_amendment(
    connection: Connection, meter_id: int, cycle: Cycle, now_ms: int, signing: Signing
) -> OutboxItem | None:
    """Sign the statement in force in place of a refused one; see ``Ledger.replace_amendment``."""
    row = ensure_cycle(connection, meter_id, cycle)
    record = _record(connection, meter_id, cycle)
    reports = statements_of(connection, row.id)
    newest = next((item for item in reports if item.kind is ReportKind.AMENDMENT), None)
    at_ms = dated_ms(connection, now_ms)
    if newest is None or not newest.refused or at_ms < cycle.end_ms or not record.amendments:
        return None
    anew = replace(record.amendments[-1], at_ms=at_ms)
    return _sign(connection, row, reports, anew, signing)


def contradict(
    connection: Connection, meter_id: int, cycle: Cycle, words: str, now_ms: int
) -> Contradiction | None:
    """Keep that evidence lies outside of what was stated; see ``Ledger.contradict``."""
    row = ensure_cycle(connection, meter_id, cycle)
    record = cycle_record(row)
    if record.state is not CycleState.FINAL or record.contradiction is not None:
        return record.contradiction
    found = Contradiction(now_ms, words)
    connection.execute(
        update(cycles)
        .where(cycles.c.id == row.id)
        .values(contradiction_ms=found.at_ms, contradiction_words=found.words)
    )
    return found


def _record(connection: Connection, meter_id: int, cycle: Cycle) -> CycleRecord:
    row = ensure_cycle(connection, meter_id, cycle)
    return cycle_record(row, amendments_of(connection, [row.id]).get(row.id, ()))


def _sign(
    connection: Connection,
    row: Row[Any],
    reports: Sequence[OutboxItem],
    amendment: Amendment,
    signing: Signing | None,
) -> OutboxItem | None:
    """Sign the amendment of the report in force; None: there is none, or nobody signs now.

    A final with a signed ``Rejected`` is not in force: another one takes its place first.
    """
    standing = next((item for item in reports if not item.refused), None)
    if standing is None or signing is None or standing.chain_id != signing.chain.id:
        return None
    note = f"{standing.active_text} before, {amendment.statement.active_text} now"
    superseded = Superseded(Link(standing.sequence, standing.digest), amendment.reason, note)
    content = ClosingIntent(
        amendment.at_ms,
        amendment.reason,
        amendment.statement,
        max(amendment.at_ms, high_water_ms(connection)),
    )
    return sign_report(connection, row, ReportKind.AMENDMENT, content, signing, superseded)
