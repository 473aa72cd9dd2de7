"""Activity that the product sends to the operator's intake, as the user writes it."""

from typing import Annotated

from pydantic import Field

from licenseusage.api.model import ApiModel, Rule, rules, set_list

ServiceAccountName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        json_schema_extra=rules(
            Rule(
                "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
                "not a service account's name: lower-case letters, digits, '-' and '.' only",
            )
        ),
    ),
]

Producer = Annotated[
    str,
    Field(
        min_length=1,
        max_length=256,
        json_schema_extra=rules(
            Rule(
                "self.matches('^[!-~]+$')",
                "not a source of CloudEvents: a URI or a path such as /shop/web-0, without spaces",
            )
        ),
    ),
]


class Push(ApiModel):
    """Who may push activity, and which producers there are."""

    service_accounts: tuple[ServiceAccountName, ...] = Field(
        min_length=1,
        max_length=16,
        json_schema_extra=set_list(),
        description="serviceAccounts lists the service accounts of this namespace whose pods may "
        "push. A service account belongs to one source of the namespace only.",
    )
    producers: tuple[Producer, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        json_schema_extra=set_list(),
        description="producers lists all values of the CloudEvents attribute source that the "
        "product uses. There is an upper bound only where each of them told by its heartbeats "
        "that it has sent everything. Default: none, so that the number is a lower bound.",
    )


OF_SOURCE = (
    Rule(
        "!has(self.push) || !(has(self.pods) || has(self.service) || has(self.endpoint) || "
        "has(self.auth) || has(self.http) || has(self.jetstream) || has(self.redis) || "
        "has(self.prometheus) || has(self.events) || has(self.count) || has(self.window))",
        "push is given: the product sends its activity, and nothing is asked; remove pods, "
        "service, endpoint, auth, http, jetstream, redis, prometheus, events, count and window",
        field_path=".push",
    ),
    Rule(
        "has(self.push) || !has(self.preset) || self.preset != 'StandardPush'",
        "push is missing: name the service accounts whose pods may push in push.serviceAccounts",
        reason="FieldValueRequired",
        field_path=".push",
    ),
    Rule(
        "!has(self.push) || !has(self.users) || !(has(self.users.id) || "
        "has(self.users.lastActive) || has(self.users.time) || has(self.users.createdAt) "
        "|| has(self.users.exclude) || has(self.users.acrossPods))",
        "with push the form of an event is fixed: users may hold excludeIds and normalize only",
        field_path=".users",
    ),
    Rule(
        "!has(self.push) || !has(self.guarantees) || !(has(self.guarantees.lagSeconds) || "
        "has(self.guarantees.removal) || has(self.guarantees.order) || "
        "has(self.guarantees.hiddenSeconds) || has(self.guarantees.initialValue) || "
        "has(self.guarantees.ageSeconds) || has(self.guarantees.completeness) || "
        "has(self.guarantees.durability))",
        "with push there are clockSkewSeconds, ids and idReuse only: heartbeats say what was sent; "
        "remove the others",
        field_path=".guarantees",
    ),
)
"""Rules of a source that is pushed."""
