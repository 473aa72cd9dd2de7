"""Kubernetes events, on transitions only: what changed, once; conditions carry the truth.

``events.k8s.io/v1`` directly, since ``kopf.event()`` works only inside handlers and posts
unaggregated core events. A repeat of the same fact within an hour is counted in ``series`` of the
same event.
"""

import hashlib
from datetime import UTC, datetime
from typing import Any

import structlog

from licenseusage.controller.effects.kube import ConflictError, Kube, KubeError
from licenseusage.controller.rules.resources import EVENTS
from licenseusage.controller.rules.transitions import Event

CONTROLLER = "licenseusage.dev/operator"
NOTE_BYTES = 1024
"""The API server counts bytes, not characters."""
_log = structlog.get_logger(__name__)


class Events:
    """Posts events; a failure to post is logged and forgotten (an event is never the truth)."""

    def __init__(self, kube: Kube, instance: str) -> None:
        """Post as ``instance`` (the pod's name)."""
        self.kube, self._instance = kube, instance
        self._counts: dict[str, int] = {}

    async def post(self, regarding: dict[str, Any], event: Event, machine_time_s: float) -> None:
        """Post one event about an object.

        Args:
            regarding: The object as read: apiVersion, kind and metadata are used.
            event: What happened.
            machine_time_s: Epoch seconds by the machine's clock (not a simulated one).
        """
        meta = regarding["metadata"]
        namespace = meta["namespace"]
        at = datetime.fromtimestamp(machine_time_s, UTC).isoformat(timespec="microseconds")
        at = at.replace("+00:00", "Z")
        name = _name(meta, event, int(machine_time_s // 3600))
        body: dict[str, Any] = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "eventTime": at,
            "type": str(event.kind),
            "reason": event.reason[:128],
            "action": event.action[:128],
            "note": _cut(event.note),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance[:128],
            "regarding": {
                "apiVersion": regarding["apiVersion"],
                "kind": regarding["kind"],
                "name": meta["name"],
                "namespace": namespace,
                "uid": meta["uid"],
            },
        }
        try:
            try:
                await self.kube.create(EVENTS, namespace, body)
            except ConflictError:
                await self._repeat(namespace, name, at)
            count = self._counts.pop(name, 0) + 1
            self._counts = {name: count, **_newest(self._counts)}
        except KubeError as error:
            _log.warning("event not posted", reason=event.reason, error=str(error))

    async def _repeat(self, namespace: str, name: str, at: str) -> None:
        # Our rights are create and patch: the count is remembered here, not read back. After a
        # restart it begins again at 2, which is still "more than once".
        series = {
            "series": {"count": max(2, self._counts.get(name, 0) + 1), "lastObservedTime": at}
        }
        await self.kube.merge(EVENTS, namespace, name, series)


def _cut(note: str) -> str:
    """Return the note, shortened with an ellipsis where it is longer than an event takes."""
    raw = note.encode("utf-8", "replace")
    if len(raw) <= NOTE_BYTES:
        return raw.decode()
    return raw[: NOTE_BYTES - len("…".encode())].decode("utf-8", "ignore") + "…"


def _newest(counts: dict[str, int], most: int = 1000) -> dict[str, int]:
    return dict(list(counts.items())[:most])


def _name(meta: dict[str, Any], event: Event, hour: int) -> str:
    """A deterministic name per object, reason, note and hour: a restart repeats no event."""
    identity = "\n".join((meta["uid"], event.reason, event.action, event.note, str(hour)))
    return f"{meta['name'][:200]}.{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
