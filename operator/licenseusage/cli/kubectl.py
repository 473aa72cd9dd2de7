"""Objects of the cluster for commands of people: by kubectl, with their own rights.

kubectl knows contexts, logins and proxies that this program would have to learn. A pod has no
kubectl and needs none of that: there the API server is asked directly (``incluster``).
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from licenseusage.cli.incluster import apply_directly, in_a_pod, list_directly
from licenseusage.errors import Retryable, Stalled, UsageError
from licenseusage.reasons import Reason

ContextOption = Annotated[
    str | None,
    typer.Option("--context", metavar="NAME", help="The kubeconfig's context; as for kubectl."),
]
KubeconfigOption = Annotated[
    str | None, typer.Option("--kubeconfig", metavar="FILE", help="As for kubectl.")
]
NamespaceOption = Annotated[
    str | None,
    typer.Option(
        "--namespace", "-n", metavar="NS", help="Namespace; without it, that of the context."
    ),
]

SERVER_SECONDS = 30
"""How long kubectl waits for one answer of the API server."""

PATIENCE_SECONDS = 120
"""How long kubectl may take altogether; a login may have to be renewed in between."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """Runs kubectl; nothing but ``get``, ``apply``, ``create``, ``patch`` and ``auth whoami``.

    Where nothing is changed (`names`, `raw`, `headers`, `reviewed`), that is said.

    Attributes:
        context: The kubeconfig's context; None: the current one.
        kubeconfig: Path of the kubeconfig; None: kubectl's own choice.
    """

    context: str | None = None
    kubeconfig: str | None = None

    @property
    def flags(self) -> list[str]:
        """The flags of every call, to be shown or passed on."""
        given = {"--context": self.context, "--kubeconfig": self.kubeconfig}
        return [f"{flag}={value}" for flag, value in given.items() if value is not None]

    @property
    def direct(self) -> bool:
        """Whether the API server is asked directly: in a pod, without kubectl."""
        return in_a_pod(os.environ) and shutil.which("kubectl") is None

    def list(
        self, resource: str, namespace: str | None = None, *, everywhere: bool = False
    ) -> list[dict[str, Any]]:
        """Return all objects of a kind, as the API server has them.

        Args:
            resource: Full name, such as ``usagereports.licenseusage.dev``.
            namespace: None: that of the context (of the pod, in a pod).
            everywhere: Of all namespaces; ``namespace`` is not looked at.

        Raises:
            Stalled: ``NotInstalled``, ``ForbiddenByCluster``, ``KubectlFailed``.
            Retryable: ``APIUnavailable``: the API server did not answer in time.
        """
        if self.direct:
            return list_directly(resource, namespace, everywhere=everywhere)
        where = ["--all-namespaces"] if everywhere else [f"--namespace={namespace}"]
        answer = self.get(resource, *(where if everywhere or namespace is not None else []))
        items = answer.get("items")
        if not isinstance(items, list):
            raise Stalled(Reason.KUBECTL_FAILED, f"kubectl get {resource}: its answer is no list.")
        return [item for item in items if isinstance(item, dict)]

    def get(self, *arguments: str) -> Mapping[str, Any]:
        """Return what ``kubectl get ARGUMENTS -o json`` prints.

        Raises:
            Stalled: ``NotInstalled``, ``ForbiddenByCluster``, ``KubectlFailed``.
            Retryable: ``APIUnavailable``: the API server did not answer in time.
        """
        command = ["kubectl", "get", *arguments, *self.flags]
        words = " ".join(command)
        asked = [*command, "--output=json", f"--request-timeout={SERVER_SECONDS}s"]
        return _object(words, _run(words, asked, role="view"))

    def apply(self, objects: Sequence[Mapping[str, Any]], field_manager: str) -> None:
        """Apply objects of our own kinds on the server's side.

        Args:
            objects: Each names its namespace.
            field_manager: Who owns the fields.

        Raises:
            Stalled: ``NotInstalled``, ``ForbiddenByCluster``, ``KubectlFailed``: some of the
                objects may have been applied; to apply them again is harmless.
            Retryable: ``APIUnavailable``: the API server did not answer in time.
        """
        if self.direct:
            apply_directly(objects, field_manager)
            return
        # Client-side apply would keep a copy in an annotation, which may not be that long.
        command = ["kubectl", "apply", "--server-side", f"--field-manager={field_manager}"]
        command += ["--filename=-", *self.flags]
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        asked = [*command, f"--request-timeout={SERVER_SECONDS}s"]
        given = json.dumps(listed).encode()
        _run(" ".join(command), asked, given, role="edit")

    def create(self, manifest: Mapping[str, object]) -> None:
        """Create an object; one of that name is never changed.

        Raises:
            Stalled: ``NotInstalled``, ``ForbiddenByCluster``, ``KubectlFailed``.
            Retryable: ``APIUnavailable``: the API server did not answer in time.
        """
        command = ["kubectl", "create", "--filename=-", *self.flags]
        asked = [*command, f"--request-timeout={SERVER_SECONDS}s"]
        _run(" ".join(command), asked, json.dumps(manifest).encode(), role="edit")

    def merge(
        self,
        resource: str,
        namespace: str,
        name: str,
        patch: Mapping[str, object],
        *,
        role: str = "edit",
    ) -> None:
        """Merge-patch an object.

        Args:
            resource: Its kind.
            namespace: Its namespace.
            name: Its name.
            patch: Without anything secret: arguments can be seen.
            role: The ClusterRole that permits it.

        Raises:
            Stalled: ``NotInstalled``, ``ForbiddenByCluster``, ``KubectlFailed``.
            Retryable: ``APIUnavailable``: the API server did not answer in time.
        """
        command = ["kubectl", "patch", resource, name, f"--namespace={namespace}", *self.flags]
        asked = [*command, "--type=merge", f"--patch={json.dumps(patch)}"]
        asked += ["--output=name", f"--request-timeout={SERVER_SECONDS}s"]
        _run(" ".join(command), asked, role=role)

    def names(self, resource: str, *arguments: str) -> frozenset[str]:
        """Return which of the named objects are there; their content is not transferred.

        Raises:
            Stalled: ``NotInstalled``, ``ForbiddenByCluster``, ``KubectlFailed``.
            Retryable: ``APIUnavailable``: the API server did not answer in time.
        """
        # For a table the API server sends what is in its columns, and nothing else.
        command = ["kubectl", "get", resource, *arguments, *self.flags]
        asked = [*command, "--no-headers", "--ignore-not-found"]
        asked += [f"--request-timeout={SERVER_SECONDS}s"]
        rows = _run(" ".join(command), asked, role="view").decode("utf-8", "replace").splitlines()
        return frozenset(row.split()[0].rpartition("/")[2] for row in rows if row.split())

    def raw(self, path: str) -> str:
        """Return what a path of the API server answers to a GET.

        Raises:
            Stalled: ``NotInstalled``, ``ForbiddenByCluster``, ``KubectlFailed``.
            Retryable: ``APIUnavailable``: the API server did not answer in time.
        """
        command = ["kubectl", "get", f"--raw={path}", *self.flags]
        asked = [*command, f"--request-timeout={SERVER_SECONDS}s"]
        return _run(" ".join(command), asked, role="cluster-admin").decode("utf-8", "replace")

    def headers(self, path: str) -> str:
        """Return what kubectl tells of a GET, with the headers of the answer among it.

        Raises:
            Stalled: ``NotInstalled``, ``ForbiddenByCluster``, ``KubectlFailed``.
            Retryable: ``APIUnavailable``: the API server did not answer in time.
        """
        command = ["kubectl", "get", f"--raw={path}", *self.flags]
        asked = [*command, "-v=8", f"--request-timeout={SERVER_SECONDS}s"]
        _, spoken = _done(" ".join(command), asked, role="view")
        return spoken.decode("utf-8", "replace")

    def reviewed(self, reviews: Sequence[Mapping[str, object]]) -> Sequence[Mapping[str, Any]]:
        """Return SubjectAccessReviews with their answers, in their order; nothing is stored.

        Raises:
            Stalled: ``NotInstalled``, ``ForbiddenByCluster``, ``KubectlFailed``.
            Retryable: ``APIUnavailable``: the API server did not answer in time.
        """
        command = ["kubectl", "create", "--filename=-", *self.flags]
        asked = [*command, "--output=json", f"--request-timeout={SERVER_SECONDS}s"]
        listed = {"apiVersion": "v1", "kind": "List", "items": list(reviews)}
        words = " ".join(command)
        raw = _run(words, asked, json.dumps(listed).encode(), role="cluster-admin")
        return _objects(words, raw)

    def whoami(self) -> str:
        """Return the user's name as the API server sees it; empty: it cannot be asked."""
        command = ["kubectl", "auth", "whoami", *self.flags, "--output=json"]
        asked = [*command, f"--request-timeout={SERVER_SECONDS}s"]
        words = " ".join(command)
        try:
            review = _object(words, _run(words, asked, role="view"))
        except UsageError:  # an older cluster or kubectl, or it is forbidden
            return ""
        info = (review.get("status") or {}).get("userInfo") or {}
        return str(info.get("username") or "")


def _run(words: str, command: Sequence[str], given: bytes = b"", *, role: str) -> bytes:
    """Run kubectl and return what it printed; arguments as `_done`."""
    return _done(words, command, given, role=role)[0]


def _done(
    words: str, command: Sequence[str], given: bytes = b"", *, role: str
) -> tuple[bytes, bytes]:
    """Run kubectl and return what it printed, and what it said beside.

    Args:
        words: The command, for messages.
        command: The command.
        given: For its standard input.
        role: The ClusterRole that permits it.
    """
    try:
        done = subprocess.run(  # noqa: S603 - no shell; a program that the user has installed
            command,
            input=given,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise Stalled(
            Reason.NOT_INSTALLED,
            "kubectl is not in PATH, and is needed to read objects of the cluster. Install "
            "it, or give files with the option that --help names.",
        ) from None
    except OSError as error:
        raise Stalled(
            Reason.KUBECTL_FAILED, f"kubectl cannot be run: {error.strerror or error}"
        ) from None
    except subprocess.TimeoutExpired:
        raise Retryable(
            Reason.API_UNAVAILABLE,
            f"{words}: no answer within {PATIENCE_SECONDS} s. Is the cluster reachable?",
        ) from None
    if done.returncode != 0:
        _refuse(words, _one_line(done.stderr), role)
    return done.stdout, done.stderr


def _refuse(words: str, message: str, role: str) -> None:
    """Raise what kubectl's own words mean."""
    if "(Forbidden)" in message:
        ours = role.startswith("licenseusage-")
        part = "" if ours else f", of which licenseusage-{role} is a part"
        raise Stalled(
            Reason.FORBIDDEN_BY_CLUSTER,
            f"{words}: {message}. Ask for the ClusterRole {role} in that namespace{part}.",
        )
    if "the server doesn't have a resource type" in message:
        raise Stalled(
            Reason.KUBECTL_FAILED,
            f"{words}: {message}. The custom resources are not installed in this cluster, or it "
            f"is another cluster than you mean (--context).",
        )
    raise Stalled(Reason.KUBECTL_FAILED, f"{words}: {message or 'it failed without a word'}")


def _object(words: str, raw: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(raw)
    except ValueError:  # not text at all is one, too
        value = None
    if not isinstance(value, dict):
        raise Stalled(
            Reason.KUBECTL_FAILED,
            f"{words}: its answer is not a JSON object. Does `kubectl` start another program?",
        )
    return value


def _objects(words: str, raw: bytes) -> list[Mapping[str, Any]]:
    """Read JSON objects that stand one after the other."""
    text, decoder, objects, at = raw.decode("utf-8", "replace").strip(), json.JSONDecoder(), [], 0
    while at < len(text):
        try:
            value, at = decoder.raw_decode(text, at)
        except ValueError:
            return [_object(words, raw)]
        objects.append(value)
        at += len(text[at:]) - len(text[at:].lstrip())
    return objects


def _one_line(raw: bytes) -> str:
    lines = raw.decode("utf-8", "replace").splitlines()
    return "; ".join(line.strip() for line in lines if line.strip())[:500]
