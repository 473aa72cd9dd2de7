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
        at_ms: When it was found.
        words: What was seen, and what to do, for people.
    """

    source: str
    guarantee: Guarantee
    declaration: str
    at_ms: int
    words: str


def refuted_of(
    refutations: Iterable[Refutation], source: str, declaration: str | None
) -> tuple[Refutation, ...]:
    """Return what stands refuted of one source's declaration; None: of any, the source is gone."""
    return tuple(
        refutation
        for refutation in refutations
        if refutation.source == source and declaration in {None, refutation.declaration}
    )


def believed(properties: Properties, against: Iterable[Refutation]) -> Properties:
    """Return the properties of a source without what was refuted of them."""
    guarantees = frozenset(refutation.guarantee for refutation in against)
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
    """

    ever: int = 0
    lost: int = 0
    unlisted: int = 0
    back: int = 0
    late: bool = False


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
