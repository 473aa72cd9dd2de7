"""Back up a ledger in use, and restore a backup without losing the previous ledger.

A backup is one file with nothing beside it. A restore is all or nothing: from its first step to its
last a file beside the ledger makes every program refuse to open it, so that no crash can pass off
half of it as a ledger, or as a first start.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from licenseusage import __version__
from licenseusage.errors import Stalled, UsageError
from licenseusage.ledger.documents.records import HISTORY_LOST, Recovery
from licenseusage.ledger.storage import schema
from licenseusage.ledger.storage.copying import (
    Progress,
    copy_into,
    log_of,
    make_durable,
    nothing_to_tell,
    reading,
)
from licenseusage.ledger.storage.database import hold, restoring
from licenseusage.ledger.storage.faults import Corrupt, explained, unusable
from licenseusage.newfiles import appear
from licenseusage.reasons import Reason

PATIENCE_SECONDS = 2.0
"""An operator that found its ledger damaged looks at it now and then, for a moment."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a ledger: id, schema, writer and time.

    Attributes:
        ledger_id: Random name given when it was made.
        schema_version: Of its tables.
        written_by: Version of the program that made these tables; empty if it does not say.
        high_water_ms: Latest time it knows: how old a backup is.
    """

    ledger_id: str
    schema_version: int
    written_by: str
    high_water_ms: int


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made and read again."""

    path: Path
    size_bytes: int
    identity: Identity


@dataclass(frozen=True, slots=True)
class MovedOn:
    """A chain that went on after the backup: nothing more is signed for it (REPORT_FORMAT §11).

    Attributes:
        chain_id: The chain.
        in_backup: Newest position in the backup; 0: none.
        made: Newest position in the ledger that was replaced.
    """

    chain_id: str
    in_backup: int
    made: int


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore.

    Attributes:
        path: The ledger.
        identity: Of the backup that is now the ledger.
        aside: Where the former ledger is; None: there was none.
        readable: Whether the former ledger could be read, so that ``moved_on`` is complete.
        moved_on: Chains that are stopped now.
    """

    path: Path
    identity: Identity
    aside: Path | None
    readable: bool
    moved_on: tuple[MovedOn, ...]


def identity_of(connection: sqlite3.Connection) -> Identity:
    """Return the identity of an open ledger of any version."""
    cursor = connection.execute("SELECT * FROM ledger")
    names = [column[0] for column in cursor.description]
    row = dict(zip(names, cursor.fetchone() or (), strict=False))
    return Identity(
        ledger_id=str(row.get("ledger_id", "")),
        schema_version=int(row.get("schema_version", 0)),
        written_by=str(row.get("written_by", "")),
        high_water_ms=int(row.get("clock_high_water_ms", 0)),
    )


def every_page(connection: sqlite3.Connection, path: Path) -> None:
    """Read every page of an open ledger, and look where its rows point to.

    Raises:
        Stalled: ``LedgerCorrupt``.
    """
    verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        raise Corrupt(path, str(verdict))
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise Corrupt(path, "a row points to nothing")


def backup(source: Path, target: Path, progress: Progress = nothing_to_tell) -> Backup:
    """Copy a ledger as it is at this moment, while an operator writes it, and read the copy.

    Args:
        source: The ledger.
        target: The file to make; its folder exists. It appears whole or not at all.
        progress: Hears of pages.

    Raises:
        Stalled: ``FileExists``: never over another file; ``LedgerCorrupt``: source or copy.
        Retryable: Something cannot be read or written.
    """
    if target.exists():
        raise _exists(target)
    unfinished = target.with_name(target.name + ".unfinished")
    with _explaining(target, f"The backup {target}"):
        try:
            with reading(source) as ledger:
                copy_into(ledger, unfinished, progress)
            identity = verified(unfinished)
            try:
                appear(unfinished, target)
            except FileExistsError:
                raise _exists(target) from None
            make_durable(target.parent)
        finally:
            unfinished.unlink(missing_ok=True)
        return Backup(target, target.stat().st_size, identity)


def restore(
    source: Path, path: Path, *, now_ms: int, progress: Progress = nothing_to_tell
) -> Restored:
    """Put a backup in a ledger's place; the former ledger is kept beside it.

    Chains that the former ledger had led further are stopped: their next positions are taken, by
    reports that this ledger does not know.

    Args:
        source: The backup, or a copied ledger with its log.
        path: The ledger; it need not exist.
        now_ms: The time, for the name of what is kept.
        progress: Hears of pages.

    Raises:
        Waiting: ``LedgerLocked``: an operator uses the ledger.
        Stalled: ``BackupUnusable``: the backup is damaged, or too new for this program; nothing was
            changed.
        Retryable: Something cannot be read or written.
    """
    with hold(path, PATIENCE_SECONDS), _explaining(path):
        _refuse_itself(source, path)
        identity = _usable(source)
        unfinished, coming = path.with_name(path.name + ".unfinished"), restoring(path)
        with reading(source) as chosen:
            copy_into(chosen, unfinished, progress)
        heads = _heads_of(path) if path.exists() else {}
        moved_on = _stop_chains(unfinished, heads or {}, now_ms)
        make_durable(unfinished)
        os.replace(unfinished, coming)  # from here on nobody opens the ledger until it is whole
        make_durable(path.parent)
        aside = _keep_aside(path, now_ms)
        for beside in (log_of(path), path.with_name(path.name + "-shm")):
            beside.unlink(missing_ok=True)
        os.replace(coming, path)
        make_durable(path.parent)
    return Restored(path, identity, aside, heads is not None, moved_on)


@contextmanager
def _explaining(path: Path, what: str = "") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unusable(error, path, what) from None
    except sqlite3.Error as error:
        raise explained(error, path) from error


def verified(copy: Path) -> Identity:
    """Read every page of a copy that was just made.

    Raises:
        Stalled: ``LedgerCorrupt``.
        Retryable: It cannot be read.
    """
    with reading(copy) as connection:
        every_page(connection, copy)
        return identity_of(connection)


def _usable(source: Path) -> Identity:
    try:
        with reading(source) as connection:
            every_page(connection, source)
            identity = identity_of(connection)
    except Corrupt as error:
        raise _unusable_backup(source, error.seen) from error
    if identity.schema_version > schema.VERSION:
        writer = identity.written_by or "a newer version"
        raise _unusable_backup(
            source,
            f"it has schema {identity.schema_version}, written by licenseusage {writer}, and this "
            f"is {__version__}, which knows {schema.VERSION} at most",
        )
    return identity


def _unusable_backup(source: Path, seen: str) -> Stalled:
    return Stalled(
        Reason.BACKUP_UNUSABLE,
        f"{source} cannot be restored: {seen}. Nothing was changed. Choose another backup, or the "
        f"program that wrote it.",
    )


def _refuse_itself(source: Path, path: Path) -> None:
    if path.exists() and source.exists() and path.samefile(source):
        raise Stalled(
            Reason.BACKUP_UNUSABLE, f"{source} is the ledger itself. Nothing was changed."
        )


def _exists(target: Path) -> Stalled:
    return Stalled(
        Reason.FILE_EXISTS, f"{target} exists, and a backup is never overwritten. Name another."
    )


class _Head(NamedTuple):
    """The newest document of a chain: position, digest, and the chain of its key statements."""

    sequence: int
    digest: str
    key_chain_id: str | None


_RECOVERIES = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'recoveries'"
# SQLite: the other columns are those of the row with the maximum.
_NEWEST = (
    "SELECT c.id, max(o.sequence), o.digest, c.key_chain_id FROM chains c"
    " JOIN outbox o ON o.chain_id = c.id GROUP BY c.id"
)
_LOST = (
    "SELECT c.id, max(r.sequence), r.digest, c.key_chain_id FROM chains c"
    " JOIN recoveries r ON r.chain_id = c.id WHERE r.event = 'Lost' GROUP BY c.id"
)


def _heads_of(path: Path) -> dict[str, _Head] | None:
    """Return the newest document of each chain, as far as the former ledger can be read.

    One that it knew of and had lost itself, by an earlier restore, is not forgotten.
    """
    heads: dict[str, _Head] = {}
    try:
        with reading(path) as connection:
            rows = connection.execute(_NEWEST).fetchall()
            if connection.execute(_RECOVERIES).fetchone()[0]:
                rows += connection.execute(_LOST).fetchall()
            for chain_id, sequence, digest, key_chain_id in rows:
                head = _Head(int(sequence), str(digest), key_chain_id)
                heads[chain_id] = max(head, heads.get(chain_id, head), key=lambda each: each[0])
    except (UsageError, sqlite3.Error):
        return None
    return heads


def _stop_chains(coming: Path, heads: Mapping[str, _Head], now_ms: int) -> tuple[MovedOn, ...]:
    """Stop the reports' chains that went on since the backup; in a file that is no ledger yet.

    What is missing of each is kept with it (a backup of an older schema has no place for that).
    Key statements are kept beside the key, and go on from there.
    """
    moved_on = []
    known = "INSERT INTO chains (id, key_chain_id) VALUES (?, ?) ON CONFLICT DO NOTHING"
    newest = "SELECT coalesce(max(sequence), 0) FROM outbox WHERE chain_id = ?"
    with closing(sqlite3.connect(coming)) as connection, connection:
        has_place = connection.execute(_RECOVERIES).fetchone()[0]
        for chain_id, (made, digest, key_chain) in heads.items():
            in_backup = int(connection.execute(newest, (chain_id,)).fetchone()[0])
            if key_chain is None or in_backup >= made:
                continue
            connection.execute(known, (key_chain, None))
            connection.execute(known, (chain_id, key_chain))
            stop = "UPDATE chains SET stopped = ? WHERE id = ?"
            connection.execute(stop, (HISTORY_LOST, chain_id))
            if has_place:
                lost = "INSERT INTO recoveries VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
                connection.execute(lost, (chain_id, str(Recovery.LOST), made, digest, now_ms))
            moved_on.append(MovedOn(chain_id, in_backup, made))
    return tuple(moved_on)


def _keep_aside(path: Path, now_ms: int) -> Path | None:
    """Keep the former ledger and its log under another name, whole, before either is touched."""
    if not path.exists() and not log_of(path).exists():
        return None
    at = datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside, number = path.with_name(f"{path.name}.before-restore-{at}"), 1
    while aside.exists() or log_of(aside).exists():
        number += 1
        aside = path.with_name(f"{path.name}.before-restore-{at}-{number}")
    for former, kept in ((path, aside), (log_of(path), log_of(aside))):
        if not former.exists() or not former.stat().st_size:
            continue
        try:
            kept.hardlink_to(former)
        except OSError:  # a file system without hard links
            shutil.copy2(former, kept)
            make_durable(kept)
    make_durable(path.parent)
    return aside if aside.exists() or log_of(aside).exists() else None
