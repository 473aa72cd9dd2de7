"""The total in an answer, compared with the rows that were read."""

from licenseusage.reasons import Reason
from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.paging import TOTAL
from licenseusage.sources.definition.timestamps import kind_of
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.said import MOST_USERS


def total_of(values: dict[str, Json], path: str | None) -> int | None:
    """Return the page's total; None where none is declared.

    Raises:
        PollError: ``TotalInvalid``: what stands there is no number of users.
    """
    if path is None:
        return None
    value = values[TOTAL]
    if type(value) is int and 0 <= value <= MOST_USERS:
        return value
    raise PollError(
        Reason.TOTAL_INVALID,
        f"http.pagination.total ({path}) gives {kind_of(value)} instead of a number of "
        "users. Correct the path, or remove it.",
        stalls=True,
    )


def must_be_all(rows: int, values: dict[str, Json], path: str | None, *, pages: int) -> None:
    """Hold a list that has ended against its declared total.

    Raises:
        PollError: ``TotalInvalid``, ``ListMoved`` or ``FewerThanTotal``.
    """
    total = total_of(values, path)
    if total is not None and rows > total:
        raise too_many(rows, total, path, pages=pages)
    if total is not None and rows < total:
        raise fewer(rows, total)


def too_many(
    rows: int, total: int, path: str | None, *, pages: int, advice: str | None = None
) -> PollError:
    """Say that more users were listed than the total: it fell meanwhile, or it is no total.

    Args:
        rows: Rows read.
        total: The product's.
        path: Where it stands.
        pages: Pages read; within one page no list can move.
        advice: What else the cause may be.
    """
    if pages > 1:
        return PollError(
            Reason.LIST_MOVED,
            f"the product's total fell to {total} while {rows} users were read. It is read "
            f"again.{f' {advice}' if advice else ''}",
        )
    return PollError(
        Reason.TOTAL_INVALID,
        f"http.pagination.total ({path}) is {total}, but {rows} users were listed. "
        "Correct the path of the total.",
        stalls=True,
    )


def fewer(rows: int, total: int, *, advice: str | None = None) -> PollError:
    """Say that the list ended before its total; ``advice`` as of `too_many`."""
    return PollError(
        Reason.FEWER_THAN_TOTAL,
        f"the product says that there are {total} users, but its list ends after {rows}. It is "
        "read again; if this keeps happening, the credentials may not see all users. If the total "
        "counts others as well, remove http.pagination.total and name its member in "
        f"http.ignoreMembers.{f' {advice}' if advice else ''}",
    )
