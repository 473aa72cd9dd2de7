"""Messages of an event log, as every kind of log gives them."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a log.

    Attributes:
        place: Where it stands: what its log numbers its messages by. ``str`` of it names it.
        stored_ms: When the server stored it, ms since the epoch.
        data: Its content: JSON.
    """

    place: Any
    stored_ms: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that came together.

    Attributes:
        messages: In the log's order.
        state: What the server told of its log after it sent them; None: nothing.
    """

    messages: list[Message]
    state: Any = None
