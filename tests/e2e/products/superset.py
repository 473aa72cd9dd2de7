"""Superset from PyPI on SQLite, and what people do with it."""

import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.loopback import client, free_ports
from tests.e2e.products import packages
from tests.e2e.products.installing import Installation, run
from tests.e2e.products.processes import answers, place

VERSION = "6.1.0"
ADMIN = "admin"
_FILES = Path(__file__).parent / "superset_files"
_CONFIG, _DATABASE = _FILES / "config.py", _FILES / "database.py"
_NEW = "superset.db"
"""A database without people, in the installation: 300 migrations take longer than any test."""


def _install(folder: Path) -> None:
    packages.install(folder, "superset")
    env = _environment(folder, secrets.token_hex(32))
    run([packages.python(folder), str(_DATABASE), ADMIN], env=env)


def _environment(home: Path, key: str) -> dict[str, str]:
    return {
        "SUPERSET_CONFIG_PATH": str(_CONFIG),
        "SUPERSET_HOME": str(home),
        "SUPERSET_KEY": key,
        "FLASK_APP": "superset.app:create_app",
    }


INSTALLATION = Installation(
    "superset", (packages.requirements("superset"), _CONFIG, _DATABASE), _install
)


@dataclass(frozen=True, slots=True)
class Superset:
    """A running server; accounts have the password ``NAME-secret``.

    Attributes:
        database: Its SQLite file.
        ids: Of the accounts that were created, by name.
    """

    port: int
    database: Path
    ids: dict[str, int]

    def log_in(self, name: str) -> str:
        """Log in at the API; return the access token."""
        body = {"username": name, "password": f"{name}-secret", "provider": "db"}
        with client(self.port) as program:
            answer = program.post("/api/v1/security/login", json=body)
        return str(answer.raise_for_status().json()["access_token"])

    def sign_in(self, name: str) -> httpx.Client:
        """Sign in by the form, as a browser does; return the browser."""
        browser = client(self.port)
        browser.get("/login/").raise_for_status()
        form = {"username": name, "password": f"{name}-secret"}
        answer = browser.post("/login/", data=form)
        assert (answer.status_code, answer.headers["location"]) == (302, "/"), answer.text
        return browser

    def call(self, method: str, path: str, token: str, **body: Any) -> Any:
        """Call the API with a token."""
        headers = {"Authorization": f"Bearer {token}"}
        with client(self.port) as program:
            answer = program.request(method, f"/api/v1{path}", headers=headers, json=body or None)
        return answer.raise_for_status().json()

    def create_role(self, token: str, name: str, permissions: list[str]) -> None:
        """Create a role with these permissions, each ``can_… on …``."""
        with closing(sqlite3.connect(self.database)) as database:
            known = dict(
                database.execute(
                    "SELECT p.name || ' on ' || v.name, b.id FROM ab_permission_view b "
                    "JOIN ab_permission p ON p.id = b.permission_id "
                    "JOIN ab_view_menu v ON v.id = b.view_menu_id"
                )
            )
        role = self.call("POST", "/security/roles/", token, name=name)["id"]
        numbers = [known[permission] for permission in permissions]
        path = f"/security/roles/{role}/permissions"
        self.call("POST", path, token, permission_view_menu_ids=numbers)

    def create(self, token: str, name: str, role: str) -> None:
        """Create an account, as an administrator does; nobody has signed in."""
        roles = self.call("GET", "/security/roles/", token)["result"]
        number = next(row["id"] for row in roles if row["name"] == role)
        made = self.call("POST", "/security/users/", token, roles=[number], **_account(name))
        self.ids[name] = made["id"]

    def deactivate(self, token: str, name: str) -> None:
        """Deactivate an account, as an administrator does."""
        self.call("PUT", f"/security/users/{self.ids[name]}", token, active=False)

    def signed_in(self, name: str, at: str) -> None:
        """Make somebody's last sign-in older, in the database."""
        with closing(sqlite3.connect(self.database, timeout=30)) as database, database:
            database.execute("UPDATE ab_user SET last_login = ? WHERE id = ?", (at, self.ids[name]))


def _account(name: str) -> dict[str, Any]:
    return {
        "username": name,
        "first_name": name,
        "last_name": "Example",
        "email": f"{name}@example.org",
        "password": f"{name}-secret",
        "active": True,
    }


@contextmanager
def running(folder: Path) -> Iterator[Superset]:
    """A new server whose only account is `ADMIN`, who has never signed in.

    Args:
        folder: Of its installation.
    """
    with place() as here:
        (port,) = free_ports(1)
        database = here.folder / _NEW
        shutil.copy(folder / _NEW, database)
        env = _environment(here.folder, secrets.token_hex(32))
        python = packages.python(folder)
        here.start("superset", [python, "-m", "flask", "run", "--port", str(port)], env)
        here.until("superset", answers(port, "/health"))
        yield Superset(port, database, {ADMIN: 1})
