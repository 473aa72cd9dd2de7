"""Older ledgers are brought up to this program's schema, step by step; newer ones are refused.

Before the first step the whole file is copied beside itself. Each step is one transaction which
also writes the version it leads to, so that a crash anywhere is continued at the next start. There
is no way back but that copy: a program does not know the steps of the ones after it.
"""

import base64
import json
import os
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from licenseusage import __version__
from licenseusage.errors import Stalled
from licenseusage.ledger.storage import schema
from licenseusage.ledger.storage.copying import copy_into, make_durable
from licenseusage.ledger.storage.faults import Corrupt, explained, of_the_disk, unusable
from licenseusage.reasons import Reason


@dataclass(frozen=True, slots=True)
class Step:
    """One change of the schema.

    Attributes:
        to: The version it leads to; it starts from the one before.
        apply: Makes the change; called in the transaction that also writes the version.
    """

    to: int
    apply: Callable[[Connection], None]


def _second(connection: Connection) -> None:
    """Rosters, what decides who counts, amendments, routes of deliveries, who wrote the ledger.

    Nothing was released before it: some ledgers of the first schema have a part of this.
    """
    for table, column, kind in (
        ("ledger", "written_by", "VARCHAR(64) DEFAULT '' NOT NULL"),
        ("meters", "route", "VARCHAR(64)"),
        ("stores", "selection", "VARCHAR(80)"),
        ("stores", "selection_changes", "INTEGER DEFAULT '0' NOT NULL"),
        ("stores", "selection_since_ms", "BIGINT"),
        ("cycles", "evidence", "INTEGER DEFAULT '0' NOT NULL"),
        ("cycles", "contradiction_ms", "BIGINT"),
        ("cycles", "contradiction_words", "TEXT"),
    ):
        columns = connection.execute(text(f"PRAGMA table_info({table})")).mappings()
        if column not in {row["name"] for row in columns}:
            connection.execute(text(f"ALTER TABLE {table} ADD COLUMN {column} {kind}"))
    connection.execute(
        text("""
        CREATE TABLE IF NOT EXISTS rosters (
            id INTEGER NOT NULL PRIMARY KEY,
            meter_id INTEGER NOT NULL REFERENCES meters (id),
            cycle_start_ms BIGINT NOT NULL,
            source VARCHAR(63) NOT NULL,
            domain VARCHAR(64) NOT NULL,
            open_at_ms BIGINT,
            runs TEXT DEFAULT '[]' NOT NULL,
            before_digest VARCHAR(64),
            UNIQUE (meter_id, cycle_start_ms, source, domain)
        )""")
    )
    connection.execute(
        text("""
        CREATE TABLE IF NOT EXISTS roster_users (
            roster_id INTEGER NOT NULL REFERENCES rosters (id),
            pseudonym BLOB NOT NULL,
            word INTEGER NOT NULL,
            PRIMARY KEY (roster_id, pseudonym)
        ) WITHOUT ROWID""")
    )
    connection.execute(
        text("""
        CREATE TABLE IF NOT EXISTS amendments (
            cycle_id INTEGER NOT NULL REFERENCES cycles (id),
            number INTEGER NOT NULL,
            at_ms BIGINT NOT NULL,
            reason VARCHAR(64) NOT NULL,
            words TEXT NOT NULL,
            statement TEXT NOT NULL,
            PRIMARY KEY (cycle_id, number)
        )""")
    )


def _third(connection: Connection) -> None:
    """How far event logs were read, and what of them was lost."""
    for table in (
        """
        CREATE TABLE IF NOT EXISTS log_positions (
            store_id INTEGER NOT NULL PRIMARY KEY REFERENCES stores (id),
            stream VARCHAR(255) NOT NULL,
            created VARCHAR(64) NOT NULL,
            sequence BIGINT NOT NULL,
            stored_ms BIGINT NOT NULL,
            until_ms BIGINT NOT NULL,
            behind INTEGER NOT NULL
        )""",
        """
        CREATE TABLE IF NOT EXISTS log_ranges (
            store_id INTEGER NOT NULL REFERENCES stores (id),
            start_ms BIGINT NOT NULL,
            end_ms BIGINT NOT NULL,
            PRIMARY KEY (store_id, start_ms)
        )""",
        """
        CREATE TABLE IF NOT EXISTS log_holes (
            store_id INTEGER NOT NULL REFERENCES stores (id),
            start_ms BIGINT NOT NULL,
            end_ms BIGINT NOT NULL,
            reason VARCHAR(64) NOT NULL,
            PRIMARY KEY (store_id, start_ms, end_ms, reason)
        )""",
    ):
        connection.execute(text(table))


def _fourth(connection: Connection) -> None:
    """Licences of every subscription, and under which one the cycles of a grid are reported."""
    connection.execute(
        text("""
        CREATE TABLE IF NOT EXISTS licenses (
            meter_id INTEGER NOT NULL REFERENCES meters (id),
            subscription VARCHAR(260) NOT NULL,
            token TEXT NOT NULL,
            PRIMARY KEY (meter_id, subscription)
        )""")
    )
    for table in ("meters", "grids"):
        connection.execute(text(f"ALTER TABLE {table} ADD COLUMN subscription VARCHAR(260)"))
    licensed = "SELECT id, license_token AS token FROM meters WHERE license_token IS NOT NULL"
    for meter in connection.execute(text(licensed)).mappings().all():
        claims = meter["token"].split(".")[1]
        payload = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        row = {**meter, "subscription": f"{payload['iss']} {payload['sub']}"}
        for statement in (
            "INSERT INTO licenses VALUES (:id, :subscription, :token)",
            "UPDATE meters SET subscription = :subscription WHERE id = :id",
            # Its cycles are the newest grid's; those before had other terms, and were not kept.
            "UPDATE grids SET subscription = :subscription WHERE meter_id = :id AND from_ms = "
            "(SELECT max(from_ms) FROM grids WHERE meter_id = :id)",
        ):
            connection.execute(text(statement), row)
    for column in ("license_token", "license_serial"):
        connection.execute(text(f"ALTER TABLE meters DROP COLUMN {column}"))


def _fifth(connection: Connection) -> None:
    """The time of a number is that of the last poll that succeeded."""
    for column in ("read_until_ms BIGINT", "unsettled TEXT DEFAULT '{}' NOT NULL"):
        connection.execute(text(f"ALTER TABLE stores ADD COLUMN {column}"))
    connection.execute(text("UPDATE stores SET read_until_ms = seen_until_ms"))


def _sixth(connection: Connection) -> None:
    """What was refuted, and a roster for every list; those kept so far go on as they are."""
    for table, column, kind in (
        ("stores", "listed", "INTEGER DEFAULT '0' NOT NULL"),
        ("stores", "doubted_ms", "BIGINT"),
        ("stores", "declaration", "VARCHAR(80) DEFAULT '' NOT NULL"),
        ("stores", "unproved", "VARCHAR(64)"),
        ("rosters", "start_at_ms", "BIGINT"),
        ("rosters", "last_at_ms", "BIGINT"),
        ("rosters", "idle_at_ms", "BIGINT"),
        ("rosters", "listing", "VARCHAR(80)"),
    ):
        connection.execute(text(f"ALTER TABLE {table} ADD COLUMN {column} {kind}"))
    # What the newest poll listed is not known of them: the next one writes it.
    connection.execute(text("UPDATE rosters SET before_digest = NULL"))
    connection.execute(
        text("""
        CREATE TABLE IF NOT EXISTS refutations (
            meter_id INTEGER NOT NULL REFERENCES meters (id),
            source VARCHAR(63) NOT NULL,
            guarantee VARCHAR(64) NOT NULL,
            declaration VARCHAR(80) NOT NULL,
            at_ms BIGINT NOT NULL,
            words TEXT NOT NULL,
            lifted_ms BIGINT,
            PRIMARY KEY (meter_id, source, guarantee, declaration, at_ms)
        )""")
    )


def _seventh(connection: Connection) -> None:
    """What must happen after a failed poll; of failures kept so far it is not known."""
    connection.execute(text("ALTER TABLE source_status ADD COLUMN failure_consequence VARCHAR(16)"))


def _eighth(connection: Connection) -> None:
    """What was lost of a chain and of the facts, and where a chain goes on after a loss."""
    connection.execute(text("ALTER TABLE cycles ADD COLUMN reported TEXT"))
    for table in (
        """
        CREATE TABLE lost_spans (
            meter_id INTEGER NOT NULL REFERENCES meters (id),
            source VARCHAR(63) NOT NULL,
            start_ms BIGINT NOT NULL,
            end_ms BIGINT NOT NULL,
            PRIMARY KEY (meter_id, source, start_ms, end_ms)
        )""",
        """
        CREATE TABLE recoveries (
            chain_id VARCHAR(32) NOT NULL REFERENCES chains (id),
            event VARCHAR(16) NOT NULL,
            sequence INTEGER NOT NULL,
            digest VARCHAR(80) NOT NULL,
            at_ms BIGINT NOT NULL,
            PRIMARY KEY (chain_id, event, sequence)
        )""",
    ):
        connection.execute(text(table))


STEPS: tuple[Step, ...] = (
    Step(2, _second),
    Step(3, _third),
    Step(4, _fourth),
    Step(5, _fifth),
    Step(6, _sixth),
    Step(7, _seventh),
    Step(8, _eighth),
)
"""Ascending; the last one leads to `schema.VERSION`. What a step says never changes: it is written
out, since `schema` describes the newest version only."""


def bring_up_to_date(engine: Engine, path: Path) -> None:
    """Lead an open ledger to this program's schema; do nothing if it has it.

    Raises:
        Stalled: ``LedgerSchemaUnsupported``: too new or too old; ``LedgerUpgradeFailed``: a step
            did not work, and the ledger is as it was before that step.
        Retryable: No room for the copy, read-only, or the like: nothing was changed.
    """
    stated = _stated(engine, path)
    version = stated["schema_version"]
    if version == schema.VERSION:
        return
    steps = [step for step in STEPS if step.to > version]
    if version > schema.VERSION:
        raise _too_new(path, stated)
    if [step.to for step in steps] != list(range(version + 1, schema.VERSION + 1)):
        raise Stalled(
            Reason.LEDGER_SCHEMA_UNSUPPORTED,
            f"The ledger {path} has schema {version}, which is too old for licenseusage "
            f"{__version__} (schema {schema.VERSION}). Start a version in between first, it brings "
            f"the ledger further. Nothing was changed.",
        )
    kept = _copy_beside(engine, path, version)
    for step in steps:
        _take(engine, path, step, kept)


def copy_before(path: Path, version: int) -> Path:
    """Return where the copy from before an upgrade is kept."""
    return path.with_name(f"{path.name}.schema-{version}.backup")


def _stated(engine: Engine, path: Path) -> Mapping[str, Any]:
    """Return what a ledger of any version says about itself."""
    with engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM ledger")).mappings().one_or_none()
    if row is None or not isinstance(row.get("schema_version"), int):
        raise Corrupt(path, "it does not say which schema it has")
    return dict(row)


def _too_new(path: Path, stated: Mapping[str, Any]) -> Stalled:
    writer = stated.get("written_by")
    by = f"licenseusage {writer}" if writer else "a newer licenseusage"
    copy = copy_before(path, schema.VERSION)
    kept = f" ({copy} was made before the upgrade)" if copy.exists() else ""
    return Stalled(
        Reason.LEDGER_SCHEMA_UNSUPPORTED,
        f"The ledger {path} was written by {by} and has schema {stated['schema_version']}; this is "
        f"licenseusage {__version__}, which knows schema {schema.VERSION} at most. Run {by} or a "
        f"later one. To go back all the same, restore a backup from before the upgrade{kept}: what "
        f"was counted since is then missing. Nothing was changed.",
    )


def _copy_beside(engine: Engine, path: Path, version: int) -> Path:
    copy = copy_before(path, version)
    unfinished = copy.with_name(copy.name + ".unfinished")
    raw = engine.raw_connection()
    try:
        copy_into(raw.driver_connection, unfinished)  # type: ignore[arg-type]
        os.replace(unfinished, copy)
        make_durable(path.parent)
    except OSError as error:
        raise unusable(error, path, f"The copy {copy} that goes before an upgrade") from None
    except sqlite3.Error as error:
        raise explained(error, path) from error
    finally:
        raw.close()
    return copy


def _take(engine: Engine, path: Path, step: Step, kept: Path) -> None:
    try:
        with engine.begin() as connection:
            step.apply(connection)
            if connection.execute(text("PRAGMA foreign_key_check")).first() is not None:
                raise ValueError("a row would point to nothing")  # noqa: TRY301
            connection.execute(
                text("UPDATE ledger SET schema_version = :version, written_by = :program"),
                {"version": step.to, "program": __version__},
            )
    except DBAPIError as error:
        if of_the_disk(error):
            raise explained(error, path) from error
        raise _failed(path, step, kept, str(error.orig)) from error
    except Exception as error:
        raise _failed(path, step, kept, f"{type(error).__name__}: {error}") from error


def _failed(path: Path, step: Step, kept: Path, seen: str) -> Stalled:
    return Stalled(
        Reason.LEDGER_UPGRADE_FAILED,
        f"The ledger {path} could not be brought from schema {step.to - 1} to {step.to} by "
        f"licenseusage {__version__}: {seen}. It is as it was before this step. Run the version "
        f"that was used before, with {kept} restored if other steps had been taken, and report "
        f"this message.",
    )
