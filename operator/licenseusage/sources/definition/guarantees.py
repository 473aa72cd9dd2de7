"""The guarantees of a product, as a source declares them (MEASUREMENT §1).

The values are the texts of the CRD, and they are hashed into ``rules.digest``: they never change.
"""

from enum import StrEnum

import msgspec

from licenseusage.metering.properties import Removal


class Ids(StrEnum):
    """Whether an id stays with its person.

    ``UNKNOWN``: each poll decides by the ids it saw. Those that are UUIDs or integers are stable.
    """

    STABLE = "Stable"
    RENAMABLE = "Renamable"
    UNKNOWN = "Unknown"


class IdReuse(StrEnum):
    """Whether an id may later be given to somebody else."""

    NEVER = "Never"
    POSSIBLE = "Possible"


class InitialValue(StrEnum):
    """The value of a new user's last activity."""

    EMPTY = "Empty"
    CREATION_TIME = "CreationTime"


class Order(StrEnum):
    """How the pages of a list are sorted.

    ``KEY_CURSOR``: the ids ascend over all pages. ``IMMUTABLE_KEY``: by id or creation, so that no
    row moves. ``ACTIVITY``: by last activity, ascending. ``UNKNOWN``: pages prove nothing.
    """

    KEY_CURSOR = "KeyCursor"
    IMMUTABLE_KEY = "ImmutableKey"
    ACTIVITY = "Activity"
    UNKNOWN = "Unknown"


class Completeness(StrEnum):
    """Whether a number counts every user of the product."""

    COMPLETE = "Complete"
    UNKNOWN = "Unknown"


class Durability(StrEnum):
    """Whether the server of an event log keeps every message through restarts and failovers."""

    DURABLE = "Durable"
    UNKNOWN = "Unknown"


class Guarantees(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The product's guarantees, on which the accuracy of a number depends.

    Attributes:
        clock_skew_seconds: None = measured from each answer's ``Date`` header.
        age_seconds: How old an answer without times may be when it is given.
    """

    lag_seconds: int
    hidden_seconds: int
    clock_skew_seconds: int | None
    removal: Removal
    ids: Ids
    id_reuse: IdReuse
    initial_value: InitialValue
    order: Order
    age_seconds: int = 0
    completeness: Completeness = Completeness.UNKNOWN
    durability: Durability = Durability.UNKNOWN
