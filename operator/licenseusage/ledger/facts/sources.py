"""How each source of a meter was reached: its last polls, and when it was observed.

Functions of an open transaction.
"""

import json
from dataclasses import asdict
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, Row, bindparam, select

from licenseusage.errors import Consequence, Failure
from licenseusage.ledger.records import LastPolls, PollRecord
from licenseusage.ledger.storage.database import upsert
from licenseusage.ledger.storage.schema import coverage, source_status
from licenseusage.metering.coverage import Interval, extended
from licenseusage.reasons.book import BOOK
from licenseusage.reasons.entries import Person

_STATUSES = select(source_status).where(source_status.c.meter_id == bindparam("meter_id"))
_INTERVALS = select(coverage.c.start_ms, coverage.c.end_ms, coverage.c.gap_reason).where(
    coverage.c.meter_id == bindparam("meter_id"), coverage.c.source == bindparam("source")
)
_ASCENDING = _INTERVALS.order_by(coverage.c.start_ms)
_NEWEST = _INTERVALS.order_by(coverage.c.start_ms.desc()).limit(1)
_seen = upsert(coverage)
_EXTEND = _seen.on_conflict_do_update(
    [coverage.c.meter_id, coverage.c.source, coverage.c.start_ms],
    set_={"end_ms": _seen.excluded.end_ms},
)


def source_statuses(connection: Connection, meter_id: int) -> dict[str, LastPolls]:
    """Return the status of each source that was ever polled."""
    rows = connection.execute(_STATUSES, {"meter_id": meter_id})
    return {row.source: _status(row) for row in rows}


def intervals(connection: Connection, meter_id: int, source: str) -> tuple[Interval, ...]:
    """Return the observed intervals of a source, ascending."""
    rows = connection.execute(_ASCENDING, {"meter_id": meter_id, "source": source})
    return tuple(Interval(*row) for row in rows)


def note_poll(connection: Connection, poll: PollRecord) -> None:
    """Keep that a source was polled: when it was observed, how the poll went."""
    status = source_statuses(connection, poll.meter_id).get(poll.store.source)
    if poll.failure is None and poll.observed:
        _extend_coverage(connection, poll, status)
    _write_status(connection, poll, status)


def _extend_coverage(connection: Connection, poll: PollRecord, status: LastPolls | None) -> None:
    of_source = {"meter_id": poll.meter_id, "source": poll.store.source}
    row = connection.execute(_NEWEST, of_source).one_or_none()
    failure = status.failure.reason if status and status.failure else None
    last = Interval(*row) if row else None
    if last is not None and poll.started_ms < last.start_ms:
        return  # the clock was set back: nothing to add
    seen = extended(last, poll.started_ms, poll.ended_ms, poll.interval_ms, failure)
    connection.execute(_EXTEND, of_source | asdict(seen))


def _write_status(connection: Connection, poll: PollRecord, status: LastPolls | None) -> None:
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
            "failure_consequence": None,
            "failures": 0,
            "failing_since_ms": None,
        }
    else:
        since = status.failing_since_ms if status else None
        values |= {
            "failure_reason": poll.failure.reason,
            "failure_message": poll.failure.message,
            "failure_consequence": poll.failure.consequence,
            "failures": (status.failures if status else 0) + 1,
            "failing_since_ms": poll.started_ms if since is None else since,
        }
    if poll.complete:
        values["last_complete_duration_ms"] = poll.ended_ms - poll.started_ms
    key = {"meter_id": poll.meter_id, "source": poll.store.source}
    connection.execute(_keep(tuple(values)), key | values)


@cache
def _keep(columns: tuple[str, ...]) -> Insert:
    """Return the statement that writes these columns of a status, made once for each kind."""
    write = upsert(source_status)
    key = [source_status.c.meter_id, source_status.c.source]
    return write.on_conflict_do_update(key, set_={name: write.excluded[name] for name in columns})


def _status(row: Row[Any]) -> LastPolls:
    return LastPolls(
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
        failure=None if row.failure_reason is None else _failure(row),
        failures=row.failures,
        failing_since_ms=row.failing_since_ms,
    )


def _failure(row: Row[Any]) -> Failure:
    """Return the last failure; before schema 7 its consequence is the usual one of its reason."""
    kept = row.failure_consequence
    if kept is None:
        entry = BOOK.get(row.failure_reason)
        person = entry is not None and entry.person is Person.YES
        kept = Consequence.NEEDS_A_PERSON if person else Consequence.RETRIES
    return Failure(row.failure_reason, row.failure_message, Consequence(kept))
