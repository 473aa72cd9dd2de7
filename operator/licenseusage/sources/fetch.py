"""One request after the other to one pod, bounded in time and bytes.

httpx does HTTP and TLS; here is what it must not do (redirects, cookies, proxies and credentials
from the environment) and how each way to fail reads for a person.
"""

import base64
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import NoReturn

import httpx

from licenseusage import __version__
from licenseusage.clock import Clock
from licenseusage.metering.cycles import Cycle
from licenseusage.sources import templates
from licenseusage.sources.body import decoded
from licenseusage.sources.clockskew import skew_ms
from licenseusage.sources.deadline import Deadline
from licenseusage.sources.definition import EffectiveSource, HeaderAuth, Pair
from licenseusage.sources.failures import PollError, Reason, UnreachableError
from licenseusage.sources.poll import MIB, Credentials, Limits, Target
from licenseusage.sources.status import refuse_status

CONNECT_SECONDS = 5.0


class Session:
    """A connection to one pod for the length of a poll; a context manager.

    Attributes:
        skew_ms: The largest clock difference that any answer allows for.
        requests: Requests answered.
        bytes: Content received, after decompression.
        started_ms: Just before the first request was sent; None before.
        ended_ms: Just after the last answer was read.
    """

    def __init__(
        self,
        target: Target,
        source: EffectiveSource,
        credentials: Credentials | None,
        limits: Limits,
        clock: Clock,
        deadline: Deadline,
    ) -> None:
        """Prepare the connection; nothing is sent yet.

        Raises:
            PollError: ``CAInvalid``: the PEM cannot be used.
        """
        self._target, self._source, self._limits = target, source, limits
        self._clock, self._deadline = clock, deadline
        self.skew_ms = self.requests = self.bytes = 0
        self.started_ms: int | None = None
        self.ended_ms = 0
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        self._client = httpx.Client(
            verify=_trust(target),
            headers=_headers(source, credentials, target),
            cookies=no_cookies,
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> "Session":
        """Return the session."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the connection."""
        self._client.close()

    @contextmanager
    def get(self, query: tuple[Pair, ...], cycle: Cycle) -> Iterator[Iterator[bytes]]:
        """Send one request and yield the content of its answer, as it arrives.

        Args:
            query: Paging parameters, beside the source's own.
            cycle: Fills the templates.

        Raises:
            UnreachableError: The pod did not answer at all.
            PollError: Anything else that went wrong.
        """
        with self._deadline.request(self._limits.request_seconds) as left:
            request = self._request(query, cycle, left)
            try:
                sent_ms = self._clock.now_ms()
                if self.started_ms is None:
                    self.started_ms = sent_ms
                response = self._client.send(request, stream=True)
                try:
                    received_ms = self._clock.now_ms()
                    refuse_status(response, self._source)
                    headers = response.headers
                    skew = skew_ms(
                        headers.get("date"),
                        headers.get("age"),
                        sent_ms=sent_ms,
                        received_ms=received_ms,
                        declared_s=self._source.guarantees.clock_skew_seconds,
                    )
                    self.skew_ms = max(self.skew_ms, skew)
                    yield self._content(response)
                finally:
                    response.close()
                    self.ended_ms = max(self.ended_ms, self._clock.now_ms())
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                self._fail(error)
            self.requests += 1

    def _request(self, query: tuple[Pair, ...], cycle: Cycle, left: float) -> httpx.Request:
        http, target = self._source.http, self._target
        own = [(name, templates.in_query(value, cycle)) for name, value in http.query]
        paging = {name for name, _ in query}
        params: list[tuple[str, str | int | float | bool | None]] = [
            *(pair for pair in own if pair[0] not in paging),
            *query,
        ]
        host = f"[{target.host}]" if ":" in target.host else target.host
        path = templates.in_path(http.path, cycle)
        try:
            return self._client.build_request(
                http.method,
                f"{target.scheme.lower()}://{host}:{target.port}{path}",
                params=params or None,
                content=templates.in_body(http.body, cycle).encode() if http.body else None,
                timeout=httpx.Timeout(left, connect=min(left, CONNECT_SECONDS)),
                extensions={"sni_hostname": target.server_name} if target.server_name else None,
            )
        except (httpx.InvalidURL, UnicodeError):
            raise PollError(
                Reason.UNREACHABLE, "the address or http.path cannot be used as a URL.", stalls=True
            ) from None

    def _content(self, response: httpx.Response) -> Iterator[bytes]:
        for data in decoded(response.iter_raw(), response.headers.get("content-encoding")):
            self.bytes += len(data)
            if self.bytes > self._limits.poll_bytes:
                raise PollError(
                    Reason.POLL_TOO_LARGE,
                    f"more than {_size(self._limits.poll_bytes)} were received and reading was "
                    "stopped. Ask for fewer fields or smaller pages, or raise POLL_BYTES of the "
                    "operator.",
                )
            self._deadline.check()
            yield data

    def _fail(self, error: httpx.HTTPError | httpx.InvalidURL) -> NoReturn:
        """Say what happened on the wire, in words, with the fix."""
        address = f"{self._target.host}:{self._target.port}"
        first = self.requests == 0
        tls = _ssl_error(error)
        if isinstance(tls, ssl.SSLCertVerificationError):
            raise PollError(
                Reason.CERTIFICATE_INVALID,
                f"the certificate of {address} is not trusted: {tls.verify_message.rstrip('.')}. "
                "Give its authority in pods.tls.caSecretRef, and its name in pods.tls.serverName.",
                stalls=True,
            ) from None
        if tls is not None:
            plain = tls.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
            raise PollError(
                Reason.TLS_FAILED,
                f"no TLS connection with {address} ({tls.reason or 'handshake failed'}). "
                + ("It seems to speak plain HTTP: set pods.scheme to HTTP." if plain else ""),
                stalls=True,
            ) from None
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            seen = "no answer" if isinstance(error, httpx.ConnectTimeout) else _os_error(error)
            raise UnreachableError(
                Reason.UNREACHABLE,
                f"{address} cannot be reached: {seen}. Check pods.port, pods.scheme, "
                "NetworkPolicies and whether the product listens on all interfaces.",
            ) from None
        if isinstance(error, httpx.TimeoutException):
            self._deadline.timed_out()
        if isinstance(error, httpx.LocalProtocolError):
            raise PollError(
                Reason.CREDENTIALS_INVALID,
                "the request cannot be sent: a header holds characters that HTTP does not allow. "
                "Check the Secret's value and http.headers.",
                stalls=True,
            ) from None
        if any(text in str(error) for text in ("complete message body", "incomplete chunked")):
            raise PollError(
                Reason.ANSWER_TRUNCATED,
                "the connection was closed in the middle of the answer, after "
                f"{_size(self.bytes)}. The product or a proxy cut it off; see its log.",
            ) from None
        if isinstance(error, httpx.RemoteProtocolError) and "disconnected" not in str(error):
            raise PollError(
                Reason.NOT_HTTP,
                f"{address} does not speak HTTP/1.1 here. Check pods.port and pods.scheme.",
                stalls=True,
            ) from None
        kind = UnreachableError if first and self.bytes == 0 else PollError
        raise kind(
            Reason.CONNECTION_LOST,
            f"{address} closed the connection without a complete answer. See the product's log.",
        ) from None


def _headers(
    source: EffectiveSource, credentials: Credentials | None, target: Target
) -> list[tuple[bytes, bytes]]:
    named: dict[str, str] = {
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": f"licenseusage/{__version__}",
    }
    if target.server_name:
        named["host"] = target.server_name
    if source.http.body is not None:
        named["content-type"] = "application/json"
    named |= {name.lower(): value for name, value in source.http.headers}
    if source.auth is not None:
        if credentials is None:
            raise PollError(
                Reason.CREDENTIALS_INVALID, "the source has auth, but no credentials were given."
            )
        if isinstance(source.auth, HeaderAuth):
            named[source.auth.header.lower()] = credentials.header_value or ""
        else:
            pair = f"{credentials.username}:{credentials.password}".encode()
            named["authorization"] = "Basic " + base64.b64encode(pair).decode("ascii")
    return [(name.encode("ascii"), value.encode()) for name, value in named.items()]


def _trust(target: Target) -> ssl.SSLContext | bool:
    if target.scheme == "HTTP":
        return False  # nothing to verify; spares loading a trust store
    if target.ca_pem is None:
        return ssl.create_default_context()
    # Without a certificate in it, ssl would take the system's authorities instead.
    pem = target.ca_pem if "-----BEGIN" in target.ca_pem else "none"
    try:
        return ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise PollError(
            Reason.CA_INVALID,
            "pods.tls.caSecretRef holds no PEM certificate. Store the authority's certificate, "
            "beginning with -----BEGIN CERTIFICATE-----.",
            stalls=True,
        ) from None


def _ssl_error(error: BaseException) -> ssl.SSLError | None:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


def _os_error(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return "connection failed"


def _size(count: int) -> str:
    return f"{count / MIB:.1f} MiB" if count >= MIB else f"{count} bytes"
