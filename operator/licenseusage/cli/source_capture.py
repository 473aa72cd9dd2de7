"""``--record`` and ``--replay`` of ``licenseusage source check``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from licenseusage.cli.written import write_whole
from licenseusage.clock import Clock
from licenseusage.errors import Stalled
from licenseusage.reasons import Reason
from licenseusage.sources.captures import taking
from licenseusage.sources.captures.file import Capture
from licenseusage.sources.captures.reduced import NO_FILE
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.poll import PollRequest, PollResult

RecordOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write the answers to this new file, anonymised: without ids, and without members "
        "that the source does not read.",
    ),
]
ReplayOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Read the answers from a file of --record, as of its time; nothing is sent.",
    ),
]


def refuse_beside_replay(options: Mapping[str, object]) -> None:
    """Refuse options that say whom to ask, or what: the capture has both.

    Raises:
        BadParameter: Which one is given.
    """
    for option, value in options.items():
        if value:
            raise typer.BadParameter("a replay asks nobody: leave it out", param_hint=option)


def refuse_to_overwrite(path: Path) -> None:
    """Refuse before anything is asked a file that is there.

    Raises:
        Stalled: ``FileExists``.
    """
    if path.exists():
        raise Stalled(
            Reason.FILE_EXISTS, f"{path} exists, and is not overwritten. Name another file."
        )


def refuse_to_record(source: EffectiveSource) -> None:
    """Refuse before anything is asked what could not be recorded.

    Raises:
        Stalled: ``CaptureNotMade``.
    """
    taking.shape_of(source)


def recorded(request: PollRequest, clock: Clock, path: Path) -> tuple[PollResult, Stalled | None]:
    """Poll and write the capture; return the result, and why no file was written.

    Raises:
        Stalled: ``NotWritable``.
    """
    result, made = taking.record(request, clock)
    if isinstance(made, Stalled):
        return result, made
    write_whole(path, made.to_bytes())
    return result, None


def read_capture(path: Path) -> Capture:
    """Read a capture.

    Raises:
        Stalled: ``FileUnreadable`` or ``CaptureInvalid``.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Stalled(Reason.FILE_UNREADABLE, f"{path}: {error.strerror}") from None
    return Capture.of_bytes(data, str(path))


def replayed(request: PollRequest, capture: Capture) -> PollResult:
    """Poll a capture.

    Raises:
        Stalled: ``CaptureInvalid``: the source reads something else than the capture holds, or has
            an expression that no capture holds.
    """
    try:
        taking.shape_of(request.source)
    except Stalled as refused:
        text = refused.message.removesuffix(NO_FILE)
        raise Stalled(Reason.CAPTURE_INVALID, f"{text} No capture is of such a source.") from None
    return taking.replay(request, capture)
