"""The conventions of Kubernetes APIs, held against the generated schemas.

The list is kube-api-linter's.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest

from licenseusage.api.crd import KINDS, Kind, crd

MAPS = {"matchLabels"}
"""Maps are for labels only; everything else is a list with keys."""

ONE_WORD_ENUMS = re.compile(r"[A-Z][A-Za-z0-9]*")


def lint(schema: dict[str, Any], path: str = "", *, in_list: bool = False) -> Iterator[str]:
    """Yield what breaks a convention in a schema of spec or status, and where."""
    name = path.rsplit(".", 1)[-1].removesuffix("[]")
    kind = schema.get("type")
    if kind is None and not schema.get("x-kubernetes-int-or-string"):
        yield f"{path}: no type"
    if kind in ("boolean", "number"):
        yield f"{path}: {kind}; an enum can grow, an integer with a unit is exact"
    for word in ("nullable", "x-kubernetes-preserve-unknown-fields", "pattern", "title", "oneOf"):
        if word in schema:
            yield f"{path}: {word}"
    if not path.endswith("[]") and path.count(".") > 0:
        if not schema.get("description", "").startswith(f"{name} "):
            yield f"{path}: the description does not start with the field's name"
        if name == "phase" or name.endswith(("Reference", "Timestamp", "Duration")):
            yield f"{path}: a name against the conventions"
        if name.endswith("Time") and schema.get("format") != "date-time":
            yield f"{path}: a time without format date-time"
    if "default" in schema and (in_list or kind not in ("string", "integer")):
        if schema["default"] != {"observedGeneration": -1}:
            yield f"{path}: a default on something other than an optional scalar outside lists"
    if kind == "string" and not ("maxLength" in schema or "enum" in schema):
        yield f"{path}: unbounded string"
    if kind == "integer" and not {"format", "minimum", "maximum"} <= schema.keys():
        if name != "observedGeneration":
            yield f"{path}: unbounded integer"
    for value in schema.get("enum", []):
        if not ONE_WORD_ENUMS.fullmatch(value):
            yield f"{path}: enum value {value!r} is not CamelCase"
    for rule in schema.get("x-kubernetes-validations", []):
        if not rule.get("message") or "\n" in rule["message"]:
            yield f"{path}: a rule without a one-line message"
    yield from _lint_list(schema, path)
    yield from _lint_object(schema, path, name, in_list=in_list)


def _lint_list(schema: dict[str, Any], path: str) -> Iterator[str]:
    if schema.get("type") != "array":
        return
    if "maxItems" not in schema:
        yield f"{path}: unbounded list"
    items, list_type = schema["items"], schema.get("x-kubernetes-list-type")
    if list_type not in ("atomic", "set", "map"):
        yield f"{path}: no list type"
    if list_type == "set" and items["type"] == "object":
        yield f"{path}: a set of objects"
    if list_type == "map":
        keys = schema.get("x-kubernetes-list-map-keys", [])
        if not keys or not set(keys) <= set(items.get("required", [])):
            yield f"{path}: keys of the list are not required"
    if items["type"] == "object" and not items.get("required"):
        yield f"{path}: nothing is required of an item"
    yield from lint(items, f"{path}[]", in_list=True)


def _lint_object(schema: dict[str, Any], path: str, name: str, *, in_list: bool) -> Iterator[str]:
    if schema.get("type") != "object":
        return
    if "additionalProperties" in schema:
        if name not in MAPS or "maxProperties" not in schema:
            yield f"{path}: a map"
        return
    if not schema.get("properties"):
        yield f"{path}: an object without members"
    for member, inner in schema.get("properties", {}).items():
        if not re.fullmatch(r"[a-z][A-Za-z0-9]*", member):
            yield f"{path}.{member}: not camelCase"
        if "default" in inner and member in schema.get("required", []):
            yield f"{path}.{member}: required and defaulted"
        yield from lint(inner, f"{path}.{member}", in_list=in_list)


def parts(kind: Kind) -> dict[str, Any]:
    members = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    return {"type": "object", "properties": {name: members[name] for name in ("spec", "status")}}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_schema_keeps_the_conventions(kind: Kind) -> None:
    assert list(lint(parts(kind))) == []


TEXT = {"type": "string", "maxLength": 5}


@pytest.mark.parametrize(
    ("member", "schema", "finding"),
    [
        ("a", {"type": "boolean", "description": "a is"}, "boolean"),
        ("a", {"type": "number", "description": "a is"}, "number"),
        ("a", {"description": "a is"}, "no type"),
        ("a", {"type": "string", "description": "a is"}, "unbounded string"),
        ("a", {"type": "integer", "format": "int32", "description": "a is"}, "unbounded integer"),
        ("a", {**TEXT, "description": "The a"}, "start with the field's name"),
        ("a", {**TEXT, "description": "a is", "nullable": True}, "nullable"),
        ("phase", {**TEXT, "description": "phase is"}, "against the conventions"),
        ("endTime", {**TEXT, "description": "endTime is"}, "date-time"),
        ("a", {"type": "string", "enum": ["lower"], "description": "a is"}, "CamelCase"),
        ("a_b", {**TEXT, "description": "a_b is"}, "not camelCase"),
        (
            "a",
            {**TEXT, "description": "a is", "x-kubernetes-validations": [{"rule": "true"}]},
            "one-line message",
        ),
        ("a", {"type": "object", "description": "a is"}, "without members"),
        (
            "a",
            {"type": "object", "description": "a is", "additionalProperties": TEXT},
            "a map",
        ),
        (
            "a",
            {"type": "array", "items": TEXT, "maxItems": 1, "description": "a is"},
            "no list type",
        ),
        (
            "a",
            {
                "type": "array",
                "items": TEXT,
                "x-kubernetes-list-type": "set",
                "description": "a is",
            },
            "unbounded list",
        ),
        (
            "a",
            {
                "type": "array",
                "items": {"type": "object", "properties": {"b": {**TEXT, "default": "x"}}},
                "maxItems": 1,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["b"],
                "description": "a is",
            },
            "keys of the list are not required",
        ),
    ],
)
def test_lint_finds(member: str, schema: dict[str, Any], finding: str) -> None:
    found = list(lint({"type": "object", "properties": {member: schema}}))
    assert any(finding in one for one in found), found


def test_lint_finds_defaults_in_lists() -> None:
    inner = {"b": {**TEXT, "description": "b is", "default": "x"}}
    items = {"type": "object", "properties": inner, "required": ["b"]}
    schema = {"type": "array", "items": items, "maxItems": 1, "x-kubernetes-list-type": "atomic"}
    assert [one for one in lint(schema) if "a default on" in one or "required and" in one] == [
        "[].b: required and defaulted",
        "[].b: a default on something other than an optional scalar outside lists",
    ]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("version", ["1.35", "1.36", "1.37"])
def test_envelope_is_valid_for_the_last_three_minors(kind: Kind, version: str) -> None:
    kubernetes_validate.validate(crd(kind), version, strict=True)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_crd_fits_the_annotation_of_kubectl_apply(kind: Kind) -> None:
    assert len(json.dumps(crd(kind))) < 256 * 1024


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_no_category_hides_a_kind(kind: Kind) -> None:
    # `kubectl get licenseusage` would list the whole category if one had that name
    assert not crd(kind)["spec"]["names"].get("categories")


def test_status_of_what_is_reconciled_begins_before_every_generation() -> None:
    begins = {kind.name: parts(kind)["properties"]["status"].get("default") for kind in KINDS}
    assert begins == {
        "LicenseUsage": {"observedGeneration": -1},
        "UsageReceipt": {"observedGeneration": -1},
        "UsageReport": None,
    }
