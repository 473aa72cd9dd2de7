"""Products whose answers do not say what is true of them: what they tell instead.

Each kind is one that people have reported of real products. A lie changes what is shown, never who
was active. Some answers show by themselves that they are not whole (``Heard.evident``): then nobody
may be ruled out by them. Others show nothing, unless they are held against what was read before;
what no rule can see is for ``doubt`` to know.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from trials.soak.people import DAY_MS, HOUR_MS, MINUTE_MS, Shown, Store

KINDS = (
    "repeated", "fewer", "cutWithLink", "cutWithTotal", "neverAsTime", "nobodyStamped", "coarse",
    "restored", "erased", "moved",
)  # fmt: skip
"""A row stands twice, in somebody's place; the account sees fewer; the list is cut, and says so;
those who were never active have a time, or all have it; times in steps that nobody declares; a
backup is restored; accounts are erased; users move into an excluded group."""

GROUP = "external"
COARSE_MS = (DAY_MS, HOUR_MS, MINUTE_MS)
NEVER_MS = (0, -1, -62_135_596_800_000, -2_208_988_800_000, 631_151_999_000)
"""Epoch, -1, the years 1 and 1900, the last second before 1990."""
LEAST_COARSE = 20
"""So many different times are needed to see that they are coarse (MEASUREMENT §3.10)."""
_MORE = (
    {"@odata.nextLink": "https://product.example/users?$skip=9"},
    {"nextLink": "/users?page=2"},
    {"next_token": "b2Zmc2V0"},
    {"nextPageToken": "x"},
    {"has_more": True},
    {"links": {"next": "/users?page=2"}},
)
_TOTALS = ("total", "totalCount", "totalResults", "count")
_MORE_HEADERS = (("Link", '</users?page=2>; rel="next"'),)
_TOTAL_HEADERS = ("X-Total-Count", "X-Total")


@dataclass(frozen=True, slots=True)
class Lie:
    """A time in which answers are untrue.

    Attributes:
        kind: One of `KINDS`.
        from_ms, to_ms: When, half-open.
        share: Of the accounts concerned.
        variant: Which of the ways there are.
    """

    kind: str
    from_ms: int
    to_ms: int
    share: float
    variant: int = 0

    def now(self, at_ms: int) -> bool:
        """Whether it is told at an instant."""
        return self.from_ms <= at_ms < self.to_ms

    def concerns(self, key: int) -> bool:
        """Whether it is about an account."""
        return (key * 2_654_435_761 + 97 * self.variant) % 1_000_003 < 1_000_003 * self.share


@dataclass(slots=True)
class Told:
    """One answer, before it is cut into pages.

    Attributes:
        rows: What it lists.
        beside: Members beside the list.
        headers: Of the answer.
        cut: It says that there is more than it lists.
        nobody: Nothing is recorded of anybody.
    """

    rows: list[Shown]
    beside: dict[str, object] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()
    cut: bool = False
    nobody: bool = False


def tell(lies: Sequence[Lie], store: Store, at_ms: int, *, next_is_cursor: bool) -> Told:
    """Return what a product answers at an instant.

    Args:
        lies: Those of this product.
        store: The truth.
        at_ms: The instant.
        next_is_cursor: The source follows the member ``next``: a list is not cut by it.
    """
    answer = Told(store.rows(at_ms))
    for lie in lies:
        if lie.now(at_ms):
            _apply(lie, answer, next_is_cursor=next_is_cursor)
    return answer


def _apply(lie: Lie, answer: Told, *, next_is_cursor: bool) -> None:
    rows = answer.rows
    concerned = [row for row in rows if lie.concerns(row.key)]
    others = [row for row in rows if not lie.concerns(row.key)]
    match lie.kind:
        case "repeated" if concerned and others:
            answer.rows = [others[0] if lie.concerns(row.key) else row for row in rows]
        case "fewer" if others:
            answer.rows = others
        case "cutWithLink" | "cutWithTotal" if concerned and others:
            answer.rows = rows[: len(others)]
            answer.cut = True
            _say_more(lie, answer, len(rows), next_is_cursor=next_is_cursor)
        case "neverAsTime":
            never = NEVER_MS[lie.variant % len(NEVER_MS)]
            answer.rows = [replace(r, stamp_ms=never) if r.stamp_ms is None else r for r in rows]
        case "nobodyStamped":
            never = NEVER_MS[lie.variant % len(NEVER_MS)]
            answer.rows = [replace(row, stamp_ms=never) for row in rows]
            answer.nobody = True
        case "coarse":
            answer.rows = [replace(row, stamp_ms=coarse(lie, row.stamp_ms)) for row in rows]


def _say_more(lie: Lie, answer: Told, rows: int, *, next_is_cursor: bool) -> None:
    if lie.kind == "cutWithTotal":
        ways = len(_TOTALS) + len(_TOTAL_HEADERS)
        way = lie.variant % ways
        if way < len(_TOTALS):
            answer.beside[_TOTALS[way]] = rows
        else:
            answer.headers = ((_TOTAL_HEADERS[way - len(_TOTALS)], str(rows)),)
        return
    ways = len(_MORE) + len(_MORE_HEADERS)
    way = lie.variant % ways
    if way < len(_MORE):
        answer.beside |= _MORE[way]
    else:
        answer.headers = _MORE_HEADERS
    assert not next_is_cursor or "next" not in answer.beside  # noqa: S101


def coarse(lie: Lie, stamp_ms: int | None) -> int | None:
    """Return a time in steps, those of days at local midnight of some zone."""
    if stamp_ms is None or stamp_ms < 0:
        return stamp_ms
    step = COARSE_MS[lie.variant % len(COARSE_MS)]
    zone = (lie.variant // len(COARSE_MS) % 24 - 11) * HOUR_MS if step == DAY_MS else 0
    return (stamp_ms - zone) // step * step + zone
