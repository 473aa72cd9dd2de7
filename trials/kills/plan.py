"""The lives of the operator: when each begins, what happens in it, and how it ends.

Every choice is drawn from one seed. What a life comes to still depends on the machine's speed, so a
seed repeats a run's choices, not its instants.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from trials.kills.occasions import WAYS, WEIGHTS, Deed
from trials.kills.people import DAY
from trials.kills.places import AT_THE_END, only_at_the_beginning

_CLOSING_SECONDS: Final = 22
"""After a midnight, until the poll that closes the cycle was made although one was made shortly
before it (they are at least 15 s apart), and its report is accepted."""

_LIVES_FOR_AN_OCCASION: Final = 6
"""One that leaves a cycle unread, one that reads it, and twice as many that come to nothing."""

_LIVES_FOR_WAYS: Final = 12
"""That many and two for each place that is left are kept for what deeds lead to."""

_SHARE_OF_WAYS: Final = 0.2
"""Of the lives before that."""


def enough_for(sweep: Sequence[str]) -> int:
    """Return how many kills a run needs to have been at every place of a sweep."""
    return 2 * len(sweep)


class Move(StrEnum):
    """Where the clock stands at the begin of a life, seen from the end of the one before."""

    SOON = "a moment later"
    AFTER_END = "after the next midnight"
    BEFORE_END = "just before the next midnight"
    HOURS = "hours later"
    GRACE = "an hour after the next midnight, while a product is away"
    DAYS = "days later"


_WEIGHTS: Final = {
    Move.SOON: 56,
    Move.AFTER_END: 28,
    Move.BEFORE_END: 7,
    Move.HOURS: 6,
    Move.GRACE: 6,
    Move.DAYS: 3,
}


@dataclass(frozen=True, slots=True)
class Life:
    """One process.

    Attributes:
        number: From 1.
        move: How its time was chosen.
        starts_s: Its clock when it begins, epoch seconds; later than the end of the one before.
        armed: Place -> at its n-th time the process kills itself there.
        kill_after: It is killed when it has passed so many boundaries, and then so many seconds
            later; None: when it rests. A slow machine is thereby killed at the same moments.
        rest_until_s: It does not count as resting before its clock shows this.
        down: Product that answers 503 in this life.
        request: An administrator asks for a poll and a delivery.
        delete: Object that is deleted before this life.
        restore: A deleted object is applied again before this life.
        deeds: What is done before this life.
    """

    number: int
    move: Move
    starts_s: int
    armed: dict[str, int]
    kill_after: tuple[int, float] | None
    rest_until_s: int
    down: int | None = None
    request: int | None = None
    delete: int | None = None
    restore: int | None = None
    deeds: tuple[Deed, ...] = ()

    @property
    def limit_seconds(self) -> float:
        """However busy it is, it is killed then."""
        return 40.0 + max(0, self.rest_until_s - self.starts_s)


@dataclass(slots=True)
class Plan:
    """Draws one life after the other.

    Some places have a rare occasion: an amendment, an administrator's request or deed. A run that
    is long enough for the whole sweep makes them, when there are just enough lives left for it.

    Attributes:
        rng: Draws.
        kills: How many lives end by a kill.
        meters: How many objects there are.
        sweep: Places at which a process must still be killed.
        wander: Share of lives that may also end elsewhere, at a random moment, during the sweep.
        deeds: Share of lives before which an administrator does something.
    """

    rng: random.Random
    kills: int
    meters: int
    sweep: list[str]
    wander: float = 0.9
    deeds: float = 0.0
    _number: int = 0
    _deleted: int | None = None
    _restore_at: int = 0
    _unread: int | None = None
    _seen: list[str] = field(default_factory=list)
    _sweeps_all: bool = False

    def __post_init__(self) -> None:
        """Decide whether there are lives enough to be killed at every place."""
        self._sweeps_all = self.kills >= enough_for(self.sweep)

    def next(self, now_s: float) -> Life:
        """Return the next life; ``now_s`` is the clock at the end of the one before."""
        led = self._led_to()
        if led:
            return self._reported(int(now_s) + 1, led)
        life = self._next(now_s)
        return replace(life, deeds=self._done_before())

    def _led_to(self) -> tuple[Deed, ...]:
        """Return deeds that lead to a place which is left; none: it may come by itself."""
        ways = [way for way in WAYS if self._left(way.words)] if self.deeds else []
        places = sum(any(way.words in place for way in ways) for place in self.sweep)
        due = self.kills - self._number <= _LIVES_FOR_WAYS + 2 * places
        always = due and self._sweeps_all
        if not ways or self.rng.random() >= (1.0 if always else _SHARE_OF_WAYS):
            return ()
        return self.rng.choice(ways).deeds

    def _reported(self, now_s: int, deeds: tuple[Deed, ...]) -> Life:
        """Return a life after a cycle's end that goes on until it rests, or is where it lurks."""
        self._number += 1
        delete, restore = self._coming_and_going()
        return Life(
            number=self._number,
            move=Move.AFTER_END,
            starts_s=_start(self.rng, Move.AFTER_END, now_s),
            armed=dict.fromkeys(self.sweep, 1),
            kill_after=None,
            rest_until_s=0,
            delete=delete,
            restore=restore,
            deeds=deeds,
        )

    def _done_before(self) -> tuple[Deed, ...]:
        """Draw what is done before a life; nothing before there is something to do it to."""
        if self.rng.random() >= self.deeds:
            return ()
        return tuple(self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=2))

    def _next(self, now_s: float) -> Life:
        rng = self.rng
        self._number += 1
        delete, restore = self._coming_and_going()
        if (late := self._late_evidence(int(now_s) + 1)) is not None:
            return replace(late, delete=delete, restore=restore)
        move = rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        starts = _start(rng, move, int(now_s) + 1)
        watches = move is Move.BEFORE_END
        midnight = starts // DAY * DAY + DAY
        rest_until = midnight + _CLOSING_SECONDS if watches else 0
        armed, after = self._watched_end(midnight - starts) if watches else self._end()
        armed = dict.fromkeys(filter(only_at_the_beginning, self.sweep), 1) | armed
        away = move is Move.GRACE or rng.random() < 0.06
        return Life(
            number=self._number,
            move=move,
            starts_s=starts,
            armed=armed,
            kill_after=after,
            rest_until_s=rest_until,
            down=rng.randrange(self.meters) if away else None,
            request=rng.randrange(self.meters) if rng.random() < self._asking() else None,
            delete=delete,
            restore=restore,
        )

    def died(self, place: str | None, passed: Sequence[str]) -> None:
        """Take note of where a life ended (None: not at an armed place) and what it had passed."""
        if place in self.sweep:
            self.sweep.remove(place)
        known = set(self._seen)
        self._seen += sorted(set(passed) - known)

    def _end(self) -> tuple[dict[str, int], tuple[int, float] | None]:
        """Choose how a life ends: where the sweep has not been yet, or at a random moment.

        Some places are passed only once in a run, so that the sweep lies in wait in every life.
        """
        rng, swept = self.rng, dict.fromkeys(self.sweep, 1)
        if swept and rng.random() >= self.wander:
            return swept, None
        if self._seen and rng.random() < 0.4:
            return swept | {rng.choice(self._seen): rng.choice((1, 1, 2, 3, 4, 6))}, None
        return swept, (rng.randint(0, rng.choice((10, 25, 60))), rng.uniform(0.0, 0.25))

    def _watched_end(self, seconds: int) -> tuple[dict[str, int], tuple[int, float] | None]:
        """Choose how a life ends that sees a cycle end ``seconds`` from its begin."""
        rng = self.rng
        if rng.random() < 0.5:
            return {rng.choice(AT_THE_END): rng.randint(1, self.meters)}, None
        return {}, (0, seconds + rng.uniform(-1, _CLOSING_SECONDS))

    def _late_evidence(self, now_s: int) -> Life | None:
        """Leave a cycle to end unread, and in the next life let its product answer again.

        Evidence that comes after a final is the only occasion for an amendment, and rare otherwise.
        """
        unread = self._unread
        if unread is not None:
            self._unread, move = None, Move.SOON
        elif self._left("mend") and self.rng.random() < self._urgency("mend", 0.15):
            self._unread, move = self.rng.randrange(self.meters), Move.GRACE
        else:
            return None
        return Life(
            number=self._number,
            move=move,
            starts_s=_start(self.rng, move, now_s),
            armed=dict.fromkeys(self.sweep, 1),
            kill_after=None,
            rest_until_s=0,
            down=self._unread,
            request=unread,
        )

    def _asking(self) -> float:
        """An annotation is the only occasion for some places of the sweep."""
        return self._urgency("resend", 0.5) if self._left("resend") else 0.1

    def _left(self, words: str) -> int:
        return sum(words in place for place in self.sweep)

    def _urgency(self, words: str, share: float) -> float:
        """Return how often to make an occasion: always, if else there might not be lives enough."""
        due = self.kills - self._number <= _LIVES_FOR_AN_OCCASION * self._left(words)
        return 1.0 if due and self._sweeps_all else share

    def _coming_and_going(self) -> tuple[int | None, int | None]:
        """Twice in a run an object is deleted, and applied again some lives later."""
        if self._deleted is not None and self._number >= self._restore_at:
            restore, self._deleted = self._deleted, None
            return None, restore
        due = self._number in (round(self.kills * 0.3), round(self.kills * 0.7))
        if due and self.kills >= 50 and self._deleted is None:
            self._deleted = self.rng.randrange(self.meters)
            self._restore_at = self._number + self.rng.randint(5, 8)
            return self._deleted, None
        return None, None


def _start(rng: random.Random, move: Move, now: int) -> int:
    midnight = now // DAY * DAY + DAY
    match move:
        case Move.SOON:
            return now + rng.randint(0, 20)
        case Move.AFTER_END:
            return midnight + rng.choice((2, 4, 6, 9, 15, 30))
        case Move.BEFORE_END:
            return max(now, midnight - rng.randint(2, 8))
        case Move.HOURS:
            return now + rng.randint(3600, 9 * 3600)
        case Move.GRACE:
            return midnight + 3600 + rng.randint(5, 60)
        case Move.DAYS:
            return midnight + rng.randint(1, 3) * DAY + rng.randint(1, 7200)
