"""Reads the facts of an installation by kubectl, with the caller's rights. It changes nothing."""

import email.utils
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, TypeVar

from licenseusage import __version__
from licenseusage.api import crd
from licenseusage.cli.doctor.facts import Facts, Place, Unseen
from licenseusage.cli.doctor.names import Manifest, Names, operator_container
from licenseusage.cli.doctor.rights import Asked, asked
from licenseusage.cli.kubectl import Kubectl
from licenseusage.cli.operatorpods import SELECTOR, Wanted, read_pods
from licenseusage.controller.rules.declared import declared
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.subject import Subject
from licenseusage.controller.settings import PREFIX
from licenseusage.errors import Failure, Stalled, UsageError
from licenseusage.reasons import Reason

_Seen = TypeVar("_Seen")
_DATE = re.compile(r"\bDate: (\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT)")
_USAGES = "licenseusages.licenseusage.dev"


@cache
def shipped() -> Mapping[str, Manifest]:
    """Return the CustomResourceDefinitions of this program by name."""
    return {crd.file_stem(kind): crd.crd(kind) for kind in crd.KINDS}


def look(kubectl: Kubectl, wanted: Wanted) -> Facts:
    """Read an installation.

    Args:
        kubectl: With the caller's context.
        wanted: Which installation.

    Raises:
        Stalled: ``NotInstalled``: there is no kubectl.
    """
    space = f"--namespace={wanted.namespace}"
    deployments = _seen(lambda: [*_operators(_items(kubectl, "deployments", space), wanted)])
    names = Names.of(deployments[0] if isinstance(deployments, list) and deployments else None)
    usages = _seen(_items, kubectl, _USAGES, "--all-namespaces")
    pods = _seen(_items, kubectl, "pods", space, f"--selector={SELECTOR}")
    products = (
        {item["metadata"]["namespace"] for item in usages} if isinstance(usages, list) else set()
    )
    wants = [*asked(names, wanted.namespace, products)]
    return Facts(
        namespace=wanted.namespace,
        version=__version__,
        now_s=time.time(),
        ahead_s=_seen(lambda: _ahead(kubectl)),
        crds=_seen(lambda: {name: _manifest_of(kubectl, "crd", name) for name in shipped()}),
        deployments=deployments,
        pods=pods,
        namespace_labels=_labels(_seen(_manifest_of, kubectl, "namespace", wanted.namespace)),
        claims=_seen(lambda: _by_name(_items(kubectl, "persistentvolumeclaims", space))),
        metrics=_metrics(kubectl, pods),
        rights=_seen(lambda: _reviewed(kubectl, wants, wanted.namespace, names.account)),
        secrets=_seen(lambda: kubectl.names("secrets", space, names.identity, names.pseudonym)),
        configmaps={
            name: _seen(_manifest_of, kubectl, "configmap", name, space)
            for name in (names.vendor_keys, names.statements)
        },
        usages=usages,
        places=tuple(_places(kubectl, usages)),
    )


def _seen(read: Callable[..., _Seen], *arguments: object) -> _Seen | Unseen:
    """Read something; what is forbidden or does not answer is a fact, too."""
    try:
        return read(*arguments)
    except UsageError as error:
        if error.reason is Reason.NOT_INSTALLED:
            raise
        return Unseen(error.message)


def _items(kubectl: Kubectl, resource: str, *arguments: str) -> list[Manifest]:
    items = kubectl.get(resource, *arguments).get("items") or []
    return [item for item in items if isinstance(item, dict)]


def _manifest_of(kubectl: Kubectl, resource: str, name: str, *arguments: str) -> Manifest | None:
    try:
        return kubectl.get(resource, name, *arguments)
    except Stalled as error:
        if error.reason is Reason.KUBECTL_FAILED and "(NotFound)" in error.message:
            return None
        raise


def _operators(deployments: Iterable[Manifest], wanted: Wanted) -> Iterator[Manifest]:
    for item in deployments:
        labels = item["spec"]["template"]["metadata"].get("labels") or {}
        name = labels.get("app.kubernetes.io/name", "")
        if operator_container(item) is not None and wanted.name in ("", name):
            yield item


def _by_name(items: Iterable[Manifest]) -> Mapping[str, Manifest]:
    return {item["metadata"]["name"]: item for item in items}


def _labels(namespace: Manifest | Unseen | None) -> dict[str, str]:
    if namespace is None or isinstance(namespace, Unseen):
        return {}
    return dict(namespace["metadata"].get("labels") or {})


def _ahead(kubectl: Kubectl) -> float:
    """Return how far this clock is ahead of the API server's at least, by an answer's ``Date``.

    The answer was made while kubectl ran, and a ``Date`` has whole seconds.
    """
    before = time.time()
    answer = kubectl.headers("/version")
    after = time.time()
    date = _DATE.search(answer)
    if date is None:
        raise Stalled(Reason.KUBECTL_FAILED, "kubectl showed no Date of the API server's answer")
    server = email.utils.parsedate_to_datetime(date[1]).timestamp()
    return max(0.0, before - server - 1) or min(0.0, after - server)


def _metrics(kubectl: Kubectl, pods: list[Manifest] | Unseen) -> str | Unseen:
    """Ask the first running operator for its metrics, through the API server."""
    if isinstance(pods, Unseen):
        return pods
    for pod in read_pods(pods):
        if pod.running and pod.component == "operator":
            item = next(item for item in pods if item["metadata"]["name"] == pod.name)
            port = _http_port(operator_container(item) or {})
            namespace = item["metadata"]["namespace"]
            path = f"/api/v1/namespaces/{namespace}/pods/{pod.name}:{port}/proxy/metrics"
            return _seen(kubectl.raw, path)
    return Unseen("no pod of the operator runs")


def _http_port(container: Manifest) -> str:
    for item in container.get("env") or ():
        if item.get("name") == f"{PREFIX}HTTP_ADDRESS":
            return str(item.get("value") or "").rpartition(":")[2] or "8080"
    return "8080"


def _reviewed(
    kubectl: Kubectl, wants: list[Asked], namespace: str, account: str
) -> list[tuple[Asked, bool]]:
    answers = kubectl.reviewed([item.review(namespace, account) for item in wants])
    if len(answers) != len(wants):
        raise Stalled(Reason.KUBECTL_FAILED, f"{len(answers)} answers to {len(wants)} reviews")
    return [
        (want, bool((answer.get("status") or {}).get("allowed")))
        for want, answer in zip(wants, answers, strict=True)
    ]


def _places(kubectl: Kubectl, usages: list[Manifest] | Unseen) -> Iterator[Place]:
    if isinstance(usages, Unseen):
        return
    policies: dict[str, Any] = {}
    for usage in usages:
        namespace = str(usage["metadata"]["namespace"])
        space = f"--namespace={namespace}"
        if namespace not in policies:
            policies[namespace] = _seen(_items, kubectl, "networkpolicies", space)
        for place in _declared(usage):
            yield _looked_at(kubectl, place, space, policies[namespace])


def _declared(usage: Manifest) -> Iterator[Place]:
    """Yield where the sources of an object are read; presets in ConfigMaps are not looked at."""
    key = Key(usage["metadata"]["namespace"], usage["metadata"]["name"])
    model = Subject.read(key, dict(usage)).usage
    if isinstance(model, UsageError):
        yield Place(str(key), "?", problem=model.message)
        return
    shipped_elsewhere = {item.name for item in model.spec.sources if item.preset_config_map_ref}
    for item in declared(model, _unforeseen, {}):
        if item.name in shipped_elsewhere:
            yield Place(str(key), item.name)
        elif item.source is None:
            yield Place(str(key), item.name, problem=item.problem.message if item.problem else "")
        elif item.source.pods is None:
            yield Place(str(key), item.name)
        else:
            pods = item.source.pods
            yield Place(str(key), item.name, pods.selector or "", pods.service or "", pods.port)


def _looked_at(kubectl: Kubectl, place: Place, space: str, policies: Any) -> Place:  # noqa: ANN401
    pods: list[Manifest] | Unseen = []
    services: list[Manifest] | Unseen = []
    if place.service:
        shown = _seen(_manifest_of, kubectl, "service", place.service, space)
        services = shown if isinstance(shown, Unseen) else [shown] if shown else []
    elif place.selector:
        pods = _seen(_items, kubectl, "pods", space, f"--selector={place.selector}")
    return Place(
        *(place.usage, place.source, place.selector, place.service, place.port),
        pods=pods,
        services=services,
        policies=policies,
        problem=place.problem,
    )


def _unforeseen(error: Exception, doing: str) -> Failure:
    raise error
