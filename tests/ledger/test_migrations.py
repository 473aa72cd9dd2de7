"""Upgrades step by step with a copy beside; a newer ledger is refused with who wrote it."""

import sqlite3
from contextlib import closing
from datetime import date

import pytest
from sqlalchemy import text

from licenseusage import __version__
from licenseusage.errors import Consequence, Failure, Retryable, Stalled
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import MeterKey
from licenseusage.ledger.storage import migrations, schema
from licenseusage.ledger.storage.migrations import Step
from licenseusage.metering.cycles import DAY_MS, Terms
from tests.ledger.conftest import START
from tests.ledger.older import first_schema, sixth_schema, third_schema
from tests.receiver.people import licence

OLD = schema.VERSION
NOW = migrations.STEPS


def opened(path) -> Ledger:
    return Ledger.open(f"sqlite:///{path}", now_ms=START, ledger_id="x")


def rows(path, sql):
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()


def add_colour(connection) -> None:
    connection.execute(text("ALTER TABLE meters ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'"))


def add_shapes(connection) -> None:
    connection.execute(text("CREATE TABLE shapes (name TEXT PRIMARY KEY)"))
    connection.execute(text("INSERT INTO shapes SELECT name FROM meters"))


@pytest.fixture
def old(path):
    """A ledger of this version, with a meter, which programs of later versions will find."""
    with opened(path) as ledger:
        ledger.ensure_meter(MeterKey("ns", "shop", "product"), START)
    return path


@pytest.fixture
def later(monkeypatch):
    """Be a later program, with the steps given."""

    def be(*steps):
        monkeypatch.setattr(schema, "VERSION", OLD + len(steps))
        told = tuple(Step(OLD + number, step) for number, step in enumerate(steps, 1))
        monkeypatch.setattr(migrations, "STEPS", (*NOW, *told))

    return be


def test_the_steps_lead_to_this_schema():
    assert [step.to for step in NOW] == list(range(2, schema.VERSION + 1))


def shape(path):
    """Every table's columns, keys and references, whatever the words they were made with."""
    tables = [name for (name,) in rows(path, "select name from sqlite_master where type = 'table'")]
    return {
        name: {
            pragma: sorted(rows(path, f"select {columns} from {pragma}('{name}')"))
            for pragma, columns in (
                ("pragma_table_info", 'name, type, "notnull", coalesce(dflt_value, 0), pk'),
                ("pragma_foreign_key_list", '"table", "from", "to"'),
            )
        }
        for name in tables
    }


def test_a_ledger_of_the_first_schema_becomes_like_one_of_today(path):
    opened(path).close()
    first_schema(path)
    opened(path).close()
    today = path.with_name("today.db")
    opened(today).close()
    assert shape(path) == shape(today)
    assert rows(path, "select schema_version, written_by from ledger") == [
        (schema.VERSION, __version__)
    ]


def test_cycles_of_the_third_schema_belong_to_the_licence_whose_terms_they_have(path):
    opened(path).close()
    third_schema(path)
    token = licence().token
    with closing(sqlite3.connect(path)) as older, older:
        older.execute(
            "insert into meters (id, namespace, name, product, license_token, created_ms)"
            f" values (1, 'ns', 'shop', 'product', '{token}', 0),"
            " (2, 'ns', 'free', 'product', null, 0)"
        )
        older.execute(
            "insert into grids (meter_id, from_ms, anchor, length_days) values"
            f" (1, 0, '1970-01-01', 7), (1, {7 * DAY_MS}, '1970-01-01', 1), (2, 0, '1970-01-01', 1)"
        )
    with opened(path) as ledger:
        shop, free = ledger.meters()
    assert shop.license_token == token
    assert shop.license_of(Terms(date(1970, 1, 1), length_days=7).cycle(0)) is None
    assert shop.license_of(Terms(date(1970, 1, 1), length_days=1).cycle(7)) == token
    assert free.license_token is None
    assert free.grids[0].subscription is None


def test_a_failure_of_the_sixth_schema_has_the_usual_consequence_of_its_reason(old):
    sixth_schema(old)
    with closing(sqlite3.connect(old)) as older, older:
        for source, reason in (("a", "Unauthorized"), ("b", "Unreachable"), ("c", "NotHeardOf")):
            older.execute(
                "insert into source_status (meter_id, source, failure_reason, failure_message)"
                " values (1, ?, ?, 'seen')",
                (source, reason),
            )
    with opened(old) as ledger:
        statuses = ledger.source_statuses(1)
    assert {source: status.failure for source, status in statuses.items()} == {
        "a": Failure("Unauthorized", "seen", Consequence.NEEDS_A_PERSON),
        "b": Failure("Unreachable", "seen", Consequence.RETRIES),
        "c": Failure("NotHeardOf", "seen", Consequence.RETRIES),
    }


def test_an_older_ledger_is_brought_up_to_date_with_all_it_holds(old, later):
    later(add_colour, add_shapes)
    with opened(old) as ledger:
        assert [meter.key.name for meter in ledger.meters()] == ["shop"]
    assert rows(old, "select schema_version, written_by from ledger") == [(OLD + 2, __version__)]
    assert rows(old, "select colour from meters") == [("grey",)]
    assert rows(old, "select name from shapes") == [("shop",)]


def test_a_copy_of_the_older_ledger_is_kept_beside_it(old, later):
    later(add_colour)
    opened(old).close()
    copy = old.with_name(f"ledger.db.schema-{OLD}.backup")
    assert copy.stat().st_mode & 0o077 == 0
    assert rows(copy, "select schema_version from ledger") == [(OLD,)]
    assert rows(copy, "select name from meters") == [("shop",)]
    assert sorted(one.name for one in old.parent.iterdir()) == [
        "ledger.db",
        "ledger.db.lock",
        copy.name,
    ]


def test_an_up_to_date_ledger_is_not_copied(old):
    opened(old).close()
    assert not list(old.parent.glob("*.backup"))


def test_a_step_that_fails_changes_nothing_and_says_which(old, later):
    def fail(connection):
        add_shapes(connection)
        connection.execute(text("INSERT INTO shapes SELECT name FROM meters"))

    later(add_colour, fail)
    for _ in range(2):
        with pytest.raises(Stalled, match=f"from schema {OLD + 1} to {OLD + 2}") as refused:
            opened(old)
        assert refused.value.reason == "LedgerUpgradeFailed"
        assert rows(old, "select schema_version from ledger") == [(OLD + 1,)]
        assert rows(old, "select name from sqlite_master where name = 'shapes'") == []
    later(add_colour, add_shapes)  # the next release mends it, and goes on where this one stopped
    opened(old).close()
    assert rows(old, "select schema_version from ledger") == [(OLD + 2,)]


def test_a_step_with_a_defect_is_no_traceback(old, later):
    def defect(connection):
        raise KeyError("colour")

    later(defect)
    with pytest.raises(Stalled, match="KeyError") as refused:
        opened(old)
    assert refused.value.reason == "LedgerUpgradeFailed"


def test_a_step_that_leaves_a_row_pointing_to_nothing_is_taken_back(old, later):
    def careless(connection):
        connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        connection.execute(
            text("INSERT INTO grids (meter_id, from_ms, anchor, length_days) VALUES (99, 0, '', 1)")
        )

    later(careless)
    with pytest.raises(Stalled, match="point to nothing"):
        opened(old)
    assert rows(old, "select count(*) from grids") == [(0,)]


def test_without_room_for_the_copy_nothing_is_upgraded(old, later, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    later(add_colour)
    monkeypatch.setattr(migrations, "copy_into", full)
    with pytest.raises(Retryable) as refused:
        opened(old)
    assert refused.value.reason == "LedgerDiskFull"
    assert rows(old, "select schema_version from ledger") == [(OLD,)]


def test_a_ledger_older_than_every_step_names_a_version_in_between(old, later, monkeypatch):
    later(add_colour, add_shapes)
    monkeypatch.setattr(migrations, "STEPS", migrations.STEPS[-1:])
    with pytest.raises(Stalled, match="Start a version in between") as refused:
        opened(old)
    assert refused.value.reason == "LedgerSchemaUnsupported"


def test_a_downgrade_is_refused_and_names_who_wrote_the_ledger_and_the_way_back(
    old, later, monkeypatch
):
    with monkeypatch.context() as newer:
        newer.setattr(migrations, "__version__", "9.8.7")
        newer.setattr(schema, "VERSION", OLD + 1)
        newer.setattr(migrations, "STEPS", (*NOW, Step(OLD + 1, add_colour)))
        opened(old).close()
    before = old.read_bytes()
    with pytest.raises(Stalled) as refused:
        opened(old)
    assert refused.value.reason == "LedgerSchemaUnsupported"
    for told in ("written by licenseusage 9.8.7", f"ledger.db.schema-{OLD}.backup", __version__):
        assert told in refused.value.message
    assert old.read_bytes() == before


def test_a_newer_ledger_of_another_shape_is_still_refused_by_its_version(old):
    with closing(sqlite3.connect(old)) as newer, newer:
        newer.execute("alter table ledger drop column written_by")
        newer.execute(f"update ledger set schema_version = {OLD + 5}")
    with pytest.raises(Stalled, match="by a newer licenseusage") as refused:
        opened(old)
    assert refused.value.reason == "LedgerSchemaUnsupported"
