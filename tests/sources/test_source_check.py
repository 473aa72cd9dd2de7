"""``source check`` and ``preset``: the command line, as users run it."""

import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.resources import files
from typing import Any

import pytest
import yaml

from licenseusage.controller.settings import Settings
from licenseusage.sources.definition.presets import presets
from tests.sources.broker import message, now_ms, person
from tests.sources.product import answer

TOKEN = "tok-9f8e7d"
OPENCLOUD = {
    "name": "graph",
    "preset": "OpenCloud",
    "pods": {"selector": {"matchLabels": {"app": "x"}}, "scheme": "HTTP"},
    "auth": {"basic": {"secretRef": {"name": "meter"}}},
}
OTHER = {
    "name": "other",
    "pods": {"selector": {"matchLabels": {"app": "x"}}, "port": 1},
    "http": {"path": "/people"},
    "users": {"id": "id", "lastActive": {"path": "seen"}},
    "guarantees": {"removal": "Never"},
}
USAGE = {
    "apiVersion": "licenseusage.dev/v1alpha1",
    "kind": "LicenseUsage",
    "metadata": {"name": "oc"},
    "spec": {"product": "opencloud", "sources": [OPENCLOUD, OTHER]},
}
SECRETS = ("--secret", "meter/username=admin", "--secret", f"meter/password={TOKEN}")


def now() -> datetime:
    """The product's clock here is the machine's, as the command's is."""
    return datetime.now(UTC)


def ago(**span: float) -> str:
    return (now() - timedelta(**span)).strftime("%Y-%m-%dT%H:%M:%SZ")


def people() -> list[dict[str, Any]]:
    seen = [ago(hours=1), ago(days=3), ago(days=90)]
    rows = [
        {"id": f"leaky-{n}", "signInActivity": {"lastSuccessfulSignInDateTime": one}}
        for n, one in enumerate(seen)
    ]
    return [*rows, {"id": "leaky-9"}]


@pytest.fixture
def product(serve):
    date = {"Date": format_datetime(now(), usegmt=True)}
    made = serve(lambda _: answer({"value": people()}, headers=date))
    return f"http://127.0.0.1:{made.port}", made


def test_a_source_is_tried_and_described(run, file, product):
    url, made = product
    done = run("source", "check", file(OPENCLOUD), "--url", url, *SECRETS)
    assert (done.code, done.err) == (0, "")
    told = dict(line.split(None, 1) for line in done.out.splitlines() if "  " in line)
    assert "graph (preset OpenCloud)" in done.out
    assert "OIDC sign-in or token renewal" in done.out
    assert told["read"].startswith("1 pages, ")
    assert "users listed    4" in done.out
    assert "counted so far  2" in done.out
    assert "1 NeverActive, 1 OutsideCycle" in done.out
    assert "yes: who is not listed was not active" in done.out
    assert "Exact: in a cycle that was read from before its start on" in done.out
    assert "leaky" not in done.out + done.err
    assert TOKEN not in done.out + done.err
    assert made.requests[0].path == "/graph/v1.0/users"


@pytest.mark.parametrize(
    ("window", "removal", "counted", "best"),
    [
        (
            {"type": "Rolling", "days": 7},
            "Never",
            2,
            "Exact: unless somebody was active right before",
        ),
        (
            {"type": "Rolling", "days": 30},
            "Never",
            0,
            "Bounded: the list says who was active within a",
        ),
        (
            {"type": "Rolling", "hours": 24},
            "Never",
            2,
            "A window of a day or less rules nobody out",
        ),
        (
            {"type": "Rolling", "days": 7},
            "Unknown",
            2,
            "LowerBound: who is listed while the list's",
        ),
        ({"type": "CalendarMonthToDate"}, "Never", None, "It begins anew with each month"),
    ],
)
def test_a_list_without_times_is_described_by_its_window(
    run, file, serve, window, removal, counted, best
):
    date = {"Date": format_datetime(now(), usegmt=True)}
    made = serve(answer({"active": [{"id": "leaky-1"}, {"id": "leaky-2"}]}, headers=date))
    lately = OTHER | {
        "pods": {"selector": {"matchLabels": {"app": "x"}}, "port": 1, "scheme": "HTTP"},
        "http": {"path": "/active", "items": "active"},
        "users": {"id": "id"},
        "window": window,
        "guarantees": {"removal": removal, "ids": "Stable"},
    }
    done = run("source", "check", file(lately), "--url", f"http://127.0.0.1:{made.port}")
    assert (done.code, done.err) == (0, "")
    assert counted is None or f"counted so far  {counted}" in done.out
    assert "provisioned     -" in done.out
    assert "last activity:" not in done.out
    assert best in done.out
    assert "leaky" not in done.out


def test_json_is_for_programs(run, file, product):
    done = run("source", "check", file(OPENCLOUD), "--url", product[0], *SECRETS, "-o", "json")
    facts = json.loads(done.out)
    assert done.code == 0
    assert (facts["usersListed"], facts["usersCounted"], facts["complete"]) == (4, 2, True)
    assert facts["skipped"] == {"NeverActive": 1, "OutsideCycle": 1}
    assert facts["accuracyAtBest"]["accuracy"] == "Exact"
    assert "ids" not in facts


def at_day(days: float) -> str:
    return (now() - timedelta(days=days)).strftime("%Y-%m-%d")


def test_last_activities_are_shown_by_day_and_each_reason_by_pseudonyms(run, file, product):
    users = {"excludeIds": ["leaky-1"]}
    done = run("source", "check", file(OPENCLOUD | {"users": users}), "--url", product[0], *SECRETS)
    lines = [line.split() for line in done.out.splitlines()]
    shown = {line[0]: line[1:] for line in lines if len(line) > 1}
    day = (now() - timedelta(hours=1)).strftime("%Y-%m-%d")
    assert shown[day] == ["1", "#" * 40]
    assert re.search(r"^  \d{4}-\d\d-\d\d to \d\d-\d\d +0$", done.out, re.M)
    assert (shown["before"][0], shown["never"][0]) == ("1", "1")
    for reason in ("Counted", "ExcludedId", "NeverActive", "OutsideCycle"):
        assert f"{reason}, for example:" in done.out
    assert "leaky" not in done.out
    assert at_day(90) in done.out


def test_last_activities_and_examples_are_for_programs_too(run, file, serve):
    date = {"Date": format_datetime(now(), usegmt=True)}
    rows = [{"id": f"leaky-{n}", "seen": ago(days=2)} for n in range(9)]
    made = ago(days=4)
    rows += [{"id": "leaky-x", "seen": made, "made": made}, {"id": "leaky-y", "seen": None}]
    url = f"http://127.0.0.1:{serve(answer(rows, headers=date)).port}"
    users = {**OTHER["users"], "createdAt": {"path": "made"}}
    asked = ("source", "check", file(OTHER | {"users": users}), "--url", url, "-o", "json")
    facts = json.loads(run(*asked).out)
    assert facts["lastActivities"] == {
        "beforeCycle": 0,
        "days": {at_day(4): 1, at_day(2): 9},
        "afterCycle": 0,
        "never": 1,
    }
    examples = facts["examples"]
    assert {why: len(users) for why, users in examples.items()} == {
        "Counted": 3,
        "NeverActive": 1,
        "OnlyCreated": 1,
    }
    assert examples["OnlyCreated"][0]["lastActiveTime"] == made
    assert "leaky" not in json.dumps(facts)
    shown = json.loads(run(*asked, "--show-ids").out)["examples"]
    assert [one["user"] for one in shown["Counted"]] == ["leaky-0", "leaky-1", "leaky-2"]


def test_ids_are_shown_only_when_asked_for(run, file, product):
    asked = ("source", "check", file(OPENCLOUD), "--url", product[0], *SECRETS, "--show-ids")
    assert [line.strip() for line in run(*asked).out.splitlines()[-2:]] == ["leaky-0", "leaky-1"]
    assert json.loads(run(*asked, "-o", "json").out)["ids"] == ["leaky-0", "leaky-1"]


def test_the_cycle_can_be_given(run, file, product):
    start = (now() - timedelta(days=1)).strftime("%Y-%m-%d")
    asked = ("source", "check", file(OPENCLOUD), "--url", product[0], *SECRETS, "-o", "json")
    facts = json.loads(run(*asked, "--cycle-start", start, "--cycle-days", 7).out)
    assert facts["cycle"]["startTime"] == f"{start}T00:00:00Z"
    assert facts["usersCounted"] == 1


def test_the_cycle_of_the_object_is_used(run, file, product):
    anchor = (now() - timedelta(days=10)).strftime("%Y-%m-%d")
    spec = {**USAGE["spec"], "cycle": {"anchorDate": anchor, "lengthDays": 4}}
    usage = file({**USAGE, "spec": spec})
    asked = ("source", "check", usage, "--url", product[0], "--source", "graph", *SECRETS)
    facts = json.loads(run(*asked, "-o", "json").out)
    start = (now() - timedelta(days=2)).strftime("%Y-%m-%d")
    assert facts["cycle"]["startTime"] == f"{start}T00:00:00Z"


def test_secrets_may_come_from_files_and_standard_input(run, file, product, tmp_path):
    (tmp_path / "user").write_text("admin\n")
    done = run(
        *("source", "check", file(OPENCLOUD), "--url", product[0]),
        *("--secret-file", "meter/username=user", "--secret-file", "meter/password=-"),
        stdin=f"{TOKEN}\n".encode(),
    )
    assert done.code == 0
    assert product[1].requests[0].headers["authorization"] == "Basic YWRtaW46dG9rLTlmOGU3ZA=="


def test_the_source_may_come_from_standard_input(run, product):
    text = yaml.safe_dump(OPENCLOUD).encode()
    assert run("source", "check", "-", "--url", product[0], *SECRETS, stdin=text).code == 0


def test_one_of_several_sources_is_chosen_by_name(run, file, serve):
    date = {"Date": format_datetime(now(), usegmt=True)}
    made = serve(lambda _: answer([{"id": 1, "seen": ago(hours=2)}], headers=date))
    url = f"http://127.0.0.1:{made.port}"
    done = run("source", "check", file(USAGE), "--url", url, "--source", "other")
    assert done.code == 0
    assert "at best         Exact" in done.out


USAGE_ERRORS = [
    ((), "--source"),
    (("--source", "nobody"), "graph, other"),
    (("--source", "graph"), "meter/username"),
    (("--source", "graph", "--secret", "meter/username"), "NAME/KEY=VALUE"),
    (("--source", "graph", "--secret-file", "meter/username=nowhere"), "nowhere"),
    (("--source", "other", "--url", "ftp://x"), "http://host:port"),
    (("--source", "other", "--url", "nats://h:1"), "http://host:port"),
    (("--source", "other", "--url", "http://h:1/path"), "what to read"),
    (("--source", "other", "--url", "http://u:p@h:1"), "http://host:port"),
    (("--source", "other", "--url", "http://h:x"), "http://host:port"),
    (("--source", "other", "--cycle-start", "soon"), "YYYY-MM-DD"),
    (("--source", "other", "--cycle-days", "63"), "62"),
    (("--source", "other", "--ca", "nowhere"), "nowhere"),
]


@pytest.mark.parametrize(("options", "told"), USAGE_ERRORS)
def test_a_wrong_command_line_is_a_usage_error(run, file, options, told):
    url = () if "--url" in options else ("--url", "http://127.0.0.1:1")
    done = run("source", "check", file(USAGE), *url, *options)
    assert done.code == 2
    assert told in done.err
    assert "Traceback" not in done.err


FILES = [
    ("nothing: here\n", "InvalidSource", 3),
    ("a: [\n", "FileUnreadable", 3),
    ("", "InvalidSource", 3),
    ("preset: Nope\n", "UnknownPreset", 1),
    ("preset: OpenCloud\n", "InvalidSource", 1),
    ("preset: OpenCloud\nhttp: {pathh: /x}\n", "no field http.pathh", 3),
    ("preset: OpenCloud\nusers: {id: 5}\n", "users.id", 3),
    ("http: {path: /u}\nusers: {id: 'a(', lastActive: {path: b}}\n", "users.id", 1),
]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"http": {"path": "/people", "pagination": {"type": "None", "size": 5}}},
            "http.pagination: size and first belong to type Offset or Page, not",
        ),
        ({"http": {"path": "//elsewhere/people"}}, "names another host"),
        ({"pods": {"port": 1}}, "has no pods.selector"),
        ({"identity": "Two Words"}, "identity: must be lower-case"),
    ],
)
def test_what_the_api_server_would_refuse_is_refused(run, tmp_path, fields, told):
    """By the rules of the CRD themselves, with their messages."""
    (tmp_path / "source.yaml").write_text(yaml.safe_dump(OTHER | fields))
    done = run("source", "check", "source.yaml", "--url", "http://127.0.0.1:1")
    assert done.code == 1
    assert "InvalidSource: Source other" in done.err
    assert told in done.err


@pytest.mark.parametrize(("text", "told", "code"), FILES)
def test_a_wrong_file_is_described(run, tmp_path, text, told, code):
    (tmp_path / "source.yaml").write_text(text)
    done = run("source", "check", "source.yaml", "--url", "http://127.0.0.1:1")
    assert done.code == code
    assert told in done.err
    assert "Traceback" not in done.err


def test_a_file_that_is_not_there_cannot_be_determined(run):
    done = run("source", "check", "nowhere.yaml", "--url", "http://127.0.0.1:1")
    assert (done.code, "FileUnreadable" in done.err) == (3, True)


def test_an_answer_that_is_not_right_is_1_and_an_unreachable_product_3(run, file, serve):
    wrong = serve(answer(b"", "401 Unauthorized"))
    asked = ("source", "check", file(OPENCLOUD), *SECRETS, "--url")
    done = run(*asked, f"http://127.0.0.1:{wrong.port}")
    assert done.code == 1
    assert "error: Unauthorized: Source graph" in done.err
    assert "Secret meter" in done.err
    assert TOKEN not in done.out + done.err
    wrong.close()
    done = run(*asked, f"http://127.0.0.1:{wrong.port}")
    assert (done.code, "error: Unreachable" in done.err) == (3, True)


def test_the_limits_of_a_poll_are_those_of_the_operator_and_its_options(run, file, serve):
    product = serve(lambda _: [])

    def silent(_):
        product.stopped.wait(20)
        return []

    product.respond = silent
    asked = ("source", "check", file(OPENCLOUD), *SECRETS, "--url")
    done = run(*asked, f"http://127.0.0.1:{product.port}", "--poll-request-seconds", 1)
    assert (done.code, "error: RequestTimeout" in done.err) == (3, True)
    assert "sent nothing for 1 s" in done.err
    done = run(*asked, f"http://127.0.0.1:{product.port}", "--poll-seconds", 1)
    assert "error: PollTimeout" in done.err
    rows = [{"id": str(number)} for number in range(100)]
    date = {"Date": format_datetime(now(), usegmt=True)}
    large = serve(answer({"value": rows}, headers=date))
    done = run(*asked, f"http://127.0.0.1:{large.port}", "--poll-bytes", 1024)
    assert "error: PollTooLarge" in done.err


@pytest.mark.parametrize(
    "name",
    [
        "poll_request_seconds",
        "poll_seconds",
        "poll_bytes",
        "poll_pages",
        "poll_users",
        "worker_bytes",
    ],
)
def test_each_limit_of_a_poll_has_an_option_named_as_the_operators(run, name):
    shown = run("source", "check", "--help").out
    assert f"--{name.replace('_', '-')}" in shown
    assert str(getattr(Settings(), name)) in shown


def test_a_directory_that_lists_no_more_is_what_a_500_of_opencloud_likely_means(run, file, serve):
    product = serve(answer(b"", "500 Internal Server Error"))
    address = f"http://127.0.0.1:{product.port}"
    done = run("source", "check", file(OPENCLOUD), *SECRETS, "--url", address)
    assert done.code == 1
    assert "lift the size limit for the account that OpenCloud binds with" in done.err
    assert "preset OpenCloudEvents" in done.err
    other = run("source", "check", file(OTHER), "--url", address)
    assert "directory" not in other.err
    product.respond = lambda _: answer(b"", "503 Service Unavailable")
    done = run("source", "check", file(OPENCLOUD), *SECRETS, "--url", address)
    assert "directory" not in done.err


def test_exclusions_that_leave_nobody_out_and_the_collector_itself_are_noted(run, file, serve):
    date = {"Date": format_datetime(now(), usegmt=True)}
    rows = people()
    rows[0]["onPremisesSamAccountName"] = "admin"
    product = serve(answer({"value": rows}, headers=date))
    url = f"http://127.0.0.1:{product.port}"
    users = {"excludeIds": ["00000000-0000-0000-0000-000000000000"], "exclude": "userType == 'Bot'"}
    done = run("source", "check", file(OPENCLOUD | {"users": users}), *SECRETS, "--url", url)
    assert done.code == 0
    assert "note            Source graph: users.excludeIds[0] is on nobody's row" in done.out
    assert "note            Source graph: users.exclude matches none of 4 users" in done.out
    assert "account, that of Secret meter, is counted as a person" in done.out
    assert "00000000" not in done.out
    users = {"exclude": "onPremisesSamAccountName == 'admin'"}
    asked = ("source", "check", file(OPENCLOUD | {"users": users}), *SECRETS, "--url", url)
    facts = json.loads(run(*asked, "-o", "json").out)
    assert (facts["notes"], facts["usersCounted"]) == ([], 1)


def test_presets_are_listed_with_how_far_they_were_verified(run):
    done = run("preset", "list")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].split() == ["NAME", "VERIFIED", "VERSION", "READS"]
    assert [line.split()[0] for line in lines[1:]] == list(presets())
    listed = json.loads(run("preset", "list", "-o", "json").out)
    assert {one["name"]: one["verified"] for one in listed}["JupyterHub"] == "Live"


def test_a_preset_is_shown_with_what_to_know(run):
    done = run("preset", "show", "OpenCloud")
    assert done.code == 0
    assert "file access does not count" in done.out
    assert "OC_LDAP_SERVER_WRITE_ENABLED" in done.out
    assert "not verified" in done.out
    assert "own account, which had to sign in once. You must exclude them" in done.out
    shown = json.loads(run("preset", "show", "Standard", "-o", "json").out)
    assert shown["source"]["http"]["path"] == "/.well-known/active-users"
    assert {one["by"] for one in shown["notPeople"]} == {"Product", "You"}


def test_an_unknown_preset_is_a_usage_error_that_names_the_others(run):
    done = run("preset", "show", "opencloud")
    assert (done.code, "OpenCloud" in done.err) == (2, True)


# -- presets that come with a product --


def beside(tmp_path, *documents):
    path = tmp_path / "both.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return str(path)


SHIPPED = {
    "kind": "ConfigMap",
    "metadata": {"name": "presets", "labels": {"licenseusage.dev/preset": "true"}},
    "data": {
        "Ours.yaml": (
            files("licenseusage.sources.definition") / "presets" / "Standard.yaml"
        ).read_text("utf-8")
    },
}
BY_SHIPPED = {
    "name": "people",
    "preset": "Ours",
    "presetConfigMapRef": {"name": "presets"},
    "pods": {"selector": {"matchLabels": {"app": "x"}}, "port": 80, "scheme": "HTTP"},
    "auth": {"header": {"secretRef": {"name": "meter", "key": "token"}}},
}


def test_a_preset_of_a_configmap_in_the_same_file_is_tried(run, serve, tmp_path):
    url = f"http://127.0.0.1:{serve(answer({'users': [], 'next': None})).port}"
    file = beside(tmp_path, BY_SHIPPED, SHIPPED)
    done = run("source", "check", file, "--url", url, "--secret", "meter/token=t")
    assert "people (preset Ours)" in done.out


@pytest.mark.parametrize(
    ("documents", "reason"),
    [
        ([BY_SHIPPED], "ConfigMapNotFound"),
        ([BY_SHIPPED, SHIPPED | {"metadata": {"name": "presets"}}], "ConfigMapNotPreset"),
        ([BY_SHIPPED, SHIPPED | {"data": {"Ours.yaml": "title: x"}}], "PresetInvalid"),
        ([BY_SHIPPED | {"preset": "Other"}, SHIPPED], "ConfigMapNotFound"),
    ],
)
def test_a_configmap_that_holds_no_such_preset_is_said(run, tmp_path, documents, reason):
    file = beside(tmp_path, *documents)
    done = run("source", "check", file, "--url", "http://127.0.0.1:9", "--secret", "meter/token=t")
    assert (done.code, reason in done.err) == (1, True)


# -- event logs --

EVENTS = {
    "name": "events",
    "preset": "OpenCloudEvents",
    "pods": {"selector": {"matchLabels": {"app": "x"}}},
}


def test_an_event_log_is_tried_and_what_it_lost_is_told(run, file, broker):
    broker.publish(*(message(name, now_ms()) for name in "aab"), message("c", now_ms(), "x"))
    asked = ("source", "check", file(EVENTS), "--url", f"nats://127.0.0.1:{broker.server.port}")
    done = run(*asked)
    assert (done.code, done.err) == (0, "")
    assert "events (preset OpenCloudEvents)" in done.out
    assert "events read     3" in done.out
    assert "counted so far  2" in done.out
    assert "1 OtherType" in done.out
    assert "yes: everything that the stream still holds" in done.out
    assert "at best         LowerBound: part of this cycle was lost" in done.out
    assert "note            StreamBegan: The stream main-queue was made only then" in done.out
    assert person("a") not in done.out + done.err
    facts = json.loads(run(*asked, "-o", "json").out)
    assert (facts["eventsRead"], facts["usersListed"], facts["usersCounted"]) == (3, None, 2)
    assert [one["reason"] for one in facts["lost"]] == ["StreamBegan"]
    assert facts["lost"][0]["startTime"] == facts["cycle"]["startTime"]
    shown = run(*asked, "--show-ids").out.splitlines()[-2:]
    assert [line.strip() for line in shown] == [person("a"), person("b")]
    assert broker.consumers() == []


def test_a_log_that_was_there_before_the_cycle_can_be_exact(run, file, broker):
    broker.publish(message("a", now_ms()))
    tomorrow = (now() + timedelta(days=1)).strftime("%Y-%m-%d")
    url = f"nats://127.0.0.1:{broker.server.port}"
    asked = ("source", "check", file(EVENTS), "--url", url, "--cycle-start", tomorrow)
    facts = json.loads(run(*asked, "-o", "json").out)
    assert (facts["usersCounted"], facts["lost"]) == (0, [])
    assert facts["accuracyAtBest"]["accuracy"] == "Exact"


def test_an_event_log_has_addresses_of_its_own(run, file):
    done = run("source", "check", file(EVENTS), "--url", "https://h:1")
    assert (done.code, "nats://host:port or tls://host:port" in done.err) == (2, True)
    done = run("source", "check", file(EVENTS), "--url", "nats://127.0.0.1:1")
    assert (done.code, "error: Unreachable: Source events" in done.err) == (3, True)


# -- access tokens --

TOKENS = {
    "name": "s",
    "pods": {"selector": {"matchLabels": {"app": "x"}}, "port": 80},
    "auth": {"oauth2": {"tokenPath": "/token", "endpoint": "idp", "secretRef": {"name": "client"}}},
    "http": {"path": "/users", "items": "value"},
    "users": {"id": "id", "lastActive": {"path": "signInActivity.lastSuccessfulSignInDateTime"}},
}
CLIENT = ("--secret", "client/client_id=meter", "--secret", f"client/client_secret={TOKEN}")


def test_a_source_with_access_tokens_is_tried_with_an_issuer_elsewhere(run, file, product, serve):
    issued = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 60}
    issuer = serve(answer(issued))
    at_issuer = ("--token-url", f"http://127.0.0.1:{issuer.port}")
    done = run("source", "check", file(TOKENS), "--url", product[0], *at_issuer, *CLIENT)
    assert (done.code, done.err) == (0, "")
    assert "counted so far  2" in done.out
    assert product[1].requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in done.out


def test_what_a_check_needs_for_access_tokens_is_named(run, file, product):
    done = run("source", "check", file(TOKENS), "--url", product[0], *CLIENT)
    assert done.code == 2
    assert "--token-url" in done.err
    done = run("source", "check", file(TOKENS), "--url", product[0], *CLIENT[:2])
    assert done.code == 2
    assert "client/client_secret=VALUE" in done.err


def test_a_check_shows_what_the_token_endpoint_refuses_and_no_secret(run, file, product, serve):
    issuer = serve(answer({"error": "invalid_scope", "error_description": TOKEN}, "400 x"))
    at_issuer = ("--token-url", f"http://127.0.0.1:{issuer.port}")
    done = run("source", "check", file(TOKENS), "--url", product[0], *at_issuer, *CLIENT)
    assert done.code == 1
    assert "SignInRefused" in done.err
    assert "auth.oauth2.scopes" in done.err
    assert TOKEN not in done.out + done.err


def test_a_check_asks_for_the_certificate_that_a_source_presents(run, file, product):
    auth = {"clientCertificate": {"secretRef": {"name": "mtls"}}}
    done = run("source", "check", file(TOKENS | {"auth": auth}), "--url", "https://127.0.0.1:1")
    assert done.code == 2
    assert "mtls/tls.crt=VALUE and --secret mtls/tls.key=VALUE" in done.err.replace("\n", " ")
