"""Fields that are stored together, and how long the rows of a ledger are kept."""

from collections.abc import Mapping
from dataclasses import dataclass

FOR_GOOD = "as long as the ledger"
NEWEST = "until the next poll"
FACTS = (
    "`LICENSEUSAGE_KEEP_FACTS_CYCLES` (3) lengths of a cycle after the final; lists of a cycle "
    "that never came: 7 days"
)


class NoPurposeError(ValueError):
    """A stored field does not say what it is for."""


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that are stored together.

    Attributes:
        name: Of the table, kind, Secret or folder.
        what: What one of them is.
        kept: How long.
        fields: Name -> purpose.
    """

    name: str
    what: str
    kept: str
    fields: Mapping[str, str]
