"""The whole list in one answer."""

from dataclasses import dataclass

from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.paging import OnePage
from licenseusage.sources.http.asking import Ask, Head
from licenseusage.sources.lists.columns import Columns
from licenseusage.sources.lists.paging.totals import must_be_all


@dataclass(slots=True)
class WholeList:
    """A `Pager` of pagination type ``None``: its one page is the list."""

    pagination: OnePage
    ask: Ask | None = ()
    proves: bool = False
    note: str | None = None
    pages: int = 0
    sequence: bytes = b""
    _rows: int = 0

    def take(self, columns: Columns) -> Columns:
        """Count the rows."""
        self._rows += len(columns)
        return columns

    def end_page(self, values: dict[str, Json], _head: Head) -> None:
        """End the listing, if its total does not contradict it."""
        self.pages = 1
        must_be_all(self._rows, values, self.pagination.total, pages=1)
        self.ask, self.proves = None, True
