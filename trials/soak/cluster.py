"""The API server as a store of objects: the methods of ``controller.kube.Kube``, and nothing else.

No HTTP, no admission, no watch: what the operator reads and writes through its own port. Each write
is an effect, before and after which the process may be killed; each call may find no API server.
"""

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from licenseusage.controller.effects.kube import (
    ConflictError,
    Kube,
    NotFoundError,
    UnavailableError,
    version_of,
)
from licenseusage.controller.effects.secrets import CREDENTIALS
from licenseusage.controller.rules.resources import EVENTS, SECRETS, Resource
from trials.soak.timeline import World

OBJECTS = "shop"
"""The namespace of a history's objects."""


class Cluster:
    """Objects by kind, namespace and name; outlives every process."""

    def __init__(self) -> None:
        """Begin empty."""
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._uids = self._versions = 0

    def version(self) -> str:
        """Return what tells a changed object from what it was."""
        self._versions += 1
        return str(self._versions)

    def put(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        """Create or replace an object as somebody else than the operator would."""
        self._uids += 1
        before = self.objects.get((resource.plural, namespace, name), {}).get("metadata", {})
        meta = {
            "uid": f"00000000-0000-0000-0000-{self._uids:012d}",
            "generation": 1,
            # Always there in a cluster; only the age of a collection, a metric, is told by it.
            "creationTimestamp": "2026-01-01T00:00:00Z",
            **before,
            **body.get("metadata", {}),
            "name": name,
            "namespace": namespace,
            "resourceVersion": self.version(),
        }
        kept = self.objects.get((resource.plural, namespace, name), {}).get("status")
        stored = {**body, "metadata": meta}
        if kept is not None and "status" not in stored:
            stored["status"] = kept
        self.objects[resource.plural, namespace, name] = stored

    def secret(self, resource: Resource, namespace: str, name: str, **data: str) -> None:
        """Put a Secret or a ConfigMap."""
        values = data
        if resource.plural == "secrets":
            values = {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}
        self.put(resource, namespace, name, {"data": values})

    def credentials(self, namespace: str, name: str, **data: str) -> None:
        """Put a Secret that the operator may send to a product."""
        self.secret(SECRETS, namespace, name, **data)
        self.objects[SECRETS.plural, namespace, name]["type"] = CREDENTIALS

    def remove(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete an object."""
        self.objects.pop((resource.plural, namespace, name), None)


class SimulatedKube(Kube):
    """One process's way to the cluster."""

    def __init__(
        self,
        cluster: Cluster,
        world: World,
        boundary: Callable[[str], None],
        down: Callable[[], bool],
    ) -> None:
        """Ask ``down`` at each call whether the API server is away."""
        self._cluster, self._world, self._boundary, self._down = cluster, world, boundary, down

    def reference_seconds(self) -> float | None:
        """The API server's clock is right."""
        return self._world.now_ms() / 1000

    async def get(self, resource: Resource, namespace: str | None, name: str) -> dict[str, Any]:
        """Return one object."""
        item = self._object(f"get {resource.plural}", resource, namespace, name)
        copy: dict[str, Any] = json.loads(json.dumps(item))
        return copy

    async def version(self, resource: Resource, namespace: str, name: str) -> str:
        """Return what changes with an object."""
        return version_of(self._object(f"get {resource.plural}", resource, namespace, name))

    async def versions(self, resource: Resource, namespace: str, selector: str) -> str:
        """Return what changes with any object of a LIST."""
        return " ".join(version_of(item) for item in self._list(resource, namespace, selector))

    async def pages(
        self,
        resource: Resource,
        namespace: str | None,
        selector: str = "",
        *,
        metadata_only: bool = False,
    ) -> AsyncIterator[bytes]:
        """Yield the one page of a LIST."""
        yield json.dumps(
            {"metadata": {}, "items": self._list(resource, namespace, selector)}
        ).encode()

    async def items(
        self, resource: Resource, namespace: str | None, selector: str = ""
    ) -> list[dict[str, Any]]:
        """Return every object of a LIST."""
        copy: list[dict[str, Any]] = json.loads(
            json.dumps(self._list(resource, namespace, selector))
        )
        return copy

    async def create(
        self, resource: Resource, namespace: str | None, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Create an object."""
        name = body["metadata"]["name"]
        self._reach(f"create {resource.plural}")
        if (resource.plural, namespace, name) in self._cluster.objects:
            raise ConflictError(409, f"create {resource.plural}", "exists")
        self._boundary(f"create {resource.plural}")
        if resource is not EVENTS:  # nobody reads them
            self._cluster.put(resource, namespace or "", name, json.loads(json.dumps(body)))
        self._boundary(f"created {resource.plural}")
        return json.loads(json.dumps(body))  # type: ignore[no-any-return]

    async def replace(self, resource: Resource, body: Mapping[str, Any]) -> dict[str, Any]:
        """Replace an object, unless somebody has changed it since it was read."""
        meta = body["metadata"]
        stored = self._object("update", resource, meta["namespace"], meta["name"])
        if stored["metadata"]["resourceVersion"] != meta["resourceVersion"]:
            raise ConflictError(409, f"update {resource.plural}", "it was changed")
        self._boundary(f"update {resource.plural}")
        self._cluster.put(resource, meta["namespace"], meta["name"], json.loads(json.dumps(body)))
        self._boundary(f"updated {resource.plural}")
        stored = self._cluster.objects[resource.plural, meta["namespace"], meta["name"]]
        return json.loads(json.dumps(stored))  # type: ignore[no-any-return]

    async def merge(
        self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]
    ) -> None:
        """Merge-patch an object; only events are patched."""

    async def apply_status(
        self, resource: Resource, namespace: str, name: str, kind: str, status: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write a status."""
        item = self._object("apply status", resource, namespace, name)
        self._boundary(f"status of {resource.plural}")
        item["status"] = json.loads(json.dumps(status))
        item["metadata"]["resourceVersion"] = self._cluster.version()
        self._boundary(f"status of {resource.plural} written")
        return json.loads(json.dumps(item))  # type: ignore[no-any-return]

    async def delete(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete an object."""
        self._reach("delete")
        self._boundary(f"delete {resource.plural}")
        self._cluster.remove(resource, namespace, name)

    def _reach(self, what: str) -> None:
        if self._down():
            raise UnavailableError(0, what, "the API server does not answer")

    def _object(
        self, what: str, resource: Resource, namespace: str | None, name: str
    ) -> dict[str, Any]:
        self._reach(what)
        item = self._cluster.objects.get((resource.plural, namespace or "", name))
        if item is None:
            raise NotFoundError(404, what, "not found")
        return item

    def _list(self, resource: Resource, namespace: str | None, selector: str) -> list[Any]:
        self._reach(f"list {resource.plural}")
        wanted = dict(part.split("=", 1) for part in selector.split(",") if "=" in part)
        items = [
            item
            for (plural, where, _), item in sorted(self._cluster.objects.items())
            if plural == resource.plural and namespace in (None, where)
        ]
        return [item for item in items if wanted.items() <= _labels(item).items()]


def pod(
    name: str, ip: str, *, ready: bool, labels: Mapping[str, str], since_ms: int | None = None
) -> dict[str, Any]:
    """Return a pod that the operator may ask; ``since_ms``: when it became ready."""
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    if since_ms is not None:
        since = datetime.fromtimestamp(since_ms // 1000, UTC)
        condition["lastTransitionTime"] = since.isoformat().replace("+00:00", "Z")
    return {
        "metadata": {"labels": dict(labels), "name": name},
        "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {"podIP": ip, "conditions": [condition]},
    }


def _labels(item: Mapping[str, Any]) -> dict[str, str]:
    labels: dict[str, str] = item["metadata"].get("labels") or {}
    return labels
