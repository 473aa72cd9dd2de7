"""An event log as a source of activity: a Redis stream, as the user writes it."""

from typing import Annotated

from pydantic import Field

from licenseusage.api.eventlog import EventLog
from licenseusage.api.model import Rule, rules

RedisKey = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        json_schema_extra=rules(
            Rule(
                "self.matches('^[!-~]+$')",
                "not a key that can be read: visible ASCII characters only, no white space",
            )
        ),
    ),
]

FieldName = Annotated[str, Field(min_length=1, max_length=128)]


class RedisStream(EventLog):
    """A Redis stream (Redis 7 or newer) that holds one entry for each event."""

    stream: RedisKey | None = Field(
        default=None,
        description="stream is the key of the stream. The operator reads it from the cycle's "
        "start, by the ids that the server gives to entries (XADD with *), so that it notices "
        "trimmed and deleted entries. Required, unless the preset gives it.",
    )
    database: Annotated[int, Field(ge=0, le=9999)] | None = Field(
        default=None, description="database is the number of the logical database. Default: 0."
    )
    field: FieldName | None = Field(
        default=None,
        description="field is the field of an entry that holds the event as JSON. Default: the "
        "preset's, otherwise the entry itself is the message: an object of its fields, as texts, "
        "and of entryTime, the time in ms at which the server stored it.",
    )
