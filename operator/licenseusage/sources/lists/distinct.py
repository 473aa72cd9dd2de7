"""How many different ids a listing shows (MEASUREMENT §3.10 a).

A row that stands twice took somebody's place: whoever moved between two pages, or stands behind a
limit, is hidden by it. So rows and different ids are counted, here and nowhere else.
"""

from array import array
from collections.abc import Sequence

from licenseusage.sources.definition.expressions import Json

_TEXT = {str}
_AT_ONCE = 65_536


class Distinct:
    """Counts the different ids of a listing as they arrive; 8 bytes per row.

    An id is remembered as Python's hash of its text: 64 bits, keyed anew in each process. Two ids
    with one hash (once in 10 million listings of a million users) look like a repeated row, which
    only widens bounds.

    Attributes:
        rows: Rows told.
    """

    __slots__ = ("_counted", "_hashes", "_nameless", "rows")

    def __init__(self) -> None:
        """Begin with no rows."""
        self.rows = 0
        self._nameless = 0
        self._hashes = array("q")
        self._counted: tuple[int, int] | None = None  # rows, and how many users they are

    def add(self, ids: Sequence[Json]) -> None:
        """Take the ids of some rows, as shown: 1 and "1" are one id, as for those counted."""
        self.rows += len(ids)
        if set(map(type, ids)) <= _TEXT and "" not in ids:
            self._hashes.extend(map(hash, ids))
            return
        named = [str(user_id) for user_id in ids if type(user_id) in (str, int) and user_id != ""]
        self._nameless += len(ids) - len(named)
        self._hashes.extend(map(hash, named))

    def different(self) -> int:
        """Return how many users the rows are; each row without an id is one of its own."""
        if self._counted is None or self._counted[0] != self.rows:
            self._counted = self.rows, self._nameless + _different(self._hashes)
        return self._counted[1]


def _different(hashes: "array[int]") -> int:
    """Count different numbers, a part at a time: a set of a million takes 100 MB."""
    parts = [array("q") for _ in range(len(hashes) // _AT_ONCE + 1)]
    count = len(parts)
    if count == 1:
        return len(set(hashes))
    for number in hashes:
        parts[number % count].append(number)
    return sum(len(set(part)) for part in parts)
