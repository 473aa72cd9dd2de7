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
        description="stream is the name of the stream, such as main-queue. The operator reads it "
        "from the cycle's start, by sequence numbers, so that it notices lost messages. Required, "
        "unless the preset gives it.",
    )
    type_path: JMESPath | None = Field(
        default=None,
        description="typePath is a JMESPath expression over a message that returns the type of "
        "its event. Required if types is given, unless the preset gives it.",
    )
    types: tuple[EventType, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        json_schema_extra=set_list(),
        description="types lists the event types that count as activity. Default: the preset's, "
        "otherwise every message counts.",
    )
    payload_path: JMESPath | None = Field(
        default=None,
        description="payloadPath is a JMESPath expression over a message that returns the event's "
        "payload, to which users.id and users.exclude are applied. Default: the preset's, "
        "otherwise the message itself.",
    )
    payload_encoding: PayloadEncoding | None = Field(
        default=None,
        description="payloadEncoding is JSON (the payload is part of the message) or Base64JSON "
        "(the payload is a text that holds JSON in base64). Default: the preset's, otherwise "
        "JSON.",
    )
