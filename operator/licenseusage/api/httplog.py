"""An event log that a product serves over HTTP, as the user writes it: what ``http`` returns."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from licenseusage.api import brokers
from licenseusage.api.fetch import PATH_RULES
from licenseusage.api.model import ApiModel, JMESPath, Rule, rules

EventOrder = Literal["NewestFirst", "OldestFirst"]

LARGEST_RETENTION_DAYS = 3660


class LogSettings(ApiModel):
    """A request that tells how the product keeps its log; it is made before each reading."""

    path: (
        Annotated[str, Field(min_length=1, max_length=1024, json_schema_extra=rules(*PATH_RULES))]
        | None
    ) = Field(
        default=None,
        description="path is the path of the request, without a query. Required, unless the preset "
        "gives it.",
    )
    recording: JMESPath | None = Field(
        default=None,
        description="recording is a JMESPath expression over the answer that returns true while "
        "the product records the events that count. While it returns anything else the log proves "
        "nothing, and the status says that it is switched off.",
    )
    retention_seconds: JMESPath | None = Field(
        default=None,
        description="retentionSeconds is a JMESPath expression over the answer that returns for "
        "how many seconds the product keeps an event. 0, null or nothing means for ever.",
    )


class HttpEvents(ApiModel):
    """The items of ``http`` are events, sorted by time, many for each person."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.retentionDays) || !has(self.settings) || "
                "!has(self.settings.retentionSeconds)",
                "retentionDays and settings.retentionSeconds both say how long events are kept: "
                "give one of them",
            )
        )
    )

    order: EventOrder | None = Field(
        default=None,
        description="order is the order of the answers by users.time: NewestFirst or OldestFirst. "
        "Required, unless the preset gives it.",
    )
    id: JMESPath | None = Field(
        default=None,
        description="id is a JMESPath expression over an event that returns what distinguishes it "
        "from all others. Default: the preset's, otherwise its user and its time.",
    )
    retention_days: Annotated[int, Field(ge=1, le=LARGEST_RETENTION_DAYS)] | None = Field(
        default=None,
        description="retentionDays is the number of days for which the product keeps an event. "
        "Events that expire before they are read are a gap of the cycle. Default: for ever.",
    )
    settings: LogSettings | None = Field(
        default=None,
        description="settings is a request that tells whether the product records events, and how "
        "long it keeps them.",
    )


OF_SOURCE = (
    Rule(
        f"!has(self.events) || !({brokers.READ} || has(self.prometheus) || has(self.count))",
        "events is about the answers of http, and is no count of users: remove events, or "
        "jetstream, redis, prometheus and count",
        field_path=".events",
    ),
    Rule(
        "has(self.preset) || !has(self.events) || (has(self.events.order) && "
        "(!has(self.events.settings) || has(self.events.settings.path)))",
        "events.order is missing, or events.settings has no path: say whether answers begin with "
        "the newest or the oldest event, and what to request for the settings",
        reason="FieldValueRequired",
        field_path=".events",
    ),
    Rule(
        "!has(self.events) || !has(self.http) || !has(self.http.format) || "
        "self.http.format != 'NDJSON'",
        "http.format NDJSON is for lists of users: events come as one document",
        field_path=".http.format",
    ),
)
"""Rules of a source about its log; ``self`` is the source."""
