"""What one hostile LicenseUsage is, and what must come of it: a refusal or a named condition."""

from dataclasses import dataclass, field
from typing import Any

from tests.controller.stage import usage

NAMESPACE = "hostile"
HUSH = "hush-4711"
"""Stands in every value and every key of the namespace's Secrets that is nobody's to tell."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The API server refuses the object, with these words."""

    words: str


@dataclass(frozen=True, slots=True)
class Ends:
    """The operator says so: the condition ``kind`` is False with this reason (or this|or that)."""

    reason: str
    kind: str = "Collected"


@dataclass(frozen=True, slots=True)
class Counts:
    """Nothing is wrong with it: so many people are counted."""

    people: int


@dataclass(frozen=True, slots=True)
class Case:
    """One LicenseUsage by somebody who may create LicenseUsages and nothing else.

    Attributes:
        name: What it tries, in words; unique.
        expected: What must come of it.
        source: Members of its one source, beside the usual ones; None removes one.
        spec: Members of its spec, likewise.
        meta: Members of its metadata.
        rest: Members beside metadata and spec.
    """

    name: str
    expected: Refused | Ends | Counts
    source: dict[str, Any] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    rest: dict[str, Any] = field(default_factory=dict)

    def document(self, number: int) -> dict[str, Any]:
        """The object, named by its place in the table."""
        made = usage(NAMESPACE, f"case-{number}", spec=self.spec)
        source = {
            "name": "list",
            "pods": AUTHORS,
            "http": {"path": "/users", "items": "users"},
            "users": {"id": "id", "lastActive": {"path": "lastActive"}},
            "guarantees": {"lagSeconds": 1},
            **self.source,
        }
        if "sources" not in self.spec:
            made["spec"]["sources"] = [{k: v for k, v in source.items() if v is not None}]
        made["metadata"] |= self.meta
        return {**made, **self.rest}


def pods(app: str, **more: Any) -> dict[str, Any]:
    """Where pods of one app are asked."""
    return {"selector": {"matchLabels": {"app": app}}, "port": "http", "scheme": "HTTP", **more}


AUTHORS = pods("authors")
"""A pod that the author of the objects runs: it writes down whatever it is sent."""


def header(name: str, key: str = "password", /, **more: Any) -> dict[str, Any]:
    """A source that sends one key of a Secret."""
    return {"auth": {"header": {"secretRef": {"name": name, "key": key}, **more}}}


def client(name: str, **more: Any) -> dict[str, Any]:
    """A source that requests an access token with a Secret."""
    return {"auth": {"oauth2": {"tokenPath": "/token", "secretRef": {"name": name}, **more}}}


def logs_in(name: str, **more: Any) -> dict[str, Any]:
    """A source that signs in with a Secret."""
    return {"auth": {"login": {"path": "/login", "secretRef": {"name": name}, **more}}}


def authority(name: str, key: str) -> dict[str, Any]:
    """A source that takes one key of a Secret for its certificate authority."""
    tls = {"caSecretRef": {"name": name, "key": key}}
    return {"pods": pods("authors", scheme="HTTPS", tls=tls)}


def licensed(name: str, key: str = "license.jwt", /, **more: Any) -> dict[str, Any]:
    """A spec that takes one key of a Secret for its licence."""
    return {"license": {"secretRef": {"name": name, "key": key}}, **more}


def asks(**http: Any) -> dict[str, Any]:
    """A source with this request."""
    return {"http": {"path": "/users", "items": "users", **http}}


def reads(**users: Any) -> dict[str, Any]:
    """A source that reads people so."""
    return {"users": {"id": "id", "lastActive": {"path": "lastActive"}, **users}}
