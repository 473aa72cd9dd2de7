"""Requests that do more than ask, and expressions that do more than read."""

from tests.controller.hostile.case import Case, Counts, Ends, Refused, asks, header, reads

_DOUBLED = "|".join(["[@, @][]"] * 40)
"""A list that doubles with each of 40 steps."""

CASES = [
    Case("a request that writes", Refused("POST may change something"), asks(method="POST")),
    Case("a request that deletes", Refused('Unsupported value: "DELETE"'), asks(method="DELETE")),
    Case("a body", Refused("http.body goes with a preset"), asks(body='{"admin": true}')),
    Case(
        "a request that writes, by a preset",
        Refused("POST may change something"),
        {"preset": "Standard", "http": {"method": "POST"}, "users": None},
    ),
    Case(
        "a body, by a preset that only asks",
        Ends("InvalidSource"),
        {"preset": "Standard", "http": {"body": "{}"}, "users": None},
    ),
    Case(
        "credentials in the open",
        Refused("carries a secret"),
        asks(headers=[{"name": "Authorization", "value": "Bearer x"}]),
    ),
    Case("a cookie", Refused("carries a secret"), asks(headers=[{"name": "cookie", "value": "x"}])),
    Case(
        "another Host",
        Refused("belongs to the connection"),
        asks(headers=[{"name": "HOST", "value": "admin.example.org"}]),
    ),
    Case(
        "another Host by a Secret",
        Refused("belongs to the connection"),
        header("meter", "token", name="Host"),
    ),
    Case(
        "a length of the request",
        Refused("belongs to the connection"),
        header("meter", "token", name="Content-Length"),
    ),
    Case(
        "a request that deletes, by a header",
        Refused("asks for another method"),
        asks(headers=[{"name": "X-HTTP-Method-Override", "value": "DELETE"}]),
    ),
    Case(
        "a header with a line break",
        Refused("control character"),
        asks(headers=[{"name": "X-A", "value": "a\r\nX-B: c"}]),
    ),
    Case(
        "a header's name with a line break",
        Refused("not an HTTP header's name"),
        asks(headers=[{"name": "X-A: b\r\nX-B", "value": "c"}]),
    ),
    Case(
        "a prefix with a line break",
        Refused("control character"),
        header("meter", "token", prefix="Bearer\r\nX-B: c"),
    ),
    Case("a template that is none", Ends("InvalidSource"), asks(path="/{{secrets.token}}")),
    Case("a path upwards", Counts(1), asks(path="/users/../users")),
    Case(
        "a listing without an end",
        Ends("PagingIgnored"),
        asks(pagination={"type": "Cursor", "params": [{"name": "after", "path": "users[0].id"}]}),
    ),
    Case(
        "a cursor of an object",
        Ends("CursorInvalid"),
        asks(pagination={"type": "Cursor", "params": [{"name": "after", "path": "users[0]"}]}),
    ),
    Case("an expression that is none", Ends("InvalidSource"), reads(id="][")),
    Case("an expression of a function that is none", Ends("InvalidSource"), reads(id="open('/x')")),
    Case("an expression that nests for ever", Ends("InvalidSource"), reads(id="(" * 512 + "id")),
    Case(
        "an expression that doubles for ever",
        Ends("PollTimeout|WorkerMemory"),
        asks(items=_DOUBLED),
    ),
    Case("an expression of a hidden attribute", Ends("IdMissing"), reads(id="__class__")),
    Case("ids that are whole users", Ends("IdInvalid"), reads(id="@")),
    Case(
        "an expression that is too long", Refused("may not be more than 1024"), reads(id="a" * 1025)
    ),
    Case("items that are no list", Ends("ItemsNotAList"), asks(items="users[0]")),
    Case("an exclusion that is no truth", Ends("ExpressionFailed"), reads(exclude="id > `1`")),
    Case(
        "a time's format that repeats itself",
        Refused("%S"),
        reads(lastActive={"path": "lastActive", "format": "%Y-%m-%dT%H:%M:%S%S"}),
    ),
    Case(
        "a time's format that is none",
        Ends("InvalidSource"),
        reads(lastActive={"path": "lastActive", "format": "%Q%%%1"}),
    ),
    Case(
        "a time zone by a path",
        Refused("IANA time zone"),
        reads(lastActive={"path": "lastActive", "naiveTimezone": "../../etc/passwd"}),
    ),
    Case(
        "a time zone of another planet",
        Ends("InvalidSource"),
        reads(lastActive={"path": "lastActive", "naiveTimezone": "Mars/Olympus"}),
    ),
    Case("a preset by a path", Ends("UnknownPreset"), {"preset": "../../etc/passwd"}),
    Case(
        "a preset of a ConfigMap that is not there",
        Ends("ConfigMapNotFound"),
        {"preset": "../../etc/passwd", "presetConfigMapRef": {"name": "absent"}},
    ),
    Case("a preset of a kilobyte", Refused("may not be more than 64"), {"preset": "x" * 1024}),
]
