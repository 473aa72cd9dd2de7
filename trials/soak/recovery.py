"""Backups of a ledger, restores of old ones, and what people do then, by the documented commands.

A restored ledger is an earlier state of the truth: the judge remembers with each backup what he had
seen until then, and holds the ledger against that from the restore on.
"""

import random
import shutil
import sqlite3
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from licenseusage.errors import Stalled
from licenseusage.ledger.upkeep.merging import merge_ledgers
from licenseusage.ledger.upkeep.snapshot import backup, restore
from trials.soak.books import Books
from trials.soak.checks import Checker, Seen
from trials.soak.draws import span
from trials.soak.people import near
from trials.soak.plan import Event, Plan
from trials.soak.tally import Tally


@dataclass(frozen=True, slots=True)
class Kept:
    """A file beside the ledger, and what its polls had found.

    Attributes:
        path: A backup, or a ledger that was replaced.
        seen: What the judge had seen of it.
    """

    path: Path
    seen: Seen


class Recovery:
    """Backups and replaced ledgers of one history."""

    def __init__(self, folder: Path, checker: Checker, tally: Tally) -> None:
        """Keep files in ``folder``."""
        self._folder, self._checker, self._tally = folder, checker, tally
        self._backups: list[Kept] = []
        self._replaced: list[Kept] = []

    @property
    def possible(self) -> bool:
        """Whether there is a backup."""
        return bool(self._backups)

    @property
    def mergeable(self) -> bool:
        """Whether a ledger that was replaced is still there, to be merged before all else."""
        return bool(self._replaced)

    def back_up(self, path: Path) -> None:
        """Copy the ledger while its operator writes it."""
        target = self._folder / f"backup-{self._tally.notes['backups']}.db"
        backup(path, target)
        self._backups.append(Kept(target, self._checker.seen()))
        self._tally.notes["backups"] += 1

    def restore(self, share: float, path: Path, now_ms: int) -> None:
        """Put a backup in the place of a ledger that no process uses.

        Args:
            share: Which backup, from 0 (the oldest) to 1.
            path: The ledger.
            now_ms: The time.
        """
        chosen = self._backups[min(int(share * len(self._backups)), len(self._backups) - 1)]
        done = restore(chosen.path, path, now_ms=now_ms)
        self._tally.notes["ledgers restored"] += 1
        self._tally.notes["chains stopped by a restore"] += len(done.moved_on)
        if done.aside is not None:
            target = self._folder / f"replaced-{self._tally.notes['ledgers restored']}.db"
            for suffix in ("", "-wal"):
                file = done.aside.with_name(done.aside.name + suffix)
                if file.exists():
                    shutil.move(file, target.with_name(target.name + suffix))
            self._replaced.append(Kept(target, self._checker.seen()))
        self._checker.restored(chosen.seen)

    def forfeit(self, share: float, path: Path, now_ms: int, shown: Collection[str]) -> None:
        """Put a backup in the place of a ledger that is lost.

        Args:
            share: Which backup, as for `restore`.
            path: The ledger.
            now_ms: The time.
            shown: Tokens that objects show.
        """
        newest = self._checker.heads()
        self.restore(share, path, now_ms)
        self._tally.notes["ledgers restored whose successor is lost"] += 1
        self._forget({*shown, *newest})

    def lose(self, path: Path, shown: Collection[str]) -> None:
        """Lose the ledger, and all that is kept beside it; ``shown``: tokens that objects show."""
        for suffix in ("", "-wal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        self._tally.notes["ledgers lost"] += 1
        self._checker.restored(Seen({}, {}, {}, {}, {}, Books()))
        self._forget(shown)

    def _forget(self, shown: Collection[str]) -> None:
        """Nobody has a file any more that knows what is given up."""
        self._backups, self._replaced = [], []
        self._checker.given_up(shown)

    def merge(self, path: Path, now_ms: int) -> None:
        """Merge every ledger that was replaced into the one that no process uses."""
        replaced, self._replaced = self._replaced, []
        for kept in replaced:
            if _meters(kept.path) != _meters(path):
                self._tally.notes["merges of other meters"] += 1
            try:
                done = merge_ledgers(kept.path, path, now_ms=now_ms)
            except Stalled as refused:
                if "restore the other one in its place" not in refused.message:
                    raise
                self._put_back(kept, path, now_ms)
                continue
            self._tally.notes["ledgers merged"] += 1
            self._tally.notes["documents merged"] += done.documents
            self._tally.notes["chains resumed by a merge"] += done.resumed
            self._checker.merged(kept.seen)

    def _put_back(self, kept: Kept, path: Path, now_ms: int) -> None:
        """Go on with the ledger that was replaced: the backup has counted on by other terms."""
        restore(kept.path, path, now_ms=now_ms)
        self._tally.notes["ledgers put back, since the terms differ"] += 1
        self._checker.restored(kept.seen)

    def stopped(self, path: Path) -> list[str]:
        """Return the chains that are stopped in a ledger.

        A key chain keeps the mark that reports of its subscription were lost; nothing stops by it
        but chains of reports that begin.
        """
        query = (
            "select id from chains where stopped is not null "
            "and not (key_chain_id is null and stopped = 'LocalHistoryLost')"
        )
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            rows = connection.execute(query)
            return [chain for (chain,) in rows]


def draw_recoveries(random_: random.Random, plan: Plan, length_ms: int) -> list[Event]:
    """Draw backups and restores, where no product lies.

    What a lying product may be asked for depends on what was heard of it, which a restore forgets.
    """
    if any(usage.lies for usage in plan.usages) or random_.random() < 0.2:
        return []
    ends = sorted({boundary for usage in plan.usages for boundary in usage.boundaries})
    events = []
    for _ in range(random_.randint(2, 6)):
        at_ms = _moment(random_, plan, ends, length_ms)
        events.append(Event(at_ms, "back_up"))
    for _ in range(random_.choice((1, 2, 3))):
        at_ms = _moment(random_, plan, ends, length_ms)
        events.append(Event(at_ms, "restore", value=random_.random()))
        if random_.random() < 0.5:
            later_ms = random_.choice((1, span(random_, length_ms)))
            events.append(Event(at_ms + later_ms, "merge"))
    return [event for event in events if plan.start_ms <= event.at_ms < plan.end_ms]


def _moment(random_: random.Random, plan: Plan, ends: list[int], length_ms: int) -> int:
    around = near(random_, ends, length_ms // 4)
    return random_.choice((around, random_.randrange(plan.start_ms, plan.end_ms)))


def _meters(path: Path) -> dict[int, tuple[str, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        rows = connection.execute("select id, namespace, name, product from meters")
        return {number: tuple(key) for number, *key in rows}
