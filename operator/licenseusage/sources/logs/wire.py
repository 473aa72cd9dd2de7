"""The wire format of JetStream's API, as far as it is needed.

nats-py's models drop what is needed (the server's time, nanoseconds, limits by bytes) and trust the
answer's shape.
"""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from nats.aio.msg import Msg

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)
_PLACE_TOKENS: Final = 9


class StateAnswer(msgspec.Struct):
    """How many messages a stream holds, between which numbers and times."""

    messages: int
    first_seq: int
    last_seq: int
    first_ts: str
    last_ts: str


class ConfigAnswer(msgspec.Struct):
    """The limits of a stream; ``max_age`` in ns, 0 or -1: no limit."""

    retention: str = "limits"
    max_msgs: int = -1
    max_bytes: int = -1
    max_age: int = 0
    max_msgs_per_subject: int = -1
    first_seq: int = 0
    allow_msg_ttl: bool = False
    allow_rollup_hdrs: bool = False


class ErrorAnswer(msgspec.Struct):
    """Why a request was refused: like a status of HTTP, and JetStream's own number."""

    code: int = 0
    err_code: int = 0


class StreamAnswer(msgspec.Struct):
    """Any answer: an error, or the requested data."""

    error: ErrorAnswer | None = None


class InfoAnswer(msgspec.Struct):
    """STREAM.INFO, as far as it is needed; ``ts`` is the server's time (NATS 2.10)."""

    created: str
    state: StateAnswer
    config: ConfigAnswer
    ts: str | None = None


class ConsumerAnswer(msgspec.Struct):
    """CONSUMER.CREATE and CONSUMER.INFO, as far as they are needed."""

    num_pending: int = 0


class Inbox:
    """Collects the server's messages that answer one request."""

    def __init__(self) -> None:
        """Wait for nothing yet."""
        self.messages: list[Msg] = []
        self._wanted = 0
        self._complete = asyncio.Event()

    def await_(self, wanted: int) -> asyncio.Event:
        """Begin a new answer; the event is set when it is complete."""
        self.messages, self._wanted, self._complete = [], wanted, asyncio.Event()
        return self._complete

    async def take(self, raw: Msg) -> None:
        """Take one message, or the status which says that the request is over."""
        # A status comes from the server itself and cannot be answered; a message of the stream
        # might carry any header, also one that looks like a status.
        if raw.reply:
            self.messages.append(raw)
        if not raw.reply or len(self.messages) >= self._wanted:
            self._complete.set()


def place(reply: str) -> tuple[int, int, int, int]:
    """Return (number in the stream, number of the delivery, stored ns, messages left).

    ``$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<ns>.<pending>``, in newer
    servers with a domain and an account before the stream and a random word at the end (NATS
    ADR-15). nats-py's ``Msg.metadata`` makes a float of the nanoseconds.
    """
    tokens = reply.split(".")
    first = 5 if len(tokens) == _PLACE_TOKENS else 7
    sequence, number, stored_ns, left = map(int, tokens[first : first + 4])
    return sequence, number, stored_ns, left


def rfc3339_ms(text: str) -> int:
    """Return a time with up to nine digits of a second in ms since the epoch.

    Raises:
        ValueError: It is no time.
    """
    cut = re.sub(r"(\.\d{6})\d+", r"\1", text)
    return (datetime.fromisoformat(cut) - EPOCH) // MILLISECOND
