"""The HTTPS client for the vendor's endpoint (REPORT_FORMAT §9).

HTTPS only, certificate verified, redirects not followed, no cookies, no credentials: the token
authenticates itself. Nothing of the answer is trusted here; ``outcome`` judges it.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx

from licenseusage.delivery.outcome import PROBLEM_TYPE, RECEIPT_TYPE, Answer, NoAnswer
from licenseusage.delivery.trust import Trust
from licenseusage.errors import Stalled
from licenseusage.reasons import Reason
from licenseusage.reports.bundle import MAX_CHARACTERS_IN_FILE
from licenseusage.reports.typs import LICENSE, REPORT

CONNECT_SECONDS = 10.0
TOTAL_SECONDS = 30.0
MAX_ANSWER_BYTES = 64 * 1024
LINES_TYPE = "text/plain"
_COLLECTIONS = {REPORT: "reports", LICENSE: "licenses"}


@dataclass(frozen=True, slots=True)
class Proxy:
    """The way out of the cluster.

    Attributes:
        url: ``http://host:port`` (it is asked to tunnel, so it sees only the endpoint's name).
        bypass: Hosts reached without it, as in ``NO_PROXY``: names, each with all its subdomains,
            separated by commas; ``*`` is every host.
    """

    url: str
    bypass: str = ""

    def serves(self, host: str) -> bool:
        """Whether this host is reached through the proxy."""
        names = [part.strip().lstrip(".").lower() for part in self.bypass.split(",")]
        wanted = host.lower()
        return not any(
            name and (name == "*" or wanted == name or wanted.endswith(f".{name}"))
            for name in names
        )


def check_endpoint(url: str) -> str:
    """Return the endpoint without a trailing slash.

    Raises:
        Stalled: ``SettingsInvalid``: not https, or with user, query or fragment.
    """
    parts = urlsplit(url)
    if (
        parts.scheme != "https"
        or not parts.hostname
        or parts.username is not None
        or parts.query
        or parts.fragment
    ):
        raise Stalled(
            Reason.SETTINGS_INVALID,
            "The vendor's endpoint must be an https URL without user, query or fragment; there is "
            "no way to send reports unencrypted.",
        )
    return url.rstrip("/")


class VendorClient:
    """Puts documents and asks for them; one per operator, closed at its end."""

    def __init__(
        self,
        *,
        ca_file: Path | None = None,
        proxy: Proxy | None = None,
        version: str = "0",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Open no connection yet.

        Args:
            ca_file: PEM file of certificate authorities trusted besides the public ones; read again
                when it changes.
            proxy: The way out; None: direct.
            version: Of the operator, for the User-Agent header.
            transport: For tests.

        Raises:
            Stalled: ``SettingsInvalid``: the CA file cannot be read or holds no certificate.
        """
        self._proxy = proxy
        self._trust = Trust(ca_file, "LICENSEUSAGE_VENDOR_CA_FILE")

        def connect(context: ssl.SSLContext) -> _Connections:
            direct = _client(context, None, version, transport)
            through = _client(context, proxy.url, version, transport) if proxy else None
            return _Connections(context, direct, through)

        self._connect = connect
        self._connections = self._connect(self._trust.context())
        self._renewing = asyncio.Lock()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connections.retire()

    async def _newest(self) -> "_Connections":
        """Return connections that trust what the CA file holds now.

        Requests under way end with the trust that they began with.
        """
        async with self._renewing:
            context = self._trust.context()
            if self._trust.changed():
                context = await asyncio.to_thread(self._trust.renewed)
            if context is not self._connections.context:
                former, self._connections = self._connections, self._connect(context)
                await former.retire()
            return self._connections

    async def put(self, endpoint: str, typ: str, jti: str, token: str) -> Answer | NoAnswer:
        """Put one document and read the answer.

        Args:
            endpoint: The https URL of the licence or of the settings.
            typ: Type of the document; it decides between ``/v1/reports``, ``/v1/licenses`` and
                ``/v1/keys``.
            jti: Id of the document.
            token: The document, exactly as signed.

        Raises:
            Stalled: the endpoint is not https.
        """
        collection = _COLLECTIONS.get(typ, "keys")
        url = f"{check_endpoint(endpoint)}/v1/{collection}/{quote(jti, safe='')}"
        return await self._send("PUT", url, token, RECEIPT_TYPE, RECEIPT_TYPE, MAX_ANSWER_BYTES)

    async def ask_history(self, endpoint: str, request: str, chain_id: str) -> Answer | NoAnswer:
        """Ask for what the vendor holds of one chain of ours (REPORT_FORMAT §9).

        Args:
            endpoint: As for `put`.
            request: A bundle without documents, signed within the last five minutes.
            chain_id: The chain of reports.

        Raises:
            Stalled: the endpoint is not https.
        """
        url = f"{check_endpoint(endpoint)}/v1/history?chain={quote(chain_id, safe='')}"
        media = f"{LINES_TYPE}; charset=us-ascii"
        return await self._send("POST", url, request, media, LINES_TYPE, MAX_CHARACTERS_IN_FILE)

    async def _send(
        self, method: str, url: str, text: str, media: str, wanted: str, limit: int
    ) -> Answer | NoAnswer:
        host = urlsplit(url).hostname or ""
        proxied = self._proxy is not None and self._proxy.serves(host)
        headers = {"content-type": media, "accept": f"{wanted}, {PROBLEM_TYPE}"}
        connections = await self._newest()
        try:
            async with (
                asyncio.timeout(TOTAL_SECONDS),
                connections.used(proxied=proxied) as client,
                client.stream(
                    method, url, content=text.encode("ascii"), headers=headers
                ) as response,
            ):
                return Answer(
                    response.status_code,
                    response.headers.get("content-type", ""),
                    await _limited(response, limit),
                    response.headers.get("retry-after"),
                )
        except httpx.ConnectTimeout:
            return NoAnswer(Reason.TIMEOUT, f"no connection within {CONNECT_SECONDS:g} s")
        except (TimeoutError, httpx.TimeoutException):
            return NoAnswer(Reason.TIMEOUT, f"no answer within {TOTAL_SECONDS:g} s")
        except httpx.HTTPError as error:
            return _no_answer(error)


@dataclass(slots=True)
class _Connections:
    """Those that were opened under one state of the CA file; closed once nobody uses them.

    Attributes:
        context: Whom they trust.
        direct: Without the proxy.
        proxied: Through it; None: there is none.
    """

    context: ssl.SSLContext
    direct: httpx.AsyncClient
    proxied: httpx.AsyncClient | None
    _requests: int = 0
    _retired: bool = False

    @asynccontextmanager
    async def used(self, *, proxied: bool) -> AsyncIterator[httpx.AsyncClient]:
        """Lend a client for one request."""
        self._requests += 1
        try:
            yield self.proxied if proxied and self.proxied is not None else self.direct
        finally:
            self._requests -= 1
            if self._retired and not self._requests:
                await self._close()

    async def retire(self) -> None:
        """Close them now, or after the last request under way."""
        self._retired = True
        if not self._requests:
            await self._close()

    async def _close(self) -> None:
        await self.direct.aclose()
        if self.proxied is not None:
            await self.proxied.aclose()


async def _limited(response: httpx.Response, limit: int) -> bytes:
    """Read the body; nothing of it if it is too long, or compressed although we asked not to."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        return b""
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > limit:
            return b""
    return bytes(body)


def _no_answer(error: httpx.HTTPError) -> NoAnswer:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            detail = getattr(cause, "verify_message", "") or cause.reason or "TLS"
            return NoAnswer(Reason.TLS_FAILED, f"TLS: {detail}")
        if isinstance(cause, OSError) and cause.strerror:
            return NoAnswer(Reason.ENDPOINT_UNREACHABLE, cause.strerror)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError):
        return NoAnswer(Reason.ENDPOINT_UNREACHABLE, "no connection")
    if isinstance(error, httpx.ProxyError):
        return NoAnswer(Reason.ENDPOINT_UNREACHABLE, "the proxy refused")
    return NoAnswer(Reason.ENDPOINT_UNREACHABLE, "the connection was cut")


def _client(
    context: ssl.SSLContext,
    proxy: str | None,
    version: str,
    transport: httpx.AsyncBaseTransport | None,
) -> httpx.AsyncClient:
    no_cookies = CookieJar(policy=DefaultCookiePolicy(allowed_domains=()))
    return httpx.AsyncClient(
        verify=context,
        proxy=proxy if transport is None else None,
        transport=transport,
        trust_env=False,  # the proxy is a setting here; the environment may also bring credentials
        follow_redirects=False,
        cookies=no_cookies,
        timeout=httpx.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS),
        headers={"user-agent": f"licenseusage/{version}", "accept-encoding": "identity"},
    )
