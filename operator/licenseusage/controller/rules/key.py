"""The name of an object to look at."""

from typing import NamedTuple


class Key(NamedTuple):
    """Namespace and name of a LicenseUsage."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Return ``namespace/name``, as people write it."""
        return f"{self.namespace}/{self.name}"
