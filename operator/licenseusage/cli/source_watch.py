"""``licenseusage source check --watch``: polls a few times, and shows what moved."""

import asyncio
from typing import Annotated, Any, Protocol

import typer

from licenseusage.api.model import rfc3339
from licenseusage.cli.output import Output, print_json
from licenseusage.cli.source_watch_logs import WatchedLog
from licenseusage.cli.source_watch_users import Watched
from licenseusage.clock import SystemClock
from licenseusage.errors import Failure
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.poll import PollRequest, PollResult
from licenseusage.sources.workers.workers import Workers

EVERY_SECONDS, TIMES = 60, 5

WatchOption = Annotated[
    bool,
    typer.Option("--watch", help="Poll several times, and show what moved in between."),
]
EveryOption = Annotated[
    int | None,
    typer.Option(
        metavar="SECONDS",
        min=0,
        max=86_400,
        help=f"With --watch: the time between two polls. [default: {EVERY_SECONDS}]",
    ),
]
TimesOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=2,
        max=1000,
        help=f"With --watch: how often to poll. [default: {TIMES}]",
    ),
]


class Watching(Protocol):
    """What the polls so far have shown of one source.

    Attributes:
        denied: Something was seen that makes the number wrong.
        failure: Of the last poll that failed.
    """

    denied: bool
    failure: Failure | None

    def following(self, request: PollRequest) -> PollRequest:
        """Return the next poll: a log is read on from where the last one stopped."""

    def see(self, result: PollResult) -> object:
        """Compare a poll with those before it."""

    def facts(self, result: PollResult) -> dict[str, Any]:
        """Return what the poll that was seen last has shown, for programs."""

    def show(self, result: PollResult) -> None:
        """Print the same, for people; not called for a poll that failed."""

    def notes(self) -> list[str]:
        """Return what the polls together tell, each a sentence or two."""


def refuse_watching(
    *, every: int | None, times: int | None, watch: bool, beside: str | None
) -> None:
    """Refuse options that do not go together.

    Args:
        every: As given.
        times: As given.
        watch: Whether it is to be watched.
        beside: An option that is about one poll, such as ``--record``; None: none is given.

    Raises:
        BadParameter: Which ones.
    """
    if not watch and (every is not None or times is not None):
        raise typer.BadParameter("goes with --watch only", param_hint="--every and --times")
    if watch and beside is not None:
        raise typer.BadParameter(
            f"does not go with {beside}, which is about one poll", param_hint="--watch"
        )


def watching(source: EffectiveSource) -> Watching:
    """Return what keeps in mind the polls of a source of this kind."""
    return WatchedLog(source) if source.reads_log else Watched(source)


async def watched(
    request: PollRequest,
    clock: SystemClock,
    *,
    every: int | None,
    times: int | None,
    output: Output,
) -> Watching:
    """Poll several times with one pseudonym key, and print what moved.

    Args:
        request: The first poll.
        clock: Ours.
        every: Seconds between two polls; None: ``EVERY_SECONDS``.
        times: How often to poll; None: ``TIMES``.
        output: For people after each poll, or for programs in the end.
    """
    every = EVERY_SECONDS if every is None else every
    times = TIMES if times is None else times
    source, seen = request.source, watching(request.source)
    polls: list[dict[str, Any]] = []
    async with Workers(1, clock=clock) as workers:
        for number in range(times):
            if number:
                await asyncio.sleep(every)
            result = await workers.poll(seen.following(request))
            seen.see(result)
            polls.append(_facts(seen, result))
            if output is Output.TABLE:
                _show(seen, result)
    notes = [f"Source {source.name}: {note}" for note in seen.notes()]
    if output is Output.JSON:
        print_json({"source": source.name, "polls": polls, "notes": notes})
    else:
        for note in notes:
            typer.echo(f"note: {note}")
    return seen


def _facts(seen: Watching, result: PollResult) -> dict[str, Any]:
    failure = result.failure
    return {
        "asOfTime": rfc3339(result.ended_ms),
        **seen.facts(result),
        "complete": result.complete,
        "failure": {"reason": failure.reason, "message": failure.message} if failure else None,
    }


def _show(seen: Watching, result: PollResult) -> None:
    if result.failure is None:
        seen.show(result)
        return
    typer.echo(f"{rfc3339(result.ended_ms)}  failed ({result.failure.reason})")
    typer.echo(f"error: {result.failure.reason}: {result.failure.message}", err=True)
