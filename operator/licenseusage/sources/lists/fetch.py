"""One request after the other to one pod, bounded in time and bytes."""

import base64
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from urllib.parse import quote, urlencode

from licenseusage import __version__
from licenseusage.clock import Clock
from licenseusage.metering.cycles import Cycle
from licenseusage.reasons import Reason
from licenseusage.sources.clockskew import skew_ms
from licenseusage.sources.deadline import Deadline
from licenseusage.sources.definition import templates
from licenseusage.sources.definition.model import EffectiveSource, HeaderAuth, Pair
from licenseusage.sources.failures import PollError
from licenseusage.sources.lists.body import decoded
from licenseusage.sources.lists.httpstatus import refuse_status
from licenseusage.sources.lists.patience import pause_seconds, told_seconds
from licenseusage.sources.lists.said import NOTHING, in_headers
from licenseusage.sources.lists.trouble import cannot_connect, cannot_read, size_of
from licenseusage.sources.lists.wire import Wire, content
from licenseusage.sources.poll import Credentials, PollLimits, Target
from licenseusage.sources.reach import CONNECT_SECONDS, trust
from licenseusage.sources.whereabouts import Whereabouts

_KEPT_IN_PATHS = "/%:@!$&'()*+,;=-._~"  # RFC 3986, and escapes that are there already


class Session:
    """A connection to one pod for the length of a poll; a context manager.

    Attributes:
        skew_ms: The largest clock difference that any answer allows for.
        requests: Requests answered.
        bytes: Content that the poll has received, after decompression; of other pods, too.
        extent: What the head of the last answer says of the size of the list.
        started_ms: Just before the first request was sent; None before.
        ended_ms: Just after the last answer was read.
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
        bytes_before: int = 0,
    ) -> None:
        """Prepare the connection; nothing is sent yet.

        Args:
            target: Whom to ask.
            source: What to ask for.
            whereabouts: Says whether the target is still there, and what is sent.
            limits: Of one request, and of the whole poll.
            clock: Ours.
            deadline: The poll's.
            bytes_before: What the poll has received of other pods.

        Raises:
            PollError: ``CAInvalid``: the PEM cannot be used.
        """
        self._target, self._source, self._limits = target, source, limits
        self._clock, self._deadline = clock, deadline
        self.skew_ms = self.requests = 0
        self.bytes = self._bytes_before = bytes_before
        self.extent = NOTHING
        self.started_ms: int | None = None
        self.ended_ms = 0
        self._whereabouts = whereabouts
        self._headers = _headers(source, whereabouts.credentials, target)
        self._wire = Wire(target, trust(target))

    def __enter__(self) -> "Session":
        """Return the session."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the connection."""
        self._wire.close()

    @contextmanager
    def get(self, query: tuple[Pair, ...], cycle: Cycle) -> Iterator[Iterator[bytes]]:
        """Send one request and yield the content of its answer, as it arrives.

        Args:
            query: Paging parameters, beside the source's own.
            cycle: Fills the templates.

        Raises:
            PollError: Whatever went wrong.
        """
        with self._deadline.request(self._limits.request_seconds) as wait:
            response, sent_ms = self._accepted(query, cycle, wait)
            try:
                received_ms = self._clock.now_ms()
                refuse_status(response, self._source, self._told_seconds(response))
                # Of several Date headers the one that is further from our clock counts.
                for date in response.headers.get_all("date", [None]):
                    skew = skew_ms(
                        date,
                        response.getheader("age"),
                        sent_ms=sent_ms,
                        received_ms=received_ms,
                        declared_s=self._source.guarantees.clock_skew_seconds,
                    )
                    self.skew_ms = max(self.skew_ms, skew)
                self.extent = in_headers(response.getheaders(), self._source.http.ignore_members)
                yield self._content(response)
            finally:
                if not response.isclosed():
                    self._wire.close()  # something is left to read: no use for another request
                self.ended_ms = max(self.ended_ms, self._clock.now_ms())
            self.requests += 1

    def _accepted(
        self, query: tuple[Pair, ...], cycle: Cycle, wait: float
    ) -> tuple[HTTPResponse, int]:
        """Return the answer after the waits that the product asks for, and when it was asked."""
        for waits in itertools.count():
            sent_ms = self._clock.now_ms()
            if self.started_ms is None:
                self.started_ms = sent_ms
            left = self._deadline.left
            response = self._answered(query, cycle, min(wait, left))
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

    def _answered(self, query: tuple[Pair, ...], cycle: Cycle, wait: float) -> HTTPResponse:
        kept = self._connect(wait)
        with self._explained():
            try:
                return self._send(query, cycle, wait)
            except (RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                if not kept:
                    raise
        # The pod left the kept connection while we were asking, as it may: ask once more.
        self._wire.close()
        self._connect(wait)
        with self._explained():
            return self._send(query, cycle, wait)

    def _connect(self, wait: float) -> bool:
        """Have a connection; True if it was there, so that the pod may be leaving it."""
        if self._wire.is_open:
            return True
        self._whereabouts.confirm(self._target)
        try:
            self._wire.open(min(wait, CONNECT_SECONDS))
        except (OSError, ValueError) as error:  # a ValueError is about a name
            raise cannot_connect(self._target, error) from None
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
            raise cannot_read(self._target, error, received, first=first) from None

    def _send(self, query: tuple[Pair, ...], cycle: Cycle, wait: float) -> HTTPResponse:
        http = self._source.http
        paging = {name for name, _ in query}
        own = [
            (name, templates.in_query(value, cycle))
            for name, value in http.query
            if name not in paging
        ]
        path = quote(templates.in_path(http.path, cycle), safe=_KEPT_IN_PATHS)
        if params := [*own, *query]:
            path += "?" + urlencode(params, quote_via=quote)
        body = templates.in_body(http.body, cycle).encode() if http.body is not None else None
        return self._wire.send(http.method, path, self._headers, body, wait)

    def _content(self, response: HTTPResponse) -> Iterator[bytes]:
        received = self._received(response)
        for data in decoded(received, response.getheader("content-encoding")):
            self.bytes += len(data)
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


def _headers(
    source: EffectiveSource, credentials: Credentials | None, target: Target
) -> list[tuple[str, bytes]]:
    host = f"[{target.host}]" if ":" in target.host else target.host
    named: dict[str, str] = {
        "host": target.server_name or f"{host}:{target.port}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": f"licenseusage/{__version__}",
    }
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
    return [(name, value.encode()) for name, value in named.items()]
