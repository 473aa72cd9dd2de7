"""After a cycle's final: amendments, and evidence that contradicts it.

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
from licenseusage.ledger.documents.records import OutboxItem, ReportKind, Superseded
from licenseusage.ledger.facts.registry import (
    amendments_of,
    cycle_record,
    cycle_row,
    dated_ms,
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
from licenseusage.reports.names import Link


def amend_cycle(
    connection: Connection,
    meter_id: int,
    cycle: Cycle,
    statement: CycleStatement,
    words: str,
    now_ms: int,
    signing: Signing | None = None,
) -> Amendment | None:
    """State less than before about a Final cycle: statement, report, outbox row at once.

    The report supersedes the cycle's latest final or amendment that the vendor has not refused with
    a signature. A cycle that was closed without a report is amended without one. Idempotent: what
    does not narrow the statement in force changes nothing.

    Args:
        connection: The ledger.
        meter_id: The meter.
        cycle: The cycle.
        statement: What is stated from now on, as of the cycle's end.
        words: Both statements, for people.
        now_ms: The time.
        signing: Signs the report, in the chain of the final; None: nobody can sign now.

    Returns:
        None if nothing was amended: the cycle is not Final, its facts were deleted, evidence
        contradicts what was stated, or a report is due and cannot be made now.
    """
    row = cycle_row(connection, meter_id, cycle)
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
    """Sign the last amendment of a cycle once more, in place of one refused with a signature.

    Returns:
        The new report; None if the newest amendment was not refused, or the cycle has no report in
        force which it could supersede (its final was refused as well).
    """
    row = cycle_row(connection, meter_id, cycle)
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
    """Keep that evidence lies outside of what was stated about a Final cycle; the first stands.

    The statement stands as well, and the cycle is amended no more.
    """
    row = cycle_row(connection, meter_id, cycle)
    record = cycle_record(row)
    if record.state is not CycleState.FINAL or record.contradiction is not None:
        return record.contradiction
    contradiction = Contradiction(now_ms, words)
    connection.execute(
        update(cycles)
        .where(cycles.c.id == row.id)
        .values(contradiction_ms=contradiction.at_ms, contradiction_words=contradiction.words)
    )
    return contradiction


def _record(connection: Connection, meter_id: int, cycle: Cycle) -> CycleRecord:
    row = cycle_row(connection, meter_id, cycle)
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
