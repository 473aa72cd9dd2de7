"""What programs that reach a Kubernetes API are started with, so that they reach one only."""

import os
from pathlib import Path


def client_environment(kubectl: Path, kubeconfig: Path, folder: Path) -> dict[str, str]:
    """Return this process's environment, changed so that clients talk to no other API server.

    Args:
        kubectl: The program that is found first.
        kubeconfig: Leads to the API server.
        folder: For kubectl's cache.
    """
    env = {k: v for k, v in os.environ.items() if not k.startswith("KUBERNETES_")}
    env["KUBECONFIG"] = str(kubeconfig)
    env["KUBECACHEDIR"] = str(folder / "kubectl-cache")
    env["PATH"] = f"{kubectl.parent}{os.pathsep}{env.get('PATH', os.defpath)}"
    return env
