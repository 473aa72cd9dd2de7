"""A source of activity, as the user writes it.

A source has two independent parts: how it is read (``http`` or ``jetstream``) and what the items
mean (``users``). Later kinds become optional siblings of these members; the CEL rules of
:class:`Source` allow exactly one of each.
"""

from typing import Annotated

from pydantic import ConfigDict, Field

from licenseusage.api.fetch import Auth, Http
from licenseusage.api.guarantees import Guarantees
from licenseusage.api.jetstream import Jetstream
from licenseusage.api.model import ApiModel, DnsLabel, Rule, rules
from licenseusage.api.pods import Pods, Service
from licenseusage.api.users import Users


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
