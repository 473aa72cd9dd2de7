"""Facts of source kind A (users with a last-activity time) and their join.

A poll never yields a number, it yields facts: statements about the past that never become false.
Two 64-bit words per user say in which windows the user was active for sure, and in which it is not
ruled out; see ``cycles`` for the words. Joining facts is commutative, associative, idempotent and
monotone, so replays, replicas and restored backups can only agree (MEASUREMENT §3, §8).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from licenseusage.metering.cycles import CYCLE_BIT, CYCLE_MASK, DAY_MS, Cycle, Segment
from licenseusage.metering.polled import Polled
from licenseusage.metering.properties import Properties
from licenseusage.metering.roster import (
    Listed,
    Roster,
    count_listed,
    counts_for,
    merge_rosters,
    roster_of,
)
from licenseusage.metering.words import PackedWords


class Row(NamedTuple):
    """One listed user with a last-activity time.

    Attributes:
        user: Pseudonym of the cycle that the facts are for, 16 bytes.
        value_ms: The time shown, start of its granule, ms since the epoch.
        created_ms: Creation time as shown, None where unknown.
    """

    user: bytes
    value_ms: int
    created_ms: int | None


@dataclass(slots=True)
class Facts:
    """The facts about one cycle, identity domain and store; words as in ``cycles``.

    Attributes:
        sure: User -> windows in which activity is proved. Only users with a bit are held.
        maybe: User -> closed windows in which activity is neither proved nor ruled out.
        closed: Windows for which a complete poll's proof range covers the window: every active user
            is in ``sure`` or ``maybe``. Needs ``removal: Never``.
        ended: Windows for which a complete poll began late enough to show all of them (at or after
            the window's end + lag + clock skew), whatever it proves. ``closed`` is a part of it.
        refuted: Closed windows in which a user with proof of activity was listed and proved
            inactive: a declared property is false. One who is not listed is a matter of ``roster``.
        low: Unstable ids only: window -> greatest number of sure users in one poll.
        full: Unstable ids only: closed window -> least number of sure and maybe users in one poll.
        listed: Unstable ids only: the greatest number of users in one complete poll.
        roster: Stable ids only: who was listed; None where nobody kept one.
    """

    sure: Mapping[bytes, int] = field(default_factory=dict)
    maybe: Mapping[bytes, int] = field(default_factory=dict)
    closed: int = 0
    ended: int = 0
    refuted: int = 0
    low: dict[int, int] = field(default_factory=dict)
    full: dict[int, int] = field(default_factory=dict)
    listed: int = 0
    roster: Roster | None = None


class ImpossibleStampError(ValueError):
    """A row's time lies after the end of the poll that read it (MEASUREMENT §0, §3.7).

    A wrong zone or clock shifts all rows, also those that look plausible: the poll fails as a
    whole.

    Attributes:
        ahead_ms: How far the row lies beyond the latest possible value.
    """

    def __init__(self, ahead_ms: int) -> None:
        """Keep how far ahead, in ms."""
        super().__init__(f"a time lies {ahead_ms} ms after anything the poll could have seen")
        self.ahead_ms = ahead_ms


def without_days(facts: Facts, *, by_days: bool = False) -> Facts:
    """Return facts that say of nobody on which days: a proved day proves the cycle as well.

    Who is possible on a day only is left out. Numbers of users, and which days were read, stay.

    Args:
        facts: The facts.
        by_days: The cycle is covered day by day (``rolling``). Then nothing is left that covers it.
    """
    possible = PackedWords.of(facts.maybe).parts.items()
    in_cycle = PackedWords({word: users for word, users in possible if word & CYCLE_MASK})
    sure = PackedWords.of(facts.sure).undated()
    if by_days:
        return replace(facts, sure=sure, maybe={}, closed=0)
    return replace(facts, sure=sure, maybe=in_cycle.undated())


def latest_value_ms(properties: Properties, *, ended_ms: int, clock_skew_ms: int) -> int:
    """Return the latest value that is possible in a poll; a later one fails the whole poll."""
    return ended_ms + clock_skew_ms + properties.skew_ms


def horizon_ms(cycle: Cycle | Segment, properties: Properties) -> int:
    """Return the earliest value that matters to ``cycle``.

    A row with an earlier value is proved inactive: it can be dropped before its id is hashed.
    """
    return cycle.start_ms - properties.width_ms - properties.hidden_ms


def list_facts(
    cycle: Cycle | Segment,
    properties: Properties,
    *,
    started_ms: int,
    ended_ms: int,
    clock_skew_ms: int,
    complete: bool,
    rows: Iterable[Row],
    already_closed: int = 0,
    listed: Listed | None = None,
    everybody: bool = True,
) -> Facts:
    """Return the facts of one poll about one cycle (MEASUREMENT §3).

    Args:
        cycle: The cycle; polls near a boundary make facts for both cycles from the same rows.
        properties: What the source declares.
        started_ms: Just before the first request was sent, by the operator's clock.
        ended_ms: Just after the last answer was read.
        clock_skew_ms: k >= 0: how far the operator's clock and that of the stamps may lie apart.
        complete: Every page was read and the listing was complete as in MEASUREMENT §3.6. Rows of
            other polls count too, since each row is true by itself, but prove nothing else.
        rows: Users that have a value, in any order; the same user may repeat. Those before
            ``horizon_ms`` may be left out. With unstable ids the rows must come from one page, or
            from pages in immutable order.
        already_closed: Windows closed by earlier polls. They are not closed again: the earliest
            closing poll is the tightest, and later ones would only write more users.
        listed: Everybody listed; None: no roster is wanted.
        everybody: The request asks for everybody, and not for those active in the cycle only.

    Raises:
        ImpossibleStampError: A row lies beyond ``latest_value_ms``; no facts are made.
    """
    polled = Polled.at(started_ms, ended_ms, clock_skew_ms, complete=complete)
    began, read = polled.began_ms, polled.read_ms
    ended = cycle.ended_by(began - properties.lag_ms) if complete else 0
    closed = ended & ~already_closed if properties.keeps_users else 0

    skew, tolerance = properties.skew_ms, properties.created_tolerance_ms
    width = properties.width_ms
    hidden, initial = properties.hidden_ms, properties.initial_created
    start, end, grid = cycle.start_ms, cycle.end_ms, cycle.grid_ms
    sure: dict[bytes, int] = {}
    maybe: dict[bytes, int] = {}
    words: dict[int, int] = {}  # one number for each word: a million of them are 40 MB
    for user, value, created in rows:
        first, widest = value - skew, value + width
        if first > read:
            raise ImpossibleStampError(first - read)
        last = min(widest, read)  # what was seen by then happened by then
        bits = 0
        if (
            start <= first
            and last < end
            and not (initial and (created is None or abs(value - created) <= tolerance))
        ):
            day = (first - grid) // DAY_MS
            bits = CYCLE_MASK | 1 << day if (last - grid) // DAY_MS == day else CYCLE_MASK
            bits |= sure.get(user, 0)
            sure[user] = words.setdefault(bits, bits)
        if closed and widest + hidden >= start:
            # Not ruled out: windows that begin by the latest time this value leaves open, and that
            # do not end before the account existed.
            open_bits = closed & cycle.begun_by(widest + hidden) & ~bits
            if created is not None:
                open_bits &= ~cycle.ended_by(created - skew)
            if open_bits:
                open_bits |= maybe.get(user, 0)
                maybe[user] = words.setdefault(open_bits, open_bits)

    if not properties.ids_stable:
        counts = _counts_only(cycle, sure, maybe, closed, ended)
        counts.listed = count_listed(listed) if listed is not None and complete else 0
        return counts
    roster = None
    if listed is not None:
        roster = roster_of(cycle, properties, polled, listed, whole=everybody)
    return Facts(sure, without_sure(maybe, sure), closed, ended, roster=roster)


def packed_facts(facts: Facts) -> Facts:
    """Return the same facts in less memory, to be handed over or kept."""
    return replace(facts, sure=PackedWords.of(facts.sure), maybe=PackedWords.of(facts.maybe))


def side_by_side(parts: Sequence[Facts]) -> Facts:
    """Return the facts of a poll that were made of some of its users at a time, packed.

    Args:
        parts: By ascending users, nobody in two of them; the first says what is said of the whole.
    """
    first, *others = parts
    if not others:
        return packed_facts(first)
    return replace(
        first,
        sure=PackedWords.side_by_side([part.sure for part in parts]),
        maybe=PackedWords.side_by_side([part.maybe for part in parts]),
        low=_sums([part.low for part in parts]),
        full=_sums([part.full for part in parts]),
    )


def _sums(counts: Sequence[Mapping[int, int]]) -> dict[int, int]:
    total: Counter[int] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)


def merge(a: Facts, b: Facts) -> Facts:
    """Return the join of two sets of facts about one cycle, domain and store (MEASUREMENT §8)."""
    sure = dict(a.sure.items())
    for user, bits in b.sure.items():
        sure[user] = sure.get(user, 0) | bits
    maybe: dict[bytes, int] = {}
    in_a, in_b = dict(a.maybe.items()), dict(b.maybe.items())
    for user in in_a.keys() | in_b.keys():
        bits = join_maybe(in_a.get(user, 0), a.closed, in_b.get(user, 0), b.closed)
        if bits:
            maybe[user] = bits
    refuted = a.refuted | b.refuted | refutes(a.sure, b) | refutes(b.sure, a)
    low = {w: max(a.low.get(w, 0), b.low.get(w, 0)) for w in a.low.keys() | b.low.keys()}
    full = dict(a.full)
    for window, count in b.full.items():
        full[window] = min(full.get(window, count), count)
    return Facts(
        sure,
        without_sure(maybe, sure),
        a.closed | b.closed,
        a.ended | b.ended,
        refuted,
        low,
        full,
        max(a.listed, b.listed),
        merge_rosters(a.roster, b.roster),
    )


def join_maybe(a: int, a_closed: int, b: int, b_closed: int) -> int:
    """Return the join of two ``maybe`` words: intersection where both sides are closed.

    A side that has not closed a window says nothing about it: "not yet" is the neutral element.
    """
    return (a & b) | (a & ~b_closed) | (b & ~a_closed)


def refutes(sure: Mapping[bytes, int], other: Facts) -> int:
    """Return the windows in which ``other`` proves a user of ``sure`` inactive whom it lists.

    With true properties there are none, because no value falls back. Whether a user who is not
    listed refutes anything is told by the roster: he may be excluded.
    """
    if not other.closed:
        return 0
    refuted = 0
    for user, bits in sure.items():
        possible = other.sure.get(user, 0) | other.maybe.get(user, 0)
        against = bits & other.closed & ~possible
        if against & ~refuted and (other.roster is None or counts_for(other.roster, user)):
            refuted |= against
    return refuted


def without_sure(maybe: Mapping[bytes, int], sure: Mapping[bytes, int]) -> dict[bytes, int]:
    """Return the ``maybe`` words without sure bits, and without empty words."""
    left = ((user, bits & ~sure.get(user, 0)) for user, bits in maybe.items())
    return {user: bits for user, bits in left if bits}


def _counts_only(
    cycle: Cycle | Segment, sure: dict[bytes, int], maybe: dict[bytes, int], closed: int, ended: int
) -> Facts:
    """Keep only the numbers of one poll: unstable ids of different polls are never united."""
    low: dict[int, int] = {}
    full: dict[int, int] = {}
    for window in cycle.windows():
        mask = 1 << window
        proved = sum(1 for bits in sure.values() if bits & mask)
        if proved:
            low[window] = proved
        if closed & mask:
            full[window] = proved + sum(
                1 for user, bits in maybe.items() if bits & mask & ~sure.get(user, 0)
            )
    return Facts(closed=closed, ended=ended, low=low, full=full)


def counted(facts: Facts) -> int:
    """Return how many users a poll alone proves active in the cycle."""
    if CYCLE_BIT in facts.low:
        return facts.low[CYCLE_BIT]
    return sum(1 for word in facts.sure.values() if word)
