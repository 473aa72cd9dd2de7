"""A server's certificate: read from files, and read again once they were renewed."""

import os
import ssl
from dataclasses import dataclass, field
from typing import Any

from licenseusage.errors import Stalled
from licenseusage.reasons import Reason


@dataclass(slots=True)
class ServedCertificate:
    """A certificate with its key, both in PEM files that somebody renews.

    Attributes:
        path: Of the certificate and its chain.
        key_path: Of its key, not encrypted.
        named: The settings that name both files, for messages.
    """

    path: str
    key_path: str
    named: str
    _context: ssl.SSLContext | None = field(init=False, default=None)
    _version: object = field(init=False, default=None)

    def serving(self) -> ssl.SSLContext:
        """Return how a server speaks TLS; each connection gets the newest certificate.

        Raises:
            Stalled: ``SettingsInvalid``: the files do not belong together, or are no PEM.
        """
        context = self._read()

        def newest(connection: Any, _name: str | None, _of: ssl.SSLContext) -> None:  # noqa: ANN401
            try:
                connection.context = self._read()
            except Stalled:  # half renewed: the one that was read last serves on
                connection.context = self._context

        context.sni_callback = newest
        return context

    def _read(self) -> ssl.SSLContext:
        try:
            version = [os.stat(path).st_mtime_ns for path in (self.path, self.key_path)]
            if self._context is None or version != self._version:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(self.path, self.key_path)
                self._context, self._version = context, version
        except (ssl.SSLError, OSError, ValueError):
            raise Stalled(
                Reason.SETTINGS_INVALID,
                f"{self.named} are not a certificate with its key, both as PEM and the key not "
                "encrypted.",
            ) from None
        return self._context
