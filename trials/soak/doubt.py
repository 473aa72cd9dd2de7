"""What may be asked of a number where a product lies: which lies the answers show, and which not.

A bound is proved by polls. Of everybody who was active, each poll that may prove the upper bound
either shows the true time, or does not list the account, or shows another time. The second is seen
by whoever remembers the account (MEASUREMENT §3.9, §3.10 d), the third by whoever has read a later
time before (§2). Where neither was read before, no rule can see it, and nothing is asked of the
upper bound.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from licenseusage.ledger.records import PollRecord
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.properties import Removal
from licenseusage.sources.poll import PollResult
from trials.soak.heard import Heard
from trials.soak.lies import LEAST_COARSE, NEVER_MS, Lie, coarse
from trials.soak.listing import Shop
from trials.soak.people import Account
from trials.soak.plan import Usage


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a statement.

    Attributes:
        lower, upper: Whether the bound must hold.
        least, most: The truth; where users move into an excluded group, between these.
    """

    lower: bool
    upper: bool
    least: int
    most: int

    @property
    def words(self) -> str:
        """What is asked, in words."""
        bounds = [name for name, wanted in (("lower", self.lower), ("upper", self.upper)) if wanted]
        return " and ".join(bounds) or "no bound"

    def truth(self, lower: int | None, upper: int | None) -> int:
        """Return the number to hold bounds against: the one they name, where they may name any."""
        if lower is None:
            return self.least if self.upper or upper is None else min(self.least, upper)
        if not self.lower:
            return lower
        return max(self.least if self.upper else 0, min(self.most, lower))


@dataclass(slots=True)
class _Source:
    shop: Shop
    polls: list[tuple[int, Heard]] = field(default_factory=list)


class Doubt:
    """Knows what the ledger has heard of the products of one history."""

    def __init__(self, usages: Iterable[Usage]) -> None:
        """Know who lies."""
        self._sources = {
            (usage.product, name): _Source(shop)
            for usage in usages
            for name, shop in usage.shops.items()
            if usage.lies and isinstance(shop, Shop)
        }
        self._read: dict[tuple[str, int, int], tuple[_Source, Heard]] = {}

    def heard(self, source: tuple[str, str], result: PollResult, poll: Heard) -> None:
        """A poll of a product and source has read something."""
        if source in self._sources:
            key = (source[1], result.started_ms, result.bytes)
            self._read[key] = (self._sources[source], poll)

    def kept(self, record: PollRecord) -> None:
        """What a poll has read is in the ledger."""
        key = (record.store.source, record.started_ms, record.size_bytes or 0)
        if (entry := self._read.pop(key, None)) is not None:
            source, poll = entry
            source.polls.append((record.started_ms, poll))

    def asked(self, usage: Usage, cycle: Cycle, until_ms: int, truth: int) -> Asked:
        """Say what is asked of a statement about a cycle.

        Args:
            usage: The object.
            cycle: The cycle.
            until_ms: The statement rests on polls that began by then, by the operator's clock.
            truth: How many people were active.
        """
        if not usage.lies:
            return Asked(True, True, truth, truth)
        (name,) = usage.shops
        if (usage.product, name) not in self._sources:
            return Asked(True, False, truth, truth)  # it names who was active, and may be silent
        source = self._sources[usage.product, name]
        polls = [poll for began_ms, poll in source.polls if began_ms <= until_ms]
        return asked_of(source.shop, cycle, polls, truth, usage.boundaries)


def asked_of(
    shop: Shop, cycle: Cycle, polls: Sequence[Heard], truth: int, boundaries: Sequence[int]
) -> Asked:
    """Say what is asked of a statement that rests on some polls of a product that lies."""
    judge = _Judge(shop, boundaries, cycle, polls)
    return Asked(
        lower=not any(map(judge.deceives, polls)),
        upper=judge.upper(),
        least=truth - judge.moved(),
        most=truth,
    )


class _Judge:
    """One source, one cycle."""

    def __init__(
        self, shop: Shop, boundaries: Sequence[int], cycle: Cycle, polls: Sequence[Heard]
    ) -> None:
        self._shop, self._boundaries, self._cycle, self._polls = shop, boundaries, cycle, polls
        self._accounts = shop.store.accounts
        self._whole = [poll for poll in polls if poll.whole]

    def moved(self) -> int:
        """How many of those active had moved into the excluded group before everything was read."""
        closing = [poll.ended_ms for poll in self._whole if poll.began_ms >= self._cycle.end_ms]
        last = min(closing, default=1 << 62)
        moved = self._shop.store.moved
        return sum(moved.get(account.person, 1 << 62) <= last for _, account in self._active())

    def deceives(self, poll: Heard) -> bool:
        """Whether the times of a poll are coarse, and too few to show it."""
        lies = [lie for lie in self._shop.lies if lie.kind == "coarse" and lie.now(poll.began_ms)]
        return bool(lies) and not _shows_steps(poll)

    def upper(self) -> bool:
        """Whether whoever could be missing from an upper bound is missed by the polls as well."""
        closing = [poll for poll in self._whole if poll.began_ms >= self._cycle.end_ms]
        if any(self.deceives(poll) for poll in self._polls):
            return False
        for number, account in self._active():
            for poll in closing:
                if not self._sees(number, account, poll):
                    return False
        return True

    def _active(self) -> Iterable[tuple[int, Account]]:
        cycle = self._cycle
        for number, account in enumerate(self._accounts):
            if any(cycle.start_ms <= at < cycle.end_ms for at in account.acts):
                yield number, account

    def _sees(self, number: int, account: Account, poll: Heard) -> bool:
        """Whether a closing poll, held against those before, leaves an active user possible."""
        if number in poll.keys:
            return self._true(number, account, poll) or self._went_back(number, poll)
        before = [earlier for earlier in self._whole if earlier.ended_ms <= poll.began_ms]
        early = [earlier for earlier in before if earlier.ended_ms <= self._cycle.start_ms][-1:]
        inside = [earlier for earlier in before if earlier.ended_ms > self._cycle.start_ms]
        listed = any(number in earlier.keys for earlier in (*early, *inside))
        return listed and (self._listed_once() or self._shrunk(poll, inside))

    def _true(self, number: int, account: Account, poll: Heard) -> bool:
        step = self._shop.store.traits.granularity_ms
        true = set()
        for at_ms in (poll.began_ms, poll.ended_ms, *_changes(account, poll)):
            stamp = account.stamp(at_ms)
            true.add(None if stamp is None else stamp // step * step)
        shown = {row.stamp_ms for row in poll.rows if row.key == number}
        lies = [lie for lie in self._shop.lies if lie.kind == "coarse" and lie.now(poll.began_ms)]
        return shown <= true | {_through(lies, stamp) for stamp in true} | (
            set(NEVER_MS) if None in true else set()
        )

    def _went_back(self, number: int, poll: Heard) -> bool:
        """Whether a later time was read before, which proves activity in the cycle."""
        shown = [row.stamp_ms or 0 for row in poll.rows if row.key == number]
        earlier = [
            stamp
            for before in self._polls
            if before.ended_ms <= poll.began_ms
            for stamp in before.stamps.get(number, ())
        ]
        return any(
            stamp is not None and self._cycle.start_ms <= stamp and stamp > max(shown)
            for stamp in earlier
        )

    def _listed_once(self) -> bool:
        """Whether the source is judged by its roster: declared so, or ``Never`` was refuted."""
        if self._shop.store.traits.removal is not Removal.NEVER:
            return True
        start_ms = self._cycle.start_ms
        ends = [end for end in self._boundaries if end <= start_ms]
        for first, last in pairwise(ends):
            polls = [poll for poll in self._whole if first < poll.began_ms <= last]
            for place, poll in enumerate(polls):
                if self._shrunk(poll, polls[:place]):
                    return True
        return False

    def _shrunk(self, poll: Heard, before: list[Heard]) -> bool:
        """Whether a poll lists fewer than one before it in the cycle (§3.10 d)."""
        return any(len(earlier.keys) > len(poll.keys) for earlier in before)


def _shows_steps(poll: Heard) -> bool:
    stamps = {row.id for row in poll.rows if row.stamp_ms not in (None, *NEVER_MS)}
    return len(stamps) >= LEAST_COARSE


def _changes(account: Account, poll: Heard) -> Iterable[int]:
    return (written for written, _ in account.writes if poll.began_ms < written <= poll.ended_ms)


def _through(lies: list[Lie], stamp_ms: int | None) -> int | None:
    for lie in lies:
        stamp_ms = coarse(lie, stamp_ms)
    return stamp_ms
