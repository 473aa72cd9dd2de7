"""Values that no activity can have mean "never" (MEASUREMENT §3.10 c)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.metering.cycles import CYCLE_BIT
from licenseusage.sources.definition.model import Stamp
from licenseusage.sources.definition.never import Never
from licenseusage.sources.definition.timestamps import BadStampError, reader
from licenseusage.sources.poll import CycleRequest, PollResult
from tests.sources.product import CYCLE, answer, poll, source

SEEN = "2026-11-10T08:00:00Z"
CLOSED = CYCLE.end_ms + 3_600_000


def stamp(form: str = "Auto", *never: str, zone: str = "UTC") -> Stamp:
    return Stamp(path="last", format=form, naive_timezone=zone, granularity_ms=1000, never=never)


NEVER: list[tuple[str, Any]] = [
    ("Auto", None),
    ("Auto", ""),
    ("Auto", 0),
    ("Auto", -1),
    ("Auto", "-1"),
    ("Auto", "0"),
    ("Auto", "0001-01-01T00:00:00Z"),
    ("Auto", "0001-01-01T00:00:00"),
    ("Auto", "0001-01-01T00:00:00+09:18:59"),
    ("Auto", "-0001-11-30T00:00:00+00:00"),
    ("Auto", "0000-00-00 00:00:00"),
    ("Auto", 116_444_736_000_000_000),
    ("Auto", "116444736000000000"),
    ("Auto", "0000-00-00T00:00:00.000Z"),
    ("Auto", "1899-12-30T00:00:00Z"),
    ("Auto", "1970-01-01T00:00:00Z"),
    ("Auto", "1970-01-01"),
    ("Auto", "1970-01-01T01:00:00+01:00"),
    ("Auto", "1969-12-31T16:00:00-08:00"),
    ("Auto", "1989-12-31T23:59:59Z"),
    ("Auto", -62135596800),
    ("Auto", -62135596800000),
    ("Auto", 631_151_999),
    ("Auto", 631_151_999_999),
    ("EpochSeconds", 631_151_999),
    ("EpochSeconds", "-62135596800"),
    ("EpochMillis", 631_151_999_999),
    ("EpochMillis", "0"),
    ("%d.%m.%Y", "00.00.0000"),
    ("%d.%m.%Y", "01.01.1970"),
    ("%d.%m.%y", "01.01.70"),
    ("%d.%m.%Y", "0001-01-01 00:00:00"),
    ("%m/%d/%Y %I:%M %p", "01/01/1970 12:00 AM"),
]
TIMES: list[tuple[str, Any]] = [
    ("Auto", "1990-01-01T00:00:00Z"),
    ("Auto", "2016-11-29T08:00:00Z"),
    ("Auto", 631_152_000),
    ("Auto", 631_152_000_000),
    ("EpochSeconds", "631152000"),
    ("EpochMillis", 631_152_000_000),
    ("%d.%m.%Y", "19.01.2000"),
    ("%d.%m.%Y", "01.01.1990"),
    ("%H%M %d.%m.%Y", "1030 05.11.2026"),
]
GARBAGE: list[tuple[str, Any]] = [
    ("Auto", "Never"),
    ("Auto", "17"),
    ("Auto", "12:30"),
    ("Auto", "1970-1-1"),
    ("Auto", "-"),
    ("Auto", True),
    ("Auto", False),
    ("%d.%m.%Y", "99.99.1970"),
    ("%d.%m.%Y", 17),
]


@pytest.mark.parametrize(("form", "value"), NEVER)
def test_a_value_that_no_activity_can_have_is_never(form, value):
    assert Never(stamp(form)).means(value)
    assert reader(stamp(form)).read(value) is None
    assert Never(stamp(form)).cleaned([value, value]) == [None, None]


@pytest.mark.parametrize(("form", "value"), TIMES)
def test_a_time_since_1990_is_one(form, value):
    assert not Never(stamp(form)).means(value)
    assert reader(stamp(form)).read(value) is not None
    assert Never(stamp(form)).cleaned([value, None]) == [value, None]


@pytest.mark.parametrize(("form", "value"), GARBAGE)
def test_what_is_no_time_stays_an_error(form, value):
    assert not Never(stamp(form)).means(value)
    with pytest.raises(BadStampError):
        reader(stamp(form)).read(value)


def test_further_values_are_declared_as_the_product_writes_them():
    never = Never(stamp("Auto", "Never", "9999-12-31T23:59:59Z", "99"))
    assert never.cleaned(["Never", "9999-12-31T23:59:59Z", 99, "never", SEEN]) == [
        *(None, None, None),
        *("never", SEEN),
    ]


@given(st.lists(st.sampled_from([value for form, value in NEVER + TIMES if form == "Auto"])))
def test_a_whole_column_is_cleaned_as_each_value_of_it(column):
    never = Never(stamp())
    assert never.cleaned(column) == [None if never.means(one) else one for one in column]


# -- of a listing --


def listed(serve, *rows: dict[str, Any], **fields: Any) -> PollResult:
    everybody = [{"id": n, **row} for n, row in enumerate(rows)]
    return poll(serve(answer({"value": everybody})).port, source(**fields))


@pytest.mark.parametrize(
    "value", ["0000-00-00 00:00:00", "0001-01-01T00:00:00", -1, "0", "1970-01-01T01:00:00+01:00"]
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_one_such_row_fails_no_list(serve, value, zone):
    users = {"lastActive": {"path": "seen", "naiveTimezone": zone}}
    result = listed(serve, {"seen": SEEN}, {"seen": value}, users=users)
    assert (result.failure, result.complete, result.counted) == (None, True, 1)
    assert result.skipped == {"NeverActive": 1}


@pytest.mark.parametrize("value", ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", -62135596800])
def test_a_product_that_records_nobody_is_never_counted_as_zero(serve, value):
    result = listed(serve, *[{"seen": value}] * 5)
    assert (result.failure, result.complete) == (None, False)
    assert result.incomplete.reason == "NobodyStamped"
    assert "for 5 of them seen holds a value that no activity can have" in result.hint


@pytest.mark.parametrize("value", ["Never", "9999-12-31T23:59:59Z"])
def test_what_else_means_never_is_declared(serve, value):
    rows = ({"seen": SEEN}, {"seen": value})
    refused = listed(serve, *rows)
    assert refused.failure.needs_a_person
    assert "users.lastActive.never" in refused.failure.message
    declared = {"lastActive": {"path": "seen", "never": [value]}}
    result = listed(serve, *rows, users=declared)
    assert (result.complete, result.counted) == (True, 1)


CREATED = {"createdAt": {"path": "made"}}


def test_a_time_clearly_before_the_creation_is_none(serve):
    """A default that somebody chose: no epoch, and no activity either."""
    rows = [{"seen": "2000-01-01T00:00:00Z", "made": "2026-03-01T10:00:00Z"}] * 3
    result = listed(serve, *rows, users=CREATED)
    assert result.incomplete.reason == "NobodyStamped"


def test_a_time_before_the_creation_that_may_be_one_stays_possible(serve):
    """Of an imported user the old product's stamp may be true: neither proof nor ruled out."""
    rows = ({"seen": "2026-11-03T10:00:00Z", "made": "2026-11-10T10:00:00Z"}, {"seen": SEEN})
    everybody = [{"id": n, "made": "2026-01-01T00:00:00Z", **row} for n, row in enumerate(rows)]
    served = serve(answer({"value": everybody}, headers={"Date": None}))
    read = source(users=CREATED, guarantees={"clockSkewSeconds": 1})
    clock = type("Late", (), {"now_ms": lambda _: CLOSED})()
    result = poll(served.port, read, clock=clock, cycles=(CycleRequest(CYCLE),))
    facts = result.facts[CYCLE.index]
    assert result.complete
    possible = [user for user, word in facts.maybe.items() if word >> CYCLE_BIT & 1]
    assert (len(facts.sure), len(possible)) == (1, 1)
    assert possible[0] not in facts.sure


@pytest.mark.parametrize("seen", ["2026-11-10T07:00:00Z", "2026-11-09T12:00:00Z"])
def test_a_time_slightly_before_the_creation_is_an_activity(serve, seen):
    """Two clocks, two zones, or a day written as its midnight: no activity is hidden by them."""
    result = listed(serve, {"seen": seen, "made": "2026-11-10T08:00:00Z"}, users=CREATED)
    assert (result.complete, result.counted) == (True, 1)


def test_last_activity_that_is_the_creation_for_everybody_is_nobodys(serve):
    rows = [
        {"seen": f"2026-11-{n:02}T10:00:00Z", "made": f"2026-11-{n:02}T10:00:00Z"} for n in (5, 6)
    ]
    result = listed(serve, *rows, users=CREATED)
    assert result.incomplete.reason == "NobodyStamped"


def test_a_value_that_is_never_proves_nobody_inactive_where_ids_are_reused(serve):
    """Whoever had the id before may have been active: as with null (MEASUREMENT §3.9)."""
    for value in (None, "1970-01-01T00:00:00Z", "2000-01-01T00:00:00Z"):
        everybody = [
            {"id": 1, "seen": SEEN, "made": "2026-01-01T00:00:00Z"},
            {"id": 2, "seen": value, "made": "2026-11-12T00:00:00Z"},
        ]
        served = serve(answer({"value": everybody}, headers={"Date": None}))
        promised = {"removal": "ListedOnce", "idReuse": "Possible", "clockSkewSeconds": 1}
        read = source(users=CREATED, guarantees=promised)
        clock = type("Late", (), {"now_ms": lambda _: CLOSED})()
        cycles = (CycleRequest(CYCLE, roster=True),)
        roster = poll(served.port, read, clock=clock, cycles=cycles).facts[CYCLE.index].roster
        assert roster is not None
        assert (len(roster.open), len(roster.inactive)) == (32, 0)


# -- what `source check` advises --


def advised(serve, rows: list[dict[str, Any]], **more: Any) -> tuple[str, ...]:
    served = serve(answer({"value": [{"id": n, **row} for n, row in enumerate(rows)]}))
    return poll(served.port, source(**more), advise=True).notes


SHOWN_AS_ACTIVE = [
    {"about": {"insertInstant": 1_793_900_000_123}, "seen": 1_793_900_000_131},
    {"about": {"insertInstant": 1_793_900_000_123}, "seen": 1_794_700_000_000},
    {"about": {"insertInstant": 1_793_900_500_000}, "seen": 1_793_900_500_000},
]


def test_a_last_activity_that_is_the_creation_is_told_with_the_member_to_declare(serve):
    (note,) = advised(serve, SHOWN_AS_ACTIVE)
    assert "of 2 of 3 users is that of about.insertInstant" in note
    assert "declare users.createdAt.path about.insertInstant" in note


def test_a_large_answer_is_looked_at_by_its_first_piece(serve):
    rows = [{"created": f"2026-11-{1 + n % 9:02}T10:00:{n % 60:02}Z"} for n in range(30_000)]
    (note,) = advised(serve, [{**row, "seen": row["created"]} for row in rows])
    assert "users.createdAt.path created" in note


def test_nothing_is_advised_where_it_is_declared_or_not_so(serve):
    declared = {"createdAt": {"path": "about.insertInstant", "toleranceSeconds": 1}}
    assert advised(serve, SHOWN_AS_ACTIVE, users=declared) == ()
    assert advised(serve, [*SHOWN_AS_ACTIVE[:1], *[{"seen": SEEN, "created": "x"}] * 2]) == ()
    assert poll(serve(answer({"value": SHOWN_AS_ACTIVE})).port).notes == ()
