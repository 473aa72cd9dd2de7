"""The intake's certificate is renewed in its files while it serves, as cert-manager does it."""

import asyncio
import os
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from licenseusage.controller.process import intakeserver
from licenseusage.errors import Stalled
from licenseusage.tlsfiles import ServedCertificate
from tests.controller.intakedesk import Desk
from tests.receiver.tls import write_certificate

QUESTION = b"GET /v1/problems/NotFound HTTP/1.1\r\nHost: intake\r\n\r\n"


class Files:
    """The two files that a Secret is mounted as, and what certificate was written last."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.times = folder, 0
        self.renew()

    @property
    def paths(self) -> tuple[str, str]:
        return str(self.folder / "tls.crt"), str(self.folder / "tls.key")

    def renew(self, *, key: bool = True) -> None:
        """Replace them, each by a rename; without ``key`` it is half done."""
        self.times += 1
        fresh = self.folder / f"renewed-{self.times}"
        fresh.mkdir()
        for made in write_certificate(fresh)[: 2 if key else 1]:
            # Whatever the clock of the file system shows: this one is newer.
            os.utime(made, ns=(self.times, self.times))
            made.rename(self.folder / made.name)
        if key:
            self.written = ssl.PEM_cert_to_DER_cert((self.folder / "tls.crt").read_text())

    def remove(self) -> None:
        for path in self.paths:
            Path(path).unlink()


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


@pytest.fixture
async def port(files, tmp_path):
    async with AsyncExitStack() as stack:
        desk = Desk(tmp_path)
        tls = ServedCertificate(*files.paths, "INTAKE_CERTIFICATE_FILE").serving()
        runner, server, port = await intakeserver.serve(desk.intake, "127.0.0.1", 0, tls)
        stack.push_async_callback(runner.cleanup)
        stack.callback(server.close)
        yield port


class Client:
    """A connection that stays open."""

    @classmethod
    async def connect(cls, port: int) -> "Client":
        client, trusting = cls(), ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        client.reader, client.writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=trusting
        )
        return client

    @property
    def shown(self) -> bytes:
        """The certificate that the server has shown."""
        return self.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)

    async def is_answered(self) -> bool:
        self.writer.write(QUESTION)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        await self.reader.readexactly(length)
        return head.startswith(b"HTTP/1.1 200 ")


async def test_a_new_connection_gets_the_renewed_certificate_and_an_old_one_goes_on(files, port):
    first, old = await Client.connect(port), files.written
    assert first.shown == old
    files.renew()
    second = await Client.connect(port)
    assert second.shown == files.written != old
    assert await first.is_answered()
    assert await second.is_answered()


async def test_while_the_files_do_not_fit_together_the_last_whole_pair_serves_on(files, port):
    files.renew()
    await Client.connect(port)
    files.renew(key=False)
    assert (await Client.connect(port)).shown == files.written
    files.renew()
    assert (await Client.connect(port)).shown == files.written


async def test_files_that_are_gone_for_a_moment_close_nothing(files, port):
    files.remove()
    client = await Client.connect(port)
    assert client.shown == files.written
    assert await client.is_answered()


def test_files_that_never_fitted_are_refused_at_the_start(files):
    files.renew(key=False)
    with pytest.raises(Stalled, match="INTAKE_CERTIFICATE_FILE"):
        ServedCertificate(*files.paths, "INTAKE_CERTIFICATE_FILE").serving()
