"""The steps by which older ledgers became like those of today, in order (`migrations`).

What a step says never changes: it is written out, since `schema` describes the newest version only.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, text


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


def _ninth(connection: Connection) -> None:
    """Whether reports wait for a person's approval; none did."""
    connection.execute(text("ALTER TABLE meters ADD COLUMN approval VARCHAR(16)"))


def _tenth(connection: Connection) -> None:
    """Whom to erase, and which cycles take no evidence because somebody was."""
    connection.execute(text("ALTER TABLE cycles ADD COLUMN sealed INTEGER DEFAULT '0' NOT NULL"))
    connection.execute(
        text("""
        CREATE TABLE erasures (
            meter_id INTEGER NOT NULL REFERENCES meters (id),
            cycle_start_ms BIGINT NOT NULL,
            pseudonym BLOB NOT NULL,
            at_ms BIGINT NOT NULL,
            PRIMARY KEY (meter_id, cycle_start_ms, pseudonym)
        )""")
    )


def _eleventh(connection: Connection) -> None:
    """What a chain goes on without, once an administrator has named its head."""
    connection.execute(
        text(
            """
            CREATE TABLE set_aside (
                chain_id VARCHAR(32) NOT NULL REFERENCES chains (id),
                digest VARCHAR(80) NOT NULL,
                sequence INTEGER NOT NULL,
                token TEXT,
                receipt TEXT,
                at_ms BIGINT NOT NULL,
                PRIMARY KEY (chain_id, digest)
            )"""
        )
    )


def _twelfth(connection: Connection) -> None:
    """Which cycles keep of nobody on which days; all did."""
    connection.execute(text("ALTER TABLE meters ADD COLUMN daily_facts VARCHAR(16)"))
    kind = "INTEGER DEFAULT '0' NOT NULL"
    connection.execute(text(f"ALTER TABLE cycles ADD COLUMN days_dropped {kind}"))


def _thirteenth(connection: Connection) -> None:
    """Whom reports counted; of those signed so far there is no commitment."""
    connection.execute(
        text("""
        CREATE TABLE commitments (
            jti VARCHAR(64) NOT NULL PRIMARY KEY REFERENCES outbox (jti),
            cycle_id INTEGER NOT NULL REFERENCES cycles (id),
            salt BLOB NOT NULL,
            users BLOB NOT NULL
        )""")
    )


def _fourteenth(connection: Connection) -> None:
    """Activity that producers push; nobody did."""
    for table in (
        """
        CREATE TABLE push_producers (
            meter_id INTEGER NOT NULL REFERENCES meters (id),
            source VARCHAR(63) NOT NULL,
            producer VARCHAR(256) NOT NULL,
            receipt VARCHAR(64) NOT NULL,
            former VARCHAR(64),
            since_ms BIGINT,
            until_ms BIGINT,
            PRIMARY KEY (meter_id, source, producer)
        )""",
        """
        CREATE TABLE push_ranges (
            store_id INTEGER NOT NULL REFERENCES stores (id),
            producer VARCHAR(256) NOT NULL,
            start_ms BIGINT NOT NULL,
            end_ms BIGINT NOT NULL,
            PRIMARY KEY (store_id, producer, start_ms)
        )""",
    ):
        connection.execute(text(table))


def _fifteenth(connection: Connection) -> None:
    """Positions in the words of a log that does not number its messages without gaps."""
    connection.execute(text("ALTER TABLE log_positions ADD COLUMN mark TEXT DEFAULT '' NOT NULL"))


def _sixteenth(connection: Connection) -> None:
    """Lists without times; there were none."""
    for table, column, kind in (
        ("stores", "by_rows", "INTEGER"),
        ("rosters", "last_read_ms", "BIGINT"),
        ("rosters", "returned_ms", "BIGINT"),
    ):
        connection.execute(text(f"ALTER TABLE {table} ADD COLUMN {column} {kind}"))


def _seventeenth(connection: Connection) -> None:
    """Numbers that products state; none was read."""
    connection.execute(
        text("""
        CREATE TABLE samples (
            store_id INTEGER NOT NULL REFERENCES stores (id),
            computed_ms BIGINT NOT NULL,
            read_ms BIGINT NOT NULL,
            users INTEGER NOT NULL,
            own INTEGER NOT NULL,
            flags INTEGER NOT NULL,
            first_ms BIGINT NOT NULL,
            last_ms BIGINT NOT NULL,
            covers_from_ms BIGINT NOT NULL,
            covers_until_ms BIGINT NOT NULL,
            settled_ms BIGINT NOT NULL,
            PRIMARY KEY (store_id, computed_ms, read_ms, users, own, flags, first_ms, last_ms,
                         covers_from_ms, covers_until_ms, settled_ms)
        ) WITHOUT ROWID""")
    )


STEPS: tuple[Step, ...] = (
    Step(2, _second),
    Step(3, _third),
    Step(4, _fourth),
    Step(5, _fifth),
    Step(6, _sixth),
    Step(7, _seventh),
    Step(8, _eighth),
    Step(9, _ninth),
    Step(10, _tenth),
    Step(11, _eleventh),
    Step(12, _twelfth),
    Step(13, _thirteenth),
    Step(14, _fourteenth),
    Step(15, _fifteenth),
    Step(16, _sixteenth),
    Step(17, _seventeenth),
)
"""Ascending; the last one leads to `schema.VERSION`. What a step says never changes: it is written
out, since `schema` describes the newest version only."""
