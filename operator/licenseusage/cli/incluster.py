"""Objects of the cluster for commands that run in a pod, with the pod's service account."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from licenseusage.errors import Retryable, Stalled
from licenseusage.reasons import Reason

_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def in_a_pod(environment: Mapping[str, str]) -> bool:
    """Whether this process runs in a pod, by the variable that every pod has."""
    return bool(environment.get("KUBERNETES_SERVICE_HOST"))


def list_directly(
    resource: str, namespace: str | None = None, *, everywhere: bool = False
) -> list[dict[str, Any]]:
    """Return all objects of one of our kinds, asked of the API server directly.

    Args:
        resource: Full name, such as ``usagereports.licenseusage.dev``.
        namespace: None: the pod's own.
        everywhere: Of all namespaces.

    Raises:
        Stalled: ``ForbiddenByCluster``, or there is no such kind.
        Retryable: ``APIUnavailable``.
    """
    # The clients of Kubernetes take half a second to load; only pods need them here.
    from licenseusage.controller.effects.kube import ForbiddenError, Kube, KubeError, NotFoundError
    from licenseusage.controller.rules.resources import Resource

    plural, _, group = resource.partition(".")

    async def items() -> list[dict[str, Any]]:
        kube = await Kube.connect()
        try:
            where = None if everywhere else namespace or _own_namespace()
            return await kube.items(Resource(group, "v1alpha1", plural), where)
        finally:
            await kube.close()

    try:
        return asyncio.run(items())
    except ForbiddenError as error:
        raise Stalled(
            Reason.FORBIDDEN_BY_CLUSTER,
            f"{error}. Bind the ClusterRole that allows it to this pod's service account.",
        ) from None
    except NotFoundError as error:
        raise Stalled(
            Reason.KUBECTL_FAILED, f"{error}. Are the custom resources installed?"
        ) from None
    except KubeError as error:
        raise Retryable(Reason.API_UNAVAILABLE, str(error)) from None


def _own_namespace() -> str:
    try:
        return _NAMESPACE.read_text().strip()
    except OSError as error:
        raise Stalled(
            Reason.FILE_UNREADABLE,
            f"{_NAMESPACE}: {error.strerror}. Name the namespace (--namespace).",
        ) from None
