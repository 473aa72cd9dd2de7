"""Each CEL rule of the CRDs with what it accepts and what it refuses, without an API server.

The table is complete: a rule without a line here fails, and so does a line without a rule.
"""

import functools
import re
from collections.abc import Iterator
from typing import Any

import pytest
from cel_expr_python import cel

from licenseusage.api.crd import KINDS, crd

ENVIRONMENT = cel.NewEnv(variables={"self": cel.Type.DYN, "oldSelf": cel.Type.DYN})


def rules_below(schema: Any, path: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield every rule with the path of the place where it stands."""
    for rule in schema.get("x-kubernetes-validations", []):
        yield path, rule
    for name, member in schema.get("properties", {}).items():
        yield from rules_below(member, f"{path}.{name}")
    if "items" in schema:
        yield from rules_below(schema["items"], f"{path}[]")


@functools.cache
def all_rules() -> list[tuple[str, dict[str, str]]]:
    return [
        found
        for kind in KINDS
        for found in rules_below(
            crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"], kind.name
        )
    ]


def day(text: str) -> str:
    """A string with format date, as `with_timestamps` reads it."""
    return f"{text}T00:00:00Z"


def with_timestamps(rule: str) -> str:
    """The API server hands strings with format date over as timestamps; this runtime cannot."""
    return re.sub(r"(self(?:\.\w+)*?)\.(get\w+)\(", r"timestamp(\1).\2(", rule)


IN_FULL: dict[str, Any] = {
    "name": "s",
    "pods": {"selector": {}, "port": 80},
    "http": {"path": "/"},
    "users": {"id": "id", "lastActive": {"path": "t"}},
}
AS_EVENTS: dict[str, Any] = {
    "name": "s",
    "pods": {"selector": {}, "port": 4222},
    "jetstream": {"stream": "main-queue"},
    "users": {"id": "id", "time": {"path": "t"}},
}
AS_REDIS: dict[str, Any] = {
    "name": "s",
    "pods": {"selector": {}, "port": 6379},
    "redis": {"stream": "app:events"},
    "users": {"id": "id", "time": {"path": "t"}},
}
AS_GAUGE: dict[str, Any] = {
    "name": "s",
    "pods": {"selector": {}, "port": 80},
    "prometheus": {"path": "/metrics", "metric": "m"},
    "window": {"type": "Rolling", "days": 30},
}
AS_COUNT: dict[str, Any] = {
    "name": "s",
    "pods": {"selector": {}, "port": 80},
    "http": {"path": "/"},
    "count": {"value": "n"},
    "window": {"type": "Cycle"},
}
OVER_HTTP: dict[str, Any] = {
    "name": "s",
    "pods": {"selector": {}, "port": 80},
    "http": {"path": "/"},
    "events": {"order": "NewestFirst"},
    "users": {"id": "id", "time": {"path": "t"}},
}
PUSHED: dict[str, Any] = {"name": "s", "push": {"serviceAccounts": ["shop"]}}
BY_PRESET: dict[str, Any] = {"name": "s", "preset": "Standard", "pods": {"selector": {}}}


def source(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in (IN_FULL | members).items() if value is not None}


def events(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in (AS_EVENTS | members).items() if value is not None}


def lately(**members: Any) -> dict[str, Any]:
    """A list without times."""
    window = {"type": "Rolling", "days": 30}
    return source(**{"users": {"id": "id"}, "window": window} | members)


def gauge(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in (AS_GAUGE | members).items() if value is not None}


def count(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in (AS_COUNT | members).items() if value is not None}


def over_http(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in (OVER_HTTP | members).items() if value is not None}


def secured(pods: Any, **members: Any) -> dict[str, Any]:
    return source(pods=pods, auth={"clientCertificate": {}}, **members)


def spec(**members: Any) -> dict[str, Any]:
    return {"closeGraceHours": 24, "sources": [BY_PRESET]} | members


def paged(**pagination: Any) -> dict[str, Any]:
    return source(http={"path": "/", "pagination": pagination})


OFFSET = {"type": "Offset", "offsetParam": "o", "limitParam": "l", "size": 5}
PAGE = {"type": "Page", "pageParam": "p", "first": 1}
BY_HEADER = {"type": "HeaderCursor", "header": "X-Next", "cursorParam": "after"}

# rule's message (its beginning) -> values of self that hold, values that do not
TABLE: dict[str, tuple[list[Any], list[Any]]] = {
    "the name must have at most 40": (
        [{"metadata": {"name": "x" * 40}}, {"metadata": {"name": "x"}}],
        [{"metadata": {"name": "x" * 41}}],
    ),
    "must begin with a letter or digit": (
        ["x", "9", "urn:a/b_c.d-e", "X" * 128],
        ["", "-x", ".x", "a b", "a\n", "ä"],
    ),
    "not a service account's name": (
        ["shop", "a-b.c", "9"],
        ["", "Shop", "a_b", "-a", "a-", "system:serviceaccount:x:shop"],
    ),
    "not a source of CloudEvents": (["/shop/web-0", "urn:x:1"], ["", "the shop", "/é", "a\n"]),
    "not a Secret's name": (["a", "a-b.c", "9"], ["", "A", "a_b", "-a", "a-", "a/b", "a\n"]),
    "not a key of a Secret": (["a", "license.jwt", "A_b-c"], ["", "a/b", "a b", "a\n"]),
    "cycle needs exactly one of": (
        [{"lengthDays": 1}, {"lengthMonths": 1}],
        [{}, {"lengthDays": 1, "lengthMonths": 1}],
    ),
    "cycles of months must begin": (
        [
            {"anchorDate": day("2026-01-28"), "lengthMonths": 1},
            {"anchorDate": day("2026-01-31"), "lengthDays": 30},
        ],
        [
            {"anchorDate": day("2026-01-29"), "lengthMonths": 1},
            {"anchorDate": day("2026-01-31"), "lengthMonths": 2},
        ],
    ),
    "must be a day of the years 2000": (
        [day("2000-01-01"), day("2199-12-31")],
        [day("1999-12-31"), day("2200-01-01")],
    ),
    "exactly one of license and cycle": (
        [{"license": {}}, {"cycle": {}}],
        [{}, {"license": {}, "cycle": {}}],
    ),
    "must be sha256: and 64": (
        ["sha256:" + "0" * 64, "sha256:" + "0123456789abcdef" * 4],
        ["sha256:" + "0" * 63, "sha256:" + "A" * 64, "0" * 64, "", "sha256:" + "0" * 64 + "\n"],
    ),
    "reporting.adoptHead goes with license only": (
        [{"license": {}, "reporting": {"adoptHead": "x"}}, {"cycle": {}, "reporting": {}}, {}],
        [{"cycle": {}, "reporting": {"adoptHead": "x"}}],
    ),
    "maximumActiveUsers goes with cycle only": (
        [{"license": {}}, {"cycle": {}, "maximumActiveUsers": 5}, {"cycle": {}}],
        [{"license": {}, "maximumActiveUsers": 5}, {"license": {}, "maximumActiveUsers": 0}],
    ),
    "closeGraceHours must not be longer": (
        [
            spec(license={}),
            spec(cycle={"lengthDays": 1}),
            spec(cycle={"lengthMonths": 1}, closeGraceHours=168),
        ],
        [spec(cycle={"lengthDays": 1}, closeGraceHours=25)],
    ),
    "closeGraceHours is shorter than": (
        [
            spec(),
            spec(sources=[{"intervalMinutes": 720}]),
            spec(sources=[{"guarantees": {"lagSeconds": 86400}}]),
            spec(sources=[{"guarantees": {}}]),
        ],
        [
            spec(sources=[{"intervalMinutes": 721}]),
            spec(sources=[{}, {"intervalMinutes": 720, "guarantees": {"lagSeconds": 1}}]),
        ],
    ),
    "combine Same needs sources of one identity": (
        [
            spec(combine="Union", sources=[{"identity": "a"}, {"identity": "b"}]),
            spec(combine="Same", sources=[{"identity": "a"}, {"identity": "a"}]),
            spec(combine="Same", sources=[{}, {}]),
            spec(combine="Same", sources=[{}, {"identity": "product"}]),
        ],
        [
            spec(combine="Same", sources=[{"identity": "a"}, {"identity": "b"}]),
            spec(combine="Same", sources=[{"identity": "product"}, {}, {"identity": "b"}]),
            spec(combine="Same", sources=[{"identity": "a"}, {}]),
        ],
    ),
    "must be lower-case letters, digits": (["graph", "g-1", "9"], ["", "G", "-a", "a-", "a.b"]),
    "presetConfigMapRef is given without preset": (
        [BY_PRESET, BY_PRESET | {"presetConfigMapRef": {"name": "presets"}}],
        [source(presetConfigMapRef={"name": "presets"})],
    ),
    "push is given": (
        [source(), BY_PRESET, PUSHED, PUSHED | {"preset": "StandardPush", "users": {}}],
        [
            PUSHED | {name: {}}
            for name in (
                *("pods", "service", "endpoint", "auth", "http", "jetstream"),
                *("redis", "prometheus", "events", "count", "window"),
            )
        ],
    ),
    "push is missing": (
        [source(), BY_PRESET, PUSHED, PUSHED | {"preset": "StandardPush"}],
        [{"name": "s", "preset": "StandardPush"}],
    ),
    "with push the form of an event is fixed": (
        [source(), PUSHED, PUSHED | {"users": {"excludeIds": ["a"], "normalize": ["Trim"]}}],
        [
            PUSHED | {"users": {name: {}}}
            for name in ("id", "lastActive", "time", "createdAt", "exclude", "acrossPods")
        ],
    ),
    "with push there are clockSkewSeconds": (
        [
            *(PUSHED, source(guarantees={"lagSeconds": 1})),
            PUSHED | {"guarantees": {"clockSkewSeconds": 1, "ids": "Stable"}},
        ],
        [
            PUSHED | {"guarantees": {name: {}}}
            for name in (
                *("lagSeconds", "removal", "order", "hiddenSeconds", "initialValue"),
                *("ageSeconds", "completeness", "durability"),
            )
        ],
    ),
    "give one of pods, service and endpoint": (
        [source(), BY_PRESET, source(pods=None, service={}), source(pods=None, endpoint="e")],
        [source(service={}), source(endpoint="e"), source(pods=None, service={}, endpoint="e")],
    ),
    "pods.selector is missing": (
        [source(), BY_PRESET, source(pods=None, service={}), source(pods=None, endpoint="e")],
        [{"name": "s"}, source(pods={})],
    ),
    "pods.port is missing": (
        [source(), BY_PRESET, source(pods=None, service={}), source(pods=None, endpoint="e")],
        [source(pods={"selector": {}}), source(pods=None)],
    ),
    "http.path is missing": (
        [source(), BY_PRESET, events(), gauge(), count()],
        [source(http=None), source(http={})],
    ),
    "two of http, jetstream and redis are given": (
        [source(), BY_PRESET, events(), AS_REDIS, BY_PRESET | {"jetstream": {}}],
        [
            source(jetstream={"stream": "s"}),
            BY_PRESET | {"http": {}, "jetstream": {}},
            source(redis={"stream": "s"}),
            events(redis={"stream": "s"}),
        ],
    ),
    "jetstream.stream is missing": (
        [
            *(source(), BY_PRESET, events(), BY_PRESET | {"jetstream": {"types": ["a"]}}),
            events(jetstream={"stream": "s", "types": ["a"], "typePath": "t"}),
        ],
        [events(jetstream={}), events(jetstream={"stream": "s", "types": ["a"]})],
    ),
    "events is about the answers of http": (
        [source(), BY_PRESET, events(), over_http(), BY_PRESET | {"events": {}}],
        [
            *(events(events={}), gauge(events={}), count(events={})),
            BY_PRESET | {"jetstream": {}, "events": {}},
        ],
    ),
    "events.order is missing": (
        [
            *(source(), BY_PRESET | {"events": {"settings": {}}}, over_http()),
            over_http(events={"order": "OldestFirst", "settings": {"path": "/s"}}),
        ],
        [over_http(events={}), over_http(events={"order": "OldestFirst", "settings": {}})],
    ),
    "http.format NDJSON is for lists of users": (
        [source(http={"path": "/", "format": "NDJSON"}), over_http()],
        [over_http(http={"path": "/", "format": "NDJSON"})],
    ),
    "retentionDays and settings.retentionSeconds": (
        [
            *({"retentionDays": 31}, {"settings": {"retentionSeconds": "s"}}),
            {"retentionDays": 31, "settings": {"recording": "on"}},
        ],
        [{"retentionDays": 31, "settings": {"retentionSeconds": "s"}}],
    ),
    "redis.stream is missing": (
        [source(), AS_REDIS, BY_PRESET | {"redis": {"types": ["a"]}}],
        [AS_REDIS | {"redis": {}}, AS_REDIS | {"redis": {"stream": "s", "types": ["a"]}}],
    ),
    "not a key that can be read": (
        ["app:events", "{tenant}.audit/1", "a"],
        ["", "two words", "line\n", "caf\u00e9", "tab\t"],
    ),
    "guarantees.durability is about redis": (
        [source(), AS_REDIS | {"guarantees": {"durability": "Durable"}}],
        [
            source(guarantees={"durability": "Unknown"}),
            events(guarantees={"durability": "Durable"}),
        ],
    ),
    "users.id or users.time.path is missing": (
        [source(), BY_PRESET, events(), AS_REDIS, over_http()],
        [
            AS_REDIS | {"users": {"id": "id"}},
            events(users=None),
            events(users={"id": "id"}),
            events(users={"id": "id", "time": {}}),
            events(users={"time": {"path": "t"}}),
            events(users={"id": "id", "lastActive": {"path": "t"}}),
            over_http(users={"id": "id"}),
        ],
    ),
    "users.time is for events": (
        [{}, {"time": {}}, {"lastActive": {}, "createdAt": {}}],
        [{"time": {}, "lastActive": {}}, {"time": {}, "createdAt": {}}],
    ),
    "auth.header, auth.oauth2 and auth.login are for http": (
        [
            *(events(), events(auth={"basic": {}}), source(auth={"header": {}}), BY_PRESET),
            events(auth={"clientCertificate": {}}),
        ],
        [
            *(events(auth={kind: {}}) for kind in ("header", "oauth2", "login")),
            AS_REDIS | {"auth": {"header": {}}},
            events(auth={"clientCertificate": {}, "header": {}}),
        ],
    ),
    "auth.clientCertificate needs TLS": (
        [
            *(source(), source(auth={"header": {}}), source(auth={"clientCertificate": {}})),
            secured({"selector": {}, "scheme": "HTTPS"}),
            secured(None, service={"scheme": "HTTPS"}),
            secured(None, endpoint="e"),
            BY_PRESET | {"auth": {"clientCertificate": {}}},
        ],
        [
            secured({"selector": {}, "scheme": "HTTP"}),
            secured({"selector": {}, "scheme": "NATS"}),
            secured({"selector": {}, "scheme": "REDIS"}),
            secured(None, service={"scheme": "HTTP"}),
        ],
    ),
    "auth.login.path or auth.login.token.path is missing": (
        [
            *(source(), source(auth={"header": {}}), source(auth={"login": {"path": "/login"}})),
            source(auth={"login": {"path": "/login", "token": {"path": "t"}}}),
            BY_PRESET | {"auth": {"login": {"token": {}}}},
        ],
        [
            source(auth={"login": {}}),
            source(auth={"login": {"token": {"path": "t"}}}),
            source(auth={"login": {"path": "/login", "token": {}}}),
        ],
    ),
    "the last part of the path is none of login": (
        [
            *("/login", "/api/v1/security/login", "/api/sessions", "/auth/", "/Sign_In.php"),
            *("/api/token/refresh/", "/web/session/authenticate", "/x/obtain-token"),
        ],
        [
            *("/admin", "/users", "/login/revoke", "/restart;login", "/a;b/login", "/loginx"),
            *("/restart%2flogin", "/login?x", "/login\n", "/", "login", "/users/author"),
        ],
    ),
    "give exactly one of secretKey and value": (
        [{"name": "a", "secretKey": "k"}, {"name": "a", "value": ""}],
        [{"name": "a"}, {"name": "a", "secretKey": "k", "value": "v"}],
    ),
    "auth.oauth2.tokenPath is missing": (
        [
            *(source(), source(auth={"header": {}}), source(auth={"oauth2": {"tokenPath": "/t"}})),
            BY_PRESET | {"auth": {"oauth2": {}}},
        ],
        [source(auth={"oauth2": {}})],
    ),
    "give one of service and endpoint: a token": (
        [{}, {"service": {}}, {"endpoint": "e"}],
        [{"service": {}, "endpoint": "e"}],
    ),
    "a token is requested by HTTP": (
        [{}, {"service": {}}, {"service": {"scheme": "HTTP"}}, {"service": {"scheme": "HTTPS"}}],
        [{"service": {"scheme": "NATS"}}, {"service": {"scheme": "TLS"}}],
    ),
    "the last part of the path does not contain 'token'": (
        [
            *("/token", "/oauth/token/", "/as/token.oauth2", "/login/oauth/access_token"),
            *("/realms/x%20y/protocol/openid-connect/token", "/oauth2/v2.0/Token"),
        ],
        [
            *("/users", "/token/revoke", "/restart;token", "/a;b/token", "/restart?token", "/"),
            *("/restart%2ftoken", "/token\n", "/token/users/1", "/to/ken"),
        ],
    ),
    "not a scope": (
        ["openid", "users:read", "https://x/.default", "!", "[a]"],
        ["", "a b", 'a"b', "a\\b", "a\n", "ä"],
    ),
    "pods.scheme does not fit": (
        [
            *(source(), events(), BY_PRESET, BY_PRESET | {"pods": {"scheme": "NATS"}}),
            *(source(pods={"selector": {}, "port": 1, "scheme": s}) for s in ("HTTP", "HTTPS")),
            *(events(pods={"selector": {}, "port": 1, "scheme": s}) for s in ("NATS", "TLS")),
            AS_REDIS | {"pods": {"selector": {}, "port": 1, "scheme": "REDIS"}},
        ],
        [
            *(source(pods={"selector": {}, "port": 1, "scheme": s}) for s in ("NATS", "TLS")),
            *(events(pods={"selector": {}, "port": 1, "scheme": s}) for s in ("HTTP", "REDIS")),
            AS_REDIS | {"pods": {"selector": {}, "port": 1, "scheme": "NATS"}},
        ],
    ),
    "service.scheme does not fit": (
        [
            *(source(pods=None, service={"scheme": s}) for s in ("HTTP", "HTTPS")),
            *(events(pods=None, service={"scheme": s}) for s in ("NATS", "TLS")),
            *(source(), BY_PRESET | {"service": {"scheme": "NATS"}}, source(service={})),
        ],
        [
            *(source(pods=None, service={"scheme": s}) for s in ("NATS", "TLS")),
            *(events(pods=None, service={"scheme": s}) for s in ("HTTP", "HTTPS")),
        ],
    ),
    "two sources state numbers": (
        [spec(sources=[AS_GAUGE, IN_FULL, AS_EVENTS]), spec(sources=[AS_COUNT]), spec()],
        [
            spec(sources=[AS_GAUGE, AS_COUNT | {"name": "t"}]),
            spec(sources=[AS_COUNT, IN_FULL | {"name": "t"}, AS_COUNT | {"name": "u"}]),
        ],
    ),
    "prometheus is given beside http": (
        [source(), gauge(), count(), events(), BY_PRESET | {"prometheus": {}}],
        [gauge(http={"path": "/"}), gauge(jetstream={"stream": "s"})],
    ),
    "window of type Cycle is for requests": (
        [gauge(), count(), gauge(window={"days": 1}), gauge(window=None)],
        [gauge(window={"type": "Cycle"})],
    ),
    "count and prometheus state a number": (
        [source(), gauge(), count(), events(), BY_PRESET | {"count": {"ownAccounts": 1}}],
        [gauge(users={}), count(users={"id": "id"}), events(count={"value": "n"}, users=None)],
    ),
    "prometheus.path or prometheus.metric is missing": (
        [source(), gauge(), BY_PRESET | {"prometheus": {"matchLabels": {}}}],
        [gauge(prometheus=one) for one in ({}, {"path": "/"}, {"metric": "m"})],
    ),
    "not a metric's name": (
        ["users_active", "job:users:sum", "_x9"],
        ["", "9x", "a-b", "a b", 'a{b="c"}', "ä", "a\n"],
    ),
    "count.value is missing": (
        [gauge(), count(), gauge(count={"ownAccounts": 1}), BY_PRESET | {"count": {}}],
        [count(count={}), count(count={"precision": "Estimated"})],
    ),
    "count.value is for http": (
        [gauge(count={}), count(), source()],
        [gauge(count={"value": "n"})],
    ),
    "window is missing": (
        [source(), gauge(), count(), BY_PRESET | {"prometheus": {}}],
        [gauge(window=None), count(window=None)],
    ),
    "items, pagination, format, ignoreMembers and validator": (
        [source(http={"path": "/", "items": "a"}), count()],
        [
            count(http={"path": "/", member: value})
            for member, value in (
                ("items", "a"),
                ("pagination", {"type": "None"}),
                ("format", "JSON"),
                ("ignoreMembers", ["next"]),
                ("validator", "ETag"),
            )
        ],
    ),
    "ids, idReuse, initialValue and order": (
        [
            *(gauge(guarantees={"removal": "Never", "lagSeconds": 1}), gauge(), count()),
            source(guarantees={"ids": "Stable", "order": "Unknown"}),
        ],
        [
            made(guarantees=one)
            for made in (gauge, count)
            for one in (
                {"ids": "Stable"},
                {"idReuse": "Never"},
                {"initialValue": "Empty"},
                {"order": "Unknown"},
            )
        ],
    ),
    "completeness is about count": (
        [
            made(guarantees={"completeness": "Complete"})
            for made in (gauge, count, lambda **of: BY_PRESET | of)
        ],
        [made(guarantees={"completeness": "Unknown"}) for made in (source, events)],
    ),
    "ageSeconds is about answers without times": (
        [
            *(made(guarantees={"ageSeconds": 1}) for made in (gauge, count)),
            *(source(), BY_PRESET | {"guarantees": {"ageSeconds": 1}}),
        ],
        [made(guarantees={"ageSeconds": 0}) for made in (source, events)],
    ),
    "users.acrossPods Same asks every pod": (
        [
            source(users={**IN_FULL["users"], "acrossPods": "Same"}),
            source(pods=None, service={}, users={**IN_FULL["users"], "acrossPods": "Any"}),
        ],
        [
            source(pods=None, service={}, users={**IN_FULL["users"], "acrossPods": "Same"}),
            source(pods=None, endpoint="e", users={**IN_FULL["users"], "acrossPods": "Same"}),
            events(users={**AS_EVENTS["users"], "acrossPods": "Same"}),
        ],
    ),
    "http.validator ETag is for a list of users": (
        [
            source(http={"path": "/", "validator": "ETag"}),
            source(
                http={"path": "/", "validator": "ETag"},
                users={**IN_FULL["users"], "acrossPods": "Any"},
            ),
            *(
                source(http={"path": "/", "validator": "None"}, **{member: {}})
                for member in ("window", "events")
            ),
        ],
        [
            source(http={"path": "/", "validator": "ETag"}, window={}),
            source(http={"path": "/", "validator": "ETag"}, events={}),
            source(
                http={"path": "/", "validator": "ETag"},
                users={**IN_FULL["users"], "acrossPods": "Same"},
            ),
        ],
    ),
    "count.acrossPods asks every pod": (
        [
            gauge(count={"acrossPods": "Same"}),
            gauge(pods=None, service={}, count={"acrossPods": "Any"}),
            gauge(pods=None, endpoint="e", count={"ownAccounts": 1}),
        ],
        [
            gauge(pods=None, service={}, count={"acrossPods": "Same"}),
            gauge(pods=None, endpoint="e", count={"acrossPods": "Shards", "shards": 2}),
        ],
    ),
    "shards and acrossPods Shards": (
        [{}, {"acrossPods": "Any"}, {"acrossPods": "Shards", "shards": 2}],
        [{"shards": 2}, {"acrossPods": "Shards"}, {"acrossPods": "Same", "shards": 2}],
    ),
    "days and hours are both given": (
        [{"days": 1}, {"hours": 1}, {"type": "Cycle"}],
        [{"type": "Rolling", "days": 30, "hours": 720}],
    ),
    "days and hours belong to type Rolling": (
        [{"type": "Rolling", "days": 30}, {"days": 30}, {"type": "Cycle"}],
        [{"type": "Cycle", "days": 30}, {"type": "CalendarMonthToDate", "hours": 1}],
    ),
    "timeZone belongs to types RollingCalendarMonth": (
        [
            {"timeZone": "UTC"},
            {"type": "RollingCalendarMonth", "timeZone": "UTC"},
            {"type": "CalendarMonthToDate", "timeZone": "Europe/Berlin"},
            {"type": "Rolling", "days": 30},
        ],
        [{"type": "Rolling", "days": 30, "timeZone": "UTC"}, {"type": "Cycle", "timeZone": "UTC"}],
    ),
    "window.type is missing": (
        [
            *(IN_FULL, BY_PRESET, BY_PRESET | {"window": {"days": 30}}),
            *(
                source(users={"id": "id"}, window=window)
                for window in (
                    {"type": "Rolling", "days": 30},
                    {"type": "Rolling", "hours": 1},
                    {"type": "CalendarMonthToDate"},
                )
            ),
        ],
        [source(users={"id": "id"}, window=window) for window in ({}, {"type": "Rolling"})],
    ),
    "window is for answers without times": (
        [
            *(IN_FULL, AS_EVENTS, BY_PRESET),
            source(users={"id": "id"}, window={"type": "Rolling", "days": 30}),
        ],
        [
            source(window={"type": "Rolling", "days": 30}),
            events(window={"type": "Rolling", "days": 30}),
            source(users={"id": "id", "time": {"path": "t"}}, window={"type": "Cycle"}),
        ],
    ),
    "users.createdAt is for lists with times": (
        [lately(), source(users={"createdAt": {"path": "c"}}), gauge()],
        [lately(users={"id": "id", "createdAt": {"path": "c"}})],
    ),
    "guarantees.removal ListedOnce is for lists": (
        [
            *(lately(guarantees={"removal": removal}) for removal in ("Never", "Unknown")),
            *(source(guarantees={"removal": "ListedOnce"}), lately(guarantees={})),
        ],
        [lately(guarantees={"removal": "ListedOnce"})],
    ),
    "guarantees.order Activity and initialValue are": (
        [
            lately(guarantees={"order": "ImmutableKey"}),
            source(guarantees={"order": "Activity", "initialValue": "Empty"}),
        ],
        [lately(guarantees={"order": "Activity"}), lately(guarantees={"initialValue": "Empty"})],
    ),
    "users.acrossPods Same is for lists with times": (
        [lately(users={"id": "id", "acrossPods": "Any"}), source(users={"acrossPods": "Same"})],
        [lately(users={"id": "id", "acrossPods": "Same"})],
    ),
    "window.type Cycle is for numbers": (
        [lately(), count(window={"type": "Cycle"}), lately(window={"type": "CalendarMonthToDate"})],
        [lately(window={"type": "Cycle"})],
    ),
    "removal, order, hiddenSeconds and initialValue": (
        [
            *(events(), BY_PRESET, source(guarantees={"removal": "Never"}), over_http()),
            events(guarantees={"ids": "Stable", "lagSeconds": 5, "clockSkewSeconds": 1}),
        ],
        [
            events(guarantees=one)
            for one in (
                {"removal": "Never"},
                {"order": "Unknown"},
                {"hiddenSeconds": 0},
                {"initialValue": "Empty"},
            )
        ],
    ),
    "not a stream's name": (["main-queue", "A_9"], ["", "a.b", "a b", "*", ">", "a\n", "$JS"]),
    "users.id or users.lastActive.path is missing": (
        [source(), BY_PRESET, events(), lately()],
        [
            lately(users={}),
            source(users=None),
            source(users={"id": "id"}),
            source(users={"lastActive": {"path": "t"}}),
            source(users={"id": "id", "lastActive": {}}),
        ],
    ),
    "pagination of type Offset needs": (
        [
            *(source(), BY_PRESET, paged(**OFFSET), paged(), paged(type="None")),
            BY_PRESET | {"http": {"pagination": {"type": "Offset"}}},
        ],
        [
            paged(**{name: value for name, value in OFFSET.items() if name != left_out})
            for left_out in ("offsetParam", "limitParam", "size")
        ],
    ),
    "pagination of type Page needs": (
        [
            *(source(), paged(**PAGE), paged(**PAGE, sizeParam="s", size=5), paged(**OFFSET)),
            BY_PRESET | {"http": {"pagination": {"type": "Page"}}},
        ],
        [paged(type="Page", first=1), paged(type="Page", pageParam="p")],
    ),
    "pagination of type Page with sizeParam": (
        [
            *(source(), paged(**PAGE), paged(**PAGE, sizeParam="s", size=5), paged(sizeParam="s")),
            *(paged(**PAGE, template="{page}"), paged(**PAGE, template="{page}{size}", size=5)),
            BY_PRESET | {"http": {"pagination": {"type": "Page", "sizeParam": "s"}}},
        ],
        [paged(**PAGE, sizeParam="s"), paged(**PAGE, template="{page}{size}")],
    ),
    "guarantees.order does not fit": (
        [
            *(source(), paged(**PAGE), source(guarantees={"order": "KeyCursor"})),
            paged(**PAGE) | {"guarantees": {"order": "ImmutableKey"}},
            paged(**OFFSET) | {"guarantees": {"order": "Activity"}},
            paged(type="HeaderCursor", header="X-Next") | {"guarantees": {"order": "KeyCursor"}},
            paged(type="HeaderCursor") | {"preset": "x", "guarantees": {"order": "KeyCursor"}},
        ],
        [
            paged(**PAGE) | {"guarantees": {"order": "KeyCursor"}},
            paged(type="Page") | {"preset": "x", "guarantees": {"order": "Activity"}},
            paged(type="Next") | {"guarantees": {"order": "KeyCursor"}},
            paged(type="HeaderCursor", header="x-next-PAGE")
            | {"guarantees": {"order": "KeyCursor"}},
        ],
    ),
    "pagination of type Cursor needs": (
        [
            *(source(), BY_PRESET, paged(type="Cursor", params=[]), paged(), paged(type="None")),
            BY_PRESET | {"http": {"pagination": {"type": "Cursor"}}},
        ],
        [paged(type="Cursor")],
    ),
    "pagination of type HeaderCursor needs": (
        [
            *(source(), paged(type="Cursor", params=[]), paged(**BY_HEADER)),
            BY_PRESET | {"http": {"pagination": {"type": "HeaderCursor"}}},
        ],
        [
            paged(type="HeaderCursor"),
            paged(type="HeaderCursor", header="X-Next"),
            paged(type="HeaderCursor", cursorParam="after"),
        ],
    ),
    "guarantees.initialValue is CreationTime": (
        [
            source(),
            source(guarantees={}),
            source(guarantees={"initialValue": "Empty"}),
            BY_PRESET | {"guarantees": {"initialValue": "CreationTime"}},
            source(guarantees={"initialValue": "CreationTime"}, users={"createdAt": {"path": "c"}}),
        ],
        [
            source(guarantees={"initialValue": "CreationTime"}),
            source(guarantees={"initialValue": "CreationTime"}, users={"createdAt": {}}),
            source(guarantees={"initialValue": "CreationTime"}, users=None),
        ],
    ),
    "an empty selector would match": (
        [
            {"matchLabels": {"a": "b"}},
            {"matchExpressions": [{}]},
            {"matchLabels": {}, "matchExpressions": [{}]},
        ],
        [{}, {"matchLabels": {}}, {"matchLabels": {}, "matchExpressions": []}],
    ),
    "values must be given for In": (
        [
            {"operator": "In", "values": ["a"]},
            {"operator": "NotIn", "values": ["a"]},
            {"operator": "Exists"},
            {"operator": "DoesNotExist", "values": []},
        ],
        [
            {"operator": "In"},
            {"operator": "NotIn", "values": []},
            {"operator": "Exists", "values": ["a"]},
        ],
    ),
    "must be a number from 1 to 65535": (
        [1, 65535, "http", "http-1", "8a"],
        [0, -1, 65536, "", "9200", "HTTP", "-a", "a-"],
    ),
    "tls is given, but scheme has none": (
        [
            *({}, {"scheme": "HTTP"}, {"scheme": "NATS"}, {"tls": {}}),
            *({"scheme": "HTTPS", "tls": {}}, {"scheme": "TLS", "tls": {}}),
        ],
        [{"scheme": "HTTP", "tls": {}}, {"scheme": "NATS", "tls": {}}],
    ),
    "auth needs exactly one": (
        [
            *({"basic": {}}, {"header": {}}, {"oauth2": {}}, {"login": {}}),
            *({"clientCertificate": {}}, {"clientCertificate": {}, "login": {}}),
        ],
        [
            {},
            {"basic": {}, "header": {}},
            {"oauth2": {}, "header": {}},
            {"login": {}, "basic": {}},
            {"clientCertificate": {}, "login": {}, "basic": {}},
        ],
    ),
    "not a host's name": (
        ["wiki.example.org", "a", "10.0.0.1", "X-1.y_z", "a" * 63],
        ["", ".a", "a.", "a..b", "*.a", "a:1", "https://a", "a/b", "a b", "a\r\nb", "é", "a" * 64],
    ),
    "not a Host header": (
        ["wiki.example.org", "10.0.0.1:80", "a:8443"],
        ["", "a:", ":80", "a:b", "a:123456", "https://a", "a/b", "a b", "a\r\nX: b"],
    ),
    "hostHeader is for HTTP and HTTPS": (
        [{}, {"hostHeader": "a"}, {"hostHeader": "a", "scheme": "HTTP"}, {"scheme": "NATS"}],
        [{"hostHeader": "a", "scheme": "NATS"}, {"hostHeader": "a", "scheme": "TLS"}],
    ),
    "not an HTTP header's name": (["Accept", "X-User-Id", "a_b"], ["", "a b", "a:", "a\r\n"]),
    "this header belongs to the connection": (
        ["Accept", "X-Host", "Hosts"],
        ["Host", "host", "HOST", "Content-Length", "Transfer-Encoding", "TE", "Upgrade"],
    ),
    "this header asks for another method": (
        ["Accept", "X-Methods", "Method"],
        ["X-HTTP-Method-Override", "x-http-method", "X-Method-Override"],
    ),
    "this header carries a secret": (
        [{"name": "Accept"}, {"name": "X-Authorization"}],
        [{"name": "Authorization"}, {"name": "cookie"}, {"name": "PROXY-Authorization"}],
    ),
    "holds a control character": (
        ["", "Bearer ", "tökën"],
        ["a\n", "a\rb", "\x01", "\x7f", "\t"],
    ),
    "must begin with '/' and hold no": (
        ["/", "/a/b", "/{{cycle.start}}", "/ä"],
        ["", "a", "/a?b", "/a#b", "/a b", "/a\\b", "/a\n", "https://x"],
    ),
    "must not begin with '//'": (["/", "/a//b"], ["//", "//elsewhere/a"]),
    "POST may change something": (["GET"], ["POST"]),
    "http.body goes with a preset": (
        [{}, {"http": {}}, {"preset": "X", "http": {"body": "{}"}}, {"preset": "X"}],
        [{"http": {"body": "{}"}}],
    ),
    "holds white space or a control": (
        ["next", "@odata.nextLink", "_pagination.next", "X-Total-Count", "größe"],
        ["a b", "next ", "a\tb", "a\nb"],
    ),
    "offsetParam and limitParam belong to type Offset": (
        [
            *({}, OFFSET, PAGE, {"size": 5}, {"type": "None"}, {"type": "Cursor", "params": []}),
            *({"type": "None", "total": "t"}, {"type": "Cursor", "params": [], "total": "t"}),
        ],
        [
            {"type": "Cursor", "offsetParam": "o"},
            {"type": "Cursor", "limitParam": "l"},
            {"type": "Page", "limitParam": "l"},
        ],
    ),
    "size and first belong to type Offset or Page": (
        [{}, OFFSET, PAGE, {"size": 5}],
        [{"type": "None", "size": 5}, {"type": "Cursor", "first": 1}],
    ),
    "pageParam, sizeParam and template belong to type Page": (
        [{}, PAGE, {**PAGE, "template": "x"}, {"template": "x"}],
        [{"type": "Offset", "pageParam": "p"}, {"type": "None", "template": "x"}],
    ),
    "must hold {page}, may hold {size}": (
        ["{page}", "(page:{page},page_size:{size})"],
        ["", "page", "{size}", "(page:{page},from:{{cycle.start}})"],
    ),
    "validator ETag is for a list in one answer": (
        [
            *({}, {"validator": "ETag"}, {"validator": "ETag", "pagination": {}}),
            {"validator": "ETag", "pagination": {"type": "None"}},
            {"validator": "None", "pagination": OFFSET},
        ],
        [{"validator": "ETag", "pagination": {"type": kind}} for kind in ("Next", "Cursor")],
    ),
    "format NDJSON has one user per line": (
        [
            *({}, {"items": "x"}, {"format": "JSON", "items": "x"}, {"format": "NDJSON"}),
            {"format": "NDJSON", "pagination": {"type": "Next"}},
            {"format": "NDJSON", "pagination": OFFSET},
        ],
        [
            {"format": "NDJSON", "items": "x"},
            {"format": "NDJSON", "pagination": {"total": "t"}},
            {"format": "NDJSON", "pagination": {"params": []}},
            {"format": "NDJSON", "pagination": {"path": "next"}},
        ],
    ),
    "path belongs to type Next": (
        [{}, {"path": "next"}, {"type": "Next"}, {"type": "Next", "path": "next", "total": "t"}],
        [{"type": "Cursor", "path": "next"}, {"type": "None", "path": "next"}],
    ),
    "header and cursorParam belong to type HeaderCursor": (
        [{}, OFFSET, BY_HEADER, {"header": "X-Next"}, {**BY_HEADER, "total": "t"}],
        [{"type": "Cursor", "header": "X-Next"}, {"type": "Next", "cursorParam": "after"}],
    ),
    "this header holds no cursor": (
        ["X-MS-ContinuationToken", "X-Next-Page", "Links", "x-link", "Cookie-Set"],
        ["Link", "link", "Set-Cookie", "SET-COOKIE"],
    ),
    "params belongs to type Cursor": (
        [{}, OFFSET, {"params": []}, {"type": "Cursor", "params": []}],
        [{"type": "None", "params": []}, {"type": "Offset", "params": []}],
    ),
    "must be Auto, EpochSeconds": (
        ["Auto", "EpochSeconds", "EpochMillis", "%Y-%m-%d"],
        ["", "auto", "RFC3339", "yyyy-mm-dd"],
    ),
    "%Z reads only UTC": (["Auto", "%Y %z"], ["%Y %Z"]),
    "repeats a directive": (
        ["Auto", "%Y-%m-%d %H:%M:%S", "%M%m"],
        ["%S%S", "%Y-%m-%d %H:%M:%S,%S", "%Y%m%d %Y"],
    ),
    "must be an IANA time zone": (
        ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"],
        ["", "New York", "/UTC", "UTC/", "+02:00", "../etc"],
    ),
    "not a signed token": (
        ["a.b.c", "e-_9.x.y"],
        ["", "a.b", "a.b.c.d", "a.b.c\n", " a.b.c", "a..c", "a.b.c="],
    ),
}

# rule's message (its beginning) -> (self, oldSelf) that hold, and that do not
TRANSITIONS: dict[str, tuple[list[tuple[Any, Any]], list[tuple[Any, Any]]]] = {
    "product cannot be changed": ([("a", "a")], [("a", "b"), ("a", "A")]),
    "a report cannot be changed": (
        [({"a": 1, "b": [1]}, {"a": 1, "b": [1]})],
        [({"a": 1}, {"a": 2}), ({"a": 1}, {}), ({}, {"a": 1}), ({"b": [1, 2]}, {"b": [2, 1]})],
    ),
}


def holds(rule: str, self: Any, old_self: Any = None) -> bool:
    compiled = ENVIRONMENT.compile(with_timestamps(rule))
    value = compiled.eval(data={"self": self, "oldSelf": old_self}).value()
    assert isinstance(value, bool), f"{rule}: {value}"
    return value


def found_by(message: str) -> set[str]:
    """The CEL expressions behind a message; the same rule may stand in several places."""
    return {rule["rule"] for _, rule in all_rules() if rule["message"].startswith(message)}


@pytest.mark.parametrize("message", TABLE)
def test_rule_accepts_and_refuses(message: str) -> None:
    (rule,) = found_by(message)
    accepted, refused = TABLE[message]
    assert [value for value in accepted if not holds(rule, value)] == []
    assert [value for value in refused if holds(rule, value)] == []


@pytest.mark.parametrize("message", TRANSITIONS)
def test_transition_rule_accepts_and_refuses(message: str) -> None:
    (rule,) = found_by(message)
    accepted, refused = TRANSITIONS[message]
    assert [pair for pair in accepted if not holds(rule, *pair)] == []
    assert [pair for pair in refused if holds(rule, *pair)] == []


@pytest.mark.parametrize("message", sorted({rule["message"] for _, rule in all_rules()}))
def test_every_rule_is_in_the_tables(message: str) -> None:
    beginnings = [one for one in (*TABLE, *TRANSITIONS) if message.startswith(one)]
    assert len(beginnings) == 1
    accepted, refused = (TABLE | TRANSITIONS)[beginnings[0]]
    assert accepted
    assert refused


def longest_literal(expression: str) -> str:
    """The longest text that a message expression always says."""
    literals = re.findall(r"'((?:[^'\\]|\\.)*)'", expression)
    pieces = [piece for one in literals for piece in re.split(r"%[ds]", one)]
    return max(pieces, key=len).replace("\\'", "'")


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(rule, id=f"{path}: {rule['message'][:40]}")
        for path, rule in all_rules()
        if "oldSelf" not in rule["rule"]
    ],
)
def test_every_rule_is_tried_on_the_api_server(rule: dict[str, str], bad_objects: Any) -> None:
    seen = rule.get("messageExpression")
    words = longest_literal(seen) if seen else rule["message"]
    assert any(words in bad.says or bad.says.endswith(words[:60]) for bad in bad_objects.values())
