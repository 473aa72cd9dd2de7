"""Label selectors, as everywhere in Kubernetes."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from licenseusage.api.model import LIST_TYPE, MAP_TYPE, ApiModel, Rule, rules, set_list

LabelText = Annotated[str, Field(max_length=63)]
LabelKey = Annotated[str, Field(min_length=1, max_length=317)]
Operator = Literal["In", "NotIn", "Exists", "DoesNotExist"]


class LabelRequirement(ApiModel):
    """A condition on one label."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                "values must be given for In and NotIn, and only for them",
                "'operator ' + self.operator + (self.operator in ['In', 'NotIn'] ? "
                "' needs values' : ' takes no values')",
            )
        )
    )

    key: LabelKey = Field(description="key is the name of the label.")
    operator: Operator = Field(description="operator is In, NotIn, Exists or DoesNotExist.")
    values: tuple[LabelText, ...] | None = Field(
        default=None,
        max_length=16,
        json_schema_extra=set_list(),
        description="values are the label's values for In and NotIn.",
    )


class LabelSelector(ApiModel):
    """Pods by their labels; an empty selector would match every pod, so it is refused."""

    model_config = ConfigDict(
        json_schema_extra={
            MAP_TYPE: "atomic",
            **rules(
                Rule(
                    "(has(self.matchLabels) && size(self.matchLabels) > 0) || "
                    "(has(self.matchExpressions) && size(self.matchExpressions) > 0)",
                    "an empty selector would match every pod of the namespace: name at least one "
                    "label of the product's pods in matchLabels",
                    reason="FieldValueRequired",
                )
            ),
        }
    )

    match_labels: Mapping[str, LabelText] | None = Field(
        default=None,
        max_length=16,
        description="matchLabels are labels that a pod must have. All of them must match.",
    )
    match_expressions: tuple[LabelRequirement, ...] | None = Field(
        default=None,
        max_length=16,
        json_schema_extra={LIST_TYPE: "atomic"},
        description="matchExpressions are further conditions on labels. All of them must hold.",
    )

    def to_query(self) -> str:
        """Return the selector as the ``labelSelector`` parameter of a list request."""
        parts = [f"{key}={value}" for key, value in sorted((self.match_labels or {}).items())]
        for requirement in self.match_expressions or ():
            values = ",".join(requirement.values or ())
            match requirement.operator:
                case "In":
                    parts.append(f"{requirement.key} in ({values})")
                case "NotIn":
                    parts.append(f"{requirement.key} notin ({values})")
                case "Exists":
                    parts.append(requirement.key)
                case "DoesNotExist":
                    parts.append(f"!{requirement.key}")
        return ",".join(parts)
