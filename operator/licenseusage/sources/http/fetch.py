"""One request after the other to one pod, bounded in time and bytes."""

import base64
import hashlib
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from urllib.parse import quote, urlencode

from licenseusage import __version__
from licenseusage.clock import Clock
from licenseusage.reasons import Reason
from licenseusage.sources.clockskew import skew_ms
from licenseusage.sources.deadline import Deadline
from licenseusage.sources.definition import templates
from licenseusage.sources.definition.auth import BasicAuth, HeaderAuth
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.paging import Pair
from licenseusage.sources.definition.templates import Span
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.asking import KEPT_IN_PATHS, Ask, Head, Link, shown_target
from licenseusage.sources.http.body import decoded
from licenseusage.sources.http.etags import NotModifiedError, strong
from licenseusage.sources.http.httpstatus import NOT_MODIFIED, refuse_status
from licenseusage.sources.http.patience import pause_seconds, told_seconds
from licenseusage.sources.http.said import NOTHING, in_headers
from licenseusage.sources.http.signin.ways import SignIn
from licenseusage.sources.http.trouble import cannot_connect, cannot_read, size_of
from licenseusage.sources.http.wire import Wire, Wiring, content, shows_its_end
from licenseusage.sources.poll import PollLimits, Target
from licenseusage.sources.reach import CONNECT_SECONDS, trust
from licenseusage.sources.seen import MOST_STEPS, Step
from licenseusage.sources.whereabouts import Whereabouts

_ACCEPTED = {"JSON": "application/json", "NDJSON": "application/x-ndjson, application/json"}
_METRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
"""OpenMetrics first: it says where it ends."""


class Session:
    """A connection to one pod for the length of a poll; a context manager.

    Attributes:
        skew_ms: The largest clock difference that any answer allows for.
        requests: Requests answered.
        bytes: Content that the poll has received, after decompression; of other pods, too.
        extent: What the head of the last answer says of the size of the list.
        head: The last request, and what the head of its answer says of the next page.
        started_ms: Just before the first request was sent; None before.
        ended_ms: Just after the last answer was read.
        unless: An ETag: an answer that has it need not be sent again. None: each is wanted whole.
        etag: The strong one of the last answer; None: it has none.
    """

    def __init__(
        self,
        target: Target,
        source: EffectiveSource,
        whereabouts: Whereabouts,
        limits: PollLimits,
        clock: Clock,
        deadline: Deadline,
        *,
        sign_in: SignIn | None = None,
        bytes_before: int = 0,
        unless: str | None = None,
        wire: Wiring = Wire,
        steps: list[Step] | None = None,
    ) -> None:
        """Prepare the connection; nothing is sent yet.

        Args:
            target: Whom to ask.
            source: What to ask for.
            whereabouts: Says whether the target is still there, and what is sent.
            limits: Of one request, and of the whole poll.
            clock: Ours.
            deadline: The poll's.
            sign_in: Authenticates each request; None: what is sent is in the credentials.
            bytes_before: What the poll has received of other pods.
            unless: As the attribute.
            wire: Makes the connection.
            steps: Takes the first requests that are answered; None: nobody wants them.

        Raises:
            PollError: ``CAInvalid``: the PEM cannot be used.
        """
        self._target, self._source, self._limits = target, source, limits
        self._clock, self._deadline = clock, deadline
        self.skew_ms = self.requests = 0
        self.bytes = self._bytes_before = bytes_before
        self.extent = NOTHING
        self.head = Head()
        self.started_ms: int | None = None
        self.ended_ms = 0
        self.unless = unless
        self.etag: str | None = None
        self._read = hashlib.blake2b(digest_size=16) if source.http.validator == "ETag" else None
        self._steps = steps
        self._whereabouts = whereabouts
        self._sign_in = sign_in
        self._headers = _headers(source, whereabouts, target)
        self._signed: tuple[tuple[str, bytes], ...] = ()
        self._presents = source.client_certificate is not None
        self._wire = wire(target, trust(target, whereabouts.credentials))

    @property
    def time_left(self) -> float:
        """Seconds until the poll must end."""
        return self._deadline.left

    @property
    def digest(self) -> bytes:
        """A hash of all content read, where ``http.validator`` asks for one; else empty."""
        return self._read.digest() if self._read is not None else b""

    def __enter__(self) -> "Session":
        """Return the session."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the connection."""
        self._wire.close()

    @contextmanager
    def get(self, ask: Ask, span: Span) -> Iterator[Iterator[bytes]]:
        """Send one request and yield the content of its answer, as it arrives.

        Args:
            ask: Which page.
            span: Fills the templates.

        Raises:
            PollError: Whatever went wrong.
            NotModifiedError: The answer is the one that ``unless`` names, as the product says.
        """
        with self._deadline.request(self._limits.request_seconds) as wait:
            response, sent_ms = self._accepted(ask, span, wait)
            before = self.bytes
            try:
                received_ms = self._clock.now_ms()
                unchanged = self.unless is not None and response.status == NOT_MODIFIED
                if not unchanged:
                    seconds = self._told_seconds(response)
                    refuse_status(response, self._source, seconds, asked=ask)
                self._compare_clocks(response, sent_ms, received_ms)
                self.etag = strong(response.headers.get_all("etag", []))
                if unchanged:
                    raise NotModifiedError(self.etag)
                self.head = self._head_of(response)
                self.extent = in_headers(response.getheaders(), self._source.http.ignore_members)
                yield self._content(response)
            finally:
                if not response.isclosed():
                    self._wire.close()  # something is left to read: no use for another request
                self.ended_ms = max(self.ended_ms, self._clock.now_ms())
                self._note_step(response.status, self.bytes - before, self.ended_ms - sent_ms)
            self.requests += 1
            if self._sign_in is not None:
                self._sign_in.accepted()

    def _head_of(self, response: HTTPResponse) -> Head:
        """Return the request's head with what the answer's says of the next page, and no more."""
        headers, named = response.headers, self._source.http.pagination.cursor_header
        return self.head._replace(
            links=tuple(headers.get_all("link", [])),
            cursors=() if named is None else tuple(headers.get_all(named, [])),
            ends=shows_its_end(response),
        )

    def _note_step(self, status: int, received: int, took_ms: int) -> None:
        if self._steps is not None and len(self._steps) < MOST_STEPS:
            target = shown_target(self._source.http, self.head.target)
            self._steps.append(Step(target, status, received, took_ms))

    def _compare_clocks(self, response: HTTPResponse, sent_ms: int, received_ms: int) -> None:
        """Of several Date headers the one that is further from our clock counts."""
        for date in response.headers.get_all("date", [None]):
            skew = skew_ms(
                date,
                response.getheader("age"),
                sent_ms=sent_ms,
                received_ms=received_ms,
                declared_s=self._source.guarantees.clock_skew_seconds,
            )
            self.skew_ms = max(self.skew_ms, skew)

    def _accepted(self, ask: Ask, span: Span, wait: float) -> tuple[HTTPResponse, int]:
        """Return the answer after the waits that the product asks for, and when it was asked."""
        for waits in itertools.count():
            if self._sign_in is not None:
                self._signed = self._sign_in.headers(self._target, self._deadline, wait)
            sent_ms = self._clock.now_ms()
            if self.started_ms is None:
                self.started_ms = sent_ms
            left = self._deadline.left
            response = self._answered(ask, span, min(wait, left))
            if self._sign_in is not None and self._sign_in.refused(response.status):
                self._wire.close()
                continue
            asked_seconds, others = self._told_seconds(response), self._whereabouts.others
            begun = self.requests > 0
            pause = pause_seconds(
                response.status, asked_seconds, waits, left, others=others and not begun
            )
            if pause is None:
                break
            self._wire.close()  # what else it says is not read
            self._deadline.pause(pause)
        return response, sent_ms

    def _told_seconds(self, response: HTTPResponse) -> int | None:
        retry_after, date = response.getheader("retry-after"), response.getheader("date")
        return told_seconds(retry_after, date, self._clock.now_ms() // 1000)

    def _answered(self, ask: Ask, span: Span, wait: float) -> HTTPResponse:
        kept = self._connect(wait)
        with self._explained():
            try:
                return self._send(ask, span, wait)
            except (RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                if not kept:
                    raise
        # The pod left the kept connection while we were asking, as it may: ask once more.
        self._wire.close()
        self._connect(wait)
        with self._explained():
            return self._send(ask, span, wait)

    def _connect(self, wait: float) -> bool:
        """Have a connection; True if it was there, so that the pod may be leaving it."""
        if self._wire.is_open:
            return True
        self._whereabouts.confirm(self._target)
        try:
            self._wire.open(min(wait, CONNECT_SECONDS))
        except (OSError, ValueError) as error:  # a ValueError is about a name
            raise cannot_connect(self._target, error, presented=self._presents) from None
        return False

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Return a message for an error of the standard library."""
        try:
            yield
        except TimeoutError:
            self._deadline.timed_out()
        except (OSError, HTTPException, ValueError) as error:
            received, first = self.bytes - self._bytes_before, self.requests == 0
            raise cannot_read(
                self._target, error, received, first=first, presented=self._presents
            ) from None

    def _send(self, ask: Ask, span: Span, wait: float) -> HTTPResponse:
        http = self._source.http
        target = ask.target if isinstance(ask, Link) else self._target_of(ask, span)
        self.head = Head(self._target.host_sent, target)
        body = templates.in_body(http.body, span).encode() if http.body is not None else None
        headers = [*self._headers, *self._signed]
        if self.unless is not None:
            headers.append(("if-none-match", self.unless.encode("ascii")))
        return self._wire.send(http.method, target, headers, body, wait)

    def _target_of(self, query: tuple[Pair, ...], span: Span) -> str:
        """Return path and query, with paging parameters in place of the source's own ones."""
        http = self._source.http
        paging = {name for name, _ in query}
        own = [
            (name, templates.in_query(value, span))
            for name, value in http.query
            if name not in paging
        ]
        path = quote(templates.in_path(http.path, span), safe=KEPT_IN_PATHS)
        if params := [*own, *query]:
            path += "?" + urlencode(params, quote_via=quote)
        return path

    def _content(self, response: HTTPResponse) -> Iterator[bytes]:
        received = self._received(response)
        for data in decoded(received, response.getheader("content-encoding")):
            self.bytes += len(data)
            if self._read is not None:
                self._read.update(data)
            if self.bytes > self._limits.poll_bytes:
                raise PollError(
                    Reason.POLL_TOO_LARGE,
                    f"more than {size_of(self._limits.poll_bytes)} were received and reading was "
                    "stopped. Ask for fewer fields or smaller pages, or raise POLL_BYTES of the "
                    "operator.",
                )
            self._deadline.check()
            yield data

    def _received(self, response: HTTPResponse) -> Iterator[bytes]:
        chunks = content(response)
        while True:
            with self._explained():
                data = next(chunks, None)
            if data is None:
                return
            yield data


def _accepted(source: EffectiveSource) -> str:
    if source.number is not None and source.number.gauge is not None:
        return _METRICS
    return _ACCEPTED[source.http.format]


def _headers(
    source: EffectiveSource, whereabouts: Whereabouts, target: Target
) -> list[tuple[str, bytes]]:
    named: dict[str, str] = {
        "host": target.host_sent,
        "accept": _accepted(source),
        "accept-encoding": "identity",
        "user-agent": f"licenseusage/{__version__}",
    }
    if source.http.body is not None:
        named["content-type"] = "application/json"
    named |= {name.lower(): value for name, value in source.http.headers}
    if source.auth is not None:
        sent = whereabouts.sent()
        if isinstance(source.auth, HeaderAuth):
            named[source.auth.header.lower()] = sent.header_value or ""
        elif isinstance(source.auth, BasicAuth):
            pair = f"{sent.username}:{sent.password}".encode()
            named["authorization"] = "Basic " + base64.b64encode(pair).decode("ascii")
    return [(name, value.encode()) for name, value in named.items()]
