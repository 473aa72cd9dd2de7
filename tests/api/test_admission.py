"""Files are held to the rules of the CRD as the API server would, without one."""

from typing import Any

import pytest
from cel_expr_python import cel

from licenseusage.api.admission import source_refusals
from licenseusage.api.cel import NotSupportedError, program
from tests.api.test_cel_rules import (
    AS_EVENTS,
    BY_PRESET,
    IN_FULL,
    TABLE,
    all_rules,
    found_by,
    holds,
)

ENVIRONMENT = cel.NewEnv(variables={"self": cel.Type.DYN})


def of_sources() -> list[dict[str, str]]:
    return [rule for path, rule in all_rules() if path.startswith("LicenseUsage.spec.sources[]")]


def cases() -> list[Any]:
    wanted = {rule["rule"] for rule in of_sources()}
    return [
        pytest.param(rule, value, id=f"{message[:30]}-{number}")
        for message, (accepted, refused) in TABLE.items()
        for rule in found_by(message) & wanted
        for number, value in enumerate((*accepted, *refused))
    ]


@pytest.mark.parametrize(("rule", "value"), cases())
def test_each_rule_of_a_source_means_what_the_official_runtime_says(rule, value):
    assert program(rule)(value) is holds(rule, value)


@pytest.mark.parametrize("rule", of_sources(), ids=lambda rule: rule["message"][:40])
def test_every_rule_of_a_source_and_its_message_can_be_evaluated(rule):
    program(rule["rule"])
    if "messageExpression" in rule:
        program(rule["messageExpression"])


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("self in ['a', 'b'] ? 'in' : 'out'", "a"),
        ("self.contains('\\\\') || self == 'it\\'s'", "it's"),
        ("!(1 < 2 && 2 <= 1) || self.matches('^a$')", "a\n"),
        ("self.matches('^a$')", "a\n"),
        ("size(self) > 1 && size(self) != 3", ["x", "y"]),
        ("type(self) == int ? self >= 1 : self == 'x'", 7),
        ("has(self.a) && has(self.a.b) || self.c == 'x' + 'y'", {"a": {}, "c": "xy"}),
    ],
)
def test_an_expression_means_what_the_official_runtime_says(expression, value):
    expected = ENVIRONMENT.compile(expression).eval(data={"self": value}).value()
    assert program(expression)(value) == expected


@pytest.mark.parametrize(
    "expression",
    ["self.all(x, x > 1)", "self +", "(self", "self ~ 1", "true", "has(other.a)", "self self"],
)
def test_what_is_beyond_the_known_part_is_refused_when_it_is_compiled(expression):
    with pytest.raises(NotSupportedError):
        program(expression)


@pytest.mark.parametrize(
    "written", [IN_FULL, AS_EVENTS, BY_PRESET], ids=["http", "events", "preset"]
)
def test_a_source_without_fault_is_not_refused(written):
    source = {**written, "pods": {**written["pods"], "selector": {"matchLabels": {"app": "x"}}}}
    assert list(source_refusals(source)) == []
    assert list(source_refusals({**source, "auth": None, "identity": None})) == []


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        (
            {"http": {"path": "/", "pagination": {"type": "None", "size": 5}}},
            "http.pagination",
            "size and first belong to type Offset or Page, not to type None",
        ),
        ({"http": {"path": "//host/users"}}, "http.path", "names another host"),
        ({"name": "Big"}, "name", "lower-case"),
        ({"identity": "a b"}, "identity", "lower-case"),
        ({"pods": {"selector": {}, "port": 80}}, "pods.selector", "matchLabels"),
        (
            {"users": {"id": "id", "lastActive": {"path": "t", "format": "%Z %Y"}}},
            "users.lastActive.format",
            "%Z reads only",
        ),
        (
            {"http": {"path": "/", "headers": [{"name": "a", "value": "b"}] * 2}},
            "http.headers[1]",
            "a stands there twice",
        ),
        (
            {"users": {**IN_FULL["users"], "excludeIds": ["x", "y", "x"]}},
            "users.excludeIds[2]",
            "x stands there twice",
        ),
    ],
)
def test_what_the_api_server_would_refuse_is_named_by_field(change, field, words):
    source = {**IN_FULL, "pods": {"selector": {"matchLabels": {"app": "x"}}, "port": 80}, **change}
    found = list(source_refusals(source))
    assert [one for one, _ in found] == [field]
    assert words in found[0][1]
