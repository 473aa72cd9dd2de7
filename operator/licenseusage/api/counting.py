"""A bare number as a source: how many users are active, but not who (MEASUREMENT §5)."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from licenseusage.api import brokers
from licenseusage.api.model import ApiModel, Count, JMESPath, Rule, rules

Precision = Literal["Counted", "Estimated"]
AcrossPods = Literal["Any", "Same", "Shards"]


class CountOf(ApiModel):
    """The meaning of a product's number."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "has(self.shards) == (has(self.acrossPods) && self.acrossPods == 'Shards')",
                "shards and acrossPods Shards go together: say how many pods hold a part each, so "
                "that a missing one is noticed",
            ),
        )
    )

    value: JMESPath | None = Field(
        default=None,
        description="value is a JMESPath expression over the answer that returns the number. "
        "Required with http, unless the preset gives it.",
    )
    precision: Precision | None = Field(
        default=None,
        description="precision is Counted (the product counts users) or Estimated (it "
        "approximates, as HyperLogLog does; such a number is never a bound). Default: the "
        "preset's, otherwise Counted.",
    )
    own_accounts: Count | None = Field(
        default=None,
        description="ownAccounts is the largest number of accounts in the number that are no "
        "people, such as the collector's own. They are left out of what is proved to be active. "
        "Default: the preset's, otherwise 0.",
    )
    saturates_at: Count | None = Field(
        default=None,
        description="saturatesAt is a number beyond which the product does not count, such as the "
        "licence's maximum. A number that has reached it says nothing about how many more there "
        "are.",
    )
    warmup_seconds: Annotated[int, Field(ge=0, le=86_400)] | None = Field(
        default=None,
        description="warmupSeconds is how long after a pod became ready its number may still be "
        "too low. Until then the pod is not asked. Default: the preset's, otherwise 300.",
    )
    across_pods: AcrossPods | None = Field(
        default=None,
        description="acrossPods is Any (one pod answers for all), Same (all pods are asked, and "
        "must state the same number) or Shards (each pod counts other users; the numbers are "
        "added). Default: the preset's, otherwise Any.",
    )
    shards: Annotated[int, Field(ge=2, le=256)] | None = Field(
        default=None,
        description="shards is the number of pods that hold a part each (acrossPods Shards). If "
        "another number of pods answers, there is no number.",
    )


_COUNTED = "(has(self.count) || has(self.prometheus))"

OF_SOURCE = (
    Rule(
        f"!has(self.prometheus) || !(has(self.http) || {brokers.READ})",
        "prometheus is given beside http, jetstream or redis: a source has one way to be read; "
        "make two sources of it",
        "'source ' + self.name + ' has prometheus beside http, jetstream or redis: a source has "
        "one way to be read; make two sources of it'",
        field_path=".prometheus",
    ),
    Rule(
        "!has(self.prometheus) || !has(self.window) || !has(self.window.type) || "
        "self.window.type != 'Cycle'",
        "window of type Cycle is for requests that name the cycle, and metrics are not asked for "
        "one: say which activity the gauge counts",
        field_path=".window.type",
    ),
    Rule(
        f"!{_COUNTED} || !({brokers.READ} || has(self.users))",
        "count and prometheus state a number, users says who was active: a source does one of "
        "them; make two sources of it",
        "'source ' + self.name + ': count and prometheus state a number, users says who was "
        "active: a source does one of them; make two sources of it'",
    ),
    Rule(
        "has(self.preset) || !has(self.prometheus) || (has(self.prometheus.path) && "
        "has(self.prometheus.metric))",
        "prometheus.path or prometheus.metric is missing: say where the metrics are, and which of "
        "them states the number",
        "'source ' + self.name + ' has no prometheus.path or no prometheus.metric: say where the "
        "metrics are, and which of them states the number'",
        reason="FieldValueRequired",
        field_path=".prometheus",
    ),
    Rule(
        "has(self.preset) || !has(self.count) || has(self.prometheus) || has(self.count.value)",
        "count.value is missing: say where the number stands in the answer",
        "'source ' + self.name + ' has no count.value: say where the number stands in the answer'",
        reason="FieldValueRequired",
        field_path=".count",
    ),
    Rule(
        "!has(self.prometheus) || !has(self.count) || !has(self.count.value)",
        "count.value is for http: prometheus.metric names the number; remove value",
        reason="FieldValueForbidden",
        field_path=".count.value",
    ),
    Rule(
        f"has(self.preset) || !{_COUNTED} || has(self.window)",
        "window is missing: say which activity the product counts; a number of accounts, or of "
        "people signed in now, says nothing about a cycle",
        "'source ' + self.name + ' has no window: say which activity the product counts; a number "
        "of accounts, or of people signed in now, says nothing about a cycle'",
        reason="FieldValueRequired",
        field_path=".window",
    ),
    Rule(
        "!has(self.count) || !has(self.http) || !(has(self.http.items) || "
        "has(self.http.pagination) || has(self.http.format) || has(self.http.ignoreMembers) || "
        "has(self.http.validator))",
        "items, pagination, format, ignoreMembers and validator of http are about lists: one "
        "answer holds the number at count.value; remove them",
        reason="FieldValueForbidden",
        field_path=".http",
    ),
    Rule(
        f"!{_COUNTED} || !has(self.guarantees) || !(has(self.guarantees.ids) || "
        "has(self.guarantees.idReuse) || has(self.guarantees.initialValue) || "
        "has(self.guarantees.order))",
        "ids, idReuse, initialValue and order are about lists of users: a number names nobody; "
        "remove them",
        reason="FieldValueForbidden",
        field_path=".guarantees",
    ),
    Rule(
        "!has(self.guarantees) || !has(self.guarantees.completeness) || has(self.preset) || "
        f"{_COUNTED}",
        "completeness is about count and prometheus: whether a list is complete is seen; remove it",
        reason="FieldValueForbidden",
        field_path=".guarantees.completeness",
    ),
    Rule(
        "has(self.preset) || has(self.window) || !has(self.guarantees) || "
        "!has(self.guarantees.ageSeconds)",
        "ageSeconds is about answers without times, which have window: remove it",
        reason="FieldValueForbidden",
        field_path=".guarantees.ageSeconds",
    ),
    Rule(
        "!has(self.count) || !has(self.count.acrossPods) || self.count.acrossPods == 'Any' || "
        "!(has(self.service) || has(self.endpoint))",
        "count.acrossPods asks every pod, and behind a Service or an endpoint they cannot be told "
        "apart: use pods, or acrossPods Any",
        reason="FieldValueForbidden",
        field_path=".count.acrossPods",
    ),
)
"""Rules of a source about its number; ``self`` is the source."""
