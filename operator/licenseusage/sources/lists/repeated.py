"""Members that occur twice in one object: JSON leaves open which one counts (RFC 8259 §4).

Decoders take the last one without a word, so a list could hide behind another of the same name, and
a user behind another id (MEASUREMENT §3.10 e). Looked for is only what a source reads, and only
where its name stands more than once in the text, so that it costs one search in the usual answer.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

import msgspec

from licenseusage.sources.definition.expressions import Path

FIRST_ROWS = 1000
"""So many rows of each poll are taken apart, which takes some milliseconds."""

SEARCHED_OF = 32
"""Of the further parts of a long list one in so many is searched; each in a closing poll."""

PARTS_READ, PARTS_READ_THOROUGHLY = 8, 64
"""So many parts are taken apart because of what the search found there, and in vain: in some lists
a name of a member stands within other members as well."""

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MARK = "\x00"
_ROWS = msgspec.json.Decoder(list[msgspec.Raw])


class Twice(NamedTuple):
    """A member that occurs twice.

    Attributes:
        member: Its name, with dots from the answer (or the row) inwards.
        in_row: It is a member of a listed user.
    """

    member: str
    in_row: bool = False


def repeated_member(document: bytes | bytearray, paths: Iterable[Path]) -> Twice | None:
    """Return a member on one of these paths that occurs twice in its object.

    Args:
        document: A JSON document that can be decoded.
        paths: Member names from the document inwards.
    """
    for path in paths:
        if any(document.count(msgspec.json.encode(name)) > 1 for name in path):
            depth = _depth_of_repeated(bytes(document), path)
            if depth is not None:
                return Twice(".".join(path[: depth + 1]))
    return None


class RowsSearch:
    """Looks for members that occur twice in the rows of one poll.

    Attributes:
        twice: One that does.
    """

    def __init__(self, paths: Iterable[Path], *, thorough: bool = False) -> None:
        """Prepare.

        Args:
            paths: What a source reads of a row.
            thorough: Search all parts of a long list.
        """
        self.twice: Twice | None = None
        self._paths = [path for path in paths if path]
        self._every = 1 if thorough else SEARCHED_OF
        self._left = PARTS_READ_THOROUGHLY if thorough else PARTS_READ
        self._names = [msgspec.json.encode(name) for name in sorted(set(chain(*self._paths)))]
        self._parts = self._rows = 0

    def look(self, part: bytes | bytearray, rows: int, path: Path) -> None:
        """Look at a part of a listing.

        Args:
            part: A JSON document that can be decoded.
            rows: How many rows it has.
            path: Where in it they are.
        """
        if self.twice is not None or not rows:
            return
        first = FIRST_ROWS - self._rows
        if first > 0:
            self._take_apart(_rows_at(bytes(part), path)[:first])
        if rows > first and self._left and self._parts % self._every == 0:
            if any(part.count(name + b":") > rows for name in self._names):
                self._left -= 1
                self._take_apart(_rows_at(bytes(part), path))
        self._parts += 1
        self._rows += rows

    def _take_apart(self, rows: Sequence[msgspec.Raw]) -> None:
        for row in map(bytes, rows):
            if all(row.count(name) <= 1 for name in self._names):
                continue
            twice = repeated_member(row, self._paths)
            if twice is not None:
                self.twice = twice._replace(in_row=True)
                return


def _rows_at(document: bytes, path: Path) -> Sequence[msgspec.Raw]:
    """Return the rows of a part of a listing, none where no list is there."""
    try:
        for name in path:
            document = bytes(_MEMBERS.decode(document)[name])
        return _ROWS.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        return ()


def _depth_of_repeated(inside: bytes, path: Path) -> int | None:
    for depth, name in enumerate(path):
        members = _told_apart(inside, name)
        if members is None:
            return None
        values = [value for key, value in members.items() if key.split(_MARK)[0] == name]
        if len(values) > 1:
            return depth
        if not values:
            return None
        inside = bytes(values[0])
    return None


def _told_apart(inside: bytes, name: str) -> dict[str, msgspec.Raw] | None:
    """Return an object's members, those called ``name`` each under a name of its own."""
    written = msgspec.json.encode(name)
    number = 0

    def marked(_: re.Match[bytes]) -> bytes:
        nonlocal number
        number += 1
        return b'%b\\u0000%d"' % (written[:-1], number)

    try:
        return _MEMBERS.decode(re.sub(re.escape(written) + rb"(?=\s*:)", marked, inside))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # not an object
