"""What the messages of an event log mean, as the user writes it; the same for every kind of log."""

from typing import Annotated, Literal

from pydantic import Field

from licenseusage.api.model import ApiModel, JMESPath, set_list

PayloadEncoding = Literal["JSON", "Base64JSON", "JSONText"]

EventType = Annotated[str, Field(min_length=1, max_length=256)]


class EventLog(ApiModel):
    """The events in a log: one message each, as JSON."""

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
        description="payloadEncoding is JSON (the payload is part of the message), JSONText (the "
        "payload is a text that holds JSON) or Base64JSON (a text that holds JSON in base64). "
        "Default: the preset's, otherwise JSON.",
    )
