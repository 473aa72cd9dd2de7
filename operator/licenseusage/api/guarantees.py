"""The properties that a product promises for its list or log of users."""

from typing import Annotated, Literal

from pydantic import Field

from licenseusage.api.model import ApiModel

Removal = Literal["Never", "ListedOnce", "Unknown"]
Ids = Literal["Stable", "Renamable", "Unknown"]
IdReuse = Literal["Never", "Possible"]
InitialValue = Literal["Empty", "CreationTime"]
Completeness = Literal["Complete", "Unknown"]
Order = Literal["KeyCursor", "ImmutableKey", "Activity", "Unknown"]

Durability = Literal["Durable", "Unknown"]

GuaranteeSeconds = Annotated[int, Field(ge=0, le=86_400)]


class Guarantees(ApiModel):
    """Properties of the product on which the accuracy of the number depends."""

    lag_seconds: GuaranteeSeconds | None = Field(
        default=None,
        description="lagSeconds is the longest delay between an activity and its appearance in "
        "the product's answer. Default: the preset's, otherwise 60.",
    )
    hidden_seconds: GuaranteeSeconds | None = Field(
        default=None,
        description="hiddenSeconds is how long after a recorded activity the product may leave "
        "further activity unrecorded. Default: the preset's, otherwise 0 (activity is what the "
        "product records).",
    )
    age_seconds: GuaranteeSeconds | None = Field(
        default=None,
        description="ageSeconds is how old an answer without times may be: the longest time "
        "between the product's looking at its users and its answer (a cache, a gauge that is "
        "refreshed from time to time). Default: the preset's, otherwise 0.",
    )
    completeness: Completeness | None = Field(
        default=None,
        description="completeness says whether a number counts every user of the product: "
        "Complete, or Unknown (then it is no upper bound). Default: the preset's, otherwise "
        "Unknown.",
    )
    clock_skew_seconds: Annotated[int, Field(ge=0, le=300)] | None = Field(
        default=None,
        description="clockSkewSeconds is the largest difference between the product's clock and "
        "the operator's. Default: the difference is measured, by the Date header of each answer; "
        "for event logs of a broker by the server's time (NATS 2.10 or newer, Redis).",
    )
    durability: Durability | None = Field(
        default=None,
        description="durability says whether a Redis server keeps every entry through restarts "
        "and failovers: Durable, or Unknown (then whatever was not read yet at a restart counts "
        "as lost). Default: the preset's, otherwise Unknown.",
    )
    removal: Removal | None = Field(
        default=None,
        description="removal says whether users disappear from the list: Never, ListedOnce (every "
        "active user was listed by an earlier poll) or Unknown. Default: the preset's, otherwise "
        "ListedOnce.",
    )
    ids: Ids | None = Field(
        default=None,
        description="ids says whether an id always belongs to the same person: Stable, Renamable "
        "or Unknown (treated as Renamable, unless the id is a UUID or an integer). Default: the "
        "preset's, otherwise Unknown.",
    )
    id_reuse: IdReuse | None = Field(
        default=None,
        description="idReuse says whether an id may later be given to another person: Never or "
        "Possible. Default: the preset's, otherwise Never.",
    )
    initial_value: InitialValue | None = Field(
        default=None,
        description="initialValue is the value of lastActive for a new user: Empty or "
        "CreationTime (createdAt is then required). Default: the preset's, otherwise Empty.",
    )
    order: Order | None = Field(
        default=None,
        description="order is the order of the list across its pages: KeyCursor (the next page "
        "begins after the last id), ImmutableKey (by id or creation time), Activity (by last "
        "activity, ascending) or Unknown (complete only as one page, or if two passes are equal). "
        "Default: the preset's, otherwise Unknown.",
    )
