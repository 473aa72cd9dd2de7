"""Times as libraries write them, beside RFC 3339: brought into one form that Python reads.

What stands here is told apart by its shape alone, whatever the time: nothing is guessed that could
be another time as well. A day of ``03/04/2026`` is not read, a number of 16 digits is.
"""

import re
from typing import NamedTuple

from licenseusage.sources.definition.model import DAY_MS, SECOND_MS

MINUTE_MS = 60 * SECOND_MS
LAST_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z."""

_SECONDS_BELOW = 100_000_000_000  # the year 5138
_FILETIME_FROM = 116_444_736_000_000_000  # 1970, in 100 ns since 1601; in microseconds: year 5659
_NANOSECONDS_FROM = 630_000_000_000_000_000  # 1989; as FILETIME: the year 3597
_NANOSECONDS_BELOW = 1 << 63

_ISO = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[Tt ](?P<hour>\d\d):(?P<minute>\d\d)"
    r"(?::(?P<second>\d\d)(?P<part>[.,]\d{1,12})?)?"
    r"(?: ?(?P<zone>[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)"
    r"(?:\[[\w/+-]{1,64}\]|(?: [A-Z]{1,5})?(?: m=[+-][\d.]+)?)?| (?P<local>[A-Z]{2,5}))?",
    re.ASCII,
)
"""RFC 3339 and its relatives: a zone's name behind the offset (Java's ``ZonedDateTime``, Go's
``Time.String`` with its monotonic clock), a space before it (Ruby), an offset of hours only
(PostgreSQL), a comma (ISO 8601), no seconds (Java leaves ``:00`` out), the abbreviation of a local
zone (``%Z`` of C and chrono)."""

_COMPACT = re.compile(
    r"(\d{4})(\d\d)(\d\d)T?(\d\d)(\d\d)(\d\d)([.,]\d{1,9})?(Z|[+-]\d\d(?:\d\d)?)?", re.ASCII
)
"""ISO 8601 without signs, and LDAP's ``generalizedTime`` (RFC 4517 §3.3.13)."""

_MAIL = re.compile(
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d\d:\d\d:\d\d) "
    r"(GMT|UTC|[+-]\d{4})",
    re.ASCII,
)
"""RFC 5322, and the date of HTTP: what Flask and Express write."""

_MONTHS = ("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec").split()
_EPOCH = re.compile(r"(?:\d{10}|\d{13}|\d{16}|\d{18,19})(?:\.\d{1,9})?", re.ASCII)
"""A number as a text. Eight, twelve and fourteen digits are days and times."""


class Spelled(NamedTuple):
    """A time in the form that ``datetime.fromisoformat`` reads.

    Attributes:
        iso: With an offset, or without one.
        later_ms: What is to be added: a leap second, midnight written as 24:00.
        unsure_ms: How much later it may be: within the minute, where no seconds are written.
        local: Abbreviation of the zone, such as CEST, which means something in one zone only.
    """

    iso: str
    later_ms: int = 0
    unsure_ms: int = 0
    local: str | None = None


def spelled(text: str) -> Spelled | None:
    """Return a text's time in one form, None where it has none of the shapes that are known."""
    if match := _ISO.fullmatch(text):
        return _iso(match)
    if match := _COMPACT.fullmatch(text):
        year, month, day, hour, minute, second, part, zone = match.groups("")
        return Spelled(f"{year}-{month}-{day}T{hour}:{minute}:{second}{part}{zone}")
    if match := _MAIL.fullmatch(text):
        day, name, year, time, zone = match.groups()
        if name in _MONTHS:
            month = f"{_MONTHS.index(name) + 1:02}"
            return Spelled(f"{year}-{month}-{day:0>2}T{time}{_offset(zone)}")
    return None


def epoch_of(text: str) -> int | float | None:
    """Return the number that a text is, if it can only be one since 1970 (or 1601)."""
    if _EPOCH.fullmatch(text):
        return float(text) if "." in text else int(text)
    return None


def in_milliseconds(value: float) -> int | None:
    """Return a number's time, ms since 1970; None if it is not a time in any unit.

    Seconds, milliseconds, microseconds, nanoseconds, and FILETIME (100 ns since 1601): each holds
    the numbers that are a time between 1978 and the far future in it, and in no other.
    """
    if not 0 <= value < _NANOSECONDS_BELOW:
        return None
    if value < _SECONDS_BELOW:
        whole = int(value)
        return whole * SECOND_MS + int((value - whole) * SECOND_MS)
    if value <= LAST_MS:
        return int(value)
    if value < _FILETIME_FROM:
        return int(value) // 1000
    if value < _NANOSECONDS_FROM:
        return (int(value) - _FILETIME_FROM) // 10_000
    return int(value) // 1_000_000


def _iso(match: re.Match[str]) -> Spelled:
    hour, minute, second, part = match.group("hour", "minute", "second", "part")
    later = unsure = 0
    if second is None:
        second, unsure = "00", MINUTE_MS - 1
    if second == "60":
        second, later = "59", SECOND_MS
    if (hour, minute, second, (part or "").strip(".,0")) == ("24", "00", "00", ""):
        hour, later = "00", DAY_MS
    time = f"{hour}:{minute}:{second}{part or ''}"
    return Spelled(
        f"{match['day']}T{time}{_offset(match['zone'] or '')}", later, unsure, match["local"]
    )


def _offset(zone: str) -> str:
    return "Z" if zone in ("z", "UTC", "GMT") else zone
