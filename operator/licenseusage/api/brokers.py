"""What holds for every source that is read from a message broker: CEL rules of ``Source``."""

from typing import Final

from licenseusage.api.model import Rule

READ: Final = "(has(self.jetstream) || has(self.redis))"
"""CEL: the source is read from a broker."""

_PLAIN: Final = "['HTTP', 'NATS', 'REDIS']"
_SCHEMES: Final = "HTTP or HTTPS for http, NATS or TLS for jetstream, REDIS or TLS for redis"


def _named(log: str, name: str, what: str) -> Rule:
    """Return the rule that a log has a name, and says where its types stand."""
    return Rule(
        f"has(self.preset) || !has(self.{log}) || (has(self.{log}.{name}) && "
        f"(!has(self.{log}.types) || has(self.{log}.typePath)))",
        f"{log}.{name} is missing, or types is given without typePath: name the {what}, and where "
        "a message's type stands",
        f"'source ' + self.name + (has(self.{log}.{name}) ? ' has {log}.types without typePath: "
        f"say where the type of a message stands' : ' has no {log}.{name}: name the {what}')",
        reason="FieldValueRequired",
        field_path=f".{log}",
    )


def _fitting(place: str) -> Rule:
    """Return the rule that the scheme of a place fits the way in which it is read."""
    scheme = f"self.{place}.scheme"
    return Rule(
        f"!has(self.{place}) || !has({scheme}) || (has(self.jetstream) ? {scheme} in ['NATS', "
        f"'TLS'] : (has(self.redis) ? {scheme} in ['REDIS', 'TLS'] : (!(has(self.http) || "
        f"has(self.prometheus)) || {scheme} in ['HTTP', 'HTTPS'])))",
        f"{place}.scheme does not fit: {_SCHEMES}",
        f"'source ' + self.name + ': {place}.scheme ' + {scheme} + ' does not fit: {_SCHEMES}'",
        field_path=f".{place}",
    )


OF_SOURCE = (
    Rule(
        "!(has(self.jetstream) && has(self.redis)) && !(has(self.http) && " + READ + ")",
        "two of http, jetstream and redis are given: a source has one way to be read; make two "
        "sources of it",
        "'source ' + self.name + ' has two of http, jetstream and redis: a source has one way to "
        "be read; make two sources of it'",
    ),
    _named("jetstream", "stream", "stream"),
    _named("redis", "stream", "stream"),
    Rule(
        f"has(self.preset) || !({READ} || has(self.events)) || (has(self.users) && "
        "has(self.users.id) && has(self.users.time) && has(self.users.time.path))",
        "users.id or users.time.path is missing: say where an event's user and time stand",
        "'source ' + self.name + ' has no users.id or no users.time.path: say where an "
        "event\\'s user and time stand'",
        reason="FieldValueRequired",
        field_path=".users",
    ),
    Rule(
        f"!{READ} || !has(self.auth) || has(self.auth.basic) || "
        "!(has(self.auth.header) || has(self.auth.oauth2) || has(self.auth.login))",
        "auth.header, auth.oauth2 and auth.login are for http: a message broker takes a user and "
        "a password (auth.basic)",
        field_path=".auth",
    ),
    Rule(
        "!has(self.auth) || !has(self.auth.clientCertificate) || !((has(self.pods) && "
        f"has(self.pods.scheme) && self.pods.scheme in {_PLAIN}) || (has(self.service) && "
        f"has(self.service.scheme) && self.service.scheme in {_PLAIN}))",
        "auth.clientCertificate needs TLS: use scheme HTTPS (TLS for message brokers), or remove "
        "clientCertificate",
        field_path=".auth",
    ),
    _fitting("pods"),
    _fitting("service"),
    Rule(
        f"!({READ} || has(self.events)) || !has(self.guarantees) || !(has(self.guarantees.removal) "
        "|| has(self.guarantees.order) || has(self.guarantees.hiddenSeconds) || "
        "has(self.guarantees.initialValue))",
        "removal, order, hiddenSeconds and initialValue are about lists of users: what a "
        "log still holds is found by reading it; remove them",
        field_path=".guarantees",
    ),
    Rule(
        "has(self.redis) || has(self.preset) || !has(self.guarantees) || "
        "!has(self.guarantees.durability)",
        "guarantees.durability is about redis: remove it",
        reason="FieldValueForbidden",
        field_path=".guarantees",
    ),
)
