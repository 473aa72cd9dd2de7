"""The parts that all custom resources share: base model, CEL rules and field types.

Rules beyond a field's type are CEL rules of the CRD, each with a message that says what was seen
and how to mend it. ``pattern`` is not used: the API server would answer with the regular
expression.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

VALIDATIONS = "x-kubernetes-validations"
LIST_TYPE = "x-kubernetes-list-type"
LIST_MAP_KEYS = "x-kubernetes-list-map-keys"
INT_OR_STRING = "x-kubernetes-int-or-string"
MAP_TYPE = "x-kubernetes-map-type"

RefusalReason = Literal[
    "FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"
]


class ApiModel(BaseModel):
    """A part of a custom resource: camelCase outside, snake_case inside, immutable.

    Unknown members are ignored: the API server has pruned them, and a newer CRD may have more.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True
    )

    def to_object(self) -> dict[str, JsonValue]:
        """Return the JSON object as Kubernetes has it: camelCase, absent members left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL rule of a CRD.

    Attributes:
        rule: CEL over ``self`` (and ``oldSelf``); only standard CEL, so that it can be tested
            without an API server.
        message: What is wrong and how to mend it, as plain text (the fallback of ``seen``).
        seen: CEL that builds the message when it should name the value that was seen. Numbers go
            in by ``format``: the API server takes the text of ``string(…)`` for unbounded and finds
            the rule too expensive.
        reason: The machine-readable class of the refusal.
        field_path: The member to blame, relative to where the rule stands; default: that place.
    """

    rule: str
    message: str
    seen: str | None = None
    reason: RefusalReason = "FieldValueInvalid"
    field_path: str | None = None

    def to_schema(self) -> dict[str, JsonValue]:
        """Return the entry of ``x-kubernetes-validations``."""
        entry: dict[str, JsonValue] = {"rule": self.rule, "message": self.message}
        if self.seen is not None:
            entry["messageExpression"] = self.seen
        if self.reason != "FieldValueInvalid":
            entry["reason"] = self.reason
        if self.field_path is not None:
            entry["fieldPath"] = self.field_path
        return entry


def rules(*rule: Rule) -> dict[str, JsonValue]:
    """Return the schema extension that holds these CEL rules."""
    return {VALIDATIONS: [cel_rule.to_schema() for cel_rule in rule]}


def map_list(*keys: str) -> dict[str, JsonValue]:
    """Return the schema extension of a list whose items are identified by ``keys``."""
    return {LIST_TYPE: "map", LIST_MAP_KEYS: list(keys)}


def set_list() -> dict[str, JsonValue]:
    """Return the schema extension of a list of distinct scalars."""
    return {LIST_TYPE: "set"}


Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
"""A number of users (REPORT_FORMAT §2)."""

Percent = Annotated[int, Field(ge=1, le=200)]
"""A part of the contracted maximum at which a person is warned; above 100 it is exceeded."""

Seconds = Annotated[int, Field(ge=0, le=31_622_400)]
"""A span within a cycle, in seconds; at most 366 days."""

Time = Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
"""RFC 3339; written by the operator in UTC with ``Z`` and whole seconds."""

Date = Annotated[str, Field(max_length=10, json_schema_extra={"format": "date"})]
"""A UTC day, ``YYYY-MM-DD``."""

Reason = Annotated[str, Field(min_length=1, max_length=64)]
"""A CamelCase token for machines (REPORT_FORMAT §2, Token)."""

Message = Annotated[str, Field(max_length=1024)]
"""A sentence or two for people: object, what was seen, the fix. No secret, user id or pseudonym."""

ActiveText = Annotated[str, Field(min_length=1, max_length=64)]
"""A count in words, such as ``412 so far``, ``412–419``, ``≥412``, ``unknown``."""  # noqa: RUF001

Accuracy = Literal["Exact", "Bounded", "LowerBound", "UpperBound", "Estimate", "Unknown"]
"""How the two bounds are to be read (REPORT_FORMAT §5); ``Conflict`` is shown as ``Unknown``."""

JMESPath = Annotated[str, Field(min_length=1, max_length=1024)]
"""A JMESPath expression; compiled when the source is read (``licenseusage.sources``)."""

SecretName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        json_schema_extra=rules(
            Rule(
                "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
                "not a Secret's name: lower-case letters, digits, '-' and '.' only",
            )
        ),
    ),
]
SecretKey = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        json_schema_extra=rules(
            Rule(
                "self.matches('^[-._a-zA-Z0-9]+$')",
                "not a key of a Secret: letters, digits, '-', '_' and '.' only",
            )
        ),
    ),
]

DnsLabel = Annotated[
    str,
    Field(
        min_length=1,
        max_length=63,
        json_schema_extra=rules(
            Rule(
                "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
                "must be lower-case letters, digits and '-', such as graph",
            )
        ),
    ),
]


class SecretRef(ApiModel):
    """A Secret of the object's own namespace."""

    name: SecretName = Field(
        description="name is the name of a Secret in the namespace of this object."
    )


class ConfigMapRef(ApiModel):
    """A ConfigMap of the object's own namespace."""

    name: SecretName = Field(
        description="name is the name of a ConfigMap in the namespace of this object."
    )


class SecretKeyRef(ApiModel):
    """One key of a Secret of the object's own namespace."""

    name: SecretName = Field(
        description="name is the name of a Secret in the namespace of this object."
    )
    key: SecretKey = Field(description="key is the key in the Secret whose value is used.")


class ObjectMeta(ApiModel):
    """The part of ``metadata`` that the operator reads."""

    name: str
    namespace: str
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    annotations: Mapping[str, str] = Field(default_factory=dict)


class CyclePeriod(ApiModel):
    """A billing cycle, half-open ``[startTime, endTime)``; whole UTC days."""

    index: int = Field(
        ge=0,
        le=100_000,
        description="index is the number of the cycle, counted from 0 at the anchor date.",
    )
    start_time: Time = Field(
        description="startTime is the first moment of the cycle (RFC 3339, UTC midnight)."
    )
    end_time: Time = Field(
        description="endTime is the first moment after the cycle (RFC 3339, UTC midnight)."
    )
    start_date: Date | None = Field(
        default=None, description="startDate is the UTC day of startTime, for kubectl's columns."
    )
    end_date: Date | None = Field(
        default=None, description="endDate is the UTC day of endTime, for kubectl's columns."
    )

    @classmethod
    def of(cls, index: int, start_ms: int, end_ms: int) -> "CyclePeriod":
        """Return the period between two times in milliseconds since the epoch."""
        start, end = rfc3339(start_ms), rfc3339(end_ms)
        return cls(
            index=index,
            start_time=start,
            end_time=end,
            start_date=start[:10],
            end_date=end[:10],
        )


def rfc3339(time_ms: int) -> str:
    """Return milliseconds since the epoch as RFC 3339 in UTC, ``Z``, cut to whole seconds."""
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
