"""Which cycles a statement is about, out of those that reports exist of."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from licenseusage.errors import Stalled
from licenseusage.reasons import Reason
from licenseusage.statement.cycles import ReportedChain, ReportedCycle, State
from licenseusage.statement.words import days_of

EARLIER_CYCLES = 13
"""How many cycles before the chosen ones are shown: with them more than a year of months."""

_QUARTER = re.compile(r"(\d{4})-?[Qq]([1-4])")
_YEAR = re.compile(r"\d{4}")


@dataclass(frozen=True, slots=True)
class Numbered:
    """The cycle of this number."""

    index: int

    @property
    def words(self) -> str:
        """For people."""
        return f"cycle {self.index}"


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest cycle that has ended (``finished``), or that is running (not)."""

    finished: bool

    @property
    def words(self) -> str:
        """For people."""
        return "finished cycle" if self.finished else "running cycle"


@dataclass(frozen=True, slots=True)
class Period:
    """The cycles whose last day lies in a quarter or a year, ``[start_s, end_s)``.

    So each cycle belongs to one quarter, although cycles of 30 days fit no calendar.
    """

    words: str
    start_s: int
    end_s: int


Choice = Numbered | Newest | Period


@dataclass(frozen=True, slots=True)
class ChosenCycles:
    """The chosen cycles of one chain.

    Attributes:
        cycles: Ascending, one at least.
        earlier: Those before them, newest first.
    """

    chain: ReportedChain
    cycles: tuple[ReportedCycle, ...]
    earlier: tuple[ReportedCycle, ...]


def quarter(text: str) -> Period:
    """Return a quarter, such as ``2026Q4``.

    Raises:
        ValueError: the text is none; the message says what was expected.
    """
    matched = _QUARTER.fullmatch(text)
    if matched is None:
        raise ValueError(f"{text!r} is no quarter; write it as 2026Q4")
    year, number = int(matched[1]), int(matched[2])
    return Period(f"{year}Q{number}", _month(year, 3 * number - 2), _month(year, 3 * number + 1))


def year(text: str) -> Period:
    """Return a calendar year, such as ``2026``.

    Raises:
        ValueError: the text is none.
    """
    if not _YEAR.fullmatch(text):
        raise ValueError(f"{text!r} is no year; write it as 2026")
    return Period(text, _month(int(text), 1), _month(int(text), 13))


def choose(chains: Sequence[ReportedChain], choice: Choice) -> tuple[ChosenCycles, ...]:
    """Return the chosen cycles of each chain that has any.

    Of several chains, ``Newest`` takes the newest cycle of all and, of the other chains, what
    overlaps it.

    Args:
        chains: Of one object, one at least.
        choice: Which cycles.

    Raises:
        Stalled: ``NoSuchCycle``: there is none; the message lists those that there are.
    """
    chosen = []
    for chain in chains:
        cycles = [cycle for cycle in chain.cycles if _fits(cycle, chains, choice)]
        if cycles:
            before = [cycle for cycle in chain.cycles if cycle.index < cycles[0].index]
            earlier = tuple(reversed(before))[:EARLIER_CYCLES]
            chosen.append(ChosenCycles(chain, tuple(cycles), earlier))
    if not chosen:
        raise Stalled(Reason.NO_SUCH_CYCLE, _none_words(chains, choice))
    return tuple(chosen)


def listed(cycles: Iterable[ReportedCycle]) -> str:
    """Return the cycles that there are, for a message."""
    return ", ".join(
        f"{cycle.index} ({days_of(cycle)}, {cycle.state.value.lower()})" for cycle in cycles
    )


def _fits(cycle: ReportedCycle, chains: Sequence[ReportedChain], choice: Choice) -> bool:
    match choice:
        case Numbered(index):
            return cycle.index == index
        case Period(_, start_s, end_s):
            return start_s < cycle.end_s <= end_s
        case Newest(finished):
            same = [
                other
                for chain in chains
                for other in chain.cycles
                if (other.state is not State.PROVISIONAL) == finished
            ]
            if cycle not in same:
                return False
            newest = max(same, key=lambda other: other.end_s)
            of_its_chain = [other for other in same if other.overlaps(newest)]
            return cycle in of_its_chain
    return False


def _none_words(chains: Sequence[ReportedChain], choice: Choice) -> str:
    namespace, name = chains[0].usage
    there = "; ".join(
        (f"chain {chain.id[:8]}: " if len(chains) > 1 else "") + listed(chain.cycles)
        for chain in chains
    )
    verb = "has no cycle whose last day is in" if isinstance(choice, Period) else "has no"
    return (
        f"{namespace}/{name} {verb} {choice.words}, as far as reports are here. There are: {there}"
    )


def _month(year: int, month: int) -> int:
    """Return the first second of a month, 1 to 13, since 1970 UTC."""
    return int(datetime(year + (month - 1) // 12, (month - 1) % 12 + 1, 1, tzinfo=UTC).timestamp())
