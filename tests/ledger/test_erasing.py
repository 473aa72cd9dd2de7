"""One person is erased: no number changes, nothing leads to them, and nobody counts twice."""

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from itertools import count

import pytest

from licenseusage.errors import UsageError
from licenseusage.ledger.facts.erasing import Erasure
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.upkeep.checking import Level, check_ledger
from licenseusage.ledger.upkeep.merging import merge_ledgers
from licenseusage.metering.cycles import DAY_MS
from licenseusage.metering.stores import StoreKey
from tests.ledger import book
from tests.ledger.conftest import CYCLE, END, HOUR_MS, MINUTE_MS, START, TERMS, declared, poll, user

KEY_ID = "f" * 32  # of polls
LATER = END + HOUR_MS
_numbers = count(1)


def fresh(size):
    return next(_numbers).to_bytes(size, "big")


@pytest.fixture
def path(tmp_path):
    """A ledger whose first cycle is Final with three people, ada in the next one, too."""
    path = tmp_path / "ledger.sqlite"
    book.story(path)
    return path


def erase(path, name, *starts, at_ms=LATER):
    with book.opened(path) as ledger:
        wanted = {start: [user(name)] for start in starts or (START,)}
        return ledger.erase_person(1, wanted, KEY_ID, at_ms, fresh)


def names(path):
    """How many rows of facts and rosters bear a pseudonym."""
    seen = Counter()
    with closing(sqlite3.connect(path)) as database:
        for table in ("facts", "roster_users", "erasures"):
            seen.update(name for (name,) in database.execute(f"select pseudonym from {table}"))
    return seen


def numbers(path, cycle=CYCLE):
    with book.opened(path) as ledger:
        made = ledger.statement(1, cycle, sources=[declared()], as_of_ms=cycle.end_ms)
        return made.bounds, made.daily


def faults(path):
    return [result for result in check_ledger(path) if result.level is not Level.GOOD]


def test_of_a_final_cycle_the_count_stays_and_the_link_goes(path):
    before = numbers(path)
    assert erase(path, "bob") == {START: Erasure.ERASED}
    assert numbers(path) == before
    assert before[0].lower == 3
    assert user("bob") not in names(path)
    assert faults(path) == []


def test_somebody_in_several_sources_stays_one_person(tmp_path):
    path = tmp_path / "two.sqlite"
    stores = (StoreKey("graph", "same"), StoreKey("ldap", "same"))
    sources = [replace(declared(), store=store) for store in stores]

    def bounds():
        with book.opened(path) as ledger:
            return ledger.statement(1, CYCLE, sources=sources, as_of_ms=END).bounds

    with book.opened(path) as ledger:
        book.begin(ledger)
        for store in stores:
            polled = poll(END + 2 * MINUTE_MS, {"bob": START}, store=store)
            ledger.record_poll(replace(polled, rules_digest=book.RULES), END + 2 * MINUTE_MS)
        book.final(ledger)
    before = bounds()
    assert before.lower == before.upper == 1
    assert erase(path, "bob") == {START: Erasure.ERASED}
    assert bounds() == before


def test_nothing_of_the_pseudonym_is_left_in_the_files(path):
    crowd = [f"user-{number}" for number in range(400)]  # several pages
    with book.opened(path) as operator:
        book.count(operator, LATER, *crowd, complete=False)  # pages with the person are in the log
        assert any(user("bob") in content for content in contents(path))
        with Ledger.beside(f"sqlite:///{path}") as ledger:
            ledger.erase_person(1, {START: [user("bob")]}, KEY_ID, LATER, ones)
            assert ledger.forget_log()
        assert not any(user("bob") in content for content in contents(path))


def ones(size):
    return b"\xff" * size


def contents(path):
    return [file.read_bytes() for file in path.parent.glob("ledger.sqlite*")]


def test_a_product_that_still_lists_the_person_adds_nobody_to_a_cycle_that_was_stated(path):
    before = numbers(path)
    erase(path, "bob")
    with book.opened(path) as ledger:
        book.count(ledger, LATER, "ada", "bob", "eve", complete=False)
    assert numbers(path) == before
    assert user("bob") not in names(path)


def test_of_a_running_cycle_nothing_changes_until_its_final(path):
    following = TERMS.cycle(1)
    before = numbers(path, following)
    assert erase(path, "ada", following.start_ms) == {following.start_ms: Erasure.ORDERED}
    assert numbers(path, following) == before
    with book.opened(path) as ledger:
        assert ledger.carry_out_erasures(LATER, fresh) == 0
        book.count(ledger, following.start_ms + 2 * HOUR_MS, "ada", cycle=following)
    assert numbers(path, following)[0].lower == 1


def test_what_was_ordered_is_done_once_the_cycle_is_final(path):
    following = TERMS.cycle(1)
    erase(path, "ada", following.start_ms)
    with book.opened(path) as ledger:
        book.count(ledger, following.end_ms + 2 * MINUTE_MS, "ada", cycle=following)
        book.final(ledger, following)
    stated = numbers(path, following)
    with book.opened(path) as ledger:
        assert ledger.carry_out_erasures(following.end_ms + HOUR_MS, fresh) == 1
        assert ledger.carry_out_erasures(following.end_ms + HOUR_MS, fresh) == 0
    assert numbers(path, following) == stated
    assert stated[0].lower == 1
    assert names(path)[user("ada")] == 2  # of the first cycle, which nobody asked about
    assert faults(path) == []


def test_to_ask_twice_is_harmless(path):
    following = TERMS.cycle(1)
    starts = (START, following.start_ms)
    assert set(erase(path, "ada", *starts).values()) == {Erasure.ERASED, Erasure.ORDERED}
    again = erase(path, "ada", *starts)
    assert again == {START: Erasure.NOT_IN_DATA, following.start_ms: Erasure.ORDERED}


def test_whoever_is_in_no_data_leaves_no_trace(path):
    assert erase(path, "zoe", START, TERMS.cycle(1).start_ms) == {
        START: Erasure.NOT_IN_DATA,
        TERMS.cycle(1).start_ms: Erasure.NOT_IN_DATA,
    }
    assert user("zoe") not in names(path)


def test_after_the_retention_there_is_nothing_to_erase(path):
    with book.opened(path) as ledger:
        ledger.delete_expired_facts(END + 100 * DAY_MS)
    assert erase(path, "ada") == {START: Erasure.NOT_KEPT}


def test_an_order_for_a_cycle_that_never_came_is_forgotten(path):
    with book.opened(path) as ledger, ledger._write(LATER) as connection:
        connection.exec_driver_sql(
            "insert into erasures values (1, ?, ?, ?)", (END + 50 * DAY_MS, user("ada"), LATER)
        )
    with book.opened(path) as ledger:
        ledger.carry_out_erasures(END + 56 * DAY_MS, fresh)
        assert names(path)[user("ada")] > 0
        kept = sum(1 for _ in rows(path))
        ledger.carry_out_erasures(END + 58 * DAY_MS, fresh)
    assert (kept, sum(1 for _ in rows(path))) == (1, 0)


def rows(path):
    with closing(sqlite3.connect(path)) as database:
        return database.execute("select * from erasures").fetchall()


def test_a_backup_from_before_brings_nobody_back_by_a_merge(path, tmp_path):
    older = tmp_path / "older.sqlite"
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(older)) as target:
        source.backup(target)
    erase(path, "bob")
    done = merge_ledgers(older, path, now_ms=LATER)
    assert any("somebody was erased" in words for words in done.skipped)
    assert user("bob") not in names(path)
    with book.opened(path) as ledger:
        (record,) = [r for r in ledger.cycles(1) if r.cycle == CYCLE]
    assert record.statement.bounds.lower == 3
    assert faults(path) == []


def test_an_order_is_taken_over_by_a_merge(path, tmp_path):
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(other)) as target:
        source.backup(target)
    erase(other, "ada", TERMS.cycle(1).start_ms)
    merge_ledgers(other, path, now_ms=LATER)
    merge_ledgers(other, path, now_ms=LATER)
    assert len(rows(path)) == 1


def test_a_cycle_counted_under_another_key_is_said_not_to_be_erased(path):
    with book.opened(path) as ledger:
        done = ledger.erase_person(1, {START: [user("bob")]}, "0" * 32, LATER, fresh)
    assert done == {START: Erasure.OTHER_KEY}
    assert names(path)[user("bob")] > 0


def test_it_is_done_beside_an_operator_that_has_the_ledger_open(path):
    with book.opened(path) as operator:
        with Ledger.beside(f"sqlite:///{path}") as ledger:
            ledger.erase_person(1, {START: [user("bob")]}, KEY_ID, LATER, fresh)
        book.count(operator, LATER, "ada", cycle=TERMS.cycle(1))
    assert user("bob") not in names(path)
    assert faults(path) == []


def test_a_ledger_of_another_version_is_not_touched(path):
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("update ledger set schema_version = 1")
    with pytest.raises(UsageError) as error:
        Ledger.beside(f"sqlite:///{path}")
    assert error.value.reason == "LedgerSchemaUnsupported"
