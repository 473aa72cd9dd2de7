"""What our own reports prove of a cycle, where the facts behind them were lost with a ledger.

A report that was signed is evidence: its lower bound stays true for all later times of its cycle.
So the statements of a restored ledger never fall behind what was reported.
"""

import json
from dataclasses import dataclass, replace

from licenseusage.metering.bounds import Accuracy, Bounds
from licenseusage.metering.statement import GUARANTEE_REFUTED, CycleStatement, Uncertainty


@dataclass(frozen=True, slots=True)
class Proved:
    """What reports prove of a cycle.

    Attributes:
        as_of_ms: Until when they looked.
        lower: Users who were active in the cycle until then, at least.
        daily: The same for each day, from the first; None: not known.
    """

    as_of_ms: int
    lower: int
    daily: tuple[int | None, ...] = ()

    def joined(self, other: "Proved") -> "Proved":
        """Return what both prove together."""
        days = max(len(self.daily), len(other.daily))
        return Proved(
            max(self.as_of_ms, other.as_of_ms),
            max(self.lower, other.lower),
            tuple(_most(_at(self.daily, day), _at(other.daily, day)) for day in range(days)),
        )

    def dump(self) -> str:
        """Return it as JSON text."""
        return json.dumps([self.as_of_ms, self.lower, list(self.daily)])

    @classmethod
    def load(cls, text: str) -> "Proved":
        """Read what `dump` wrote."""
        as_of_ms, lower, daily = json.loads(text)
        return cls(as_of_ms, lower, tuple(daily))


def proved_by(statement: CycleStatement) -> Proved:
    """Return what a statement that was reported proves; an estimate or a conflict: no number."""
    low = 0 if statement.bounds.active_users is None else statement.bounds.lower
    return Proved(statement.as_of_ms, low, statement.daily)


def raised(statement: CycleStatement, proved: Proved) -> CycleStatement:
    """Return a statement of the same cycle that says no less than what was proved by reports.

    Where the lists leave fewer people possible than were proved active, a declared guarantee is
    false: what was reported stands, and there is no upper bound.

    Args:
        statement: From the facts held; as of no earlier time than the reports.
        proved: By the reports.
    """
    before = statement.bounds
    bounds = replace(before, lower=max(before.lower, proved.lower))
    daily = tuple(_most(known, _at(proved.daily, day)) for day, known in enumerate(statement.daily))
    if proved.lower and bounds.accuracy is Accuracy.CONFLICT:
        return replace(
            statement,
            bounds=Bounds(proved.lower, None),
            daily=daily,
            uncertainty=(),
            unbounded=(GUARANTEE_REFUTED,),
            refuted=statement.refuted or (_FEWER,),
        )
    uncertainty = statement.uncertainty if bounds == before else _fitted(statement, bounds)
    return replace(statement, bounds=bounds, daily=daily, uncertainty=uncertainty)


_FEWER = (
    "more people were reported, before the ledger was lost, than the product now leaves possible, "
    "so removal or ids is not what is declared"
)


def _fitted(statement: CycleStatement, bounds: Bounds) -> tuple[Uncertainty, ...]:
    """Return the reasons for what is still between the bounds; the first ones stand."""
    left = 0 if bounds.upper is None else max(0, bounds.upper - bounds.lower)
    fitted = []
    for part in statement.uncertainty:
        users = min(part.users, left)
        left -= users
        if users:
            fitted.append(Uncertainty(part.reason, users))
    return tuple(fitted)


def _at(daily: tuple[int | None, ...], day: int) -> int | None:
    return daily[day] if day < len(daily) else None


def _most(a: int | None, b: int | None) -> int | None:
    return max((known for known in (a, b) if known is not None), default=None)
