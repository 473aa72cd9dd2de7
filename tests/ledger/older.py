"""Ledgers as earlier programs left them, made from one of today."""

import sqlite3
from contextlib import closing


def seventh_schema(path):
    """Make a ledger as the seventh schema had it."""
    with closing(sqlite3.connect(path)) as older, older:
        older.execute("alter table cycles drop column reported")
        for table in ("lost_spans", "recoveries"):
            older.execute(f"drop table {table}")
        older.execute("update ledger set schema_version = 7")


def sixth_schema(path):
    """Make a ledger as the sixth schema had it."""
    seventh_schema(path)
    with closing(sqlite3.connect(path)) as older, older:
        older.execute("alter table source_status drop column failure_consequence")
        older.execute("update ledger set schema_version = 6")


def fifth_schema(path):
    """Make a ledger as the fifth schema had it."""
    sixth_schema(path)
    with closing(sqlite3.connect(path)) as older, older:
        older.execute("drop table refutations")
        for table, column in (
            ("stores", "listed"),
            ("stores", "doubted_ms"),
            ("stores", "declaration"),
            ("stores", "unproved"),
            ("rosters", "start_at_ms"),
            ("rosters", "last_at_ms"),
            ("rosters", "idle_at_ms"),
            ("rosters", "listing"),
        ):
            older.execute(f"alter table {table} drop column {column}")
        older.execute("update ledger set schema_version = 5")


def third_schema(path):
    """Make a ledger as the third schema had it."""
    fifth_schema(path)
    with closing(sqlite3.connect(path)) as older, older:
        for column in ("read_until_ms", "unsettled"):
            older.execute(f"alter table stores drop column {column}")
        older.execute("drop table licenses")
        for table in ("meters", "grids"):
            older.execute(f"alter table {table} drop column subscription")
        older.execute("alter table meters add column license_token TEXT")
        older.execute("alter table meters add column license_serial VARCHAR(128)")
        older.execute("update ledger set schema_version = 3")


def first_schema(path):
    """Make a ledger as the first schema had it."""
    third_schema(path)
    with closing(sqlite3.connect(path)) as older, older:
        for table in (
            "roster_users",
            "rosters",
            "amendments",
            "log_positions",
            "log_ranges",
            "log_holes",
        ):
            older.execute(f"drop table {table}")
        for table, column in (
            ("stores", "selection"),
            ("stores", "selection_changes"),
            ("stores", "selection_since_ms"),
            ("cycles", "evidence"),
            ("cycles", "contradiction_ms"),
            ("cycles", "contradiction_words"),
            ("meters", "route"),
            ("ledger", "written_by"),
        ):
            older.execute(f"alter table {table} drop column {column}")
        older.execute("update ledger set schema_version = 1")
