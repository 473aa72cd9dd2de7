"""An event log as a source of activity: a stream of NATS JetStream, as the user writes it."""

from typing import Annotated, Literal

from pydantic import Field

from licenseusage.api.fetch import JMESPath
from licenseusage.api.model import ApiModel, Rule, rules, set_list

PayloadEncoding = Literal["JSON", "Base64JSON"]

StreamName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=255,
        json_schema_extra=rules(
            Rule(
                "self.matches('^[A-Za-z0-9_-]+$')",
                "not a stream's name: letters, digits, '-' and '_' only",
            )
        ),
    ),
]

EventType = Annotated[str, Field(min_length=1, max_length=256)]


class Jetstream(ApiModel):
    """A stream of NATS JetStream that holds one message for each event, as JSON."""

    stream: StreamName | None = Field(
        default=None,
        description="stream is the name of the stream, such as main-queue. It is read from the "
        "cycle's beginning on, by its sequence numbers, so that lost messages are noticed. "
        "Required, unless the preset names one.",
    )
    type_path: JMESPath | None = Field(
        default=None,
        description="typePath is a JMESPath over a message that gives the type of its event. "
        "Required where types is given, unless the preset has it.",
    )
    types: tuple[EventType, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        json_schema_extra=set_list(),
        description="types are the types of events that count as activity. Without it every "
        "message counts.",
    )
    payload_path: JMESPath | None = Field(
        default=None,
        description="payloadPath is a JMESPath over a message that gives the event's payload, "
        "which users.id and users.exclude are about. Without it they are about the message itself.",
    )
    payload_encoding: PayloadEncoding | None = Field(
        default=None,
        description="payloadEncoding is JSON (the payload is part of the message) or Base64JSON "
        "(a text that holds JSON in base64). JSON if neither this nor the preset says.",
    )
