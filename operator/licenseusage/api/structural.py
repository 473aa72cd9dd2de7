"""From pydantic's JSON schema to a structural schema, the dialect of CustomResourceDefinitions.

Kubernetes accepts a part of OpenAPI v3 and rejects or ignores the rest, sometimes silently. So
this conversion knows every keyword it may meet and refuses all others, with the path: a model that
cannot be expressed is found when the CRD is generated, not by a user.

What differs (https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/
custom-resource-definitions/#specifying-a-structural-schema): no ``$ref``, no ``null``, ``const``
is an enum of one, ``exclusiveMinimum`` is a boolean beside ``minimum``, ``additionalProperties:
false`` excludes ``properties``, unions do not exist (optional siblings and a CEL rule instead).
"""

from collections.abc import Mapping
from typing import cast

from pydantic import JsonValue

from licenseusage.api.model import INT_OR_STRING, LIST_TYPE, VALIDATIONS

Schema = dict[str, JsonValue]

KEPT = (
    "description",
    "type",
    "format",
    "enum",
    "minimum",
    "maximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
)
"""Keywords that mean the same on both sides, in the order in which they are written."""

DROPPED = frozenset({"title", "examples"})
"""Keywords without meaning for the API server."""

CONVERTED = frozenset(
    {
        "properties",
        "items",
        "additionalProperties",
        "const",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "default",
    }
)
TYPES = frozenset({"object", "array", "string", "integer"})
INT32_MAX = 2**31 - 1


class NotStructuralError(Exception):
    """A model uses a feature that no CRD can express; the message begins with the path."""

    def __init__(self, path: str, problem: str) -> None:
        """Name the place, such as ``.spec.sources[].port``, and the fault."""
        super().__init__(f"{path or '.'}: {problem}")


def structural(schema: Mapping[str, JsonValue]) -> Schema:
    """Convert the JSON schema of a model (``model_json_schema()``) to a structural schema.

    Raises:
        NotStructuralError: A keyword, type or union that the API server does not accept.
    """
    definitions = cast("Mapping[str, Schema]", schema.get("$defs", {}))
    root = {key: value for key, value in schema.items() if key != "$defs"}
    return _convert(root, definitions, "", in_list=False)


def _convert(
    node: Schema, definitions: Mapping[str, Schema], path: str, *, in_list: bool
) -> Schema:
    node = _resolved(node, definitions, path)
    extensions = {key: value for key, value in node.items() if key.startswith("x-kubernetes-")}
    if extensions.get(INT_OR_STRING):
        return _int_or_string(node, extensions)
    unknown = node.keys() - set(KEPT) - DROPPED - CONVERTED - extensions.keys()
    if unknown:
        raise NotStructuralError(path, f"{', '.join(sorted(unknown))} cannot be expressed in a CRD")
    if node.get("type") not in TYPES:
        raise NotStructuralError(path, f"type {node.get('type')!r} is not one of {sorted(TYPES)}")
    out: Schema = {key: node[key] for key in KEPT if key in node}
    _scalar_keywords(node, out, path, in_list=in_list)
    out |= extensions
    match node["type"]:
        case "object":
            _object(node, out, definitions, path, in_list=in_list)
        case "array":
            if "items" not in node:
                raise NotStructuralError(path, "a list without items has no type")
            items = _convert(cast("Schema", node["items"]), definitions, f"{path}[]", in_list=True)
            items.pop("description", None)  # the list's own description says what its items are
            out |= {"items": items, LIST_TYPE: extensions.get(LIST_TYPE, "atomic")}
        case _:
            pass
    return out


def _resolved(node: Schema, definitions: Mapping[str, Schema], path: str) -> Schema:
    """Inline references and take the one branch of an optional member that is not null.

    What stands beside a reference (the member's own words) wins over what it refers to; CEL rules
    of both are kept.
    """
    while "$ref" in node or "anyOf" in node:
        beside = {key: value for key, value in node.items() if key not in ("$ref", "anyOf")}
        if beside.get(INT_OR_STRING):
            return beside
        if "$ref" in node:
            inner = definitions[str(node["$ref"]).rsplit("/", 1)[1]]
        else:
            branches = [
                branch
                for branch in cast("list[Schema]", node["anyOf"])
                if branch.get("type") != "null"
            ]
            if len(branches) != 1:
                raise NotStructuralError(
                    path, "a union: use optional siblings and a CEL rule that allows one of them"
                )
            inner = branches[0]
            if beside.get("default", 0) is None:
                del beside["default"]
        if inner.get(INT_OR_STRING):
            inner = {key: value for key, value in inner.items() if key != "anyOf"}
        both = [
            *cast("list[JsonValue]", inner.get(VALIDATIONS, [])),
            *cast("list[JsonValue]", beside.get(VALIDATIONS, [])),
        ]
        node = {**inner, **beside} | ({VALIDATIONS: both} if both else {})
    return node


def _int_or_string(node: Schema, extensions: Schema) -> Schema:
    """Return the one union that the API server knows, in its exact form."""
    kept = {key: node[key] for key in ("description", "maxLength") if node.get(key) is not None}
    return kept | extensions | {"anyOf": [{"type": "integer"}, {"type": "string"}]}


def _scalar_keywords(node: Schema, out: Schema, path: str, *, in_list: bool) -> None:
    if "const" in node:
        out["enum"] = [node["const"]]
    for exclusive, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if exclusive in node:
            out |= {inclusive: node[exclusive], exclusive: True}
    if node.get("default") is not None:
        if in_list:
            raise NotStructuralError(
                path, "a default inside a list item shows as drift in GitOps tools"
            )
        if node["type"] in ("object", "array"):
            raise NotStructuralError(path, "defaults are for scalars only")
        out["default"] = node["default"]
    if node["type"] == "integer":
        high = out.get("maximum")
        out["format"] = "int32" if isinstance(high, int) and high <= INT32_MAX else "int64"


def _object(
    node: Schema, out: Schema, definitions: Mapping[str, Schema], path: str, *, in_list: bool
) -> None:
    if "properties" in node:
        if node.get("additionalProperties"):
            raise NotStructuralError(path, "additionalProperties beside properties")
        members = cast("Mapping[str, Schema]", node["properties"])
        out["properties"] = {
            name: _convert(member, definitions, f"{path}.{name}", in_list=in_list)
            for name, member in members.items()
        }
        return
    values = node.get("additionalProperties")
    if not isinstance(values, dict):
        raise NotStructuralError(path, "a free-form object cannot be validated or explained")
    out["additionalProperties"] = _convert(values, definitions, f"{path}{{}}", in_list=in_list)
