"""A report costs as much at the end of a long chain as at its beginning."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import create_engine, event, inspect

from licenseusage.receiver import chainrules, reportchains
from licenseusage.receiver.store import ReceiverDatabase
from tests.receiver.people import DAY, Customer, run_sql


@pytest.fixture
def opened(monkeypatch):
    """Counts the tokens that are opened to judge a report by those before it."""
    count = []
    for module in (chainrules, reportchains):
        original = module.read_report

        def counting(token, original=original):
            count.append(token)
            return original(token)

        monkeypatch.setattr(module, "read_report", counting)
    return count


@pytest.mark.parametrize("kind", ["interim", "final", "amendment"])
def test_no_more_reports_are_opened_after_many_cycles_than_after_one(
    receiver, customer, clock, opened, kind
):
    clock.now_s += 300 * DAY

    def cost(name, cycles):
        before = None
        for cycle in range(cycles):
            before = final = customer.report(before, kind="final", cycle=cycle, name=name)
            assert receiver.put_report(before).status_code == 201
        opened.clear()
        if kind == "amendment":
            changes = {"cycle": cycles - 1, "name": name, "reason": "Restated"}
            token = customer.amendment(before, final, **changes)
        else:
            token = customer.report(before, kind=kind, cycle=cycles, name=name)
        assert receiver.put_report(token).status_code == 201
        return len(opened)

    # Two are looked at: the report before for findings, the same for silence; an amendment's, too.
    assert cost("long", 2) == cost("short", 1) <= 3


def plans_of_aggregates(database, statements):
    """SQLite's plan of each query that asks for the largest of a chain's documents or reports."""
    with closing(sqlite3.connect(database)) as connection:
        for statement, parameters in statements:
            if "max(" in statement and "FROM documents" in statement.replace("\n", ""):
                rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                yield statement, " ".join(str(row[3]) for row in rows)


def test_what_is_asked_of_a_whole_chain_is_answered_by_an_index_alone(
    receiver, customer, tmp_path, database_url
):
    if not database_url.startswith("sqlite"):
        return  # PostgreSQL plans by what a table holds: for one of four rows it reads them all
    statements = []
    engine = receiver.store._engine
    event.listen(
        engine, "before_cursor_execute", lambda _c, _u, s, p, *_: statements.append((s, p))
    )
    for token in customer.chain(4):
        receiver.put_report(token)
    plans = list(plans_of_aggregates(tmp_path / "receiver.sqlite", statements))
    assert plans
    for statement, plan in plans:
        assert "USING COVERING INDEX documents_by_place" in plan, statement


def test_a_database_of_an_earlier_version_gets_the_indexes_and_keeps_its_documents(
    start, database_url
):
    customer = Customer()
    first = start()
    tokens = customer.chain(4)
    first.put_key(customer.enrolment)
    first.put_report(tokens[0])
    first.close()
    run_sql(
        database_url,
        "DROP INDEX documents_by_place",
        "DROP INDEX reports_by_kind",
        "CREATE INDEX documents_by_position ON documents (chain_id, sequence)",
        "UPDATE receiver_schema SET version = 2",
    )
    for _ in range(2):
        ReceiverDatabase.open(database_url).close()
    engine = create_engine(database_url)
    made = [inspect(engine).get_indexes(table) for table in ("documents", "reports")]
    engine.dispose()
    names = {index["name"] for indexes in made for index in indexes}
    assert run_sql(database_url, "SELECT version FROM receiver_schema") == [(3,)]
    assert {"documents_by_place", "reports_by_kind", "one_document_per_position"} <= names
    assert "documents_by_position" not in names
    again = start()
    assert [again.put_report(token).status_code for token in tokens] == [200, 201, 201, 201]
