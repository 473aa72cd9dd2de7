"""Where the ledger of a command is: a file that is named, the operator's own, or that in a pod."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from licenseusage.cli.inpod import OperatorPod, beside_ledger, stream_in_pod
from licenseusage.cli.podstream import Sending, announced, compare, received
from licenseusage.cli.written import appearing
from licenseusage.controller.settings import from_mapping
from licenseusage.errors import Stalled
from licenseusage.ledger.storage.copying import Progress, log_of, nothing_to_tell
from licenseusage.ledger.storage.database import path_of
from licenseusage.ledger.upkeep.snapshot import Backup, verified
from licenseusage.reasons import Reason

LedgerFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE]", help="The ledger; without it, the operator's, in the operator's pod."
    ),
]
StreamOption = Annotated[
    bool, typer.Option("--stream", hidden=True, help="Exchange the ledger with who runs this.")
]
ProgressOption = Annotated[
    bool, typer.Option("--progress-lines", hidden=True, help="Tell progress line by line.")
]


def own_ledger() -> Path:
    """Return the path of the ledger that the environment names; see `beside_ledger`.

    Raises:
        Stalled: ``SettingsInvalid``.
    """
    return path_of(from_mapping(os.environ).database_url)


@dataclass(frozen=True, slots=True)
class InPod:
    """The ledger in the operator's pod, seen from where no ledger is.

    Attributes:
        pod: Where.
    """

    pod: OperatorPod

    def shown(
        self,
        arguments: Sequence[str],
        label: str,
        *,
        lines: bool = False,
        writing: bool = False,
    ) -> None:
        """Run a command there, and print what it prints.

        Args:
            arguments: The command (two words), then its options and arguments.
            label: Of the progress.
            lines: The command can tell its progress line by line.
            writing: It changes the ledger.

        Raises:
            UsageError, Exit: See `stream_in_pod`.
        """
        with progress_bar(label) as progress:
            lines_asked = ["--progress-lines"] if lines and progress is not nothing_to_tell else []
            asked = [*arguments[:2], *lines_asked, *arguments[2:]]
            stream_in_pod(self.pod, asked, take=_pass_on, tell=progress, writing=writing)

    def fetched(self, target: Path) -> Backup:
        """Copy the ledger into a file here, which appears whole or not at all.

        Raises:
            Stalled: ``FileExists``, ``NotWritable``; ``LedgerCorrupt``: what arrived is no ledger.
            UsageError, Exit: See `stream_in_pod`.
        """
        with appearing(target) as (file, part), progress_bar("receiving") as progress:

            def take(stream: BinaryIO) -> int:
                return received(stream, announced(stream), file, progress).octets

            octets = stream_in_pod(self.pod, ["ledger", "backup", "--stream"], take=take)
            file.flush()
            return Backup(target, octets, verified(part))

    def given(self, source: Path, arguments: Sequence[str]) -> None:
        """Send a file there as a command's input, and print what the command prints.

        Raises:
            Stalled: ``FileUnreadable``; ``BackupUnusable``: a log beside it belongs to it.
            UsageError, Exit: See `stream_in_pod`.
        """
        _refuse_log(source)
        try:
            with source.open("rb") as file, progress_bar("sending") as progress:
                sending = Sending(file, os.fstat(file.fileno()).st_size, progress)

                def take(stream: BinaryIO) -> None:
                    compare(stream, sending)
                    _pass_on(stream)

                asked = [*arguments, "--stream", "-"]
                stream_in_pod(self.pod, asked, feed=sending, take=take, writing=True)
        except OSError as error:
            raise Stalled(
                Reason.FILE_UNREADABLE, f"{source} cannot be read: {error.strerror or error}."
            ) from None


def place(file: Path | None, pod: OperatorPod) -> Path | InPod:
    """Return where a command finds its ledger.

    Raises:
        Stalled: ``SettingsInvalid``: of the operator, in its pod.
    """
    if file is not None:
        return file
    return own_ledger() if beside_ledger() else InPod(pod)


@contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """Show how far something long is, to people only; files that take a moment show nothing."""
    if not sys.stderr.isatty():
        yield nothing_to_tell
        return
    with typer.progressbar(length=1000, label=label, file=sys.stderr) as bar:

        def tell(done: int, total: int) -> None:
            bar.update(done * 1000 // max(1, total) - bar.pos)

        yield tell


def _pass_on(stream: BinaryIO) -> None:
    sys.stdout.write(stream.read().decode("utf-8", "replace"))


def _refuse_log(source: Path) -> None:
    """A log beside a ledger holds committed rows, and only one file is sent."""
    log = log_of(source)
    if log.exists() and log.stat().st_size:
        raise Stalled(
            Reason.BACKUP_UNUSABLE,
            f"{source} has a log beside it, {log.name}, which belongs to it. Make one file of both "
            f"first: licenseusage ledger backup {source} one-file.sqlite",
        )
