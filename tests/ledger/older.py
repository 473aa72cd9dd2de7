"""Ledgers as earlier programs left them, made from one of today."""

import sqlite3
from contextlib import closing


def sixteenth_schema(path):
    """Make a ledger as the sixteenth schema had it."""
    with closing(sqlite3.connect(path)) as older, older:
        older.execute("drop table samples")
        older.execute("update ledger set schema_version = 16")


def fifteenth_schema(path):
    """Make a ledger as the fifteenth schema had it."""
    sixteenth_schema(path)
    with closing(sqlite3.connect(path)) as older, older:
        older.execute("alter table stores drop column by_rows")
        for column in ("last_read_ms", "returned_ms"):
            older.execute(f"alter table rosters drop column {column}")
        older.execute("update ledger set schema_version = 15")


def fourteenth_schema(path):
    """Make a ledger as the fourteenth schema had it."""
    fifteenth_schema(path)
    with closing(sqlite3.connect(path)) as older, older:
        older.execute("alter table log_positions drop column mark")
        older.execute("update ledger set schema_version = 14")


def thirteenth_schema(path):
    """Make a ledger as the thirteenth schema had it."""
    fourteenth_schema(path)
    with closing(sqlite3.connect(path)) as older, older:
        for table in ("push_producers", "push_ranges"):
            older.execute(f"drop table {table}")
        older.execute("update ledger set schema_version = 13")


def twelfth_schema(path):
    """Make a ledger as the twelfth schema had it."""
    thirteenth_schema(path)
    with closing(sqlite3.connect(path)) as older, older:
        older.execute("drop table commitments")
        older.execute("update ledger set schema_version = 12")


def eleventh_schema(path):
    """Make a ledger as the eleventh schema had it."""
    twelfth_schema(path)
    with closing(sqlite3.connect(path)) as older, older:
        older.execute("alter table meters drop column daily_facts")
        older.execute("alter table cycles drop column days_dropped")
        older.execute("update ledger set schema_version = 11")


def tenth_schema(path):
    """Make a ledger as the tenth schema had it."""
    eleventh_schema(path)
    with closing(sqlite3.connect(path)) as older, older:
        older.execute("drop table set_aside")
        older.execute("update ledger set schema_version = 10")


def ninth_schema(path):
    """Make a ledger as the ninth schema had it."""
    tenth_schema(path)
    with closing(sqlite3.connect(path)) as older, older:
        older.execute("alter table cycles drop column sealed")
        older.execute("drop table erasures")
        older.execute("update ledger set schema_version = 9")


def eighth_schema(path):
    """Make a ledger as the eighth schema had it."""
    ninth_schema(path)
    with closing(sqlite3.connect(path)) as older, older:
        older.execute("alter table meters drop column approval")
        older.execute("update ledger set schema_version = 8")


def seventh_schema(path):
    """Make a ledger as the seventh schema had it."""
    eighth_schema(path)
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
