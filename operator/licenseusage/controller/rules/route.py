"""What delivery depends on, as one digest: what changes it makes waiting documents due at once."""

import hashlib
import json
from collections.abc import Sequence


def route_digest(*parts: Sequence[str]) -> str:
    """Return the digest of what delivery depends on: 64 hex digits."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
