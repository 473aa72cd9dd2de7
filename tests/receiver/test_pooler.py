"""Behind a pooler that gives each transaction another session, as CloudNativePG's does."""

import os
import tempfile
from functools import partial
from pathlib import Path

import pytest

from hack.postgres import PgBouncerServer, find_pooler
from hack.programs import NoProgram
from licenseusage.receiver.store import ReceiverDatabase
from tests.receiver.people import ANCHOR, CYCLE, Customer, Receiver, chain_id
from tests.receiver.test_races import at_once


@pytest.fixture(scope="module")
def pooler(postgres):
    try:
        find_pooler()
    except NoProgram as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    with tempfile.TemporaryDirectory(prefix="licenseusage-pgbouncer-") as folder:
        with PgBouncerServer(Path(folder), postgres, size=2) as server:
            yield server


@pytest.fixture
def replicas(pooler, postgres, clock):
    """Four receivers, whose transactions share two sessions."""
    clock.now_s = ANCHOR + 10 * CYCLE
    url = pooler.url(postgres.create())
    running = [Receiver(url, clock) for _ in range(4)]
    yield running
    for receiver in running:
        receiver.close()


def test_reports_are_taken_once_by_replicas_that_share_sessions(replicas):
    customer = Customer()
    replicas[0].put_key(customer.enrolment)
    chain = customer.chain(12)
    for four in (chain[:4], chain[4:8], chain[8:]):
        answers = at_once(
            [partial(each.put_report, token) for each, token in zip(replicas, four, strict=True)]
        )
        assert {answer.status_code for answer in answers} == {201}
    again = at_once([partial(each.put_report, chain[11]) for each in replicas])
    assert {answer.status_code for answer in again} == {200}
    assert len({answer.content for answer in again}) == 1
    with replicas[0].store.read() as views:
        assert views.chain(chain_id(chain[0])).head.sequence == 12


def test_nothing_of_a_transaction_stays_in_a_session(replicas):
    customer = Customer()
    replicas[0].put_key(customer.enrolment)
    for token in customer.chain(8):
        assert replicas[0].put_report(token).status_code == 201
    left = {
        "SELECT count(*) FROM pg_prepared_statements": 0,
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted": 0,
        "SELECT count(*) FROM pg_class WHERE relpersistence = 't'": 0,
        "SELECT count(*) FROM pg_listening_channels()": 0,
        "SELECT count(*) FROM pg_settings WHERE source = 'session'"
        " AND name NOT IN ('application_name', 'client_encoding', 'DateStyle', 'TimeZone',"
        " 'standard_conforming_strings', 'lock_timeout', 'statement_timeout',"
        " 'idle_in_transaction_session_timeout', 'transaction_read_only',"
        " 'transaction_isolation')": 0,
        "SELECT reset_val::bigint FROM pg_settings WHERE name = 'statement_timeout'": 0,
    }
    for statement, number in left.items():
        for _ in range(4):
            with replicas[0].store.read() as views:
                found = views._connection.exec_driver_sql(statement).scalar()
            assert found == number, statement


def test_replicas_start_at_once_behind_a_pooler(pooler, postgres):
    url = pooler.url(postgres.create())
    for store in at_once([partial(ReceiverDatabase.open, url)] * 4):
        store.close()
