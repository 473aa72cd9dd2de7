"""The meaning of a source's items: users with their last activity, or events with their user."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from licenseusage.api.guarantees import GuaranteeSeconds
from licenseusage.api.model import LIST_TYPE, ApiModel, JMESPath, Rule, rules, set_list

Granularity = Literal["Millisecond", "Second", "Minute", "Hour", "Day"]
UsersAcrossPods = Literal["Any", "Same"]
Normalization = Literal["Trim", "Lowercase", "NFC"]

# CEL's patterns know no "the same again", so each directive of strptime is written out.
_REPEATED = "|".join(f"%{directive}.*%{directive}" for directive in "aAwdbBmyYHIMSfzjpcxXGuVUW")

TimeFormat = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        json_schema_extra=rules(
            Rule(
                "self in ['Auto', 'EpochSeconds', 'EpochMillis'] || self.contains('%')",
                "must be Auto, EpochSeconds, EpochMillis or a strptime pattern such as "
                "'%Y-%m-%d %H:%M:%S'",
            ),
            Rule(
                "!self.contains('%Z')",
                "%Z reads only UTC, GMT and the operator's own zone: use Auto and name the "
                "product's zone in naiveTimezone, or leave it out",
            ),
            Rule(
                f"!self.matches('{_REPEATED}')",
                "repeats a directive, and two values for one part of a time cannot be read: write "
                "each directive once",
            ),
        ),
    ),
]

TimeZone = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        json_schema_extra=rules(
            Rule(
                "self.matches('^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$')",
                "must be an IANA time zone such as UTC or Europe/Berlin",
            )
        ),
    ),
]


class WrittenTime(ApiModel):
    """The format of the product's times."""

    format: TimeFormat | None = Field(
        default=None,
        description="format is Auto (RFC 3339 and other common spellings, or a number since "
        "1970), EpochSeconds, EpochMillis or a strptime pattern. Default: the preset's, otherwise "
        "Auto.",
    )
    naive_timezone: TimeZone | None = Field(
        default=None,
        description="naiveTimezone is the IANA time zone of times that have no offset. Default: "
        "the preset's, otherwise UTC.",
    )
    granularity: Granularity | None = Field(
        default=None,
        description="granularity is the precision of the product's times: Millisecond, Second, "
        "Minute, Hour or Day. Default: the preset's, otherwise Second, or Day for a format "
        "without a time of day.",
    )


class LastActive(WrittenTime):
    """Where a user's last activity is found, and its format."""

    path: JMESPath | None = Field(
        default=None,
        description="path is a JMESPath expression over a user that returns the time of the last "
        "activity. The user was never active if it returns null, an empty text or nothing, or a "
        "value that no activity can have (before 1990, 0 or less, 0000-00-00, before createdAt). "
        "Required, unless the preset gives it.",
    )
    never: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] | None = Field(
        default=None,
        max_length=16,
        json_schema_extra=set_list(),
        description='never lists further values that mean "never active", as the product writes '
        "them, such as Never or 9999-12-31T23:59:59Z.",
    )


class EventTime(WrittenTime):
    """Where the time of an event is found, and its format."""

    path: JMESPath | None = Field(
        default=None,
        description="path is a JMESPath expression over a message that returns the time of its "
        "event. Required, unless the preset gives it.",
    )


class CreatedAt(ApiModel):
    """Where a user's creation time is found; it distinguishes an initial value from an activity."""

    path: JMESPath | None = Field(
        default=None,
        description="path is a JMESPath expression over a user that returns the time of creation, "
        "in the same format as lastActive. Required, unless the preset gives it.",
    )
    tolerance_seconds: GuaranteeSeconds | None = Field(
        default=None,
        description="toleranceSeconds is the largest difference between lastActive and createdAt "
        'that still means "never active". Default: the preset\'s, otherwise 0.',
    )


class Users(ApiModel):
    """Users with the time of their last activity, or events with the user who caused them."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.time) || !(has(self.lastActive) || has(self.createdAt))",
                "users.time is for events and users.lastActive and createdAt for listed users: "
                "give those that fit the fetch",
            )
        )
    )

    id: JMESPath | None = Field(
        default=None,
        description="id is a JMESPath expression over a user (for event logs: an event's payload) "
        "that returns a text or an integer which identifies the person permanently. Required, "
        "unless the preset gives it. Ids stay in the operator's memory; the ledger keeps keyed "
        "pseudonyms.",
    )
    last_active: LastActive | None = Field(
        default=None,
        description="lastActive describes where a user's last activity is found. Required with "
        "http, unless the preset gives it.",
    )
    time: EventTime | None = Field(
        default=None,
        description="time describes where an event's time is found in a message, or in an item of "
        "http with events. Required with both, unless the preset gives it.",
    )
    created_at: CreatedAt | None = Field(
        default=None,
        description="createdAt describes where a user's creation time is found. If lastActive "
        "equals it, the user was never active.",
    )
    exclude: JMESPath | None = Field(
        default=None,
        description="exclude is a JMESPath expression over a user (for event logs: an event's "
        "payload). Users for whom it returns true are not counted (bots, service accounts).",
    )
    exclude_ids: tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] | None = Field(
        default=None,
        max_length=256,
        json_schema_extra=set_list(),
        description="excludeIds lists ids that are not counted, such as the collector's own. "
        "Everyone who may read this object can see them.",
    )
    across_pods: UsersAcrossPods | None = Field(
        default=None,
        description="acrossPods is Any (all pods serve the same data, so that one is asked) or "
        "Same (every ready pod is asked, and their lists must agree; where they do not, nobody is "
        "ruled out by not being listed). Pods that keep data of their own need a source each. "
        "Default: the preset's, otherwise Any.",
    )
    normalize: tuple[Normalization, ...] | None = Field(
        default=None,
        max_length=3,
        json_schema_extra={LIST_TYPE: "atomic"},
        description="normalize lists the changes made to an id before it is compared, in this "
        "order: Trim, Lowercase, NFC (Unicode normalization form C: one spelling for letters with "
        "accents).",
    )
