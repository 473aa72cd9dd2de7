"""``licenseusage source check --watch``: polls a few times, and shows what moved."""

import asyncio
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from licenseusage.api.model import rfc3339
from licenseusage.cli.output import Output, print_json
from licenseusage.clock import SystemClock
from licenseusage.errors import Failure, Stalled
from licenseusage.metering.properties import Removal
from licenseusage.reasons import Reason
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.poll import PollRequest, PollResult
from licenseusage.sources.seen import NEVER
from licenseusage.sources.workers.workers import Workers

EVERY_SECONDS, TIMES = 60, 5
_MOST_SHOWN = 3
_LATE_MS = 25 * 60_000
"""Zones differ by half an hour at least, and few products show activity so late."""
_BYTES = 6  # of a pseudonym that are shown, as of an example

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


@dataclass(frozen=True, slots=True)
class Moves:
    """How a list differs from the one before it; users by pseudonym.

    Attributes:
        onward: Whose last activity is later than before, or is the first.
        back: Whose last activity is earlier than before, or is none any more.
    """

    appeared: Collection[bytes] = ()
    left: Collection[bytes] = ()
    onward: Collection[bytes] = ()
    back: Collection[bytes] = ()


@dataclass(slots=True)
class Watched:
    """What the polls so far have shown.

    Attributes:
        always: Who moved on with each poll but the first.
        denied: Something was seen that the source declares impossible.
        numbers: What a product stated that states a number.
        late_ms: How long before the poll before the times lie to which users moved on, at least;
            None: nobody did.
        failure: Of the last poll that failed.
    """

    source: EffectiveSource
    before: dict[bytes, int] | None = None
    complete: bool = False
    compared: int = 0
    anything: bool = False
    always: set[bytes] = field(default_factory=set)
    denied: bool = False
    failure: Failure | None = None
    numbers: list[int] = field(default_factory=list)
    late_ms: int | None = None
    started_ms: int = 0

    def see(self, result: PollResult) -> Moves | None:
        """Compare a poll with the one before it; None: there is none, or it failed."""
        if result.failure is not None:
            self.failure = result.failure
            return None
        now = result.listed.times() if result.listed is not None else {}
        self.numbers.append(result.counted)
        since_ms, self.started_ms = self.started_ms, result.started_ms
        before, self.before = self.before, now
        was_complete, self.complete = self.complete, result.complete
        if before is None:
            return None
        moves = moves_of(before, now)
        whole = was_complete and self.complete
        stays = self.source.guarantees.removal is Removal.NEVER
        timed = not self.source.states_number and self.source.users.timed
        self.denied |= bool(moves.back) or (timed and whole and stays and bool(moves.left))
        if timed:
            until_ms = since_ms - self.source.users.last_active.granularity_ms
            late_ms = [until_ms - now[user] for user in moves.onward]
            late_ms += [] if self.late_ms is None else [self.late_ms]
            self.late_ms = min(late_ms, default=None)
        self.always = set(moves.onward) & (self.always if self.compared else set(moves.onward))
        self.anything |= any((moves.appeared, moves.left, moves.onward, moves.back))
        self.compared += 1
        return moves

    def notes(self) -> Iterator[str]:
        """Yield what the polls together tell."""
        if self.source.states_number:
            yield from self._standing_still()
            return
        if self.compared > 1 and self.always:
            yield (
                f"{len(self.always)} users moved on with each poll. If nobody else used the "
                "product, one of them is the account that reads the list: leave it out by "
                "users.excludeIds."
            )
        if self.denied:
            yield (
                "a last activity went back, or somebody left a complete list although "
                "guarantees.removal is Never. Then the number is too low: ask the product for a "
                "time that only goes on, or declare what it does (removal: ListedOnce)."
            )
        if self.late_ms is not None and self.late_ms >= _LATE_MS:
            yield self._late(self.late_ms)
        if self.compared and not self.anything:
            yield (
                "nothing moved. Use the product as a person between two polls: the time of that "
                "user must move on, and of nobody else."
            )

    def _standing_still(self) -> Iterator[str]:
        if len(self.numbers) < 2 or len(set(self.numbers)) > 1:
            return
        yield (
            f"the number stayed at {self.numbers[0]}. Many products count anew once an hour only: "
            "use the product as somebody who is not counted yet, and check again after that. If it "
            "still stays, it may be a limit (a licence's: declare count.saturatesAt), or it counts "
            "accounts and not who is active."
        )

    def _late(self, late_ms: int) -> str:
        minutes = late_ms // 60_000
        span = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
        zone = self.source.users.last_active.naive_timezone
        return (
            f"whoever moved on did so between two polls, but to a time at least {span} before "
            f"them. Either times are of another zone than {zone} "
            "(users.lastActive.naiveTimezone): then everybody is counted on the wrong day; or the "
            "product shows activity so late: then declare guarantees.lagSeconds."
        )


def moves_of(before: dict[bytes, int], now: dict[bytes, int]) -> Moves:
    """Compare two lists: last activities in ms since the epoch, by user."""
    both = before.keys() & now.keys()
    return Moves(
        appeared=sorted(now.keys() - both),
        left=sorted(before.keys() - both),
        onward=sorted(user for user in both if now[user] > before[user]),
        back=sorted(user for user in both if now[user] < before[user]),
    )


def refuse_watching(
    source: EffectiveSource,
    *,
    every: int | None,
    times: int | None,
    watch: bool,
    beside: str | None,
) -> None:
    """Refuse what cannot be watched, and options that do not go together.

    Args:
        source: What is to be polled.
        every: As given.
        times: As given.
        watch: Whether it is to be watched.
        beside: An option that is about one poll, such as ``--record``; None: none is given.

    Raises:
        BadParameter: Options that do not go together.
        Stalled: ``InvalidSource``: a kind that cannot be watched, by name.
    """
    if not watch:
        if every is not None or times is not None:
            raise typer.BadParameter("goes with --watch only", param_hint="--every and --times")
        return
    if beside is not None:
        raise typer.BadParameter(
            f"does not go with {beside}, which is about one poll", param_hint="--watch"
        )
    if source.reads_log:
        raise Stalled(
            Reason.INVALID_SOURCE,
            f"Source {source.name}: an event log cannot be watched. It is read to its end each "
            "time; check it twice, and compare the events.",
        )


async def watched(
    request: PollRequest,
    clock: SystemClock,
    *,
    every: int | None,
    times: int | None,
    output: Output,
) -> Watched:
    """Poll several times with one pseudonym key, and print what moved."""
    every = EVERY_SECONDS if every is None else every
    times = TIMES if times is None else times
    source, seen = request.source, Watched(request.source)
    polls: list[dict[str, Any]] = []
    async with Workers(1, clock=clock) as workers:
        for number in range(times):
            if number:
                await asyncio.sleep(every)
            result = await workers.poll(request)
            moves = seen.see(result)
            polls.append(_facts(source, result, moves))
            if output is Output.TABLE:
                _print(source, result, moves)
    notes = [f"Source {source.name}: {note}" for note in seen.notes()]
    if output is Output.JSON:
        print_json({"source": source.name, "polls": polls, "notes": notes})
    else:
        for note in notes:
            typer.echo(f"note: {note}")
    return seen


def _facts(source: EffectiveSource, result: PollResult, moves: Moves | None) -> dict[str, Any]:
    number = source.states_number
    failure = result.failure
    return {
        "asOfTime": rfc3339(result.ended_ms),
        "usersListed": None if number or failure else result.users_listed,
        "usersCounted": None if number or failure else result.counted,
        "number": result.counted if number and not failure else None,
        "complete": result.complete,
        "moves": None
        if moves is None or number
        else {name: _some(users) for name, users in _named(source, moves)},
        "failure": {"reason": failure.reason, "message": failure.message} if failure else None,
    }


def _some(users: Collection[bytes]) -> dict[str, Any]:
    """Return how many users these are, and the first of them."""
    return {"users": len(users), "examples": list(map(_shown, list(users)[:_MOST_SHOWN]))}


def _print(source: EffectiveSource, result: PollResult, moves: Moves | None) -> None:
    at = rfc3339(result.ended_ms)
    if result.failure is not None:
        typer.echo(f"{at}  failed ({result.failure.reason})")
        typer.echo(f"error: {result.failure.reason}: {result.failure.message}", err=True)
        return
    if source.states_number:
        typer.echo(f"{at}  number {result.counted}")
        return
    whole = "" if result.complete else ", not complete"
    typer.echo(f"{at}  {result.users_listed} listed, {result.counted} counted{whole}")
    times = result.listed.times() if result.listed is not None else {}
    for name, users in _named(source, moves) if moves is not None else ():
        if not users:
            continue
        typer.echo(f"  {len(users)} {name}, for example:")
        for user in list(users)[:_MOST_SHOWN]:
            at_ms = times.get(user, NEVER)
            typer.echo(f"    {_shown(user)}  {'-' if at_ms == NEVER else rfc3339(at_ms)}")


def _named(source: EffectiveSource, moves: Moves) -> Iterator[tuple[str, Collection[bytes]]]:
    yield "appeared", moves.appeared
    yield "left", moves.left
    if source.users.timed:
        yield "movedOn", moves.onward
        yield "wentBack", moves.back


def _shown(user: bytes) -> str:
    return user[:_BYTES].hex()
