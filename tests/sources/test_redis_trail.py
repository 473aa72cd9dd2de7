"""What a reading of a Redis stream claims is true, whatever happens to the stream.

The rule is that of `simulatedlog`.
"""

import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.metering.cycles import DAY_MS
from licenseusage.sources.logs.messages import Batch, Message
from licenseusage.sources.logs.redis.entries import NO_ENTRY, EntryId, StreamState, mark_of
from licenseusage.sources.logs.redis.trail import EntryTrail
from licenseusage.sources.logs.trail import Trail
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
    """A stream: id -> stamp of what it holds."""

    run: str = "run-0"
    since_ms: int | None = 0
    held: dict[EntryId, int] = field(default_factory=dict)
    added: int = 0
    last: EntryId = NO_ENTRY
    deleted: EntryId = NO_ENTRY

    def add(self, at_ms: int, stamp: int) -> None:
        # As Redis does: a clock that was set back gives no smaller id.
        number = self.last.number + 1 if at_ms <= self.last.ms else 0
        self.last = EntryId(max(at_ms, self.last.ms), number)
        self.held[self.last] = stamp
        self.added += 1

    def trim(self, keep: int) -> None:
        for entry in sorted(self.held)[: len(self.held) - keep]:
            del self.held[entry]

    def delete(self, entries) -> None:
        for entry in entries:
            del self.held[entry]
            self.deleted = max(self.deleted, entry)

    def state(self) -> StreamState:
        first = min(self.held, default=None)
        counters = len(self.held), self.added
        return StreamState(self.run, self.since_ms, *counters, first, self.last, self.deleted)

    def copy(self) -> "Stream":
        return replace(self, held=dict(self.held))


class Reader(Remembered):
    """Reads as a session does, in batches of ``size``, up to ``most``.

    ``meanwhile`` is done to the stream between two batches.
    """

    def poll(self, stream: Stream, now_ms: int, size: int, most: int, meanwhile=None) -> Trail:
        asked = "s", CYCLE, DECLARED, self.position, now_ms, SKEW_MS
        state = stream.state()
        return self.read(
            lambda again: EntryTrail(*asked, again, state, durable=False),
            lambda trail: self._read(stream, trail, size, most, meanwhile),
        )

    def _read(self, stream, trail, size, most, meanwhile) -> bool:
        if trail.idle:
            return True
        start, batches = trail.start, 0
        if trail.before:
            start = max((entry for entry in stream.held if entry < start), default=start)
        while True:
            if meanwhile is not None and batches:
                meanwhile()
            waiting = sorted(entry for entry in stream.held if entry >= start)[:size]
            messages = [Message(entry, entry.ms, b"") for entry in waiting]
            trail.look(Batch(messages, stream.state()))
            for message in messages:
                stamp = stream.held[message.place]
                if trail.took(message):
                    self.seen.add(stamp)
            batches += 1
            if len(messages) < size:
                return True
            start = messages[-1].place
            if trail.reached or batches >= most:
                return False


def history(random_: random.Random) -> Life:
    now = START - random_.choice([0, 1, 20, 2000]) * MINUTE_MS
    stream, reader, runs = Stream(), Reader(), 0
    everything: list[int] = []
    polling_from = START + random_.choice([0, 0, 700]) * MINUTE_MS
    hurt = False

    def write(count: int) -> None:
        nonlocal now
        for _ in range(count):
            stamp = now - random_.randint(0, LAG_MS)
            stream.add(now, stamp)
            everything.append(stamp)
            now += random_.choice([0, 0, 1, 2000])

    def harm() -> bool:
        """Remove something of the stream."""
        match random_.randint(0, 3):
            case 0:
                stream.trim(random_.choice([0, 1, 5]))
            case 1 if stream.held:
                stream.delete(random_.sample(sorted(stream.held), min(2, len(stream.held))))
            case 2 if stream.held:
                stream.delete([max(stream.held)])
            case _:
                return False
        return True

    for _ in range(random_.randint(20, 70)):
        now += random_.randint(1, 120) * MINUTE_MS + random_.randrange(1000)
        write(random_.randint(0, 3))
        match random_.randint(0, 120):
            case 0 | 1 | 2:
                hurt = harm() or hurt
            case 3 if stream.held:
                hurt = True
                stream = Stream(stream.run, stream.since_ms)  # removed; what comes makes it anew
                write(random_.randint(1, 4))
            case 4 if stream.held:
                # A failover to a replica that lacks the newest entries, read or not.
                hurt, runs = True, runs + 1
                lacking = random_.randint(0, min(3, len(stream.held)))
                stream = stream.copy()
                stream.run, stream.since_ms = f"run-{runs}", random_.choice([None, now])
                for entry in sorted(stream.held)[len(stream.held) - lacking :]:
                    del stream.held[entry]
                if lacking:
                    stream.added -= lacking
                    stream.last = max(stream.held, default=NO_ENTRY)
                write(random_.randint(0, 4))
        if now >= polling_from and stream.added and random_.random() < 0.5:
            clock = now + random_.randint(-SKEW_MS, SKEW_MS)
            meanwhile = random_.choice([None] * 20 + [harm])
            hurt = hurt or meanwhile is harm
            size, most = random_.choice([(2, 1), (3, 2), (500, 9), (500, 9), (2, 99)])
            reader.poll(stream, clock, size, most, meanwhile)
            reader.check(everything, "")
    return Life(reader, everything, hurt)


@pytest.mark.parametrize("block", range(10))
def test_no_event_in_a_claimed_range_was_missed(block: int):
    check_lives(history, (f"entries-{seed}" for seed in range(block * 200, block * 200 + 200)))


@given(st.integers(0, 2**40))
def test_no_event_in_a_claimed_range_was_missed_whatever_the_seed(seed: int):
    life = history(random.Random(seed))
    life.reader.check(life.written, seed)


# -- single rules --


def fresh() -> tuple[Stream, Reader]:
    """A stream from before the cycle with an entry each hour, read at 10:00."""
    stream, reader = Stream(), Reader()
    stream.add(START - DAY_MS, START - DAY_MS)
    for number in range(10):
        stream.add(hour(number), hour(number))
    reader.poll(stream, hour(10), 500, 9)
    return stream, reader


def test_a_stream_is_known_from_the_cycles_start_until_the_poll_less_lag_and_skew():
    _, reader = fresh()
    (known,) = reader.ranges
    assert known.start_ms < START
    assert known.end_ms == hour(10) - SKEW_MS - LAG_MS
    assert reader.seen == {hour(n) for n in range(10)}
    assert mark_of(reader.position.mark) == (EntryId(hour(9)), hour(10))
    assert reader.position.sequence == 11


def test_what_was_trimmed_between_two_batches_is_a_loss():
    stream, reader = fresh()
    for number in range(11, 20):
        stream.add(hour(number), hour(number))
    reader.poll(stream, hour(20), 3, 9, lambda: stream.trim(2))
    (hole,) = reader.holes
    assert hole.reason == "StreamLimited"
    assert not {hour(15), hour(16)} & reader.seen
    assert hole.start_ms <= hour(13)
    assert hole.end_ms >= hour(18)


def test_what_was_deleted_between_two_batches_is_a_loss():
    stream, reader = fresh()
    for number in range(11, 20):
        stream.add(hour(number), hour(number))
    gone = [EntryId(hour(15))]
    reader.poll(stream, hour(20), 3, 9, lambda: stream.delete(gone[:1]) or gone.clear())
    (hole,) = reader.holes
    assert hole.reason == "MessagesDeleted"
    assert hole.start_ms <= hour(15) < hole.end_ms
    assert hole.end_ms <= hour(16) + SKEW_MS


def test_a_position_that_was_not_at_the_end_does_not_count_entries():
    stream, reader = fresh()
    for number in range(11, 20):
        stream.add(hour(number), hour(number))
    reader.poll(stream, hour(20), 3, 1)
    assert (reader.position.sequence, reader.holes) == (0, ())
    assert mark_of(reader.position.mark).asked_ms is None
    stream.trim(5)  # among them the entry that was read last
    reader.poll(stream, hour(21), 500, 9)
    assert [hole.reason for hole in reader.holes] == ["StreamLimited"]
