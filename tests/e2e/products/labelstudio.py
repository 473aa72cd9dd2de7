"""Label Studio from PyPI on SQLite, and what people do with it."""

import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.loopback import client, free_ports
from tests.e2e.products import packages
from tests.e2e.products.installing import Installation, run
from tests.e2e.products.processes import answers, place

VERSION = "1.23.2"
_NEW = "label_studio.sqlite3"
"""A database without people, in the installation: 500 migrations take longer than any test."""


def _install(folder: Path) -> None:
    packages.install(folder, "labelstudio")
    run(_manage(folder, "migrate", "--verbosity=0"), env=_environment(folder))


def _manage(folder: Path, *arguments: str) -> list[str]:
    program = packages.site_packages(folder) / "label_studio" / "manage.py"
    return [packages.python(folder), str(program), *arguments]


def _environment(data: Path) -> dict[str, str]:
    return {
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        "DJANGO_DB": "sqlite",
        "DEBUG": "false",
        "SECRET_KEY": secrets.token_hex(32),
        "COLLECT_ANALYTICS": "0",
        "LATEST_VERSION_CHECK": "0",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
    }


INSTALLATION = Installation("labelstudio", (packages.requirements("labelstudio"),), _install)


@dataclass(frozen=True, slots=True)
class LabelStudio:
    """A running server; accounts are ``NAME@example.org`` with the password ``NAME-secret``.

    Attributes:
        database: Its SQLite file.
        ids: Of the accounts, by name.
    """

    port: int
    database: Path
    ids: dict[str, int] = field(default_factory=dict)

    def sign_up(self, name: str) -> httpx.Client:
        """Make one's own account by the form; return the browser, which is signed in."""
        browser = self._post(client(self.port), "/user/signup/", name)
        self.ids[name] = self.get(browser, "/api/current-user/whoami")["id"]
        return browser

    def sign_in(self, name: str) -> httpx.Client:
        """Sign in by the form; return the browser."""
        return self._post(client(self.port), "/user/login/", name)

    def _post(self, browser: httpx.Client, path: str, name: str) -> httpx.Client:
        browser.get(path).raise_for_status()
        form = {"email": f"{name}@example.org", "password": f"{name}-secret"}
        form["csrfmiddlewaretoken"] = browser.cookies["csrftoken"]
        answer = browser.post(path, data=form)
        assert answer.status_code == 302, answer.text
        return browser

    def get(self, browser: httpx.Client, path: str) -> Any:
        """Read something."""
        return browser.get(path).raise_for_status().json()

    def change(self, browser: httpx.Client, method: str, path: str, **body: Any) -> Any:
        """Change something."""
        headers = {"X-CSRFToken": browser.cookies["csrftoken"]}
        answer = browser.request(method, path, json=body, headers=headers).raise_for_status()
        return answer.json() if answer.content else None

    def execute(self, statement: str, *values: object) -> None:
        """Change something in the database."""
        with closing(sqlite3.connect(self.database, timeout=30)) as database, database:
            database.execute(statement, values)


@contextmanager
def running(folder: Path) -> Iterator[LabelStudio]:
    """A new server without an account.

    Args:
        folder: Of its installation.
    """
    with place() as here:
        (port,) = free_ports(1)
        database = here.folder / _NEW
        shutil.copy(folder / _NEW, database)
        # What its own command `label-studio start` does in the end.
        command = _manage(folder, "runserver", "--noreload", f"127.0.0.1:{port}")
        here.start("labelstudio", command, _environment(here.folder))
        here.until("labelstudio", answers(port, "/health"))
        yield LabelStudio(port, database)
