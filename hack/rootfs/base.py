"""A stand-in for the image that the Dockerfile begins FROM: this machine's own system and Python.

Nothing is copied: its programs are mounted, read-only, into a root that holds little else. So
neither this machine's accounts nor anybody's home are in it, only what a slim base image has, too.
"""

import sys
from pathlib import Path

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SETTINGS = (
    "/etc/alternatives", "/etc/hosts", "/etc/ld.so.cache", "/etc/nsswitch.conf",
    "/etc/resolv.conf", "/etc/ssl",
)  # fmt: skip
_ACCOUNTS = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "group": "root:x:0:\nnogroup:x:65534:\n",
}
_PYTHON = Path(sys.executable).resolve()  # not the venv's
_COMMANDS = "/opt/base/bin"

PATH = f"{_COMMANDS}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where a shell in it finds its commands, ``python`` first."""


def identity() -> str:
    """Tell one base from another: the Python, and how roots are made."""
    code = [(Path(__file__).parent / name).read_text() for name in ("base.py", "build.py")]
    return "\0".join([str(_PYTHON), sys.version, *code])


def mounts() -> list[Path]:
    """Return what is mounted into a root, each at its own path, read-only."""
    system = [path for path in map(Path, _SYSTEM) if not path.is_symlink()]
    home = Path(sys.base_prefix).resolve()
    if not home.is_relative_to("/usr"):
        system.append(home)
    return [path for path in (*system, *map(Path, _SETTINGS)) if path.exists()]


def lay(root: Path) -> None:
    """Make an empty root: folders, accounts, links, and the places of `mounts`."""
    for name in ("dev", "etc", "opt", "proc", "tmp", "var/lib", "var/run", "var/tmp"):
        (root / name).mkdir(parents=True)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)
    (root / "run").symlink_to("var/run")
    for name, text in _ACCOUNTS.items():
        (root / "etc" / name).write_text(text)
    for path in mounts():
        place = root / path.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            place.mkdir(exist_ok=True)
        else:
            place.touch()
    for name in _SYSTEM:
        if (path := Path(name)).is_symlink():
            (root / path.relative_to("/")).symlink_to(path.readlink())
    commands = root / _COMMANDS.lstrip("/")
    commands.mkdir(parents=True)
    for name in ("python", "python3", _PYTHON.name):
        (commands / name).symlink_to(_PYTHON)
