"""Whom the client trusts: a file of certificate authorities, read again once it has changed.

One that is renewed by half, or broken, changes nothing until it is whole.
"""

import os
import ssl
from pathlib import Path

import httpx
import structlog

from licenseusage.errors import Stalled
from licenseusage.reasons import Reason

_log = structlog.get_logger(__name__)


class Trust:
    """Whom a client trusts: the public authorities, and those in one file."""

    def __init__(self, path: Path | None, named: str) -> None:
        """Read the file.

        Args:
            path: PEM; None: the public authorities only.
            named: The setting that names the file, for messages.

        Raises:
            Stalled: ``SettingsInvalid``: the file cannot be read, or holds no certificate.
        """
        self._path, self._named = path, named
        self._version = self._now()
        self._context = self._read()

    def context(self) -> ssl.SSLContext:
        """Return the context that was read last."""
        return self._context

    def changed(self) -> bool:
        """Whether the file is another one than that."""
        return self._now() != self._version

    def renewed(self) -> ssl.SSLContext:
        """Read the file again, and return the context; the former one if the file is no good."""
        self._version = self._now()
        try:
            self._context = self._read()
        except Stalled as error:
            _log.warning("the authorities read before stay trusted", error=error.message)
        return self._context

    def _now(self) -> object:
        """Return what differs between two versions of the file; a mount swaps symbolic links."""
        if self._path is None:
            return None
        try:
            file = os.stat(self._path)
        except OSError:
            return "absent"
        return file.st_mtime_ns, file.st_ino, file.st_size

    def _read(self) -> ssl.SSLContext:
        context = httpx.create_ssl_context(trust_env=False)
        if self._path is not None:
            try:
                context.load_verify_locations(cafile=self._path)
            except (OSError, ssl.SSLError) as error:
                raise Stalled(
                    Reason.SETTINGS_INVALID,
                    f"{self._named}={self._path} cannot be used: "
                    f"{error.strerror or 'no PEM certificate in it'}.",
                ) from None
        return context
