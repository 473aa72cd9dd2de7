"""LicenseUsages as the watch delivers them, and whether it still does.

A reconcile takes its object from here; there is a GET only where the watch has not told of the
object. kopf tries for ever to watch, and its own liveness says nothing of it. So a LIST of all
versions is held against what was told, once a minute: a version that the watch has not told for a
minute it has lost.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from licenseusage.controller.rules.key import Key

DEAF_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Object:
    """One object as it was seen last, as JSON: a tenth of the memory of Python's objects.

    Attributes:
        rest: All but the status and what no reconcile needs.
        version: The newest resourceVersion of which something is held.
    """

    rest: bytes
    status: bytes
    version: str

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> "_Object":
        meta = {k: v for k, v in raw["metadata"].items() if k not in _LEFT_OUT}
        rest = {k: v for k, v in raw.items() if k != "status"} | {"metadata": meta}
        version = str(raw["metadata"]["resourceVersion"])
        return cls(_json(rest), _json(raw.get("status") or {}), version)

    def raw(self) -> dict[str, Any]:
        """Return the object as the API server has it."""
        raw: dict[str, Any] = orjson.loads(self.rest)
        raw["metadata"]["resourceVersion"] = self.version
        status = orjson.loads(self.status)
        return {**raw, "status": status} if status else raw


@dataclass(slots=True)
class Watched:
    """What the watch has told, and what was seen without it."""

    _objects: dict[Key, _Object] = field(default_factory=dict)
    _streamed_versions: dict[Key, str] = field(default_factory=dict)
    _missed: dict[Key, float] = field(default_factory=dict)
    _written: dict[Key, bytes] = field(default_factory=dict)

    def streamed(self, key: Key, raw: Mapping[str, Any]) -> bool:
        """The watch tells of an object; return whether there is anything to do about it.

        Not so for the operator's own status, which comes back as an event.
        """
        now, before = _Object.of(raw), self._objects.get(key)
        self._missed.pop(key, None)
        self._streamed_versions[key] = now.version
        if before is not None and _newer(before.version, now.version):
            # On its way while the status was written: what was written stands.
            now = _Object(now.rest, before.status, before.version)
        self._objects[key] = now
        if before is None or before.rest != now.rest:
            return True
        return now.status not in (before.status, self._written.get(key))

    def seen(self, key: Key, raw: Mapping[str, Any]) -> None:
        """A GET has shown an object."""
        now = _Object.of(raw)
        self._objects[key] = now
        if _newer(now.version, self._streamed_versions.get(key)):
            self._miss(key)

    def object(self, key: Key) -> dict[str, Any] | None:
        """Return an object as the watch has told it; None: it has to be read."""
        known = self._objects.get(key)
        if known is None or key not in self._streamed_versions or key in self._missed:
            return None
        return known.raw()

    def writes(self, key: Key, status: Mapping[str, Any]) -> None:
        """The operator is about to write a status."""
        self._written[key] = _json(status)

    def wrote(self, key: Key, raw: Mapping[str, Any]) -> None:
        """The operator has written a status; ``raw`` is the object as the API server answered.

        The rest of it is left to the watch: what somebody else changed is news.
        """
        before, now = self._objects.get(key), _Object.of(raw)
        if before is not None and not _newer(before.version, now.version):
            self._objects[key] = replace(before, status=now.status, version=now.version)

    def listed(self, versions: Mapping[Key, str]) -> set[Key]:
        """Hold what was told against a LIST; return the objects of which it shows something new."""
        news = set()
        for key, version in versions.items():
            if _newer(version, self._streamed_versions.get(key)):
                self._miss(key)
                before = self._objects.get(key)
                if before is None or _newer(version, before.version):
                    news.add(key)
        for key in self._objects.keys() - versions.keys():
            del self._objects[key]  # a GET will say: it may be newer than the LIST
            news.add(key)
        return news

    def gone(self, key: Key) -> None:
        """An object does not exist any more."""
        self._objects.pop(key, None)
        self._streamed_versions.pop(key, None)
        self._missed.pop(key, None)
        self._written.pop(key, None)

    def deaf_seconds(self) -> float:
        """Return for how long the watch has not told of a change that was seen; 0: it tells all."""
        now = asyncio.get_running_loop().time()
        return max((now - at for at in self._missed.values()), default=0.0)

    def _miss(self, key: Key) -> None:
        self._missed.setdefault(key, asyncio.get_running_loop().time())


_LEFT_OUT = frozenset({"managedFields", "resourceVersion"})


def _newer(version: str, than: str | None) -> bool:
    """Whether a resourceVersion is newer: a growing number (KEP-5504); else merely another one."""
    if than is None:
        return True
    if version.isdecimal() and than.isdecimal():
        return int(version) > int(than)
    return version != than


def _json(value: Mapping[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
