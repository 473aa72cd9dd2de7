"""Which declared property a product's answers refute, and what a person is told (MEASUREMENT §2).

A refuted property carries nothing any more, until it is declared anew. What does not rest on it is
stated all the same: nothing here takes away a bound that is proved.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from licenseusage.metering.cycles import Cycle, Segment
from licenseusage.metering.facts import Facts
from licenseusage.metering.packing import unpacked
from licenseusage.metering.properties import SECOND_MS, Guarantee, Properties, Removal
from licenseusage.metering.roster import missing


@dataclass(frozen=True, slots=True)
class Refutation:
    """A declared property that a product's answers refuted; it carries nothing from then on.

    Attributes:
        source: Name of the source.
        guarantee: Which property.
        declaration: Digest of what was declared then.
        at_ms: When it was found; of several logs, when they were seen last.
        words: What was seen, and what to do, for people.
        lifted_ms: When it came to be a matter of the past; None: it stands.
    """

    source: str
    guarantee: Guarantee
    declaration: str
    at_ms: int
    words: str
    lifted_ms: int | None = None


def applies_to(refutation: Refutation, cycle: Cycle) -> bool:
    """Whether a refutation takes its guarantee away from what is proved of a cycle.

    One that is lifted applies to nothing, but for several logs: those whom only the other log knows
    were active before, and it is not known since when there are two. So it applies to each cycle
    that had begun by then.
    """
    if refutation.lifted_ms is None:
        return True
    until_ms = max(refutation.lifted_ms, refutation.at_ms + 1)
    return refutation.guarantee is Guarantee.ONE_LOG and cycle.start_ms < until_ms


def refuted_of(
    refutations: Iterable[Refutation], source: str, declaration: str | None
) -> tuple[Refutation, ...]:
    """Return what is refuted of one source's declaration; None: of any, the source is gone.

    Several logs are a matter of the product's pods, whatever is declared of them now.
    """
    return tuple(
        refutation
        for refutation in refutations
        if refutation.source == source
        and (
            declaration in {None, refutation.declaration}
            or refutation.guarantee is Guarantee.ONE_LOG
        )
    )


def believed(properties: Properties, against: Iterable[Refutation]) -> Properties:
    """Return the properties of a source without what was refuted of them.

    How many logs there are says nothing of a source that is none any more.
    """
    guarantees = frozenset(refutation.guarantee for refutation in against)
    if not properties.log:
        guarantees -= {Guarantee.ONE_LOG}
    return replace(properties, refuted=guarantees) if guarantees else properties


@dataclass(frozen=True, slots=True)
class Seen:
    """What the facts of one store say against its declared properties, in numbers.

    Attributes:
        ever: Users listed before by a complete poll.
        lost: How many of those, and of those with proof of activity, the newest one did not list.
        unlisted: Users with proof of activity who were in no complete poll, where the roster is
            whole.
        back: Users with proof of activity whom the newest closing poll lists with an earlier one,
            or none.
        late: Somebody had been proved inactive who is proved active.
        strange: A producer pushed that is not declared.
    """

    ever: int = 0
    lost: int = 0
    unlisted: int = 0
    back: int = 0
    late: bool = False
    strange: bool = False


WINDOW_WORDS = (
    "somebody was active, and left the list while the window that is declared still looked at it. "
    "Nothing of this list counts until what is declared changes. If the product's window is "
    "shorter, correct window; if users can be removed or hidden, declare removal: Unknown; if the "
    "answer was cut, or the account sees less, restore that and edit a guarantee"
)
"""Of a list without times: what was seen, and what to do."""

SEVERAL_LOGS_WORDS = (
    "pods that it selects each kept an event log of their own, so that none of these holds all "
    "events. No upper bound of this cycle, nor of any that begins before every selected pod, ready "
    "or not, has answered with the same log. Make a source for each pod, by a label that only it "
    "has (such as apps.kubernetes.io/pod-index), with combine: Union; or let the servers form one "
    "cluster"
)
"""Of an event log: what was seen, and what to do."""


def seen_in(cycle: Cycle | Segment, properties: Properties, facts: Facts) -> Seen:
    """Return what joined facts say, from facts in memory; the ledger does the same by SQL.

    The newest poll is held against those before it: who is gone for a while only is found while he
    is gone.
    """
    roster, sure = facts.roster, facts.sure.keys()
    if roster is None or not properties.ids_stable:
        return Seen(late=bool(facts.refuted))
    ever = set(unpacked(roster.start + roster.before))
    last = set(unpacked(roster.last))
    lost = ever - last
    if roster.open_at_ms is not None:
        lost |= sure - last
    gap_ms = properties.roster_gap_ms
    whole = missing(cycle.start_ms, roster.open_at_ms, roster.runs, gap_ms) is None
    listed = ever | last | set(unpacked(roster.open))
    ruled_out = sure & set(unpacked(roster.inactive))
    idle = set(unpacked(roster.idle))
    return Seen(
        ever=len(ever),
        lost=len(lost),
        unlisted=len(sure - listed) if whole else 0,
        back=len(ruled_out & idle),
        late=bool(facts.refuted or ruled_out - idle),
    )


def refuted_by(properties: Properties, seen: Seen) -> Mapping[Guarantee, str]:
    """Return the guarantees that are refuted, each with what was seen and what to do.

    Args:
        properties: As declared, and what of it is refuted already: that is not found again.
        seen: What the facts say.
    """
    if properties.window is not None:
        gone = seen.late and Guarantee.REMOVAL_NEVER not in properties.refuted
        return {Guarantee.REMOVAL_NEVER: WINDOW_WORDS} if gone else {}
    contradicted: dict[Guarantee, str] = {}
    if properties.removal is Removal.NEVER and not properties.log and seen.lost:
        contradicted[Guarantee.REMOVAL_NEVER] = lost_words(seen.lost, max(seen.ever, seen.lost))
    if properties.believed is Removal.LISTED_ONCE and seen.unlisted:
        contradicted[Guarantee.LISTED_ONCE] = (
            f"{_users(seen.unlisted)} active who {_was(seen.unlisted)} in no complete list; "
            "removal: ListedOnce says that there is nobody like that. Judged as Unknown: no upper "
            "bound. Poll more often, or declare that"
        )
    if seen.back or seen.late:
        contradicted[Guarantee.SHOWN] = _shown_words(properties, seen)
    if seen.strange:
        contradicted[Guarantee.PRODUCERS] = (
            "a producer pushed that push.producers does not name; its events count, and there may "
            "be more that nobody proved to be complete. No upper bound. Compare the CloudEvents "
            "attribute source of the product with push.producers, and name every producer"
        )
    return {
        guarantee: words
        for guarantee, words in contradicted.items()
        if guarantee not in properties.refuted
    }


def lost_words(lost: int, ever: int) -> str:
    """Return what is said of a list that lost somebody although it loses nobody."""
    return (
        f"the list lost {lost} of {ever} users; removal: Never says it loses nobody. Judged as "
        "ListedOnce. If users were deleted, declare that; if the account sees less, restore its "
        "rights; if ids can change, declare ids: Renamable"
    )


def _shown_words(properties: Properties, seen: Seen) -> str:
    promised = f"lagSeconds: {properties.lag_ms // SECOND_MS}"
    if properties.pushed:
        return (
            "an event came from a stretch of time of which its producer had said that everything "
            "was sent (completeThrough). No upper bound. Let a heartbeat name the time before "
            "which nothing waits, and give each process a source of its own; then edit "
            "push.producers or a guarantee, to have it believed anew"
        )
    if properties.log:
        return (
            f"an event came to light in a stretch of the log that had been read to its end; "
            f"{promised} says that this cannot be. No upper bound. Raise lagSeconds, or look for a "
            "clock that was set back"
        )
    if properties.hidden_ms:
        promised += f" and hiddenSeconds: {properties.hidden_ms // SECOND_MS} say"
    else:
        promised += " says"
    if not seen.back:
        return (
            f"activity came to be shown after the list had been read without it; {promised} that "
            "this cannot be. No upper bound. Raise lagSeconds"
        )
    return (
        f"{_users(seen.back)} active, and {_was(seen.back)} shown later with an earlier last "
        f"activity or none; {promised} that this cannot be. No upper bound. If the product was "
        "restored from a backup, edit a guarantee once that is over, to have it believed anew; "
        "else raise lagSeconds or hiddenSeconds"
    )


def _users(count: int) -> str:
    return "1 user was seen" if count == 1 else f"{count} users were seen"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"
