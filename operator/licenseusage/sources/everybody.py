"""Everybody listed, for a roster: pseudonyms of those whose time says nothing of the cycle.

Of a large product's users nearly all are such, and each costs 16 bytes here. Those who were active
lately are kept with their times elsewhere (``tally``).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from licenseusage.metering.facts import Row
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.metering.roster import Listed, unpacked
from licenseusage.sources.expressions import Json


class Everybody:
    """Collects the users of one listing for one cycle."""

    __slots__ = ("_early", "_never", "_pseudonym")

    def __init__(self, pseudonymiser: Pseudonymiser) -> None:
        """Prepare for the cycle of a pseudonymiser."""
        self._pseudonym = pseudonymiser
        self._never = bytearray()
        self._early = bytearray()

    def add_never(self, names: Iterable[str]) -> None:
        """Take users without a last activity."""
        self._never += b"".join(map(self._pseudonym, names))

    def add_early(self, names: Iterable[str]) -> None:
        """Take users whose last activity is before the cycle's horizon."""
        self._early += b"".join(map(self._pseudonym, names))

    def listed(self, later: Iterable[Row]) -> Listed:
        """Return everybody, with those active lately."""
        return Listed(_each(self._never), _each(self._early), later)


def split(
    ids: Sequence[Json], stamps: Sequence[Json], lately: Sequence[int], name: Callable[[Json], str]
) -> tuple[list[str], list[str]]:
    """Return the names of those who were never active, and of those who were long ago.

    Args:
        ids: As shown.
        stamps: Last activity, as shown.
        lately: Positions of the others, who were active lately.
        name: Makes a normalised id of one as shown.
    """
    recent = set(lately)
    never: list[str] = []
    early: list[str] = []
    for position, (shown, stamp) in enumerate(zip(ids, stamps, strict=True)):
        if position not in recent:
            (early if stamp else never).append(name(shown))
    return never, early


def _each(users: bytearray) -> Iterator[bytes]:
    return unpacked(bytes(users))
