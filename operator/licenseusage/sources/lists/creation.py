"""Looks for a creation time that the last activity starts as, for ``source check``.

Some products show a new user's creation as the last activity. Nothing in the time itself tells it
from a sign-in, but the same item usually holds the creation under another name.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from licenseusage.sources.definition.expressions import Json, Path, expression
from licenseusage.sources.definition.model import SECOND_MS, EffectiveSource
from licenseusage.sources.definition.timestamps import BadStampError, reader

MOST_LOOKED_AT = 1000
_NAMES = re.compile(r"creat|insert|regist|sign_?up|joined|added|enrol", re.IGNORECASE)
_DEPTH = 3


class CreationSought:
    """Is shown some whole items of a list whose source declares no ``createdAt``."""

    def __init__(self, source: EffectiveSource) -> None:
        """Prepare for a source's way of writing times."""
        self._source = source
        self._stamp = expression(source.users.last_active.path)
        self._reader = reader(source.users.last_active)
        self._stamped = 0
        self._equal: Counter[str] = Counter()

    def take(self, items: list[Json]) -> None:
        """Look at the first of some items."""
        for item in items[:MOST_LOOKED_AT]:
            seen_ms = self._read(self._stamp.search(item))
            if seen_ms is None:
                continue
            self._stamped += 1
            for path, value in _members(item, ()):
                where = ".".join(path)
                made_ms = self._read(value) if where != self._stamp.text else None
                if made_ms is not None and abs(seen_ms - made_ms) < SECOND_MS:
                    self._equal[where] += 1

    def note(self) -> str | None:
        """Return a sentence if the last activity of half the users or more is a creation."""
        for where, users in self._equal.most_common(1):
            if 2 * users >= self._stamped:
                return (
                    f"the last activity of {users} of {self._stamped} users is that of {where}, as "
                    "products show it for who was created and never active. If so, declare "
                    f"users.createdAt.path {where}, with toleranceSeconds 1 where they differ."
                )
        return None

    def _read(self, value: Json) -> int | None:
        with suppress(BadStampError):
            instant = self._reader.read(value)
            return instant.at_ms if instant is not None else None
        return None


def _members(item: Json, above: Path) -> Iterator[tuple[Path, Json]]:
    """Yield the members whose name speaks of a creation, down to some depth."""
    if isinstance(item, dict) and len(above) < _DEPTH:
        for name, value in item.items():
            if isinstance(value, dict):
                yield from _members(value, (*above, name))
            elif _NAMES.search(name):
                yield (*above, name), value
