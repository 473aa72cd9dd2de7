"""Event logs as they will be read, at a message broker or over HTTP: parts of a source."""

from typing import Literal

import msgspec


class EventLog(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What one message of an event log means, whichever way the log is read.

    Attributes:
        type_path: JMESPath over a message that gives its type; None where all count.
        types: Types that count; empty: all.
        payload_path: JMESPath over a message that gives the payload; None = the message itself.
        payload_encoding: ``JSON``: a value of the message; ``Base64JSON``: a text that holds JSON
            in base64; ``JSONText``: a text that holds JSON.
    """

    type_path: str | None
    types: tuple[str, ...]
    payload_path: str | None
    payload_encoding: Literal["JSON", "Base64JSON", "JSONText"]


class Jetstream(EventLog, frozen=True, omit_defaults=True, kw_only=True):
    """A stream of NATS JetStream with one message for each event.

    Attributes:
        stream: Its name.
    """

    stream: str


class LogSettings(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A request that tells how a product keeps its log.

    Attributes:
        path: Of the request.
        recording: JMESPath that is true while events are recorded; None: it does not tell.
        retention_seconds: JMESPath to how long an event is kept; None: it does not tell.
    """

    path: str
    recording: str | None = None
    retention_seconds: str | None = None


class HttpLog(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A log whose events ``http`` returns, sorted by their time.

    Attributes:
        newest_first: Answers begin with the newest event; else with the oldest.
        id: JMESPath to what distinguishes an event; None: its user and its time.
        retention_ms: R: an event is kept for so long after it happened; None: for ever, or
        settings: tell.
    """

    newest_first: bool
    id: str | None = None
    retention_ms: int | None = None
    settings: LogSettings | None = None


class RedisStream(EventLog, frozen=True, omit_defaults=True, kw_only=True):
    """A Redis stream with one entry for each event.

    Attributes:
        stream: Its key.
        database: Number of the logical database.
        field: Field of an entry that holds the event as JSON; None: the fields are the event.
    """

    stream: str
    database: int = 0
    field: str | None = None
