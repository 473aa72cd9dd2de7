"""Pages that are asked for one after the other, and of which no two share a row."""

from abc import ABC, abstractmethod

from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.http.asking import Ask, Head
from licenseusage.sources.lists.columns import Columns
from licenseusage.sources.lists.paging.rows import Rows


class OnwardPager(ABC):
    """A `Pager` whose pages do not overlap: its types differ in the way to the next page."""

    def __init__(self, rows: Rows, first: Ask) -> None:
        """Ask for the first page."""
        self._rows = rows
        self.ask: Ask | None = first
        self.proves = False
        self.note: str | None = None

    @property
    def pages(self) -> int:
        """As of `Pager`."""
        return self._rows.pages

    @property
    def sequence(self) -> bytes:
        """As of `Pager`."""
        return self._rows.sequence

    def take(self, columns: Columns) -> Columns:
        """Check the order of the rows; all of them are new."""
        if len(columns):
            self._rows.add(columns)
            self._rows.follow(columns, columns)
        return columns

    def end_page(self, values: dict[str, Json], head: Head) -> None:
        """End the listing, or ask for the next page."""
        self._rows.end_page()
        self._rows.refuse_repeated()
        self.ask = self._onward(values, head)
        if self.ask is None:
            self.proves = self._complete()
        self._rows.begin_page()

    @abstractmethod
    def _onward(self, values: dict[str, Json], head: Head) -> Ask | None:
        """Return what the next page is asked for by, None after the last; raises as `Pager`."""

    def _complete(self) -> bool:
        """Whether the listing that has ended is complete by itself: no row moved between pages."""
        return self._rows.pages == 1
