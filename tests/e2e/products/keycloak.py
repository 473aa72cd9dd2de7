"""Keycloak from Maven's central repository on its own H2 database, and what people do with it."""

import hashlib
import html
import re
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.loopback import client, free_ports
from tests.e2e.products.installing import Installation, NotInstalled, run
from tests.e2e.products.processes import Place, answers, place

_FILES = Path(__file__).parent / "keycloak_files"
_CHECKSUM, _REALM = _FILES / "distribution.sha256", _FILES / "realm.json"
_DIGEST, _ARCHIVE = _CHECKSUM.read_text().split()
VERSION = _ARCHIVE.removeprefix("keycloak-quarkus-dist-").removesuffix(".tar.gz")
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy"
_NEW = "keycloak.mv.db"
"""A database with the realm, in the installation: to make its tables takes longer than a start."""
_LOGIN = ("sa", "sa")
_JAVA = {
    # For a start that is soon over: classes are compiled once, and not verified; that is a third of
    # its seconds. The database listens on loopback only. The administrators' API understands days
    # of the server's zone, so that it is not UTC here.
    "JAVA_OPTS": "-Xms256m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "
    "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote "
    "-Dh2.bindAddress=127.0.0.1 -Duser.timezone=America/Los_Angeles",
}
REALM = "app"
ADMIN = "tests"
"""A client whose service account may do everything in the realm."""
_FORM = re.compile(r'<form id="kc-form-login"[^>]* action="([^"]+)"')
_BACK = "http://127.0.0.1/"


def _install(folder: Path) -> None:
    """Take the published distribution, build the server's configuration, and make a database."""
    if shutil.which("java") is None:
        raise NotInstalled("Keycloak needs Java >= 17 and Maven")
    with tempfile.TemporaryDirectory(dir=folder) as work:
        archive = Path(work) / _ARCHIVE
        artifact = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:tar.gz"
        where = [f"-DoutputDirectory={work}", f"-Dmaven.repo.local={work}/repository"]
        run(["mvn", "--quiet", "--batch-mode", _COPY, f"-Dartifact={artifact}", *where])
        with archive.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != _DIGEST:
                raise NotInstalled(f"{_ARCHIVE} is another file than {_CHECKSUM.name} names")
        with tarfile.open(archive) as content:
            content.extractall(work, filter="data")
        (Path(work) / f"keycloak-{VERSION}").rename(folder / "server")
    server = str(folder / "server" / "bin" / "kc.sh")
    run([server, "build", "--db=dev-file"], env=_JAVA)
    database = _database(folder / _NEW)
    run([server, "import", "--optimized", f"--file={_REALM}", *database], env=_JAVA)


INSTALLATION = Installation("keycloak", (_CHECKSUM, _REALM), _install)


def _url(database: Path) -> str:
    name = str(database).removesuffix(".mv.db")
    # A second process may use it, too: see Keycloak.happened.
    return f"jdbc:h2:file:{name};NON_KEYWORDS=VALUE;AUTO_SERVER=TRUE"


def _database(database: Path) -> list[str]:
    name, password = _LOGIN
    return [f"--db-url={_url(database)}", f"--db-username={name}", f"--db-password={password}"]


@dataclass(frozen=True, slots=True)
class Keycloak:
    """A running server with the realm `REALM`; people have the password ``NAME-secret``.

    The product is its client ``app``. Another product is ``wiki``, and ``robot`` and ``meter`` are
    programs with the secrets ``robot-secret`` and ``meter-secret``.

    Attributes:
        here: Where it runs.
        folder: Of its installation.
        ids: Of the people, by name.
    """

    port: int
    here: Place
    folder: Path
    ids: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, json: Any = None) -> Any:
        """Call the administrators' API for the realm."""
        with client(self.port) as program:
            headers = {"Authorization": f"Bearer {self.token(ADMIN)}"}
            url = f"/admin/realms/{REALM}{path}"
            answer = program.request(method, url, headers=headers, json=json)
        return answer.raise_for_status().json() if answer.content else None

    def change(self, path: str, **members: Any) -> None:
        """Change members of what the administrators' API shows at a path."""
        self.call("PUT", path, self.call("GET", path) | members)

    def client_path(self, name: str) -> str:
        """Where the administrators' API shows a client."""
        (shown,) = self.call("GET", f"/clients?clientId={name}")
        return f"/clients/{shown['id']}"

    def create(self, *names: str) -> None:
        """Create people, as an administrator does; nobody has signed in."""
        made = self.call("POST", "/partialImport", {"users": [_person(name) for name in names]})
        self.ids.update({row["resourceName"]: row["id"] for row in made["results"]})

    def token(self, name: str) -> str:
        """Have a program sign in with the credentials of its client; return its token."""
        return str(self._grant(client_credentials=name)["access_token"])

    def tokens_of(self, name: str) -> int:
        """How many tokens a program has asked for."""
        return len(self.call("GET", f"/events?type=CLIENT_LOGIN&client={name}&max=1000"))

    def outlive(self, seconds: int) -> None:
        """Wait until every token has ended that lives so long, counted in whole seconds."""
        end_s = time.time() + seconds
        while time.time() < end_s:
            time.sleep(0.02)

    def revoke_tokens(self) -> None:
        """Revoke every token that was issued until now, as an administrator does."""
        self.outlive(1)  # what is issued in this second is revoked, too
        self.call("PUT", "", {"notBefore": int(time.time())})

    def browser(self) -> httpx.Client:
        """Somebody who has not signed in."""
        browser = client(self.port)

        def on_loopback(_: httpx.Response) -> None:
            for cookie in browser.cookies.jar:
                cookie.secure = False  # a browser sends such cookies to loopback without TLS, too

        browser.event_hooks = {"response": [on_loopback]}
        return browser

    def open(self, browser: httpx.Client, product: str = "app") -> httpx.Response:
        """Open a product that lets Keycloak sign in; the answer is a form, or leads back to it."""
        asked = {"client_id": product, "redirect_uri": _BACK, "response_type": "code"}
        path = f"/realms/{REALM}/protocol/openid-connect/auth"
        answer = browser.get(path, params={"scope": "openid", **asked})
        assert answer.status_code in (200, 302), answer.text
        return answer

    def sign_in(self, name: str, product: str = "app") -> httpx.Client:
        """Sign in to a product by the form; return the browser."""
        browser = self.browser()
        answer = self.submit(browser, name, f"{name}-secret", product)
        assert answer.headers.get("location", "").startswith(_BACK), answer.text
        return browser

    def submit(
        self, browser: httpx.Client, name: str, password: str, product: str = "app"
    ) -> httpx.Response:
        """Open a product and submit the form."""
        found = _FORM.search(self.open(browser, product).text)
        assert found is not None
        return browser.post(html.unescape(found[1]), data={"username": name, "password": password})

    def sign_in_by_password(self, name: str) -> str:
        """Have the product's own program sign somebody in; return the refresh token."""
        return str(self._grant(password=name)["refresh_token"])

    def refresh(self, token: str) -> str:
        """Renew somebody's tokens; return the new refresh token."""
        return str(self._grant(refresh_token=token)["refresh_token"])

    def impersonate(self, name: str) -> httpx.Client:
        """Become somebody, as an administrator does; return the browser."""
        browser = self.browser()
        headers = {"Authorization": f"Bearer {self.token(ADMIN)}"}
        path = f"/admin/realms/{REALM}/users/{self.ids[name]}/impersonation"
        browser.post(path, headers=headers, json={}).raise_for_status()
        return browser

    def happened(self, at_ms: Mapping[str, int], *, others_ago_ms: int) -> None:
        """Make the events of the last minutes older, in the database.

        Args:
            at_ms: When those of these people happened, ms since 1970.
            others_ago_ms: By how much all others become older.
        """
        recent = f"EVENT_TIME > {time.time_ns() // 1_000_000 - 300_000}"
        theirs = [
            f"UPDATE EVENT_ENTITY SET EVENT_TIME = {at} "
            f"WHERE {recent} AND USER_ID = '{self.ids[name]}'"
            for name, at in at_ms.items()
        ]
        rest = f"UPDATE EVENT_ENTITY SET EVENT_TIME = EVENT_TIME - {others_ago_ms} WHERE {recent}"
        self.execute("; ".join((*theirs, rest)))

    def execute(self, statement: str) -> str:
        """Execute SQL in the database, beside the server."""
        (driver,) = (self.folder / "server" / "lib" / "lib" / "main").glob("com.h2database.h2-*")
        java = ["java", "-XX:TieredStopAtLevel=1", "-cp", str(driver), "org.h2.tools.Shell"]
        name, password = _LOGIN
        login = ["-url", _url(self.here.folder / _NEW), "-user", name, "-password", password]
        return self.here.run([*java, *login, "-sql", statement])

    def _grant(self, **grant: str) -> Any:
        (kind, value) = next(iter(grant.items()))
        form = {"grant_type": kind, "client_id": "app"}
        match kind:
            case "client_credentials":
                form |= {"client_id": value, "client_secret": f"{value}-secret"}
            case "password":
                form |= {"username": value, "password": f"{value}-secret"}
            case _:
                form |= {kind: value}
        with client(self.port) as program:
            answer = program.post(f"/realms/{REALM}/protocol/openid-connect/token", data=form)
        return answer.raise_for_status().json()


def _person(name: str) -> dict[str, Any]:
    return {
        "username": name,
        "enabled": True,
        "email": f"{name}@example.org",
        "firstName": name,
        "lastName": "Example",
        "credentials": [{"type": "password", "value": f"{name}-secret"}],
    }


@contextmanager
def running(folder: Path) -> Iterator[Keycloak]:
    """A new server whose realm has clients, and no people.

    Args:
        folder: Of its installation.
    """
    with place() as here:
        (port,) = free_ports(1)
        shutil.copy(folder / _NEW, here.folder)
        server = _home(here, folder / "server")
        at = ["--http-enabled=true", "--http-host=127.0.0.1", f"--http-port={port}"]
        options = ["--hostname-strict=false", "--cache=local", *_database(here.folder / _NEW)]
        here.start("keycloak", [server, "start", "--optimized", *at, *options], _JAVA)
        here.until("keycloak", answers(port, f"/realms/{REALM}"))
        yield Keycloak(port, here, folder)


def _home(here: Place, server: Path) -> str:
    """Make a home of its own, as it writes beside its programs; return the program."""
    home = here.folder / "home"
    (home / "bin").mkdir(parents=True)
    for name in ("conf", "lib", "providers", "themes"):
        (home / name).symlink_to(server / name)
    # It looks for the rest beside its own file, not beside a link to it.
    return str(shutil.copy(server / "bin" / "kc.sh", home / "bin"))
