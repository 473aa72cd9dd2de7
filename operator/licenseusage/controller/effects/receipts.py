"""UsageReceipts as the watch tells of them, and which of them wait for a document.

Nothing is asked for again and again: whoever makes a document, or opens the ledger, wakes those
that wait.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from licenseusage.controller.effects.watched import Watched
from licenseusage.controller.rules.key import Key, ReceiptsKey


def _nobody(key: ReceiptsKey) -> None:
    """Wake nobody: there is no queue."""


@dataclass(slots=True)
class Receipts:
    """What this process knows of UsageReceipts; losing it costs a repetition, never a fact.

    Attributes:
        nudge: Puts a UsageReceipt into the queue.
        watched: The objects, as the watch has told them.
    """

    nudge: Callable[[ReceiptsKey], None] = _nobody
    watched: Watched = field(default_factory=Watched)
    _known: set[Key] = field(default_factory=set)
    _waiting: dict[Key, frozenset[str]] = field(default_factory=dict)

    def looked(self, at: Key, waits_for: Collection[str]) -> None:
        """Note which documents (their ``jti``) an object that was looked at waits for."""
        self._known.add(at)
        if waits_for:
            self._waiting[at] = frozenset(waits_for)
        else:
            self._waiting.pop(at, None)

    def gone(self, at: Key) -> None:
        """Forget an object that does not exist any more."""
        self.watched.gone(at)
        self._known.discard(at)
        self._waiting.pop(at, None)

    def appeared(self, documents: Iterable[str]) -> None:
        """Wake the objects that wait for one of these documents (their ``jti``)."""
        if not self._waiting:
            return
        present = set(documents)
        for at, waits_for in self._waiting.items():
            if waits_for & present:
                self.nudge(ReceiptsKey(at))

    def wake(self) -> None:
        """Wake all of them: the ledger was opened, perhaps another one."""
        for at in self._known:
            self.nudge(ReceiptsKey(at))
