"""Runs kubectl, helm and our command line against the one cluster that was chosen."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hack.controlplane.clients import client_environment
from hack.e2e.errors import Failed

Manifest = Mapping[str, Any]

BIN: Final = Path(sys.executable).parent
_SECONDS: Final = 300


class CommandFailed(Failed):
    """A program ended with another exit code than 0; the message has its words.

    Attributes:
        stderr: What it said.
    """

    def __init__(self, command: Sequence[str], code: int, stderr: str, stdout: str = "") -> None:
        """Name the command and repeat what it said."""
        words = "\n".join(text for text in (stderr.strip(), stdout.strip()[-3000:]) if text)
        super().__init__(f"{' '.join(command)}: exit code {code}\n{words}")
        self.stderr = stderr


@dataclass(frozen=True, slots=True)
class Commands:
    """The programs, and the kubeconfig that leads to the chosen cluster only.

    Attributes:
        kubectl: The program.
        helm: The program; None: the chart is not tried.
        kubeconfig: A file with one context.
        folder: For kubectl's cache; this run's own.
    """

    kubectl: Path
    helm: Path | None
    kubeconfig: Path
    folder: Path

    def environment(self) -> dict[str, str]:
        """Return this process's environment, changed so that no other cluster is reached."""
        env = client_environment(self.kubectl, self.kubeconfig, self.folder)
        for name in ("HELM_NAMESPACE", "HELM_KUBECONTEXT"):  # of the caller's other clusters
            env.pop(name, None)
        return env

    def run(
        self,
        *command: str,
        stdin: str = "",
        check: bool = True,
        seconds: float = _SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program and return what it printed.

        Raises:
            CommandFailed: Its exit code is not 0 (and ``check`` is set), or it took too long.
        """
        try:
            done = subprocess.run(
                command,
                input=stdin,
                env=self.environment(),
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CommandFailed(command, -1, f"no end after {seconds:g} s") from None
        if check and done.returncode != 0:
            raise CommandFailed(command, done.returncode, done.stderr, done.stdout)
        return done

    def kube(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        """Run kubectl; return its output."""
        return self.run(str(self.kubectl), *arguments, stdin=stdin, check=check).stdout

    def ours(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        """Run ``licenseusage …`` as on an administrator's machine; return its output."""
        return self.run(str(BIN / "licenseusage"), *arguments, stdin=stdin, check=check).stdout

    def charts(self, *arguments: str) -> str:
        """Run helm; return its output."""
        if self.helm is None:
            raise Failed("the chart needs helm, and there is none")
        return self.run(str(self.helm), *arguments).stdout

    def apply(self, *objects: Manifest) -> None:
        """Apply objects; Secrets go by standard input and so into no list of processes."""
        if objects:
            self.kube("apply", "--filename", "-", stdin=listed(objects))

    def get(self, *arguments: str) -> dict[str, Any] | None:
        """Return one object, or a List; None: there is none of that name, or no such kind."""
        command = (str(self.kubectl), "get", *arguments, "--output", "json")
        done = self.run(*command, check=False)
        if done.returncode != 0:
            if "NotFound" in done.stderr or "have a resource type" in done.stderr:
                return None
            raise CommandFailed(command, done.returncode, done.stderr)
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def items(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the objects of a List; none if there is no such kind."""
        document = self.get(*arguments)
        items: list[dict[str, Any]] = (document or {}).get("items", [])
        return items


def listed(objects: Sequence[Manifest]) -> str:
    """Return objects as one document for ``kubectl apply -f -``."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [*objects]})
