"""An archive server on loopback and go commands that do as they are told."""

import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hack.controlplane.archive import Releases
from hack.controlplane.versions import Platform

PLATFORM = Platform("linux", "amd64")
VERSION = "1.37.0"


def archive(*names: str) -> bytes:
    """A tar.gz of small executables with these paths."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in names:
            content = f"#!/bin/sh\necho {name}\n".encode()
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


ARCHIVE = archive(
    *(f"controller-tools/envtest/{name}" for name in ("etcd", "kube-apiserver", "kubectl"))
)


@dataclass
class ArchiveServer:
    """Serves ``body`` with ``status`` to every request, or nothing at all while ``mute`` is set."""

    url: str = ""
    body: bytes = ARCHIVE
    status: int = 200
    mute: bool = False
    asked: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def releases(self, *, sha512: str | None = None, answer_seconds: float = 10.0) -> Releases:
        known = hashlib.sha512(self.body).hexdigest() if sha512 is None else sha512
        return Releases(self.url, VERSION, {str(PLATFORM): known}, answer_seconds)


@pytest.fixture
def archive_server() -> Iterator[ArchiveServer]:
    told = ArchiveServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append(self.path)
            if told.mute:
                told.over.wait()
                return
            self.send_response(told.status)
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            self.wfile.write(told.body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield told
        told.over.set()
        server.shutdown()
        thread.join()


@dataclass
class Machine:
    """A user's environment with a home of its own and at most a pretended go."""

    folder: Path

    @property
    def env(self) -> dict[str, str]:
        return {"HOME": str(self.folder), "PATH": f"{self.folder / 'bin'}:{os.defpath}"}

    @property
    def cache(self) -> Path:
        return self.folder / ".cache/licenseusage/controlplane"

    @property
    def calls(self) -> list[str]:
        log = self.folder / "go.log"
        return log.read_text().splitlines() if log.exists() else []

    def install_go(self, version: str = "go1.26.8", *, build: str = 'touch "$out"') -> None:
        """Put a go command in PATH that notes its calls and runs ``build`` for a build."""
        script = self.folder / "bin" / "go"
        script.parent.mkdir(exist_ok=True)
        script.write_text(
            "#!/bin/sh\n"
            f'if [ "$1" = env ]; then echo {version}; exit 0; fi\n'
            f'echo "$PWD $*" >> {self.folder}/go.log\n'
            'while [ "$1" != -o ]; do shift; done; out="$2"\n'
            f"{build}\n"
        )
        script.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def programs(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder with executables of these names."""

    def make(*names: str) -> Path:
        folder = tmp_path / "assets"
        folder.mkdir()
        for name in names:
            (folder / name).touch(mode=0o755)
        return folder

    return make
