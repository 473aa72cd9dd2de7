"""Gitea from its Go module on SQLite, and what people do with it."""

import json
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.loopback import client, free_ports
from tests.e2e.products.installing import Installation, NotInstalled, run
from tests.e2e.products.processes import Place, answers, place

VERSION = "1.27.3"
_MODULE = Path(__file__).parent / "gitea_module"
_GO = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local"}
_STATIC = ("options", "public", "templates")
_REMEMBERED = "gitea_incredible"
ADMIN = "license-meter"


def _install(folder: Path) -> None:
    """Build the server, and keep its templates; a browser's scripts are not needed to sign in."""
    told = run(
        ["go", "mod", "download", "-json", f"code.gitea.io/gitea@v{VERSION}"], cwd=_MODULE, env=_GO
    )
    with tempfile.TemporaryDirectory(dir=folder) as work:
        source = Path(work) / "source"
        # In the module's own folder its go.mod holds (replacements, too), but that is read-only.
        shutil.copytree(json.loads(told)["Dir"], source, copy_function=shutil.copyfile)
        for path in (source, *source.rglob("*/")):
            path.chmod(0o755)
        build = ["go", "build", "-trimpath", "-mod=readonly", "-ldflags", "-s -w"]
        run([*build, "-o", str(folder / "gitea"), "."], cwd=source, env=_GO)
        for name in _STATIC:
            (source / name).rename(folder / name)
    if shutil.which("git") is None:
        raise NotInstalled("Gitea needs git in PATH")


INSTALLATION = Installation("gitea", (_MODULE / "go.mod", _MODULE / "go.sum"), _install)


@dataclass(frozen=True, slots=True)
class Gitea:
    """A running server; accounts have the password ``NAME-secret``.

    Attributes:
        database: Its SQLite file.
        token: Of the administrator `ADMIN`, may list accounts and no more.
        ids: Of the accounts, by name.
    """

    port: int
    database: Path
    token: str
    ids: dict[str, int]

    def browser(self) -> httpx.Client:
        """Somebody who has not signed in."""
        return client(self.port)

    def sign_in(self, name: str) -> httpx.Client:
        """Sign in by the form, to be remembered; return the browser."""
        browser = self.browser()
        browser.get("/user/login").raise_for_status()
        form = {"user_name": name, "password": f"{name}-secret", "remember": "on"}
        answer = browser.post("/user/login", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/"), answer.text
        return browser

    def come_back(self, browser: httpx.Client) -> httpx.Client:
        """Come back when the session has ended, remembered by the cookie of the sign-in."""
        later = self.browser()
        later.cookies.set(_REMEMBERED, browser.cookies[_REMEMBERED], domain="127.0.0.1")
        answer = later.get("/user/login")
        assert (answer.status_code, answer.headers["location"]) == (303, "/"), answer.text
        return later

    def create_repository(self, browser: httpx.Client, owner: str, name: str) -> None:
        """Create a repository by the form: the key action."""
        form = {"uid": str(self.ids[owner]), "repo_name": name}
        answer = browser.post("/repo/create", data=form)
        assert answer.headers.get("location") == f"/{owner}/{name}", answer.text

    def call(self, method: str, path: str, who: str, **body: Any) -> Any:
        """Call the API with the password of an account."""
        with self.browser() as program:
            auth = (who, f"{who}-secret")
            answer = program.request(method, f"/api/v1{path}", auth=auth, json=body or None)
        return answer.raise_for_status().json() if answer.content else None

    def create(self, name: str) -> None:
        """Create an account, as an administrator does; nobody has signed in."""
        account = {"username": name, "email": f"{name}@example.org", "password": f"{name}-secret"}
        made = self.call("POST", "/admin/users", ADMIN, must_change_password=False, **account)
        self.ids[name] = made["id"]

    def prohibit(self, name: str) -> None:
        """Prohibit somebody's login, as an administrator does."""
        names = {"login_name": name, "source_id": 0}
        self.call("PATCH", f"/admin/users/{name}", ADMIN, prohibit_login=True, **names)

    def signed_in(self, name: str, at_s: int) -> None:
        """Make somebody's last sign-in older, in the database."""
        with closing(sqlite3.connect(self.database, timeout=30)) as database, database:
            database.execute(
                "UPDATE user SET last_login_unix = ? WHERE id = ?", (at_s, self.ids[name])
            )


@contextmanager
def running(folder: Path) -> Iterator[Gitea]:
    """A new server with its administrator, who has never signed in, and a bot, ``robot``.

    Args:
        folder: Of its installation.
    """
    with place() as here:
        (port,) = free_ports(1)
        database = here.folder / "gitea.db"
        config = here.folder / "app.ini"
        config.write_text(_config(here, folder, database, port))
        program = [str(folder / "gitea"), "--config", str(config)]
        here.run([*program, "migrate"])
        create = [*program, "admin", "user", "create"]
        who = ["--username", ADMIN, "--email", f"{ADMIN}@example.org"]
        password = ["--password", f"{ADMIN}-secret", "--must-change-password=false"]
        token = ["--access-token", "--access-token-scopes", "read:admin"]
        told = here.run([*create, "--admin", *who, *password, *token])
        who = ["--username", "robot", "--email", "robot@example.org"]
        here.run([*create, "--user-type", "bot", *who])
        here.start("gitea", [*program, "web"])
        here.until("gitea", answers(port, "/api/healthz"))
        yield Gitea(port, database, told.split()[-1], {ADMIN: 1})


def _config(here: Place, folder: Path, database: Path, port: int) -> str:
    return f"""\
RUN_MODE = prod
WORK_PATH = {here.folder / "work"}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
STATIC_ROOT_PATH = {folder}
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = {database}
[security]
INSTALL_LOCK = true
SECRET_KEY = {secrets.token_hex(32)}
PASSWORD_HASH_ALGO = pbkdf2$1000$8
[oauth2]
ENABLED = false
[service]
DISABLE_REGISTRATION = true
[cron]
ENABLED = false
[actions]
ENABLED = false
[log]
LEVEL = warn
"""
