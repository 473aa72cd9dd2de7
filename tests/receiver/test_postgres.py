"""What PostgreSQL adds: connections that are lost, limits, rights, upgrades by several at once."""

import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from sqlalchemy import event, text

from licenseusage.errors import Retryable, Stalled
from licenseusage.receiver.store import DatabaseAddress, Hold, ReceiverDatabase
from licenseusage.receiver.store.engines import hold_more
from licenseusage.receiver.store.holds import lock_of
from licenseusage.reports.grammar import MAX_COUNT, MAX_SEQUENCE
from tests.receiver.people import (
    ANCHOR,
    CYCLE,
    Customer,
    Receiver,
    chain_id,
    jti,
    run_sql,
    unavailable,
)
from tests.receiver.test_races import at_once, rows


@pytest.fixture
def database_url(postgres):
    name = postgres.create("receiver_template")
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture
def database(database_url):
    """The name of this test's database."""
    return database_url.rpartition("/")[2].partition("?")[0]


@pytest.fixture
def empty(postgres):
    """A database without tables."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


def terminate(postgres, database):
    postgres.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
    )


def test_connections_that_the_server_has_closed_are_made_anew_without_a_refusal(
    postgres, receiver, customer, database
):
    tokens = customer.chain(3)
    for token in tokens:
        terminate(postgres, database)
        assert receiver.put_report(token).status_code == 201


def test_a_connection_lost_within_a_transaction_stores_once(postgres, receiver, customer, database):
    token, lost = customer.report(), []

    @event.listens_for(receiver.store._engine, "before_cursor_execute")
    def lose(_c, _cursor, statement, *_):
        if statement.startswith("INSERT INTO reports") and not lost:
            lost.append(statement)
            terminate(postgres, database)

    assert receiver.put_report(token).status_code == 201
    assert lost
    assert len(rows(receiver, token)) == 1


def test_a_connection_lost_after_the_commit_gives_the_receipt_that_was_stored(
    postgres, receiver, customer, database
):
    """Nobody can know whether a commit arrived whose answer was lost: it is looked up."""
    token, lost = customer.report(), []

    @event.listens_for(receiver.store._engine, "commit")
    def lose(connection):
        if "licenseusage_hold" in connection.get_execution_options() and not lost:
            connection.connection.driver_connection.commit()
            lost.append(run_sql(str(receiver.store._address.url), "SELECT receipt FROM documents"))
            terminate(postgres, database)
            connection.exec_driver_sql("SELECT 1")

    answer = receiver.put_report(token)
    assert answer.status_code == 200
    assert (answer.text,) in lost[0]
    assert len(rows(receiver, token)) == 1


def test_a_server_that_is_away_is_a_503_and_nothing_is_lost(tmp_path_factory, clock, logged):
    from tests.receiver.conftest import postgres_server

    with postgres_server() as server:
        url = server.url(server.create(name="away"))
        receiver, customer = Receiver(url, clock), Customer()
        receiver.put_key(customer.enrolment)
        first, second = customer.chain(2)
        assert receiver.put_report(first).status_code == 201
        server.stop()
        assert unavailable(receiver.put_report(second))
        assert unavailable(receiver.get("/healthz"))
        assert f"away at 127.0.0.1:{server.port}" in str(logged)
        with pytest.raises(Retryable, match="refused") as caught:
            ReceiverDatabase.open(url)
        assert caught.value.reason == "DatabaseUnavailable"
        server.start()
        assert receiver.put_report(second).status_code == 201
        assert [row.verdict for row in rows(receiver, first)] == ["Accepted", "Accepted"]
        receiver.close()


def test_a_deadlock_is_tried_again_after_a_wait_of_random_length(database_url):
    waits: list[float] = []
    stores = [
        ReceiverDatabase.open(database_url, jitter=lambda: 0.5, sleep=waits.append)
        for _ in range(2)
    ]
    meet, names = threading.Barrier(2), (lock_of("one"), lock_of("two"))
    tried: list[int] = []

    def cross(mine: int, other: int) -> Callable[..., str]:
        def work(writing):
            tried.append(mine)
            if tried.count(mine) == 1:
                meet.wait()
            hold_more(writing._connection, other)
            return "done"

        return work

    calls = [
        partial(store.write, cross(mine, other), Hold(alone=mine))
        for store, mine, other in zip(stores, names, reversed(names), strict=True)
    ]
    assert at_once(calls) == ["done", "done"]
    assert len(tried) > 2
    assert waits
    assert set(waits) <= {0.01, 0.05, 0.25}
    for store in stores:
        store.close()


def test_attempts_are_bounded(database_url, postgres, database):
    store = ReceiverDatabase.open(database_url, sleep=lambda _: None)
    tried = []

    def lose(writing):
        tried.append(1)
        terminate(postgres, database)
        writing.document("none")

    with pytest.raises(Retryable):
        store.write(lose, Hold.register())
    assert len(tried) == 4
    store.close()


def test_a_lock_that_is_held_for_too_long_is_a_503_that_names_it(
    monkeypatch, receiver, customer, database_url, logged, clock
):
    monkeypatch.setattr("licenseusage.receiver.store.engines.BUSY_SECONDS", 1)
    impatient = Receiver(database_url, clock)
    token = customer.report()
    with receiver.store._engine.begin() as other:
        other.execute(text(f"SELECT pg_advisory_xact_lock({lock_of('chain', chain_id(token))})"))
        assert unavailable(impatient.put_report(token))
    assert "pg_stat_activity" in str(logged)
    assert impatient.put_report(token).status_code == 201
    impatient.close()


def test_a_statement_that_takes_too_long_is_given_up(monkeypatch, database_url):
    monkeypatch.setattr("licenseusage.receiver.store.engines.STATEMENT_SECONDS", 1)
    store = ReceiverDatabase.open(database_url)
    with pytest.raises(Retryable, match=r"statement timeout.*too slow"):
        store.write(lambda w: w._connection.execute(text("SELECT pg_sleep(60)")), Hold())
    with pytest.raises(Retryable, match=r"statement timeout.*too slow"), store.read() as views:
        views._connection.execute(text("SELECT pg_sleep(60)"))
    store.close()


def test_a_process_that_stops_within_a_transaction_loses_its_locks(monkeypatch, database_url):
    monkeypatch.setattr("licenseusage.receiver.store.engines.IDLE_SECONDS", 1)
    stopped = ReceiverDatabase.open(database_url, sleep=lambda _: None)
    other = ReceiverDatabase.open(database_url)
    seen: list[str] = []

    def stop(writing):
        seen.append("stopped")
        # The other waits until the server has taken the lock from us.
        other.write(lambda _: seen.append("other"), Hold.register())
        return writing.document("none")

    with pytest.raises(Retryable):
        stopped.write(stop, Hold.register())
    assert seen[:2] == ["stopped", "other"]
    stopped.close()
    other.close()


def test_a_read_only_database_shows_pages_and_says_that_it_stores_nothing(
    postgres, receiver, customer, database, logged
):
    postgres.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    terminate(postgres, database)
    assert unavailable(receiver.put_report(customer.report()))
    assert unavailable(receiver.get("/healthz"))
    assert "name the primary" in str(logged)
    assert receiver.get("/").status_code == 200
    # As after a failover: the same address leads to a server that writes.
    postgres.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")
    assert receiver.put_report(customer.report()).status_code == 201


def test_a_reader_sees_one_moment(receiver, customer):
    first, second = customer.chain(2)
    receiver.put_report(first)
    with receiver.store.read() as views:
        assert len(views.documents(chain_id(first), limit=9)) == 1
        receiver.put_report(second)
        assert len(views.documents(chain_id(first), limit=9)) == 1
    assert len(rows(receiver, first)) == 2


def test_a_reader_changes_nothing(receiver):
    with pytest.raises(Retryable, match="read-only"), receiver.store.read() as views:
        views._connection.execute(text("DELETE FROM probes"))


def test_replicas_that_start_at_once_make_the_tables_once(empty):
    stores = at_once([partial(ReceiverDatabase.open, empty)] * 6)
    assert run_sql(empty, "SELECT version FROM receiver_schema") == [(3,)]
    for store in stores:
        store.close()


def test_replicas_that_start_at_once_lead_an_old_database_on_once(database_url, receiver, customer):
    run_sql(
        database_url,
        "DROP INDEX documents_by_place",
        "DROP TABLE licenses",
        "UPDATE receiver_schema SET version = 1",
    )
    stores = at_once([partial(ReceiverDatabase.open, database_url)] * 4)
    assert run_sql(database_url, "SELECT version FROM receiver_schema") == [(3,)]
    assert run_sql(database_url, "SELECT license_id FROM licenses") == [("lic-1",)]
    for store in stores:
        store.close()


def test_tables_of_a_later_version_are_refused_also_by_who_runs_already(
    database_url, receiver, customer, logged
):
    token = customer.report()
    run_sql(database_url, "UPDATE receiver_schema SET version = 4")
    with pytest.raises(Stalled, match="schema version 4") as caught:
        ReceiverDatabase.open(database_url)
    assert caught.value.reason == "SchemaUnsupported"
    assert unavailable(receiver.put_report(token))
    assert "SchemaUnsupported" in str(logged)
    assert rows(receiver, token) == []


def test_text_is_ordered_by_its_octets_whatever_the_language_of_the_database(database_url):
    found = run_sql(
        database_url,
        "SELECT DISTINCT collation_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND data_type IN ('text', 'character varying')",
    )
    assert found == [("C",)]


def test_the_last_possible_numbers_are_stored(receiver, customer, monkeypatch):
    before = customer.report()
    monkeypatch.setattr("tests.receiver.people._sequence", lambda _: MAX_SEQUENCE - 1)
    last = customer.report(before, kind="final", users=MAX_COUNT, provisioned_users=MAX_COUNT)
    assert receiver.report(last).verdict == "Accepted"
    assert receiver.report(before).head.sequence == 1
    assert receiver.get(f"/chains/{chain_id(last)}").status_code == 200


def test_health_of_many_replicas_asked_at_once_is_good(start):
    answers = at_once([partial(each.get, "/healthz") for each in [start() for _ in range(6)]])
    assert {answer.status_code for answer in answers} == {200}


def test_a_user_who_may_not_make_tables_is_told_the_rights_that_are_missing(postgres, empty):
    postgres.execute("DROP ROLE IF EXISTS stranger")
    postgres.execute("CREATE ROLE stranger LOGIN PASSWORD 'known'")
    url = empty.replace("receiver@", "stranger:known@")
    with pytest.raises(Retryable, match=r"permission denied for schema public.*GRANT it CREATE"):
        ReceiverDatabase.open(url)


def test_a_database_that_does_not_exist_is_named(postgres):
    with pytest.raises(Retryable, match=r'nowhere at .*"nowhere" does not exist'):
        ReceiverDatabase.open(postgres.url("nowhere"))


def test_a_failure_tells_nothing_of_what_was_to_be_stored(receiver, customer, database_url):
    token = customer.report()
    receiver.put_report(token)
    (document,) = rows(receiver, token)
    with pytest.raises(Retryable, match="UniqueViolation 23505 documents_pkey") as caught:
        receiver.store.write(lambda writing: writing.add(document), Hold.register())
    shown = "".join(traceback.format_exception(caught.value))
    assert document.digest not in shown
    assert jti(token) not in shown


def test_both_databases_hold_and_answer_the_same(receiver, tmp_path, clock):
    """Whatever is put in whatever order, with the same clock: the receipts are the same octets."""
    clock.now_s = ANCHOR + 6 * CYCLE
    other, customer = Receiver(f"sqlite:///{tmp_path / 'other.sqlite'}", clock), Customer()
    chain = customer.chain(6)
    sent = [chain[0], chain[3], chain[1], customer.report(users=9), chain[2], chain[0], chain[5],
            customer.amendment(chain[5], chain[1], cycle=0), chain[4]]  # fmt: skip
    for kind in (receiver, other):
        kind.put_key(customer.enrolment)
    answers = [[kind.put_report(token) for token in sent] for kind in (receiver, other)]
    assert [(one.status_code, one.content) for one in answers[0]] == [
        (one.status_code, one.content) for one in answers[1]
    ]
    assert rows(receiver, chain[0]) == rows(other, chain[0])
    other.close()


def test_addresses_are_spelled_as_secrets_spell_them(postgres, database):
    url = postgres.url(database)
    for spelling in ("postgresql", "postgres", "postgresql+psycopg"):
        address = url.replace("postgresql+psycopg", spelling)
        ReceiverDatabase.open(DatabaseAddress(address)).close()


def test_the_plan_of_a_chain_is_asked_in_threads_without_waiting_for_a_connection(receiver):
    """As many connections as requests are at work: none of them waits for one."""
    with ThreadPoolExecutor(12) as pool:
        meet = threading.Barrier(12)

        def read():
            with receiver.store.read():
                meet.wait(timeout=60)

        for done in [pool.submit(read) for _ in range(12)]:
            done.result()
