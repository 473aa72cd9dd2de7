"""A product that answers to its own name only is asked by that name, over HTTP, too."""

from typing import Any

from licenseusage.sources.poll import Target
from tests.sources.product import USERS, Request, answer, poll, source

NAME = "wiki.example.org"


def strict(asked: Request) -> bytes:
    """As Django with ``ALLOWED_HOSTS`` (the port does not matter)."""
    if asked.headers["host"].partition(":")[0] != NAME:
        return answer(b"<h1>Bad Request (400)</h1>", "400 Bad Request")
    return answer({"value": USERS})


def asked_as(port: int, **more: Any) -> Any:
    return poll(0, targets=(Target("127.0.0.1", port, label="pod-0", **more),))


def test_the_declared_name_is_sent_over_http(serve):
    for name in (NAME, f"{NAME}:8443"):
        product = serve(strict)
        result = asked_as(product.port, host_header=name)
        assert (result.failure, result.counted) == (None, 2)
        assert product.requests[0].headers["host"] == name


def test_it_takes_the_place_of_the_certificates_name(serve):
    assert asked_as(serve(strict).port, server_name="x", host_header=NAME).failure is None


def test_without_it_the_refusal_names_it(serve):
    failure = asked_as(serve(strict).port).failure
    assert failure.reason == "UnexpectedStatus"
    assert "set pods.hostHeader" in failure.message


def test_it_decides_nothing_about_who_counts():
    declared = source(pods={"hostHeader": NAME})
    assert declared.pods.host_header == NAME
    assert declared.digest() == source().digest()
