"""The cluster's id, as reports state it."""

from licenseusage.controller.effects.kube import Kube, KubeError
from licenseusage.controller.rules.resources import NAMESPACES
from licenseusage.reports.names import cluster_id


async def cluster_of(kube: Kube) -> str | None:
    """Return what reports say about the cluster; None if kube-system may not be read."""
    try:
        namespace = await kube.get(NAMESPACES, None, "kube-system")
    except KubeError:
        return None
    return cluster_id(str(namespace["metadata"]["uid"]))
