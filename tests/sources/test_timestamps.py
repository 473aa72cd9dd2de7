"""Times as products write them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.sources.definition.model import DAY_MS, Stamp
from licenseusage.sources.definition.timestamps import (
    BadStampError,
    Instant,
    Recent,
    granularity_ms,
    kind_of,
    reader,
    shape_of,
)

NOON_MS = 1_793_534_400_000  # 2026-11-01T12:00:00Z


def reading(form: str = "Auto", zone: str = "UTC") -> Any:
    return reader(Stamp(path="x", format=form, naive_timezone=zone, granularity_ms=1000))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-01T12:00:00Z", NOON_MS),
        ("2026-11-01t12:00:00z", NOON_MS),
        ("2026-11-01 12:00:00Z", NOON_MS),
        ("2026-11-01T12:00:00.5Z", NOON_MS + 500),
        ("2026-11-01T12:00:00.1239999999Z", NOON_MS + 123),
        ("2026-11-01T13:30:00+01:30", NOON_MS),
        ("2026-11-01T07:00:00-05:00", NOON_MS),
        ("2026-11-01T12:00:00-00:00", NOON_MS),
        ("2026-11-01T12:00:00", NOON_MS),
        ("2026-10-31T23:59:60Z", NOON_MS - 12 * 3_600_000),
        (NOON_MS // 1000, NOON_MS),
        (NOON_MS // 1000 + 0.25, NOON_MS + 250),
        (NOON_MS, NOON_MS),
        (99_999_999_999, 99_999_999_999_000),
        (1_000_000_000_000, 1_000_000_000_000),
        (None, None),
        ("", None),
        (0, None),
        (0.0, None),
    ],
)
def test_auto_reads_rfc3339_seconds_and_milliseconds(value, expected):
    read = reading().read(value)
    assert (read and read.at_ms) == expected


AS_WRITTEN = [
    ("2026-11-01T12:00:00,5Z", NOON_MS + 500),  # ISO 8601
    ("2026-11-01T12:00:00.123456789Z", NOON_MS + 123),  # Go
    ("2026-11-01 12:00:00.123 +0000 UTC", NOON_MS + 123),  # Go, as text
    ("2026-11-01 13:00:00 +0100 CET m=+0.004", NOON_MS),  # Go, of its own clock
    ("2026-11-01T13:00:00.000+0100", NOON_MS),  # Java, and many others
    ("2026-11-01T13:00:00+01:00[Europe/Berlin]", NOON_MS),  # Java, with its zone
    ("2026-11-01T12:00:00Z[UTC]", NOON_MS),
    ("2026-11-01 12:00:00 UTC", NOON_MS),  # Ruby
    ("2026-11-01 13:00:00 +0100", NOON_MS),
    ("2026-11-01 12:00:00+00", NOON_MS),  # PostgreSQL
    ("2026-10-31T24:00:00Z", NOON_MS - 12 * 3_600_000),  # ISO 8601: the end of a day
    ("20261101T120000Z", NOON_MS),  # ISO 8601 without signs
    ("20261101120000Z", NOON_MS),  # LDAP
    ("20261101120000.0Z", NOON_MS),  # Active Directory
    ("20261101130000+0100", NOON_MS),
    ("Sun, 01 Nov 2026 12:00:00 GMT", NOON_MS),  # Flask, Express
    ("Sun, 1 Nov 2026 13:00:00 +0100", NOON_MS),  # mail
    ("1 Nov 2026 12:00:00 UTC", NOON_MS),
    (str(NOON_MS // 1000), NOON_MS),  # numbers as texts
    (f"{NOON_MS // 1000}.25", NOON_MS + 250),
    (str(NOON_MS), NOON_MS),
    (NOON_MS * 1000 + 1, NOON_MS),  # microseconds
    (str(NOON_MS * 1000), NOON_MS),
    (NOON_MS * 1_000_000 + 1, NOON_MS),  # nanoseconds
    (str(NOON_MS * 1_000_000), NOON_MS),
    (NOON_MS * 10_000 + 116_444_736_000_000_000, NOON_MS),  # FILETIME
    (str(NOON_MS * 10_000 + 116_444_736_000_000_000), NOON_MS),
]


@pytest.mark.parametrize(("value", "expected"), AS_WRITTEN)
def test_auto_reads_what_libraries_write(value, expected):
    assert reading().read(value) == Instant(expected)
    found = reading().recent(["2026-10-01T12:00:00Z", value], NOON_MS - DAY_MS)
    assert found == Recent([1], [expected])


def test_a_time_without_minutes_is_refused_wherever_it_matters():
    """Python reads it as the full hour, and it is some time of it."""
    with pytest.raises(BadStampError):
        reading().recent(["2026-11-01T12+01:00"], NOON_MS - DAY_MS)


@pytest.mark.parametrize("value", ["2026-11-01T12:00Z", "2026-11-01T13:00+01:00"])
def test_a_time_without_seconds_is_some_time_of_its_minute(value):
    """Java leaves ``:00`` out; others write no seconds at all."""
    assert reading().read(value) == Instant(NOON_MS, unsure_ms=59_999)
    minutes = Stamp(path="x", format="Auto", naive_timezone="UTC", granularity_ms=60_000)
    assert reader(minutes).read(value) == Instant(NOON_MS)


@given(st.datetimes(datetime(1990, 1, 2), datetime(2262, 1, 1), timezones=st.just(UTC)))
def test_a_number_is_read_in_the_one_unit_in_which_it_can_be_a_time(moment):
    at_ms = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    for number in (
        at_ms,
        at_ms * 1000,
        at_ms * 1_000_000,
        at_ms * 10_000 + 116_444_736_000_000_000,
    ):
        if number != at_ms or at_ms >= 100_000_000_000:
            assert reading().read(number) == Instant(at_ms)
    assert reading().read(at_ms // 1000) == Instant(at_ms // 1000 * 1000)


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-01",
        "2026-11-01T12Z",
        "2026-11-01T24:00:01Z",
        "2026-11-01T12:00:00+01:00 Europe/Berlin",
        "2026-11-01T12:00:00[Europe/Berlin]",
        "2026-11-01T12:00:00Z\n",
        "20261101",
        "202611011200",
        "Sun, 31 Nov 2026 12:00:00 GMT",
        "Son, 01 Nov 2026 12:00:00 GMT",
        "01 Nov 26 12:00:00 GMT",
        "2026-13-01T12:00:00Z",
        "2026-11-01T12:00:61Z",
        "01/11/2026 12:00:00",
        "2126-11-01X12:00:00Z",
        "never",
        "17",
        True,
        False,
        [],
        {},
        ["2026-11-01T12:00:00Z"],
        1e19,
    ],
)
def test_auto_refuses_what_is_no_time_at_every_way_in(value):
    with pytest.raises(BadStampError):
        reading().read(value)
    with pytest.raises(BadStampError):
        reading().recent(["2026-11-01T12:00:00Z", value], 0)
    with pytest.raises(BadStampError):  # also where it would be thrown away by time
        reading().recent([value], NOON_MS + 100 * DAY_MS)


@pytest.mark.parametrize(
    ("form", "value", "expected"),
    [
        ("EpochSeconds", 1_793_534_400, NOON_MS),
        ("EpochSeconds", "1793534400", NOON_MS),
        ("EpochSeconds", "1793534400.75", NOON_MS + 750),
        ("EpochMillis", NOON_MS, NOON_MS),
        ("EpochMillis", str(NOON_MS), NOON_MS),
        ("EpochMillis", NOON_MS + 5, NOON_MS + 5),
        ("%Y-%m-%d %H:%M:%S", "2026-11-01 12:00:00", NOON_MS),
        ("%Y-%m-%d", "2026-11-01", NOON_MS - 12 * 3_600_000),
        ("%d.%m.%Y %H:%M", "01.11.2026 12:00", NOON_MS),
        ("%Y-%m-%dT%H:%M:%S%z", "2026-11-01T14:00:00+0200", NOON_MS),
        ("%m/%d/%Y %I:%M:%S %p", "11/01/2026 12:00:00 PM", NOON_MS),
    ],
)
def test_declared_formats(form, value, expected):
    assert reading(form).read(value) == Instant(expected)


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("EpochSeconds", "2026-11-01T12:00:00Z"),
        ("EpochSeconds", "5 s"),
        ("EpochSeconds", NOON_MS * 1000),
        ("EpochMillis", [1]),
        ("EpochMillis", True),
        ("%Y-%m-%d", 20261101),
        ("%Y-%m-%d", "2026-11-01T12:00:00Z"),
        ("%Y-%m-%d", "2026-02-30"),
    ],
)
def test_declared_formats_refuse_other_values(form, value):
    with pytest.raises(BadStampError):
        reading(form).read(value)


@pytest.mark.parametrize(
    ("form", "zone"),
    [
        ("Auto", "Mars/Olympus"),
        ("Auto", "../etc/passwd"),
        ("Auto", ""),
        ("%H:%M:%S", "UTC"),
        ("%Y-%m", "UTC"),
        ("%Y-%m-%d %I:%M:%S", "UTC"),
        ("%Q", "UTC"),
        ("%Y-%m-%d %H:%M:%S.%S", "UTC"),
        ("%c %Y", "UTC"),
    ],
)
def test_a_format_that_leaves_the_time_open_is_refused(form, zone):
    with pytest.raises(ValueError, match=r"."):
        reading(form, zone)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("Auto", 1),
        ("EpochMillis", 1),
        ("EpochSeconds", 1000),
        ("%Y-%m-%d %H:%M:%S", 1000),
        ("%Y-%m-%dT%H:%M:%S.%f", 1),
        ("%c", 1000),
        ("%Y-%m-%d %H:%M", 60_000),
        ("%Y-%m-%d %H", 3_600_000),
        ("%Y-%m-%d", DAY_MS),
        ("%%S %Y-%m-%d", DAY_MS),
    ],
)
def test_a_format_is_as_coarse_as_its_digits(form, expected):
    assert granularity_ms(form) == expected


def test_a_naive_time_is_read_in_the_declared_zone():
    assert reading(zone="Asia/Tokyo").read("2026-11-01T21:00:00") == Instant(NOON_MS)


@pytest.mark.parametrize(
    ("value", "zone", "utc"),
    [
        ("2026-11-01 13:00:00 CET", "Europe/Berlin", (2026, 11, 1, 12)),
        ("2026-10-25 02:30:00 CEST", "Europe/Berlin", (2026, 10, 25, 0, 30)),
        ("2026-10-25 02:30:00 CET", "Europe/Berlin", (2026, 10, 25, 1, 30)),
        ("2026-07-01T12:00:00.250 EDT", "America/New_York", (2026, 7, 1, 16, 0, 0, 250_000)),
        ("2026-11-01 17:30:00 IST", "Asia/Kolkata", (2026, 11, 1, 12)),
        ("2026-11-01 12:00:00 UTC", "Europe/Berlin", (2026, 11, 1, 12)),
    ],
)
def test_the_abbreviation_of_the_declared_zone_says_which_offset_it_is(value, zone, utc):
    """Vaultwarden writes so, by the ``%Z`` of its own zone."""
    at_ms = int(datetime(*utc, tzinfo=UTC).timestamp() * 1000)
    assert reading(zone=zone).read(value) == Instant(at_ms)
    assert reading(zone=zone).recent([value], 0) == Recent([0], [at_ms])


@pytest.mark.parametrize(
    ("value", "zone"),
    [
        ("2026-11-01 13:00:00 CET", "UTC"),
        ("2026-11-01 13:00:00 CEST", "Europe/Berlin"),  # not in winter
        ("2026-11-01 13:00:00 IST", "Europe/Dublin"),
        ("2026-11-01 13:00:00 EST", "America/Chicago"),
    ],
)
def test_the_abbreviation_of_another_zone_is_refused(value, zone):
    with pytest.raises(BadStampError, match="naiveTimezone"):
        reading(zone=zone).read(value)


@pytest.mark.parametrize(
    ("day", "zone", "utc", "unsure"),
    [
        ("2026-10-25", "Europe/Berlin", (2026, 10, 24, 22), 3_600_000),  # 25 hours long
        ("2026-10-25", "Atlantic/Azores", (2026, 10, 25, 0), 3_600_000),
        ("2026-03-29", "Europe/Berlin", (2026, 3, 28, 23), 0),  # 23 hours
        ("2026-10-24", "Europe/Berlin", (2026, 10, 23, 22), 0),
        ("2026-10-25", "UTC", (2026, 10, 25), 0),
    ],
)
def test_a_local_day_is_as_long_as_it_is_there(day, zone, utc, unsure):
    at_ms = int(datetime(*utc, tzinfo=UTC).timestamp()) * 1000
    assert reading("%Y-%m-%d", zone).read(day) == Instant(at_ms, unsure)


def test_an_hour_that_happens_twice_keeps_both_readings():
    read = reading(zone="Europe/Berlin").read("2026-10-25T02:30:00")
    first = int(datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()) * 1000
    assert read == Instant(first, 3_600_000)
    assert reading(zone="Europe/Berlin").read("2026-10-25T02:30:00+01:00").unsure_ms == 0


def test_an_hour_that_never_happens_keeps_both_readings():
    read = reading(zone="Europe/Berlin").read("2026-03-29T02:30:00")
    assert read.unsure_ms == 3_600_000


def test_a_value_at_the_later_reading_is_still_recent():
    read = reading(zone="Europe/Berlin")
    horizon = int(datetime(2026, 10, 25, 1, 0, tzinfo=UTC).timestamp()) * 1000
    assert read.recent(["2026-10-25T02:30:00", "2026-10-25T01:59:59"], horizon) == Recent(
        [0], [horizon - 1_800_000], [3_600_000]
    )


moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1))
recent_moments = st.datetimes(datetime(1991, 1, 1), datetime(2200, 1, 1))
"""Since when activities are recorded: what is older is never (``test_never``)."""

offsets = st.integers(-14 * 60, 14 * 60)


@given(recent_moments, offsets, st.integers(0, 9))
def test_rfc3339_of_any_offset_and_fraction_is_read_to_the_millisecond(moment, offset, digits):
    zone = timezone(timedelta(minutes=offset))
    local = moment.replace(tzinfo=zone)
    fraction = f".{local.microsecond:06d}000"[: digits + 1] if digits else ""
    hours, minutes = divmod(abs(offset), 60)
    text = f"{local:%Y-%m-%dT%H:%M:%S}{fraction}{'-' if offset < 0 else '+'}{hours:02}:{minutes:02}"
    shown = int((fraction[1:] + "000")[:3])
    whole = (local.replace(microsecond=0) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        seconds=1
    )
    assert reading().read(text) == Instant(whole * 1000 + shown)


values = st.one_of(
    st.none(),
    st.just(""),
    st.just(0),
    st.integers(1, 10**14),
    st.floats(1, 1e11),
    st.builds(lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ"), moments),
    st.builds(lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.%f+02:00"), moments),
    st.builds(lambda at: at.strftime("%Y-%m-%d %H:%M:%S"), moments),
)


@given(
    st.lists(values), recent_moments, st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns"])
)
def test_recent_finds_exactly_those_whose_latest_reading_is_not_before_the_horizon(many, at, zone):
    read = reading(zone=zone)
    horizon = int(at.replace(tzinfo=UTC).timestamp()) * 1000
    instants = [read.read(value) for value in many]
    expected = [
        (index, one.at_ms, one.unsure_ms)
        for index, one in enumerate(instants)
        if one is not None and one.at_ms + one.unsure_ms >= horizon
    ]
    found = read.recent(many, horizon)
    unsure = found.unsure_ms or [0] * len(found.positions)
    assert list(zip(found.positions, found.at_ms, unsure, strict=True)) == expected


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none()))
def test_the_shape_of_a_value_never_quotes_it(value):
    shape = shape_of(value)
    assert kind_of(value)
    if isinstance(value, str):
        assert set(shape.removeprefix("a text like ")) <= set("a9?-+/:., '")
