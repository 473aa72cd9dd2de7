"""Why the users of a list were counted or skipped, for ``source check``: by day, and by example."""

from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from licenseusage.metering.cycles import Cycle
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.reasons import Reason
from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.model import DAY_MS
from licenseusage.sources.definition.timestamps import BadStampError, Reader
from licenseusage.sources.seen import (
    COUNTED,
    MOST_EXAMPLES,
    NEVER,
    SHOWN_BYTES,
    Activities,
    Example,
    Listed,
)

_MOST_SILENT = 5
_SILENT_DAYS = 3
"""So many users are not all away for so many days by chance."""


class Explained:
    """Is shown each user of a list once, with the decision about it."""

    def __init__(
        self,
        cycle: Cycle,
        reader: Reader,
        pseudonymiser: Pseudonymiser,
        *,
        show_ids: bool,
        watch: bool = False,
    ) -> None:
        """Prepare.

        Args:
            cycle: Whose days are told apart.
            reader: Reads last activities.
            pseudonymiser: Of the cycle.
            show_ids: Examples are ids instead of pseudonyms.
            watch: Keep everybody.
        """
        self._watch, self._users, self._last = watch, bytearray(), array("q")
        self._cycle, self._reader, self._show_ids = cycle, reader, show_ids
        self._pseudonymiser = pseudonymiser
        days = -(-(cycle.end_ms - cycle.start_ms) // DAY_MS)
        self._days = [0] * days
        self._before = self._after = self._never = 0
        self._newest_ms: int | None = None
        self._examples: dict[str, list[Example]] = {}

    def aside(self, why: Reason, ids: Iterable[str]) -> None:
        """Take users that the source leaves out."""
        for user_id in ids:
            self._keep(why, user_id, None)

    def take(
        self,
        ids: Sequence[str],
        stamps: Sequence[Json],
        lately: Mapping[int, int],
        counted: Collection[int],
    ) -> None:
        """Take users with the decision about them.

        Args:
            ids: As they are compared.
            stamps: Their last activities, as shown; None: never.
            lately: Their last activities, ms since the epoch, by position; who is missing was
                active before the cycle or never.
            counted: Positions of those who count in the cycle.
        """
        start_ms, end_ms = self._cycle.start_ms, self._cycle.end_ms
        for position, (user_id, stamp) in enumerate(zip(ids, stamps, strict=True)):
            at_ms = lately.get(position)
            why: str = Reason.OUTSIDE_CYCLE
            if stamp is None:
                self._never += 1
                why = Reason.NEVER_ACTIVE
            elif at_ms is None or at_ms < start_ms:
                self._before += 1
                self._note_newest(stamp)
            elif at_ms >= end_ms:
                self._after += 1
            else:
                self._days[(at_ms - start_ms) // DAY_MS] += 1
                why = COUNTED if position in counted else Reason.ONLY_CREATED
            self._keep(why, user_id, stamp)
        self.list(ids, stamps)

    def list(self, ids: Sequence[str], stamps: Sequence[Json]) -> None:
        """Keep users, if everybody is wanted; ``stamps`` as of `take`."""
        if self._watch:
            self._users += b"".join(self._pseudonymiser.each(ids))
            times = map(self._read, stamps)
            self._last.extend(NEVER if at_ms is None else at_ms for at_ms in times)

    def standing_still(self, now_ms: int) -> str | None:
        """Return a sentence if nobody was active lately, though many were before.

        A directory that may no longer be written shows it like this: the times stay where they
        were.
        """
        lately = sum(self._days) + self._after
        if lately or self._before < _MOST_SILENT or self._newest_ms is None:
            return None
        days = (now_ms - self._newest_ms) // DAY_MS
        if days < _SILENT_DAYS:
            return None
        newest = datetime.fromtimestamp(self._newest_ms / 1000, UTC)
        return (
            f"{self._before} users have been active, but none of them since {newest:%Y-%m-%d}, "
            f"{days} days ago. If the product was used since, it no longer writes the time: a "
            "directory became read-only, or another program signs people in. Sign in as a person "
            "and check again; if nothing moves, let the product write it, or read its event log."
        )

    def _note_newest(self, stamp: Json) -> None:
        at_ms = self._read(stamp)
        if at_ms is not None and (self._newest_ms is None or at_ms > self._newest_ms):
            self._newest_ms = at_ms

    def listed(self) -> Listed | None:
        """Return everybody; None: not wanted."""
        return Listed(bytes(self._users), self._last.tobytes()) if self._watch else None

    def activities(self) -> Activities:
        """Return what was seen."""
        examples = {why: tuple(users) for why, users in sorted(self._examples.items())}
        days = tuple(self._days)
        return Activities(days, self._before, self._after, self._never, examples)

    def _keep(self, why: str, user_id: str, stamp: Json) -> None:
        """Keep one user as an example, if there are few for this reason."""
        examples = self._examples.setdefault(why, [])
        if len(examples) < MOST_EXAMPLES:
            examples.append(Example(self._shown(user_id), self._read(stamp)))

    def _read(self, stamp: Json) -> int | None:
        with suppress(BadStampError):
            instant = self._reader.read(stamp)
            return instant.at_ms if instant is not None else None
        return None

    def _shown(self, user_id: str) -> str:
        if self._show_ids:
            return user_id
        return self._pseudonymiser(user_id)[:SHOWN_BYTES].hex()
