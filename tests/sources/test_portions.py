"""Facts of a large listing are made of some users at a time, and are those of the whole."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.metering.cycles import DAY_MS
from licenseusage.metering.facts import Facts
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.sources.lists import kept
from licenseusage.sources.lists.columns import Columns
from licenseusage.sources.lists.kept import Kept
from licenseusage.sources.lists.tally import Tally
from licenseusage.sources.poll import CycleRequest
from tests.sources.product import CYCLE, source

START = datetime.fromtimestamp(CYCLE.start_ms / 1000, UTC)
PSEUDONYMS = Pseudonymiser(b"k" * 32, "demo", CYCLE.start_ms // 1000)


def facts_of(hours: list[int], *, roster: bool, renamable: bool, pages: int) -> Facts:
    """Facts of a listing, in pages, of users who were active so many hours after the start."""
    ids = "Renamable" if renamable else "Stable"
    read = source(users={"id": "id"}, guarantees={"lagSeconds": 0, "ids": ids})
    tally = Tally(read, (CycleRequest(CYCLE, roster=roster),), lambda _: PSEUDONYMS)
    rows = [(f"u{n}", (START + timedelta(hours=h)).isoformat()) for n, h in enumerate(hours)]
    for page in (rows[start::pages] for start in range(pages)):
        tally.start_page()
        tally.add(Columns([name for name, _ in page], [shown for _, shown in page]))
    ended_ms = CYCLE.start_ms + 31 * DAY_MS
    (made,) = tally.facts(
        started_ms=ended_ms, ended_ms=ended_ms, clock_skew_ms=0, complete=True, one_page=renamable
    )
    return made


@given(
    st.lists(st.integers(-100, 740), max_size=60),
    st.sampled_from([1, 2, 3]),
    st.booleans(),
    st.booleans(),
)
def test_facts_in_portions_are_those_of_the_whole(hours, pages, roster, renamable):
    whole = facts_of(hours, roster=roster, renamable=renamable, pages=pages)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "PORTION", 4)
        parts = facts_of(hours, roster=roster, renamable=renamable, pages=pages)
    assert parts == whole


@given(st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=50))
def test_every_row_is_in_one_portion_and_users_ascend_from_one_to_the_next(users):
    rows = Kept(bytearray(b"".join(users)))
    rows.values.extend(range(len(users)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "PORTION", 4)
        portions = rows.portions(range(len(users)))
    assert len(portions) >= len(users) / 4
    assert sorted(at for portion in portions for at in portion) == list(range(len(users)))
    found = [[user for user, _, _ in rows.rows(portion)] for portion in portions if portion]
    for before, after in itertools.pairwise(found):
        assert max(before) < min(after)


def test_a_row_is_the_same_alone_and_in_the_row_of_all():
    rows = Kept(bytearray(b"a" * 16 + b"b" * 16))
    rows.values.extend((1, 2))
    rows.created.extend((kept.NO_CREATION, 7))
    assert list(rows.all()) == [(b"a" * 16, 1, None), (b"b" * 16, 2, 7)]
    assert list(rows.rows([1, 0])) == [(b"b" * 16, 2, 7), (b"a" * 16, 1, None)]


def test_the_largest_page_is_where_most_rows_are():
    rows = Kept(page_starts=[0, 2, 5])
    rows.values.extend(range(6))
    assert rows.largest_page() == range(2, 5)
    assert Kept().largest_page() == range(0)
