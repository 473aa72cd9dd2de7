"""Where the database is, and with which credentials: read anew for each new connection."""

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from licenseusage.errors import Stalled
from licenseusage.reasons import Reason

DEFAULT_URL = "sqlite:///receiver.sqlite"
_DRIVER = "postgresql+psycopg"
_SPELLINGS = ("postgresql", "postgres", _DRIVER)
"""How people, and the Secrets of PostgreSQL operators, spell it."""


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """A database's address, given as text or as a file that may be replaced while we run.

    Attributes:
        url: ``sqlite:///FILE`` or ``postgresql://…``; None: ``url_file`` holds it.
        url_file: A file with the address, such as a mounted Secret's.
        password_file: A file with the password, which the address then has not.
    """

    url: str | None = field(repr=False)
    url_file: Path | None = None
    password_file: Path | None = None

    @classmethod
    def given(
        cls, url: str | None, url_file: Path | None, password_file: Path | None
    ) -> "DatabaseAddress":
        """Return the address that these settings give; without any, a file in this folder.

        Raises:
            Stalled: ``SettingsInvalid``: they contradict each other.
        """
        if url is not None and url_file is not None:
            raise _invalid("--database-url and --database-url-file contradict each other: give one")
        return cls(
            DEFAULT_URL if url is None and url_file is None else url, url_file, password_file
        )

    def now(self) -> URL:
        """Return the address as it is at the moment, its files read anew.

        Raises:
            Stalled: ``SettingsInvalid``: a file cannot be read, the address is of no database that
                this build can use, or there are two passwords. The message has none of them.
        """
        url = self._parsed()
        if url.host is not None and "@" in url.host:
            raise _invalid(
                f"{self._named} has two @: write an @ in user or password as %40 (other characters "
                "of URLs likewise), or give --database-password-file"
            )
        if self.password_file is None:
            return url
        if url.password is not None:
            raise _invalid(f"{self._named} has a password, and --database-password-file is given")
        if url.get_backend_name() == "sqlite":
            raise _invalid("--database-password-file is given, but SQLite has no passwords")
        return url.set(password=_read(self.password_file, "--database-password-file"))

    def _parsed(self) -> URL:
        text = self.url
        if text is None:
            assert self.url_file is not None  # noqa: S101 - one of the two is given
            text = _read(self.url_file, "--database-url-file")
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):
            # The address may hold a password: it is not repeated.
            raise _invalid(f"{self._named} is no address; use {_USE}") from None
        if url.drivername in _SPELLINGS:
            return url.set(drivername=_DRIVER)
        if url.drivername == "sqlite":
            return url
        raise _invalid(f"{self._named} names {url.drivername!r}; use {_USE}")

    @property
    def _named(self) -> str:
        return "--database-url" if self.url_file is None else f"--database-url-file {self.url_file}"


_USE = "sqlite:///FILE or postgresql://USER@HOST/DATABASE"


def _read(path: Path, setting: str) -> str:
    try:
        # Editors and shells end a file with a line feed, which no password here contains.
        text = path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        seen = error.strerror if isinstance(error, OSError) else "it is not text"
        raise _invalid(f"{setting} {path} cannot be read ({seen})") from None
    if not text:
        raise _invalid(f"{setting} {path} is empty")
    return text


def _invalid(message: str) -> Stalled:
    return Stalled(Reason.SETTINGS_INVALID, f"{message}.")
