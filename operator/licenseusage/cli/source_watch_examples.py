"""Some users of many, as pseudonyms, for ``source check --watch``."""

from collections.abc import Collection
from typing import Any

MOST_SHOWN = 3
_BYTES = 6  # of a pseudonym that are shown, as of an example


def some(users: Collection[bytes]) -> dict[str, Any]:
    """Return how many users these are, and the first of them, for programs."""
    return {"users": len(users), "examples": [pseudonym(user) for user in first(users)]}


def first(users: Collection[bytes]) -> list[bytes]:
    """Return those of them that are shown."""
    return list(users)[:MOST_SHOWN]


def pseudonym(user: bytes) -> str:
    """Return how a user is shown."""
    return user[:_BYTES].hex()
