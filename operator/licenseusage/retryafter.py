"""The delay that ``Retry-After`` of a product or a vendor requests (RFC 9110, 10.2.3)."""

from datetime import UTC
from email.utils import parsedate_to_datetime

DAY_SECONDS = 86400


def retry_after_seconds(header: str | None, now_s: int) -> int | None:
    """Read a ``Retry-After`` header: seconds, or an HTTP date; None if absent or unreadable."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:10]), DAY_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError):
        return None
    at_s = int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
    return max(0, min(at_s - now_s, DAY_SECONDS))
