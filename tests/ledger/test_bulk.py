"""Packed users become rows inside of the database, and words join there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, select

from licenseusage.ledger.storage.bulk import insert_users, join_words, spans
from licenseusage.ledger.storage.schema import facts, metadata, roster_users
from licenseusage.metering.packing import packed


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    path: Path = tmp_path_factory.mktemp("bulk") / "ledger.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as opened:
        metadata.create_all(opened)
        yield opened
    engine.dispose()


def words(connection: Connection, roster_id: int) -> dict[bytes, int]:
    query = select(roster_users.c.pseudonym, roster_users.c.word).filter_by(roster_id=roster_id)
    return {user: word for user, word in connection.execute(query)}


users = st.sets(st.binary(min_size=16, max_size=16), max_size=40)


@given(users, users, st.integers(1, 63), st.integers(1, 63))
def test_words_of_users_join(connection, first, second, one, other):
    with connection.begin_nested() as attempt:
        insert_users(connection, roster_users, packed(first), {"roster_id": 7, "word": one})
        before = words(connection, 8)
        join_words(connection, roster_users, packed(second), {"roster_id": 7, "word": other})
        expected = dict.fromkeys(first, one)
        expected |= {user: expected.get(user, 0) | other for user in second}
        assert words(connection, 7) == expected
        assert words(connection, 8) == before == {}
        attempt.rollback()


def test_every_column_beside_the_user_is_the_same_for_all(connection):
    with connection.begin_nested() as attempt:
        both = packed([b"a" * 16, b"b" * 16])
        insert_users(connection, facts, both, {"store_id": 3, "sure": 1 << 62, "maybe": 5})
        assert connection.execute(select(facts)).all() == [
            (3, b"a" * 16, 1 << 62, 5),
            (3, b"b" * 16, 1 << 62, 5),
        ]
        attempt.rollback()


@pytest.mark.parametrize(
    ("held", "at_once", "parts"),
    [(0, 10, 1), (10, 10, 1), (11, 10, 2), (20, 10, 2), (21, 10, 4), (10**9, 10, 256)],
)
def test_spans_cover_every_pseudonym_once(held, at_once, parts):
    found = spans(held, at_once)
    assert len(found) == parts
    assert found[0][0] == b"\0"
    assert found[-1][1] is None
    assert [end for _, end in found[:-1]] == [first for first, _ in found[1:]]
    assert len({ord(first) // (256 // parts) for first, _ in found}) == parts
