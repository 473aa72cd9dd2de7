"""The name of an object to look at."""

from dataclasses import dataclass
from typing import NamedTuple


class Key(NamedTuple):
    """Namespace and name of a LicenseUsage."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Return ``namespace/name``, as people write it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class ReceiptsKey:
    """Namespace and name of a UsageReceipt: another piece of work than a LicenseUsage's."""

    at: Key

    def __str__(self) -> str:
        """Return ``usagereceipt namespace/name``."""
        return f"usagereceipt {self.at}"
