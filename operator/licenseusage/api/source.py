"""A source of activity, as the user writes it.

A source has two independent parts: how it is read (``http`` or ``jetstream``) and what the items
mean (``users``). Later kinds become optional siblings of these members; the CEL rules of
:class:`Source` allow exactly one of each.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from licenseusage.api.fetch import Auth, Http, JMESPath, Pods, Service
from licenseusage.api.jetstream import Jetstream
from licenseusage.api.model import LIST_TYPE, ApiModel, DnsLabel, Rule, rules, set_list

Granularity = Literal["Millisecond", "Second", "Minute", "Hour", "Day"]
Normalization = Literal["Trim", "Lowercase", "NFC"]
Removal = Literal["Never", "ListedOnce", "Unknown"]
Ids = Literal["Stable", "Renamable", "Unknown"]
IdReuse = Literal["Never", "Possible"]
InitialValue = Literal["Empty", "CreationTime"]
Order = Literal["KeyCursor", "ImmutableKey", "Activity", "Unknown"]

GuaranteeSeconds = Annotated[int, Field(ge=0, le=86_400)]

# CEL's patterns know no "the same again", so each directive of strptime is written out.
_REPEATED = "|".join(f"%{one}.*%{one}" for one in "aAwdbBmyYHIMSfzjpcxXGuVUW")

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
                "%Z reads only UTC, GMT and the operator's own zone: leave it out and use "
                "naiveTimezone",
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
        description="id is a JMESPath expression over a user (for jetstream: an event's payload) "
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
        description="time describes where an event's time is found in a message. Required with "
        "jetstream, unless the preset gives it.",
    )
    created_at: CreatedAt | None = Field(
        default=None,
        description="createdAt describes where a user's creation time is found. If lastActive "
        "equals it, the user was never active.",
    )
    exclude: JMESPath | None = Field(
        default=None,
        description="exclude is a JMESPath expression over a user (for jetstream: an event's "
        "payload). Users for whom it returns true are not counted (bots, service accounts).",
    )
    exclude_ids: tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] | None = Field(
        default=None,
        max_length=256,
        json_schema_extra=set_list(),
        description="excludeIds lists ids that are not counted, such as the collector's own. "
        "Everyone who may read this object can see them.",
    )
    normalize: tuple[Normalization, ...] | None = Field(
        default=None,
        max_length=3,
        json_schema_extra={LIST_TYPE: "atomic"},
        description="normalize lists the changes made to an id before it is compared, in this "
        "order: Trim, Lowercase, NFC (Unicode normalization form C: one spelling for letters with "
        "accents).",
    )


class Guarantees(ApiModel):
    """Properties of the product on which the accuracy of the number depends."""

    lag_seconds: GuaranteeSeconds | None = Field(
        default=None,
        description="lagSeconds is the longest delay between an activity and its appearance in "
        "the product's answer. Default: the preset's, otherwise 60.",
    )
    hidden_seconds: GuaranteeSeconds | None = Field(
        default=None,
        description="hiddenSeconds is how long after a recorded activity the product may leave "
        "further activity unrecorded. Default: the preset's, otherwise 0 (activity is what the "
        "product records).",
    )
    clock_skew_seconds: Annotated[int, Field(ge=0, le=300)] | None = Field(
        default=None,
        description="clockSkewSeconds is the largest difference between the product's clock and "
        "the operator's. Default: the difference is measured, by the Date header of each answer; "
        "for jetstream by the server's time (NATS 2.10 or newer).",
    )
    removal: Removal | None = Field(
        default=None,
        description="removal says whether users disappear from the list: Never, ListedOnce (every "
        "active user was listed by an earlier poll) or Unknown. Default: the preset's, otherwise "
        "ListedOnce.",
    )
    ids: Ids | None = Field(
        default=None,
        description="ids says whether an id always belongs to the same person: Stable, Renamable "
        "or Unknown (treated as Renamable, unless the id is a UUID or an integer). Default: the "
        "preset's, otherwise Unknown.",
    )
    id_reuse: IdReuse | None = Field(
        default=None,
        description="idReuse says whether an id may later be given to another person: Never or "
        "Possible. Default: the preset's, otherwise Never.",
    )
    initial_value: InitialValue | None = Field(
        default=None,
        description="initialValue is the value of lastActive for a new user: Empty or "
        "CreationTime (createdAt is then required). Default: the preset's, otherwise Empty.",
    )
    order: Order | None = Field(
        default=None,
        description="order is the order of the list across its pages: KeyCursor (the next page "
        "begins after the last id), ImmutableKey (by id or creation time), Activity (by last "
        "activity, ascending) or Unknown (complete only as one page, or if two passes are equal). "
        "Default: the preset's, otherwise Unknown.",
    )


class Source(ApiModel):
    """One place where activity can be read."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "has(self.pods) ? !has(self.service) && !has(self.endpoint) : !(has(self.service) "
                "&& has(self.endpoint))",
                "give one of pods, service and endpoint: a source is asked at one place",
                "'source ' + self.name + ': give one of pods, service and endpoint: a source is "
                "asked at one place'",
            ),
            Rule(
                "has(self.service) || has(self.endpoint) || (has(self.pods) && "
                "has(self.pods.selector))",
                "pods.selector is missing: name the labels of the product's pods in "
                "pods.selector.matchLabels",
                "'source ' + self.name + ' has no pods.selector: name the labels of the "
                "product\\'s pods in pods.selector.matchLabels'",
                reason="FieldValueRequired",
                field_path=".pods",
            ),
            Rule(
                "has(self.service) || has(self.endpoint) || has(self.preset) || (has(self.pods) && "
                "has(self.pods.port))",
                "pods.port is missing: name the container port, or a preset that knows it",
                "'source ' + self.name + ' has no pods.port: name the container port, or a preset "
                "that knows it'",
                reason="FieldValueRequired",
                field_path=".pods",
            ),
            Rule(
                "!has(self.http) || !has(self.jetstream)",
                "http and jetstream are both given: a source has one way to be read; make two "
                "sources of it",
                "'source ' + self.name + ' has both http and jetstream: a source has one way to be "
                "read; make two sources of it'",
                field_path=".jetstream",
            ),
            Rule(
                "has(self.preset) || !has(self.http) || !has(self.http.body)",
                "http.body goes with a preset whose product lists its users by POST: remove body",
                reason="FieldValueForbidden",
                field_path=".http.body",
            ),
            Rule(
                "has(self.preset) || has(self.jetstream) || (has(self.http) && "
                "has(self.http.path))",
                "http.path is missing: say what to request, give jetstream instead, or name a "
                "preset (`licenseusage preset list`)",
                "'source ' + self.name + ' has no http.path: say what to request, give jetstream "
                "instead, or name a preset (`licenseusage preset list`)'",
                reason="FieldValueRequired",
                field_path=".http",
            ),
            Rule(
                "has(self.preset) || !has(self.jetstream) || (has(self.jetstream.stream) && "
                "(!has(self.jetstream.types) || has(self.jetstream.typePath)))",
                "jetstream.stream is missing, or types is given without typePath: name the "
                "stream, and where a message's type stands",
                "'source ' + self.name + (has(self.jetstream.stream) ? ' has jetstream.types "
                "without typePath: say where the type of a message stands' : ' has no "
                "jetstream.stream: name the stream')",
                reason="FieldValueRequired",
                field_path=".jetstream",
            ),
            Rule(
                "has(self.preset) || has(self.jetstream) || (has(self.users) && "
                "has(self.users.id) && has(self.users.lastActive) && "
                "has(self.users.lastActive.path))",
                "users.id or users.lastActive.path is missing: say where a user's id and last "
                "activity stand, or name a preset (`licenseusage preset list`)",
                "'source ' + self.name + ' has no users.id or no users.lastActive.path: say where "
                "a user\\'s id and last activity stand, or name a preset (`licenseusage preset "
                "list`)'",
                reason="FieldValueRequired",
                field_path=".users",
            ),
            Rule(
                "has(self.preset) || !has(self.jetstream) || (has(self.users) && "
                "has(self.users.id) && has(self.users.time) && has(self.users.time.path))",
                "users.id or users.time.path is missing: say where an event's user and time stand",
                "'source ' + self.name + ' has no users.id or no users.time.path: say where an "
                "event\\'s user and time stand'",
                reason="FieldValueRequired",
                field_path=".users",
            ),
            Rule(
                "!has(self.jetstream) || !has(self.auth) || !has(self.auth.header)",
                "auth.header is for http: a NATS server takes a user and a password (auth.basic)",
                field_path=".auth",
            ),
            Rule(
                "!has(self.pods) || !has(self.pods.scheme) || (has(self.jetstream) ? "
                "self.pods.scheme in ['NATS', 'TLS'] : (!has(self.http) || self.pods.scheme in "
                "['HTTP', 'HTTPS']))",
                "pods.scheme does not fit: HTTP or HTTPS for http, NATS or TLS for jetstream",
                "'source ' + self.name + ': pods.scheme ' + self.pods.scheme + ' does not fit: "
                "HTTP or HTTPS for http, NATS or TLS for jetstream'",
                field_path=".pods",
            ),
            Rule(
                "!has(self.service) || !has(self.service.scheme) || (has(self.jetstream) ? "
                "self.service.scheme in ['NATS', 'TLS'] : (!has(self.http) || self.service.scheme "
                "in ['HTTP', 'HTTPS']))",
                "service.scheme does not fit: HTTP or HTTPS for http, NATS or TLS for jetstream",
                field_path=".service",
            ),
            Rule(
                "!has(self.jetstream) || !has(self.guarantees) || !(has(self.guarantees.removal) "
                "|| has(self.guarantees.order) || has(self.guarantees.hiddenSeconds) || "
                "has(self.guarantees.initialValue))",
                "removal, order, hiddenSeconds and initialValue are about lists of users: what a "
                "log still holds is found by its sequence numbers; remove them",
                field_path=".guarantees",
            ),
            Rule(
                "has(self.preset) || !has(self.http) || !has(self.http.pagination) || "
                "!has(self.http.pagination.type) || self.http.pagination.type != 'Offset' || "
                "(has(self.http.pagination.offsetParam) && has(self.http.pagination.limitParam) && "
                "has(self.http.pagination.size))",
                "pagination of type Offset needs offsetParam, limitParam and size",
                "'source ' + self.name + ': pagination of type Offset needs offsetParam, "
                "limitParam and size'",
                reason="FieldValueRequired",
                field_path=".http.pagination",
            ),
            Rule(
                "has(self.preset) || !has(self.http) || !has(self.http.pagination) || "
                "!has(self.http.pagination.type) || self.http.pagination.type != 'Cursor' || "
                "has(self.http.pagination.params)",
                "pagination of type Cursor needs params",
                "'source ' + self.name + ': pagination of type Cursor needs params'",
                reason="FieldValueRequired",
                field_path=".http.pagination",
            ),
            Rule(
                "has(self.preset) || !has(self.guarantees) || !has(self.guarantees.initialValue) "
                "|| self.guarantees.initialValue != 'CreationTime' || (has(self.users) && "
                "has(self.users.createdAt) && has(self.users.createdAt.path))",
                "guarantees.initialValue is CreationTime, but users.createdAt.path is missing: "
                "say where the creation time stands",
                "'source ' + self.name + ': guarantees.initialValue is CreationTime, but "
                "users.createdAt.path is missing: say where the creation time stands'",
                reason="FieldValueRequired",
                field_path=".users",
            ),
        )
    )

    name: DnsLabel = Field(
        description="name identifies the source within this object. Facts are stored under it."
    )
    preset: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None,
        description="preset is the name of a predefined source, such as OpenCloud or Standard "
        "(`licenseusage preset list`). Values given here replace the preset's: members one by "
        "one, lists as a whole.",
    )
    activity_definition: Annotated[str, Field(min_length=1, max_length=256)] | None = Field(
        default=None,
        description="activityDefinition describes in words which activity is counted, such as "
        "'OIDC sign-in or token renewal'. It is copied into the signed report.",
    )
    interval_minutes: Annotated[int, Field(ge=1, le=1440)] | None = Field(
        default=None,
        description="intervalMinutes is the time between two polls. Default: the preset's, "
        "otherwise 15. For lists it is at least 100 times the duration of a poll. If a log holds "
        "more than one poll may read, the next poll follows at once.",
    )
    pods: Pods | None = Field(
        default=None, description="pods selects the pods to ask, and sets how to ask them."
    )
    service: Service | None = Field(
        default=None,
        description="service is a Service of this namespace that is asked instead of pods.",
    )
    endpoint: DnsLabel | None = Field(
        default=None,
        description="endpoint is the name of a server outside this namespace that is asked "
        "instead of pods. Its address, and the namespaces that may use it, are part of the "
        "operator's settings.",
    )
    auth: Auth | None = Field(
        default=None,
        description="auth sets how the operator authenticates to the product. Default: the "
        "preset's, otherwise no credentials are sent.",
    )
    http: Http | None = Field(
        default=None,
        description="http is the request that lists the users. A preset may give it.",
    )
    jetstream: Jetstream | None = Field(
        default=None,
        description="jetstream is a NATS JetStream stream that holds the users' events; it is "
        "used instead of http. A preset may give it.",
    )
    users: Users | None = Field(
        default=None,
        description="users describes the items that are read: users with their last activity, or "
        "events with the user who caused them. A preset may give it.",
    )
    identity: DnsLabel | None = Field(
        default=None,
        description="identity names the kind of ids that this source uses. Users of sources with "
        "the same identity are matched by id. Between sources with different identities nobody "
        "can be matched, which widens the bounds. Default: product.",
    )
    guarantees: Guarantees | None = Field(
        default=None,
        description="guarantees are properties of the product on which the accuracy of the number "
        "depends. The signed report names them.",
    )
