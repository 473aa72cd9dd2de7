"""What was there when a step failed, written into a folder: objects, events, logs; no Secret."""

import subprocess
from pathlib import Path
from typing import Final

from hack.e2e.claim import NAMESPACES
from hack.e2e.commands import CommandFailed, Commands

_KINDS: Final = (
    "licenseusages,usagereports,usagereceipts",
    "deployments,replicasets,pods,persistentvolumeclaims,services,networkpolicies,rolebindings",
    "configmaps",
)
_CLUSTER: Final = (
    ("nodes.txt", ("describe", "nodes")),
    ("volumes.txt", ("get", "persistentvolumes,storageclasses", "-o", "wide")),
    ("definitions.txt", ("get", "customresourcedefinitions,clusterroles,clusterrolebindings")),
    ("version.txt", ("version",)),
)


def collected(commands: Commands, folder: Path) -> Path:
    """Write what can be seen into a folder; what cannot be read says so in its file.

    Names of Secrets are listed and their contents never read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file, arguments in _CLUSTER:
        (folder / file).write_text(_read(commands, *arguments))
    for namespace in NAMESPACES:
        here = folder / namespace
        here.mkdir(exist_ok=True)
        space = ("-n", namespace)
        for number, kinds in enumerate(_KINDS):
            (here / f"objects-{number}.yaml").write_text(
                _read(commands, "get", kinds, *space, "-o", "yaml")
            )
        (here / "secrets.txt").write_text(_read(commands, "get", "secrets", *space))
        (here / "events.txt").write_text(
            _read(commands, "get", "events", *space, "--sort-by=.lastTimestamp")
        )
        (here / "pods.txt").write_text(_read(commands, "describe", "pods", *space))
        _logs(commands, namespace, here)
    return folder


def _logs(commands: Commands, namespace: str, folder: Path) -> None:
    for name in _read(commands, "get", "pods", "-n", namespace, "-o", "name").split():
        if not name.startswith("pod/"):  # it is a word of an error then
            continue
        every = ("logs", name, "-n", namespace, "--all-containers", "--prefix", "--timestamps")
        file = name.removeprefix("pod/")
        (folder / f"{file}.log").write_text(_read(commands, *every))
        (folder / f"{file}.previous.log").write_text(_read(commands, *every, "--previous"))


def _read(commands: Commands, *arguments: str) -> str:
    """Return what kubectl says, also if it says that it cannot."""
    try:
        done = commands.run(str(commands.kubectl), *arguments, check=False, seconds=60)
    except (CommandFailed, OSError, subprocess.SubprocessError) as error:
        return f"(cannot be read: {error})\n"
    return done.stdout or done.stderr
