"""Connections that write down a product's answers, and that give them again without a network."""

import io
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPResponse
from typing import Final, cast

from licenseusage.clock import Clock
from licenseusage.reasons import Reason
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.trouble import size_of
from licenseusage.sources.http.wire import Wire, content, shows_its_end
from licenseusage.sources.poll import Target

_OK = 200
_FRAMING: Final = ("content-length", "transfer-encoding", "connection")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer with status 200.

    Attributes:
        sent_ms: Just before it was asked for, our clock, ms since the epoch.
        received_ms: When it was there.
        headers: As received, those that say how long it is left out.
        body: As received.
        ends: Its content shows where it ends (``Head.ends``).
    """

    sent_ms: int
    received_ms: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    ends: bool

    def response(self) -> HTTPResponse:
        """Return it as the standard library would have read it from a connection."""
        length = [("Content-Length", str(len(self.body)))] if self.ends else []
        lines = [f"{name}: {value}\r\n" for name, value in (*self.headers, *length)]
        head = "".join(("HTTP/1.1 200 OK\r\n", *lines, "Connection: close\r\n\r\n"))
        heard = HTTPResponse(cast("socket.socket", _Heard(head.encode("latin-1") + self.body)))
        heard.begin()
        return heard


class _Heard:
    """What a connection has received."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


class Recorder:
    """Opens connections whose answers are kept."""

    def __init__(self, clock: Clock, most_bytes: int) -> None:
        """Begin with no answers; one that is larger than ``most_bytes`` ends the poll."""
        self._clock, self._most_bytes = clock, most_bytes
        self.answers: list[Answer] = []

    def wire(self, target: Target, trust: ssl.SSLContext | None) -> Wire:
        """Return a connection that is not open yet."""
        return _RecordingWire(target, trust, self._clock, self._most_bytes, self.answers.append)


class _RecordingWire(Wire):
    def __init__(
        self,
        target: Target,
        trust: ssl.SSLContext | None,
        clock: Clock,
        most_bytes: int,
        keep: Callable[[Answer], None],
    ) -> None:
        super().__init__(target, trust)
        self._clock, self._most_bytes, self._keep = clock, most_bytes, keep

    def send(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[str, bytes]],
        body: bytes | None,
        seconds: float,
    ) -> HTTPResponse:
        sent_ms = self._clock.now_ms()
        response = super().send(method, path, headers, body, seconds)
        if response.status != _OK:
            return response
        ends = shows_its_end(response)
        data = self._whole(response)
        if not ends:
            self.close()
        kept = _without_framing(response.headers)
        answer = Answer(sent_ms, self._clock.now_ms(), kept, data, ends)
        self._keep(answer)
        return answer.response()

    def _whole(self, response: HTTPResponse) -> bytes:
        data = bytearray()
        for chunk in content(response):
            data += chunk
            if len(data) > self._most_bytes:
                raise PollError(
                    Reason.POLL_TOO_LARGE,
                    f"an answer is larger than {size_of(self._most_bytes)}. Ask for fewer fields "
                    "or smaller pages, or raise --poll-bytes.",
                )
        return bytes(data)


class Replayer:
    """Opens connections on which kept answers come again, in their order; a `Clock`, too.

    The time is that at which the product was asked.
    """

    def __init__(self, answers: Sequence[Answer]) -> None:
        """Begin with the first answer; there is one at least."""
        self._left = iter(answers)
        self._now_ms = answers[0].sent_ms

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        return self._now_ms

    def wire(self, target: Target, _trust: ssl.SSLContext | None) -> Wire:
        """Return a connection to nobody."""
        return _ReplayingWire(target, self._next)

    def _next(self) -> HTTPResponse:
        answer = next(self._left, None)
        if answer is None:
            raise PollError(
                Reason.CAPTURE_INVALID,
                "the capture has fewer answers than this source asks for. Record it anew.",
            )
        self._now_ms = answer.received_ms
        return answer.response()


class _ReplayingWire(Wire):
    def __init__(self, target: Target, following: Callable[[], HTTPResponse]) -> None:
        super().__init__(target, None)
        self._following = following

    @property
    def is_open(self) -> bool:
        return True

    def send(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[str, bytes]],
        body: bytes | None,
        seconds: float,
    ) -> HTTPResponse:
        return self._following()


def _without_framing(headers: Message) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in headers.items() if name.lower() not in _FRAMING)
