"""The whole list in one answer."""

from dataclasses import dataclass

from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.model import OnePage, Pair
from licenseusage.sources.lists.columns import Columns
from licenseusage.sources.lists.paging.totals import must_be_all


@dataclass(slots=True)
class WholeList:
    """A `Pager` of pagination type ``None``: its one page is the list."""

    pagination: OnePage
    query: tuple[Pair, ...] | None = ()
    proves: bool = False
    pages: int = 0
    sequence: bytes = b""
    _rows: int = 0

    def take(self, columns: Columns) -> Columns:
        """Count the rows."""
        self._rows += len(columns)
        return columns

    def end_page(self, values: dict[str, Json]) -> None:
        """End the listing, if its total does not contradict it."""
        self.pages = 1
        must_be_all(self._rows, values, self.pagination.total, pages=1)
        self.query, self.proves = None, True
