"""Each CEL rule of the CRDs with what it accepts and what it refuses, without an API server.

The table is complete: a rule without a line here fails, and so does a line without a rule.
"""

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
BY_PRESET: dict[str, Any] = {"name": "s", "preset": "Standard", "pods": {"selector": {}}}


def source(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in (IN_FULL | members).items() if value is not None}


def events(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in (AS_EVENTS | members).items() if value is not None}


def spec(**members: Any) -> dict[str, Any]:
    return {"closeGraceHours": 24, "sources": [BY_PRESET]} | members


def paged(**pagination: Any) -> dict[str, Any]:
    return source(http={"path": "/", "pagination": pagination})


OFFSET = {"type": "Offset", "offsetParam": "o", "limitParam": "l", "size": 5}

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
        [source(), BY_PRESET, events()],
        [source(http=None), source(http={})],
    ),
    "http and jetstream are both given": (
        [source(), BY_PRESET, events(), BY_PRESET | {"jetstream": {}}],
        [source(jetstream={"stream": "s"}), BY_PRESET | {"http": {}, "jetstream": {}}],
    ),
    "jetstream.stream is missing": (
        [
            *(source(), BY_PRESET, events(), BY_PRESET | {"jetstream": {"types": ["a"]}}),
            events(jetstream={"stream": "s", "types": ["a"], "typePath": "t"}),
        ],
        [events(jetstream={}), events(jetstream={"stream": "s", "types": ["a"]})],
    ),
    "users.id or users.time.path is missing": (
        [source(), BY_PRESET, events(), BY_PRESET | {"jetstream": {}}],
        [
            events(users=None),
            events(users={"id": "id"}),
            events(users={"id": "id", "time": {}}),
            events(users={"time": {"path": "t"}}),
            events(users={"id": "id", "lastActive": {"path": "t"}}),
        ],
    ),
    "users.time is for events": (
        [{}, {"time": {}}, {"lastActive": {}, "createdAt": {}}],
        [{"time": {}, "lastActive": {}}, {"time": {}, "createdAt": {}}],
    ),
    "auth.header is for http": (
        [events(), events(auth={"basic": {}}), source(auth={"header": {}}), BY_PRESET],
        [events(auth={"header": {}})],
    ),
    "pods.scheme does not fit": (
        [
            *(source(), events(), BY_PRESET, BY_PRESET | {"pods": {"scheme": "NATS"}}),
            *(source(pods={"selector": {}, "port": 1, "scheme": s}) for s in ("HTTP", "HTTPS")),
            *(events(pods={"selector": {}, "port": 1, "scheme": s}) for s in ("NATS", "TLS")),
        ],
        [
            *(source(pods={"selector": {}, "port": 1, "scheme": s}) for s in ("NATS", "TLS")),
            *(events(pods={"selector": {}, "port": 1, "scheme": s}) for s in ("HTTP", "HTTPS")),
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
    "removal, order, hiddenSeconds and initialValue": (
        [
            *(events(), BY_PRESET, source(guarantees={"removal": "Never"})),
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
        [source(), BY_PRESET, events()],
        [
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
    "pagination of type Cursor needs": (
        [
            *(source(), BY_PRESET, paged(type="Cursor", params=[]), paged(), paged(type="None")),
            BY_PRESET | {"http": {"pagination": {"type": "Cursor"}}},
        ],
        [paged(type="Cursor")],
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
    "tls is given, but scheme is HTTP": (
        [
            *({}, {"scheme": "HTTP"}, {"scheme": "NATS"}, {"tls": {}}),
            *({"scheme": "HTTPS", "tls": {}}, {"scheme": "TLS", "tls": {}}),
        ],
        [{"scheme": "HTTP", "tls": {}}, {"scheme": "NATS", "tls": {}}],
    ),
    "auth needs exactly one": ([{"basic": {}}, {"header": {}}], [{}, {"basic": {}, "header": {}}]),
    "not a host's name": (
        ["wiki.example.org", "a", "10.0.0.1", "X-1.y_z", "a" * 63],
        ["", ".a", "a.", "a..b", "*.a", "a:1", "https://a", "a/b", "a b", "a\r\nb", "é", "a" * 64],
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
    "offsetParam, limitParam, size and first belong": (
        [
            *({}, OFFSET, {"size": 5}, {"type": "None"}, {"type": "Cursor", "params": []}),
            *({"type": "None", "total": "t"}, {"type": "Cursor", "params": [], "total": "t"}),
        ],
        [
            {"type": "None", "size": 5},
            {"type": "Cursor", "offsetParam": "o"},
            {"type": "Cursor", "limitParam": "l"},
            {"type": "Cursor", "first": 1},
        ],
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
