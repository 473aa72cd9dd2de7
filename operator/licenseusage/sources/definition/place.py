"""Where a source is asked, or a token is requested; free of Kubernetes."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

Scheme = Literal["HTTP", "HTTPS", "NATS", "REDIS", "TLS"]

SCHEMES: Final[Mapping[str, tuple[Scheme, Scheme]]] = {
    "http": ("HTTP", "HTTPS"),
    "jetstream": ("NATS", "TLS"),
    "redis": ("REDIS", "TLS"),
}
"""The schemes without and with TLS, by the field that says how a source is read."""

PLAIN: Final[frozenset[Scheme]] = frozenset(plain for plain, _ in SCHEMES.values())
"""The schemes without TLS."""


class SecretKey(msgspec.Struct, frozen=True):
    """One key of a Secret of the object's own namespace."""

    name: str
    key: str


class Pods(msgspec.Struct, frozen=True, kw_only=True):
    """Which pods (or which Service) to ask and how to reach them.

    Attributes:
        selector: Label selector in the API server's text form; None where the source names none.
        service: Name of the Service to ask instead of pods.
        port: A number, or the name of a container port (of a port of the Service).
        scheme: ``HTTP`` or ``HTTPS``; for event logs ``NATS``, ``REDIS`` or ``TLS``.
        ca: Where the PEM of the certificate authority is; None = the system's.
        server_name: The name in the server's certificate, also sent as SNI and ``Host``.
        host_header: Sent as ``Host`` in its place; None: it is not.
    """

    selector: str | None
    port: int | str
    scheme: Scheme
    ca: SecretKey | None = None
    server_name: str | None = None
    service: str | None = None
    host_header: str | None = None
