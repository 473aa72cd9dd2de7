"""Values that mean "never active", in the many ways in which products write that (§3.10 c).

Where a database or a language has no null for a time, it writes the least one that it has: the
epoch, the year 1, ``0000-00-00``, -1. No activity was there: such a value is null, not an activity
before the cycle. So a product that records nobody is noticed, and one such row fails no list.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.model import DAY_MS, SECOND_MS, Stamp
from licenseusage.sources.definition.spelling import epoch_of, in_milliseconds

FIRST_YEAR = 1990
"""No product that is asked recorded an activity before."""

_FIRST_S = 631_152_000  # 1990-01-01T00:00:00Z
_TEXTS = {str, type(None)}
_NUMBER = re.compile(r"-?\d{1,19}(?:\.\d{1,9})?", re.ASCII)
_ZEROS = re.compile(r"[-+/:., TZtz]*0[-+/:., TZtz0]*", re.ASCII)
_OLD = re.compile(r"(?:-\d{4,6}|0\d{3}|1[0-8]\d{2}|19[0-8]\d)-\d\d-\d\d(?:[Tt ].*)?", re.ASCII)
_OLD_YEAR = re.compile(r"(?<!\d)(?:0\d{3}|1[0-8]\d{2}|19[0-8]\d)(?!\d)", re.ASCII)


class Never:
    """Tells the values that mean "never" from those that are times, for one way of writing."""

    def __init__(self, stamp: Stamp) -> None:
        """Prepare for a format; ``stamp.never`` are texts that mean it besides."""
        self._format = stamp.format
        self._declared = frozenset(stamp.never)

    def means(self, value: Json) -> bool:
        """Whether a value is null or one that no activity can have; False if it is not a time."""
        if value is None or value == "":
            return True
        if isinstance(value, bool):
            return False
        if self._declared and str(value) in self._declared:
            return True
        if isinstance(value, int | float):
            return self._early(value)
        return isinstance(value, str) and self._text(value)

    def cleaned(self, values: Sequence[Json]) -> list[Json]:
        """Return a column with None for all that mean "never"; others as they are."""
        if self._format == "Auto" and not self._declared and set(map(type, values)) <= _TEXTS:
            # The usual column: texts that begin with a year sort as their times do.
            if min(filter(None, values), default="9") >= str(FIRST_YEAR):
                return [value or None for value in values]
        return [None if self.means(value) else value for value in values]

    def _early(self, value: float) -> bool:
        if value <= 0:
            return True
        match self._format:
            case "EpochSeconds":
                return value < _FIRST_S
            case "EpochMillis":
                return value < _FIRST_S * SECOND_MS
            case "Auto":
                at_ms = in_milliseconds(value)
                return at_ms is not None and at_ms < _FIRST_S * SECOND_MS
        return False

    def _text(self, text: str) -> bool:
        if self._format == "Auto" and text >= str(FIRST_YEAR):
            return False  # the usual case, cheaply: years sort as texts
        if _ZEROS.fullmatch(text) or _OLD.fullmatch(text):
            return True
        if _NUMBER.fullmatch(text):
            number = float(text)
            if self._format.startswith("Epoch") or (
                self._format == "Auto" and epoch_of(text) is not None
            ):
                return self._early(number)
            return number <= 0
        if "%" not in self._format or not ("%y" in self._format or _OLD_YEAR.search(text)):
            return False
        try:
            return datetime.strptime(text, self._format).year < FIRST_YEAR
        except ValueError:
            return False


def before_creation(
    stamps: Sequence[Json], created: Sequence[Json], *, texts_sort: bool
) -> Iterator[int]:
    """Yield the positions of those whose last activity may be before their creation.

    Cheap and never too few: a caller reads both times of these and judges by ``CLEARLY_MS``.

    Args:
        stamps: Last activity, as shown.
        created: Creation, as shown.
        texts_sort: Texts that have a sign behind the year sort as their days do.
    """
    for position, (stamp, made) in enumerate(zip(stamps, created, strict=True)):
        if not stamp or not made:
            continue
        if isinstance(stamp, str) and isinstance(made, str):
            sort = texts_sort and stamp[4:5] == "-" == made[4:5]
            if not sort or stamp[:10] <= made[:10]:
                yield position
        elif isinstance(stamp, str) or isinstance(made, str):
            yield position
        elif isinstance(stamp, int | float) and isinstance(made, int | float) and stamp <= made:
            yield position


CLEARLY_MS = DAY_MS
"""So much earlier than the creation a value must be, beyond granularity and tolerance, to be none.

Less may be the zones or clocks of the two, or a day written as its midnight.
"""
