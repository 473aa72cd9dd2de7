"""A number among a product's metrics, as the user writes it."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from licenseusage.api.fetch import PATH_RULES
from licenseusage.api.model import ApiModel, Rule, rules

Reduce = Literal["One", "Max", "Sum"]

MetricName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=256,
        json_schema_extra=rules(
            Rule(
                "self.matches('^[a-zA-Z_:][a-zA-Z0-9_:]*$')",
                "not a metric's name: letters, digits, '_' and ':' only, such as "
                "users_active; labels go into matchLabels",
            )
        ),
    ),
]

LabelValue = Annotated[str, Field(max_length=256)]


class Prometheus(ApiModel):
    """One gauge in Prometheus text or OpenMetrics."""

    path: (
        Annotated[str, Field(min_length=1, max_length=1024, json_schema_extra=rules(*PATH_RULES))]
        | None
    ) = Field(
        default=None,
        description="path is the path of the metrics, such as /metrics. Required, unless the "
        "preset gives it.",
    )
    metric: MetricName | None = Field(
        default=None,
        description="metric is the name of a gauge that states how many users are active. "
        "Required, unless the preset gives it.",
    )
    match_labels: Mapping[str, LabelValue] | None = Field(
        default=None,
        max_length=16,
        description="matchLabels are labels that a series of the metric must have. All of them "
        "must match. Default: the preset's, otherwise every series of the metric.",
    )
    reduce: Reduce | None = Field(
        default=None,
        description="reduce says what to do with several series: One (there must be exactly one), "
        "Max (the greatest, for series that state the same number) or Sum (their sum, for series "
        "of which no two count the same user). Default: the preset's, otherwise One.",
    )
