"""Places that the author of an object must not reach."""

from tests.controller.hostile.case import Case, Ends, Refused, asks, client, pods


def service(name: str, **more):
    return {"pods": None, "service": {"name": name, "port": 80, "scheme": "HTTP", **more}}


def endpoint(name: str):
    return {"pods": None, "endpoint": name}


def issuer(name: str):
    return client("client", service={"name": name, "port": 80, "scheme": "HTTP"})


CASES = [
    Case("pods of another namespace", Ends("NoPods"), {"pods": pods("next-door")}),
    Case("a pod on its node's network", Ends("AddressRefused"), {"pods": pods("on-node")}),
    Case("a pod at the cloud's metadata", Ends("AddressRefused"), {"pods": pods("metadata")}),
    Case("a pod at a link-local address", Ends("AddressRefused"), {"pods": pods("link-local")}),
    Case("a pod at a group's address", Ends("AddressRefused"), {"pods": pods("group")}),
    Case("a pod that has ended", Ends("NoReadyPods"), {"pods": pods("ended")}),
    Case("a pod that is not ready", Ends("NoReadyPods"), {"pods": pods("not-ready")}),
    Case(
        "a port that the pod does not name",
        Ends("PortNotFound"),
        {"pods": pods("authors", port="admin")},
    ),
    Case(
        "all pods of the namespace",
        Refused("matchLabels"),
        {"pods": {"selector": {}, "port": 80, "scheme": "HTTP"}},
    ),
    Case(
        "a port of 0",
        Refused("must be a number from 1 to 65535"),
        {"pods": pods("authors", port=0)},
    ),
    Case(
        "a port above all",
        Refused("must be a number from 1 to 65535"),
        {"pods": pods("authors", port=65_536)},
    ),
    Case(
        "a port with a host",
        Refused("must be a number from 1 to 65535"),
        {"pods": pods("authors", port="80@10.0.0.1")},
    ),
    Case(
        "a scheme of files",
        Refused('Unsupported value: "FILE"'),
        {"pods": pods("authors", scheme="FILE")},
    ),
    Case("a Service that is another name", Ends("AddressRefused"), service("alias")),
    Case("a Service that selects nothing", Ends("AddressRefused"), service("manual")),
    Case("a Service without an address", Ends("AddressRefused"), service("headless")),
    Case("a Service that is not there", Ends("ServiceNotFound"), service("absent")),
    Case("a Service of another namespace", Refused("lower-case"), service("trap.next-door.svc")),
    Case("a Service by a path", Refused("lower-case"), service("../pods")),
    Case(
        "pods and a Service",
        Refused("asked at one place"),
        {"service": {"name": "manual", "port": 80}},
    ),
    Case("an endpoint of another namespace", Ends("EndpointNotAllowed"), endpoint("next-door")),
    Case("an endpoint that is not there", Ends("EndpointNotAllowed"), endpoint("absent")),
    Case("an endpoint by a path", Refused("lower-case"), endpoint("../next-door")),
    Case("a host in place of an endpoint", Refused("lower-case"), endpoint("10.0.0.1:80")),
    Case("a token of a Service that is another name", Ends("AddressRefused"), issuer("alias")),
    Case("a token of a Service that selects nothing", Ends("AddressRefused"), issuer("manual")),
    Case("a token of a Service without an address", Ends("AddressRefused"), issuer("headless")),
    Case("a token of a Service that is not there", Ends("ServiceNotFound"), issuer("absent")),
    Case(
        "a token of an endpoint of another namespace",
        Ends("EndpointNotAllowed"),
        client("client", endpoint="next-door"),
    ),
    Case(
        "a token of a URL",
        Refused("must begin with '/'"),
        client("client", tokenPath="http://10.0.0.1/token"),
    ),
    Case(
        "a token of another host",
        Refused("names another host"),
        client("client", tokenPath="//10.0.0.1/token"),
    ),
    Case(
        "a token of what is no token endpoint",
        Refused("does not contain 'token'"),
        client("client", tokenPath="/users/delete"),
    ),
    Case("a path with another host", Refused("names another host"), asks(path="//10.0.0.1/users")),
    Case("a path with a scheme", Refused("must begin with '/'"), asks(path="http://10.0.0.1/")),
    Case("a path with a backslash", Refused("must begin with '/'"), asks(path="/\\\\10.0.0.1")),
    Case(
        "a path with a second request",
        Refused("must begin with '/'"),
        asks(path="/ HTTP/1.1\r\nHost: x\r\n\r\nDELETE /"),
    ),
    Case("a redirect to a place of one's choice", Ends("Redirected"), asks(path="/redirect")),
    Case("a redirect to a place that is no URL", Ends("Redirected"), asks(path="/redirect-broken")),
    Case(
        "a name of a server with a line break",
        Refused("not a host's name"),
        {"pods": pods("authors", scheme="HTTPS", tls={"serverName": "x\r\nHost: y"})},
    ),
    Case(
        "verification switched off",
        Ends("TLSFailed"),
        {"pods": pods("authors", scheme="HTTPS", tls={"insecureSkipVerify": True})},
    ),
    Case(
        "a NATS server that never speaks",
        Ends("Unreachable|PollTimeout"),  # whichever limit is reached first
        {
            "pods": pods("authors", scheme="NATS"),
            "http": None,
            "jetstream": {"stream": "EVENTS"},
            "users": {"id": "id", "time": {"path": "at"}},
        },
    ),
    Case(
        "a stream's name with a command",
        Refused("stream"),
        {
            "pods": pods("authors", scheme="NATS"),
            "http": None,
            "jetstream": {"stream": "EVENTS\r\nPUB x 0\r\n"},
            "users": {"id": "id", "time": {"path": "at"}},
        },
    ),
    Case(
        "a stream of all streams",
        Refused("stream"),
        {
            "pods": pods("authors", scheme="NATS"),
            "http": None,
            "jetstream": {"stream": ">"},
            "users": {"id": "id", "time": {"path": "at"}},
        },
    ),
]
