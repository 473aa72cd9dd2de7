"""A source of activity, as the user writes it.

A source has two independent parts: how it is read (``http``, ``prometheus``, ``jetstream`` or
``redis``) and what the answer means (``users`` or ``count``). Later kinds become optional siblings
of these members; the CEL rules of :class:`Source` allow exactly one of each. With ``push`` it is
not read: the product sends its activity, in a fixed form.
"""

from typing import Annotated

from pydantic import ConfigDict, Field

from licenseusage.api import brokers, counting, fetch, httplog, pagination, push, window
from licenseusage.api.auth import Auth
from licenseusage.api.counting import CountOf
from licenseusage.api.fetch import Http
from licenseusage.api.guarantees import Guarantees
from licenseusage.api.httplog import HttpEvents
from licenseusage.api.jetstream import Jetstream
from licenseusage.api.model import ApiModel, ConfigMapRef, DnsLabel, Rule, rules
from licenseusage.api.pods import Pods, Service
from licenseusage.api.prometheus import Prometheus
from licenseusage.api.push import Push
from licenseusage.api.redisstream import RedisStream
from licenseusage.api.users import Users
from licenseusage.api.window import Window


class Source(ApiModel):
    """One place where activity can be read."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            *push.OF_SOURCE,
            Rule(
                "has(self.pods) ? !has(self.service) && !has(self.endpoint) : !(has(self.service) "
                "&& has(self.endpoint))",
                "give one of pods, service and endpoint: a source is asked at one place",
                "'source ' + self.name + ': give one of pods, service and endpoint: a source is "
                "asked at one place'",
            ),
            Rule(
                "!has(self.presetConfigMapRef) || has(self.preset)",
                "presetConfigMapRef is given without preset: preset names the key of the "
                "ConfigMap, without .yaml",
                "'source ' + self.name + ' has presetConfigMapRef and no preset: preset names the "
                "key of the ConfigMap, without .yaml'",
                reason="FieldValueRequired",
                field_path=".presetConfigMapRef",
            ),
            Rule(
                "has(self.push) || has(self.service) || has(self.endpoint) || (has(self.pods) && "
                "has(self.pods.selector))",
                "pods.selector is missing: name the labels of the product's pods in "
                "pods.selector.matchLabels",
                "'source ' + self.name + ' has no pods.selector: name the labels of the "
                "product\\'s pods in pods.selector.matchLabels'",
                reason="FieldValueRequired",
                field_path=".pods",
            ),
            Rule(
                "has(self.push) || has(self.service) || has(self.endpoint) || has(self.preset) || "
                "(has(self.pods) && has(self.pods.port))",
                "pods.port is missing: name the container port, or a preset that knows it",
                "'source ' + self.name + ' has no pods.port: name the container port, or a preset "
                "that knows it'",
                reason="FieldValueRequired",
                field_path=".pods",
            ),
            Rule(
                "has(self.preset) || !has(self.http) || !has(self.http.body)",
                "http.body goes with a preset whose product lists its users by POST: remove body",
                reason="FieldValueForbidden",
                field_path=".http.body",
            ),
            Rule(
                f"has(self.preset) || has(self.push) || {brokers.READ} || has(self.prometheus) || "
                "(has(self.http) && has(self.http.path))",
                "http.path is missing: say what to request, give jetstream or redis instead, or "
                "name a preset (`licenseusage preset list`)",
                "'source ' + self.name + ' has no http.path: say what to request, give jetstream "
                "or redis instead, or name a preset (`licenseusage preset list`)'",
                reason="FieldValueRequired",
                field_path=".http",
            ),
            Rule(
                f"has(self.preset) || has(self.push) || {brokers.READ} || has(self.count) || "
                "has(self.prometheus) || has(self.events) || (has(self.users) && "
                "has(self.users.id) && (has(self.window) || (has(self.users.lastActive) && "
                "has(self.users.lastActive.path))))",
                "users.id or users.lastActive.path is missing: say where a user's id and last "
                "activity stand (or, of a list without times, give its window), or name a preset "
                "(`licenseusage preset list`)",
                "'source ' + self.name + ' has no users.id or no users.lastActive.path: say where "
                "a user\\'s id and last activity stand (or, of a list without times, give its "
                "window), or name a preset (`licenseusage preset list`)'",
                reason="FieldValueRequired",
                field_path=".users",
            ),
            Rule(
                "has(self.preset) || !has(self.auth) || !has(self.auth.login) || "
                "(has(self.auth.login.path) && (!has(self.auth.login.token) || "
                "has(self.auth.login.token.path)))",
                "auth.login.path or auth.login.token.path is missing: give the path of the login, "
                "and where its answer holds the token",
                reason="FieldValueRequired",
                field_path=".auth",
            ),
            Rule(
                "has(self.preset) || !has(self.auth) || !has(self.auth.oauth2) || "
                "has(self.auth.oauth2.tokenPath)",
                "auth.oauth2.tokenPath is missing: give the path of the token endpoint",
                reason="FieldValueRequired",
                field_path=".auth",
            ),
            Rule(
                "!has(self.window) || has(self.preset) || (has(self.window.type) && "
                "(self.window.type != 'Rolling' || has(self.window.days) || "
                "has(self.window.hours)))",
                "window.type is missing, or window.days for type Rolling: say which activity the "
                "product counts",
                "'source ' + self.name + ' has no window.type, or no window.days for type Rolling: "
                "say which activity the product counts'",
                reason="FieldValueRequired",
                field_path=".window",
            ),
            Rule(
                f"!has(self.window) || !({brokers.READ} || (has(self.users) && "
                "(has(self.users.lastActive) || has(self.users.time))))",
                "window is for answers without times: users.lastActive and users.time say when "
                "each user was active; remove window",
                "'source ' + self.name + ': window is for answers without times: users.lastActive "
                "and users.time say when each user was active; remove window'",
                reason="FieldValueForbidden",
                field_path=".window",
            ),
            *brokers.OF_SOURCE,
            *counting.OF_SOURCE,
            Rule(
                "!has(self.users) || !has(self.users.acrossPods) || self.users.acrossPods == 'Any' "
                "|| !(has(self.service) || has(self.endpoint) || has(self.jetstream))",
                "users.acrossPods Same asks every pod for its list: behind a Service or an "
                "endpoint pods cannot be told apart, and a log is one; use pods and http, or "
                "acrossPods Any",
                reason="FieldValueForbidden",
                field_path=".users.acrossPods",
            ),
            *window.OF_SOURCE,
            *pagination.OF_SOURCE,
            *fetch.OF_SOURCE,
            *httplog.OF_SOURCE,
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
    preset_config_map_ref: ConfigMapRef | None = Field(
        default=None,
        description="presetConfigMapRef names a ConfigMap that comes with the product and holds "
        "the preset, under the key that preset names, with .yaml. It must have the label "
        "licenseusage.dev/preset: 'true'. Such a preset may do no more than this object: it sends "
        "GET requests only, and names no server and no Secret. Default: the preset is one of the "
        "operator's own.",
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
    prometheus: Prometheus | None = Field(
        default=None,
        description="prometheus is a gauge among the product's metrics that states how many users "
        "are active; it is used instead of http. A preset may give it.",
    )
    count: CountOf | None = Field(
        default=None,
        description="count describes a number of active users, instead of users. With http, "
        "count.value says where it stands in the answer. A preset may give it.",
    )
    events: HttpEvents | None = Field(
        default=None,
        description="events says that http returns events, many for each person, between the "
        "times {{range.start}} and {{range.end}} of the request. A preset may give it.",
    )
    redis: RedisStream | None = Field(
        default=None,
        description="redis is a Redis stream that holds the users' events; it is used instead of "
        "http. A preset may give it.",
    )
    push: Push | None = Field(
        default=None,
        description="push says who may send activity to the operator's intake; the product is then "
        "not asked. The operator's settings turn the intake on (docs/push.md).",
    )
    users: Users | None = Field(
        default=None,
        description="users describes the items that are read: users with their last activity, or "
        "events with the user who caused them. A preset may give it.",
    )
    window: Window | None = Field(
        default=None,
        description="window is the span of activity that the product looks at, if its answer "
        "holds no times. A preset may give it.",
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
