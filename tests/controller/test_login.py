"""Where the API server is, who the operator is for it, and what may change of both as it runs."""

import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import kopf
import pytest
from aiohttp import web

from hack.controlplane import pki
from licenseusage.controller.effects import kube as client
from licenseusage.controller.effects.kube import ForbiddenError, KubeError, UnavailableError
from licenseusage.controller.process import login
from licenseusage.controller.rules.resources import CONFIGMAPS


class Server:
    """Speaks TLS as an API server does, and knows one token at a time; a connection a request."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.token, self.port = folder, "first", 0
        self.queries: list[dict[str, str]] = []
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca = self.renew_certificates()

    def renew_certificates(self) -> str:
        files = pki.create(self.folder)
        self.tls.load_cert_chain(files.server_certificate, files.server_key)
        self.ca = files.ca.read_text()
        return self.ca

    async def answer(self, request: web.Request) -> web.Response:
        self.queries.append(dict(request.query))
        if request.headers.get("Authorization") == f"Bearer {self.token}":
            answer = web.json_response({"metadata": {"name": "seen"}, "items": []})
        else:
            answer = web.json_response({"kind": "Status", "message": "Unauthorized"}, status=401)
        answer.force_close()
        return answer


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    (tmp_path / "server").mkdir()
    made = Server(tmp_path / "server")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=made.tls).start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "kubeconfig"
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


def written(kubeconfig: Path, server: str, *, cluster: dict | None = None, **user: object) -> None:
    of = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server, **(cluster or {})}}],
        "users": [{"name": "u", "user": user}],
    }
    kubeconfig.write_text(json.dumps(of))


def for_server(kubeconfig: Path, server: Server, token: str) -> None:
    ca = kubeconfig.with_name("ca.crt")
    if not ca.exists() or ca.read_text() != server.ca:
        ca.write_text(server.ca)
    at = f"https://127.0.0.1:{server.port}/"
    written(kubeconfig, at, cluster={"certificate-authority": str(ca)}, token=token)


@pytest.fixture
async def kube(server: Server, kubeconfig: Path) -> AsyncIterator[client.Kube]:
    for_server(kubeconfig, server, "first")
    made = await login.connect()
    yield made
    await made.close()


async def seen(kube: client.Kube) -> bool:
    return (await kube.get(CONFIGMAPS, "n", "x"))["metadata"]["name"] == "seen"


async def test_a_renewed_token_is_used_within_a_minute(
    kube, server, kubeconfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await seen(kube)
    for_server(kubeconfig, server, "second")
    assert await seen(kube), "the old token is good for some minutes more"
    server.token = "second"
    monkeypatch.setattr(client, "_ACCESS_SECONDS", 0.0)
    assert await seen(kube)


async def test_after_a_refusal_the_token_is_read_again_at_once(kube, server, kubeconfig) -> None:
    assert await seen(kube)
    server.token = "second"
    for_server(kubeconfig, server, "second")
    with pytest.raises(ForbiddenError, match="Unauthorized"):
        await seen(kube)
    assert await seen(kube)


async def test_a_renewed_ca_is_trusted(kube, server, kubeconfig) -> None:
    assert await seen(kube)
    server.renew_certificates()
    with pytest.raises(UnavailableError, match="certificate verify failed"):
        await seen(kube)
    for_server(kubeconfig, server, "first")
    assert await seen(kube)


async def test_tls_is_prepared_once_for_as_long_as_its_files_are_the_same(
    server, kubeconfig
) -> None:
    for_server(kubeconfig, server, "first")
    sign_in = login.Login()
    first = sign_in()
    for_server(kubeconfig, server, "second")
    second = sign_in()
    assert second.tls is first.tls
    assert second.headers != first.headers


async def test_questions_arrive_as_they_were_asked(kube, server) -> None:
    selector = "app in (a,b),tier=x+y,!z"
    await kube.versions(CONFIGMAPS, "n", selector)
    assert server.queries == [{"labelSelector": selector}]


@pytest.mark.parametrize(
    ("host", "address"),
    [("10.96.0.1", "https://10.96.0.1:443"), ("fd00::1", "https://[fd00::1]:443")],
)
def test_a_pod_asks_the_address_it_was_given_without_dns(monkeypatch, host, address) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    account = kopf.ConnectionInfo(server="https://kubernetes.default.svc", token="t")
    monkeypatch.setattr(kopf, "login_with_service_account", lambda **_: account)
    assert (login.connection().server, login.connection().token) == (address, "t")


def test_without_account_and_kubeconfig_it_says_what_to_set(monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(KubeError, match="neither a service account nor a kubeconfig; set KUBE"):
        login.connection()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "KUBECONFIG=.*: .*No such file"),
        ("a: [", "KUBECONFIG=.* is not YAML"),
        ("[1]", "KUBECONFIG=.*: .list. object"),
        ("{}", "Current context is not set"),
        ("{current-context: gone}", "KUBECONFIG=.* names 'gone', which is not in it"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_named(kubeconfig, text, said) -> None:
    if text is not None:
        kubeconfig.write_text(text)
    with pytest.raises(KubeError, match=said):
        login.connection()


def test_a_user_of_a_plugin_is_refused_and_not_taken_for_nobody(kubeconfig) -> None:
    written(kubeconfig, "https://127.0.0.1:1", exec={"command": "cloud"})
    with pytest.raises(KubeError, match="neither token nor certificate nor password"):
        login.connection()


def test_a_ca_that_is_none_is_named_with_its_server(kubeconfig) -> None:
    (kubeconfig.with_name("ca.crt")).write_text("nothing")
    cluster = {"certificate-authority": str(kubeconfig.with_name("ca.crt"))}
    written(kubeconfig, "https://127.0.0.1:1", cluster=cluster, token="t")
    with pytest.raises(KubeError, match=r"the certificates to reach https://127\.0\.0\.1:1 with"):
        login.Login()()
