"""How many examples a property gets."""

from typing import Final

from hypothesis import settings

USUAL: Final = 50
"""Examples of a property for each change, where it says nothing else (tests/conftest.py)."""


def examples(count: int, parent: settings | None = None) -> settings:
    """Return settings for a property that needs another number of examples for each change.

    `make soak` multiplies them as those of all other properties.

    Args:
        count: For each change.
        parent: Of other settings of the property.
    """
    many = count * settings().max_examples // USUAL
    return settings(parent, max_examples=many)
