"""What must be in the ledger's files right after a kill: everything that a commit had returned."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from trials.kills.journal import Committed

_FACTS = """
select meter_id, start_ms, pseudonym, sure from facts
join stores on stores.id = facts.store_id join cycles on cycles.id = stores.cycle_id
"""


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


def _missing(database: sqlite3.Connection, committed: Committed) -> list[str]:
    losses = []
    wiped = set(database.execute("select meter_id, start_ms from cycles where wiped = 1"))
    facts: dict[tuple[int, int], dict[str, int]] = {}
    for meter, start, user, sure in database.execute(_FACTS):
        users = facts.setdefault((meter, start), {})
        users[user.hex()] = users.get(user.hex(), 0) | sure
    for cycle, users in committed.sure.items():
        lost = [user for user, word in users.items() if word & ~facts.get(cycle, {}).get(user, 0)]
        if lost and cycle not in wiped:
            losses.append(f"meter {cycle[0]}, cycle {cycle[1]}: {len(lost)} committed facts lost")
    rows = database.execute("select meter_id, start_ms, intent_ms from cycles")
    decided = {(meter, start): at_ms for meter, start, at_ms in rows}
    for cycle, decisions in committed.decided.items():
        if [decision.at_ms for decision in decisions] != [decided.get(cycle)]:
            losses.append(f"meter {cycle[0]}, cycle {cycle[1]}: its committed decision is lost")
    tokens = dict(database.execute("select jti, token from outbox").fetchall())
    for jti, signed in committed.signed.items():
        if signed != [tokens.get(jti)]:
            losses.append(f"document {jti}: the committed token is lost or another")
    return losses
