"""A folder that bundles are left in for whoever carries them away, and tidied when receipted.

A run needs no lock: every file is written whole under a name of its own, and what is removed is
receipted, so that a second run at the same time makes a spare copy at worst.
"""

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from licenseusage.cli.bundles import SUFFIX, MadeBundle, whole
from licenseusage.cli.folders import entries
from licenseusage.cli.written import PART, not_writable, write_whole
from licenseusage.reports.bundle import MAX_CHARACTERS_IN_FILE
from licenseusage.reports.names import digest
from licenseusage.reports.refused import Refused

_ABANDONED_SECONDS = 3600.0
Settled = Callable[[Collection[str]], frozenset[str]]
"""Returns those digests of which the vendor has signed for the document."""


@dataclass(frozen=True, slots=True)
class Tidied:
    """What one run did.

    Attributes:
        written: New files.
        known: Files that hold the same documents as a new one would, which was not written.
        pruned: Files that were removed because all of their documents are receipted.
        notes: Sentences about files that are none of ours or damaged; they are left alone.
    """

    written: tuple[Path, ...]
    known: tuple[Path, ...]
    pruned: tuple[Path, ...]
    notes: tuple[str, ...]


def keep_folder(
    folder: Path, bundles: Collection[MadeBundle], settled: Settled, now_words: str
) -> Tidied:
    """Remove what is receipted, then write the bundles that the folder does not hold yet.

    Args:
        folder: It must exist.
        bundles: Of everything that waits.
        settled: Tells which documents are receipted.
        now_words: The time as it begins a file's name, such as ``2026-11-30T180000Z``.

    Raises:
        Stalled: ``NotWritable``: nothing is written by half; ``FileUnreadable``.
    """
    _remove_abandoned(folder)
    present, notes = _bundles_in(folder)
    receipted = settled({line for lines in present.values() for line in lines})
    pruned = [path for path, lines in present.items() if lines and lines <= receipted]
    for path in pruned:
        _remove(path)
        del present[path]
    written: list[Path] = []
    known: list[Path] = []
    for bundle in bundles:
        lines = _documents(bundle.data)
        same = next((path for path, others in present.items() if others >= lines), None)
        if same is not None:
            known.append(same)
            continue
        path = folder / f"{now_words}-{bundle.name}"
        write_whole(path, bundle.data.encode("ascii"))
        written.append(path)
    return Tidied(tuple(written), tuple(known), tuple(pruned), tuple(notes))


def _bundles_in(folder: Path) -> tuple[dict[Path, frozenset[str]], list[str]]:
    """Return the bundles of a folder with the digests of their documents."""
    present: dict[Path, frozenset[str]] = {}
    notes: list[str] = []
    for path in entries(folder):
        if path.name.startswith(".") or not path.name.endswith(SUFFIX):
            continue
        try:
            with path.open("rb") as file:
                raw = file.read(MAX_CHARACTERS_IN_FILE + 1)
            present[path] = _documents(raw.decode("ascii"))
        except FileNotFoundError:
            continue  # carried away meanwhile
        except OSError as error:
            notes.append(f"{path.name} cannot be read ({error.strerror}) and is left alone.")
        except (UnicodeDecodeError, Refused):
            notes.append(f"{path.name} is damaged and is left alone; the ledger has its documents.")
    return present, notes


def _documents(data: str) -> frozenset[str]:
    lines = whole(data)
    return frozenset(digest(token) for token in (*lines.key_statements, *lines.reports))


def _remove_abandoned(folder: Path) -> None:
    """Remove what a run left that was killed while it wrote."""
    for path in entries(folder):
        if not (path.name.startswith(".") and path.name.endswith(PART) and SUFFIX in path.name):
            continue
        with suppress(OSError):
            # The file system's times are of the machine's clock, never of a simulated one.
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                path.unlink()


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise not_writable(path, error) from None
