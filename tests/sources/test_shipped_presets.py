"""Presets that come with a product may do no more than whoever wrote the LicenseUsage."""

import json
from typing import Any

import pytest
import yaml

from licenseusage.api.source import Source
from licenseusage.errors import Stalled
from licenseusage.sources.definition import shipped
from licenseusage.sources.definition.presets import effective, from_configmap, key_of
from licenseusage.sources.definition.shipped import MOST_BYTES

WHERE = "ConfigMap wiki/presets, key Wiki.yaml"
OWN: dict[str, Any] = {
    "title": "Wiki, its accounts",
    "verified": "Live",
    "version": "4.2",
    "counts": ["Any request."],
    "countsNot": ["Reading without an account."],
    "permission": "A token that lists accounts",
    "notPeople": [{"who": "bots", "by": "Exclude", "how": "type is bot"}],
    "breaks": ["Deleting an account."],
    "properties": [],
    "sameId": "None",
    "whenNobody": "The audit trail is off.",
    "source": {
        "activityDefinition": "Any request of a signed-in person",
        "pods": {"port": 8080, "scheme": "HTTP"},
        "auth": {"header": {"name": "Authorization", "prefix": "Bearer "}},
        "http": {"path": "/api/accounts", "items": "accounts"},
        "users": {"id": "id", "lastActive": {"path": "seen"}, "exclude": "type == 'bot'"},
        "guarantees": {"lagSeconds": 60, "removal": "Never", "ids": "Stable"},
    },
}
GIVEN = {
    "name": "accounts",
    "preset": "Wiki",
    "presetConfigMapRef": {"name": "presets"},
    "pods": {"selector": {"matchLabels": {"app": "wiki"}}},
    "auth": {"header": {"secretRef": {"name": "wiki-meter", "key": "token"}}},
}


def preset(**changes: Any) -> str:
    """The text of a preset, with other members of its source (None: without)."""
    source = {k: v for k, v in (OWN["source"] | changes).items() if v is not None}
    return yaml.safe_dump(OWN | {"source": source})


def read(text: str, **given: Any) -> Any:
    source = Source.model_validate(GIVEN | given)
    return effective(source, from_configmap(source, text, WHERE))


def refusal(text: str, **given: Any) -> Stalled:
    with pytest.raises(Stalled) as caught:
        read(text, **given)
    assert caught.value.message.startswith("Source accounts: ")
    return caught.value


def test_a_shipped_preset_is_the_source_that_the_user_would_have_written():
    shipped = read(preset())
    whole = {**GIVEN, **OWN["source"], "pods": {**GIVEN["pods"], **OWN["source"]["pods"]}}
    whole["auth"] = {"header": {**OWN["source"]["auth"]["header"], **GIVEN["auth"]["header"]}}
    for name in ("preset", "presetConfigMapRef"):
        del whole[name]
    written = effective(Source.model_validate(whole))
    assert shipped.digest() == written.digest()
    assert (shipped.preset, shipped.when_nobody) == ("Wiki", "The audit trail is off.")
    assert key_of(Source.model_validate(GIVEN)) == "Wiki.yaml"


def test_the_digest_in_reports_changes_with_a_shipped_preset():
    other = preset(http={"path": "/api/v2/accounts", "items": "accounts"})
    assert read(preset()).digest() != read(other).digest()


def test_what_the_object_gives_replaces_what_the_preset_gives():
    assert read(preset(), users={"exclude": "type == 'robot'"}).users.exclude == "type == 'robot'"


REACHES = [
    ("name", {"name": "x"}),
    ("preset", {"preset": "Standard"}),
    ("presetConfigMapRef", {"presetConfigMapRef": {"name": "x"}}),
    ("service", {"service": {"name": "x", "port": 80}}),
    ("endpoint", {"endpoint": "x"}),
    ("push", {"push": {"serviceAccounts": ["x"]}}),
    ("pods.selector", {"pods": {"selector": {"matchLabels": {"app": "other"}}}}),
    ("pods.hostHeader", {"pods": {"port": 80, "hostHeader": "evil.example.org"}}),
    ("pods.tls", {"pods": {"port": 80, "tls": {"serverName": "x"}}}),
    ("auth.header.secretRef", {"auth": {"header": {"secretRef": {"name": "x", "key": "y"}}}}),
    ("auth.basic.secretRef", {"auth": {"basic": {"secretRef": {"name": "x"}}}}),
    ("auth.clientCertificate", {"auth": {"clientCertificate": {"secretRef": {"name": "x"}}}}),
    ("auth.oauth2.service", {"auth": {"oauth2": {"service": {"name": "x", "port": 80}}}}),
    ("auth.oauth2.endpoint", {"auth": {"oauth2": {"endpoint": "x"}}}),
    ("http.method", {"http": {"path": "/x", "method": "POST"}}),
    ("http.method", {"http": {"path": "/x", "method": "DELETE"}}),
    ("http.body", {"http": {"path": "/x", "body": "{}"}}),
    ("auth.login.path", {"auth": {"login": {"path": "/admin/delete-user"}}}),
    ("auth.login.path", {"auth": {"login": {"path": ["/login"]}}}),
    ("auth.oauth2.tokenPath", {"auth": {"oauth2": {"tokenPath": "/api/users"}}}),
]


@pytest.mark.parametrize(("member", "changes"), REACHES)
def test_a_preset_that_chooses_a_server_a_secret_or_an_act_is_refused_by_the_member(
    member, changes
):
    error = refusal(preset(**changes))
    assert error.reason == "PresetRefused"
    assert f"{WHERE}: " in error.message
    assert f"source.{member}" in error.message
    assert "remove it" in error.message


def test_a_preset_cannot_take_the_name_of_one_that_was_reviewed():
    error = refusal(preset(), preset="OpenCloud")
    assert error.reason == "PresetRefused"
    assert "OpenCloud is the name of a preset of the operator's own" in error.message


BOMB = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9))
UNREADABLE = [
    ("- a list", "not a YAML object"),
    ("title: x\n\tb: c", "not YAML, line 2"),
    ("title: [", "not YAML"),
    (f"a0: &a0 x\n{BOMB}", "has a YAML alias"),
    ("[" * 5000, "nested more than 32 deep"),
    ("title: x", "missing required field"),
    ("x" * (MOST_BYTES + 1), f"larger than {MOST_BYTES} bytes"),
    (preset() + "owner: me\n", "unknown field `owner`"),
    (preset() + f"when500: {'x' * 513}\n", "when500 is longer than 512 letters"),
    (
        preset() + f"needs: [{{field: http.path, why: {'x' * 513}}}]\n",
        "needs[0].why is longer than 512 letters",
    ),
    (preset() + "name: Other\n", "remove name"),
    ("!!python/object/apply:os.system ['true']", "not YAML"),
    ("title: 2026-13-45", "not YAML"),
]


@pytest.mark.parametrize(("text", "told"), UNREADABLE)
def test_a_text_that_is_no_preset_is_refused_with_where_and_why(text, told):
    error = refusal(text)
    assert error.reason == "PresetInvalid"
    assert WHERE in error.message
    assert told in error.message


SUMS = [
    ({"http": {"path": "accounts"}}, "http.path"),
    ({"http": {"path": "/x", "headers": [{"name": "Authorization", "value": "x"}]}}, "headers"),
    (
        {"http": {"path": "/x", "headers": [{"name": "X-HTTP-Method-Override", "value": "PUT"}]}},
        "headers",
    ),
    ({"http": {"path": "/x", "unknown": 1}}, "http.unknown"),
    ({"jetstream": {"stream": "s"}}, "one way to be read"),
    ({"users": {"id": "]["}}, "users.id"),
    ({"users": {"id": "id"}}, "lastActive"),
    ({"pods": None}, "pods.port"),
    ({"activityDefinition": "x" * 300}, "activityDefinition"),
]


@pytest.mark.parametrize(("changes", "told"), SUMS)
def test_the_sum_of_preset_and_object_is_checked_as_the_api_server_would(changes, told):
    error = refusal(preset(**changes))
    assert error.reason == "InvalidSource"
    assert told in error.message


def test_an_object_that_posts_beside_a_shipped_preset_is_refused_as_without():
    error = refusal(preset(), http={"method": "POST"})
    assert error.reason == "InvalidSource"
    assert "http.method is POST" in error.message


def test_no_value_of_a_preset_that_is_refused_stands_in_the_message():
    text = preset(auth={"header": {"secretRef": {"name": "hush", "key": "hush"}}})
    assert "hush" not in json.dumps(refusal(text).message)


def test_a_preset_that_is_refused_is_read_once_however_often_its_object_is_looked_at(monkeypatch):
    """To read it again for each of them would hold up everybody."""
    parsed, text = [], f"title: {'x' * 100}\nnothing: else\n"
    preset_of = shipped.preset_of
    monkeypatch.setattr(shipped, "preset_of", lambda *of: parsed.append(of) or preset_of(*of))
    told = {refusal(text).message for _ in range(3)}
    assert (len(told), len(parsed)) == (1, 1)
