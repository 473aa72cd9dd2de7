"""The proof that pages of a log leave nothing out, page by page."""

import pytest

from licenseusage.metering.events import Range
from licenseusage.sources.logs.ranged.walk import Broken, BrokenWalkError, Stamped, Walk

NEWEST = Range(100, 200)


def events(*stamps: int) -> list[Stamped]:
    return [Stamped(stamp, 0, stamp) for stamp in stamps]


def walk(*, newest_first: bool = True, by_offset: bool = True, stretch: Range = NEWEST) -> Walk:
    return Walk(stretch, newest_first=newest_first, by_offset=by_offset)


def broken(made: Walk, page: list[Stamped], **more) -> Broken:
    with pytest.raises(BrokenWalkError) as caught:
        made.take(page, **more)
    return caught.value.what


def test_a_page_that_reaches_beyond_the_stretch_ends_it():
    made = walk()
    made.take(events(190, 150, 99))
    assert made.done
    assert made.known == NEWEST


def test_the_next_page_begins_with_the_event_before_the_last_one():
    made = walk()
    made.take(events(190, 180, 170, 160))
    assert (made.offset, made.done) == (2, False)
    assert made.known == Range(161, 200)


def test_events_that_were_added_meanwhile_only_come_again():
    made = walk()
    made.take(events(190, 180, 170, 160))
    made.take(events(180, 170, 160, 150))  # at offset 2, after one more was written
    assert made.known == Range(151, 200)


def test_events_that_were_removed_meanwhile_are_noticed():
    made = walk()
    made.take(events(190, 180, 170, 160))
    assert broken(made, events(160, 150, 140)) is Broken.MOVED
    assert made.known == Range(161, 200)


def test_a_log_that_was_cleared_meanwhile_is_noticed():
    made = walk()
    made.take(events(190, 180, 170, 160))
    assert broken(made, []) is Broken.MOVED


def test_events_that_end_a_log_and_are_gone_before_its_end_are_noticed():
    """A backup is restored between two pages: what was behind the last event is gone as well."""
    made = walk(newest_first=False)
    made.take(events(110, 120, 130))
    made.take(events(120))
    assert broken(made, []) is Broken.MOVED
    assert made.known == Range(100, 130)


def test_events_that_were_removed_between_others_are_noticed_from_either_end():
    for newest_first, first, then in (
        (False, (110, 120, 130), (120, 140)),
        (True, (190, 180, 170), (180, 160)),
    ):
        made = walk(newest_first=newest_first)
        made.take(events(*first))
        assert broken(made, events(*then)) is Broken.MOVED


def test_the_oldest_events_may_expire_before_the_end_of_a_log_that_begins_with_the_newest():
    made = walk()
    made.take(events(190, 180, 170))
    made.take(events(180))
    made.take([])
    assert made.known == NEWEST


def test_nothing_ends_by_a_short_page():
    made = walk()
    made.take(events(190, 180, 170))
    made.take(events(180, 170))
    assert not made.done
    made.take([])
    assert made.done
    assert made.known == NEWEST


def test_a_total_ends_a_log_at_once_and_a_greater_one_contradicts_its_end():
    made = walk()
    made.take(events(190, 180, 170), total=3)
    assert made.done
    other = walk()
    other.take(events(190), total=2)
    assert broken(other, [], total=2) is Broken.MOVED


def test_events_of_one_time_are_read_together_with_an_earlier_one():
    """In each answer they may come in another order."""
    made = walk()
    made.take([*events(190, 180), Stamped(170, 0, 1), Stamped(170, 0, 2)])
    assert made.offset == 1
    made.take([*events(180), Stamped(170, 0, 2), Stamped(170, 0, 3), Stamped(170, 0, 1)])
    assert made.known.start_ms == 171
    assert broken(made, [Stamped(170, 0, 4)]) is Broken.TIED


def test_an_hour_that_happened_twice_may_come_in_either_order():
    made = walk()
    made.take([Stamped(150, 20, 1), Stamped(160, 0, 2)])
    assert broken(walk(), events(150, 160)) is Broken.UNSORTED


def test_the_same_page_again_and_again_is_no_way_on():
    made = walk()
    page = events(190, 180, 170, 160)
    made.take(page)
    made.take(page)
    made.take(page)
    assert broken(made, page) is Broken.IGNORED


def test_oldest_first_is_known_up_to_the_last_event():
    made = walk(newest_first=False)
    made.take(events(110, 120, 130))
    assert made.known == Range(100, 130)
    made.take(events(120, 130, 220))
    assert made.done
    assert made.known == NEWEST


def test_without_an_offset_the_range_is_narrowed_to_the_last_event():
    made = walk(by_offset=False)
    made.take(events(190, 180, 170), more=True)
    assert made.asked == Range(100, 171)
    made.take(events(170, 160), more=False)
    made.take(events(160), more=False)
    assert made.done
    assert made.known == NEWEST
    other = walk(newest_first=False, by_offset=False)
    other.take(events(110, 120))
    assert other.asked == Range(120, 200)


def test_a_narrowed_range_must_hold_the_event_at_its_end():
    made = walk(by_offset=False)
    made.take(events(190, 180, 170))
    assert broken(made, events(160, 150)) is Broken.MOVED
    assert broken(made, []) is Broken.MOVED


def test_an_answer_that_may_be_cut_and_brings_nothing_new_does_not_end_a_log():
    for more in (True, None):
        made = walk(by_offset=False)
        made.take([Stamped(190, 0, n) for n in range(12)], more=more)
        assert broken(made, [Stamped(190, 0, n) for n in range(12)], more=more) is Broken.TIED


def test_a_log_without_events_is_known():
    made = walk()
    made.take([])
    assert made.done
    assert made.known == NEWEST
