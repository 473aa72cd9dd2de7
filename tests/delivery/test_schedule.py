"""Back-off and first sending (REPORT_FORMAT §10)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.delivery.schedule import (
    Schedule,
    after_restart_ms,
    delay_seconds,
    first_delay_seconds,
)
from licenseusage.retryafter import retry_after_seconds

DAY = 86400
permilles = st.integers(0, 999)
attempts = st.integers(1, 10**9)
retrying = st.sampled_from([Schedule.BACKOFF, Schedule.SLOW, Schedule.DAILY])


@given(retrying, attempts, permilles, st.none() | st.integers(0, 10**12))
def test_delay_is_bounded(schedule, attempt, permille, retry_after):
    delay = delay_seconds(schedule, attempt, permille, retry_after)
    assert 15 <= delay <= DAY * 1.1


@given(attempts, permilles, st.integers(0, DAY))
def test_retry_after_is_a_floor(attempt, permille, retry_after):
    assert delay_seconds(Schedule.BACKOFF, attempt, permille, retry_after) >= retry_after


@given(st.integers(1, 30), permilles)
def test_backoff_never_shrinks_with_the_attempt(attempt, permille):
    assert delay_seconds(Schedule.BACKOFF, attempt, permille) <= delay_seconds(
        Schedule.BACKOFF, attempt + 1, permille
    )


@given(st.booleans(), st.integers(0, DAY), permilles)
def test_first_sending_waits_less_than_its_spread(interim, spread, permille):
    delay = first_delay_seconds(interim=interim, spread_seconds=spread, permille=permille)
    assert 0 <= delay <= (spread // 12 if interim else spread)


def test_first_sending_without_a_spread_is_at_once():
    assert first_delay_seconds(interim=False, spread_seconds=0, permille=999) == 0


def test_first_sending_of_an_interim_waits_at_most_five_minutes():
    assert first_delay_seconds(interim=True, spread_seconds=3600, permille=999) == 299


@given(st.integers(0, 10**13), st.integers(10**12, 2 * 10**12), permilles)
def test_restart_never_sends_before_the_stored_time_nor_a_day_later(stored, now, permille):
    due = after_restart_ms(stored, now, permille)
    assert now <= due <= now + DAY * 1000
    assert due >= min(stored, now + DAY * 1000)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("120", 120),
        (" 120 ", 120),
        ("0", 0),
        ("9" * 400, DAY),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("١٢", None),
        ("Thu, 01 Jan 2026 00:02:00 GMT", 120),
        ("Thu, 01 Jan 2026 00:02:00 -0000", 120),
        ("Thu, 01 Jan 2026 01:02:00 +0100", 120),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0),
        ("Thu, 01 Jan 2099 00:00:00 GMT", DAY),
    ],
)
def test_retry_after_header(header, seconds):
    assert retry_after_seconds(header, 1767225600) == seconds


@given(st.text(max_size=60))
def test_retry_after_header_never_raises(header):
    wait = retry_after_seconds(header, 1767225600)
    assert wait is None or 0 <= wait <= DAY
