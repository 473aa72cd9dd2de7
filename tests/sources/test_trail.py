"""What a reading of a stream claims is true, whatever happens to the stream between and before.

The rule is that of `simulatedlog`.
"""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.metering.cycles import DAY_MS
from licenseusage.metering.events import LogPosition, Range
from licenseusage.sources.logs.messages import Message
from licenseusage.sources.logs.numbered import NumberedTrail, StreamState
from licenseusage.sources.logs.trail import MARGIN_MS, Trail, open_holes
from tests.sources.simulatedlog import (
    CYCLE,
    DECLARED,
    LAG_MS,
    MINUTE_MS,
    SKEW_MS,
    START,
    Life,
    Remembered,
    check_lives,
    hour,
)


@dataclass
class Stream:
    """A stream: sequence -> (stored, stamp) of what it holds, and every stamp ever written."""

    created_ms: int
    held: dict[int, tuple[int, int]] = field(default_factory=dict)
    last_seq: int = 0
    last_ms: int | None = None
    written: list[tuple[int, int]] = field(default_factory=list)  # (stored, stamp), also if lost
    limits: tuple[str, ...] = ()
    first_floor: int = 1

    def store(self, at_ms: int, stamp: int) -> None:
        self.last_seq += 1
        self.held[self.last_seq] = (at_ms, stamp)
        self.last_ms = at_ms
        self.written.append((at_ms, stamp))

    def remove(self, sequences) -> None:
        for sequence in sequences:
            self.held.pop(sequence, None)
        while self.first_floor <= self.last_seq and self.first_floor not in self.held:
            self.first_floor += 1

    def state(self) -> StreamState:
        first = self.first_floor if self.held else self.last_seq + 1
        return StreamState(
            created=str(self.created_ms),
            created_ms=self.created_ms,
            first_seq=first,
            first_ms=self.held[first][0] if self.held else None,
            last_seq=self.last_seq,
            last_ms=self.last_ms,
            punctured=len(self.held) < self.last_seq - first + 1,
            limited=bool(self.limits),
        )


class Reader(Remembered):
    """Reads as a session does, up to ``most`` messages at a time."""

    def reads(self, stream: Stream) -> bool:
        return self.position is not None and self.position.created == str(stream.created_ms)

    def poll(self, stream: Stream, now_ms: int, most: int) -> Trail:
        asked = "main-queue", CYCLE, DECLARED, self.position, now_ms, SKEW_MS
        state = stream.state()
        return self.read(
            lambda again: NumberedTrail(*asked, again, state),
            lambda trail: self._read(stream, trail, most),
        )

    def _read(self, stream: Stream, trail: Trail, most: int) -> bool:
        if trail.idle:
            return True
        held = sorted(stream.held.items())

        def from_(sequence):
            return [one for one in held if one[0] >= sequence]

        if trail.start.sequence is not None:
            waiting = from_(trail.start.sequence)
        else:
            waiting = [one for one in held if one[1][0] >= trail.start.time_ms]
            before = trail.predecessor(waiting[0][0] if waiting else None)
            if before is not None:
                waiting = from_(before)
        for number, (sequence, (stored, stamp)) in enumerate(waiting):
            if number >= most:
                return False
            if trail.took(Message(sequence, stored, b"")):
                self.seen.add(stamp)
        return True


def trail_of(stream: Stream, position: LogPosition | None, now_ms: int) -> NumberedTrail:
    asked = "main-queue", CYCLE, DECLARED, position, now_ms, SKEW_MS
    return NumberedTrail(*asked, False, stream.state())


def history(random_: random.Random) -> Life:
    now = START - random_.choice([0, 1, 20, 600]) * MINUTE_MS
    stream, reader = Stream(now - random_.choice([0, 5, 2000]) * MINUTE_MS), Reader()
    everything: list[int] = []
    polling_from = START + random_.choice([0, 0, 700]) * MINUTE_MS
    hurt = went_back = False
    for _ in range(random_.randint(20, 70)):
        now += random_.randint(1, 120) * MINUTE_MS + random_.randrange(1000)
        # The stamp is up to L older than the storing, and a little ahead at most.
        for _ in range(random_.randint(0, 3)):
            stamp = now - random_.randint(0, LAG_MS)
            stream.store(now, stamp)
            everything.append(stamp)
            now += random_.randint(0, 2000)
        match random_.randint(0, 99):
            case 0 if not went_back:
                hurt = True
                stream.remove(list(stream.held))  # purged
            case 1 if not went_back:
                # (Set back, and then forgotten: leaves no trace either.)
                hurt = True
                stream.limits = ("max_msgs 5",)
                stream.remove(sorted(stream.held)[:-5])
            case 2 if stream.held and not went_back:
                hurt = True
                stream.remove(random_.sample(sorted(stream.held), min(2, len(stream.held))))
            case 3:
                hurt, went_back = True, False
                stream = Stream(now)  # recreated
            case 4 if reader.reads(stream) and stream.last_seq >= reader.position.sequence > 2:
                # Restored from a backup that is older than the last reading. (From a newer one:
                # what was written since then and read by nobody leaves no trace.)
                hurt = went_back = True
                stream.last_seq = reader.position.sequence - random_.randint(1, 2)
                stream.held = {s: m for s, m in stream.held.items() if s <= stream.last_seq}
                stream.first_floor = min(stream.held, default=stream.last_seq + 1)
                stream.last_ms = max(
                    (m[0] for m in stream.held.values()), default=stream.created_ms
                )
        if now >= polling_from and random_.random() < 0.5:
            clock = now + random_.randint(-SKEW_MS, SKEW_MS)
            reader.poll(stream, clock, random_.choice([1, 2, 1000, 1000]))
            went_back = False
            reader.check(everything, "")
    return Life(reader, everything, hurt)


@pytest.mark.parametrize("block", range(10))
def test_no_event_in_a_claimed_range_was_missed(block: int):
    check_lives(history, (f"trail-{seed}" for seed in range(block * 100, block * 100 + 100)))


@given(st.integers(0, 2**40))
def test_no_event_in_a_claimed_range_was_missed_whatever_the_seed(seed: int):
    life = history(random.Random(seed))
    life.reader.check(life.written, seed)


# -- each way to lose something, and the words for it --


def fresh() -> tuple[Stream, Reader]:
    """A stream from long before the cycle with an event each hour, read at 10:00."""
    stream, reader = Stream(START - 30 * DAY_MS), Reader()
    stream.store(START - DAY_MS, START - DAY_MS)
    for number in range(10):
        stream.store(hour(number), hour(number))
    reader.poll(stream, hour(10), 1000)
    return stream, reader


def proved(at_ms: int) -> int:
    return at_ms - SKEW_MS - LAG_MS


def test_a_cycle_is_read_from_its_start_and_known_until_the_poll_less_lag_and_skew():
    stream, reader = fresh()
    assert {s for s in reader.seen if s >= START} == {hour(n) for n in range(10)}
    (known,) = reader.ranges
    assert START - MARGIN_MS <= known.start_ms < START
    assert known.end_ms == proved(hour(10))
    assert reader.position == LogPosition(
        "main-queue", stream.state().created, 11, hour(9), proved(hour(10))
    )


def test_the_next_poll_reads_only_what_is_new():
    stream, reader = fresh()
    reader.seen.clear()
    stream.store(hour(11), hour(11))
    reader.poll(stream, hour(12), 1000)
    assert reader.seen == {hour(11)}
    assert reader.ranges[-1].end_ms == proved(hour(12))
    assert reader.holes == ()


def test_a_poll_with_nothing_new_asks_the_server_for_nothing_and_proves_more():
    stream, reader = fresh()
    assert reader.poll(stream, hour(12), 1000).idle
    assert reader.ranges[-1].end_ms == proved(hour(12))


def test_a_reading_that_stops_early_proves_only_up_to_what_it_read():
    stream, reader = Stream(START - DAY_MS), Reader()
    for number in range(10):
        stream.store(hour(number), hour(number))
    reader.poll(stream, hour(20), 4)
    assert reader.ranges[-1].end_ms == proved(hour(3))
    reader.poll(stream, hour(20), 1000)
    assert reader.ranges[-1].end_ms == proved(hour(20))
    assert len(reader.seen) == 10
    assert reader.holes == ()


def test_a_purge_after_everything_was_read_loses_nothing():
    stream, reader = fresh()
    stream.remove(list(stream.held))
    reader.poll(stream, hour(12), 1000)
    assert reader.holes == ()


def lost(reader: Reader) -> list[tuple[str, int, int]]:
    return [(hole.reason, hole.start_ms, hole.end_ms) for hole in reader.holes]


def test_a_purge_of_something_unread_is_a_hole_until_the_oldest_message_left():
    stream, reader = fresh()
    stream.store(hour(11), hour(11))
    stream.remove(list(stream.held))
    stream.store(hour(12), hour(12))
    reader.poll(stream, hour(13), 1000)
    assert lost(reader) == [("StreamPurged", proved(hour(10)), hour(12) + SKEW_MS)]
    assert [one.start_ms for one in reader.ranges][1:] == [hour(12) + SKEW_MS]


def test_an_empty_stream_that_lost_something_is_a_hole_until_now():
    stream, reader = fresh()
    stream.store(hour(11), hour(11))
    stream.remove(list(stream.held))
    reader.poll(stream, hour(13), 1000)
    assert lost(reader) == [("StreamPurged", proved(hour(10)), hour(13) + 2 * SKEW_MS)]
    stream.store(hour(14), hour(14))
    reader.poll(stream, hour(15), 1000)
    assert reader.ranges[-1] == Range(hour(13) + 2 * SKEW_MS, proved(hour(15)))
    assert hour(14) in reader.seen


def test_a_limited_stream_says_so():
    stream, reader = fresh()
    stream.limits = ("max_msgs 1",)
    for number in (11, 12):
        stream.store(hour(number), hour(number))
    stream.remove(sorted(stream.held)[:-1])
    reader.poll(stream, hour(13), 1000)
    assert lost(reader)[0][0] == "StreamLimited"


def test_a_limited_stream_that_was_read_in_time_loses_nothing():
    stream, reader = fresh()
    stream.limits = ("max_msgs 1",)
    for number in (11, 12, 13):
        stream.store(hour(number), hour(number))
        stream.remove(sorted(stream.held)[:-1])
        reader.poll(stream, hour(number) + MINUTE_MS, 1000)
    assert reader.holes == ()


def test_a_stream_that_began_in_the_cycle_is_unknown_before():
    stream, reader = Stream(hour(5)), Reader()
    stream.store(hour(6), hour(6))
    reader.poll(stream, hour(7), 1000)
    assert lost(reader) == [("StreamBegan", START, hour(5) + SKEW_MS)]


def test_a_stream_that_forgot_before_it_was_first_read_is_unknown_before():
    stream, reader = Stream(START - DAY_MS), Reader()
    for number in range(10):
        stream.store(hour(number), hour(number))
    stream.remove([1, 2, 3])
    reader.poll(stream, hour(11), 1000)
    assert lost(reader) == [("StreamPurged", START, hour(3) + SKEW_MS)]


def test_a_stream_that_forgot_only_what_was_before_the_cycle_is_complete():
    stream, reader = Stream(START - 30 * DAY_MS), Reader()
    for number in (-30, -29, -28, 1):
        stream.store(hour(number), hour(number))
    stream.remove([1, 2])
    reader.poll(stream, hour(11), 1000)
    assert reader.holes == ()
    assert reader.ranges[0].start_ms < START


def test_a_recreated_stream_is_a_hole_until_its_creation():
    _, reader = fresh()
    other = Stream(hour(11))
    for number in range(12, 30):
        other.store(hour(number), hour(number))
    reader.poll(other, hour(31), 1000)
    assert lost(reader) == [("StreamRecreated", proved(hour(10)), hour(11) + SKEW_MS)]
    assert hour(12) in reader.seen


def test_a_stream_set_back_is_a_hole_until_now_and_is_read_again():
    stream, reader = fresh()
    stream.held = {s: m for s, m in stream.held.items() if s <= 8}
    stream.last_seq, stream.last_ms = 8, hour(6)
    reader.poll(stream, hour(13), 1000)
    assert lost(reader) == [("StreamWentBack", proved(hour(10)), hour(13) + SKEW_MS)]


def test_a_stream_set_back_that_grew_beyond_what_was_read_is_noticed_by_the_last_message():
    stream, reader = fresh()
    stream.held = {s: m for s, m in stream.held.items() if s <= 8}
    stream.last_seq = 8
    for number in range(11, 20):
        stream.store(hour(number), hour(number))
    reader.poll(stream, hour(21), 1000)
    assert lost(reader) == [("StreamWentBack", proved(hour(10)), hour(21) + SKEW_MS)]
    assert {hour(n) for n in range(11, 20)} <= reader.seen


def test_messages_deleted_in_the_middle_are_a_hole_between_their_neighbours():
    stream, reader = fresh()
    for number in range(11, 20):
        stream.store(hour(number), hour(number))
    stream.remove([14, 15])  # 13:00 and 14:00
    reader.poll(stream, hour(21), 1000)
    assert lost(reader) == [("MessagesDeleted", proved(hour(12)), hour(15) + SKEW_MS)]


def test_messages_deleted_at_the_end_are_a_hole_until_now():
    stream, reader = fresh()
    for number in (11, 12):
        stream.store(hour(number), hour(number))
    stream.remove([13])
    reader.poll(stream, hour(15), 1000)
    assert lost(reader) == [("MessagesDeleted", proved(hour(11)), hour(15) + SKEW_MS)]
    stream.store(hour(16), hour(16))
    reader.poll(stream, hour(17), 1000)
    assert len(reader.holes) == 1
    assert hour(16) in reader.seen


def test_without_the_last_message_read_nobody_knows_whether_the_numbers_went_on():
    stream, reader = fresh()
    stream.remove([11])
    for number in (11, 12):
        stream.store(hour(number), hour(number))
    reader.poll(stream, hour(13), 1000)
    assert lost(reader) == [("MessagesDeleted", proved(hour(10)), hour(11) + SKEW_MS)]


def test_messages_deleted_right_before_the_first_one_of_the_cycle_are_noticed():
    stream, reader = Stream(START - 30 * DAY_MS), Reader()
    stream.store(START - DAY_MS, START - DAY_MS)
    for number in range(10):
        stream.store(hour(number), hour(number))
    stream.remove([2, 3])
    reader.poll(stream, hour(11), 1000)
    assert lost(reader) == [("MessagesDeleted", START, hour(2) + SKEW_MS)]


def test_messages_deleted_long_before_the_cycle_do_not_matter():
    stream, reader = Stream(START - 30 * DAY_MS), Reader()
    for number in (-40, -30, -29, 1, 2):
        stream.store(hour(number), hour(number))
    stream.remove([2])
    reader.poll(stream, hour(11), 1000)
    assert reader.holes == ()


def test_an_event_that_cannot_be_read_is_a_hole_around_it():
    stream = Stream(START - 30 * DAY_MS)
    stream.store(hour(1), hour(1))
    trail = trail_of(stream, None, hour(5))
    trail.took(Message(1, hour(1), b""))
    trail.unreadable(Message(1, hour(1), b""))
    reading = trail.reading(ahead_ms=1000, ended=True)
    (hole,) = reading.holes
    assert hole == (proved(hour(1)), hour(1) + SKEW_MS + 1000, "EventsUnreadable")


def test_stamps_ahead_of_the_streams_clock_widen_a_hole_on_its_far_side():
    stream, reader = fresh()
    stream.store(hour(11), hour(11))
    stream.remove(list(stream.held))
    stream.store(hour(12), hour(12))
    trail = trail_of(stream, reader.position, hour(13))
    trail.took(Message(stream.last_seq, hour(12), b""))
    (hole,) = trail.reading(ahead_ms=7000, ended=True).holes
    assert hole.end_ms == hour(12) + SKEW_MS + 7000


def test_nothing_read_of_a_cycle_claims_nothing():
    stream = Stream(START - DAY_MS)
    stream.store(hour(1), hour(1))
    trail = trail_of(stream, None, hour(5))
    assert trail.reading(ahead_ms=0, ended=False) is None


def test_a_hole_that_another_reader_filled_is_open_no_more():
    _, reader = fresh()
    reader.poll(Stream(hour(12)), hour(13), 1000)
    (hole,) = open_holes(reader.holes, reader.ranges)
    assert hole.reason == "StreamRecreated"
    assert open_holes(reader.holes, (Range(START, CYCLE.end_ms),)) == ()
