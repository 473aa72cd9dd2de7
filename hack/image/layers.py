"""Layers of an image: compressed tar archives that come out the same for the same files."""

import bz2
import gzip
import hashlib
import lzma
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

_CHUNK = 1 << 20


class NotALayer(Exception):
    """A file is no tar archive, or compressed in a way that is not known here."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, compressed.

    Attributes:
        file: It, by gzip.
        digest: Of the file, ``sha256:`` and hexadecimal digits.
        size: Of the file, in bytes.
        diff_id: The digest of what it holds before it was compressed.
    """

    file: Path
    digest: str
    size: int
    diff_id: str


def of_tree(root: Path, places: list[PurePosixPath], seconds: int, file: Path) -> Layer:
    """Write a layer with folders of a root, and those above them.

    All is root's and may be read by everybody, since a cluster may choose any user. Times are
    ``seconds``, order is by name, so the same files are the same bytes.

    Args:
        root: A root file system.
        places: Folders or files in it, absolute.
        seconds: What every time is set to, as epoch seconds.
        file: Where it is written.
    """

    def write(out: IO[bytes]) -> None:
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path in _paths(root, places):
                info = archive.gettarinfo(path, arcname=str(path.relative_to(root)))
                info.mtime, info.uid, info.gid, info.uname, info.gname = seconds, 0, 0, "", ""
                runs = info.isdir() or info.mode & 0o111
                info.mode = 0o777 if info.issym() else 0o755 if runs else 0o644
                if info.islnk():  # a file with two names is two files: COPY does not keep links
                    info.type, info.linkname = tarfile.REGTYPE, ""
                    info.size = path.stat().st_size
                with path.open("rb") if info.isreg() else open(os.devnull, "rb") as content:
                    archive.addfile(info, content)

    return _written(file, write)


def of_tarball(archive: Path, file: Path) -> Layer:
    """Write a layer with what a tar archive holds, byte for byte; gzip, bzip2 and xz are undone.

    Raises:
        NotALayer: It is something else.
    """
    if not tarfile.is_tarfile(archive):
        raise NotALayer(f"{archive} is no tar archive, or not compressed by gzip, bzip2 or xz")

    def write(out: IO[bytes]) -> None:
        with _opened(archive) as content:
            shutil.copyfileobj(content, out, _CHUNK)

    return _written(file, write)


class _Hashed:
    """A file that is written to, and its digest."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._digest, self._at = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self._at += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        self._file.flush()

    @property
    def digest(self) -> str:
        return f"sha256:{self._digest.hexdigest()}"


def _written(file: Path, write: Callable[[IO[bytes]], None]) -> Layer:
    with file.open("wb") as raw:
        packed = _Hashed(raw)
        target = cast("IO[bytes]", packed)
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=target, mtime=0) as zipped:
            content = _Hashed(cast("IO[bytes]", zipped))
            write(cast("IO[bytes]", content))
    return Layer(file, packed.digest, file.stat().st_size, content.digest)


def _paths(root: Path, places: list[PurePosixPath]) -> Iterator[Path]:
    """Yield folders, files and links, each after the folder it is in."""
    seen: set[Path] = set()
    for place in places:
        top = root / place.relative_to("/")
        above = [folder for folder in reversed(top.parents) if folder.is_relative_to(root)]
        below = sorted(top.rglob("*")) if top.is_dir() else []
        for path in (*above, top, *below):
            if path != root and path not in seen:
                seen.add(path)
                yield path


def _opened(archive: Path) -> IO[bytes]:
    with archive.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(archive))
    if magic.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.open(archive))
    if magic.startswith(b"\xfd7zXZ\x00"):
        return cast("IO[bytes]", lzma.open(archive))
    return archive.open("rb")
