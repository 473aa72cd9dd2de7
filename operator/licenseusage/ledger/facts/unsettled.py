"""Whom only failed polls have named since the last one that read everything it could.

Their rows are evidence and stay, but the number of a running cycle is "N until ``asOf``", and
``asOf`` is the end of the last poll that succeeded: it would be false with people whose first
activity may be later. So they are counted apart, in the store's JSON object window -> users, and
taken off until a success, of whatever source, has come after them (MEASUREMENT §0, §3).
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import Connection, bindparam, update

from licenseusage.ledger.storage.schema import stores
from licenseusage.metering.cycles import CYCLE_BIT

NOBODY = "{}"

_SETTLE = (
    update(stores)
    .where(
        stores.c.cycle_id == bindparam("of_cycle"),
        stores.c.seen_until_ms <= bindparam("until_ms"),
        stores.c.unsettled != NOBODY,
    )
    .values(unsettled=NOBODY)
)


def windows(word: int, *, first: bool) -> Iterator[int]:
    """Yield the days of a word; and the cycle, if it is the ``first`` one of this user."""
    if first:
        yield CYCLE_BIT
    days = word & ((1 << CYCLE_BIT) - 1)
    while days:
        lowest = days & -days
        yield lowest.bit_length() - 1
        days ^= lowest


def joined(kept: str, more: Mapping[int, int]) -> str:
    """Return the sum of both, as a store keeps it."""
    total = Counter({int(window): count for window, count in json.loads(kept).items()})
    total.update(more)
    return json.dumps({window: count for window, count in total.items() if count})


def total(kept: Iterable[str]) -> Mapping[int, int]:
    """Return the sum over stores: of several, one person may be in each, so it may be too much."""
    added: Counter[int] = Counter()
    for text in kept:
        added.update({int(window): count for window, count in json.loads(text).items()})
    return added


def settle(connection: Connection, cycle_id: int, until_ms: int) -> None:
    """Take note of a poll that read everything it could: all that was named before it counts."""
    connection.execute(_SETTLE, {"of_cycle": cycle_id, "until_ms": until_ms})
