"""Last-activity times as products write them, read as milliseconds since the epoch, UTC.

Most listed users were not active in the cycle, so reading a list is mostly throwing values away: a
reader first finds the values at or after a horizon (``recent``), and only those are read exactly
(``read``). No message quotes a value: ``shape_of`` tells ``9999-99-99`` instead.
"""

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from licenseusage.sources.definition.model import DAY_MS, SECOND_MS, Stamp
from licenseusage.sources.definition.never import Never
from licenseusage.sources.definition.spelling import (
    LAST_MS,
    MINUTE_MS,
    Spelled,
    epoch_of,
    in_milliseconds,
    spelled,
)

Value = object
"""A value as decoded from JSON; anything may come."""

_TEXT_OR_NULL = {str, type(None)}
_EXPECTED = "RFC 3339, such as 2026-01-31T12:00:00Z, or a number since 1970"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_NUMBER = re.compile(r"\d{1,17}(?:\.\d{1,9})?", re.ASCII)


class Instant(NamedTuple):
    """The time of an activity, as exact as the text.

    Attributes:
        at_ms: The earliest reading.
        unsure_ms: How much later it may be read: 0, but where a zone repeats an hour.
    """

    at_ms: int
    unsure_ms: int = 0


class Recent(NamedTuple):
    """Those values of a column that may be at or after a horizon, as parallel lists.

    Attributes:
        positions: Where they stand in the column, ascending.
        at_ms: Their earliest readings.
        unsure_ms: How much later they may be read; None where all are sure, as nearly always.
    """

    positions: list[int]
    at_ms: list[int]
    unsure_ms: list[int] | None = None


class BadStampError(ValueError):
    """A value that is no time in the declared format. The message never quotes the value."""


class Reader(Protocol):
    """Reads the times of one format."""

    def recent(self, values: Sequence[Value], horizon_ms: int) -> Recent:
        """Return those values that may be at or after the horizon, which is later than 1990.

        Raises:
            BadStampError: A value is no time in this format; the others are unknown then.
        """
        ...

    def read(self, value: Value) -> Instant | None:
        """Return one value's time, None for never (see ``never``); raises as `recent`."""
        ...


def reader(stamp: Stamp) -> Reader:
    """Return the reader for a declared format.

    Raises:
        ValueError: The time zone does not exist, or the pattern is no strptime pattern.
    """
    try:
        zone = ZoneInfo(stamp.naive_timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{stamp.naive_timezone!r} is not an IANA time zone") from None
    never = Never(stamp)
    match stamp.format:
        case "Auto":
            return _Auto(never, zone, stamp.granularity_ms)
        case "EpochSeconds":
            return _Exact(never, _seconds)
        case "EpochMillis":
            return _Exact(never, _millis)
        case pattern:
            return _Exact(never, _strptime(pattern, zone))


def granularity_ms(pattern: str) -> int:
    """Return how coarse a format is by its own digits, such as a minute without seconds."""
    if "%" not in pattern:
        return SECOND_MS if pattern == "EpochSeconds" else 1
    codes = set(re.findall(r"%-?([A-Za-z%])", pattern))
    steps = ((1, "f"), (SECOND_MS, "STXcsr"), (60 * SECOND_MS, "MR"), (3600 * SECOND_MS, "HI"))
    for coarse, fine in steps:
        if codes & set(fine):
            return coarse
    return DAY_MS


def shape_of(value: Value) -> str:
    """Describe a value without quoting it: digits as 9, letters as a, other signs as ?."""
    if isinstance(value, str):
        return "a text like '" + "".join(map(_class_of, value[:40])) + "'"
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30:
        return f"a number of {len(str(int(abs(value))))} digits"
    return kind_of(value)


def _class_of(sign: str) -> str:
    if sign.isdigit():
        return "9"
    return "a" if sign.isalpha() else sign if sign in "-+/:., " else "?"


def kind_of(value: Value) -> str:
    """Name the kind of a JSON value."""
    kinds = {bool: "true or false", str: "a text", dict: "an object", list: "a list"}
    return "nothing" if value is None else kinds.get(type(value), "a number")


class _Exact:
    """Reads every value exactly; for formats that are rare in large lists."""

    def __init__(self, never: Never, parse: Callable[[Value], Instant]) -> None:
        self._never, self._parse = never, parse

    def recent(self, values: Sequence[Value], horizon_ms: int) -> Recent:
        stamps = [
            (index, instant.at_ms, instant.unsure_ms)
            for index, value in enumerate(values)
            if (instant := self.read(value)) is not None
            and instant.at_ms + instant.unsure_ms >= horizon_ms
        ]
        unsure = [stamp[2] for stamp in stamps]
        return Recent(
            [stamp[0] for stamp in stamps],
            [stamp[1] for stamp in stamps],
            unsure if any(unsure) else None,
        )

    def read(self, value: Value) -> Instant | None:
        return None if self._never.means(value) else self._parse(value)


class _Auto(_Exact):
    """RFC 3339 and its relatives (``spelling``), or a number since the epoch."""

    def __init__(self, never: Never, zone: ZoneInfo, granularity_ms: int) -> None:
        super().__init__(never, self._any)
        self._zone, self._granularity_ms = zone, granularity_ms

    def recent(self, values: Sequence[Value], horizon_ms: int) -> Recent:
        # The usual list holds nothing but null and RFC 3339 with an offset: 0.2 us a value.
        if not set(map(type, values)) <= _TEXT_OR_NULL:
            return super().recent(values, horizon_ms)
        horizon = _EPOCH + max(0, horizon_ms) * _MILLISECOND
        read = datetime.fromisoformat
        texts = cast("Sequence[str | None]", values)
        try:
            moments = [
                (index, moment)
                for index, text in enumerate(texts)
                if text
                and (text[16] == ":" or _spelled_otherwise())
                and (moment := read(text)) >= horizon
            ]
        except (TypeError, ValueError, IndexError):  # no offset, another spelling, garbage
            return super().recent(values, horizon_ms)
        positions = [index for index, _ in moments]
        # Only those found: of a time that is thrown away it does not matter that it has no minutes.
        every = cast("Sequence[str]", texts)
        if any((text := every[index])[13] != ":" or text[10] not in "T " for index in positions):
            return super().recent(values, horizon_ms)
        return Recent(positions, [(moment - _EPOCH) // _MILLISECOND for _, moment in moments])

    def _any(self, value: Value) -> Instant:
        number: Value = value
        if isinstance(value, str):
            spelling = spelled(value)
            if spelling is not None:
                return self._written(value, spelling)
            number = epoch_of(value)
        if isinstance(number, int | float) and not isinstance(number, bool):
            at_ms = in_milliseconds(number)
            if at_ms is not None:
                return Instant(at_ms)
        raise _bad(value, _EXPECTED)

    def _written(self, text: str, spelling: Spelled) -> Instant:
        try:
            moment = datetime.fromisoformat(spelling.iso)
            if spelling.local is not None:
                moment = _called(moment, self._zone, spelling.local)
            instant = _instant(moment, self._zone)
        except BadStampError:
            raise
        except (ValueError, OverflowError):
            raise _bad(text, _EXPECTED) from None
        # Without seconds it is some time of that minute, unless times are no finer anyway.
        unsure = spelling.unsure_ms if self._granularity_ms < MINUTE_MS else 0
        return Instant(instant.at_ms + spelling.later_ms, instant.unsure_ms + unsure)


def _spelled_otherwise() -> bool:
    raise ValueError


def _instant(parsed: datetime, zone: ZoneInfo) -> Instant:
    if parsed.tzinfo is not None:
        return Instant((parsed - _EPOCH) // _MILLISECOND)
    # A local time may happen twice (or never, then it was written by a clock that was set late):
    # both readings are kept, and the rules of metering see the whole span.
    readings = [
        (parsed.replace(tzinfo=zone, fold=fold) - _EPOCH) // _MILLISECOND for fold in (0, 1)
    ]
    return Instant(min(readings), max(readings) - min(readings))


def _called(naive: datetime, zone: ZoneInfo, name: str) -> datetime:
    """Return a local time with the offset that its zone calls so, such as CET or CEST.

    Raises:
        BadStampError: The zone does not call any so at that time: it is another one.
    """
    for fold in (0, 1):
        moment = naive.replace(tzinfo=zone, fold=fold)
        if moment.tzname() == name:
            return moment
    raise BadStampError(
        "a text ends with the abbreviation of a time zone that is not naiveTimezone "
        f"({zone.key}): name the product's zone in users.lastActive.naiveTimezone"
    )


def _number(value: float, unit_ms: int) -> Instant:
    # Compared before it is calculated with: an integer of 400 digits becomes no float.
    if not 0 <= value <= LAST_MS // unit_ms:
        raise _bad(value, "a time since 1970")
    whole = math.floor(value)
    return Instant(whole * unit_ms + math.floor((value - whole) * unit_ms))


def _seconds(value: Value) -> Instant:
    return _number(_numeric(value, "seconds"), SECOND_MS)


def _millis(value: Value) -> Instant:
    return _number(_numeric(value, "milliseconds"), 1)


def _numeric(value: Value, unit: str) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    raise _bad(value, f"a number of {unit} since 1970")


def _strptime(pattern: str, zone: ZoneInfo) -> Callable[[Value], Instant]:
    sample = datetime(2026, 1, 31, 13, 34, 56, tzinfo=UTC)
    try:
        again = datetime.strptime(sample.strftime(pattern), pattern)
    except ValueError:
        raise ValueError(f"{pattern!r} is not a strptime pattern") from None
    except re.error:  # strptime makes a group of each directive, and says so
        raise ValueError(f"{pattern!r} repeats a directive: write each one once") from None
    if again.date() != sample.date():
        raise ValueError(f"{pattern!r} leaves the year, month or day open")
    if granularity_ms(pattern) < DAY_MS and again.hour != sample.hour:
        raise ValueError(f"{pattern!r} leaves the half of the day open: add %p to %I, or use %H")

    days = granularity_ms(pattern) == DAY_MS

    def parse(value: Value) -> Instant:
        if not isinstance(value, str):
            raise _bad(value, f"a text in the format {pattern}")
        try:
            moment = datetime.strptime(value, pattern)
            return _local_day(moment, zone) if days else _instant(moment, zone)
        except (ValueError, OverflowError):
            raise _bad(value, f"the format {pattern}") from None

    return parse


def _local_day(midnight: datetime, zone: ZoneInfo) -> Instant:
    """Return the beginning of a local day, unsure by what it has more than 24 hours."""
    begins, ends = _instant(midnight, zone), _instant(midnight + timedelta(days=1), zone)
    latest = ends.at_ms + ends.unsure_ms - DAY_MS
    return Instant(begins.at_ms, max(begins.unsure_ms, latest - begins.at_ms, 0))


def _bad(value: Value, expected: str) -> BadStampError:
    return BadStampError(f"{shape_of(value)} is not {expected}")
