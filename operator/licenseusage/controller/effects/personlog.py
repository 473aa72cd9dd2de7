"""The record of who asked the ledger for one person: a file beside it, which the operator logs.

A command in the operator's pod cannot write into the pod's log, and the operator can. The record is
durable before the command answers; the log repeats it within seconds.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from licenseusage.errors import Stalled
from licenseusage.reasons import Reason

_MOST_BYTES = 1024 * 1024
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PersonRequest:
    """One use of a command that looks for a person.

    Attributes:
        time: RFC 3339, UTC.
        action: The command.
        caller: What the caller's kubectl says of who they are. It can be forged: the API server's
            audit log of ``pods/exec`` has the true name.
        usage: Namespace and name of the LicenseUsage.
        person: `metering.pseudonym.record_name` of the id; never the id.
    """

    time: str
    action: str
    caller: str
    usage: str
    person: str


def record_of(ledger: Path) -> Path:
    """Return the file of a ledger's record."""
    return ledger.with_name(ledger.name + ".persons")


def record(ledger: Path, request: PersonRequest) -> None:
    """Add a request to the record, durable when this returns.

    Raises:
        Stalled: ``NotWritable``: then nothing may be answered.
    """
    path = record_of(ledger)
    line = json.dumps(asdict(request)) + "\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Stalled(
            Reason.NOT_WRITABLE,
            f"{path}: {error.strerror}. Each request about a person is recorded there first, so "
            f"nothing was looked up.",
        ) from None


class Repeater:
    """Logs what is added to a record from now on."""

    def __init__(self, ledger: Path) -> None:
        """Begin at the record's present end."""
        self._path = record_of(ledger)
        self._read = self._size()

    def repeat(self) -> int:
        """Log what was added since the last time; return how many lines."""
        size = self._size()
        if size <= self._read:
            self._read = size
            return 0
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                added = file.read(_MOST_BYTES)
        except OSError:
            return 0
        whole = added[: added.rfind(b"\n") + 1]
        self._read += len(whole)
        lines = whole.splitlines()
        for line in lines:
            _log.warning("a person was looked for", **_fields(line))
        return len(lines)

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0


def _fields(line: bytes) -> dict[str, str]:
    """Return a line's own fields; of anything else only that it cannot be read."""
    try:
        return asdict(PersonRequest(**json.loads(line)))
    except (ValueError, TypeError):
        return {"action": "unreadable line in the record"}
