"""One program in a root file system, as a container runtime would start it; nothing is installed.

Namespaces of its own for mounts, processes, host name and IPC; the network is this machine's. The
program is process 1 there, has no capability and cannot get one, and an environment of exactly
what is given. Root is needed, or user namespaces that everybody may make (then files have one
owner only).
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hack.rootfs.base import HOST, Base

_DEVICES = ("null", "zero", "full", "random", "urandom")
_ROOT_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class NoContainers(Exception):
    """This machine lets nobody make the namespaces that are needed; the message says why."""


@dataclass(frozen=True, slots=True)
class Container:
    """What a container has.

    Attributes:
        root: Its root file system, laid by its base.
        environment: All of its environment.
        uid: User id; need not be in its ``/etc/passwd``.
        gid: Group id.
        groups: Supplementary groups.
        folder: Working directory.
        read_only: Whether the root is; the mounts below are not concerned.
        hostname: Its host name.
        tmp_mebibytes: Size of a ``/tmp`` in memory; 0: ``/tmp`` is the root's.
        volumes: Folders of this machine by the place where they are seen, writable.
        files: Folders of this machine by the place where they are seen, read-only.
        base: What the root was made of.
    """

    root: Path
    environment: Mapping[str, str]
    uid: int
    gid: int
    groups: Sequence[int] = ()
    folder: str = "/"
    read_only: bool = True
    hostname: str = "container"
    tmp_mebibytes: int = 0
    volumes: Mapping[str, Path] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    base: Base = HOST

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs ``argv`` in it; both end together.

        ``argv[0]`` is looked up in the environment's ``PATH``.
        """
        script = "\n".join([*self._mounted(), self._entered(argv)])
        return [*_unshare(), "sh", "-ec", script]

    def _mounted(self) -> list[str]:
        quoted = shlex.quote
        root = quoted(str(self.root))
        lines = [
            f"export PATH={_ROOT_PATH}",
            f"hostname {quoted(self.hostname)}",
            f"mount --bind {root} {root}",
            f"cd {root}",
        ]
        for path in self.base.mounts():
            lines += _bind(path, str(path), read_only=True)
        lines += [
            "mount -t proc -o nosuid,nodev,noexec proc ./proc",
            "mount -t tmpfs -o nosuid,mode=755 tmpfs ./dev",
            "mkdir ./dev/shm && mount -t tmpfs -o nosuid,nodev tmpfs ./dev/shm",
            "ln -s /proc/self/fd ./dev/fd",
        ]
        for name in _DEVICES:
            lines.append(f"touch ./dev/{name} && mount --bind /dev/{name} ./dev/{name}")
        for at, path in self.volumes.items():
            lines += _bind(path, at)
        for at, path in self.files.items():
            lines += _bind(path, at, read_only=True)
        if self.tmp_mebibytes:
            size = f"size={self.tmp_mebibytes}m,mode=777"
            lines.append(f"mount -t tmpfs -o nosuid,nodev,{size} tmpfs ./tmp")
        if self.read_only:
            lines.append("mount -o remount,bind,ro .")
        return [*lines, "pivot_root . .", "umount -l .", "cd /"]

    def _entered(self, argv: Sequence[str]) -> str:
        """Give everything up that a container does not have, and become ``argv``."""
        clean = ["env", "-i", f"--chdir={self.folder}"]
        clean += [f"{name}={value}" for name, value in self.environment.items()]
        ids = (f"--reuid={self.uid}", f"--regid={self.gid}")
        groups = f"--groups={','.join(map(str, self.groups))}" if self.groups else "--clear-groups"
        if os.geteuid() == 0:
            rights = ["--inh-caps=-all", "--bounding-set=-all"] if self.uid else []
            become = ["setpriv", *ids, groups, "--no-new-privs", *rights]
        elif self.uid:
            become = ["unshare", "--user", f"--map-user={self.uid}", f"--map-group={self.gid}"]
            become += ["setpriv", "--no-new-privs", "--bounding-set=-all"]
        else:
            become = []
        return "exec " + shlex.join([*become, *clean, *argv])


def refused() -> str | None:
    """Return why no container can be started here, or None if one can."""
    try:
        command = [*_unshare(), "sh", "-ec", "mount -t tmpfs tmpfs /mnt && mount -t proc proc /mnt"]
    except NoContainers as missing:
        return str(missing)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    messages = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return f"no namespaces here ({messages[-1]}): run as root, or permit user namespaces"


def _unshare() -> list[str]:
    if missing := [name for name in ("unshare", "setpriv") if shutil.which(name) is None]:
        raise NoContainers(f"no {missing[0]} in PATH (util-linux, Linux only)")
    flags = ["--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
    return ["unshare", *flags, *(() if os.geteuid() == 0 else ("--map-root-user",))]


def _bind(source: Path, at: str, *, read_only: bool = False) -> list[str]:
    """Lines that make ``source`` seen at the place ``at`` below the working directory."""
    target = shlex.quote(f".{at}")
    lines = [f"mkdir -p {target}"] if source.is_dir() else []
    lines.append(f"mount --rbind {shlex.quote(str(source))} {target}")
    return [*lines, f"mount -o remount,bind,ro {target}"] if read_only else lines
