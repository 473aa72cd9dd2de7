"""Where the API server keeps an object, by its kind: what kubectl looks up for each manifest."""

from collections.abc import Callable, Mapping
from typing import Any

Json = Mapping[str, Any]


class Places:
    """Paths of objects, by what the API server says that it serves; asked for once per version."""

    def __init__(self, get: Callable[[str], dict[str, Any] | None]) -> None:
        """Take what reads a path of the API; None: nothing is there."""
        self._get = get
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}

    def of(self, manifest: Json) -> str | None:
        """Return an object's path; None: its kind is not served.

        Args:
            manifest: With ``apiVersion``, ``kind`` and ``metadata.name``; without a namespace it
                is in ``default``, as for kubectl.
        """
        version = manifest["apiVersion"]
        kind = version, manifest["kind"]
        if kind not in self._kinds:  # also of a CRD that came since
            self._read(version)
        if (known := self._kinds.get(kind)) is None:
            return None
        plural, namespaced = known
        metadata = manifest["metadata"]
        place = f"namespaces/{metadata.get('namespace', 'default')}/" if namespaced else ""
        return f"{_root(version)}/{place}{plural}/{metadata['name']}"

    def _read(self, version: str) -> None:
        for resource in (self._get(_root(version)) or {}).get("resources", ()):
            if "/" not in resource["name"]:  # a subresource
                kind = version, resource["kind"]
                self._kinds[kind] = resource["name"], resource["namespaced"]


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"
