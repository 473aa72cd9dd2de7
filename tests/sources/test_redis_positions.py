"""Where a Redis stream is read on, rule by rule: what a position and the server's counters prove.

An entry each hour was read until 9:00, at 10:00, eleven with the one of the day before. What the
server says then is made up; no stream need be able to come into each of these states.
"""

from dataclasses import replace

import pytest

from licenseusage.metering.cycles import DAY_MS
from licenseusage.metering.events import LogPosition
from licenseusage.sources.clockskew import LARGEST_MS
from licenseusage.sources.logs.messages import Batch, Message
from licenseusage.sources.logs.redis.entries import NO_ENTRY, EntryId, Mark, StreamState, mark_of
from licenseusage.sources.logs.redis.trail import EntryTrail
from licenseusage.sources.logs.trail import LateError, RestartError
from tests.sources.simulatedlog import CYCLE, DECLARED, LAG_MS, START, hour

EVE = EntryId(START - DAY_MS)


def at(number: int) -> EntryId:
    return EntryId(hour(number))


READ = at(9)
COUNTED = 11
AS_READ = StreamState("run-0", 0, COUNTED, COUNTED, EVE, READ)
AT_THE_END = LogPosition("s", "run-0", COUNTED, READ.ms, START, str(Mark(READ, asked_ms=at(10).ms)))
IN_THE_MIDDLE = replace(AT_THE_END, sequence=0, mark=str(Mark(READ)))
"""More was there than one poll may read: how many had been added then is not known."""


def trail(state: StreamState, position: LogPosition | None = AT_THE_END) -> EntryTrail:
    """A reading at 20:00 of a server that keeps every entry."""
    asked = "s", CYCLE, DECLARED, position, at(20).ms, 1000, False
    return EntryTrail(*asked, state, durable=True)


def take(reading: EntryTrail, *entries: EntryId, seen: StreamState | None = None) -> list[bool]:
    """Give it a batch of entries, with what the server tells after it."""
    messages = [Message(entry, entry.ms, b"") for entry in entries]
    reading.look(Batch(messages, seen or reading.state))
    return [reading.took(message) for message in messages]


def reasons(reading: EntryTrail) -> list[str]:
    found = reading.reading(ahead_ms=0, ended=True)
    return [] if found is None else [hole.reason for hole in found.holes]


def goes_on(reading: EntryTrail) -> bool:
    """Whether it begins with the entry that was read last."""
    return (reading.start, reading.before) == (READ, False)


# -- whether it is the stream that was read --


@pytest.mark.parametrize("position", [AT_THE_END, IN_THE_MIDDLE])
def test_a_stream_whose_newest_entry_was_read_goes_on_and_has_nothing_to_read(position):
    reading = trail(AS_READ, position)
    assert goes_on(reading)
    assert reading.idle
    assert reasons(reading) == []


def test_fewer_entries_ever_added_than_were_counted_are_a_stream_that_was_set_back():
    """Though its newest entry is newer, and it holds all that was added to it."""
    reading = trail(StreamState("run-0", 0, COUNTED - 1, COUNTED - 1, EVE, at(12)))
    assert not goes_on(reading)
    assert reading.start < READ
    assert take(reading, EVE, at(12)) == [False, True]
    assert reasons(reading) == ["StreamWentBack"]


def test_the_same_newest_entry_with_another_count_is_another_stream():
    reading = trail(replace(AS_READ, added=COUNTED + 2))
    assert not goes_on(reading)
    assert not reading.idle
    assert take(reading, EVE, READ) == [False, True]
    assert "StreamWentBack" in reasons(reading)


@pytest.mark.parametrize("position", [AT_THE_END, IN_THE_MIDDLE])
def test_a_newest_entry_before_the_one_that_was_read_is_a_stream_that_was_set_back(position):
    reading = trail(StreamState("run-0", 0, 20, 20, EVE, at(5)), position)
    assert not goes_on(reading)
    assert take(reading, EVE, at(5)) == [False, True]
    assert "StreamWentBack" in reasons(reading)


def test_a_stream_made_anew_whose_entries_are_all_newer_is_read_from_its_first():
    reading = trail(StreamState("run-0", 0, 2, 2, at(11), at(12)))
    assert (reading.start, reading.before) == (at(11), False)
    assert take(reading, at(11), at(12)) == [True, True]
    assert reasons(reading) == ["StreamRecreated"]


# -- the entry that was read last is not there --


def gone(
    first: EntryId | None,
    *,
    added: int = COUNTED + 3,
    length: int = 3,
    deleted: EntryId = NO_ENTRY,
    position: LogPosition = AT_THE_END,
) -> EntryTrail:
    """The batch from the entry read last on begins with a later one, at 11:00."""
    state = StreamState("run-0", 0, length, added, first, at(13), deleted)
    reading = trail(state, position)
    assert goes_on(reading)
    assert take(reading, at(11), at(12), at(13)) == [True] * 3
    return reading


def test_trimming_exactly_what_was_read_loses_nothing():
    assert reasons(gone(at(11))) == []


def test_trimming_more_than_was_read_is_a_loss():
    assert reasons(gone(at(11), added=COUNTED + 4)) == ["StreamLimited"]


def test_a_first_entry_that_was_not_sent_is_a_loss():
    """It was removed between the two answers."""
    assert reasons(gone(at(10))) == ["StreamLimited"]


def test_without_a_count_trimming_is_a_loss():
    assert reasons(gone(at(11), position=IN_THE_MIDDLE)) == ["StreamLimited"]


def test_the_entry_that_was_read_last_was_deleted_by_hand():
    assert reasons(gone(at(11), deleted=READ)) == ["MessagesDeleted"]


@pytest.mark.parametrize("first", [EVE, READ])
def test_older_entries_are_there_and_the_one_that_was_read_is_not_which_nothing_explains(first):
    with pytest.raises(RestartError):
        gone(first, position=IN_THE_MIDDLE)


def test_fewer_were_added_since_than_there_are_now_which_nothing_explains():
    with pytest.raises(RestartError):
        gone(at(11), added=COUNTED + 2)


# -- on the way, and in the end --


def test_an_entry_that_comes_later_than_its_id_says_is_refused():
    position = replace(AT_THE_END, mark=str(Mark(at(5), asked_ms=at(10).ms)), stored_ms=at(5).ms)
    latest = EntryId(at(10).ms - LAG_MS - LARGEST_MS)
    for entry, late in ((latest, False), (EntryId(latest.ms - 1), True)):
        reading = trail(StreamState("run-0", 0, COUNTED + 1, COUNTED + 1, EVE, entry), position)
        take(reading, at(5))
        if late:
            with pytest.raises(LateError):
                take(reading, at(5), entry)
        else:
            assert take(reading, at(5), entry) == [False, True]


def test_entries_that_were_added_while_it_was_read_are_counted_too():
    """So that the next reading finds as many as were ever added."""
    reading = trail(StreamState("run-0", 0, COUNTED + 1, COUNTED + 1, EVE, at(11)))
    assert take(reading, READ, at(11), at(12), at(13)) == [False, True, True, True]
    found = reading.reading(ahead_ms=0, ended=True)
    assert found is not None
    assert found.after.sequence == COUNTED + 3
    assert mark_of(found.after.mark) == (at(13), at(20).ms)
    now = StreamState("run-0", 0, COUNTED + 3, COUNTED + 3, EVE, at(13))
    assert trail(now, found.after).idle


def test_a_stream_with_one_entry_from_before_the_cycle_was_read_to_its_end():
    reading = trail(StreamState("run-0", 0, 1, 1, EVE, EVE), None)
    assert (reading.before, reading.idle) == (True, False)
    assert take(reading, EVE) == [False]
    found = reading.reading(ahead_ms=0, ended=True)
    assert found is not None
    assert (found.behind, found.holes, found.after.sequence) == (False, (), 1)
