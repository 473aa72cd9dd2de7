"""Members that stand twice in one object: JSON leaves open which of them counts (RFC 8259 §4).

Decoders take the last one without a word, so a list could hide behind another of the same name
(MEASUREMENT §3.10 e). Looked for is only what a source reads, and only where its name stands more
than once in the text, so that it costs one search in the usual answer.
"""

import re
from collections.abc import Iterable

import msgspec

from licenseusage.sources.expressions import Path

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MARK = "\x00"


def repeated_member(document: bytes | bytearray, paths: Iterable[Path]) -> str | None:
    """Return the dotted name of a member on one of these paths that stands twice in its object.

    Args:
        document: A JSON document that can be decoded.
        paths: Member names from the document inwards.
    """
    for path in paths:
        if any(document.count(msgspec.json.encode(name)) > 1 for name in path):
            depth = _depth_of_repeated(bytes(document), path)
            if depth is not None:
                return ".".join(path[: depth + 1])
    return None


def _depth_of_repeated(inside: bytes, path: Path) -> int | None:
    for depth, name in enumerate(path):
        members = _told_apart(inside, name)
        if members is None:
            return None
        found = [value for key, value in members.items() if key.split(_MARK)[0] == name]
        if len(found) > 1:
            return depth
        if not found:
            return None
        inside = bytes(found[0])
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
    except msgspec.DecodeError:
        return None  # not an object
