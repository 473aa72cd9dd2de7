"""What has to be shown of an unread stretch of a log over HTTP: was it kept at the time?"""

import pytest

from licenseusage.metering.events import Hole, LogPosition, LogState, Range
from licenseusage.sources.logs.ranged.gaps import Gaps
from tests.sources.eventlog import source
from tests.sources.product import CYCLE

HOUR_MS = 3_600_000
NOW_MS = CYCLE.start_ms + 20 * HOUR_MS


def hours(first: int, last: int) -> Range:
    return Range(CYCLE.start_ms + first * HOUR_MS, CYCLE.start_ms + last * HOUR_MS)


def gaps(*ranges: Range, holes: tuple[Hole, ...] = ()) -> Gaps:
    """A log of which this is known, with a remembered event at the end of it."""
    until_ms = ranges[-1].end_ms
    position = LogPosition("log", "", 0, stored_ms=until_ms - 1, until_ms=until_ms, mark="7" * 16)
    return Gaps(
        name="log",
        cycle=CYCLE,
        properties=source().properties,
        log=LogState(position, ranges, holes),
        asked_ms=NOW_MS,
        until_ms=NOW_MS,
    )


def test_between_known_stretches_the_remembered_event_shows_it():
    made = gaps(hours(-1, 2), hours(5, 8))
    assert made.todo[0] == hours(2, 5)
    assert made.opening is None


def test_before_all_known_stretches_nothing_shows_it():
    assert gaps(hours(5, 8)).opening is not None


@pytest.mark.parametrize("reason", ["LogWentBack", "LogBegan", "EventsNotRecorded"])
def test_after_a_loss_nothing_from_before_it_shows_it(reason):
    made = gaps(hours(-1, 2), hours(5, 8), holes=(Hole(*hours(2, 3), reason),))
    assert made.todo[0] == hours(3, 5)
    assert made.opening == hours(3, 5)


def test_after_a_stretch_that_was_known_since_the_loss_it_is_shown_again():
    made = gaps(hours(-1, 2), hours(3, 4), hours(6, 8), holes=(Hole(*hours(2, 3), "LogWentBack"),))
    assert made.todo[0] == hours(4, 6)
    assert made.opening is None


def test_events_that_expired_or_cannot_be_read_are_no_such_loss():
    for reason in ("LogExpired", "EventsUnreadable"):
        made = gaps(hours(-1, 2), hours(5, 8), holes=(Hole(*hours(2, 3), reason),))
        assert made.opening is None
