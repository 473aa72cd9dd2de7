"""Picks the already closed cycle for which the next poll also collects late evidence.

Facts are kept for some cycles after the final, and ordinary polls collect evidence about them. No
poll is made for this alone, and no poll becomes larger than those at a cycle's end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from licenseusage.ledger.records import CycleRecord
from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS, Cycle
from licenseusage.metering.definitions import evidence_counts
from licenseusage.metering.lifecycle import HOUR_MS, looks_back
from licenseusage.metering.polling import Boundary
from licenseusage.metering.stores import StoreKey, StoreState


@dataclass(frozen=True, slots=True)
class LookBack:
    """What a poll of one source is about, and by which rules.

    Attributes:
        cycles: The cycles that the poll is about in any case.
        store: Where its facts go.
        last_started_ms: Start of the source's last attempt; None before the first.
        rules_digest: Of the rules as declared now.
        key_id: Public name of the pseudonym key.
        asked: An administrator asks for a poll, or the last one began to catch up with the log of
            an earlier cycle.
    """

    cycles: Sequence[Cycle]
    store: StoreKey
    last_started_ms: int | None
    rules_digest: str
    key_id: str
    asked: bool

    def takes(self, record: CycleRecord) -> bool:
        """Whether a poll may tell something about a cycle: under its own rules and key only."""
        return (
            record.intent is not None
            and not record.wiped
            and not record.sealed
            and record.contradiction is None
            and evidence_counts(record.rules_digest, self.rules_digest)
            and record.pseudonym_key_id in {None, self.key_id}
            and all(record.cycle.index != cycle.index for cycle in self.cycles)
        )  # facts come back by index, which other terms use again


@dataclass(frozen=True, slots=True)
class Earlier:
    """A cycle that was decided on, and whether the source's closing poll of it has been read."""

    cycle: Cycle
    ended: bool

    @property
    def boundary(self) -> Boundary:
        """Its end, for the decision whether to read a listing more than once."""
        return Boundary(self.cycle.end_ms, self.ended)


def earlier_cycle(
    records: Sequence[CycleRecord],
    states: Mapping[Cycle, Mapping[StoreKey, StoreState]],
    poll: LookBack,
    now_ms: int,
) -> Earlier | None:
    """Return the cycle that a poll now looks back at; None: at none.

    Args:
        records: Cycles whose facts are kept, newest first.
        states: What is known of the stores of each.
        poll: The poll.
        now_ms: The time.
    """
    if len(poll.cycles) != 1:
        return None  # another one is just being closed
    known = []
    for record in records:
        if poll.takes(record):
            ended = states.get(record.cycle, {}).get(poll.store, StoreState()).ended
            known.append(Earlier(record.cycle, bool(ended >> CYCLE_BIT & 1)))
    return choose(known, poll.last_started_ms, now_ms, asked=poll.asked)


def choose(
    known: Sequence[Earlier], last_started_ms: int | None, now_ms: int, *, asked: bool
) -> Earlier | None:
    """Return the one whose turn it is: those without their closing poll go first."""
    due = [
        earlier for earlier in known if asked or looks_back(earlier.ended, last_started_ms, now_ms)
    ]
    unread = [earlier for earlier in due if not earlier.ended]
    turns, span_ms = (unread, HOUR_MS) if unread else (due, DAY_MS)
    return turns[now_ms // span_ms % len(turns)] if turns else None
