"""Which pod a command runs in: a pure choice among the pods that the API server has shown.

A pod of the operator, or of its maintenance, is known by the label ``app.kubernetes.io/component``
and by a container whose environment names the ledger. The label ``app.kubernetes.io/name`` tells
the installations of one namespace apart.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from licenseusage.controller.settings import PREFIX
from licenseusage.errors import Retryable, Stalled, UsageError
from licenseusage.reasons import Reason

LEDGER_SETTING = f"{PREFIX}DATABASE_URL"
SELECTOR = "app.kubernetes.io/component in (operator,maintenance)"
"""For the API server; others have pods with these labels, too."""
MAINTENANCE = "maintenance"
_NAME, _COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"
_MAINTENANCE_POD = (
    "While the operator is scaled to zero, `kubectl apply -k manifests/maintenance` makes a pod "
    "that mounts the same volume."
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which installation is meant.

    Attributes:
        namespace: Of its pods.
        name: Its label ``app.kubernetes.io/name``; empty: the only one in the namespace.
    """

    namespace: str
    name: str = ""

    @classmethod
    def read(cls, text: str) -> "Wanted":
        """Read ``NAMESPACE`` or ``NAMESPACE/NAME``."""
        namespace, _, name = text.partition("/")
        return cls(namespace, name)

    def __str__(self) -> str:
        """Return it as it is given on the command line."""
        return f"{self.namespace}/{self.name}" if self.name else self.namespace


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that mounts a ledger.

    Attributes:
        installation: Namespace and name of its installation.
        name: Of the pod.
        component: ``operator`` or ``maintenance``.
        container: The container whose environment names the ledger.
        one_file: The ledger is one SQLite file, which one operator uses.
        running: The container runs, and the pod is not being deleted.
        ready: The container says that it is ready.
        seen: What kept it from running, in the cluster's words; empty while it runs.
    """

    installation: Wanted
    name: str
    component: str
    container: str
    one_file: bool
    running: bool
    ready: bool
    seen: str


def read_pods(items: Iterable[Mapping[str, Any]]) -> tuple[Pod, ...]:
    """Return those of a list of pods that mount a ledger."""
    return tuple(pod for item in items if (pod := _read(item)) is not None)


def chosen(
    pods: Sequence[Pod], wanted: Wanted, *, writing: bool = False, elsewhere: Sequence[Pod] = ()
) -> Pod:
    """Choose the pod to run a command in.

    Args:
        pods: Of the namespace.
        wanted: Which installation.
        writing: The command replaces or changes the ledger: rather where no operator uses it.
        elsewhere: Pods of other namespaces, for the message.

    Raises:
        Stalled: ``OperatorNotFound``; ``Ambiguous``: several installations, or several pods of one
            ledger.
        Retryable: ``OperatorNotRunning``, with what was seen.
    """
    ours = [pod for pod in pods if wanted.name in ("", pod.installation.name)]
    if not ours:
        raise _not_found(wanted, [*pods, *elsewhere])
    installations = _installations(ours)
    if len(installations) > 1:
        raise Stalled(
            Reason.AMBIGUOUS,
            f"Namespace {wanted.namespace} has {len(installations)} installations: "
            f"{', '.join(installations)}. Choose one: --operator-namespace={installations[0]}",
        )
    running = [pod for pod in ours if pod.running]
    maintaining = [pod for pod in running if pod.component == MAINTENANCE]
    operators = sorted(
        (pod for pod in running if pod.component != MAINTENANCE),
        key=lambda pod: (not pod.ready, pod.name),
    )
    if len(operators) > 1 and operators[0].one_file and not (writing and maintaining):
        raise Stalled(
            Reason.AMBIGUOUS,
            f"{len(operators)} operators run in namespace {wanted.namespace}, and their ledger is "
            f"one file: {', '.join(sorted(pod.name for pod in operators))}. Scale the Deployment "
            f"to one replica, and try again when the other pod is gone.",
        )
    order = [*maintaining, *operators] if writing else [*operators, *maintaining]
    if not order:
        raise _not_running(wanted, ours)
    return order[0]


def _read(item: Mapping[str, Any]) -> Pod | None:
    metadata, spec, status = (item.get(part) or {} for part in ("metadata", "spec", "status"))
    labels = metadata.get("labels") or {}
    named = [
        (container, env) for container in spec.get("containers") or () if (env := _url(container))
    ]
    if not named:
        return None
    container, env = named[0]
    states = [
        item
        for item in status.get("containerStatuses") or ()
        if item.get("name") == container.get("name")
    ]
    state = (states[0].get("state") if states else None) or {}
    leaving = "deletionTimestamp" in metadata
    running = "running" in state and not leaving
    return Pod(
        installation=Wanted(metadata.get("namespace", ""), labels.get(_NAME, "licenseusage")),
        name=metadata.get("name", ""),
        component=labels.get(_COMPONENT, ""),
        container=container.get("name", ""),
        one_file=not env.get("value") or str(env["value"]).startswith("sqlite"),
        running=running,
        ready=running and bool(states[0].get("ready")),
        seen="" if running else _seen(leaving, state, status),
    )


def _url(container: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the variable of a container that names the ledger."""
    for variable in container.get("env") or ():
        if variable.get("name") == LEDGER_SETTING:
            return dict(variable)
    return None


def _seen(leaving: bool, state: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    if leaving:
        return "it is being deleted"
    for kind in ("waiting", "terminated"):
        if kind in state:
            detail = state[kind] or {}
            words = [str(detail.get(member) or "") for member in ("reason", "message")]
            return f"{kind}: " + (": ".join(filter(None, words)) or "no reason given")[:300]
    for condition in status.get("conditions") or ():
        if condition.get("status") != "True" and condition.get("message"):
            return f"{condition.get('reason')}: {condition['message']}"[:300]
    return f"phase {status.get('phase') or 'unknown'}"


def _installations(pods: Iterable[Pod]) -> list[str]:
    return sorted({str(pod.installation) for pod in pods})


def _not_found(wanted: Wanted, others: Sequence[Pod]) -> UsageError:
    named = f" named {wanted.name}" if wanted.name else ""
    known = _installations(others)
    way = (
        f"There are installations: {', '.join(known)}. Choose one: --operator-namespace={known[0]}"
        if known
        else f"Name the operator's namespace with --operator-namespace, or the cluster with "
        f"--context. {_MAINTENANCE_POD}"
    )
    return Stalled(
        Reason.OPERATOR_NOT_FOUND,
        f"There is no pod of an operator{named} in namespace {wanted.namespace}. {way}",
    )


def _not_running(wanted: Wanted, pods: Sequence[Pod]) -> UsageError:
    seen = "; ".join(f"pod {pod.name}: {pod.seen}" for pod in pods)
    return Retryable(
        Reason.OPERATOR_NOT_RUNNING,
        f"The operator in namespace {wanted.namespace} does not run ({seen}). See: kubectl "
        f"describe pod -n {wanted.namespace} {pods[0].name}. {_MAINTENANCE_POD}",
    )
