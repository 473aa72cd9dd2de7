"""Commands that need the operator's ledger or keys run in its pod, wherever they are called.

In the pod (its environment names the ledger) a command does its work. Anywhere else it runs itself
there by ``kubectl exec``, with the rights of the caller's kubeconfig, and passes on what comes out.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Annotated, BinaryIO, TypeVar, cast

import typer

from licenseusage import __version__
from licenseusage.cli.kubectl import ContextOption, KubeconfigOption, Kubectl
from licenseusage.cli.operatorpods import LEDGER_SETTING, SELECTOR, Pod, Wanted, chosen, read_pods
from licenseusage.cli.podstream import StreamCut
from licenseusage.errors import Retryable, Stalled, UsageError
from licenseusage.reasons import Reason

__all__ = [
    "ContextOption",
    "KubeconfigOption",
    "OperatorNamespaceOption",
    "OperatorPod",
    "beside_ledger",
    "run_in_pod",
    "stream_in_pod",
]

_Taken = TypeVar("_Taken")

PROGRESS = re.compile(rb"progress: (\d+) (\d+)\n")
"""A line on the standard error of a command in the pod: how much is done, and how much there is."""
_REMOTE_END = re.compile(r"command terminated with exit code (\d+)")
_NO_PROGRAM = re.compile(r'"licenseusage": (stat .*)?(executable file not found|no such file)')
_NO_PROGRAM_CODES = (126, 127)
_USAGE_CODE = 2

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the LicenseUsage.")]
NamespaceOption = Annotated[
    str, typer.Option("--namespace", "-n", metavar="NS", help="Its namespace.")
]
OperatorNamespaceOption = Annotated[
    str,
    typer.Option(
        "--operator-namespace",
        metavar="NS",
        help="Namespace of the operator; NS/NAME, if it has several installations "
        "(label app.kubernetes.io/name).",
    ),
]


@dataclass(frozen=True, slots=True)
class OperatorPod:
    """Where the operator runs, and how kubectl gets there.

    Attributes:
        namespace: Of the operator; or ``NAMESPACE/NAME`` of one of its installations.
        context: Of the kubeconfig; None: the current one.
        kubeconfig: Path; None: as kubectl finds it.
    """

    namespace: str = "licenseusage-system"
    context: str | None = None
    kubeconfig: str | None = None

    @property
    def wanted(self) -> Wanted:
        """Which installation is meant."""
        return Wanted.read(self.namespace)

    def find(self, *, writing: bool = False) -> Pod:
        """Return the pod to run a command in, as the API server shows it now.

        Raises:
            UsageError: See `chosen`; ``ForbiddenByCluster``; or as `Kubectl.get`.
        """
        kubectl = Kubectl(self.context, self.kubeconfig)
        try:
            pods = _pods(kubectl, f"--namespace={self.wanted.namespace}")
        except Stalled as error:
            raise _without_pods(self, error) from None
        elsewhere: tuple[Pod, ...] = ()
        if not pods:
            with suppress(UsageError):  # only for the message; the right is often missing
                elsewhere = _pods(kubectl, "--all-namespaces")
        return chosen(pods, self.wanted, writing=writing, elsewhere=elsewhere)

    def command(self, pod: Pod, arguments: Sequence[str], *, with_input: bool = False) -> list[str]:
        """Return the command line that runs ``licenseusage`` with these arguments there."""
        kubectl = ["kubectl"]
        kubectl += ["--kubeconfig", self.kubeconfig] if self.kubeconfig else []
        kubectl += ["--context", self.context] if self.context else []
        kubectl += ["exec", "-n", self.wanted.namespace, f"pod/{pod.name}", "-c", pod.container]
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
        UsageError, Exit: See `stream_in_pod`.
    """

    def take(stream: BinaryIO) -> bytes:
        if stdout is None:
            return stream.read()
        shutil.copyfileobj(stream, stdout)
        return b""

    return stream_in_pod(pod, arguments, take=take, feed=None if stdin is None else [stdin])


def stream_in_pod(
    pod: OperatorPod,
    arguments: Sequence[str],
    *,
    take: Callable[[BinaryIO], _Taken],
    feed: Iterable[bytes] | None = None,
    tell: Callable[[int, int], None] | None = None,
    writing: bool = False,
) -> _Taken:
    """Run ``licenseusage`` in the operator's pod, and read what it writes while it runs.

    What the command says on its standard error is passed on when it has ended.

    Args:
        pod: Where.
        arguments: Of the command.
        take: Reads the command's standard output; it may raise `StreamCut`.
        feed: The command's standard input, piece by piece; None: nothing.
        tell: Hears what the command tells of its progress.
        writing: See `chosen`.

    Returns:
        What ``take`` returned.

    Raises:
        Stalled: ``NotInstalled``: there is no kubectl; ``OperatorNotFound``; ``Ambiguous``;
            ``ForbiddenByCluster``; ``OperatorDiffers``; each with the fix.
        Retryable: ``OperatorNotRunning``; ``APIUnavailable``: kubectl failed otherwise;
            ``StreamCut``.
        UsageError, OSError: Of ``take`` and ``feed``.
        Exit: The command itself failed: with its exit code.
    """
    where = _Where(pod, _pod_of(pod, writing=writing))
    process = _started(pod.command(where.pod, arguments, with_input=feed is not None), feed)
    words = _Words(cast("IO[bytes]", process.stderr), tell)
    feeding = _Feeding(process.stdin, feed)
    cut, killed = None, False
    try:
        try:
            taken = take(cast("BinaryIO", process.stdout))
        except StreamCut as error:
            cut = error
            # At the end of the stream kubectl ends by itself, and knows more of the reason.
            killed = bool(cast("BinaryIO", process.stdout).read(1))
            if killed:
                process.kill()
        process.wait()
    finally:
        process.kill()  # kubectl would wait for somebody who reads on
        process.wait()
        # What a wrapper of kubectl has started ends when nobody reads it.
        cast("BinaryIO", process.stdout).close()
        feeding.join()
        stderr = words.all()
    if feeding.failed is not None:
        raise feeding.failed
    _judge(where, 0 if killed else process.returncode, stderr)
    if cut is not None:
        raise cut
    return taken


@dataclass(frozen=True, slots=True)
class _Where:
    operator: OperatorPod
    pod: Pod

    def __str__(self) -> str:
        return f"pod {self.pod.name} in namespace {self.operator.wanted.namespace}"


@dataclass
class _Words:
    """What kubectl and the command say, read by a thread of its own; progress is told at once."""

    stream: IO[bytes]
    tell: Callable[[int, int], None] | None
    lines: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self.stream:
            progress = PROGRESS.fullmatch(line)
            if progress is None:
                self.lines.append(line)
            elif self.tell is not None:
                self.tell(int(progress[1]), int(progress[2]))

    def all(self) -> str:
        self._thread.join()
        self.stream.close()
        return b"".join(self.lines).decode("utf-8", "replace")


@dataclass
class _Feeding:
    """Writes a command's standard input, in a thread of its own."""

    stream: IO[bytes] | None
    feed: Iterable[bytes] | None
    failed: Exception | None = None

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def _write(self) -> None:
        if self.stream is None or self.feed is None:
            return
        try:
            for piece in self.feed:
                try:
                    self.stream.write(piece)
                except (OSError, ValueError):  # the command has ended: its end says why
                    return
        except Exception as error:  # of whoever makes the pieces: told by the caller's thread
            self.failed = error
        finally:
            with suppress(OSError, ValueError):
                self.stream.close()

    def join(self) -> None:
        self._thread.join()


def _started(command: list[str], feed: Iterable[bytes] | None) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(  # noqa: S603 - kubectl of the caller's PATH, no shell
            command,
            stdin=subprocess.DEVNULL if feed is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError:
        raise _no_kubectl() from None


def _pod_of(pod: OperatorPod, *, writing: bool) -> Pod:
    try:
        return pod.find(writing=writing)
    except Stalled as error:
        if error.reason is Reason.NOT_INSTALLED:
            raise _no_kubectl() from None
        raise


def _no_kubectl() -> Stalled:
    return Stalled(
        Reason.NOT_INSTALLED,
        "kubectl was not found. This command runs in the operator's pod: install kubectl "
        "and put it on the PATH, or run the command in the pod.",
    )


def _pods(kubectl: Kubectl, where: str) -> tuple[Pod, ...]:
    items = kubectl.get("pods", where, f"--selector={SELECTOR}").get("items") or []
    return read_pods(item for item in items if isinstance(item, dict))


def _without_pods(pod: OperatorPod, error: Stalled) -> Stalled:
    if error.reason is not Reason.FORBIDDEN_BY_CLUSTER:
        return error
    seen = error.message.split(". Ask for")[0]
    return Stalled(Reason.FORBIDDEN_BY_CLUSTER, f"{seen}. {_rights(pod)}")


def _rights(pod: OperatorPod) -> str:
    return (
        f"This command runs in the operator's pod. It needs the rights to get and list pods, and "
        f"to get and create pods/exec, in namespace {pod.wanted.namespace}."
    )


def _judge(where: _Where, code: int, stderr: str) -> None:
    """Pass on what was printed to it; raise what a failure of the command or of kubectl means."""
    ended = _REMOTE_END.search(stderr)
    if code and _NO_PROGRAM.search(stderr):
        raise _another_program(where, "it has no program `licenseusage`")
    if code and ended is None:
        raise _failure_of_kubectl(where, stderr)
    words = "\n".join(line for line in stderr.splitlines() if not _REMOTE_END.search(line))
    if words:
        typer.echo(words, err=True)
    if ended is None:
        return
    remote = int(ended[1])
    if remote in _NO_PROGRAM_CODES:
        raise _another_program(where, f"the command ended with {remote}")
    if remote == _USAGE_CODE:
        raise _another_program(where, "the command line was not understood there, see above")
    raise typer.Exit(remote)


def _another_program(where: _Where, seen: str) -> Stalled:
    return Stalled(
        Reason.OPERATOR_DIFFERS,
        f"{where}, container {where.pod.container}: {seen}. This is licenseusage {__version__}: "
        f"use the version of the operator (kubectl licenseusage version; kubectl get pod "
        f"-n {where.operator.wanted.namespace} {where.pod.name} -o yaml).",
    )


def _failure_of_kubectl(where: _Where, stderr: str) -> UsageError:
    lines = [line for line in stderr.splitlines() if line.strip()]
    last = lines[-1][:300] if lines else "no message"
    if "(NotFound)" in stderr:
        return Retryable(
            Reason.OPERATOR_NOT_RUNNING,
            f"{where} is gone: {last}. Was it replaced just now? Try again.",
        )
    if "(Forbidden)" in stderr or "is forbidden: User" in stderr:  # the latter: of an upgrade
        return Stalled(
            Reason.FORBIDDEN_BY_CLUSTER,
            f"kubectl may not exec into {where}: {last}. {_rights(where.operator)}",
        )
    return Retryable(
        Reason.API_UNAVAILABLE,
        f"kubectl could not exec into {where}, or lost it: {last}. See whether the pod runs: "
        f"kubectl get pods -n {where.operator.wanted.namespace}",
    )


def progress_lines(done: int, total: int) -> None:
    """Tell progress to whoever runs this command in a pod: a line of `PROGRESS`."""
    print(f"progress: {done} {total}", file=sys.stderr, flush=True)
