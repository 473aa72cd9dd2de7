"""``licenseusage source check --watch`` of a list or a number: who moved between two polls."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import typer

from licenseusage.api.model import rfc3339
from licenseusage.cli.source_watch_examples import first, pseudonym, some
from licenseusage.errors import Failure
from licenseusage.metering.properties import Removal
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.poll import PollRequest, PollResult
from licenseusage.sources.seen import NEVER

_LATE_MS = 25 * 60_000
"""Zones differ by half an hour at least, and few products show activity so late."""


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
        moves: What the last poll has moved; None: it failed, or is the first.
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
    moves: Moves | None = None

    def following(self, request: PollRequest) -> PollRequest:
        """Return the next poll: the same one."""
        return request

    def see(self, result: PollResult) -> Moves | None:
        """Compare a poll with the one before it; None: there is none, or it failed."""
        self.moves = self._seen(result)
        return self.moves

    def _seen(self, result: PollResult) -> Moves | None:
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

    def facts(self, result: PollResult) -> dict[str, Any]:
        """As of ``Watching``."""
        number, failure, moves = self.source.states_number, result.failure, self.moves
        return {
            "usersListed": None if number or failure else result.users_listed,
            "usersCounted": None if number or failure else result.counted,
            "number": result.counted if number and not failure else None,
            "moves": None
            if moves is None or number
            else {name: some(users) for name, users in self._named(moves)},
        }

    def show(self, result: PollResult) -> None:
        """As of ``Watching``."""
        at = rfc3339(result.ended_ms)
        if self.source.states_number:
            typer.echo(f"{at}  number {result.counted}")
            return
        whole = "" if result.complete else ", not complete"
        typer.echo(f"{at}  {result.users_listed} listed, {result.counted} counted{whole}")
        times = result.listed.times() if result.listed is not None else {}
        for name, users in self._named(self.moves) if self.moves is not None else ():
            if not users:
                continue
            typer.echo(f"  {len(users)} {name}, for example:")
            for user in first(users):
                at_ms = times.get(user, NEVER)
                typer.echo(f"    {pseudonym(user)}  {'-' if at_ms == NEVER else rfc3339(at_ms)}")

    def _named(self, moves: Moves) -> Iterator[tuple[str, Collection[bytes]]]:
        yield "appeared", moves.appeared
        yield "left", moves.left
        if self.source.users.timed:
            yield "movedOn", moves.onward
            yield "wentBack", moves.back

    def notes(self) -> list[str]:
        """As of ``Watching``."""
        return list(self._standing_still() if self.source.states_number else self._together())

    def _together(self) -> Iterator[str]:
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
