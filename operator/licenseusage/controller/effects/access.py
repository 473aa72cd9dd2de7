"""The way to an API server, as it is now: tokens and certificates are renewed."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Access:
    """How the API server is reached.

    Attributes:
        server: Its URL, without a slash at the end.
        headers: What says who asks.
        tls: What certificates are accepted, and which is shown.
        proxy: URL of an HTTP proxy in front of it, if any.
    """

    server: str
    headers: Mapping[str, str]
    tls: ssl.SSLContext
    proxy: str | None = None
