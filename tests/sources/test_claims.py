"""Tempting claims about complete listings, each with its counterexample: MEASUREMENT §9."""

import pytest

from licenseusage.sources.definition.timestamps import reader
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.asking import Head
from licenseusage.sources.lists.columns import Columns
from licenseusage.sources.lists.paging.pager import Pager, pager_of
from tests.sources.product import source


def pager(order: str, *, total: bool = False) -> Pager:
    """Pages of two, by offset; where the order lets them, they overlap by a row."""
    paging = {"type": "Offset", "offsetParam": "offset", "limitParam": "limit", "size": 2}
    if total:
        paging["total"] = "n"
    made = source(http={"pagination": paging}, guarantees={"order": order, "ids": "Stable"})
    return pager_of(made.http, made.guarantees.order, reader(made.users.last_active))


def read(pages: Pager, *versions: dict[str, int]) -> list[str]:
    """Read a list that is another one at each request: name -> last activity, in its order."""
    names: list[str] = []
    for listed in [*versions, *[versions[-1]] * 20]:
        if pages.ask is None:
            return names
        asked = dict(pages.ask)
        first, size = int(asked["offset"]), int(asked["limit"])
        page = list(listed.items())[first : first + size]
        names += pages.take(Columns([name for name, _ in page], [seen for _, seen in page])).ids
        pages.end_page({"total": len(listed)}, Head())
    raise AssertionError("never ended")


T = 1_790_000_000  # a last activity, in seconds since 1970
ABCD = dict.fromkeys("abcd", T)
BCDE = dict.fromkeys("bcde", T)  # a was removed and e added: c is now where b was read


def test_equal_totals_do_not_prove_a_complete_listing():
    blind = pager("Unknown", total=True)
    assert read(blind, ABCD, BCDE) == ["a", "b", "d", "e"]  # c is lost, 4 = 4
    assert not blind.proves


def test_the_overlapping_row_shows_what_equal_totals_hide():
    with pytest.raises(PollError) as refused:
        read(pager("ImmutableKey", total=True), ABCD, BCDE)
    assert refused.value.failure.reason == "ListMoved"


def test_an_overlapping_row_with_the_same_id_is_not_enough_in_the_order_of_activity():
    """a and c become active behind b, who is at his index again with another time: d is lost."""
    before = {"a": T + 10, "b": T + 40, "d": T + 51, "c": T + 52}
    after = {"d": T + 51, "b": T + 55, "a": T + 56, "c": T + 57}
    assert list(before)[1] == list(after)[1] == "b"
    assert "d" not in [*list(before)[:2], *list(after)[1:]]
    with pytest.raises(PollError) as refused:
        read(pager("Activity"), before, after)
    assert refused.value.failure.reason == "ListMoved"


def test_newest_first_proves_nothing_whatever_overlaps():
    """d becomes active and moves to the front, a is removed: b is at its index again, d lost."""
    before = {"a": T + 4, "b": T + 3, "c": T + 2, "d": T + 1}
    after = {"d": T + 5, "b": T + 3, "c": T + 2}
    assert list(before)[1] == list(after)[1]
    with pytest.raises(PollError) as refused:
        read(pager("Activity"), before, after)
    assert refused.value.failure.reason == "OrderViolated"
    unordered = pager("Unknown")
    read(unordered, before, after)
    assert not unordered.proves
