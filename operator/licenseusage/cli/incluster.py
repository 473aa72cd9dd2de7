"""Objects of the cluster for commands that run in a pod, with the pod's service account."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from licenseusage.errors import Retryable, Stalled
from licenseusage.reasons import Reason

if TYPE_CHECKING:
    from licenseusage.controller.effects.kube import Kube

_Answer = TypeVar("_Answer")

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
    # The clients of Kubernetes take a third of a second to load; only pods need them here.
    from licenseusage.controller.rules.resources import Resource

    plural, _, group = resource.partition(".")

    async def items(kube: "Kube") -> list[dict[str, Any]]:
        where = None if everywhere else namespace or _own_namespace()
        return await kube.items(Resource(group, "v1alpha1", plural), where)

    return _asked(items)


def apply_directly(receipts: Sequence[Mapping[str, Any]], field_manager: str) -> None:
    """Apply UsageReceipts on the server's side, asked of the API server directly.

    One that is refused keeps none of the others back.

    Args:
        receipts: UsageReceipts; each names its namespace.
        field_manager: Who owns the fields.

    Raises:
        Stalled: ``ForbiddenByCluster``, ``KubectlFailed``: some of them may have been applied; to
            apply them again is harmless.
        Retryable: ``APIUnavailable``.
    """
    from licenseusage.controller.effects.kube import KubeError, UnavailableError
    from licenseusage.controller.rules.resources import RECEIPTS

    async def apply_each(kube: "Kube") -> None:
        refused: list[KubeError] = []
        for receipt in receipts:
            try:
                await kube.apply(RECEIPTS, receipt, field_manager)
            except UnavailableError:
                raise
            except KubeError as error:
                refused.append(error)
        if refused:
            raise refused[0]

    _asked(apply_each)


def _asked(work: Callable[["Kube"], Awaitable[_Answer]]) -> _Answer:
    """Do what is to be done with a client; its errors say what to do."""
    from licenseusage.controller.effects.kube import (
        ForbiddenError,
        KubeError,
        NotFoundError,
        UnavailableError,
    )
    from licenseusage.controller.process.login import connect

    async def done() -> _Answer:
        kube = await connect()
        try:
            return await work(kube)
        finally:
            await kube.close()

    try:
        return asyncio.run(done())
    except ForbiddenError as error:
        raise Stalled(
            Reason.FORBIDDEN_BY_CLUSTER,
            f"{error}. Bind the ClusterRole that allows it to this pod's service account.",
        ) from None
    except NotFoundError as error:
        raise Stalled(
            Reason.KUBECTL_FAILED,
            f"{error}. Are the custom resources installed, and is the namespace still there?",
        ) from None
    except UnavailableError as error:
        raise Retryable(Reason.API_UNAVAILABLE, str(error)) from None
    except KubeError as error:
        if error.status:
            raise Stalled(Reason.KUBECTL_FAILED, f"{error}.") from None
        raise Retryable(Reason.API_UNAVAILABLE, str(error)) from None


def _own_namespace() -> str:
    try:
        return _NAMESPACE.read_text().strip()
    except OSError as error:
        raise Stalled(
            Reason.FILE_UNREADABLE,
            f"{_NAMESPACE}: {error.strerror}. Name the namespace (--namespace).",
        ) from None
