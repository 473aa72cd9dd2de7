"""The operator itself: definitions, Deployment, pod, rights, clocks and volume. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from licenseusage.cli.doctor.facts import Facts, Unseen, conditions, named
from licenseusage.cli.doctor.findings import Finding, Level
from licenseusage.cli.doctor.names import Manifest, operator_container
from licenseusage.cli.doctor.rights import Asked, Scope
from licenseusage.cli.operatorpods import read_pods
from licenseusage.controller.rules.metricbook import BUILD, VOLUME_AVAILABLE, VOLUME_SIZE

CLOCK_NOTICED_S, CLOCK_REFUSED_S = 5, 300
"""A difference that is worth a word, and the one from which on the operator signs nothing."""
RESTARTS_NOTICED = 3
FREE_NOTICED, FREE_REFUSED = 0.2, 0.05
"""Shares of the ledger's volume that are left."""
_COMPARED = ("schema", "subresources", "additionalPrinterColumns", "selectableFields")
_APPLY_CRDS = "kubectl apply -k crds, of the version that the operator has"
_APPLY_BASE = "kubectl apply -k manifests/base (or your overlay, or helm upgrade)"


def definitions(facts: Facts, ours: Mapping[str, Manifest]) -> Iterator[Finding]:
    """Compare the CustomResourceDefinitions with those of this program."""
    if isinstance(facts.crds, Unseen):
        yield facts.crds.finding("definitions", "CustomResourceDefinitions", _TO_GET_CRDS)
        return
    for name, shipped in ours.items():
        there = facts.crds.get(name)
        if there is None:
            yield Finding("definitions", name, Level.BAD, "it is not installed", _APPLY_CRDS)
            continue
        different = sorted(_differences(shipped, there))
        served = any(
            item.get("type") == "Established" and item.get("status") == "True"
            for item in conditions(there)
        )
        if not served:
            seen = "the API server does not serve it (yet)"
            yield Finding("definitions", name, Level.BAD, seen, f"kubectl describe crd {name}")
        elif different:
            seen = (
                f"it is not the one of licenseusage {facts.version}: {', '.join(different)} differ"
            )
            yield Finding("definitions", name, Level.BAD, seen, _APPLY_CRDS)
        else:
            yield Finding("definitions", name, Level.GOOD, f"as of licenseusage {facts.version}")


_TO_GET_CRDS = "Ask for the right to get customresourcedefinitions."


def _differences(shipped: Manifest, there: Manifest) -> Iterator[str]:
    installed = {item["name"]: item for item in there["spec"].get("versions") or ()}
    for version in shipped["spec"]["versions"]:
        other = installed.get(version["name"])
        if other is None or not other.get("served"):
            yield f"version {version['name']} (not served)"
            continue
        for part in _COMPARED:
            if (version.get(part) or None) != (other.get(part) or None):
                yield f"{part} of {version['name']}"


def operator(facts: Facts) -> Iterator[Finding]:
    """Look at the Deployment and at its pods."""
    if isinstance(facts.deployments, Unseen):
        yield facts.deployments.finding("operator", f"namespace {facts.namespace}")
    elif facts.deployment is None:
        seen = "no Deployment of an operator is there"
        fix = f"Name its namespace with --operator-namespace, or install it: {_APPLY_BASE}"
        yield Finding("operator", f"namespace {facts.namespace}", Level.BAD, seen, fix)
        return
    elif len(facts.deployments) > 1:
        names = ", ".join(named(item) for item in facts.deployments)
        fix = "Name one with --operator-namespace NAMESPACE/NAME; two must not share one ledger."
        yield Finding("operator", f"namespace {facts.namespace}", Level.WARNING, names, fix)
    if facts.deployment is not None:
        yield from _deployment(facts, facts.deployment)
    if isinstance(facts.pods, Unseen):
        yield facts.pods.finding("pod", f"namespace {facts.namespace}")
    else:
        yield from _pods(facts.pods, facts.namespace)


def _deployment(facts: Facts, deployment: Manifest) -> Iterator[Finding]:
    about, replicas = f"Deployment {named(deployment)}", deployment["spec"].get("replicas", 1)
    if replicas == 0:
        fix = f"kubectl scale -n {facts.namespace} deployment/{deployment['metadata']['name']} "
        seen = "it is scaled to zero: nothing is counted or sent"
        yield Finding("operator", about, Level.BAD, seen, f"{fix}--replicas=1")
    elif replicas > 1 and facts.names.one_file:
        seen = f"{replicas} replicas, and the ledger is one file that only one can use"
        yield Finding("operator", about, Level.BAD, seen, "Set replicas: 1.")
    else:
        yield Finding("operator", about, Level.GOOD, f"{replicas} replica(s) wanted")
    running = _running_version(facts, deployment)
    if running is None:
        why = "the image's name tells no version, and the metrics could not be read"
        yield Finding("version", about, Level.UNSEEN, why, _TO_READ_METRICS)
    elif running != facts.version:
        seen = f"the operator is licenseusage {running}, this program is {facts.version}"
        fix = "Use the program of the operator's version, or upgrade the operator."
        yield Finding("version", about, Level.WARNING, seen, fix)
    else:
        yield Finding("version", about, Level.GOOD, f"licenseusage {running}, as this program")


_TO_READ_METRICS = "Ask for the right to get pods/proxy; or look at /metrics another way."


def _running_version(facts: Facts, deployment: Manifest) -> str | None:
    for _, labels, _ in samples(facts, BUILD.name):
        return labels.get("version")
    image = str((operator_container(deployment) or {}).get("image", ""))
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    return tag.removeprefix("v") if tag[:1].isdigit() or tag[:1] == "v" else None


def _pods(items: Sequence[Manifest], namespace: str) -> Iterator[Finding]:
    read = [item for item in read_pods(items) if item.component != "maintenance"]
    if not read:
        fix = f"kubectl get events -n {namespace}"
        yield Finding("pod", f"namespace {namespace}", Level.BAD, "no pod is there", fix)
    for pod in read:
        about, fix = (
            f"Pod {namespace}/{pod.name}",
            f"kubectl describe pod -n {namespace} {pod.name}",
        )
        if not pod.running:
            yield Finding("pod", about, Level.BAD, f"it does not run: {pod.seen}", fix)
        elif not pod.ready:
            logs = f"{fix}; kubectl logs -n {namespace} {pod.name}"
            yield Finding("pod", about, Level.BAD, "it runs, and is not ready", logs)
        else:
            yield _restarts(
                next(item for item in items if item["metadata"]["name"] == pod.name), about
            )


def _restarts(item: Manifest, about: str) -> Finding:
    states = item["status"].get("containerStatuses") or ()
    count = sum(item.get("restartCount", 0) for item in states)
    ends = [(item.get("lastState") or {}).get("terminated") for item in states]
    words = ", ".join(
        f"{item.get('reason', 'ended')} (exit code {item.get('exitCode')})" for item in ends if item
    )
    if count >= RESTARTS_NOTICED:
        fix = (
            f"kubectl logs --previous -n {item['metadata']['namespace']} {item['metadata']['name']}"
        )
        return Finding("pod", about, Level.WARNING, f"ready; {count} restarts, last: {words}", fix)
    return Finding("pod", about, Level.GOOD, f"ready, {count} restart(s)")


def rights(facts: Facts) -> Iterator[Finding]:
    """Say which rights the operator's ServiceAccount lacks."""
    about = f"ServiceAccount {facts.namespace}/{facts.names.account}"
    if isinstance(facts.rights, Unseen):
        fix = "Ask for the right to create subjectaccessreviews."
        yield facts.rights.finding("rights", about, fix)
        return
    missing = [item for item, allowed in facts.rights if not allowed]
    for item in missing:
        level = Level.WARNING if item.right.optional else Level.BAD
        yield Finding("rights", about, level, f"it may not {item}", _grant(item))
    if not missing:
        yield Finding("rights", about, Level.GOOD, f"it has all {len(facts.rights)} that it needs")


def _grant(item: Asked) -> str:
    if item.right.scope is Scope.PRODUCT:
        return (
            f"Bind the ClusterRole licenseusage-collector to it in namespace {item.namespace} "
            f"(docs/install.md, step 3)."
        )
    return _APPLY_BASE


def clock(facts: Facts) -> Iterator[Finding]:
    """Compare this machine's clock with the API server's."""
    if isinstance(facts.ahead_s, Unseen):
        yield facts.ahead_s.finding("clock", "API server")
        return
    ahead = round(facts.ahead_s)
    seen = f"this machine and the API server differ by {abs(ahead)} s"
    if abs(ahead) > CLOCK_REFUSED_S:
        fix = "Set both by NTP. Licences and reports are judged by these clocks."
        yield Finding("clock", "API server", Level.BAD, seen, fix)
    elif abs(ahead) > CLOCK_NOTICED_S:
        yield Finding("clock", "API server", Level.WARNING, seen, "Set both by NTP.")
    else:
        yield Finding("clock", "API server", Level.GOOD, seen)


def storage(facts: Facts) -> Iterator[Finding]:
    """Look at the ledger's volume."""
    if not facts.names.one_file or facts.deployment is None:
        return
    yield from _claim(facts, facts.deployment)
    if isinstance(facts.metrics, Unseen):
        yield facts.metrics.finding("storage", "free space", _TO_READ_METRICS)
        return
    size = next((value for _, _, value in samples(facts, VOLUME_SIZE.name)), 0.0)
    free = next((value for _, _, value in samples(facts, VOLUME_AVAILABLE.name)), 0.0)
    if not size:
        why = "the operator's metrics do not tell the size of the volume"
        yield Finding("storage", "free space", Level.UNSEEN, why)
        return
    share, seen = free / size, f"{free / 2**20:.0f} of {size / 2**20:.0f} MiB are free"
    fix = "Enlarge the volume; nothing is counted while it is full."
    level = Level.WARNING if share < FREE_NOTICED else Level.GOOD
    level = Level.BAD if share < FREE_REFUSED else level
    yield Finding("storage", "free space", level, seen, "" if level is Level.GOOD else fix)


def _claim(facts: Facts, deployment: Manifest) -> Iterator[Finding]:
    if isinstance(facts.claims, Unseen):
        yield facts.claims.finding("storage", "PersistentVolumeClaims")
        return
    volumes = deployment["spec"]["template"]["spec"].get("volumes") or ()
    wanted = [
        item["persistentVolumeClaim"]["claimName"]
        for item in volumes
        if "persistentVolumeClaim" in item
    ]
    if not wanted:
        seen = "the Deployment mounts no volume claim: the ledger is lost with the pod"
        yield Finding("storage", f"Deployment {named(deployment)}", Level.BAD, seen, _APPLY_BASE)
    for name in wanted:
        claim = facts.claims.get(name)
        about = f"PersistentVolumeClaim {facts.namespace}/{name}"
        phase = None if claim is None else (claim.get("status") or {}).get("phase")
        if phase == "Bound":
            yield Finding("storage", about, Level.GOOD, "bound")
        else:
            seen = "it is not there" if claim is None else f"its phase is {phase or 'unknown'}"
            fix = f"kubectl describe pvc -n {facts.namespace} {name}; is there a StorageClass?"
            yield Finding("storage", about, Level.BAD, seen, fix)


def samples(facts: Facts, family: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    """Yield name, labels and value of the samples of a metric; nothing where there are none."""
    if isinstance(facts.metrics, Unseen):
        return
    try:
        for each in text_string_to_metric_families(facts.metrics):
            for sample in each.samples if each.name == family else ():
                yield sample.name, sample.labels, float(sample.value)
    except ValueError:  # no text of metrics
        return


def operator_labels(facts: Facts) -> dict[str, Any]:
    """Return the labels of the operator's pods, for NetworkPolicies."""
    if facts.deployment is None:
        return {}
    return dict(facts.deployment["spec"]["template"]["metadata"].get("labels") or {})
