"""Whether the watch still delivers changes: each object is also seen by a GET.

kopf tries for ever to watch, and its own liveness says nothing of it. So the versions that
reconciles read are held against those that the watch told: one that it has not told for a minute it
has lost.
"""

import asyncio
from dataclasses import dataclass, field

from licenseusage.controller.rules.key import Key

DEAF_SECONDS = 60.0


@dataclass(slots=True)
class Watched:
    """What the watch has told, and what was seen without it."""

    _told: dict[Key, str] = field(default_factory=dict)
    _missed: dict[Key, float] = field(default_factory=dict)

    def told(self, key: Key, version: str) -> None:
        """The watch tells of an object; what it missed before does not matter any more."""
        self._told[key] = version
        self._missed.pop(key, None)

    def seen(self, key: Key, version: str) -> None:
        """A GET has shown a version of an object."""
        if self._told.get(key) != version:
            self._missed.setdefault(key, asyncio.get_running_loop().time())

    def gone(self, key: Key) -> None:
        """An object does not exist any more."""
        self._told.pop(key, None)
        self._missed.pop(key, None)

    def deaf_seconds(self) -> float:
        """Return for how long the watch has not told of a change that was seen; 0: it tells all."""
        now = asyncio.get_running_loop().time()
        return max((now - at for at in self._missed.values()), default=0.0)
