"""Pages by offset and limit, which overlap by one row where the list has a known order."""

from licenseusage.reasons import Reason
from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.guarantees import Order
from licenseusage.sources.definition.paging import Offset, Pair
from licenseusage.sources.definition.timestamps import Reader
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.asking import Ask, Head
from licenseusage.sources.lists.columns import Columns
from licenseusage.sources.lists.paging.rows import Rows
from licenseusage.sources.lists.paging.totals import fewer, too_many, total_of

OFFSETS_FROM_1 = "If the product counts its offsets from 1, set http.pagination.first to 1."


class OffsetPager:
    """A `Pager` of pagination type ``Offset``."""

    def __init__(self, pagination: Offset, order: Order, reader: Reader) -> None:
        """Ask for the first page."""
        self._pagination = pagination
        self._ordered = order is not Order.UNKNOWN
        self._rows = Rows(order, reader, f"{pagination.offset_param} and {pagination.limit_param}")
        self._offset = 0
        self._one_early = False  # a page began one row before where it should
        self.ask: Ask | None = self._query(0)
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
        """Check that the page begins with the last row of the page before, and drop that row."""
        if not len(columns):
            return columns
        fresh = columns
        if self._rows.add(columns):
            first = columns.ids[0]
            expected = self._rows.last_but_one if self._overlaps else self._rows.last
            self._one_early |= first is not None and first == expected
            if self._overlaps:
                self._compare_overlap(first, columns.stamps[0])
                fresh = columns.without_first()
        self._rows.follow(columns, fresh)
        return fresh

    def end_page(self, values: dict[str, Json], _head: Head) -> None:
        """End the listing, or ask for the page that begins with the last row of this one."""
        self._rows.end_page()
        if not (self._overlaps and self._rows.count == 1):  # one row again is the overlap alone
            self._rows.refuse_repeated()
        self._go_on(values)
        self._rows.begin_page()

    def _go_on(self, values: dict[str, Json]) -> None:
        rows = self._rows
        if self._overlaps and rows.count == 0:
            self._compare_overlap(None, None)  # gone, whatever the total says
        seen = self._offset + rows.count
        total = total_of(values, self._pagination.total)
        if total is not None and seen > total:
            advice = OFFSETS_FROM_1 if self._one_early else None
            raise too_many(seen, total, self._pagination.total, pages=self.pages, advice=advice)
        new_rows = rows.count - (1 if self._overlaps else 0)
        if total == seen or (total is None and new_rows <= 0):
            self.ask, self.proves = None, self._ordered or self.pages == 1
            return
        if total is not None and new_rows <= 0:
            raise fewer(seen, total)
        if self._ordered and rows.before is not None and rows.before.rows == 1:
            raise _one_user_per_page()
        self._offset = seen - (1 if self._ordered and rows.count > 1 else 0)
        self.ask = self._query(self._offset)

    @property
    def _overlaps(self) -> bool:
        """Whether the page being read must begin with the last row of the page before."""
        before = self._rows.before
        return self._ordered and before is not None and before.rows > 1

    def _compare_overlap(self, first: Json, stamp: Json) -> None:
        rows = self._rows
        if (
            first is not None
            and first == rows.last
            and (rows.order is not Order.ACTIVITY or stamp == rows.last_stamp)
        ):
            return
        if rows.before is not None and first == rows.before.first:
            raise rows.paging_ignored()
        if self._one_early and first is not None:
            fix = f"it begins with the one before. {OFFSETS_FROM_1}"
        else:
            fix = (
                "the list changed while it was read. It is read again; if this keeps happening, "
                f"the list is not in the declared order (guarantees.order {rows.order})."
            )
        number = self.pages + 1 if rows.count else self.pages  # an empty page has ended
        raise PollError(
            Reason.LIST_MOVED,
            f"page {number} does not begin with the last user of page {number - 1}: {fix}",
        )

    def _query(self, at: int) -> tuple[Pair, ...]:
        offset = self._pagination
        return (
            (offset.offset_param, str(at + offset.first)),
            (offset.limit_param, str(offset.size)),
        )


def _one_user_per_page() -> PollError:
    return PollError(
        Reason.ORDER_VIOLATED,
        "the product gives one user per page, so that pages cannot overlap. Ask for "
        "larger pages, or declare guarantees.order Unknown.",
        stalls=True,
    )
