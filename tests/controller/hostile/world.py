"""A namespace with other people's Secrets, and what its author, traps and bystanders hear."""

import asyncio
import base64
import datetime as dt
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from hack.controlplane import pods as fake
from licenseusage.controller.effects.kube import Kube
from licenseusage.controller.process.login import connect
from licenseusage.controller.rules.resources import PODS, SERVICES
from tests.controller.hostile.case import HUSH, NAMESPACE
from tests.controller.sample import TOKEN, stamp
from tests.controller.stage import Authority, Vendor, credentials, secret, vendor_keys

NEXT_DOOR = "next-door"
LABEL = "licenseusage.dev/credentials"


class Recorder:
    """The author's own product: answers well, and writes down every byte of what it is sent."""

    def __init__(self, trap_port: int):
        self.heard: list[tuple[str, str]] = []
        redirects = {
            "/redirect": f"http://127.0.0.1:{trap_port}/{HUSH}",
            "/redirect-broken": f"http://[{HUSH}",
        }
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                told = f"{self.requestline}\n{self.headers}\n{body!r}"
                recorder.heard.append((self.command, told))
                place = redirects.get(self.path.partition("?")[0])
                users = [{"id": "ann", "lastActive": stamp(time.time() - 60)}]
                shown = b"" if place else json.dumps({"users": users}).encode()
                self.send_response(302 if place else 200)
                if place:
                    self.send_header("Location", place)
                self.send_header("Content-Length", str(len(shown)))
                self.end_headers()
                self.wfile.write(shown)

        for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
            setattr(Handler, f"do_{method}", Handler.answer)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Trap:
    """Where nobody must come: counts connections."""

    def __init__(self):
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                came, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            came.close()

    def close(self):
        self._listener.close()


def segment(value) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def typed(name, kind, **values):
    return {**secret(NAMESPACE, name, **values, **{HUSH: "x"}), "type": kind}


def marked(name, **meta):
    made = secret(NAMESPACE, name, password=HUSH)
    return {**made, "metadata": {**made["metadata"], **meta}}


def secrets(folder: Path, vendor: Vendor) -> list[dict]:
    """The Secrets of the namespace; the value or the name of a key of each is a thing to hush."""
    server = Authority(folder / "server")
    account = f"{segment({'alg': 'RS256', 'kid': HUSH})}.{segment({'iss': HUSH})}.{segment(HUSH)}"
    stranger = Vendor(folder / "stranger")
    mixed = Vendor(folder / "mixed")
    mixed.license_key = vendor.receipt_key
    today = dt.datetime.now(dt.UTC).date()
    licences = {
        "license": vendor.license(anchor=today, days=30, endpoint=None),
        "self-made": stranger.license(anchor=today, days=30),
        "by-receipts": mixed.license(anchor=today, days=30),
        "enormous": f"{'a' * 300_000}.{'b' * 300_000}.{'c' * 100}",
    }
    meter = credentials(NAMESPACE, "meter", token=TOKEN, lines=f"{HUSH}\n{HUSH}")
    client = credentials(NAMESPACE, "client", client_id="meter", client_secret=HUSH)
    meter["data"] = {"bytes": base64.b64encode(b"\xff\xfe" + HUSH.encode()).decode()}
    registry = json.dumps({"auths": {"x": {"password": HUSH}}})
    return [
        meter,
        client,
        typed("database", "Opaque", password=HUSH),
        typed("login", "kubernetes.io/basic-auth", username=HUSH, password=HUSH),
        typed(
            "server",
            "kubernetes.io/tls",
            **{"tls.crt": server.cert_file.read_text(), "tls.key": server.key_file.read_text()},
        ),
        {
            **typed("account", "kubernetes.io/service-account-token", token=account),
            "metadata": {
                "name": "account",
                "namespace": NAMESPACE,
                "annotations": {"kubernetes.io/service-account.name": "default"},
            },
        },
        typed("registry", "kubernetes.io/dockerconfigjson", **{".dockerconfigjson": registry}),
        typed("helm", "helm.sh/release.v1", release=HUSH),
        marked("label-false", labels={LABEL: "false"}),
        marked("label-upper", labels={LABEL: "True"}),
        marked("annotated", annotations={LABEL: "true"}),
        *(secret(NAMESPACE, name, **{"license.jwt": token}) for name, token in licences.items()),
        vendor_keys(NAMESPACE, vendor.jwks),
        credentials(NEXT_DOOR, "next-door", token=HUSH),
    ]


def to_hush(kubectl) -> list[str]:
    """Every text that must be found nowhere: values of Secrets that were not made to be sent."""
    found = [HUSH]
    for name in ("licenseusage-identity", "licenseusage-pseudonym", "server"):
        told = json.loads(kubectl("get", "secret", name, "-n", NAMESPACE, "-o", "json").stdout)
        for key, value in told["data"].items():
            if key != "tls.crt":
                raw = base64.b64decode(value).decode("latin-1")
                found += [value, *(line for line in raw.splitlines() if not line.startswith("---"))]
    return [text for text in found if len(text) > 1]


def deploy(recorder: Recorder, trap: Trap) -> None:
    """The author's pod, the pods that must not be called, and Services that lead astray."""
    asyncio.run(_deploy(recorder, trap))


def endpoints(trap: Trap) -> dict:
    """The operator's settings name the trap, for the other namespace."""
    entry = {"address": f"127.0.0.1:{trap.port}", "scheme": "HTTP", "namespaces": [NEXT_DOOR]}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "licenseusage-endpoints", "namespace": NAMESPACE},
        "data": {"next-door": json.dumps(entry)},
    }


async def _deploy(recorder: Recorder, trap: Trap) -> None:
    kube = await connect()
    ready = fake.status("127.0.0.1", ready=True)
    astray = {
        "on-node": ready,
        "metadata": fake.status("169.254.169.254", ready=True),
        "link-local": fake.status("fe80::1", ready=True),
        "group": fake.status("224.0.0.1", ready=True),
        "ended": {**ready, "phase": "Succeeded"},
        "not-ready": fake.status("127.0.0.1", ready=False),
    }
    try:
        await _pod(kube, NAMESPACE, "authors", recorder.port, ready)
        for app, status in astray.items():
            await _pod(kube, NAMESPACE, app, trap.port, status)
        await _pod(kube, NEXT_DOOR, "next-door", trap.port, ready)
        port = {"port": 80, "targetPort": trap.port}
        for name, spec in {
            "alias": {"type": "ExternalName", "externalName": "localhost"},
            "manual": {"ports": [port]},
            "headless": {"clusterIP": "None", "selector": {"app": "authors"}, "ports": [port]},
        }.items():
            body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
            await kube.create(SERVICES, NAMESPACE, body)
    finally:
        await kube.close()


async def _pod(kube: Kube, namespace: str, app: str, port: int, status: dict) -> None:
    on_node = app == "on-node"
    ports = {"http": port}
    body = fake.pod(namespace, f"{app}-0", {"app": app}, ports, host_network=on_node)
    if on_node:
        body["spec"]["containers"][0]["ports"][0]["hostPort"] = port
    await kube.create(PODS, namespace, body)
    await kube.apply_status(PODS, namespace, f"{app}-0", "Pod", status)
