"""How full the volume of the ledger is."""

import os
from dataclasses import dataclass
from pathlib import Path

from licenseusage.errors import UsageError
from licenseusage.ledger.storage.database import path_of

_FILES = ("", "-wal", "-shm")
"""What SQLite adds to the name of a database for its files."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume, in bytes.

    Attributes:
        size: Of the file system.
        available: What a process without privileges may still write.
        ledger: Size of the ledger's files on it.
    """

    size: int
    available: int
    ledger: int


def measured(database_url: str) -> Volume | None:
    """Measure the volume of a ledger; None: it is no file, or cannot be looked at now.

    This asks the file system, which may take its time: call it in a thread.
    """
    try:
        path = path_of(database_url)
        system = os.statvfs(path.parent)
    except (UsageError, OSError):
        return None
    files = [Path(f"{path}{suffix}") for suffix in _FILES]
    return Volume(
        size=system.f_frsize * system.f_blocks,
        available=system.f_frsize * system.f_bavail,
        ledger=sum(_size(file) for file in files),
    )


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
