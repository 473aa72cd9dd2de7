"""A crash between any two steps keeps nothing half; a kill loses nothing that was committed."""

import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing

import pytest
from sqlalchemy import event

from licenseusage.ledger.documents.closing import Signing
from licenseusage.ledger.documents.records import (
    Delivery,
    DeliveryResult,
    ReportKind,
    SignedDocument,
)
from licenseusage.ledger.ledger import Ledger
from licenseusage.metering.cycles import DAY_MS
from licenseusage.reports.names import Link
from tests.ledger.conftest import CHAIN, CYCLE, END, LISTED_ONCE, START, TERMS, declared, poll

CLOSING = END + 2 * 60_000


class Crash(BaseException):
    """Ends everything, as a kill would."""


def content(path) -> dict[str, list]:
    """Every row of every table, as another process would see it now."""
    with closing(sqlite3.connect(path)) as reader:
        tables = [
            name for (name,) in reader.execute("select name from sqlite_master where type='table'")
        ]
        return {name: sorted(reader.execute(f"select * from {name}"), key=repr) for name in tables}


def _poll(ledger: Ledger, _: Callable) -> None:
    both = poll(CLOSING, {"ada": START, "eve": END + 1}, cycles=(CYCLE, TERMS.cycle(1)))
    ledger.record_poll(both, CLOSING)


def _intent(ledger: Ledger, _: Callable) -> None:
    statement = ledger.statement(1, CYCLE, sources=[declared()], as_of_ms=END)
    ledger.begin_close(1, CYCLE, reason="ClosingPolls", statement=statement, now_ms=CLOSING)


def _close(ledger: Ledger, signer: Callable) -> None:
    ledger.close_cycle(1, CYCLE, CLOSING, Signing(CHAIN, signer, CLOSING))


def _interim(ledger: Ledger, signer: Callable) -> None:
    following = TERMS.cycle(1)
    statement = ledger.statement(1, following, sources=[declared()])
    ledger.add_interim(1, 0, statement, CLOSING, Signing(CHAIN, signer, CLOSING))


def _enrolment(ledger: Ledger, _: Callable) -> None:
    document = SignedDocument(f"{CHAIN.key_chain_id}-0000000001", "sha256:e", "token")
    ledger.add_key_statement(CHAIN.key_chain_id, ReportKind.ENROLMENT, 1, document, CLOSING)


def _claim(ledger: Ledger, _: Callable) -> None:
    ledger.claim(CLOSING)


def _result(ledger: Ledger, _: Callable) -> None:
    (item,) = ledger.key_statements(CHAIN.key_chain_id)
    accepted = DeliveryResult(
        Delivery.ACCEPTED, receipt="r", received_ms=CLOSING, head=Link(1, "sha256:e")
    )
    ledger.record_result(item, accepted, CLOSING)


def _waits_for_export(ledger: Ledger, _: Callable) -> None:
    ledger.wait_for_export(1, "export:", CLOSING)


def _receipt(ledger: Ledger, _: Callable) -> None:
    (item, *_rest) = ledger.reports(1)
    accepted = DeliveryResult(
        Delivery.ACCEPTED, receipt="r", received_ms=CLOSING, head=Link(item.sequence, item.digest)
    )
    ledger.record_receipt(item.jti, accepted, CLOSING)


def _wipe(ledger: Ledger, _: Callable) -> None:
    ledger.delete_expired_facts(CLOSING + 13 * DAY_MS)


STORY = (
    _poll,
    _intent,
    _close,
    _interim,
    _enrolment,
    _claim,
    _result,
    _waits_for_export,
    _receipt,
    _wipe,
)


def assert_crashes_change_nothing(ledger: Ledger, path, step: Callable[[], object]) -> None:
    """Crash at each statement and at the commit of a step, then let it end."""
    before = content(path)
    engine = ledger._database.engine
    crashes, seen = 0, 0

    def crash(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen > crashes:
            raise Crash

    event.listen(engine, "before_cursor_execute", crash)
    event.listen(engine, "commit", crash)
    while True:
        seen = 0
        try:
            step()
        except Crash:
            assert content(path) == before, f"crashed after {crashes} statements"
            crashes += 1
        else:
            break
    event.remove(engine, "before_cursor_execute", crash)
    event.remove(engine, "commit", crash)
    assert crashes >= 3, "nothing was injected"
    assert content(path) != before


@pytest.mark.parametrize("step", STORY, ids=lambda step: step.__name__.strip("_"))
def test_a_crash_at_any_statement_leaves_the_state_before(ledger, path, signer, step):
    for earlier in STORY[: STORY.index(step)]:
        earlier(ledger, signer)
    assert_crashes_change_nothing(ledger, path, lambda: step(ledger, signer))


WRITER = """
import sys
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import MeterKey
from tests.ledger.conftest import LISTED_ONCE, START, TERMS, poll

ledger = Ledger.open(sys.argv[1], now_ms=START, ledger_id="killed")
meter = ledger.ensure_meter(MeterKey("default", "opencloud", "opencloud"), START)
ledger.keep_terms(meter.id, TERMS, START)
for number in range(int(sys.argv[2]), 10_000):
    active = {f"{number}-{user}": START for user in range(50)}
    found = poll(START + 1000 * number + 1000, active, properties=LISTED_ONCE)
    ledger.record_poll(found, START + 1000 * number)
    print(number, flush=True)
"""


def test_a_killed_writer_loses_nothing_it_had_committed(path):
    random_ = random.Random(20261123)
    url, last = f"sqlite:///{path}", -1
    for _ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, url, str(last + 1)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(random_.randint(1, 12)):
            last = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        for line in writer.stdout:  # what it had printed before the kill
            last = int(line)
        writer.wait()
        writer.stdout.close()
        with Ledger.open(url, now_ms=START, ledger_id="x") as ledger:
            sources = [declared(properties=LISTED_ONCE)]
            counted = ledger.statement(1, CYCLE, sources=sources).bounds.lower
        assert counted % 50 == 0, "half a poll"
        assert counted >= 50 * (last + 1), "a committed poll is lost"
        last = counted // 50 - 1


def test_the_facts_of_a_final_cycle_are_deleted_after_three_more(ledger, signer):
    for step in (_poll, _intent, _close):
        step(ledger, signer)
    closed = ledger.cycles(1)[-1].closed_ms
    assert ledger.delete_expired_facts(closed + 12 * DAY_MS - 1) == 0
    assert ledger.delete_expired_facts(closed + 12 * DAY_MS) == 1
    assert ledger.delete_expired_facts(closed + 12 * DAY_MS) == 0
    record = ledger.cycles(1)[-1]
    assert record.wiped
    assert record.statement.bounds.lower == 1  # counts, statements and tokens stay
    assert len(ledger.reports(1)) == 1
    counted = ledger.statement(1, TERMS.cycle(1), sources=[declared()])
    assert counted.active_text == "1 so far"


def test_wiped_facts_do_not_come_back(ledger, signer):
    for step in (_poll, _intent, _close):
        step(ledger, signer)
    ledger.delete_expired_facts(END + 20 * DAY_MS)
    _poll(ledger, signer)
    with ledger._database.engine.connect() as connection:
        sql = "select count(*) from facts join stores on store_id = stores.id where cycle_id = 1"
        assert connection.exec_driver_sql(sql).scalar_one() == 0
