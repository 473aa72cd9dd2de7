"""The check finds each broken rule by its own means, and writes nothing."""

import sqlite3
from contextlib import closing

import pytest

from licenseusage.errors import Retryable
from licenseusage.ledger.upkeep.checking import Level, check_ledger
from licenseusage.ledger.upkeep.snapshot import backup
from tests.ledger import book
from tests.ledger.conftest import DAY_MS, START, TERMS


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("written") / "ledger.db"
    book.story(path)
    return path.read_bytes()


@pytest.fixture
def told(path, written):
    path.write_bytes(written)
    return path


def faults(path):
    return {one.check: one.message for one in check_ledger(path) if one.level is Level.BAD}


def files(path):
    return {one.name: one.read_bytes() for one in path.parent.iterdir()}


def broken(path, *statements):
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            database.execute(statement)


def test_a_ledger_as_an_operator_leaves_it_is_in_order(told):
    found = check_ledger(told)
    assert {one.level for one in found} == {Level.GOOD}, found
    assert [one.check for one in found] == [
        *("file", "schema", "references", "facts", "cycles"),
        *("statements", "chains", "commitments", "coverage", "logs", "numbers", "clock"),
    ]


def test_nothing_is_written(told, tmp_path):
    before = files(told)
    check_ledger(told)
    assert files(told) == before


def test_a_ledger_in_use_is_checked_as_it_is_now(path):
    with book.opened(path) as ledger:
        book.begin(ledger)
        book.count(ledger, START, "ada", "bob")
        found = {one.check: one for one in check_ledger(path)}
        assert found["facts"].message.startswith("2 users")
        assert {one.level for one in found.values()} == {Level.GOOD}
        book.count(ledger, START + 1000, "eve")  # and the operator is not disturbed


def test_a_backup_is_in_order_like_its_ledger(told):
    target = told.with_name("backup.db")
    backup(told, target)
    assert faults(target) == {}


def test_progress_ends_at_its_total(told):
    seen = []
    check_ledger(told, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (12, 12)


ANY = "(select min(store_id) from facts)"
BREAKS = {
    "a hole in a chain": ("delete from outbox where kind = 'Interim'", "chains", "1 is missing"),
    "another token": (
        "update outbox set token = (select token from outbox where kind = 'Interim')"
        " where kind = 'Final'",
        "chains",
        "not what its digest says",
    ),
    "a forged token": (
        "update outbox set token = substr(token, 1, length(token) - 4) || 'AAAA'"
        " where kind = 'Final'",
        "chains",
        "SignatureInvalid",
    ),
    "signatures that nothing here can check": (
        "delete from outbox where kind = 'Enrolment'",
        "chains",
        "no key statement is here",
    ),
    "a position with another's name": (
        "update outbox set jti = replace(jti, '0000000002', '0000000009')",
        "chains",
        "is named",
    ),
    "an acknowledged document that is not held": (
        "update chains set acknowledged_digest = 'sha256:0' where key_chain_id is not null",
        "chains",
        "acknowledged document 2",
    ),
    "a second final": (
        "update outbox set kind = 'Final' where kind = 'Interim'",
        "chains",
        "a second one",
    ),
    "a final of a cycle that is not Final": (
        "update cycles set state = 'Closing' where cycle_index = 0",
        "chains",
        "the cycle is Closing",
    ),
    "a final that says another number": (
        "update cycles set statement = replace(statement, '\"bounds\":[3,3', '\"bounds\":[2,3')",
        "chains",
        "another number",
    ),
    "facts lost": (
        "delete from facts where pseudonym = (select min(pseudonym) from facts"
        " where store_id = 1) and store_id = 1",
        "statements",
        "at least 3 was stated, the facts prove 2",
    ),
    "facts that leave more people possible": (
        f"insert into facts values ({ANY}, x'00000000000000000000000000000000', 0, 1 << 62)",
        "statements",
        "at most 3 was stated, the facts leave 4",
    ),
    "a statement that cannot be read": (
        "update cycles set statement = '{}' where statement is not null",
        "statements",
        "cannot be read",
    ),
    "a statement about another cycle": (
        "update cycles set cycle_index = 7 where statement is not null",
        "statements",
        "about another cycle",
    ),
    "a bit after the cycle's end": (
        "update facts set sure = sure | (1 << 40)",
        "facts",
        "outside the cycle's days",
    ),
    "a user without a bit": ("update facts set sure = 0, maybe = 0", "facts", "have no bit"),
    "a user sure and maybe": ("update facts set maybe = sure", "facts", "sure and maybe"),
    "a day without its cycle": ("update facts set sure = 1", "facts", "not in the cycle"),
    "a maybe that nothing closed": (
        "update facts set sure = 0, maybe = 1 << 62 where store_id = 2",
        "facts",
        "not closed",
    ),
    "a name that is no pseudonym": (
        "update facts set pseudonym = x'00' || pseudonym",
        "facts",
        "16 bytes",
    ),
    "facts that were to be deleted": (
        "update cycles set wiped = 1 where cycle_index = 0",
        "facts",
        "whose facts were deleted",
    ),
    "an unknown word on a roster": (
        "insert into roster_users values (1, x'00000000000000000000000000000000', 128)",
        "facts",
        "unknown word",
    ),
    "cycles that overlap": (
        f"update cycles set start_ms = start_ms - {DAY_MS} where cycle_index = 1",
        "cycles",
        "begins before the one before it ends",
    ),
    "cycles closed out of order": (
        "update cycles set state = 'Final', closed_ms = 1, intent_ms = 1, statement ="
        " (select statement from cycles where cycle_index = 0) where cycle_index = 1;"
        "update cycles set state = 'Closing' where cycle_index = 0",
        "cycles",
        "the one before it is Closing",
    ),
    "a Final without a decision": (
        "update cycles set intent_ms = null where cycle_index = 0",
        "cycles",
        "without a decision",
    ),
    "an Open cycle with a decision": (
        "update cycles set state = 'Open' where cycle_index = 0",
        "cycles",
        "is Open",
    ),
    "spans observed twice": (
        f"insert into coverage select meter_id, source, start_ms + 1, end_ms + {DAY_MS}, 'x'"
        " from coverage limit 1",
        "coverage",
        "observed twice",
    ),
    "an amendment that the facts do not bear out": (
        "insert into amendments select id, 1, 1, 'NewEvidence', 'x', replace(statement,"
        " '\"bounds\":[3,3', '\"bounds\":[4,4') from cycles where cycle_index = 0",
        "statements",
        "at least 4 was stated, the facts prove 3",
    ),
    "a missing amendment": (
        "insert into amendments select id, 2, 1, 'NewEvidence', 'x', statement"
        " from cycles where cycle_index = 0",
        "statements",
        "amendment 1 is missing",
    ),
    "an amendment that cannot be read": (
        "insert into amendments select id, 1, 1, 'NewEvidence', 'x', '{}'"
        " from cycles where cycle_index = 0",
        "statements",
        "amendment 1 cannot be read",
    ),
    "a log read twice": (
        "insert into log_ranges values (1, 10, 30), (1, 20, 40)",
        "logs",
        "is read twice",
    ),
    "a log read backwards": ("insert into log_ranges values (1, 30, 10)", "logs", "backwards"),
    "a report from the future": (
        "update outbox set created_ms = 99999999999999 where kind = 'Final'",
        "clock",
        "a report was signed",
    ),
    "a row that points to nothing": (
        "update outbox set meter_id = 99 where kind = 'Final'",
        "references",
        "no row of meters",
    ),
}


@pytest.mark.parametrize(("statements", "check", "words"), BREAKS.values(), ids=BREAKS)
def test_every_broken_rule_is_found(told, statements, check, words):
    broken(told, *statements.split(";"))
    assert words in faults(told).get(check, "")


def test_of_many_faults_the_first_are_told_and_the_others_counted(told):
    broken(
        told,
        *(f"insert into grids values (99, {n}, '2026-01-01', 1, null, null)" for n in range(9)),
    )
    assert faults(told)["references"].count("points to no row of meters") == 3
    assert faults(told)["references"].endswith("; and 6 more")


@pytest.mark.parametrize("table", ["meters", "grids"])
def test_a_subscription_without_its_licence_is_a_fault(told, table):
    broken(told, f"update {table} set subscription = 'vendor lost'")
    assert faults(told) == {"references": "the licence of subscription vendor lost is missing"}


def test_deleted_facts_of_a_cycle_are_no_fault(told):
    with book.opened(told) as ledger:
        assert ledger.delete_expired_facts(START + 40 * DAY_MS) == 1
    found = {one.check: one for one in check_ledger(told)}
    assert {one.level for one in found.values()} == {Level.GOOD}
    assert "1 the facts were deleted" in found["statements"].message


def test_a_stopped_chain_is_told_and_is_no_fault(told):
    broken(told, "update chains set stopped = 'ChainForked' where key_chain_id is not null")
    found = {one.check: one for one in check_ledger(told)}
    assert found["chains"].level is Level.GOOD
    assert f"{book.CHAIN.id[:8]} (ChainForked)" in found["chains"].message


def test_a_damaged_page_is_a_fault_of_the_file(told):
    content = bytearray(told.read_bytes())
    content[2 * 4096 : 3 * 4096] = bytes(4096)
    told.write_bytes(content)
    assert list(faults(told)) == ["file"]


@pytest.mark.parametrize("content", [b"", b"no ledger" * 1000])
def test_what_is_no_ledger_is_a_fault_of_the_file(path, content):
    path.write_bytes(content)
    assert list(faults(path)) == ["file"]
    assert files(path) == {"ledger.db": content}


@pytest.mark.parametrize(("version", "words"), [(99, "too new"), (1, "brings it up to date")])
def test_another_schema_is_not_judged(told, version, words):
    broken(told, f"update ledger set schema_version = {version}, written_by = '9.8.7'")
    found = check_ledger(told)
    assert [(one.check, one.level) for one in found] == [
        ("file", Level.GOOD),
        ("schema", Level.NOT_CHECKED),
    ]
    assert words in found[-1].message
    assert "9.8.7" in found[-1].message


def test_a_missing_file_is_not_judged(path):
    with pytest.raises(Retryable, match="No such file"):
        check_ledger(path)
    assert not path.exists()


def test_a_running_cycle_has_no_statement_to_bear_out(path):
    with book.opened(path) as ledger:
        book.begin(ledger)
        book.count(ledger, TERMS.cycle(0).start_ms, "ada")
    assert faults(path) == {}
