"""Many users at once: spans of them, and packed pseudonyms that become rows inside of the database.

A million rows made one by one in Python take seconds; taken apart by SQL they take a tenth of that.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    Connection,
    LargeBinary,
    Table,
    bindparam,
    func,
    insert,
    literal,
    select,
)

from licenseusage.ledger.storage.database import upsert
from licenseusage.metering.pseudonym import SIZE


def spans(users: int, at_once: int) -> list[tuple[bytes, bytes | None]]:
    """Return spans ``[first, end)`` of pseudonyms that cover all of them, ascending.

    Pseudonyms are hashes, hence evenly spread.

    Args:
        users: How many there are, about.
        at_once: How many a span may hold, about; there are 1, 2, 4, .. 256 spans.

    Returns:
        The first bytes of pseudonyms; an end of None: there is no span after it.
    """
    parts = 1
    while parts < 256 and parts * at_once < users:
        parts *= 2
    firsts = range(0, 256, 256 // parts)
    ends = [bytes([first]) for first in firsts[1:]]
    return list(zip((bytes([first]) for first in firsts), [*ends, None], strict=True))


def insert_users(
    connection: Connection, table: Table, users: bytes, values: Mapping[str, int]
) -> None:
    """Insert a row for each of some users who have none.

    Args:
        connection: The ledger.
        table: With a column ``pseudonym``.
        users: Packed pseudonyms (``metering.roster``).
        values: What the other columns hold, the same for all.
    """
    if users:
        connection.execute(_insert(insert(table), users, values))


def join_words(
    connection: Connection, table: Table, users: bytes, values: Mapping[str, int]
) -> bool:
    """Insert a row for each of some users, or set the bits of ``word`` in the row there is.

    Returns:
        Whether anything has changed.
    """
    if users:
        adding = upsert(table)
        joined = table.c.word.bitwise_or(adding.excluded.word)
        write = _insert(adding, users, values)
        key = list(table.primary_key)
        where = table.c.word != joined
        write = write.on_conflict_do_update(key, set_={"word": joined}, where=where)
        return connection.execute(write).rowcount > 0
    return False


def _insert(into: Any, users: bytes, values: Mapping[str, int]) -> Any:  # noqa: ANN401
    number = select(literal(0).label("number")).cte("numbers", recursive=True)
    following = select(number.c.number + 1).where(number.c.number + 1 < len(users) // SIZE)
    number = number.union_all(following)
    packed = bindparam("users", users, LargeBinary, unique=True)
    user = func.substr(packed, number.c.number * SIZE + 1, SIZE)
    rest = [literal(value).label(name) for name, value in values.items()]
    # "where true": without it SQLite takes ON CONFLICT for a condition of a join.
    rows = select(user, *rest).select_from(number).where(number.c.number >= 0)
    return into.from_select(["pseudonym", *values], rows)
