"""Files that are written whole or not at all."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from licenseusage.errors import Stalled
from licenseusage.newfiles import appear
from licenseusage.reasons import Reason

PART = ".part"
"""End of the name of a file that is being written; one that stays is of a process that died."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FIXES = {
    errno.EROFS: "It is mounted read-only: mount it writable.",
    errno.EACCES: "Give this user the right to write there, or name another place.",
    errno.EPERM: "Give this user the right to write there, or name another place.",
    errno.ENOENT: "Create the folder first, or name another place.",
    errno.EISDIR: "It is a folder: name a file in it.",
}


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is complete under its name, or is not there: durable on return.

    A file of that name is replaced. Other processes that write the same name at the same time do
    not mix with it: the last one counts.

    Raises:
        Stalled: ``NotWritable``: nothing has changed; with the fix.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")
    try:
        try:
            _write_new(part, content)
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
        _keep_name(path.parent)
    except OSError as error:
        raise not_writable(path, error, len(content)) from None


@contextmanager
def appearing(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Write a file, for its owner only, that gets its name when the block has ended well.

    Yields:
        The open file, and the name that it has until then.

    Raises:
        Stalled: ``FileExists``: nothing is ever replaced; ``NotWritable``: there is nothing new.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")
    try:
        if path.exists():
            raise _exists(path)
        try:
            with open(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+b") as file:
                yield file, part
                file.flush()
                os.fsync(file.fileno())
            try:
                appear(part, path)
            except FileExistsError:
                raise _exists(path) from None
        finally:
            with suppress(OSError):
                part.unlink()
        _keep_name(path.parent)
    except OSError as error:
        raise not_writable(path, error) from None


def _exists(path: Path) -> Stalled:
    return Stalled(Reason.FILE_EXISTS, f"{path} exists, and is not replaced. Name another file.")


def not_writable(path: Path, error: OSError, size: int = 0) -> Stalled:
    """Return the error of a file that cannot be written, with the fix."""
    seen = error.strerror or type(error).__name__
    if error.errno in _FULL:
        needs = f"It needs {size} bytes: free" if size else "Free"
        fix = f"{needs} space on the volume, or make it larger."
    else:
        fix = _FIXES.get(error.errno or 0, "Check the folder and its volume.")
    return Stalled(
        Reason.NOT_WRITABLE, f"{path} cannot be written ({seen}); nothing was changed. {fix}"
    )


def _write_new(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _keep_name(folder: Path) -> None:
    """Flush the names of a folder; some network file systems cannot, and keep them anyway."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
