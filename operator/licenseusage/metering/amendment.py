"""Whether later evidence amends a statement or contradicts it: a pure decision.

Facts are kept for some cycles after the final. What they prove by then either says no more than
what was stated, or less is possible than was stated (an amendment), or it lies outside of what was
stated: then a declared property is false, and the statement stands until a person has judged it
(MEASUREMENT §0, §2, §8).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from licenseusage.metering.bounds import Accuracy, Bounds
from licenseusage.metering.cycles import DAY_MS
from licenseusage.metering.properties import Properties, Removal
from licenseusage.metering.statement import UNLISTED_USERS, CycleStatement
from licenseusage.reasons import Reason

NEW_EVIDENCE = Reason.NEW_EVIDENCE
"""The reason of an amendment (REPORT_FORMAT §6 rule 3)."""

REST_MS = DAY_MS
"""Evidence may trickle in: at most one amendment of a cycle in this time, unless asked for."""


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Less is possible than was stated: an amendment says so.

    Attributes:
        statement: What is stated now; what is not about the cycle's users is as it was.
        words: Both statements, for people.
    """

    statement: CycleStatement
    words: str


@dataclass(frozen=True, slots=True)
class Refuted:
    """The evidence lies outside the stated bounds: a declared property is false.

    Attributes:
        statement: What the evidence says, naming the property in ``refuted``.
        words: Both statements and the property, for people.
    """

    statement: CycleStatement
    words: str


def judge(
    stated: CycleStatement, derived: CycleStatement, declared: Mapping[str, Properties]
) -> Narrowed | Refuted | None:
    """Compare the statement about a cycle with the bounds that its facts prove now.

    Args:
        stated: The statement in force: of the final, or of the last amendment.
        derived: The same cycle's statement from all facts held now, as of its end.
        declared: Source -> what it declares; the same as when the statement was made.

    Returns:
        None: nothing is to be said. What was stated as unknown because of a conflict stays so.
    """
    if stated.bounds.accuracy is Accuracy.CONFLICT:
        return None
    (low, high), (new_low, new_high) = interval(stated.bounds), interval(derived.bounds)
    conflict = derived.bounds.accuracy is Accuracy.CONFLICT
    if conflict or new_low > high or new_high < low:
        refuted = _refuted(stated, derived, declared)
        return Refuted(replace(derived, refuted=refuted), _contradiction(stated, derived, refuted))
    if not narrows(stated.bounds, derived.bounds):
        return None
    statement = replace(derived, provisioned=stated.provisioned)
    words = f"{stated.active_text} before, {statement.active_text} now"
    return Narrowed(statement, f"{words}: {statement.words}" if _explains(statement) else words)


def narrows(stated: Bounds, derived: Bounds) -> bool:
    """Whether less is possible than was stated, and nothing that was impossible (§6 rule 3)."""
    (low, high), (new_low, new_high) = interval(stated), interval(derived)
    inside = low <= new_low <= new_high <= high
    return inside and (low, high) != (new_low, new_high)


def due_ms(amended_ms: int | None, now_ms: int, *, asked: bool) -> int:
    """Return when a cycle may be amended (again); at or before ``now_ms``: now.

    Args:
        amended_ms: When it was amended last; None: never, and the first may be at once.
        now_ms: The time.
        asked: An administrator asks to look now.
    """
    if amended_ms is None or asked or now_ms < amended_ms:
        return now_ms
    return amended_ms + REST_MS


def interval(bounds: Bounds) -> tuple[float, float]:
    """Return the stated interval of the true count; an estimate or a conflict bounds nothing."""
    if bounds.accuracy in {Accuracy.ESTIMATE, Accuracy.CONFLICT}:
        return 0, inf
    return bounds.lower, inf if bounds.upper is None else bounds.upper


def _explains(statement: CycleStatement) -> bool:
    """Whether the words of a statement say more than its number."""
    return statement.words != statement.active_text


def _contradiction(stated: CycleStatement, derived: CycleStatement, refuted: Sequence[str]) -> str:
    proved = "the facts contradict each other"
    if derived.bounds.lower > interval(stated.bounds)[1]:
        proved = f"at least {derived.bounds.lower} were active"
    named = "; ".join(refuted)
    return f"{stated.active_text} was stated, and by what is known now {proved}: {named}"


def _refuted(
    stated: CycleStatement, derived: CycleStatement, declared: Mapping[str, Properties]
) -> tuple[str, ...]:
    """Return which declared property is false, from the rule that had made the bound.

    An upper bound came from the closing poll, which began when everything was to be shown: what
    came to be shown later refutes the lag (or the time zone). With a roster it came from everybody
    ever listed: somebody active who was in no complete list refutes that. Where the upper bound is
    new, the facts name what it contradicts.
    """
    shown_late = stated.bounds.upper is not None and derived.bounds.lower > stated.bounds.lower
    if not shown_late:
        unnamed = (
            f"{_named(declared)}: fewer are possible now than were proved active, so removal or "
            f"ids is not what is declared",
        )
        return derived.refuted or unnamed
    if UNLISTED_USERS in derived.unbounded:
        listed = [n for n, p in declared.items() if p.removal is Removal.LISTED_ONCE]
        return (
            f"{_named(listed or declared)}: somebody was active who was in no complete list, so "
            f"removal: ListedOnce is false (Unknown promises nothing)",
        )
    lags = sorted({each.lag_ms // 1000 for each in declared.values()})
    return (
        f"{_named(declared)}: activity came to be shown after the poll that closed the cycle, so "
        f"lagSeconds: {', '.join(map(str, lags))} is too short, or the product's times are not in "
        f"the zone that is declared",
    )


def _named(sources: Iterable[str]) -> str:
    names = list(sources)
    return f"source{'s' if len(names) > 1 else ''} {', '.join(names)}"
