"""A folder that receipts files are left in: a volume that a tool fills, or a mounted ConfigMap."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from licenseusage.cli.documents import Bundle, GivenDocument, read_given
from licenseusage.cli.folders import entries
from licenseusage.errors import Stalled

_OF_THE_FILE_SYSTEM = "lost+found"


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A file of the folder.

    Attributes:
        path: The file.
        documents: What is in it, damaged lines too; empty: nothing could be read.
        problem: Why it could not be read, with the fix; a sentence.
    """

    path: Path
    documents: tuple[GivenDocument, ...] = ()
    problem: str | None = None


def files_in(folder: Path) -> Iterator[FolderFile]:
    """Yield the files of a folder by name, each read when it is its turn.

    Names that begin with a dot are left alone: tools write them until a file is whole, and the
    kubelet keeps the contents of a mounted ConfigMap there. A link is followed within the folder
    only: whoever fills the folder must not have other files read.

    Raises:
        Stalled: ``FileUnreadable``: the folder itself.
    """
    paths, inside = entries(folder), folder.resolve()
    for path in paths:
        if not path.name.startswith(".") and path.name != _OF_THE_FILE_SYSTEM:
            yield _read(path, inside)


def _read(path: Path, inside: Path) -> FolderFile:
    try:
        target = Path(os.path.realpath(path, strict=True))
        if not target.is_relative_to(inside):
            return _refused(path, "it is a link out of the folder. Put the file itself there")
        # A pipe would be waited for, and a device has no end.
        if not stat.S_ISREG(target.stat().st_mode):
            return _refused(
                path, "it is a folder or no file at all. Put files directly into the folder"
            )
        given = read_given(str(path))
    except OSError as error:
        return _refused(path, f"{error.strerror or type(error).__name__}. Make it readable")
    except Stalled as error:
        return FolderFile(path, problem=error.message)
    if isinstance(given, Bundle):
        return _refused(path, "it is a bundle: that goes to the vendor, who answers with receipts")
    return FolderFile(path, tuple(given))


def _refused(path: Path, why: str) -> FolderFile:
    return FolderFile(path, problem=f"{path}: {why}.")
