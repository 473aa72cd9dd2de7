"""JupyterHub behind its own proxy from npm, and what people do with it."""

import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.e2e.loopback import client, free_ports
from tests.e2e.products.installing import Installation, NotInstalled, run
from tests.e2e.products.processes import place

_FILES = Path(__file__).parent / "jupyterhub_files"
_LOCKED = (_FILES / "package.json", _FILES / "package-lock.json")


def _install(folder: Path) -> None:
    """Install the proxy; the hub is in the project's environment."""
    if shutil.which("node") is None:
        raise NotInstalled("JupyterHub's proxy needs Node.js 20 or later (https://nodejs.org)")
    for file in _LOCKED:
        shutil.copy(file, folder)
    run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder)


INSTALLATION = Installation("jupyterhub", _LOCKED, _install)


@dataclass(frozen=True, slots=True)
class JupyterHub:
    """A running JupyterHub and what the tests may do with it.

    Attributes:
        port: Of its proxy, the address that people use.
        meter_token: Of a service that may list users and their activity, no more.
        gauge_token: Of a service that may read the metrics, no more.
        test_token: Of a service that may create and delete users.
    """

    port: int
    meter_token: str
    gauge_token: str
    test_token: str

    def api(self, method: str, path: str, token: str = "", **json: object) -> httpx.Response:
        """Call the hub's own REST API, as the test's service or with a user's token."""
        headers = {"Authorization": f"token {token or self.test_token}"}
        with client(self.port) as program:
            answer = program.request(method, f"/hub/api{path}", headers=headers, json=json or None)
        return answer.raise_for_status()

    def create_users(self, names: list[str]) -> None:
        """Create accounts; nobody has signed in yet."""
        self.api("POST", "/users", usernames=names)

    def sign_in(self, name: str) -> None:
        """Sign in through the login form, as a browser does, and look at the first page."""
        with client(self.port) as browser:
            browser.get("/hub/login").raise_for_status()
            xsrf = browser.cookies["_xsrf"]
            form = {"username": name, "password": "any", "_xsrf": xsrf}
            answer = browser.post("/hub/login", params={"_xsrf": xsrf}, data=form)
            assert answer.status_code == 302, answer.text
            browser.get("/hub/home").raise_for_status()

    def call_api_as(self, name: str) -> None:
        """Be active by a request to the API with a token of one's own."""
        token = self.api("POST", f"/users/{name}/tokens").json()["token"]
        assert self.api("GET", "/user", token=token).json()["name"] == name

    def is_ready(self) -> bool:
        """Tell whether the hub answers through its proxy."""
        try:
            return self.api("GET", "/").status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def running(folder: Path) -> Iterator[JupyterHub]:
    """A new hub without users.

    Args:
        folder: Of its installation.
    """
    with place() as here:
        public, hub, proxy_api = free_ports(3)
        started = JupyterHub(public, *(secrets.token_hex(16) for _ in range(3)))
        settings = {
            "HUB_PUBLIC_PORT": str(public),
            "HUB_PORT": str(hub),
            "HUB_PROXY_API_PORT": str(proxy_api),
            "HUB_PROXY": str(folder / "node_modules" / ".bin" / "configurable-http-proxy"),
            "HUB_METER_TOKEN": started.meter_token,
            "HUB_GAUGE_TOKEN": started.gauge_token,
            "HUB_TEST_TOKEN": started.test_token,
            "HUB_FOLDER": str(here.folder),
        }
        config = _FILES / "jupyterhub_config.py"
        command = [sys.executable, "-m", "jupyterhub", "--config", str(config)]
        here.start("jupyterhub", command, settings)
        here.until("jupyterhub", started.is_ready)
        yield started
