"""Pages by their number."""

from licenseusage.reasons import Reason
from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.guarantees import Order
from licenseusage.sources.definition.paging import Numbered, Pair
from licenseusage.sources.definition.timestamps import Reader
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.asking import Ask, Head
from licenseusage.sources.lists.paging.onward import OnwardPager
from licenseusage.sources.lists.paging.rows import Rows
from licenseusage.sources.lists.paging.totals import fewer, too_many, total_of

PAGES_FROM_1 = "If the product counts its pages from 1, set http.pagination.first to 1."
PAGES_FROM_0 = "If the product counts its pages from 0, set http.pagination.first to 0."
LAST_AGAIN = (
    "If the product gives its last page again instead of an empty one, declare "
    "http.pagination.total."
)


class NumberedPager(OnwardPager):
    """A `Pager` of pagination type ``Page``."""

    def __init__(self, pagination: Numbered, order: Order, reader: Reader) -> None:
        """Ask for the first page."""
        self._pagination = pagination
        self._number = pagination.first
        self._most = 0  # rows of the longest page
        names = filter(None, (pagination.page_param, pagination.size_param))
        rows = Rows(order, reader, " and ".join(names), advice=_if_repeated(pagination))
        super().__init__(rows, self._query())

    def _onward(self, values: dict[str, Json], _head: Head) -> Ask | None:
        rows, pagination = self._rows, self._pagination
        seen = rows.earlier + rows.count
        self._most = max(self._most, rows.count)
        total = total_of(values, pagination.total)
        if total is not None and seen > total:
            raise too_many(seen, total, pagination.total, pages=self.pages)
        if seen == total:
            return None
        if rows.count == 0:
            if total is not None:
                raise fewer(seen, total, advice=PAGES_FROM_0 if pagination.first else None)
            self._refuse_capped(seen)
            return None
        self._number += 1
        return self._query()

    def _refuse_capped(self, seen: int) -> None:
        """Refuse pages that all are shorter than asked for, though others follow.

        Whether such a product also counts by its own size, or leaves out what is between its own
        and ours, cannot be told.
        """
        size = self._pagination.size
        if size is None or seen == self._most or self._most >= size:
            return
        raise PollError(
            Reason.PAGE_SIZE_CAPPED,
            f"the product gives {self._most} users on a page at most, not {size} as asked for, so "
            "that users between two pages may be left out. Set http.pagination.size to "
            f"{self._most}, or declare http.pagination.total.",
            stalls=True,
        )

    def _query(self) -> tuple[Pair, ...]:
        pagination, size = self._pagination, str(self._pagination.size)
        number = str(self._number)
        value = pagination.template.replace("{size}", size).replace("{page}", number)
        page = (pagination.page_param, value)
        return (page,) if pagination.size_param is None else (page, (pagination.size_param, size))


def _if_repeated(pagination: Numbered) -> str:
    hints = (
        PAGES_FROM_1 if pagination.first == 0 else "",
        LAST_AGAIN if pagination.total is None else "",
    )
    return "".join(f" {hint}" for hint in hints if hint)
