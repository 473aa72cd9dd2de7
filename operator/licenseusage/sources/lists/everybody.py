"""Everybody listed, for a roster: all pseudonyms, and users whose time proves nothing.

Of a large product's users nearly all are such, and each costs 41 bytes here and in ``naming``. The
times of those who were active lately are kept elsewhere (``tally``).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress, repeat
from operator import eq

from licenseusage.metering.facts import Row
from licenseusage.metering.packing import unpacked
from licenseusage.metering.pseudonym import SIZE
from licenseusage.metering.roster import Listed
from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.lists.naming import Named, Naming

_NEVER, _EARLY, _LATER = 0, 1, 2


class Everybody:
    """Collects the users of one listing for one cycle."""

    __slots__ = ("_aside", "_kinds", "_naming", "_quiet")

    def __init__(self, naming: Naming) -> None:
        """Prepare for the cycle that a naming is for."""
        self._naming = naming
        self._kinds = bytearray()
        self._aside: list[bytes] = []
        self._quiet: list[bytes] = []

    def take(self, names: Sequence[str], stamps: Sequence[Json], later: Sequence[int]) -> bytes:
        """Take users in the order of the listing; return the pseudonyms of those in ``later``.

        They are packed, in this order.

        Args:
            names: Normalised ids.
            stamps: Last activity, as shown; nothing, an empty text or 0 is never.
            later: Positions of those whose last activity is not before the cycle's horizon.
        """
        users = self._naming.name(names)
        kinds = bytearray(map(bool, stamps))
        for position in later:
            kinds[position] = _LATER
        self._kinds += kinds
        if len(later) == len(names):
            return users
        return b"".join([users[position * SIZE : (position + 1) * SIZE] for position in later])

    def set_aside(self, lately: Iterable[bytes], others: Iterable[bytes]) -> None:
        """Take users who are excluded: those who may have been active lately, and the others."""
        self._aside.extend(lately)
        self._quiet.extend(others)

    def listed(self, early: Iterable[bytes], later: Iterable[Row]) -> Listed:
        """Return everybody: those taken as later are divided into these two."""
        before = chain(self._of(_EARLY), early)
        everybody = self.named().everybody
        return Listed(self._of(_NEVER), before, later, everybody, self._aside, self._quiet)

    def different(self) -> int:
        """Return how many different users there are."""
        return len(self.named().everybody) // SIZE

    def named(self) -> Named:
        """Return the memory of the list for the next poll."""
        return self._naming.named()

    def _of(self, kind: int) -> Iterator[bytes]:
        return compress(unpacked(self._naming.users), map(eq, self._kinds, repeat(kind)))
