"""What was simulated, counted."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Counts of one history, or of many.

    Attributes:
        histories: Histories that ended without a violation.
        cycles: Cycles that ended in them and whose final was judged, by accuracy class.
        statements: Statements compared with the truth, by kind and class.
        polls: Polls by outcome.
        faults: Faults injected, by kind.
        lies: Polls to which a product lied, by kind.
        boundaries: Effect boundaries that processes passed, by name.
        kills: Processes killed, by the boundary they were at.
        documents: Documents at the receiver, by kind.
        notes: Anything else worth counting.
    """

    histories: int = 0
    cycles: Counter[str] = field(default_factory=Counter)
    statements: Counter[str] = field(default_factory=Counter)
    polls: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    lies: Counter[str] = field(default_factory=Counter)
    boundaries: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    documents: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Add another's counts."""
        self.histories += other.histories
        for name, counts in self.counters().items():
            counts.update(other.counters()[name])

    def counters(self) -> dict[str, Counter[str]]:
        """The counters by name."""
        return {
            "cycles": self.cycles,
            "statements": self.statements,
            "polls": self.polls,
            "faults": self.faults,
            "lies": self.lies,
            "boundaries": self.boundaries,
            "kills": self.kills,
            "documents": self.documents,
            "notes": self.notes,
        }

    @property
    def spared(self) -> list[str]:
        """Boundaries at which no process was ever killed."""
        return sorted(self.boundaries.keys() - self.kills.keys())

    def as_json(self) -> dict[str, object]:
        """All counts, sorted by name."""
        counts = {name: dict(sorted(c.items())) for name, c in self.counters().items()}
        return {"histories": self.histories, **counts, "neverKilledAt": self.spared}
