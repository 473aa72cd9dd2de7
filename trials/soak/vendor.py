"""The vendor: the real receiver application over its database, and a bad network in between.

Licences are made here as well. The application runs in place: its hand-over to threads is replaced,
since threads know no simulated time.
"""

import asyncio
import hashlib
import random
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from licenseusage.clock import Clock
from licenseusage.delivery.vendor import VendorClient
from licenseusage.receiver import endpoint, files
from licenseusage.receiver.access import PagesAccess
from licenseusage.receiver.app import create_app
from licenseusage.receiver.store import Document, ReceiverDatabase
from licenseusage.reports.keys import SigningKey, VendorKey, VendorKeys
from licenseusage.reports.licence import LicenseTerms, build_license, stored_license
from licenseusage.reports.terms import CycleTerms
from licenseusage.reports.tokens import decode
from licenseusage.reports.typs import LICENSE, RECEIPT
from trials.soak.need import need
from trials.soak.tally import Tally
from trials.soak.timeline import World

T = TypeVar("T")

ENDPOINT = "https://usage.vendor.example"
VENDOR = "https://vendor.example"
FAULTS = (
    "unreachable", "silent", "cutBeforeCommit", "cutAfterCommit", "error500", "error503",
    "throttled", "portal", "redirect", "forgedReceipt", "oldReceipt", "emptyConflict", "notFound",
    "forbidden", "tooMuch", "twice", "late", "tooLate",
)  # fmt: skip


def key(label: str) -> SigningKey:
    """Return a key that a label names for good."""
    return SigningKey.from_seed(hashlib.sha256(label.encode()).digest())


LICENCE_KEY, RECEIPT_KEY = key("soak licence"), key("soak receipt")
KEYS = VendorKeys(
    [
        VendorKey(LICENCE_KEY.public, frozenset({LICENSE})),
        VendorKey(RECEIPT_KEY.public, frozenset({RECEIPT})),
    ]
)


def licence(
    product: str,
    subscription: str,
    serial: int,
    terms: CycleTerms,
    *,
    from_s: int,
    to_s: int,
    interval_hours: int,
    endpoint: str | None = ENDPOINT,
) -> str:
    """Sign a licence."""
    return build_license(
        LicenseTerms(
            vendor=VENDOR,
            subscription=subscription,
            license_id=f"{subscription}-{serial}",
            issued_at_s=from_s,
            not_before_s=from_s,
            expires_s=to_s,
            product=product,
            cycle=terms,
            interval_hours=interval_hours,
            reporting_required=True,
            maximum_active_users=20 + serial,
            endpoint=endpoint,
        ),
        LICENCE_KEY,
    )


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which answers are bad: ``kind`` of `FAULTS`, or ``any``, with a probability."""

    from_ms: int
    to_ms: int
    kind: str
    chance: float


class Vendor:
    """One receiver for the length of a history."""

    def __init__(
        self,
        world: World,
        folder: Path,
        clock: Clock,
        random_: random.Random,
        outages: tuple[Outage, ...],
        tally: Tally,
    ) -> None:
        """Open its database in ``folder``."""
        self._world, self._random, self._tally = world, random_, tally
        self._outages = outages
        self.path = folder / "vendor.db"
        self.store = ReceiverDatabase.open(f"sqlite:///{self.path}")
        app = create_app(
            store=self.store,
            vendor_keys=KEYS,
            receipt_key=RECEIPT_KEY,
            clock=clock,
            access=PagesAccess(),
        )
        self._app = httpx.ASGITransport(app, raise_app_exceptions=True)
        self.healthy = False
        self.boundary: Callable[[str], None] = lambda _: None
        self.pushed: Callable[[str, str], None] = lambda *_: None
        self._clock = clock
        self._seen: list[str] = []

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one request, or fail as networks and vendors do."""
        self.pushed(*_pushed(request))
        self.boundary("vendor request")
        fault = self._fault()
        if fault is not None:
            self._tally.faults[f"vendor {fault}"] += 1
        response = await self._answer(request, fault)
        self.boundary("vendor answer")
        return response

    async def direct(self, request: httpx.Request) -> httpx.Response:
        """Answer without the network in between."""
        return await self._app.handle_async_request(request)

    def documents(self, chain_id: str) -> list[Document]:
        """Return all that is held of a chain, by position, evidence of conflicts included."""
        with self.store.read() as views:
            return [document for document, _ in views.documents(chain_id, limit=100_000)]

    def now_s(self) -> int:
        """The vendor's time, seconds."""
        return self._clock.now_ms() // 1000

    def tokens(self) -> set[str]:
        """Return every document that is held, as its file has it."""
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as connection:
            return {token for (token,) in connection.execute("select token from documents")}

    async def register(self, token: str) -> None:
        """Take a licence into the register without the customer's help: it is the vendor's own."""
        jti = quote(stored_license(token).license_id, safe="")
        answer = await self.direct(
            httpx.Request(
                "PUT", f"{ENDPOINT}/v1/licenses/{jti}", content=token.encode(), headers=_JOSE
            )
        )
        need(answer.status_code in (200, 201), f"a licence is answered {answer.status_code}")

    def close(self) -> None:
        """Close the database."""
        self.store.close()

    def _fault(self) -> str | None:
        if self.healthy:
            return None
        at_ms = self._world.now_ms()
        for outage in self._outages:
            if outage.from_ms <= at_ms < outage.to_ms and self._random.random() < outage.chance:
                return self._random.choice(FAULTS) if outage.kind == "any" else outage.kind
        return None

    async def _answer(self, request: httpx.Request, fault: str | None) -> httpx.Response:
        match fault:
            case "unreachable":
                raise httpx.ConnectError("no route", request=request)
            case "silent":
                await asyncio.sleep(45)  # longer than the client waits
                raise httpx.ConnectError("nobody listens", request=request)
            case "cutBeforeCommit":
                raise httpx.ReadError("cut", request=request)
            case "cutAfterCommit":
                await self.direct(request)
                raise httpx.ReadError("cut", request=request)
            case "error500" | "error503":
                headers = self._random.choice(({}, {"retry-after": "120"}))
                status = int(fault[-3:])
                return _response(status, b"oops", headers)
            case "throttled":
                return _response(429, b"", {"retry-after": self._random.choice("19") + "00"})
            case "portal":
                page = {"content-type": "text/html"}
                return _response(200, b"<html>Welcome</html>", page)
            case "redirect":
                return _response(302, b"", {"location": "https://portal.example/"})
            case "emptyConflict":
                problem = {"content-type": "application/problem+json"}
                status = self._random.choice((409, 422))
                return _response(status, b'{"error":"ChainForked"}', problem)
            case "notFound":
                return _response(404, b"nothing here")
            case "forbidden":
                return _response(self._random.choice((401, 403)), b"sign in")
            case "tooMuch":
                return _response(201, b"x" * 70_000, _JOSE)
            case "forgedReceipt":
                return await self._forged(request)
            case "oldReceipt" if self._seen:
                return _response(201, self._random.choice(self._seen).encode(), _JOSE)
            case "twice":
                await self.direct(_copy(request))
            case "late" | "tooLate":  # the document is kept at once, the receipt takes its time
                kept = await self.direct(_copy(request))
                body = await kept.aread()
                await asyncio.sleep(self._random.randint(5, 25) if fault == "late" else 45)
                return _response(kept.status_code, body, dict(kept.headers))
        response = await self.direct(request)
        body = await response.aread()
        receipted = request.method == "PUT" and response.status_code in (200, 201)
        if receipted and body:  # there is no receipt for a licence
            self._seen = [*self._seen[-20:], body.decode()]
        return _response(response.status_code, body, dict(response.headers))

    async def _forged(self, request: httpx.Request) -> httpx.Response:
        """The true receipt with another signature, and without the document having arrived."""
        if not self._seen:
            return _response(201, b"a.b.c", _JOSE)
        head, payload, signature = self._seen[-1].split(".")
        swapped = signature[:10] + signature[10:20].swapcase() + signature[20:]
        return _response(201, f"{head}.{payload}.{swapped}".encode(), _JOSE)


class Line(httpx.AsyncBaseTransport):
    """Where the one client of this process is connected to; histories follow one another."""

    def __init__(self) -> None:
        """Lead nowhere yet."""
        self.vendor: Vendor | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Hand the request to the vendor of this history."""
        assert self.vendor is not None  # noqa: S101
        return await self.vendor.answer(request)


class _InPlace:
    """Stands for ``anyio.to_thread`` in the receiver."""

    @staticmethod
    async def run_sync(work: Callable[..., T], *args: Any, limiter: object = None) -> T:  # noqa: ANN401
        return work(*args)


@cache
def connect() -> tuple[VendorClient, Line]:
    """Return the operator's client of this process, and the line that it uses.

    Building one reads the system's certificates, which takes longer than a cycle.
    """
    for module in (endpoint, files):
        setattr(module, "to_thread", _InPlace)  # noqa: B010 - it is not for others to set
    line = Line()
    return VendorClient(transport=line), line


def _response(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
    return httpx.Response(status, headers=dict(headers or {}), stream=httpx.ByteStream(body))


def _pushed(request: httpx.Request) -> tuple[str, str]:
    """Return the subscription of the document that a request brings, and the document.

    A question for the own history brings the first line of a file.
    """
    token, *_ = request.content.decode().split("\n")
    return str(decode(token)[1]["sub"]), token


def _copy(request: httpx.Request) -> httpx.Request:
    return httpx.Request(
        request.method, request.url, headers=request.headers, content=request.content
    )


_JOSE = {"content-type": "application/jose"}
