"""Who may see the pages: they show every customer's numbers, the protocol shows nobody's.

On a loopback address the pages are open to whoever sits there. On any other address, and behind a
proxy, they ask for a password; without one set they are closed.
"""

import hmac
from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass, field
from enum import Enum, auto

from fastapi import Request

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class Entry(Enum):
    """What a visitor of the pages gets."""

    OPEN = auto()
    PASSWORD = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class PagesAccess:
    """The rule.

    Attributes:
        local: The receiver listens on a loopback address.
        password: Asked for by HTTP Basic, any user name; None: none set.
    """

    local: bool
    password: str | None = field(default=None, repr=False)

    def entry(self, request: Request) -> Entry:
        """Decide about one request."""
        if self.password is not None:
            return Entry.OPEN if self._knows(request) else Entry.PASSWORD
        # A proxy on this machine also comes from loopback, and speaks for anybody.
        forwarded = any(name in request.headers for name in _FORWARDED)
        return Entry.OPEN if self.local and not forwarded else Entry.CLOSED

    def _knows(self, request: Request) -> bool:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic" or self.password is None:
            return False
        try:
            _, _, given = b64decode(encoded, validate=True).partition(b":")
        except Base64Error:
            return False
        return hmac.compare_digest(given, self.password.encode())
