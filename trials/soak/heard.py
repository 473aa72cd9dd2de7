"""What one poll has read of a product, as the judge remembers it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from trials.soak.lies import Told
from trials.soak.people import Shown


@dataclass(slots=True)
class Heard:
    """One poll; times are true ones, in ms.

    Attributes:
        began_ms, ended_ms: Of the poll.
        rows: Of the last pass, in the order of the listing; those of an overlap once.
        stamps: Account -> every time that it was read with, by any pass; None: without one.
        whole: The operator takes it for complete.
    """

    began_ms: int
    ended_ms: int = 0
    rows: list[Shown] = field(default_factory=list)
    stamps: dict[int, set[int | None]] = field(default_factory=dict)
    whole: bool = False
    _answer: Told | None = None

    def page(self, rows: Sequence[Shown], answer: Told, *, begins: bool) -> None:
        """Take a page; ``begins``: it is the first one of a pass."""
        self.rows = [] if begins else self.rows
        overlaps = bool(rows and self.rows and rows[0].id == self.rows[-1].id)
        self.rows += rows[1:] if overlaps else rows
        for row in rows:
            self.stamps.setdefault(row.key, set()).add(row.stamp_ms)
        self._answer = answer

    @property
    def keys(self) -> frozenset[int]:
        """Accounts that the last pass has listed."""
        return frozenset(row.key for row in self.rows)

    @property
    def evident(self) -> bool:
        """The answer shows by itself that somebody may be missing, or that nothing is recorded."""
        answer = self._answer
        if answer is None or not self.rows:
            return False
        repeated = len({row.id for row in self.rows}) < len(self.rows)
        counting = any(not row.excluded for row in self.rows)
        return repeated or answer.cut or (answer.nobody and counting)
