"""The statement about a cycle: bounds, days, coverage, assumptions, and its words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from licenseusage.metering.bounds import Accuracy, Bounds
from licenseusage.metering.coverage import Coverage
from licenseusage.metering.crosscheck import CrossCheck
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.properties import Properties
from licenseusage.metering.roster import Missing
from licenseusage.reasons import Reason

# Why the upper bound exceeds the lower: reasons of `Uncertainty`.
BOUNDARY_GAP = Reason.BOUNDARY_GAP
HIDDEN_ACTIVITY = Reason.HIDDEN_ACTIVITY
SEPARATE_IDENTITIES = Reason.SEPARATE_IDENTITIES
UNSTABLE_IDS = Reason.UNSTABLE_IDS
ROLLING_LIST = Reason.ROLLING_LIST
NEVER_FORGETS = Reason.NEVER_FORGETS
BARE_COUNTS = Reason.BARE_COUNTS
STRADDLING_EVENTS = Reason.STRADDLING_EVENTS

# Why there is no upper bound; the first is a reason of `Uncertainty` as well.
REMOVED_USERS = Reason.REMOVED_USERS
ACTIVITY_LOST = Reason.ACTIVITY_LOST
NO_CLOSING_POLL = Reason.NO_CLOSING_POLL
ROSTER_MISSING = str(Missing.NOT_AT_START)
ROSTER_GAP = str(Missing.GAP)
UNLISTED_USERS = Reason.UNLISTED_USERS
RULES_CHANGED = Reason.RULES_CHANGED
SOURCE_GONE = Reason.SOURCE_GONE
OBJECT_GONE = Reason.OBJECT_GONE
PSEUDONYM_KEY_CHANGED = Reason.PSEUDONYM_KEY_CHANGED
GUARANTEE_REFUTED = Reason.GUARANTEE_REFUTED
STORE_GONE = Reason.STORE_GONE
LOG_HOLE = Reason.LOG_HOLE
PUSH_GAP = Reason.PUSH_GAP
PROOF_GAP = Reason.PROOF_GAP
UNPROVED_COUNTS = Reason.UNPROVED_COUNTS
SEVERAL_LOGS = Reason.SEVERAL_LOGS

_WHY_BOUNDED: Mapping[str, str] = {
    REMOVED_USERS: "{people} {were} removed before it could be ruled out that they were active",
    SEPARATE_IDENTITIES: (
        "the sources' users cannot be compared, the same person may be in several of them"
    ),
    UNSTABLE_IDS: "user ids may change, so that listings of different times cannot be united",
    HIDDEN_ACTIVITY: (
        "the product may hide activity after the time it shows; this concerns {people}"
    ),
    ROLLING_LIST: "the product tells who was active lately, not when; this concerns {people}",
    NEVER_FORGETS: (
        "nobody was seen to leave the product's list and to come back, so that it may be a list of "
        "everybody; this concerns {people}"
    ),
    BARE_COUNTS: "the product states numbers only, over spans that are not the cycle's",
    STRADDLING_EVENTS: "{people} may have been active on either side of the cycle's start or end",
}

# In the order in which a person is told; the first that applies is what to look at.
_WHY_UNBOUNDED: Mapping[str, str] = {
    GUARANTEE_REFUTED: "the product's answers contradict a guarantee that is declared of it",
    PSEUDONYM_KEY_CHANGED: (
        "the pseudonym key was lost and another one took its place in mid-cycle, so that people "
        "counted before cannot be recognised among those counted since"
    ),
    OBJECT_GONE: (
        "the LicenseUsage was deleted before the product could be read after the cycle's end"
    ),
    RULES_CHANGED: (
        "the definition of who counts changed before the cycle was closed, and what was counted "
        "before cannot be completed"
    ),
    SEVERAL_LOGS: (
        "pods of one source each kept an event log of their own, and none of these holds all events"
    ),
    ACTIVITY_LOST: (
        "activity that the product had shown was gone later, or it came to be shown too late"
    ),
    NEVER_FORGETS: (
        "nobody was seen to leave the product's list and to come back, so that it may be a list of "
        "everybody"
    ),
    REMOVED_USERS: "this product forgets removed users",
    SOURCE_GONE: "a source is no longer declared, and what it had recorded was not read to the end",
    STORE_GONE: "a pod took away what only it had recorded",
    LOG_HOLE: "part of the product's event log was lost before it could be read",
    PUSH_GAP: "no heartbeats prove that the product sent everything of the whole cycle",
    UNLISTED_USERS: "somebody was seen who was gone before the list was read completely",
    NO_CLOSING_POLL: "nothing could be read completely after the cycle's end",
    ROSTER_MISSING: (
        "users may be removed, and nobody read the list completely right before the cycle's start"
    ),
    ROSTER_GAP: "users may be removed, and the complete readings of the list are too far apart",
    PROOF_GAP: "the product shows activity for a while only, and the readings are too far apart",
    UNPROVED_COUNTS: "the product states numbers only, none of which covers the cycle",
}


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Why the upper bound exceeds the lower: a reason (Token) and how many users it concerns."""

    reason: str
    users: int


@dataclass(frozen=True, slots=True)
class CycleStatement:
    """The statement about a cycle, or about its past part ``[start, as_of)``.

    Attributes:
        cycle: The cycle.
        as_of_ms: End of the time stated, at most the cycle's end; equal to it once the cycle ended.
        bounds: Lower and upper bound of the distinct users active in ``[start, as_of)``.
        daily: Lower bounds per day, in order, of the days begun by ``as_of``. None: not known,
            which is never 0.
        coverage: When the sources were observed.
        uncertainty: Why the upper bound exceeds the lower; empty without an upper bound.
        unbounded: Why there is no upper bound, for an ended cycle: ``RemovedUsers``,
            ``NoClosingPoll``, or what the answer said against itself (``ListCut``, …; §3.10); empty
            where there is one.
        refuted: Which declared properties the product's answers refute, in words: nothing stated
            rests on them.
        boundary_gap_ms: The unobserved span around the cycle's end, ``(start, end)``, None if it
            was observed.
        provisioned: Users the product lists, None where unknown.
        assumptions: Tokens of the declared properties that the accuracy rests on.
        beside: How numbers that the product states disagree with it; nothing of it rests on them.
    """

    cycle: Cycle
    as_of_ms: int
    bounds: Bounds
    daily: tuple[int | None, ...]
    coverage: Coverage
    uncertainty: tuple[Uncertainty, ...] = ()
    unbounded: tuple[str, ...] = ()
    refuted: tuple[str, ...] = ()
    boundary_gap_ms: tuple[int, int] | None = None
    provisioned: int | None = None
    assumptions: tuple[str, ...] = ()
    beside: tuple[CrossCheck, ...] = ()

    @property
    def running(self) -> bool:
        """Whether the statement is about a cycle that had not ended."""
        return self.as_of_ms < self.cycle.end_ms

    @property
    def active_text(self) -> str:
        """The number as a column shows it: ``412 so far``, ``398``, ``≥412``, ``unknown``.

        The class of accuracy can be read from it.
        """
        return _active_text(self)

    @property
    def no_bound(self) -> tuple[str, ...]:
        """Why there is no upper bound, as a report says it: a contradiction is a reason, too."""
        conflict = self.bounds.accuracy is Accuracy.CONFLICT
        return self.unbounded or ((GUARANTEE_REFUTED,) if conflict else ())

    @property
    def words(self) -> str:
        """The number in a sentence for people, with the reason for what is not known."""
        return words(self)


def _active_text(statement: CycleStatement) -> str:
    bounds = statement.bounds
    lower, upper = bounds.lower, bounds.upper
    accuracy = bounds.stated
    if statement.running and bounds.accuracy is not Accuracy.CONFLICT:
        if accuracy is Accuracy.ESTIMATE:
            return f"~{bounds.estimate} so far"
        # Sources that state numbers name nobody: then nobody could be seen.
        nobody = "none seen so far"
        if UNPROVED_COUNTS in statement.unbounded:
            nobody = "unknown so far"
        return f"{lower} so far" if lower else nobody
    match accuracy:
        case Accuracy.EXACT:
            return str(lower)
        case Accuracy.BOUNDED:
            return f"{lower}–{upper}"  # noqa: RUF001 - a range is written with an en dash
        case Accuracy.LOWER_BOUND:
            return f"≥{lower}"
        case Accuracy.UPPER_BOUND:
            return f"≤{upper}"
        case Accuracy.ESTIMATE:
            return f"~{bounds.estimate}"
        case _:
            return "unknown"


def words(statement: CycleStatement) -> str:
    """Return the statement's number in words, as wherever a person reads (MEASUREMENT §0)."""
    bounds = statement.bounds
    if bounds.accuracy is Accuracy.CONFLICT:
        named = "; ".join(statement.refuted) or "the facts contradict each other"
        return f"unknown: {named}"
    if statement.running:
        return statement.active_text
    match bounds.accuracy:
        case Accuracy.EXACT:
            return str(bounds.lower)
        case Accuracy.BOUNDED:
            number = f"at least {bounds.lower}, at most {bounds.upper}"
            return f"{number}{_why_bounded(statement)}"
        case Accuracy.UPPER_BOUND:
            return f"at most {bounds.upper}{_why_bounded(statement)}"
        case Accuracy.LOWER_BOUND:
            return f"at least {bounds.lower}: {_why_unbounded(statement)}"
        case Accuracy.ESTIMATE:
            return f"about {bounds.estimate}, an estimate: {_why_estimated(statement)}"
        case _:
            return f"unknown: {_why_unbounded(statement)}"


def daily_series(
    cycle: Cycle, as_of_ms: int, counts: Sequence[int], known: int
) -> tuple[int | None, ...]:
    """Return the daily lower bounds of the days begun by ``as_of_ms``.

    Args:
        cycle: The cycle.
        as_of_ms: End of the time stated; the day that contains it is "so far".
        counts: Users proved active per day, for every day of the cycle.
        known: Word of the days that a successful poll of every source followed in time.
    """
    begun = min(cycle.days, -(-max(0, as_of_ms - cycle.start_ms) // DAY_MS))
    ended = (min(as_of_ms, cycle.end_ms) - cycle.start_ms) // DAY_MS
    return tuple(counts[day] if day >= ended or known >> day & 1 else None for day in range(begun))


def uncertainty_of(
    bounds: Bounds,
    properties: Sequence[Properties],
    domains: int,
    vanished: int = 0,
    *,
    numbers: bool = False,
    unheard: bool = False,
) -> tuple[Uncertainty, ...]:
    """Return why the upper bound exceeds the lower, for ``uncertainty`` of the report.

    Args:
        bounds: What is stated.
        properties: What the sources declare.
        domains: How many identity domains were counted apart.
        vanished: How many of those between the bounds had left the listing.
        numbers: The sources state numbers, and name nobody.
        unheard: A list without times may be one of everybody (``rolling``).
    """
    if bounds.accuracy not in {Accuracy.BOUNDED, Accuracy.UPPER_BOUND} or bounds.upper is None:
        return ()
    if numbers:
        reason = BARE_COUNTS
    elif not all(p.ids_stable for p in properties):
        reason = UNSTABLE_IDS
    elif domains > 1:
        reason = SEPARATE_IDENTITIES
    elif any(p.window is not None for p in properties):
        reason = NEVER_FORGETS if unheard else ROLLING_LIST
    elif properties and all(p.log for p in properties):
        reason = STRADDLING_EVENTS
    elif any(p.hidden_ms for p in properties):
        reason = HIDDEN_ACTIVITY
    else:
        reason = BOUNDARY_GAP
    users = bounds.upper - bounds.lower
    removed = min(vanished, users)
    parts = (Uncertainty(REMOVED_USERS, removed), Uncertainty(reason, users - removed))
    return tuple(each for each in parts if each.users)


def _why_estimated(statement: CycleStatement) -> str:
    by_number = UNPROVED_COUNTS in statement.unbounded
    return _WHY_UNBOUNDED[UNPROVED_COUNTS] if by_number else "nothing is proved"


def _why_bounded(statement: CycleStatement) -> str:
    """Return the reasons, behind a colon; nothing where none is told (another program's report)."""
    reasons = "; ".join(_why(each, statement.boundary_gap_ms) for each in statement.uncertainty)
    return f": {reasons}" if reasons else ""


def _why(uncertainty: Uncertainty, boundary_gap_ms: tuple[int, int] | None) -> str:
    """Return the sentence for one reason of an upper bound that exceeds the lower."""
    users = uncertainty.users
    people = "1 person" if users == 1 else f"{users} people"
    if uncertainty.reason == BOUNDARY_GAP:
        return _why_at_the_end(people, boundary_gap_ms)
    if uncertainty.reason not in _WHY_BOUNDED:
        return f"{uncertainty.reason}; this concerns {people}"  # another version's report says it
    were = "was" if users == 1 else "were"
    return _WHY_BOUNDED[uncertainty.reason].format(people=people, were=were)


def _why_at_the_end(people: str, boundary_gap_ms: tuple[int, int] | None) -> str:
    again = f"{people} signed in again since"
    if boundary_gap_ms is None:
        return f"their activity right before the cycle's end was overwritten; {again}"
    start, end = (
        datetime.fromtimestamp(ms // 1000, UTC).strftime("%H:%M") for ms in boundary_gap_ms
    )
    return f"nothing could be read between {start} and {end} around the cycle's end; {again}"


def _why_unbounded(statement: CycleStatement) -> str:
    doubts = [reason for reason in statement.unbounded if reason not in _WHY_UNBOUNDED]
    for reason, sentence in _WHY_UNBOUNDED.items():
        if reason in statement.unbounded:
            doubted = reason == NO_CLOSING_POLL and doubts
            return f"{sentence} ({', '.join(doubts)})" if doubted else sentence
    return ", ".join(doubts) or "nothing was proved"
