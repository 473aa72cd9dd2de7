"""The objects on which waiting objects depend: checked in their place, at a small cost.

An object that waits for a person is looked at ever more rarely. What would mend it (a Secret, its
pods, the licence) is asked for its version once a minute, once for all who wait for it; a change
has them looked at at once. No watch: the right to watch Secrets is the right to read all of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from licenseusage.controller.effects.kube import ForbiddenError, Kube, KubeError, NotFoundError
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.resources import Dependency

FIRST_SECONDS = 55.0
"""Secrets and ConfigMaps are noticed at most 60 s after they changed."""
LONGEST_SECONDS = 600.0


@dataclass(slots=True)
class Dependencies:
    """Who waits for what, and how what is waited for was seen last."""

    _of: dict[Key, frozenset[Dependency]] = field(default_factory=dict)
    _seen: dict[Dependency, str] = field(default_factory=dict)

    def set(self, key: Key, on: Iterable[Dependency] = ()) -> None:
        """Note what an object waits for now, in place of what it waited for before."""
        self._of[key] = frozenset(on)
        if not self._of[key]:
            del self._of[key]

    def wanted(self) -> Mapping[Dependency, list[Key]]:
        """Return each dependency with the objects that wait for it."""
        found: dict[Dependency, list[Key]] = {}
        for key, on in self._of.items():
            for one in on:
                found.setdefault(one, []).append(key)
        self._seen = {one: seen for one, seen in self._seen.items() if one in found}
        return found

    def changed(self, one: Dependency, version: str | None) -> bool:
        """Note how a dependency was seen; return whether it was seen otherwise before."""
        if version is None:
            return False
        before = self._seen.get(one)
        self._seen[one] = version
        return before is not None and before != version


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
        return "absent"
    except ForbiddenError:
        return "forbidden"
    except KubeError:
        return None
