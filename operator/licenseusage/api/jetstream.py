"""An event log as a source of activity: a stream of NATS JetStream, as the user writes it."""

from typing import Annotated

from pydantic import Field

from licenseusage.api.eventlog import EventLog
from licenseusage.api.model import Rule, rules

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


class Jetstream(EventLog):
    """A stream of NATS JetStream that holds one message for each event, as JSON."""

    stream: StreamName | None = Field(
        default=None,
        description="stream is the name of the stream, such as main-queue. The operator reads it "
        "from the cycle's start, by sequence numbers, so that it notices lost messages. Required, "
        "unless the preset gives it.",
    )
