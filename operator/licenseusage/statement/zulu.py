"""Times for programs."""

from datetime import UTC, datetime


def zulu(seconds: int) -> str:
    """Return RFC 3339 in UTC with seconds, of a time in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
