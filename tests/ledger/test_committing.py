"""A final's commitment: to exactly those who are counted, made with the report, gone with facts."""

from dataclasses import replace
from hashlib import sha256

import pytest

from licenseusage.ledger.documents.closing import Signing
from licenseusage.ledger.documents.committing import commitment_of
from licenseusage.ledger.documents.records import Committing, ReportKind
from licenseusage.ledger.upkeep.checking import Level, check_ledger
from licenseusage.metering.combine import Combine
from licenseusage.metering.cycles import DAY_MS
from licenseusage.metering.packing import packed
from licenseusage.metering.stores import StoreKey
from licenseusage.reports.names import commitment
from licenseusage.reports.report import read_report
from tests.ledger import book
from tests.ledger.conftest import CYCLE, END, HOUR_MS, MINUTE_MS, START, declared, poll, user

KEY_ID = "f" * 32  # of polls
SALT = b"s" * 32
CLOSED = END + 5 * MINUTE_MS
SOURCES = (declared(),)


def signing(sources=SOURCES, combine=Combine.UNION):
    committing = Committing(sources, combine, lambda size: SALT[:size])
    return Signing(book.CHAIN, book.ISSUER.sign, CLOSED, committing=committing)


@pytest.fixture
def ledger(tmp_path):
    with book.opened(tmp_path / "ledger.sqlite") as ledger:
        book.begin(ledger)
        yield ledger


def final(ledger, sources=SOURCES, combine=Combine.UNION):
    statement = ledger.statement(1, CYCLE, sources=sources, combine=combine, as_of_ms=END)
    ledger.begin_close(1, CYCLE, reason="ClosingPolls", statement=statement, now_ms=CLOSED)
    return ledger.close_cycle(1, CYCLE, CLOSED, signing(sources, combine))


def kept(ledger, item):
    with ledger._read() as connection:
        return commitment_of(connection, item.jti)


def test_a_final_commits_to_exactly_those_who_are_counted(ledger):
    book.count(ledger, END + 2 * MINUTE_MS, "ada", "bob", "eve")
    item = final(ledger)
    content = read_report(item.token).content
    assert content.active_users == 3
    assert content.commitment == commitment(SALT, map(user, ("ada", "bob", "eve")))
    assert kept(ledger, item).users == packed(map(user, ("ada", "bob", "eve")))


def test_people_of_several_sources_are_committed_to_once(ledger):
    stores = (StoreKey("graph", "same"), StoreKey("ldap", "same"))
    sources = tuple(replace(declared(), store=store) for store in stores)
    at_ms = END + 2 * MINUTE_MS
    for store, name in zip(stores, ("ada", "bob"), strict=True):
        polled = poll(at_ms, {name: START, "eve": START}, store=store)
        ledger.record_poll(replace(polled, rules_digest=book.RULES), at_ms)
    content = read_report(final(ledger, sources).token).content
    assert content.active_users == 3
    assert content.commitment == commitment(SALT, map(user, ("ada", "bob", "eve")))


def test_without_exactly_these_people_a_final_has_no_commitment(ledger):
    book.count(ledger, START + HOUR_MS, "ada", "bob")
    statement = ledger.statement(1, CYCLE, sources=SOURCES, as_of_ms=END)
    ledger.begin_close(1, CYCLE, reason="GraceOver", statement=statement, now_ms=CLOSED)
    book.count(ledger, END + 3 * MINUTE_MS, "ada", "bob", "late")
    item = ledger.close_cycle(1, CYCLE, CLOSED, signing())
    content = read_report(item.token).content
    assert (content.active_users, content.commitment) == (2, None)
    assert kept(ledger, item) is None


def test_an_interim_has_none(ledger):
    book.count(ledger, START + HOUR_MS, "ada")
    statement = ledger.statement(1, CYCLE, sources=SOURCES)
    item = ledger.add_interim(1, 0, statement, START + 2 * HOUR_MS, signing())
    assert item.kind is ReportKind.INTERIM
    assert read_report(item.token).content.commitment is None


def test_a_cycle_with_nobody_commits_to_nobody(ledger):
    book.count(ledger, END + 2 * MINUTE_MS)
    content = read_report(final(ledger).token).content
    assert content.active_users == 0
    assert content.commitment == "sha256:" + sha256(SALT).hexdigest()


def test_a_transaction_that_fails_keeps_neither_report_nor_commitment(ledger):
    book.count(ledger, END + 2 * MINUTE_MS, "ada")
    statement = ledger.statement(1, CYCLE, sources=SOURCES, as_of_ms=END)
    ledger.begin_close(1, CYCLE, reason="ClosingPolls", statement=statement, now_ms=CLOSED)

    def broken(draft):
        assert draft.commitment is not None
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ledger.close_cycle(1, CYCLE, CLOSED, replace(signing(), sign=broken))
    item = ledger.close_cycle(1, CYCLE, CLOSED, signing())
    assert kept(ledger, item).salt == SALT


def test_the_check_of_a_ledger_holds_it_against_the_report(ledger, tmp_path):
    book.count(ledger, END + 2 * MINUTE_MS, "ada")
    final(ledger)

    def verdict():
        (found,) = [r for r in check_ledger(tmp_path / "ledger.sqlite") if r.check == "commitments"]
        return found.level, found.message

    assert verdict() == (Level.GOOD, "1 lists of those counted, as reports commit to them")
    with ledger._write(CLOSED) as connection:
        connection.exec_driver_sql("update commitments set users = x'00'")
    level, message = verdict()
    assert level is Level.BAD
    assert "commits to other users than are kept" in message


def test_it_is_deleted_with_the_facts(ledger):
    book.count(ledger, END + 2 * MINUTE_MS, "ada")
    item = final(ledger)
    ledger.delete_expired_facts(END + 100 * DAY_MS)
    assert kept(ledger, item) is None


def test_it_is_deleted_when_somebody_is_erased(ledger):
    book.count(ledger, END + 2 * MINUTE_MS, "ada")
    item = final(ledger)
    ledger.erase_person(1, {START: [user("ada")]}, KEY_ID, CLOSED, lambda size: b"x" * size)
    assert kept(ledger, item) is None
    assert ledger.document(item.jti).token == item.token
