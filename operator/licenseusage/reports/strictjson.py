"""JSON as REPORT_FORMAT §2 wants it: one reading only.

A payload that two parsers read differently can say one thing to the customer and another to the
vendor. So: I-JSON (RFC 7493), integers only, no duplicate member, no lone surrogate, limited depth;
all of it checked on the text, before any conversion.
"""

import json
import re

from licenseusage.reasons import Reason
from licenseusage.reports.refused import Refused, need

MAX_DEPTH = 8
MAX_INTEGER = 2**53 - 1
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,15}")
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_object(raw: bytes) -> dict[str, object]:
    """Return the one JSON object that ``raw`` (UTF-8) holds, and nothing else.

    Raises:
        Refused: ``MalformedJSON`` or ``NumberInvalid``.
    """
    try:
        value: object = json.loads(
            raw.decode("utf-8"),
            parse_int=_integer,
            parse_float=_not_an_integer,
            parse_constant=_not_an_integer,
            object_pairs_hook=_members,
        )
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise Refused(Reason.MALFORMED_JSON) from None
    if not isinstance(value, dict):
        raise Refused(Reason.MALFORMED_JSON, "not an object")
    _check_tree(value, 0)
    return value


def _integer(text: str) -> int:
    need(_INTEGER.fullmatch(text) and abs(int(text)) <= MAX_INTEGER, Reason.NUMBER_INVALID)
    return int(text)


def _not_an_integer(_text: str) -> int:
    raise Refused(Reason.NUMBER_INVALID)


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # Names arrive unescaped, so "a" and "\u0061" are seen as the same member.
    members = dict(pairs)
    need(len(members) == len(pairs), Reason.MALFORMED_JSON, "a member occurs twice")
    return members


def _check_tree(value: object, depth: int) -> None:
    need(depth <= MAX_DEPTH, Reason.MALFORMED_JSON, f"more than {MAX_DEPTH} levels")
    if isinstance(value, str):
        need(not _SURROGATE.search(value), Reason.MALFORMED_JSON, "lone surrogate")
    elif isinstance(value, list):
        for item in value:
            _check_tree(item, depth + 1)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_tree(name, depth + 1)
            _check_tree(item, depth + 1)
