"""Pods as the API server shows them, and a kubectl that shows them before it runs something."""

import json
import shlex
from pathlib import Path

URL = {"name": "LICENSEUSAGE_DATABASE_URL", "value": "sqlite:////var/lib/licenseusage/l.sqlite"}
RUNNING = {"running": {"startedAt": "2026-11-01T00:00:00Z"}}


def pod(
    name="licenseusage-operator-1",
    namespace="licenseusage-system",
    *,
    component="operator",
    installation="licenseusage",
    env=(URL,),
    state=RUNNING,
    ready=True,
    **status,
):
    container = "shell" if component == "maintenance" else "operator"
    image = {"image": "none.invalid/none:0", "imageID": "", "restartCount": 0}
    shown = {"name": container, "state": state, "ready": ready, **image}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {
                "app.kubernetes.io/name": installation,
                "app.kubernetes.io/component": component,
            },
        },
        "spec": {"containers": [{"name": container, "image": image["image"], "env": list(env)}]},
        "status": {"phase": "Running", "containerStatuses": [shown] if state else [], **status},
    }


def showing(*pods, asked='"get pods"*'):
    """Lines of a shell script that answer ``kubectl get pods``, and nothing else."""
    answer = shlex.quote(json.dumps({"items": list(pods or (pod(),))}))
    return f'case "$*" in {asked}) printf %s {answer}; exit;; esac\n'


def kubectl_in(folder: Path, script: str) -> Path:
    """Make a folder with a program ``kubectl`` of these lines."""
    program = folder / "bin" / "kubectl"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program.parent
