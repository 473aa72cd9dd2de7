"""Pod objects that look as if a kubelet ran them, where there is none."""

import time
from collections.abc import Mapping
from typing import Any

_IMAGE = "none.invalid/none:0"


def pod(
    namespace: str,
    name: str,
    labels: Mapping[str, str],
    ports: Mapping[str, int],
    *,
    host_network: bool = False,
) -> dict[str, Any]:
    """Return a Pod with one container and its named ports.

    ``nodeName`` stays empty, or its deletion would wait for a kubelet for ever.
    """
    container = {
        "name": "main",
        "image": _IMAGE,
        "ports": [{"name": key, "containerPort": number} for key, number in ports.items()],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": dict(labels)},
        "spec": {"containers": [container], "hostNetwork": host_network},
    }


def status(ip: str, *, ready: bool) -> dict[str, Any]:
    """Return the status a kubelet would write: address, readiness, a running container."""
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {
        "phase": "Running",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "startTime": since,
        "conditions": [
            {"type": kind, "status": str(ready), "lastTransitionTime": since}
            for kind in ("Ready", "ContainersReady")
        ],
        "containerStatuses": [
            {
                "name": "main",
                "image": _IMAGE,
                "imageID": "",
                "ready": ready,  # kubectl's READY column; 0/1 without it
                "restartCount": 0,
                "started": True,
                "state": {"running": {"startedAt": since}},
            }
        ],
    }
