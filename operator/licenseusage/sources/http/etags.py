"""Whether a list has changed since it was read, as the product's ETag says (RFC 9110 §8.8.3).

Only strong ones are used: equal, they promise equal bytes. A weak one (``W/``) promises the same
meaning, and which of a user's members mean something is the product's own choice.
"""

import re
from collections.abc import Sequence

_STRONG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')


class NotModifiedError(Exception):
    """The product answered 304 to a request that asked only for what has changed.

    Attributes:
        etag: The strong one of that answer; None: it has none, or several.
    """

    def __init__(self, etag: str | None) -> None:
        """Keep what the answer names as unchanged."""
        super().__init__("the product says that its answer has not changed")
        self.etag = etag


def strong(values: Sequence[str]) -> str | None:
    """Return the strong ETag of an answer; None: there is none that can be used.

    Args:
        values: Of all its headers ``ETag``.
    """
    if len(values) != 1:
        return None
    value = values[0].strip()
    return value if _STRONG.fullmatch(value) else None
