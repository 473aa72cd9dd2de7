"""Errors of the disk and of SQLite, with their meaning and fix for people.

No message holds a statement or its values, which could be pseudonyms, nor anything that changes
from one attempt to the next: a condition with a new text each time would be written each time.
"""

import errno
import os
import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from licenseusage.errors import Retryable, Stalled, UsageError
from licenseusage.reasons import Reason

_CORRUPT = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_NO_LEDGER = ("no such table", "no such column")  # a database, but not one of ours
_OF_THE_DISK = ("FULL", "READONLY", "IOERR", "CANTOPEN", "PERM", "BUSY", "LOCKED", "NOMEM")
_UNTOUCHED = "What was to be written was not, as a whole, and nothing recorded before is lost."


def explained(error: DBAPIError | sqlite3.Error, path: Path) -> UsageError:
    """Return the error with a meaning for an error of the driver.

    Returns:
        Stalled: ``LedgerCorrupt``: no retry will mend it.
        Retryable: ``LedgerDiskFull``, ``LedgerReadOnly``, ``LedgerUnavailable`` (I/O error, locked,
        permissions): mended outside, and then all goes on.
    """
    origin = error.orig if isinstance(error, DBAPIError) else error
    seen = str(origin)
    name = str(getattr(origin, "sqlite_errorname", ""))
    if name.startswith(_CORRUPT) or any(text in seen for text in _NO_LEDGER):
        return Corrupt(path, seen)
    if name == "SQLITE_FULL":
        return disk_full(path, seen)
    if name.startswith("SQLITE_READONLY"):
        return Retryable(
            Reason.LEDGER_READ_ONLY,
            f"The ledger {path} cannot be written: {seen}. {_UNTOUCHED} Mount its volume writable, "
            f"and let this process write it ({owners(path)}).",
        )
    return Retryable(
        Reason.LEDGER_UNAVAILABLE,
        f"The ledger {path} could not be read or written: {seen}. {_UNTOUCHED} Check that its "
        f"volume is mounted, writable, not full and within its quota ({owners(path)}).",
    )


def of_the_disk(error: DBAPIError) -> bool:
    """Whether an error has to do with the disk or its use by others, and not with the statement."""
    name = str(getattr(error.orig, "sqlite_errorname", ""))
    return name.removeprefix("SQLITE_").startswith(_OF_THE_DISK)


def unusable(error: OSError, path: Path, what: str = "") -> UsageError:
    """Return what an error of the file system means; ``what`` could not be used for the ledger."""
    named = what or f"The ledger {path}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(path, str(error.strerror))
    reason = Reason.LEDGER_READ_ONLY if error.errno == errno.EROFS else Reason.LEDGER_UNAVAILABLE
    return Retryable(
        reason,
        f"{named} cannot be used: {error.strerror}. Check that the volume is mounted and writable, "
        f"and that this process may use it ({owners(path)}).",
    )


def disk_full(path: Path, seen: str) -> Retryable:
    """Return the error of a volume without room."""
    return Retryable(
        Reason.LEDGER_DISK_FULL,
        f"The ledger {path} has no room left: {seen}. {_UNTOUCHED} Free space on its volume or "
        f"make it larger.",
    )


class Corrupt(Stalled):
    """A file that cannot be read as a ledger.

    Attributes:
        seen: What is wrong with it, without the advice.
    """

    def __init__(self, path: Path, seen: str) -> None:
        """State what was seen, and that no new ledger replaces this one."""
        super().__init__(
            Reason.LEDGER_CORRUPT,
            f"The ledger {path} cannot be read: {seen}. Nothing was changed and no new one was "
            f"begun, since that would count the cycle from zero. Restore the file from a backup: "
            f"licenseusage ledger restore BACKUP {path}",
        )
        self.seen = seen


def owners(path: Path) -> str:
    """Return the owners of file and folder and our user, to fix wrong permissions."""
    parts = [f"this process has uid {os.geteuid()}, gid {os.getegid()}"]
    for name, place in (("the file", path), ("its folder", path.parent)):
        try:
            status = place.stat()
        except OSError:
            continue
        mode = status.st_mode & 0o7777
        parts.append(f"{name} belongs to {status.st_uid}:{status.st_gid}, mode {mode:04o}")
    return "; ".join(parts)
