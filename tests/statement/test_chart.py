"""The chart: a bar for each day, and a day that is not known looks and reads like nothing else."""

from hypothesis import given as for_all
from hypothesis import strategies as st

from licenseusage.reports.content import Kind
from licenseusage.statement.chart import HEIGHT, WIDTH, DayKind, chart_of, weeks_of
from licenseusage.statement.cycles import chains_of
from tests.statement.bookkeeping import Bookkeeper, signed

day_lists = st.lists(st.none() | st.integers(0, 10**9), min_size=1, max_size=30)


def cycle(days):
    book = Bookkeeper()
    known = [day for day in days or () if day is not None]
    kind, day = (Kind.FINAL, 30) if days is None or len(days) == 30 else (Kind.INTERIM, len(days))
    low = max(known, default=0)
    high = low if kind is Kind.FINAL else None
    daily = None if days is None else tuple(days)
    book.sign(book.content(kind, 0, low, high, day, daily_active_users=daily))
    (chain,) = chains_of(signed(*book.tokens))
    return chain.cycles[0]


@for_all(day_lists)
def test_every_day_has_one_bar_within_the_picture_in_order(days):
    chart = chart_of(cycle(days))
    assert len(chart.bars) == len(days)
    edge = chart.left
    for bar in chart.bars:
        assert edge <= bar.x
        assert bar.x + bar.width <= chart.right + 0.02
        assert chart.top - 0.01 <= bar.y <= chart.base
        assert bar.y + bar.height <= chart.base + 0.01
        edge = bar.x + bar.width
    assert (chart.width, chart.height) == (WIDTH, HEIGHT)


@for_all(day_lists)
def test_a_bar_is_as_high_as_its_number(days):
    chart = chart_of(cycle(days))
    top = int(chart.lines[-1].text.replace(",", ""))
    for bar, count in zip(chart.bars, days, strict=True):
        if count is not None:
            share = (chart.base - bar.y) / (chart.base - chart.top)
            assert abs(share - count / top) < 0.001
            assert count <= top


@for_all(day_lists)
def test_known_zero_and_unknown_days_are_told_apart_in_each_form(days):
    made = cycle(days)
    kinds = [bar.kind for bar in chart_of(made).bars]
    wanted = [
        DayKind.UNKNOWN if day is None else DayKind.COUNT if day else DayKind.ZERO for day in days
    ]
    cells = [cell for week in weeks_of(made) for cell in week.cells if cell is not None]
    assert kinds == wanted
    assert [cell.kind for cell in cells] == wanted
    assert [cell.text for cell in cells] == [
        "not known" if day is None else f"{day:,}" for day in days
    ]


def test_an_unknown_day_is_a_full_hatched_band_and_a_zero_is_flat():
    unknown, zero, one_user = chart_of(cycle([None, 0, 1])).bars
    assert (unknown.sign, zero.sign, one_user.sign) == ("?", "0", "")
    assert unknown.height > 0
    assert zero.height == 0
    assert unknown.label == "2026-01-01: not known"
    assert zero.label == "2026-01-02: 0 at least"


def test_the_picture_in_words():
    text = chart_of(cycle([None, 0, 7, 3])).text
    assert text == (
        "Users active on each day, at least, for 4 days. Most: 7 on 2026-01-03. Fewest known: 0 on "
        "2026-01-02. Not known, which is not zero: 2026-01-01."
    )


def test_many_unknown_days_are_not_all_named():
    text = chart_of(cycle([None] * 14)).text
    assert "2026-01-10 and 4 more." in text
    assert "Most" not in text


def test_weeks_begin_on_monday_and_days_outside_are_empty():
    weeks = weeks_of(cycle([1, 2, 3, 4, 5]))  # 2026-01-01 is a Thursday
    assert [week.monday for week in weeks] == ["2025-12-29", "2026-01-05"]
    assert [cell and cell.text for cell in weeks[0].cells] == [None, None, None, "1", "2", "3", "4"]
    assert [cell and cell.text for cell in weeks[1].cells] == ["5", *[None] * 6]


def test_a_report_without_days_has_no_chart():
    assert chart_of(cycle(None)) is None
    assert weeks_of(cycle(None)) == ()
