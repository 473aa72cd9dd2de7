"""``licenseusage source check --watch`` of an event log: what came between two looks at it.

Each look reads on where the one before has stopped, as the operator does.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import typer

from licenseusage.api.model import rfc3339
from licenseusage.cli.source_watch_examples import first, pseudonym, some
from licenseusage.errors import Failure
from licenseusage.metering.events import Hole, LogPosition, LogReading, LogState, read_on
from licenseusage.metering.facts import Facts
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.logs.kinds import place_of
from licenseusage.sources.poll import PollRequest, PollResult


@dataclass(frozen=True, slots=True)
class Look:
    """What one look has shown.

    Attributes:
        appeared: Whose events came, and who had none in a look before; pseudonyms.
        moved: The log's newest event is another one than at the look before.
        position: Where it stopped; None: it read nothing that proves anything.
        lost: What it found to be lost for good.
        first: There was no look before it that the log was read on from.
        hint: Worth saying, and not said at the look before.
    """

    appeared: frozenset[bytes] = frozenset()
    moved: bool = False
    position: LogPosition | None = None
    lost: tuple[Hole, ...] = ()
    first: bool = False
    hint: str | None = None


@dataclass(slots=True)
class WatchedLog:
    """What the looks so far have shown.

    Attributes:
        state: How far the log was read.
        users: Whose events were read so far; pseudonyms.
        always: Whose events came with each look but the first.
        compared: How many looks came after one that had read the log to its end.
        moved: In how many of them newer events had come.
        reasons: Why events were lost between two looks.
        denied: Events were lost between two looks.
        failure: Of the last look that failed.
        look: The last one.
    """

    source: EffectiveSource
    state: LogState | None = None
    users: set[bytes] = field(default_factory=set)
    always: set[bytes] = field(default_factory=set)
    compared: int = 0
    moved: int = 0
    reasons: dict[str, None] = field(default_factory=dict)
    denied: bool = False
    failure: Failure | None = None
    hint: str | None = None
    look: Look = field(default_factory=Look)

    def following(self, request: PollRequest) -> PollRequest:
        """As of ``Watching``."""
        newest = replace(request.cycles[-1], log=self.state)
        return replace(request, cycles=(*request.cycles[:-1], newest))

    def see(self, result: PollResult) -> Look:
        """As of ``Watching``; what a look has read stands also where it failed."""
        self.failure = result.failure or self.failure
        (index,) = result.readings or (None,)
        reading = result.readings[index] if index is not None else None
        facts = result.facts.get(index, Facts()) if index is not None else Facts()
        users = {*facts.sure, *facts.maybe}
        before = self.state
        moved = reading is not None and self._moved(reading)
        if reading is not None:
            self.state = read_on(before, reading)
        if before is not None and reading is not None:
            self.reasons |= dict.fromkeys(hole.reason for hole in reading.holes)
            self.denied = bool(self.reasons)
            if not before.behind:
                self._compare(users, moved=moved)
        earlier, self.hint = self.hint, result.hint
        self.look = Look(
            appeared=frozenset(users - self.users),
            moved=moved,
            position=reading.after if reading is not None else None,
            lost=reading.holes if reading is not None else (),
            first=before is None,
            hint=result.hint if result.hint != earlier else None,
        )
        self.users |= users
        return self.look

    def _compare(self, users: set[bytes], *, moved: bool) -> None:
        self.always = users & self.always if self.compared else users
        self.compared += 1
        self.moved += moved

    def _moved(self, reading: LogReading) -> bool:
        before, after = reading.before, reading.after
        return before is not None and self._place(before) != self._place(after)

    def _place(self, position: LogPosition) -> tuple[object, ...]:
        return (position.created, position.stored_ms, place_of(self.source, position))

    def facts(self, result: PollResult) -> dict[str, Any]:
        """As of ``Watching``."""
        look, failed = self.look, result.failure is not None
        return {
            "eventsRead": None if failed else result.users_listed,
            "usersCounted": None if failed else result.counted,
            "skipped": result.skipped,
            "position": _facts_of(self.source, look.position),
            "lost": [
                {
                    "startTime": rfc3339(hole.start_ms),
                    "endTime": rfc3339(hole.end_ms),
                    "reason": hole.reason,
                }
                for hole in look.lost
            ],
            "moves": None
            if failed or look.first
            else {"position": look.moved, "appeared": some(sorted(look.appeared))},
            "note": result.hint,
        }

    def show(self, result: PollResult) -> None:
        """As of ``Watching``."""
        look, rest = self.look, "" if result.complete else ", not to the end"
        typer.echo(
            f"{rfc3339(result.ended_ms)}  {result.users_listed} events read{rest}, "
            f"{result.counted} users counted"
        )
        if look.position is not None:
            typer.echo(f"  {_words(self.source, look.position)}")
        for reason, count in sorted(result.skipped.items()):
            typer.echo(f"  {count} skipped: {reason}")
        for hole in look.lost:
            span = f"{rfc3339(hole.start_ms)} to {rfc3339(hole.end_ms)}"
            typer.echo(f"  lost: {span} ({hole.reason})")
        if look.appeared and not look.first:
            typer.echo(f"  {len(look.appeared)} appeared, for example:")
            for user in first(sorted(look.appeared)):
                typer.echo(f"    {pseudonym(user)}")
        if look.hint is not None:
            typer.echo(f"  note: {look.hint}")

    def notes(self) -> list[str]:
        """As of ``Watching``."""
        return list(self._together())

    def _together(self) -> Iterator[str]:
        if self.denied:
            yield (
                f"events were lost between two looks ({', '.join(self.reasons)}). Each look says "
                "why: as long as that happens, the number is a lower bound."
            )
        if self.compared > 1 and self.moved == self.compared and self.always:
            yield (
                f"{len(self.always)} users had events in each look. If nobody else used the "
                "product, one of them is the account that reads the log: leave it out by "
                "users.excludeIds."
            )
        if self.compared and not self.moved:
            yield (
                "no event came between two looks. Use the product as a person between them: an "
                "event of that user must come, and of nobody else."
            )


def _facts_of(source: EffectiveSource, position: LogPosition | None) -> dict[str, Any] | None:
    if position is None:
        return None
    return {
        "place": place_of(source, position),
        "newestEventTime": rfc3339(position.stored_ms) if position.stored_ms else None,
        "readUntilTime": rfc3339(position.until_ms),
    }


def _words(source: EffectiveSource, position: LogPosition) -> str:
    place, newest = place_of(source, position), "no event yet"
    if position.stored_ms:
        newest = f"newest event {place or ''} of {rfc3339(position.stored_ms)}".replace("  ", " ")
    return f"read until {rfc3339(position.until_ms)}; {newest}"
