"""The clients of examples/push: what is not answered is kept, and nothing is doubled."""

import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.controller.intakedesk import running

FOLDER = Path(__file__).parents[2] / "examples/push"
TOKEN = "shop/shop"


@pytest.fixture(scope="session")
def go_client(tmp_path_factory):
    """The Go client, built once; as `go run` would."""
    if shutil.which("go") is None:
        if os.environ.get("CI"):
            pytest.fail("go is not installed")
        pytest.skip("go is not installed")
    program = tmp_path_factory.mktemp("go") / "push"
    subprocess.run(
        ["go", "build", "-o", str(program), str(FOLDER / "go/push.go")],
        check=True,
        # As the programs that the tests build (hack/programs): Go keeps its library compiled so.
        env={
            **os.environ,
            "CGO_ENABLED": "0",
            "GO111MODULE": "off",
            "GOFLAGS": "-mod=mod -trimpath",
            "GOTOOLCHAIN": "local",
        },
    )
    return [str(program)]


@pytest.fixture(params=["python", "go", "shell"])
def command(request):
    match request.param:
        case "python":
            return [sys.executable, str(FOLDER / "push.py")]
        case "go":
            return request.getfixturevalue("go_client")
    return [str(FOLDER / "push.sh")]


class Client:
    def __init__(self, command, folder):
        self.command, self.folder = command, folder / "outbox"
        self.token = folder / "token"
        self.token.write_text(TOKEN + "\n")
        self.port = 1  # nobody listens there

    def run(self, *args):
        env = {
            **os.environ,
            "INTAKE_URL": f"http://127.0.0.1:{self.port}/v1/activity",
            "INTAKE_TOKEN_FILE": str(self.token),
            "INTAKE_FOLDER": str(self.folder),
            "INTAKE_SOURCE": "/shop",
        }
        return subprocess.run(
            [*self.command, *args], env=env, capture_output=True, text=True, check=False, timeout=60
        )

    def record(self, *users):
        for user in users:
            assert self.run("record", user).returncode == 0

    def send(self) -> bool:
        done = self.run("send")
        assert TOKEN not in done.stderr
        return done.returncode == 0

    def waiting(self) -> int:
        files = (self.folder / name for name in ("new.jsonl", "taken.jsonl"))
        return sum(len(f.read_text().splitlines()) for f in files if f.exists())


@pytest.fixture
def client(command, tmp_path):
    return Client(command, tmp_path)


@pytest.fixture
def intake(tmp_path):
    with running(tmp_path) as found:
        yield found


def test_what_was_recorded_is_kept_until_it_is_answered(client, intake):
    client.record("ada", "ben")
    assert not client.send()
    assert client.waiting() == 2
    client.port = intake.port
    assert client.send()
    assert client.waiting() == 0
    assert intake.lower() == 2
    client.record("ada", "eve")
    assert client.send()
    assert intake.lower() == 3


def test_a_request_that_is_refused_is_kept(client, intake):
    client.port = intake.port
    client.record("ada")
    client.token.write_text("no token")
    assert not client.send()
    assert client.waiting() == 1
    client.token.write_text(TOKEN)
    assert client.send()
    assert intake.lower() == 1


def test_an_answer_that_was_lost_is_asked_for_again_and_nothing_is_doubled(client, intake):
    with Losing(intake.port) as between:
        client.port = between.port
        client.record("ada", "ben")
        assert not client.send()
    assert intake.lower() == 2
    assert client.waiting() == 2
    client.port = intake.port
    assert client.send()
    assert intake.lower() == 2
    assert (client.folder / "receipt").exists()


def test_after_a_restored_ledger_a_new_chain_begins(client, intake):
    client.port = intake.port
    client.record("ada")
    assert client.send()
    (client.folder / "receipt").write_text("0123456789abcdef")
    client.record("ben")
    assert not client.send()
    assert client.send()
    assert intake.lower() == 2


class Losing:
    """Passes a request on, and loses its answer."""

    def __init__(self, port):
        intake = f"http://127.0.0.1:{port}/v1/activity"

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                import urllib.request

                body = self.rfile.read(int(self.headers["Content-Length"]))
                names = ("Authorization", "Content-Type", "LicenseUsage-Receipt")
                headers = {n: self.headers[n] for n in names if self.headers[n]}
                with urllib.request.urlopen(urllib.request.Request(intake, body, headers)) as got:
                    json.loads(got.read())
                self.connection.close()

            def log_message(self, *args):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *args: None
        self.port = self.server.server_port

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *args):
        self.server.shutdown()
        self.server.server_close()
