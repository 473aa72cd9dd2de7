"""A number held against what a list or log proves: two ways to look at the same cycle.

A number beside a list or log is never mixed into the statement. Where both are true of the same
people, their bounds meet. Where they do not, one of them counts somebody whom the other leaves out,
or a guarantee is false: that is said, and nothing is changed by it.
"""

from dataclasses import dataclass

from licenseusage.metering.bounds import Accuracy, Bounds
from licenseusage.metering.known import WindowCounts

_APART = 10
"""Estimates differ by chance; from a tenth on (and from `_FEW` people on) it is worth a word."""
_FEW = 5

_WHOM = (
    "Compare whom each of them counts (bots, service accounts, deactivated people, the collector), "
    "and correct what is declared of the one that is wrong. The statement rests on the list or log "
    "alone"
)


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """A disagreement of a number with the statement.

    Attributes:
        words: Both, and what to do; for people.
        proved: They cannot both be true; else an estimate is far away from what is proved.
    """

    words: str
    proved: bool


def cross_check(bounds: Bounds, source: str, tally: WindowCounts) -> CrossCheck | None:
    """Return how a number disagrees with what is stated of a cycle; None: it does not.

    Args:
        bounds: What is stated, from lists and logs alone.
        source: Name of the source that states the number.
        tally: What its samples prove of the same cycle.
    """
    if tally.conflict or bounds.accuracy is Accuracy.CONFLICT:
        return None
    proves = bounds.lower > 0 or bounds.upper is not None
    number: str | None = None
    proved = True
    if bounds.upper is not None and tally.lower > bounds.upper:
        number = f"at least {tally.lower}"
    elif tally.upper is not None and tally.upper < bounds.lower:
        number = f"at most {tally.upper}"
    elif proves and tally.estimate is not None and _far(bounds, tally.estimate):
        number, proved = f"about {tally.estimate}", False
    if number is None:
        return None
    return CrossCheck(
        f"source {source} states that {number} were active in the cycle, and {_stated(bounds)} "
        f"are proved. {_WHOM}",
        proved,
    )


def _far(bounds: Bounds, estimate: int) -> bool:
    nearest = max(
        bounds.lower, min(estimate, bounds.upper if bounds.upper is not None else estimate)
    )
    return abs(estimate - nearest) > max(_FEW, nearest // _APART)


def _stated(bounds: Bounds) -> str:
    if bounds.upper is None:
        return f"at least {bounds.lower}"
    if bounds.upper == bounds.lower:
        return str(bounds.lower)
    return f"{bounds.lower} to {bounds.upper}"
