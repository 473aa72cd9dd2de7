"""The objects on which LicenseUsages depend, and the version that each of them has used.

An object is not reconciled to find out whether its licence or a key has changed. Each Secret,
ConfigMap, Service or set of pods in use is asked for its version once a minute, for all objects
that use it (`process.background.watch_dependencies`); those that have used another version are
reconciled. No watch: the right to watch Secrets is the right to read all of them.

Versions only: no content is kept here.
"""

import asyncio
import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from licenseusage.controller.effects.kube import ForbiddenError, Kube, KubeError, NotFoundError
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.resources import Dependency

ROUND_SECONDS = 55.0
"""Secrets and ConfigMaps are noticed at most 60 s after they changed."""
FIRST_SECONDS = 55.0
LONGEST_SECONDS = 600.0
CALM_SECONDS = 3600.0
"""Between two looks at an object of which nothing is due and nothing is wrong."""
ABSENT, FORBIDDEN = "absent", "forbidden"
_FORGET_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """A version as seen last.

    Attributes:
        changed_s: When it was first seen after another one; the loop's time.
        at_s: When it was seen last.
    """

    version: str
    changed_s: float
    at_s: float


@dataclass(slots=True)
class Dependencies:
    """Which object has used what, in which version; what is in use, as it was seen last."""

    _used: dict[Key, dict[Dependency, str | None]] = field(default_factory=dict)
    _users: dict[Dependency, dict[Key, None]] = field(default_factory=dict)
    _seen: dict[Dependency, _Seen] = field(default_factory=dict)
    _due_s: dict[Dependency, float] = field(default_factory=dict)
    _began_s: dict[Key, float] = field(default_factory=dict)

    def begin(self, key: Key) -> None:
        """A reconcile of an object begins: what changes from now on it may not have seen."""
        self._began_s[key] = _loop_s()

    def set(self, key: Key, on: Iterable[Dependency] = ()) -> None:
        """Note what an object depends on now, in place of what it depended on before."""
        began_s = self._began_s.pop(key, math.inf)
        before = self._used.pop(key, {})
        now = {one: self._used_by(one, began_s) for one in on}
        if now:
            self._used[key] = now
        for one in now:
            self._users.setdefault(one, {})[key] = None
        for one in before.keys() - now.keys():
            del self._users[one][key]
            if not self._users[one]:
                del self._users[one]

    def saw(self, one: Dependency, version: str) -> None:
        """Somebody has read a dependency, or asked for its version."""
        loop_s, before = _loop_s(), self._seen.get(one)
        if before is None:
            changed_s = -math.inf
        else:
            changed_s = before.changed_s if before.version == version else loop_s
        self._seen[one] = _Seen(version, changed_s, loop_s)

    def wrote(self, one: Dependency, version: str) -> None:
        """Take note of the operator's own write, which is no news to anybody."""
        before = self._seen.get(one)
        self._seen[one] = _Seen(version, -math.inf, _loop_s())
        for key in self._users.get(one, ()):
            if before is not None and self._used[key][one] == before.version:
                self._used[key][one] = version

    def due(self) -> list[Dependency]:
        """Return what is to be asked for its version now: each once in `ROUND_SECONDS`, spread.

        What nobody uses any more is forgotten.
        """
        loop_s, found = _loop_s(), []
        self._due_s = {one: at for one, at in self._due_s.items() if one in self._users}
        for one in self._users:
            at_s = self._due_s.setdefault(one, loop_s + ROUND_SECONDS * _share(one))
            if at_s <= loop_s:
                self._due_s[one] = loop_s + ROUND_SECONDS
                found.append(one)
        long_ago_s = loop_s - _FORGET_SECONDS
        self._seen = {
            one: seen
            for one, seen in self._seen.items()
            if one in self._users or seen.at_s > long_ago_s
        }
        return found

    def outdated(self, one: Dependency, version: str) -> list[Key]:
        """Note the version of a dependency; return the objects that have used another one."""
        self.saw(one, version)
        found = []
        for key in self._users.get(one, ()):
            if self._used[key][one] not in (None, version):
                found.append(key)
            self._used[key][one] = version
        return found

    def _used_by(self, one: Dependency, began_s: float) -> str | None:
        """Return the version that a reconcile has used; "": perhaps not the newest; None: none."""
        seen = self._seen.get(one)
        if seen is None:
            return None
        return seen.version if seen.changed_s <= began_s else ""


def patience_seconds(looks: int) -> float:
    """Return when to look again after so many looks that found the same: 55 s, doubled, 10 min."""
    return float(min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(looks, 8)))


async def version(kube: Kube, one: Dependency) -> str | None:
    """Return a text that changes with a dependency; None: it cannot be said now."""
    try:
        if one.name:
            return await kube.version(one.resource, one.namespace, one.name)
        return await kube.versions(one.resource, one.namespace, one.selector)
    except NotFoundError:
        return ABSENT
    except ForbiddenError:
        return FORBIDDEN
    except KubeError:
        return None


def _share(one: Dependency) -> float:
    """Return which part of a round is a dependency's own, so that they are spread over it."""
    return zlib.crc32(f"{one.namespace}/{one.name}".encode()) / 2**32


def _loop_s() -> float:
    return asyncio.get_running_loop().time()
