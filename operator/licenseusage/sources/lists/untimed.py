"""The rows of a list without times: everybody listed was active in the window (MEASUREMENT §4)."""

from collections.abc import Iterable, Iterator, Sequence

from licenseusage.metering.facts import Facts
from licenseusage.metering.polled import Polled
from licenseusage.metering.rolling import rolling_facts
from licenseusage.sources.lists.columns import Columns
from licenseusage.sources.lists.tally import Tally


class UntimedTally(Tally):
    """Collects the rows of one listing; each row is a user who was active lately."""

    def add(self, columns: Columns) -> None:
        """Take items in the order of the listing.

        Raises:
            PollError: ``IdInvalid``; the rows before stand.
        """
        columns = self._with_ids(self._counted(columns))
        names = self._names(columns.ids)
        for everybody in self._everybody:
            if everybody is not None:
                everybody.take(names, [True] * len(names), ())
        if self.explained is not None:
            self.explained.list(names, columns.stamps)
        if self._show_ids:
            self.ids.extend(names)

    def lately(self) -> tuple[Iterable[bytes], Sequence[int]]:
        """Return nobody: when somebody was active is not said."""
        return (), ()

    def future(self, ended_ms: int, clock_skew_ms: int) -> tuple[int, int]:
        """Return that no row has a time."""
        return 0, 0

    def facts(
        self, *, started_ms: int, ended_ms: int, clock_skew_ms: int, complete: bool, one_page: bool
    ) -> Iterator[Facts]:
        """Yield the facts of each cycle; see `Tally.facts`.

        Where ids may be renamed between the pages, no page says who is on the others: then the list
        is not complete (``completeness.ids_may_be_renamed``), and names nobody.
        """
        properties = self._source.properties_given(ids_stable=self.ids_stable)
        polled = Polled.at(started_ms, ended_ms, clock_skew_ms, complete=complete)
        for request, everybody in zip(self._cycles, self._everybody, strict=True):
            if everybody is None or one_page:
                yield Facts()
            else:
                yield rolling_facts(request.part, properties, polled, everybody.listed((), ()))

    def _lately(self, columns: Columns) -> set[int]:
        return set(range(len(columns)))
