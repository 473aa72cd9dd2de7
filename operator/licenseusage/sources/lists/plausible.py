"""Which of the last activities of a listing can be one, and how exact they are (§3.10 c)."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.model import Users
from licenseusage.sources.definition.never import CLEARLY_MS, Never, before_creation
from licenseusage.sources.definition.timestamps import BadStampError, Reader
from licenseusage.sources.lists.columns import Columns
from licenseusage.sources.lists.steps import Steps


class Plausible:
    """Looks at the last activities of a listing, page by page.

    Attributes:
        stamped: Users with a last activity, whenever it was, that is not their creation.
        impossible: Users with a value there that no activity can have.
        created: Users whose last activity is their creation, as shown.
        steps: How coarse the times of those who may count are.
    """

    def __init__(self, users: Users, reader: Reader, oldest_ms: int) -> None:
        """Prepare; times before ``oldest_ms`` are not activity of any requested cycle."""
        self._stamp, self._reader, self._oldest_ms = users.last_active, reader, oldest_ms
        self._never = Never(users.last_active)
        tolerance_ms = users.created_at.tolerance_ms if users.created_at else 0
        self._clearly_ms = CLEARLY_MS + users.last_active.granularity_ms + tolerance_ms
        self.steps = Steps(users.last_active, reader)
        self._aside = Steps(users.last_active, reader)
        self.stamped = self.impossible = self.created = 0

    def take(self, columns: Columns) -> Columns:
        """Return the same rows with None for each last activity that cannot be one.

        One that is before the creation, and not before the cycles, is kept without being evidence:
        its creation is shown as the same time (MEASUREMENT §3.3), so that it stays possible.
        """
        given, stamps = columns.stamps, self._never.cleaned(columns.stamps)
        self.impossible += stamps.count(None) - given.count(None) - given.count("")
        created = columns.created
        if created is not None:
            created = self._after_creation(stamps, created)
            equal = sum(map(_equal, stamps, created))
            self.created += equal
            self.stamped -= equal
        self.stamped += len(stamps) - stamps.count(None)
        self.steps.add([stamp for stamp in stamps if stamp is not None])
        return replace(columns, stamps=stamps, created=created)

    def aside(self, columns: Columns) -> None:
        """Take rows that are excluded: only how coarse the times are is asked of them."""
        stamps = self._never.cleaned(columns.stamps)
        self._aside.add([stamp for stamp in stamps if stamp is not None])

    def coarsest(self) -> Steps:
        """Return the times that show how coarse all are: of those who may count, or of all rows.

        The product writes the times of excluded rows in the same way. So they can show that times
        are coarse where too few people are left to show it, but never that they are not.
        """
        whole = self.steps.together(self._aside)
        return max(self.steps, whole, key=Steps.found_ms)

    def _after_creation(self, stamps: list[Json], created: Sequence[Json]) -> list[Json]:
        """Remove stamps that are clearly before their creation; return the creations."""
        result = list(created)
        sort = self._stamp.format == "Auto"
        for position in before_creation(stamps, created, texts_sort=sort):
            with suppress(BadStampError):
                seen = self._reader.read(stamps[position])
                made = self._reader.read(created[position])
                if seen is None or made is None:
                    continue
                last_ms = seen.at_ms + seen.unsure_ms
                if last_ms + self._clearly_ms < made.at_ms:
                    self.impossible += 1
                    if last_ms < self._oldest_ms:
                        stamps[position] = None
                    else:
                        result[position] = stamps[position]
        return result


def _equal(stamp: Json, created: Json) -> bool:
    return stamp is not None and bool(stamp == created)
