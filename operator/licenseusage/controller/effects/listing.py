"""Our own LIST of LicenseUsages and UsageReceipts: at start, and once a minute.

At start, so that a missing Role is a named failure; later, so that correctness never rests on
the watch.
"""

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from licenseusage.controller.effects.kube import (
    ForbiddenError,
    Kube,
    KubeError,
    NotFoundError,
    UnavailableError,
)
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.resources import REPORTS, USAGES, Resource
from licenseusage.errors import Stalled
from licenseusage.reasons import Reason

RELIST_SECONDS = 55.0
_RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
_log = structlog.get_logger(__name__)


class _Meta(msgspec.Struct, rename="camel"):
    name: str
    namespace: str
    resource_version: str = ""


class _Item(msgspec.Struct):
    metadata: _Meta


class _List(msgspec.Struct):
    items: list[_Item] | None = None


class _Cycles(msgspec.Struct):
    cycle: msgspec.Raw = msgspec.Raw()
    history: msgspec.Raw = msgspec.Raw()


class _Counted(msgspec.Struct):
    status: _Cycles | None = None


class _CountedList(msgspec.Struct):
    items: list[_Counted] | None = None


async def versions(
    kube: Kube, namespaces: Sequence[str], resource: Resource = USAGES
) -> dict[Key, str]:
    """Return every object that this operator is responsible for, with its resourceVersion.

    Args:
        kube: The cluster.
        namespaces: Those to watch; empty: all of them.
        resource: The kind.

    Raises:
        KubeError: As the API server says.
    """
    resource_versions: dict[Key, str] = {}
    for namespace in namespaces or (None,):
        async for raw in kube.pages(resource, namespace, metadata_only=True):
            for item in msgspec.json.decode(raw, type=_List).items or ():
                meta = item.metadata
                resource_versions[Key(meta.namespace, meta.name)] = meta.resource_version
    return resource_versions


async def evidence(kube: Kube, namespaces: Sequence[str]) -> bool:
    """Whether the cluster shows that users were counted before: reports, or a status with a cycle.

    Raises:
        KubeError: As the API server says.
    """
    for namespace in namespaces or (None,):
        async for raw in kube.pages(USAGES, namespace):
            for item in msgspec.json.decode(raw, type=_CountedList).items or ():
                if item.status is not None and (item.status.cycle or item.status.history):
                    return True
        async for raw in kube.pages(REPORTS, namespace):
            if msgspec.json.decode(raw, type=_List).items:
                return True
    return False


async def first(kube: Kube, namespaces: Sequence[str]) -> None:
    """List them as soon as the API server answers; waits for as long as that takes.

    Raises:
        Stalled: ``CRDsMissing`` or ``RoleMissing``, with the command that mends it.
    """
    attempt = 0
    while True:
        try:
            await versions(kube, namespaces)
        except UnavailableError as error:
            delay = _RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)]
            attempt += 1
            _log.warning("waiting for the API server", error=str(error), retry_seconds=delay)
            await asyncio.sleep(delay)
        except NotFoundError:
            raise Stalled(
                Reason.CRDS_MISSING,
                f"{kube.host} does not know licenseusages.{USAGES.group}. Install the custom "
                f"resources first: kubectl apply -k crds (or: licenseusage crds | kubectl apply "
                f"--server-side -f -).",
            ) from None
        except ForbiddenError as error:
            where = f"in namespaces {', '.join(namespaces)}" if namespaces else "in all namespaces"
            raise Stalled(
                Reason.ROLE_MISSING,
                f"This operator may not list licenseusages {where}: {error.message}. Install "
                f"its roles as you installed it (kubectl apply -k manifests/base, your own "
                f"kustomization, or helm upgrade), or limit it by LICENSEUSAGE_NAMESPACES.",
            ) from None
        except KubeError as error:
            raise Stalled(Reason.API_REFUSED, f"{error}.") from None
        else:
            return
