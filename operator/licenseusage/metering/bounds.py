"""The bounds of a window: a lower one, perhaps an upper one, and the class that follows.

The class is a pure function of the bounds and is never stored as a fact (MEASUREMENT §2).
"""

from dataclasses import dataclass
from enum import StrEnum


class Accuracy(StrEnum):
    """How the two numbers of a statement are to be read."""

    EXACT = "Exact"
    BOUNDED = "Bounded"
    LOWER_BOUND = "LowerBound"
    UPPER_BOUND = "UpperBound"
    ESTIMATE = "Estimate"
    UNKNOWN = "Unknown"
    CONFLICT = "Conflict"


@dataclass(frozen=True, slots=True)
class Bounds:
    """``lower <= truth <= upper`` for the number of distinct active users of a window.

    Attributes:
        lower: Users with proof of activity.
        upper: Users not ruled out, or None where no proof range covers the window.
        estimate: A number that proves nothing, where there is one.
        conflict: A user with proof of activity was proved inactive: a declared property is false,
            and no bound may be stated.
    """

    lower: int
    upper: int | None
    estimate: int | None = None
    conflict: bool = False

    @property
    def accuracy(self) -> Accuracy:
        """The class. Zero is stated only as Exact 0; without any proof it is Unknown, never 0."""
        if self.conflict or (self.upper is not None and self.upper < self.lower):
            return Accuracy.CONFLICT
        if self.upper == self.lower:
            return Accuracy.EXACT
        if self.upper is not None:
            return Accuracy.BOUNDED if self.lower else Accuracy.UPPER_BOUND
        if self.lower:
            return Accuracy.LOWER_BOUND
        return Accuracy.UNKNOWN if self.estimate is None else Accuracy.ESTIMATE

    @property
    def stated(self) -> Accuracy:
        """The class as status and report state it: a conflict is Unknown there, with its reason."""
        accuracy = self.accuracy
        return Accuracy.UNKNOWN if accuracy is Accuracy.CONFLICT else accuracy

    @property
    def active_users(self) -> int | None:
        """``activeUsers`` of status and report; None for UpperBound and Unknown."""
        match self.stated:
            case Accuracy.EXACT | Accuracy.BOUNDED | Accuracy.LOWER_BOUND:
                return self.lower
            case Accuracy.ESTIMATE:
                return self.estimate
            case _:
                return None

    @property
    def active_users_upper_bound(self) -> int | None:
        """``activeUsersUpperBound`` of status and report."""
        match self.stated:
            case Accuracy.EXACT | Accuracy.BOUNDED | Accuracy.UPPER_BOUND:
                return self.upper
            case _:
                return None

    def so_far(self) -> "Bounds":
        """The bounds while the window still runs: only the lower one (MEASUREMENT §0)."""
        return Bounds(self.lower, None, self.estimate, self.conflict)
