"""What must be in the ledger's files right after a kill: everything that a commit had returned."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from trials.kills.journal import Committed

_FACTS = """
select name, start_ms, pseudonym, sure from facts
join stores on stores.id = facts.store_id join cycles on cycles.id = stores.cycle_id
join meters on meters.id = cycles.meter_id
"""
_CYCLES = "select name, start_ms, {what} from cycles join meters on meters.id = cycles.meter_id"


def missing(ledger: Path, committed: Committed) -> list[str]:
    """Return what one process had committed and the files do not hold.

    The files are copied first, so that it is the next operator that recovers them, not this.
    """
    if not ledger.exists():
        return [f"the ledger is gone: {ledger}"] if committed.sure else []
    with tempfile.TemporaryDirectory(prefix="licenseusage-kills-") as folder:
        copy = Path(folder) / ledger.name
        for suffix in ("", "-wal"):
            source = ledger.with_name(ledger.name + suffix)
            if source.exists():
                shutil.copy(source, copy.with_name(copy.name + suffix))
        with closing(sqlite3.connect(copy)) as database:
            verdict = database.execute("pragma integrity_check").fetchone()[0]
            if verdict != "ok":
                return [f"the ledger is damaged: {verdict}"]
            return _missing(database, committed)


def settled(ledger: Path, now_s: float) -> bool:
    """Whether every cycle that has ended is Final and every document accepted."""
    query = """
    select (select count(*) from cycles where end_ms <= ? and state <> 'Final')
         + (select count(*) from outbox where state <> 'Accepted')
    """
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=10)) as database:
        return bool(database.execute(query, (now_s * 1000,)).fetchone()[0] == 0)


def reporting(ledger: Path) -> int:
    """Return how many objects have a report."""
    query = "select count(distinct meter_id) from outbox where meter_id is not null"
    ((count,),) = _rows(ledger, query)
    return int(count)


def stopped(ledger: Path) -> bool:
    """Whether a chain is stopped until a person decides, or until it is complete.

    The mark at key statements is for chains that have not begun.
    """
    query = """
    select id from chains where stopped is not null
    and not (key_chain_id is null and stopped = 'LocalHistoryLost')
    """
    return bool(_rows(ledger, query))


def heads(ledger: Path) -> set[str]:
    """Return the newest report of each chain."""
    query = """
    select token from outbox where meter_id is not null and sequence =
    (select max(sequence) from outbox as others where others.chain_id = outbox.chain_id)
    """
    return {token for (token,) in _rows(ledger, query)}


def set_aside(ledger: Path) -> frozenset[str]:
    """Return the digests of what chains went on without, behind a head that was named."""
    return frozenset(digest for (digest,) in _rows(ledger, "select digest from set_aside"))


def signed_finals(ledger: Path) -> dict[tuple[str, int], str]:
    """Return the newest final of each cycle that has one: object and start (ms) -> token."""
    query = """
    select name, start_ms, token from outbox join cycles on cycles.id = outbox.cycle_id
    join meters on meters.id = cycles.meter_id where outbox.kind = 'Final' order by sequence
    """
    return {(name, start): token for name, start, token in _rows(ledger, query)}


def adopted(ledger: Path) -> frozenset[str]:
    """Return the chains that go on behind a head which an administrator has named."""
    rows = _rows(ledger, "select chain_id from recoveries where event = 'Adopted'")
    return frozenset(chain for (chain,) in rows)


def reports(ledger: Path) -> set[str]:
    """Return every report of a ledger, as signed."""
    query = "select token from outbox where meter_id is not null"
    return {token for (token,) in _rows(ledger, query)}


def _rows(ledger: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=10)) as database:
        return database.execute(query).fetchall()


def _missing(database: sqlite3.Connection, committed: Committed) -> list[str]:
    losses = []
    rows = database.execute(_CYCLES.format(what="wiped")).fetchall()
    wiped = {(name, start) for name, start, gone in rows if gone}
    facts: dict[tuple[str, int], dict[str, int]] = {}
    for name, start, user, sure in database.execute(_FACTS):
        users = facts.setdefault((name, start), {})
        users[user.hex()] = users.get(user.hex(), 0) | sure
    for cycle, users in committed.sure.items():
        lost = [user for user, word in users.items() if word & ~facts.get(cycle, {}).get(user, 0)]
        if lost and cycle not in wiped:
            losses.append(f"{cycle[0]}, cycle {cycle[1]}: {len(lost)} committed facts lost")
    rows = database.execute(_CYCLES.format(what="intent_ms")).fetchall()
    decided = {(name, start): at_ms for name, start, at_ms in rows}
    for cycle, decisions in committed.decided.items():
        if [decision.at_ms for decision in decisions] != [decided.get(cycle)]:
            losses.append(f"{cycle[0]}, cycle {cycle[1]}: its committed decision is lost")
    tokens = dict(database.execute("select jti, token from outbox").fetchall())
    for jti, signed in committed.signed.items():
        if signed != [tokens.get(jti)]:
            losses.append(f"document {jti}: the committed token is lost or another")
    return losses
