"""Rows of a listing that may matter to one cycle, kept as columns and read again in portions.

As objects a million users take 150 MB; as columns 25. So facts are made of some users at a time:
those of a portion are alone in having certain first bytes, and no user is in two portions.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress, islice
from typing import Final, cast

from licenseusage.metering.facts import Row
from licenseusage.metering.packing import unpacked
from licenseusage.metering.pseudonym import SIZE

NO_CREATION: Final = -(1 << 62)
"""In the column of creation times: not known."""
PORTION: Final = 100_000
"""Rows of which facts are made at once, as far as pseudonyms are spread evenly."""


@dataclass(slots=True)
class Kept:
    """Parallel columns.

    Attributes:
        users: Pseudonyms, packed, in the order of the listing.
        values: Last activity, ms since the epoch.
        created: Creation times; empty where they are not read.
        unsure: By position, by how many ms a local time may be later; few have any.
        page_starts: Position of each page's first row.
    """

    users: bytearray = field(default_factory=bytearray)
    values: "array[int]" = field(default_factory=lambda: array("q"))
    created: "array[int]" = field(default_factory=lambda: array("q"))
    unsure: dict[int, int] = field(default_factory=dict)
    page_starts: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.values)

    def largest_page(self) -> range:
        """Return the positions of the page with the most rows."""
        ends = [*self.page_starts[1:], len(self)]
        pages = map(range, self.page_starts, ends)
        return max(pages, key=len, default=range(0))

    def portions(self, positions: range) -> list[Sequence[int]]:
        """Divide rows into portions, ascending by user; at least one."""
        count = 1
        while count < 256 and count * PORTION < len(positions):
            count *= 2
        if count == 1:
            return [positions]
        portions = [array("I") for _ in range(count)]
        for position in positions:
            portions[self.users[SIZE * position] * count // 256].append(position)
        return list(portions)

    def all(self) -> Iterator[Row]:
        """Yield all rows, in the order of the listing."""
        return self.rows(range(len(self)))

    def rows(self, positions: Sequence[int]) -> Iterator[Row]:
        """Yield rows."""
        columns = self._run(positions) if isinstance(positions, range) else self._some(positions)
        return cast("Iterator[Row]", columns)  # plain tuples: a third of the time

    def as_sure(self, positions: Sequence[int], unsure: int) -> Iterator[Row]:
        """Yield those rows whose time is unsure by so much."""
        rows = self.rows(positions)
        if not self.unsure:
            return rows
        return compress(rows, (self.unsure.get(index, 0) == unsure for index in positions))

    def _run(self, positions: range) -> Iterator[tuple[bytes, int, int | None]]:
        users = unpacked(self.users)
        columns = zip(users, self.values, self._creations(), strict=True)
        return islice(columns, positions.start, positions.stop)

    def _some(self, positions: Sequence[int]) -> Iterator[tuple[bytes, int, int | None]]:
        users, values, created = self.users, self.values, self.created
        for at in positions:
            made = created[at] if created else NO_CREATION
            user = bytes(users[SIZE * at : SIZE * (at + 1)])
            yield user, values[at], None if made == NO_CREATION else made

    def _creations(self) -> Iterator[int | None]:
        if not self.created:
            return iter([None] * len(self))
        return (None if created == NO_CREATION else created for created in self.created)
