"""The users that one store proves in one window, and how several stores are combined.

Stores of every kind come down to one of two forms. ``Known`` is about users that can be told apart,
so that stores of one identity domain are united or intersected user by user. ``WindowCounts`` are
numbers only: bare counts, ids that may be renamed, and what became of a whole identity domain
(MEASUREMENT §5, §7).
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from enum import StrEnum

from licenseusage.metering.bounds import Bounds


@dataclass(frozen=True, slots=True)
class Known:
    """The knowledge about the users of one store, in one window.

    Attributes:
        sure: Users with proof of activity that rests on no refuted property.
        possible: Every user with an activity in the window is in here; None where no proof range
            covers the window.
        vanished: Users of ``possible`` who had left the listing before it could rule them out.
        doubted: Users whom this store no longer lets count, because a property is refuted: another
            observer's proof of their activity may be about somebody who counts already.
        conflict: A declared property is refuted, and it is not known what rests on it.
    """

    sure: Set[bytes]
    possible: Set[bytes] | None = None
    vanished: Set[bytes] = frozenset()
    doubted: Set[bytes] = frozenset()
    conflict: bool = False

    @property
    def refuted(self) -> bool:
        """Whether a declared property is false: somebody with proof of activity is ruled out."""
        return self.conflict or (self.possible is not None and not self.sure <= self.possible)


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """Counts of one window over users who can be compared among themselves only.

    Attributes:
        lower: Distinct users with proof of activity.
        upper: Distinct users not ruled out; None where a proof range is missing.
        conflict: A declared property is refuted.
        vanished: How many of those between the bounds had left the listing.
        estimate: A number that proves nothing, where there is one.
    """

    lower: int
    upper: int | None
    conflict: bool = False
    vanished: int = 0
    estimate: int | None = None


class Overlap(StrEnum):
    """The knowledge about people who are counted in several tallies.

    ``UNKNOWN``: nothing; the same person may be in each, or in one. ``DISJOINT``: nobody is in two
    (shards). ``SAME``: all are about the same people.
    """

    UNKNOWN = "Unknown"
    DISJOINT = "Disjoint"
    SAME = "Same"


def united(stores: Sequence[Known]) -> Known:
    """Return the union of separate stores; each of them needs its own proof range."""
    possible: set[bytes] | None = set()
    for store in stores:
        if possible is None or store.possible is None:
            possible = None
        else:
            possible |= store.possible
    return Known(
        sure=frozenset().union(*(store.sure for store in stores)),
        possible=possible if stores else None,
        vanished=frozenset().union(*(store.vanished for store in stores)),
        doubted=frozenset().union(*(store.doubted for store in stores)),
        conflict=any(store.refuted for store in stores),
    )


def intersected(stores: Sequence[Known], *, whole: bool = True) -> Known:
    """Return the intersection of observers of the same activity: each can rule people out.

    Somebody sure in one whom another rules out refutes that they observe the same activity, or that
    ids stay: then nobody rules anybody out, and he may not count in the cycle (MEASUREMENT §2).

    Args:
        stores: What each of them knows.
        whole: The window is the cycle.
    """
    seen = frozenset[bytes]().union(*(store.sure for store in stores))
    sure = seen.difference(*(store.doubted for store in stores))
    ruling = [store.possible for store in stores if store.possible is not None]
    possible = frozenset(ruling[0]).intersection(*ruling[1:]) if ruling else None
    conflict = any(store.refuted for store in stores)
    if possible is not None and not sure <= possible:
        return Known(sure & possible if whole else sure, conflict=conflict)
    vanished = frozenset[bytes]().union(*(store.vanished for store in stores))
    return Known(sure, possible, vanished & (possible or frozenset()), conflict=conflict)


def tallied(known: Known) -> WindowCounts:
    """Return the counts of one identity domain."""
    upper = None if known.possible is None else len(known.possible)
    vanished = len(known.vanished - known.sure) if upper is not None else 0
    return WindowCounts(len(known.sure), upper, known.refuted, vanished)


def across(tallies: Sequence[WindowCounts], overlap: Overlap = Overlap.UNKNOWN) -> WindowCounts:
    """Return the counts of several tallies together (MEASUREMENT §5, §7).

    Overlap unknown: the greatest lower bound and the sum of the upper. Disjoint: the sums; one
    without an upper bound removes that of all. Same: the greatest lower and the least upper bound.
    """
    if not tallies:
        return WindowCounts(0, None)
    lowers = [tally.lower for tally in tallies]
    uppers = [tally.upper for tally in tallies if tally.upper is not None]
    guesses = [tally.estimate for tally in tallies if tally.estimate is not None]
    upper: int | None
    estimate: int | None
    if overlap is Overlap.SAME:
        upper = min(uppers, default=None)
        estimate = max(guesses, default=None)
    else:
        upper = sum(uppers) if len(uppers) == len(tallies) else None
        additive = overlap is Overlap.DISJOINT or len(tallies) == 1
        estimate = sum(guesses) if additive and len(guesses) == len(tallies) else None
    lower = sum(lowers) if overlap is Overlap.DISJOINT else max(lowers)
    return WindowCounts(
        lower=lower,
        upper=upper,
        conflict=any(tally.conflict for tally in tallies) or (upper is not None and upper < lower),
        vanished=sum(tally.vanished for tally in tallies) if upper is not None else 0,
        estimate=estimate,
    )


def bounds_of(tally: WindowCounts) -> Bounds:
    """Return the bounds that a tally states."""
    return Bounds(tally.lower, tally.upper, tally.estimate, tally.conflict)
