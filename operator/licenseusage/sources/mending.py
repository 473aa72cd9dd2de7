"""Repairing almost valid JSON: texts that are not UTF-8, and halves of surrogate pairs.

One user's display name, cut in the middle of a letter by a database column or by JavaScript's
``slice``, must not stop the count of all others. RFC 8259 §8.1 wants UTF-8, and §8.2 leaves open
what a lone surrogate means; decoders refuse both. Here each such place is replaced by one code
point that no text has, and the rest is as it was: what nobody asked for costs nothing, and a text
that is read for an id is known to be broken.
"""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

_T = TypeVar("_T")

NO_JSON = (msgspec.DecodeError, UnicodeDecodeError)
"""Errors of decoding a document that is not JSON; if it fits no struct: ``ValidationError``."""

MARK = "\ufdd0"
"""Stands where a text was broken: a noncharacter, made for use inside a program (Unicode §23.7)."""

_NO_UTF8 = re.compile("[\udc80-\udcff]+")  # bytes, as "surrogateescape" writes them
_ESCAPE = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
_MARK_ESCAPED = b"\\u%04x" % ord(MARK)


def mended(document: bytes | bytearray) -> bytes | None:
    """Return a JSON document with ``MARK`` in place of invalid text; None if all text is valid.

    Used after decoding has failed only: it costs as much as decoding.
    """
    whole = _ESCAPE.sub(_without_half, text_of(bytes(document)).encode())
    return whole if whole != document else None


def text_of(octets: bytes) -> str:
    """Return a text, with ``MARK`` in place of what is not UTF-8."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return _NO_UTF8.sub(MARK, octets.decode(errors="surrogateescape"))


def _without_half(escape: re.Match[bytes]) -> bytes:
    return _MARK_ESCAPED if escape[1] else escape[0]


def decoded(decode: Callable[[bytes], _T], document: bytes) -> _T:
    """Decode a document, repaired if necessary; raises the errors of ``decode``."""
    try:
        return decode(document)
    except NO_JSON:
        better = mended(document)
        if better is None:
            raise
    return decode(better)


def is_broken(value: object) -> bool:
    """Whether a value is a text of a mended document that was broken there."""
    return isinstance(value, str) and MARK in value
