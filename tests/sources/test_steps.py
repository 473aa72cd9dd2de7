"""Times that are coarser than their notation are taken as that coarse (MEASUREMENT §3.10)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS
from licenseusage.metering.facts import Facts, merge
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.sources.definition.model import Stamp
from licenseusage.sources.definition.timestamps import reader
from licenseusage.sources.lists.columns import Columns
from licenseusage.sources.lists.steps import HOUR_MS, LONGEST_DAY_MS, MINUTE_MS, Steps
from licenseusage.sources.lists.tally import Tally
from licenseusage.sources.poll import CycleRequest, PollResult
from tests.sources.product import CYCLE, answer, poll, source

CLOSED_MS = CYCLE.end_ms + 2 * HOUR_MS
PSEUDONYMS = Pseudonymiser(b"k" * 32, "app", CYCLE.start_ms // 1000)
START = datetime.fromtimestamp(CYCLE.start_ms / 1000, UTC)


def found(values: list[Any], form: str = "Auto", zone: str = "UTC", declared_ms: int = 1000) -> int:
    stamp = Stamp(path="x", format=form, naive_timezone=zone, granularity_ms=declared_ms)
    steps = Steps(stamp, reader(stamp))
    for at in range(0, len(values), 7):
        steps.add(values[at : at + 7])
    return steps.found_ms()


def every(step: timedelta, count: int = 20, first: str = "2026-10-20T00:00:00Z") -> list[str]:
    begin = datetime.fromisoformat(first)
    return [(begin + n * step).strftime("%Y-%m-%dT%H:%M:%SZ") for n in range(count)]


DAYS = timedelta(days=1)


@pytest.mark.parametrize(
    ("values", "step_ms"),
    [
        (every(DAYS), DAY_MS),
        (every(DAYS, first="2026-11-05T08:00:00Z"), LONGEST_DAY_MS),
        (every(DAYS, first="2026-11-05T23:59:59Z"), LONGEST_DAY_MS),
        (["2026-11-05T08:00:00Z"] * 20, LONGEST_DAY_MS),
        (every(timedelta(hours=5)), HOUR_MS),
        (every(timedelta(hours=5), first="2026-11-05T00:30:00Z"), HOUR_MS),
        (every(timedelta(minutes=7)), MINUTE_MS),
        (every(timedelta(seconds=61)), 1000),
        (every(DAYS, 19), 1000),
        ([*every(DAYS, 30), "2026-11-05T00:00:01Z"], 1000),
        ([], 1000),
    ],
)
def test_the_coarsest_grid_that_all_times_lie_on_is_taken(values, step_ms):
    assert found(values) == step_ms


def test_days_of_a_zone_are_days_also_where_summer_time_ends():
    """Local midnights written in UTC: 07:00 until the change, 08:00 after it."""
    zone = ZoneInfo("America/Los_Angeles")
    days = [datetime(2026, 10, 22, tzinfo=zone) + n * DAYS for n in range(20)]
    assert found([day.astimezone(UTC).isoformat() for day in days]) == LONGEST_DAY_MS
    assert found([int(day.timestamp()) for day in days]) == LONGEST_DAY_MS


def test_times_of_summer_with_their_zone_are_seen_as_well():
    winter = [f"2026-11-{day:02} 08:00:00 CET" for day in range(1, 21)]
    summer = [f"2026-10-{day:02} 08:{day}:{day} CEST" for day in range(10, 20)]
    assert found([*winter, *summer], zone="Europe/Berlin") == 1000
    assert found(winter, zone="Europe/Berlin") == LONGEST_DAY_MS


def test_midnights_of_many_zones_are_days():
    offsets = [f"2026-11-{3 + n:02}T00:00:00{n % 12 - 5:+03}:00" for n in range(24)]
    assert found(offsets) == LONGEST_DAY_MS


def test_a_declared_granularity_is_never_refined():
    assert found(every(timedelta(minutes=7)), declared_ms=HOUR_MS) == HOUR_MS
    assert found(every(DAYS), declared_ms=DAY_MS) == DAY_MS
    assert (
        found(
            ["2026-11-05 10:00"] * 9 + ["2026-11-06 12:00"] * 11,
            "%Y-%m-%d %H:%M",
            declared_ms=MINUTE_MS,
        )
        == HOUR_MS
    )


@pytest.mark.parametrize("declared_ms", [1000, HOUR_MS, DAY_MS])
def test_times_that_cannot_be_read_show_nothing(declared_ms):
    assert found(["soon"] * 20, declared_ms=declared_ms) == declared_ms


def test_a_list_of_nobody_with_a_time_is_read_where_hours_are_declared(serve):
    stamp = {"path": "seen", "granularity": "Hour"}
    rows = grouped([{"id": 1, "seen": None}], [{"id": 2, "seen": None}])
    leave = {"lastActive": stamp, "exclude": "group == 'bots'"}
    assert closing(serve, rows, leave=leave).skipped == {"NeverActive": 1, "Excluded": 1}


@given(
    st.lists(st.integers(0, 60 * 24 * 200), min_size=20, max_size=40),
    st.sampled_from([1, 60, 24 * 60]),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"]),
    st.booleans(),
)
def test_whatever_truncates_times_is_found(minutes, step, zone, in_utc):
    """The activity lies in [v, v + g) for the granularity that is found, whichever zone cuts."""
    place = ZoneInfo(zone)
    times = [datetime(2026, 7, 3, tzinfo=UTC) + timedelta(minutes=m, seconds=17) for m in minutes]
    shown = []
    for time in times:
        local = time.astimezone(place).replace(second=0)
        if step >= 60:
            local = local.replace(minute=0)
        if step > 60:
            local = local.replace(hour=0)
        shown.append(local.astimezone(UTC) if in_utc else local)
    widest = timedelta(milliseconds=found([one.isoformat() for one in shown]))
    for time, value in zip(times, shown, strict=True):
        assert value <= time < value + widest


# -- of a listing --


def closing(
    serve, rows: list[dict[str, Any]], *, leave: dict[str, Any] | None = None, **promised: Any
) -> PollResult:
    served = serve(answer({"value": rows}, headers={"Date": None}))
    users = {"id": "id", "lastActive": {"path": "seen"}, **(leave or {})}
    read = source(users=users, guarantees={"clockSkewSeconds": 1, **promised})
    clock = type("Late", (), {"now_ms": lambda _: CLOSED_MS})()
    roster = promised.get("removal") == "ListedOnce"
    return poll(served.port, read, clock=clock, cycles=(CycleRequest(CYCLE, roster=roster),))


def possible(facts: Facts) -> int:
    return sum(1 for word in facts.maybe.values() if word >> CYCLE_BIT & 1)


def local_days(before: int, within: int) -> list[dict[str, Any]]:
    """Users last active on some day of a place where it begins at 08:00 UTC."""
    first = START + timedelta(hours=8)
    days = [first - n * DAYS for n in range(1, before + 1)]
    days += [first + n * DAYS for n in range(within)]
    return [{"id": n, "seen": day.isoformat()} for n, day in enumerate(days)]


def test_days_written_as_instants_prove_no_more_than_the_day(serve):
    """Seen on the day that straddles the cycle's start or end: nobody knows on which side."""
    result = closing(serve, local_days(before=5, within=30))
    facts = result.facts[CYCLE.index]
    assert result.complete
    assert (len(facts.sure), possible(facts)) == (29, 2)
    assert "all 35 times at seen lie on whole days" in result.notes[0]
    assert "granularity Day" in result.notes[0]


def grouped(people: list[dict[str, Any]], others: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those who count, and members of the group that the source excludes."""
    return [one | {"group": "a"} for one in people] + [one | {"group": "bots"} for one in others]


@pytest.mark.parametrize("leave", [{"exclude": "group == 'bots'"}, {"excludeIds": "others"}])
def test_times_of_excluded_rows_show_how_coarse_those_of_the_people_are(serve, leave):
    """Too few people are left to show it, but the product writes all times in the same way."""
    rows = local_days(before=5, within=30)
    others = rows[:5] + rows[-15:-1]
    if "excludeIds" in leave:
        leave = {"excludeIds": [str(row["id"]) for row in others]}
    people = [row for row in rows if row not in others]
    listed = grouped(people, others)
    result = closing(serve, listed, leave=leave)
    facts = result.facts[CYCLE.index]
    assert (len(people), len(facts.sure), possible(facts)) == (16, 15, 1)
    assert "all 35 times at seen lie on whole days" in result.notes[0]


def test_times_of_excluded_rows_do_not_hide_how_coarse_those_of_the_people_are(serve):
    bots = [{"id": f"bot-{n}", "seen": f"2026-11-05T10:00:{n:02}Z"} for n in range(9)]
    listed = grouped(local_days(before=5, within=30), bots)
    facts = closing(serve, listed, leave={"exclude": "group == 'bots'"}).facts[CYCLE.index]
    assert (len(facts.sure), possible(facts)) == (29, 2)


moments = st.integers(-3 * 24 * 60, 32 * 24 * 60).map(lambda m: START + timedelta(minutes=m))


@given(
    st.lists(st.lists(moments, min_size=1, max_size=3), min_size=20, max_size=24),
    st.lists(moments, max_size=3),
    st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata"]),
    st.sampled_from([24, 1]),
)
def test_what_polls_of_coarse_times_say_together_holds(activities, polls, zone, hours):
    """Of any number of polls, as fine as each found: who is sure was active, and no one is lost."""
    place = ZoneInfo(zone)
    read = source(users={"id": "id"}, guarantees={"lagSeconds": 0})
    together: Facts | None = None
    for now in [*sorted(polls), START + timedelta(days=33)]:
        known = {n: [at for at in times if at <= now] for n, times in enumerate(activities)}
        rows = [(str(n), cut(max(times), place, hours)) for n, times in known.items() if times]
        tally = Tally(read, (CycleRequest(CYCLE),), lambda _: PSEUDONYMS)
        tally.add(Columns([name for name, _ in rows], [shown for _, shown in rows]))
        now_ms = int(now.timestamp() * 1000)
        (made,) = tally.facts(
            started_ms=now_ms, ended_ms=now_ms, clock_skew_ms=0, complete=True, one_page=False
        )
        # Fewer than twenty are believed: only polls that could see the grid are judged.
        if len(rows) >= 20:
            together = made if together is None else merge(together, made)
    assert together is not None
    truth = {
        PSEUDONYMS(str(n))
        for n, times in enumerate(activities)
        if any(CYCLE.start_ms <= at.timestamp() * 1000 < CYCLE.end_ms for at in times)
    }
    assert set(together.sure) <= truth
    assert not together.refuted
    assert truth <= set(together.sure) | set(together.maybe)


def cut(at: datetime, place: ZoneInfo, hours: int) -> str:
    """The beginning of the local day or hour, as an instant in UTC."""
    local = at.astimezone(place).replace(minute=0, second=0)
    return (local.replace(hour=0) if hours > 1 else local).astimezone(UTC).isoformat()


def test_fewer_than_twenty_are_believed(serve):
    result = closing(serve, local_days(before=2, within=10))
    assert (len(result.facts[CYCLE.index].sure), result.notes) == (10, ())


def test_a_roster_holds_those_of_the_straddling_day_as_possible_only(serve):
    result = closing(serve, local_days(before=5, within=25), removal="ListedOnce")
    roster = result.facts[CYCLE.index].roster
    assert roster is not None
    assert (len(roster.open) // 16, len(roster.inactive) // 16) == (26, 4)


def test_who_was_last_seen_before_the_cycle_is_ruled_out_as_before_where_times_are_fine(serve):
    """Rows are kept for a day more, in case: it costs no bound."""
    rows = local_days(before=5, within=25)
    rows[7]["seen"] = (START + timedelta(days=3, seconds=1)).isoformat()
    facts = closing(serve, rows).facts[CYCLE.index]
    assert (len(facts.sure), possible(facts)) == (25, 0)
    roster = closing(serve, rows, removal="ListedOnce").facts[CYCLE.index].roster
    assert roster is not None
    assert (len(roster.open) // 16, len(roster.inactive) // 16) == (25, 5)


def test_everybody_at_the_same_time_is_worth_a_hint(serve):
    rows = [{"id": n, "seen": "2026-11-10T08:15:27.5Z"} for n in range(20)]
    (note,) = closing(serve, rows).notes
    assert "all 20 users have the same last activity at seen" in note
