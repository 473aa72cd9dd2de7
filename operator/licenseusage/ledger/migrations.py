"""From the schema of an older version to this one, in one transaction; there is no way back.

A program that knows less refuses the file (``LedgerSchemaUnsupported``).
"""

from collections.abc import Callable

from sqlalchemy import Connection, Engine, select, update

from licenseusage.ledger import schema


def upgrade(engine: Engine) -> None:
    """Bring the schema to ``schema.VERSION``, step by step."""
    held = select(schema.ledger.c.schema_version)
    with engine.connect() as connection:
        if connection.execute(held).scalar_one() == schema.VERSION:
            return
    with engine.begin() as connection:
        version = connection.execute(held).scalar_one()
        while version < schema.VERSION:
            _STEPS[version](connection)
            version += 1
            connection.execute(update(schema.ledger).values(schema_version=version))


def _rosters(connection: Connection) -> None:
    """1 to 2: rosters, what decides who counts, routes of deliveries, and amendments."""
    for column in (
        "meters ADD COLUMN route VARCHAR(64)",
        "stores ADD COLUMN selection VARCHAR(80)",
        "stores ADD COLUMN selection_changes INTEGER DEFAULT '0' NOT NULL",
        "stores ADD COLUMN selection_since_ms BIGINT",
        "cycles ADD COLUMN evidence INTEGER DEFAULT '0' NOT NULL",
        "cycles ADD COLUMN contradiction_ms BIGINT",
        "cycles ADD COLUMN contradiction_words TEXT",
    ):
        connection.exec_driver_sql(f"ALTER TABLE {column}")
    schema.amendments.create(connection)
    schema.rosters.create(connection)
    schema.roster_users.create(connection)


def _logs(connection: Connection) -> None:
    """2 to 3: how far event logs were read."""
    for table in (schema.log_positions, schema.log_ranges, schema.log_holes):
        table.create(connection)


_STEPS: dict[int, Callable[[Connection], None]] = {1: _rosters, 2: _logs}
