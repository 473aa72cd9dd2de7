"""What end-to-end tests share: the operator as a process, and a real JupyterHub."""

import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from hack.controlplane import ControlPlane
from hack.demo.children import Children
from hack.demo.stage import LICENSEUSAGE
from tests.e2e.jupyterhub.proxy import ProxyMissing, configurable_http_proxy

HERE = Path(__file__).parent


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    """Processes that end with the test; their logs are in ``tmp_path``."""
    with Children(tmp_path) as started:
        yield started


@pytest.fixture
def operator(
    crds: ControlPlane, namespace: str, children: Children, tmp_path: Path
) -> Callable[[], None]:
    """Starts the real operator for this test's namespace, with pods on loopback permitted."""

    def start() -> None:
        environment = crds.environment() | {
            "LICENSEUSAGE_DEV": "1",
            "LICENSEUSAGE_NAMESPACES": namespace,
            "LICENSEUSAGE_OPERATOR_NAMESPACE": namespace,
            "LICENSEUSAGE_DATABASE_URL": f"sqlite:///{tmp_path / 'ledger.sqlite'}",
            "LICENSEUSAGE_HTTP_ADDRESS": "127.0.0.1:0",
        }
        children.start("operator", [LICENSEUSAGE, "operator"], environment)

    return start


@dataclass(frozen=True, slots=True)
class JupyterHub:
    """A running JupyterHub and what the tests may do with it.

    Attributes:
        port: Of its proxy, the address that people use.
        meter_token: Of a service that may list users and their activity, no more.
        test_token: Of a service that may create and delete users.
    """

    port: int
    meter_token: str
    test_token: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def api(self, method: str, path: str, token: str = "", **json: object) -> httpx.Response:
        """Call the hub's own REST API, as the test's service or with a user's token."""
        headers = {"Authorization": f"token {token or self.test_token}"}
        answer = httpx.request(
            method,
            f"{self.url}/hub/api{path}",
            headers=headers,
            json=json or None,
            timeout=30,
            trust_env=False,
        )
        return answer.raise_for_status()

    def create_users(self, names: list[str]) -> None:
        """Create accounts; nobody has signed in yet."""
        self.api("POST", "/users", usernames=names)

    def sign_in(self, name: str) -> None:
        """Sign in through the login form, as a browser does, and look at the first page."""
        with httpx.Client(base_url=self.url, timeout=30, trust_env=False) as browser:
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


@pytest.fixture
def jupyterhub(children: Children, tmp_path: Path) -> JupyterHub:
    """A real hub behind its real proxy, on loopback.

    Skipped without Node.js or npm; in CI (``CI`` is set) that is a failure.
    """
    try:
        proxy = configurable_http_proxy()
    except ProxyMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    public, hub, proxy_api = free_ports(3)
    started = JupyterHub(public, secrets.token_hex(16), secrets.token_hex(16))
    environment = os.environ | {
        "HUB_PUBLIC_PORT": str(public),
        "HUB_PORT": str(hub),
        "HUB_PROXY_API_PORT": str(proxy_api),
        "HUB_PROXY": str(proxy),
        "HUB_METER_TOKEN": started.meter_token,
        "HUB_TEST_TOKEN": started.test_token,
        "HUB_FOLDER": str(tmp_path),
    }
    config = HERE / "jupyterhub" / "jupyterhub_config.py"
    command = [sys.executable, "-m", "jupyterhub", "--config", str(config)]
    children.start("jupyterhub", command, environment)
    deadline = time.monotonic() + 60
    while True:
        children.check()
        try:
            if started.api("GET", "/").status_code == 200:
                return started
        except httpx.HTTPError as error:
            if time.monotonic() > deadline:
                raise AssertionError(children.tail("jupyterhub")) from error
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that are free now, all different."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]
