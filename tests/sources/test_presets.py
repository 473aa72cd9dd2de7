"""Presets and what becomes of them with the fields a user gives."""

from typing import Any

import pytest
from pydantic import ValidationError

from hack.presets.example import example_source
from licenseusage.api.auth import Auth
from licenseusage.api.source import Source
from licenseusage.errors import Stalled
from licenseusage.sources.definition.auth import BasicAuth, HeaderAuth
from licenseusage.sources.definition.authentication import only_signs_in
from licenseusage.sources.definition.checking import InvalidError, unknown_members
from licenseusage.sources.definition.effective import merged
from licenseusage.sources.definition.paging import Cursor, Offset, OnePage
from licenseusage.sources.definition.place import SecretKey
from licenseusage.sources.definition.presetfile import BadPresetError, preset_of
from licenseusage.sources.definition.presets import effective, presets

PODS = {"selector": {"matchLabels": {"app": "x"}}, "port": 80}
TOKEN = {"header": {"secretRef": {"name": "meter", "key": "token"}}}
LOGIN = {"basic": {"secretRef": {"name": "meter"}}}
PRESET = """\
title: X
verified: Live
version: "1"
counts: [a.]
countsNot: [b.]
permission: c
notPeople: [{who: d, by: You, how: users.exclude}]
breaks: [e.]
properties: []
sameId: f
source: {activityDefinition: Sign-in}
"""


def made(**fields: Any) -> Any:
    return effective(Source.model_validate({"name": "s", **fields}))


def refused(**fields: Any) -> Stalled:
    with pytest.raises(Stalled) as caught:
        made(**fields)
    assert caught.value.message.startswith("Source s")
    return caught.value


every_preset = pytest.mark.parametrize("preset", presets().values(), ids=presets())


@every_preset
def test_a_preset_is_complete_but_for_what_only_the_user_knows(preset):
    source = effective(Source.model_validate(example_source(preset)))
    assert source.preset == preset.name
    assert source.definition == preset.definition
    assert len(source.definition) <= 256
    for told in (preset.version, preset.title, preset.permission, preset.same_id):
        assert told.strip()
        assert not told.rstrip().endswith(".")  # the page puts it into a sentence


@every_preset
def test_a_preset_says_what_counts_what_does_not_and_what_breaks_it(preset):
    assert preset.counts
    assert preset.counts_not
    assert preset.breaks
    for sentence in (*preset.counts, *preset.counts_not, *preset.preconditions, *preset.breaks):
        assert sentence.endswith(".")


@every_preset
def test_each_declared_property_says_why_and_where_that_was_read(preset):
    explained = {one.name for one in preset.properties}
    users = preset.source.get("users", {})
    declared = {f"guarantees.{name}" for name in preset.source["guarantees"]}
    declared |= {
        f"users.{name}" for name in ("id", "lastActive", "time", "createdAt") if name in users
    }
    declared |= {"window"} & preset.source.keys()
    assert explained == declared
    assert len(explained) == len(preset.properties)
    for one in preset.properties:
        assert one.because.endswith(".")
        assert one.read_in


@every_preset
def test_a_preset_gives_no_member_that_does_not_exist(preset):
    """A misspelt exclude would count everybody, and nobody would see it."""
    given = merged(preset.source, example_source(preset))
    known = Source.model_validate(given).to_object()
    assert list(unknown_members(preset.source, known)) == []


@every_preset
def test_a_preset_declares_what_it_would_be_assumed_to_promise(preset):
    """What is not declared would be assumed, and nobody would have looked it up."""
    if "push" in preset.example:  # heartbeats say it
        return
    lists = "http" in preset.source and "events" not in preset.source
    needed = {"lagSeconds", "ids"} | ({"removal"} if lists else set())
    if "prometheus" in preset.source or "count" in preset.source:
        needed = {"lagSeconds", "ageSeconds", "removal"}  # a number has no ids, but an age
    assert needed <= set(preset.source["guarantees"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a", "not a YAML object"),
        ("title: x\n\tb: c", "not YAML, line 2"),
        ("name: X", "remove name"),
        ("title: x", "missing required field `verified`"),
        (PRESET + "owner: me\n", "unknown field `owner`"),
        (PRESET.replace("Live", "Perhaps"), "$.verified"),
        (PRESET.replace("by: You", "by: Me"), "$.notPeople[0].by"),
    ],
)
def test_a_file_that_is_no_preset_says_where_and_why(text, told):
    with pytest.raises(BadPresetError) as caught:
        preset_of("X", text)
    assert told in str(caught.value)


def test_the_text_in_these_tests_is_a_preset():
    assert preset_of("X", PRESET).definition == "Sign-in"


def test_the_opencloud_preset_counts_sign_ins_and_says_so():
    source = made(preset="OpenCloud", auth=LOGIN, pods={"selector": PODS["selector"]})
    assert "sign-in" in source.definition
    assert "file access does not count" in source.definition
    assert (source.pods.port, source.pods.scheme) == (9200, "HTTPS")
    assert source.users.last_active.path == "signInActivity.lastSuccessfulSignInDateTime"
    assert source.http.pagination == OnePage()
    assert source.guarantees.removal == "ListedOnce"


def test_the_jupyterhub_preset_asks_for_the_paged_form_in_overlapping_pages():
    source = made(preset="JupyterHub", auth=TOKEN, pods=PODS)
    assert ("Accept", "application/jupyterhub-pagination+json") in source.http.headers
    assert source.http.pagination == Offset(
        offset_param="offset", limit_param="limit", size=200, total="_pagination.total"
    )
    assert (source.guarantees.order, source.guarantees.lag_seconds) == ("ImmutableKey", 300)
    assert source.auth == HeaderAuth("Authorization", "token ", SecretKey("meter", "token"))


def test_the_standard_preset_reads_ascending_keys_and_keeps_users():
    source = made(preset="Standard", auth=TOKEN, pods=PODS)
    assert source.http.path == "/.well-known/active-users"
    assert source.http.pagination == Cursor(params=(("after", "next"),))
    assert (source.guarantees.order, source.guarantees.removal) == ("KeyCursor", "Never")
    assert source.properties.keeps_users


def test_given_fields_replace_the_presets_member_by_member_and_lists_whole():
    below = {"a": {"b": 1, "c": 2}, "l": [1, 2], "x": 1}
    given = {"a": {"b": 9, "d": 3}, "l": [3]}
    assert merged(below, given) == {"a": {"b": 9, "c": 2, "d": 3}, "l": [3], "x": 1}
    source = made(
        preset="OpenCloud",
        auth=LOGIN,
        pods={**PODS, "scheme": "HTTP"},
        guarantees={"lagSeconds": 0},
        intervalMinutes=60,
    )
    assert (source.guarantees.lag_seconds, source.guarantees.ids) == (0, "Stable")
    assert (source.pods.scheme, source.interval_ms) == ("HTTP", 3_600_000)


def test_another_kind_of_auth_or_paging_replaces_the_presets():
    source = made(preset="OpenCloud", auth=TOKEN, pods=PODS)
    assert source.auth == HeaderAuth("Authorization", "", SecretKey("meter", "token"))
    source = made(preset="Standard", auth=LOGIN, pods=PODS, http={"pagination": {"type": "None"}})
    assert (source.auth, source.http.pagination) == (BasicAuth("meter"), OnePage())


def test_a_source_without_preset_gets_the_documented_defaults():
    source = made(
        pods={**PODS, "port": "http"},
        http={"path": "/u"},
        users={"id": "id", "lastActive": {"path": "seen"}},
    )
    assert (source.pods.scheme, source.http.method, source.auth) == ("HTTPS", "GET", None)
    assert (source.interval_ms, source.identity, source.http.items) == (900_000, "product", None)
    held = source.properties
    assert (held.lag_ms, held.hidden_ms, held.granularity_ms) == (60_000, 0, 1000)
    assert (str(held.removal), held.ids_stable, held.initial_created) == (
        "ListedOnce",
        False,
        False,
    )
    assert "seen" in source.definition


def test_an_unknown_preset_names_those_that_exist():
    error = refused(preset="Opencloud", pods=PODS)
    assert error.reason == "UnknownPreset"
    assert "OpenCloud" in error.message


GIVEN = {
    "pods": PODS,
    "http": {"path": "/u"},
    "users": {"id": "id", "lastActive": {"path": "seen"}},
}
OFFSET = {"type": "Offset", "offsetParam": "o", "limitParam": "l", "size": 5}
PAGE = {"type": "Page", "pageParam": "p", "first": 1}
BY_HEADER = {"type": "HeaderCursor", "header": "X-Next", "cursorParam": "after"}

POSTED = {"tokenPath": "/token", "secretRef": {"name": "s"}}
LOGGED = {"path": "/login", "secretRef": {"name": "s"}}
MTLS = {"clientCertificate": {"secretRef": {"name": "s"}}}
IDP = {"name": "idp", "port": 80}

INVALID = [
    ({"pods": {"selector": PODS["selector"]}}, "pods.port is missing"),
    ({"pods": None}, "pods is missing"),
    ({"pods": {**PODS, "scheme": "HTTP", "tls": {"serverName": "x"}}}, "pods.tls"),
    ({"pods": {**PODS, "hostHeader": "http://x"}}, "pods.hostHeader"),
    ({"auth": {"basic": {}}}, "secretRef"),
    ({"auth": {**LOGIN, **TOKEN}}, "exactly one of basic, header, oauth2 and login"),
    ({"auth": {"oauth2": {"secretRef": {"name": "s"}}}}, "auth.oauth2.tokenPath is missing"),
    ({"auth": {"oauth2": POSTED | {"tokenPath": "/restart"}}}, "must contain 'token'"),
    ({"auth": {"oauth2": POSTED | {"endpoint": "e", "service": IDP}}}, "service and endpoint"),
    ({"auth": {"oauth2": POSTED | {"service": IDP | {"scheme": "TLS"}}}}, "auth.oauth2.service"),
    ({"auth": {"login": {"secretRef": {"name": "s"}}}}, "auth.login.path is missing"),
    ({"auth": {"login": LOGGED | {"path": "/restart"}}}, "is not the path of a login"),
    ({"auth": {"login": LOGGED | {"token": {}}}}, "auth.login.token.path is missing"),
    ({"auth": {"login": LOGGED | {"token": {"path": "a["}}}}, "auth.login.token.path: 'a['"),
    ({"auth": {"login": LOGGED | {"fields": [{"name": "a"}]}}}, "exactly one of secretKey and"),
    ({"pods": {**PODS, "scheme": "HTTP"}, "auth": MTLS}, "auth.clientCertificate needs TLS"),
    ({"http": None}, "http is missing"),
    ({"http": {"items": "x"}}, "http.path is missing"),
    ({"http": {"path": "users"}}, "must begin with '/'"),
    ({"http": {"path": "/u?a=1"}}, "put parameters into http.query"),
    ({"http": {"path": "/{{cycle.begin}}"}}, "{{cycle.begin}} is not a template"),
    ({"http": {"path": "/u", "query": [{"name": "a", "value": "{{x}}"}]}}, "http.query"),
    ({"http": {"path": "/u", "items": "a["}}, "http.items: 'a['"),
    ({"http": {"path": "/u", "method": "GET", "body": "{}"}}, "http.body"),
    ({"http": {"path": "/u", "body": "{}"}}, "http.body"),
    ({"http": {"path": "/u", "method": "POST"}}, "http.method is POST"),
    ({"preset": "Standard", "http": {"method": "POST"}}, "http.method is POST"),
    ({"preset": "Standard", "http": {"body": "{}"}}, "http.body"),
    ({"http": {"path": "/u", "headers": [{"name": "Cookie", "value": "a"}]}}, "secret"),
    ({"http": {"path": "/u", "headers": [{"name": "Host", "value": "a"}]}}, "connection"),
    ({"http": {"path": "/u", "headers": [{"name": "X-Method", "value": "a"}]}}, "another method"),
    ({"http": {"path": "/u", "pagination": {"type": "Offset", "size": 5}}}, "offsetParam"),
    ({"http": {"path": "/u", "pagination": {"type": "Cursor"}}}, "params"),
    ({"http": {"path": "/u", "pagination": {"type": "Keyset"}}}, "pagination.type"),
    ({"http": {"path": "/u", "pagination": {"type": "Page", "first": 1}}}, "pageParam"),
    ({"http": {"path": "/u", "pagination": {"type": "Page", "pageParam": "p"}}}, "first"),
    ({"http": {"path": "/u", "pagination": {**PAGE, "sizeParam": "s"}}}, "pagination.size"),
    ({"http": {"path": "/u", "pagination": {**PAGE, "template": "{page}{size}"}}}, "{size} in the"),
    ({"http": {"path": "/u", "pagination": {**PAGE, "template": "{{cycle.end}}"}}}, "{page}"),
    ({"http": {"path": "/u", "pagination": {"type": "Next", "path": "a["}}}, "pagination.path"),
    ({"http": {"path": "/u", "pagination": {**BY_HEADER, "header": None}}}, "pagination.header"),
    ({"http": {"path": "/u", "pagination": {**BY_HEADER, "header": "a b"}}}, "'a b'"),
    ({"http": {"path": "/u", "pagination": {**BY_HEADER, "header": "LINK"}}}, "use type Next"),
    ({"http": {"path": "/u", "pagination": {**BY_HEADER, "cursorParam": None}}}, "cursorParam"),
    (
        {
            "http": {"path": "/u", "pagination": {**BY_HEADER, "header": "X-Next-Page"}},
            "guarantees": {"order": "KeyCursor"},
        },
        "guarantees.order is KeyCursor",
    ),
    (
        {
            "http": {"path": "/u", "pagination": {"type": "Next"}},
            "guarantees": {"order": "Activity"},
        },
        "guarantees.order is Activity",
    ),
    (
        {"http": {"path": "/u", "pagination": PAGE}, "guarantees": {"order": "KeyCursor"}},
        "guarantees.order is KeyCursor",
    ),
    ({"http": {"path": "/u", "pagination": {**OFFSET, "total": "("}}}, "pagination.total"),
    ({"http": {"path": "/u", "format": "CSV"}}, "http.format"),
    ({"http": {"path": "/u", "format": "NDJSON", "items": "a"}}, "http.format is NDJSON"),
    (
        {"http": {"path": "/u", "format": "NDJSON", "pagination": {"total": "n"}}},
        "http.format is NDJSON",
    ),
    ({"users": None}, "users is missing"),
    ({"users": {"id": "id"}}, "users.lastActive is missing"),
    ({"users": {"id": "id", "lastActive": {"format": "Auto"}}}, "users.lastActive.path is missing"),
    ({"users": {"lastActive": {"path": "x"}}}, "users.id is missing"),
    ({"users": {**GIVEN["users"], "exclude": "a =="}}, "users.exclude: 'a =='"),
    ({"users": {**GIVEN["users"], "createdAt": {"toleranceSeconds": 1}}}, "createdAt.path"),
    ({"users": {"id": "f(x)", "lastActive": {"path": "x"}}}, "f()"),
    (
        {"users": {"id": "id", "lastActive": {"path": "x", "naiveTimezone": "CEST"}}},
        "not an IANA time zone",
    ),
    ({"users": {"id": "id", "lastActive": {"path": "x", "format": "%H"}}}, "leaves the year"),
    ({"guarantees": {"initialValue": "CreationTime"}}, "users.createdAt.path is missing"),
    ({"guarantees": {"lagSeconds": -1}}, "lagSeconds"),
    (
        {
            "http": {"path": "/u", "pagination": {**OFFSET, "size": 1}},
            "guarantees": {"order": "ImmutableKey"},
        },
        "need 2 or more",
    ),
]


@pytest.mark.parametrize(("fields", "told"), INVALID)
def test_an_invalid_source_names_field_and_fix(fields, told):
    whole = {name: value for name, value in (GIVEN | fields).items() if value is not None}
    with pytest.raises((Stalled, ValidationError)) as caught:  # the latter when the file is read
        effective(Source.model_validate({"name": "s", **whole}))
    assert told in str(caught.value)
    assert getattr(caught.value, "reason", "InvalidSource") == "InvalidSource"


@pytest.mark.parametrize(
    ("form", "declared", "expected"),
    [
        ("Auto", None, 1000),
        ("Auto", "Day", 86_400_000),
        ("Auto", "Minute", 60_000),
        ("Auto", "Hour", 3_600_000),
        ("%Y-%m-%d", None, 86_400_000),
        ("%Y-%m-%d", "Second", 86_400_000),
        ("%Y-%m-%d %H:%M", "Second", 60_000),
    ],
)
def test_granularity_is_never_finer_than_the_format(form, declared, expected):
    stamp = {"path": "x", "format": form} | ({"granularity": declared} if declared else {})
    source = made(**(GIVEN | {"users": {"id": "id", "lastActive": stamp}}))
    assert source.properties.granularity_ms == expected


def test_a_creation_path_means_that_the_value_may_start_as_creation():
    users = {**GIVEN["users"], "createdAt": {"path": "made", "toleranceSeconds": 2}}
    held = made(**(GIVEN | {"users": users})).properties
    assert (held.initial_created, held.created_tolerance_ms) == (True, 2000)


CHANGES = [
    ({"activityDefinition": "other"}, True),
    ({"users": {"id": "uid", "lastActive": {"path": "seen"}}}, True),
    ({"users": {**GIVEN["users"], "exclude": "bot"}}, True),
    ({"http": {"path": "/v2"}}, True),
    ({"guarantees": {"lagSeconds": 61}}, True),
    ({"intervalMinutes": 30}, False),
    ({"pods": {**PODS, "port": 81}}, False),
    ({"auth": TOKEN}, False),
    ({"name": "t"}, False),
]


@pytest.mark.parametrize(("fields", "other"), CHANGES)
def test_the_digest_is_of_what_decides_who_counts(fields, other):
    before, after = made(**GIVEN), made(**(GIVEN | fields))
    assert (before.digest() != after.digest()) is other
    assert len(before.digest()) == 32


def test_the_digest_does_not_change_by_itself():
    assert made(**GIVEN).digest().hex() == made(**GIVEN).digest().hex()
    plain = made(**(GIVEN | {"activityDefinition": "x"}))
    assert plain.digest().hex().startswith("188189d3881b0b1a")


# -- event logs --

NATS = {"selector": PODS["selector"], "port": 4222}
EVENTS = {
    "pods": NATS,
    "jetstream": {"stream": "log"},
    "users": {"id": "who", "time": {"path": "at"}},
}


def test_the_opencloud_event_log_counts_key_actions_and_needs_only_pods():
    source = made(preset="OpenCloudEvents", pods={"selector": PODS["selector"]})
    assert source.reads_log
    assert (source.pods.port, source.pods.scheme, source.auth) == ("nats", "NATS", None)
    assert source.jetstream.stream == "main-queue"
    assert "events.UserSignedIn" in source.jetstream.types
    hiding = {"events.FileUploaded", "events.UploadReady"}
    assert not ({"events.SpaceCreated", "events.SendSSE"} | hiding) & set(source.jetstream.types)
    assert source.properties.granularity_ms == 1
    assert source.properties.assumptions() == ("IdsStable", "IdsNotReused")


def test_the_list_without_stamps_points_to_the_event_log():
    source = made(preset="OpenCloud", auth=LOGIN, pods={"selector": PODS["selector"]})
    assert "preset OpenCloudEvents" in source.when_nobody


def test_a_log_is_read_over_tls_unless_it_is_said_otherwise():
    assert made(**EVENTS).pods.scheme == "TLS"
    assert made(**EVENTS | {"pods": {**NATS, "scheme": "NATS"}}).pods.scheme == "NATS"
    assert made(**EVENTS | {"pods": {**NATS, "tls": {"serverName": "n"}}}).pods.server_name == "n"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"http": {"path": "/u"}}, "http and jetstream are both given"),
        ({"auth": TOKEN}, "auth.header, auth.oauth2 and auth.login are for http"),
        ({"jetstream": {}}, "jetstream.stream is missing"),
        ({"jetstream": {"stream": "a.b"}}, "is not a stream's name"),
        ({"jetstream": {"stream": "s", "types": ["x"]}}, "without jetstream.typePath"),
        ({"jetstream": {"stream": "s", "payloadPath": "]["}}, "jetstream.payloadPath"),
        ({"users": {"id": "who"}}, "users.time is missing"),
        ({"users": {"id": "who", "lastActive": {"path": "at"}}}, "events have time"),
        ({"users": {"id": "who", "time": {"path": "at", "format": "%H"}}}, "users.time"),
        ({"pods": {**NATS, "scheme": "HTTPS"}}, "jetstream takes NATS or TLS"),
        ({"pods": {**NATS, "scheme": "NATS", "tls": {}}}, "pods.tls is given"),
        ({"guarantees": {"removal": "Never"}}, "guarantees.removal is about lists of users"),
        ({"guarantees": {"hiddenSeconds": 0}}, "guarantees.hiddenSeconds is about lists"),
    ],
)
def test_an_invalid_event_log_names_field_and_fix(fields, told):
    assert told in refused(**(EVENTS | fields)).message


def test_a_list_with_a_time_of_events_is_refused():
    users = {"id": "id", "time": {"path": "at"}}
    assert "listed users have lastActive" in refused(**(GIVEN | {"users": users})).message
    assert (
        "both given"
        in refused(preset="OpenCloud", auth=LOGIN, pods=NATS, jetstream={"stream": "s"}).message
    )


@pytest.mark.parametrize(
    ("changes", "other"),
    [
        ({"jetstream": {"stream": "other"}}, True),
        ({"jetstream": {"stream": "log", "typePath": "t", "types": ["a"]}}, True),
        ({"pods": {**NATS, "port": 9}}, False),
    ],
)
def test_the_digest_of_a_log_changes_with_what_decides_who_counts(changes, other):
    assert (made(**EVENTS).digest() != made(**(EVENTS | changes)).digest()) is other


# -- who is not a person --


@every_preset
def test_every_preset_says_which_rows_or_events_are_not_people_and_what_leaves_them_out(preset):
    assert preset.not_people
    for one in preset.not_people:
        assert one.who
        assert one.how
        match one.by:
            case "Types":
                assert preset.source["jetstream"]["types"]
            case "Exclude":
                assert preset.source["users"]["exclude"]
            case "You":
                number = "prometheus" in preset.source
                assert ("count.ownAccounts" if number else "users.exclude") in one.how
            case other:
                assert other == "Product"


def test_no_preset_excludes_without_saying_whom():
    for preset in presets().values():
        excludes = "exclude" in preset.source.get("users", {})
        assert excludes is any(one.by == "Exclude" for one in preset.not_people)


@pytest.mark.parametrize("name", ["OpenCloud", "OpenCloudEvents"])
def test_both_opencloud_presets_tell_what_to_do_about_the_operators_account(name):
    (own,) = [one for one in presets()[name].not_people if "the operator's own account" in one.who]
    assert own.by == "You"


# -- what only the user knows --

KEYCLOAK = {
    "preset": "Keycloak",
    "pods": PODS,
    "auth": {"oauth2": {"tokenPath": "/token", "secretRef": {"name": "s"}}},
    "http": {"path": "/admin/realms/app/events"},
    "events": {"settings": {"path": "/admin/realms/app/events/config"}},
    "users": {"exclude": "clientId != 'app'"},
    "guarantees": {"clockSkewSeconds": 5},
}


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("http", "http.path is missing"),
        ("events", "events.settings.path is missing"),
        ("users", "users.exclude is missing, and preset Keycloak cannot know it: name the product"),
        ("guarantees", "guarantees.clockSkewSeconds is missing"),
    ],
)
def test_a_preset_refuses_a_source_without_what_only_the_user_knows(field, says):
    refusal = refused(**{name: value for name, value in KEYCLOAK.items() if name != field})
    assert refusal.reason == "InvalidSource"
    assert says in refusal.message


def test_keycloaks_log_is_asked_by_days_newest_first_with_its_settings_before():
    source = made(**KEYCLOAK)
    assert source.http_log.newest_first
    assert source.http_log.settings.path == "/admin/realms/app/events/config"
    assert dict(source.http.query)["dateFrom"] == "{{range.start.date}}"
    assert "User events settings" in source.when_off


def test_a_preset_may_bring_another_path_to_sign_in_and_nobody_else():
    """Vaultwarden's administrators sign in at /admin."""
    login = {"path": "/admin", "secretRef": {"name": "s"}}
    given = Auth.model_validate({"login": login})
    only_signs_in(given, {"login": {"path": "/admin"}})
    for preset in ({}, {"login": {"path": "/other"}}, {"basic": {}}):
        with pytest.raises(InvalidError, match=r"auth\.login\.path"):
            only_signs_in(given, preset)
