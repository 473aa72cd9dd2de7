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
from licenseusage.controller.rules.key import Key, ReceiptsKey
from licenseusage.controller.rules.resources import Dependency

ROUND_SECONDS = 55.0
"""Secrets and ConfigMaps are noticed at most 60 s after they changed."""
FIRST_SECONDS = 55.0
LONGEST_SECONDS = 600.0
CALM_SECONDS = 3600.0
"""Between two looks at an object of which nothing is due and nothing is wrong."""
Dependent = Key | ReceiptsKey
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

    _used: dict[Dependent, dict[Dependency, str | None]] = field(default_factory=dict)
    _users: dict[Dependency, dict[Dependent, None]] = field(default_factory=dict)
    _seen: dict[Dependency, _Seen] = field(default_factory=dict)
    _due_s: dict[Dependency, float] = field(default_factory=dict)
    _began_s: dict[Dependent, float] = field(default_factory=dict)

    def begin(self, key: Dependent) -> None:
        """A reconcile of an object begins: what changes from now on it may not have seen."""
        self._began_s[key] = _loop_s()

    def set(self, key: Dependent, on: Iterable[Dependency] = ()) -> None:
        """Note what an object depends on now, in place of what it depended on before."""
        began_s = self._began_s.pop(key, math.inf)
        before = self._used.pop(key, {})
        now = {dependency: self._used_by(dependency, began_s) for dependency in on}
        if now:
            self._used[key] = now
        for dependency in now:
            self._users.setdefault(dependency, {})[key] = None
        for dependency in before.keys() - now.keys():
            del self._users[dependency][key]
            if not self._users[dependency]:
                del self._users[dependency]

    def saw(self, dependency: Dependency, version: str) -> None:
        """Somebody has read a dependency, or asked for its version."""
        loop_s, before = _loop_s(), self._seen.get(dependency)
        if before is None:
            changed_s = -math.inf
        else:
            changed_s = before.changed_s if before.version == version else loop_s
        self._seen[dependency] = _Seen(version, changed_s, loop_s)

    def wrote(self, dependency: Dependency, version: str) -> None:
        """Take note of the operator's own write, which is no news to anybody."""
        before = self._seen.get(dependency)
        self._seen[dependency] = _Seen(version, -math.inf, _loop_s())
        for key in self._users.get(dependency, ()):
            if before is not None and self._used[key][dependency] == before.version:
                self._used[key][dependency] = version

    def due(self) -> list[Dependency]:
        """Return what is to be asked for its version now: each once in `ROUND_SECONDS`, spread.

        What nobody uses any more is forgotten.
        """
        loop_s, due = _loop_s(), []
        for dependency in self._users:
            at_s = self._due_s.get(dependency)
            if at_s is None:
                at_s = self._due_s[dependency] = loop_s + ROUND_SECONDS * _share(dependency)
            if at_s <= loop_s:
                self._due_s[dependency] = loop_s + ROUND_SECONDS
                due.append(dependency)
        for dependency in self._due_s.keys() - self._users.keys():
            del self._due_s[dependency]
        for dependency in self._seen.keys() - self._users.keys():
            if self._seen[dependency].at_s <= loop_s - _FORGET_SECONDS:
                del self._seen[dependency]
        return due

    def outdated(self, dependency: Dependency, version: str) -> list[Dependent]:
        """Note the version of a dependency; return the objects that have used another one."""
        self.saw(dependency, version)
        outdated = []
        for key in self._users.get(dependency, ()):
            if self._used[key][dependency] not in (None, version):
                outdated.append(key)
            self._used[key][dependency] = version
        return outdated

    def _used_by(self, dependency: Dependency, began_s: float) -> str | None:
        """Return the version that a reconcile has used; "": perhaps not the newest; None: none."""
        seen = self._seen.get(dependency)
        if seen is None:
            return None
        return seen.version if seen.changed_s <= began_s else ""


def patience_seconds(looks: int) -> float:
    """Return when to look again after so many looks that found the same: 55 s, doubled, 10 min."""
    return float(min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(looks, 8)))


async def version(kube: Kube, dependency: Dependency) -> str | None:
    """Return a text that changes with a dependency; None: it cannot be said now."""
    try:
        if dependency.name:
            return await kube.version(dependency.resource, dependency.namespace, dependency.name)
        return await kube.versions(dependency.resource, dependency.namespace, dependency.selector)
    except NotFoundError:
        return ABSENT
    except ForbiddenError:
        return FORBIDDEN
    except KubeError:
        return None


def _share(dependency: Dependency) -> float:
    """Return which part of a round is a dependency's own, so that they are spread over it."""
    return zlib.crc32(f"{dependency.namespace}/{dependency.name}".encode()) / 2**32


def _loop_s() -> float:
    return asyncio.get_running_loop().time()
