"""Ids and other values of a list, replaced by ones that say nothing about anybody.

An id becomes its place in the order of all ids, and digits of a hash by a key that is thrown away.
The order has to stay: pages by an ascending key are proved by it.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Sequence

from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.model import Users
from licenseusage.sources.definition.timestamps import BadStampError, reader
from licenseusage.sources.ids import UUID, normalizer

_LITERAL = re.compile(r"'((?:[^'\\]|\\.)*)'|`([^`]*)`")
_ID_TYPES = (str, int)


class Anonymous:
    """Knows the ids of one list, and replaces values."""

    def __init__(self, users: Users, key: bytes, ids: Iterable[Json]) -> None:
        """Prepare.

        Args:
            users: What the items mean.
            key: Random, and thrown away afterwards.
            ids: All ids of the list, as shown.
        """
        self._key, self._reader = key, reader(users.last_active)
        self._normalize = normalizer(users.normalize)
        self._kept = set(literals(users.exclude or ""))
        self._names: dict[tuple[type, str], Json] = {}
        shown = {user_id for user_id in ids if type(user_id) in _ID_TYPES and user_id != ""}
        for kind in _ID_TYPES:
            of_kind: list[Json] = sorted(value for value in shown if type(value) is kind)
            for user_id in of_kind:
                place = kind, self._normal(user_id)
                self._names.setdefault(place, self._name(kind, place[1], len(self._names) + 1))

    def id(self, shown: Json) -> Json:
        """Return the replacement of an id; of what is no id, an empty value of its kind."""
        if shown is None or shown == "" or isinstance(shown, bool):
            return shown
        if type(shown) in _ID_TYPES:
            return self._names[type(shown), self._normal(shown)]
        return _empty(shown)

    def excluded(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Return the replacements of ``users.excludeIds``, in their order."""
        return tuple(map(self._excluded, ids))

    def time(self, shown: Json) -> Json:
        """Return a time as shown; of what is no time, its shape."""
        try:
            self._reader.read(shown)
        except BadStampError:
            return (
                re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", shown))
                if isinstance(shown, str)
                else _empty(shown)
            )
        return shown

    def condition(self, shown: Json) -> Json:
        """Return the replacement of a value that only ``users.exclude`` reads.

        Texts and numbers stay if they stand in the condition itself.
        """
        if shown is None or isinstance(shown, bool):
            return shown
        if isinstance(shown, list):
            return list(map(self.condition, shown))
        if str(shown) in self._kept:
            return shown
        if isinstance(shown, str):
            return f"other-{self._hash(shown)[:8]}" if shown else shown
        return _empty(shown)

    def token(self, shown: Json) -> Json:
        """Return the replacement of what tells an event from others: it is only compared."""
        if shown is None or isinstance(shown, bool):
            return shown
        return f"event-{self._hash(str(shown))[:16]}"

    def _excluded(self, user_id: str) -> str:
        name = self._normalize(user_id)
        for kind in _ID_TYPES:
            if (kind, name) in self._names:
                return str(self._names[kind, name])
        return f"nobody-{self._hash(name)[:16]}"

    def _name(self, kind: type, normal: str, place: int) -> Json:
        if kind is int:
            return place
        digits = self._hash(normal)
        if UUID.fullmatch(normal):
            parts = digits[:4], digits[4:8], digits[8:12], digits[12:24]
            return "-".join((f"{place:08x}", *parts))
        return f"{place:08x}-user-{digits[:12]}"

    def _normal(self, shown: Json) -> str:
        return self._normalize(shown if isinstance(shown, str) else str(shown))

    def _hash(self, text: str) -> str:
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()


def literals(condition: str) -> Iterable[str]:
    """Yield the texts and numbers that stand in an expression, also within a literal list."""
    for match in _LITERAL.finditer(condition):
        if match[1] is not None:
            yield match[1]
            continue
        try:
            value = json.loads(match[2])
        except ValueError:
            value = match[2].strip('"')
        yield from map(str, value if isinstance(value, list) else [value])


def _empty(shown: Json) -> Json:
    """Return an empty value of the same kind."""
    return shown if shown is None else type(shown)()
