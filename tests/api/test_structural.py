"""From pydantic's JSON schema to what a CustomResourceDefinition accepts."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import ConfigDict, Field

from licenseusage.api.model import INT_OR_STRING, ApiModel, Rule, rules, set_list
from licenseusage.api.structural import NotStructuralError, structural


def of(annotation: Any, default: Any = ...) -> dict[str, Any]:
    """The structural schema of one member."""
    model = type(
        "Model",
        (ApiModel,),
        {"__annotations__": {"a": annotation}, **({} if default is ... else {"a": default})},
    )
    converted: Any = structural(model.model_json_schema())["properties"]
    return converted["a"]


class Inner(ApiModel):
    model_config = ConfigDict(json_schema_extra=rules(Rule("self.b > 0", "of the model")))

    b: Annotated[int, Field(ge=0, le=9)] = Field(description="b is")


def test_reference_is_inlined_and_keeps_both_sets_of_rules() -> None:
    found = of(
        Annotated[Inner, Field(json_schema_extra=rules(Rule("self.b < 9", "of the member")))]
    )
    assert found["properties"]["b"]["description"] == "b is"
    assert [rule["message"] for rule in found["x-kubernetes-validations"]] == [
        "of the model",
        "of the member",
    ]
    assert "$ref" not in found


def test_optional_is_its_one_type_without_a_default() -> None:
    assert of(Annotated[str, Field(max_length=3)] | None, None) == {
        "type": "string",
        "maxLength": 3,
    }


def test_enum_of_one_is_an_enum() -> None:
    assert of(Literal["One"]) == {"type": "string", "enum": ["One"]}


def test_exclusive_bound_is_a_boolean_beside_the_bound() -> None:
    assert of(Annotated[int, Field(gt=0, lt=5)]) == {
        "type": "integer",
        "minimum": 0,
        "exclusiveMinimum": True,
        "maximum": 5,
        "exclusiveMaximum": True,
        "format": "int32",
    }


@pytest.mark.parametrize(("most", "width"), [(2**31 - 1, "int32"), (2**31, "int64")])
def test_integer_has_the_width_of_its_bound(most: int, width: str) -> None:
    assert of(Annotated[int, Field(le=most)])["format"] == width


def test_default_of_a_scalar_is_kept() -> None:
    assert of(Annotated[int, Field(le=5)], 3)["default"] == 3


def test_list_is_atomic_unless_said() -> None:
    assert of(tuple[str, ...])["x-kubernetes-list-type"] == "atomic"
    as_set = Annotated[tuple[str, ...], Field(json_schema_extra=set_list())]
    assert of(as_set)["x-kubernetes-list-type"] == "set"


def test_map_of_texts_is_kept() -> None:
    assert of(dict[str, str]) == {"type": "object", "additionalProperties": {"type": "string"}}


@pytest.mark.parametrize("default", [..., None])
def test_number_or_name_is_the_one_union_of_kubernetes(default: Any) -> None:
    port = Annotated[int | str, Field(json_schema_extra={INT_OR_STRING: True})]
    annotation = port if default is ... else port | None
    assert of(annotation, default) == {
        INT_OR_STRING: True,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
    }


class Listed(ApiModel):
    c: str = "x"


@pytest.mark.parametrize(
    ("annotation", "default", "path", "problem"),
    [
        (int | str, ..., ".a", "a union"),
        (float, ..., ".a", "'number'"),
        (bool, ..., ".a", "'boolean'"),
        (tuple[int, str], ..., ".a", "prefixItems"),
        (dict[str, Any], ..., ".a", "free-form"),
        (Any, ..., ".a", "None"),
        (set[str], ..., ".a", "uniqueItems"),
        (Annotated[str, Field(pattern="^a")], ..., ".a", "pattern"),
        (list[Listed], ..., ".a[].c", "drift"),
        (list[dict[str, float]], ..., ".a[]{}", "'number'"),
        (Inner, Inner(b=1), ".a", "scalars only"),
    ],
)
def test_what_a_crd_cannot_say_is_refused_with_the_path(
    annotation: Any, default: Any, path: str, problem: str
) -> None:
    with pytest.raises(NotStructuralError) as caught:
        of(annotation, default)
    assert str(caught.value).startswith(f"{path}: ")
    assert problem in str(caught.value)


def test_unknown_keyword_is_refused_by_name() -> None:
    with pytest.raises(NotStructuralError, match=r"^\.a: not cannot be expressed in a CRD"):
        structural({"type": "object", "properties": {"a": {"type": "string", "not": {}}}})
