"""The pod's side of a ledger's stream: a copy beside the ledger that nothing outlives."""

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from licenseusage.cli.podstream import Sending, acknowledgement, announced, received
from licenseusage.cli.written import not_writable
from licenseusage.errors import Stalled
from licenseusage.ledger.storage.copying import log_of
from licenseusage.ledger.upkeep.snapshot import backup
from licenseusage.reasons import Reason

SPARE_OCTETS = 32 << 20
"""What a copy must leave free on the ledger's volume: the operator writes there meanwhile."""
_PREFIX = ".licenseusage-stream-"


def send_backup(ledger: Path) -> None:
    """Write a consistent copy of a ledger to the standard output; see `podstream`.

    Raises:
        Stalled: ``NotWritable``: the volume has no room for a copy; or as `backup`.
        Retryable: As `backup`.
    """
    size = sum(file.stat().st_size for file in (ledger, log_of(ledger)) if file.exists())
    with _scratch(ledger, size) as folder:
        made = backup(ledger, folder / "ledger.sqlite")
        with made.path.open("rb") as file:
            for piece in Sending(file, made.size_bytes):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()


@contextmanager
def received_ledger(ledger: Path) -> Iterator[Path]:
    """Read a ledger from the standard input, say on the standard output what came, and yield it.

    Args:
        ledger: Beside which it is kept meanwhile.

    Raises:
        Retryable: ``StreamCut``: it is not whole.
        Stalled: ``NotWritable``: the volume has no room for it.
    """
    stream = sys.stdin.buffer
    octets = announced(stream)
    with _scratch(ledger, octets) as folder:
        copy = folder / "received.sqlite"
        try:
            with copy.open("xb") as file:
                passed = received(stream, octets, file)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise not_writable(copy, error, octets) from None
        sys.stdout.buffer.write(acknowledgement(passed))
        sys.stdout.buffer.flush()
        yield copy


@contextmanager
def _scratch(ledger: Path, octets: int) -> Iterator[Path]:
    """Make a folder beside a ledger; those that killed processes have left are removed first."""
    _sweep(ledger.parent)
    free = shutil.disk_usage(ledger.parent).free
    if free < octets + SPARE_OCTETS:
        raise Stalled(
            Reason.NOT_WRITABLE,
            f"{ledger.parent} has {free} bytes free. A copy of the ledger needs {octets}, and must "
            f"leave {SPARE_OCTETS} free for the operator; nothing was changed. Free space on the "
            f"volume, or make it larger.",
        )
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=ledger.parent))
    except OSError as error:
        raise not_writable(ledger.parent, error, octets) from None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody uses it
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
