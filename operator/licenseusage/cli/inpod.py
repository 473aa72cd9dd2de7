"""Commands that need the operator's ledger or keys run in its pod, wherever they are called.

In the pod (its environment names the ledger) a command does its work. Anywhere else it runs itself
there by ``kubectl exec``, with the rights of the caller's kubeconfig, and passes on what comes out.
"""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Annotated, BinaryIO

import typer

from licenseusage.cli.kubectl import ContextOption, KubeconfigOption
from licenseusage.controller.settings import PREFIX
from licenseusage.errors import Retryable, Stalled, UsageError
from licenseusage.reasons import Reason

__all__ = [
    "ContextOption",
    "KubeconfigOption",
    "OperatorNamespaceOption",
    "OperatorPod",
    "beside_ledger",
    "run_in_pod",
]

DEPLOYMENT = "licenseusage-operator"
CONTAINER = "operator"
LEDGER_SETTING = f"{PREFIX}DATABASE_URL"
_REMOTE_END = re.compile(r"command terminated with exit code (\d+)")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the LicenseUsage.")]
NamespaceOption = Annotated[
    str, typer.Option("--namespace", "-n", metavar="NS", help="Its namespace.")
]
OperatorNamespaceOption = Annotated[
    str, typer.Option("--operator-namespace", help="Namespace of the operator.")
]


@dataclass(frozen=True, slots=True)
class OperatorPod:
    """Where the operator runs, and how kubectl gets there.

    Attributes:
        namespace: Of the operator's Deployment.
        context: Of the kubeconfig; None: the current one.
        kubeconfig: Path; None: as kubectl finds it.
    """

    namespace: str = "licenseusage-system"
    context: str | None = None
    kubeconfig: str | None = None

    def command(self, arguments: Sequence[str], *, with_input: bool = False) -> list[str]:
        """Return the command line that runs ``licenseusage`` with these arguments there."""
        kubectl = ["kubectl"]
        kubectl += ["--kubeconfig", self.kubeconfig] if self.kubeconfig else []
        kubectl += ["--context", self.context] if self.context else []
        kubectl += ["exec", "-n", self.namespace, f"deployment/{DEPLOYMENT}", "-c", CONTAINER]
        kubectl += ["-i"] if with_input else []
        return [*kubectl, "--", "licenseusage", *arguments]


def beside_ledger(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process runs where the ledger is: the environment names it."""
    return bool(environment.get(LEDGER_SETTING))


def run_in_pod(
    pod: OperatorPod,
    arguments: Sequence[str],
    *,
    stdin: bytes | None = None,
    stdout: BinaryIO | None = None,
) -> bytes:
    """Run ``licenseusage`` with these arguments in the operator's pod, and wait for its end.

    What the command says on its standard error is passed on.

    Args:
        pod: Where.
        arguments: Of the command.
        stdin: What the command reads; None: nothing.
        stdout: An open file that takes what the command writes; None: it is returned.

    Returns:
        What it wrote; empty with ``stdout``.

    Raises:
        Stalled: ``NotInstalled``: there is no kubectl; ``OperatorNotFound``;
            ``ForbiddenByCluster``; each with the fix.
        Retryable: ``APIUnavailable``: kubectl failed otherwise.
        Exit: The command itself failed: with its exit code.
    """
    command = pod.command(arguments, with_input=stdin is not None)
    with TemporaryFile() as kept:
        try:
            done = subprocess.run(  # noqa: S603 - kubectl of the caller's PATH, no shell
                command,
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                stdout=stdout or kept,
                stderr=subprocess.PIPE,
                check=False,
            )
        except FileNotFoundError:
            raise Stalled(
                Reason.NOT_INSTALLED,
                "kubectl was not found. This command runs in the operator's pod: install kubectl "
                "and put it on the PATH, or run the command in the pod.",
            ) from None
        stderr = done.stderr.decode("utf-8", "replace")
        _judge(pod, done.returncode, stderr)
        kept.seek(0)
        return kept.read()


def _judge(pod: OperatorPod, code: int, stderr: str) -> None:
    """Pass on what was printed to it; raise what a failure of the command or of kubectl means."""
    ended = _REMOTE_END.search(stderr)
    if code and ended is None:
        raise _failure_of_kubectl(pod, stderr)
    words = "\n".join(line for line in stderr.splitlines() if not _REMOTE_END.search(line))
    if words:
        typer.echo(words, err=True)
    if ended is not None:
        raise typer.Exit(int(ended[1]))


def _failure_of_kubectl(pod: OperatorPod, stderr: str) -> UsageError:
    lines = [line for line in stderr.splitlines() if line.strip()]
    last = lines[-1][:300] if lines else "no message"
    where = f"deployment/{DEPLOYMENT} in namespace {pod.namespace}"
    if "(NotFound)" in stderr:
        return Stalled(
            Reason.OPERATOR_NOT_FOUND,
            f"kubectl found no {where}: {last}. Name the operator's namespace with "
            f"--operator-namespace, or the cluster with --context.",
        )
    if "(Forbidden)" in stderr:
        return Stalled(
            Reason.FORBIDDEN_BY_CLUSTER,
            f"kubectl may not exec into {where}: {last}. It needs the right to get deployments "
            f"and pods and to create pods/exec there.",
        )
    return Retryable(
        Reason.API_UNAVAILABLE,
        f"kubectl could not exec into {where}: {last}. See whether the pod runs: kubectl get pods "
        f"-n {pod.namespace}",
    )
