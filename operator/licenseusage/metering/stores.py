"""Stores of facts: what is kept of one source in one cycle, and what that proves (MEASUREMENT §7).

A *store* holds the facts of one source (or a part of it) in one identity domain, for one cycle.
The ledger keeps its users and counts sets of them; here is what its words, its declaration and what
was refuted of it say together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from licenseusage.metering.counts import CountTerms
from licenseusage.metering.cycles import CYCLE_BIT, CYCLE_MASK, Cycle
from licenseusage.metering.definitions import Definition, differ
from licenseusage.metering.events import LogState
from licenseusage.metering.facts import Facts
from licenseusage.metering.properties import Guarantee, Properties, Removal
from licenseusage.metering.refuting import Refutation, believed, refuted_of
from licenseusage.metering.rolling import possible_in_cycle
from licenseusage.metering.roster import Missing
from licenseusage.metering.statement import (
    ACTIVITY_LOST,
    GUARANTEE_REFUTED,
    LOG_HOLE,
    OBJECT_GONE,
    PROOF_GAP,
    PSEUDONYM_KEY_CHANGED,
    PUSH_GAP,
    REMOVED_USERS,
    ROSTER_MISSING,
    RULES_CHANGED,
    SEVERAL_LOGS,
    SOURCE_GONE,
    UNLISTED_USERS,
    UNPROVED_COUNTS,
)

_UNTOLD = Definition()

NUMBERS = "numbers"
"""The identity domain of sources that state a number: nobody in it has an id."""


class StoreKey(NamedTuple):
    """A store of facts within a cycle: a source (or a part of it), in one identity domain."""

    source: str
    domain: str

    @property
    def of_numbers(self) -> bool:
        """Whether its facts are samples of a number, and name nobody."""
        return self.domain == NUMBERS


@dataclass(frozen=True, slots=True)
class StoreState:
    """Words of a store (``metering.cycles``), when it was last heard of, and how far it was read.

    Attributes:
        closed: Windows with a covering proof range: pass as ``already_closed`` to the next poll.
        ended: Windows with a complete poll late enough to close them.
        refuted: Windows in which a declared property is refuted.
        followed: Days that a successful poll followed within two intervals.
        seen_until_ms: Greatest end of a poll that told something, plus its clock skew.
        read_until_ms: That of the polls that succeeded: until when the number is.
        log: Event logs: what the next reading goes on from; None: read from the start.
        definition: What decided who counts, at the last poll, and since when.
        redefinitions: How often that changed within the cycle.
        doubted: A closing poll contradicted what is declared; it decided nothing, and is repeated.
        ids_stable: Every poll so far had ids that are never renamed.
        low: Window -> the greatest number of users that one poll proved active.
        full: Window -> the smallest number of users that one complete poll left possible.
        unproved: Why no poll after the cycle's end proves anything (Token); None: none says.
        by_rows: A list without times, whose rows prove activity in the cycle; False: only appearing
            on it does (``rolling``). None: the source has times.
        forgets: A list without times: somebody left it and came back.
    """

    closed: int = 0
    ended: int = 0
    refuted: int = 0
    followed: int = 0
    seen_until_ms: int | None = None
    read_until_ms: int | None = None
    log: LogState | None = None
    definition: Definition = _UNTOLD
    redefinitions: int = 0
    doubted: bool = False
    ids_stable: bool = True
    low: Mapping[int, int] = field(default_factory=dict)
    full: Mapping[int, int] = field(default_factory=dict)
    unproved: str | None = None
    by_rows: bool | None = None
    forgets: bool = False

    @property
    def unheard(self) -> bool:
        """Whether this may be a list of everybody: nobody who left it was seen to come back."""
        return bool(self.by_rows) and not self.forgets


@dataclass(frozen=True, slots=True)
class DeclaredSource:
    """A source as the object declares it now: every one needs its own proof (MEASUREMENT §7).

    Attributes:
        store: Where its facts go.
        properties: As declared.
        interval_ms: Its effective interval.
        selection: Digest of what decides who counts; None: not told.
        declaration: Digest of what is declared of it: what was refuted of another declaration says
            nothing of this one.
        former: Its store under the pseudonym key that was lost; None: none was.
        terms: Of a number: what is declared of it; None: it is a list or a log.
    """

    store: StoreKey
    properties: Properties
    interval_ms: int
    selection: str | None = None
    declaration: str = ""
    former: StoreKey | None = None
    terms: CountTerms | None = None


@dataclass(frozen=True, slots=True)
class RosterFindings:
    """What the users of a roster say together with those of its store, once the cycle has ended.

    Attributes:
        gap: What the roster's polls lack; None: nothing, or the cycle still runs.
        unlisted: Somebody with proof of activity is on no list of a roster that lacks nothing.
        vanished: Somebody was excluded, or left the list, before the cycle's end.
        back: The newest closing poll lists somebody with proof of activity as never active in the
            cycle.
    """

    gap: Missing | None = None
    unlisted: bool = False
    vanished: bool = False
    back: bool = False


@dataclass(frozen=True, slots=True)
class JudgedStore:
    """One store of a cycle as a statement judges it.

    Attributes:
        key: Source and identity domain.
        state: What is kept of it; None: its source is declared and was never read.
        properties: As declared, without what is refuted. Of a source that is gone nothing is
            declared any more, so that it proves nothing.
        gone: Why no source is declared for it (Token); None: there is one.
        refutations: What is refuted of the declared source, for this cycle.
        loses: A list that is said to lose nobody lost users: only who is on it counts.
        redefined: Its source's definition of who counts is another one now.
        roster: What its roster says; None: it has none.
        cycle: The cycle; None: not told (of no list without times).
        terms: Of a number: what is declared of it now; None: it is gone, or a list or log.
    """

    key: StoreKey
    state: StoreState | None
    properties: Properties
    gone: str | None = None
    refutations: tuple[Refutation, ...] = ()
    loses: bool = False
    redefined: bool = False
    roster: RosterFindings | None = None
    cycle: Cycle | None = None
    terms: CountTerms | None = None

    @property
    def tells(self) -> bool:
        """Whether it is declared, or any poll of it told something."""
        return self.gone is None or self.words.seen_until_ms is not None

    @property
    def words(self) -> StoreState:
        """What is kept of it; nothing, where it was never read."""
        return self.state or StoreState()

    @property
    def stable(self) -> bool:
        """Whether its users can be told apart over several polls."""
        return self.properties.ids_stable and self.words.ids_stable

    @property
    def segmented(self) -> bool:
        """Whether who counts changed within the cycle.

        Facts of before the change are about a segment of their own, which no later poll can prove
        anything about (MEASUREMENT §7).
        """
        return self.words.redefinitions > 0

    @property
    def ended(self) -> bool:
        """Whether a complete poll was late enough to close the cycle."""
        return bool(self.words.ended >> CYCLE_BIT & 1)

    @property
    def by_roster(self) -> bool:
        """Whether its roster says who is possible."""
        return self.roster is not None and self.properties.keeps_roster

    @property
    def lacks(self) -> str:
        """What its roster lacks (Token); empty: nothing, or it has none."""
        if self.roster is None:
            return ""
        if self.roster.gap is not None:
            return str(self.roster.gap)
        return UNLISTED_USERS if self.roster.unlisted else ""

    @property
    def proves(self) -> bool:
        """Whether everybody active in the cycle is among the users that it leaves possible."""
        if self.segmented or self.gone is not None:
            return False
        if self.properties.keeps_roster:
            return self.roster is not None and not self.lacks
        if self.by_days:
            closed = self.cycle is not None and possible_in_cycle(
                self.words.closed, self.cycle.days
            )
        else:
            closed = bool(self.words.closed >> CYCLE_BIT & 1)
        return self.properties.keeps_users and closed and not self.words.refuted

    @property
    def by_days(self) -> bool:
        """Whether the cycle is covered day by day: a list without times."""
        return self.properties.window is not None or self.words.by_rows is not None

    @property
    def disbelieved(self) -> bool:
        """Whether nobody of a list without times counts: it contradicts itself, or may not forget.

        What it refuted stands for the cycle, whatever is declared since.
        """
        if self.words.by_rows is None:
            return False
        if self.words.refuted or self.properties.refuted:
            return True
        if self.words.by_rows:
            return self.words.unheard
        # Who only appeared counts as long as it is said that nobody comes back without activity.
        return self.gone is None and self.properties.removal is not Removal.NEVER

    @property
    def doubted(self) -> bool:
        """Whether some with proof of activity do not count."""
        return self.loses or (self.roster is not None and self.roster.back)

    @property
    def numbers(self) -> Facts:
        """The numbers of single polls, for ids that may be renamed."""
        full = {} if self.segmented else dict(self.words.full)
        return Facts(low=dict(self.words.low), full=full)

    def why_unproved(self) -> Iterable[str]:
        """Yield why it gives the cycle no upper bound, but for its closing poll (Tokens)."""
        if self.gone is not None:
            yield self.gone
        elif self.key.of_numbers:
            yield UNPROVED_COUNTS
        elif self.by_days:
            if self.properties.refuted or self.words.refuted:
                yield GUARANTEE_REFUTED
            elif not self.properties.keeps_users:
                yield REMOVED_USERS
            elif not self.proves:
                yield PROOF_GAP
        elif Guarantee.ONE_LOG in self.properties.refuted:
            yield SEVERAL_LOGS
        elif not self.properties.keeps_activity or self.words.refuted:
            yield ACTIVITY_LOST
        elif self.properties.keeps_roster and self.roster is None:
            yield ROSTER_MISSING
        elif not self.properties.keeps_roster and not self.properties.keeps_users:
            if self.lacks != UNLISTED_USERS:
                yield REMOVED_USERS
        elif self.properties.log and self.words.ended & ~self.words.closed & CYCLE_MASK:
            yield PUSH_GAP if self.properties.pushed else LOG_HOLE


def definitions_of(store: StoreKey, states: Mapping[StoreKey, StoreState]) -> list[Definition]:
    """Return the definitions that a source was counted by so far.

    With the way ids are read the store changes as well: then the source's other stores tell whether
    there was another definition before.

    Args:
        store: Where the source's facts go now.
        states: Every store of the cycle.
    """
    if store in states:
        return [states[store].definition]
    return [state.definition for key, state in states.items() if key.source == store.source]


def deciding(sources: Sequence[DeclaredSource]) -> tuple[DeclaredSource, ...]:
    """Return the sources that a statement waits for: a number beside a list or log is not one."""
    people = tuple(source for source in sources if not source.store.of_numbers)
    return people or tuple(sources)


def stores_of(
    states: Mapping[StoreKey, StoreState],
    sources: Sequence[DeclaredSource],
    refuted: Sequence[Refutation],
) -> list[JudgedStore]:
    """Return every store of a cycle: those with facts, then those declared and never read.

    Args:
        states: What is kept of each store.
        sources: Every source declared now.
        refuted: What is refuted of any source, for this cycle.
    """
    declared = {source.store: source for source in sources}
    keys = [*states, *(key for key in declared if key not in states)]
    return [_store(key, states.get(key), declared.get(key), sources, refuted) for key in keys]


def standing(
    refutations: Sequence[Refutation], sources: Sequence[DeclaredSource]
) -> tuple[Refutation, ...]:
    """Return what is refuted of what the sources declare now."""
    now = {(source.store.source, source.declaration) for source in sources}
    return tuple(
        refutation
        for refutation in refutations
        if (refutation.source, refutation.declaration) in now
    )


def _store(
    key: StoreKey,
    state: StoreState | None,
    declared: DeclaredSource | None,
    sources: Sequence[DeclaredSource],
    refuted: Sequence[Refutation],
) -> JudgedStore:
    if declared is None:
        # Nothing is declared any more about a source that is gone. What was refuted of it stays so.
        against = refuted_of(refuted, key.source, None)
        properties = believed(Properties(ids_stable=True), against)
        lost = any(refutation.guarantee is Guarantee.REMOVAL_NEVER for refutation in against)
        loses = lost or properties.loses_users
        return JudgedStore(key, state, properties, gone=_why_gone(key, sources), loses=loses)
    against = refuted_of(refuted, key.source, declared.declaration)
    properties = believed(declared.properties, against)
    return JudgedStore(
        key,
        state,
        properties,
        refutations=against,
        terms=declared.terms,
        loses=properties.loses_users,
        # What is declared now says nothing of a cycle that was over by then.
        redefined=state is not None and differ(state.definition.digest, declared.selection),
    )


def _why_gone(key: StoreKey, sources: Sequence[DeclaredSource]) -> str:
    """Return why no source is declared for a store that has facts."""
    if not sources:
        return OBJECT_GONE
    if any(source.former == key for source in sources):
        return PSEUDONYM_KEY_CHANGED
    if any(source.store.source == key.source for source in sources):
        return RULES_CHANGED  # its ids are read otherwise since
    return SOURCE_GONE
