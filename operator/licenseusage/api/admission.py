"""Checks that the API server makes on a part of an object, beyond the types of its fields.

For files that no API server has seen (``source check``): the CEL rules of the CRD itself, and lists
whose items must differ. Types, lengths and enums are checked by the models.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from licenseusage.api.cel import program
from licenseusage.api.crd import KINDS, crd
from licenseusage.api.model import LIST_MAP_KEYS, LIST_TYPE, VALIDATIONS


def source_refusals(source: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a source of a LicenseUsage, as written: field and message.

    Args:
        source: One item of ``spec.sources``; its fields have the right types.
    """
    yield from refusals(_schema_of_a_source(), _present(source), "")


@cache
def _schema_of_a_source() -> Mapping[str, Any]:
    kind = next(resource for resource in KINDS if resource.name == "LicenseUsage")
    schema: Mapping[str, Any] = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for name in ("spec", "sources"):
        schema = schema["properties"][name]
    items: Mapping[str, Any] = schema["items"]
    return items


def refusals(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401
    """Yield the field and the message of each rule that a value breaks.

    Args:
        schema: Structural schema of the value.
        value: JSON; absent members are left out.
        path: Of the value, from the part of the object that is looked at.
    """
    if isinstance(value, Mapping):
        for name, member in schema.get("properties", {}).items():
            if name in value:
                yield from refusals(member, value[name], f"{path}.{name}".lstrip("."))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, item in enumerate(value):
            yield from refusals(schema["items"], item, f"{path}[{index}]")
        yield from _repeated(schema, value, path)
    for rule in schema.get(VALIDATIONS, ()):
        if not program(rule["rule"])(value):
            seen = rule.get("messageExpression")
            message = program(seen)(value) if seen is not None else rule["message"]
            yield (path + rule.get("fieldPath", "")).lstrip("."), message


def _repeated(
    schema: Mapping[str, Any], items: Sequence[Any], path: str
) -> Iterator[tuple[str, str]]:
    keys = schema.get(LIST_MAP_KEYS, ())
    if schema.get(LIST_TYPE) not in ("set", "map"):
        return
    values = [tuple(item.get(key) for key in keys) if keys else item for item in items]
    for index, value in enumerate(values):
        if value in values[:index]:
            shown = ", ".join(map(str, value)) if keys else value
            yield f"{path}[{index}]", f"{shown} stands there twice: remove one of them"


def _present(value: Any) -> Any:  # noqa: ANN401
    """Leave out nulls, as the API server prunes them."""
    if isinstance(value, Mapping):
        return {name: _present(inner) for name, inner in value.items() if inner is not None}
    return [_present(item) for item in value] if isinstance(value, list) else value
