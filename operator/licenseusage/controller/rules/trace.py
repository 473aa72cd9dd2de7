"""The id that joins the lines of a log about one number, from the first poll to the receipt."""

from collections.abc import Iterable

from licenseusage.api.model import rfc3339
from licenseusage.controller.rules.key import Key
from licenseusage.metering.cycles import Cycle


def trace_of(key: Key, *cycles: Cycle | None) -> str | None:
    """Return the id, such as ``shop/wiki@2026-11-01``: the object, and the first day of its cycle.

    Args:
        key: The object.
        cycles: Usually one; those of a poll that serves several give several ids, with spaces
            between them. None: of a document about no cycle.
    """
    return " ".join(_ids(key, cycles)) or None


def _ids(key: Key, cycles: Iterable[Cycle | None]) -> Iterable[str]:
    return (f"{key}@{rfc3339(cycle.start_ms)[:10]}" for cycle in cycles if cycle is not None)
