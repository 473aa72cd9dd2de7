"""Event logs read from a real NATS server with JetStream: what is counted, what is proved."""

import base64
import json
import os
import random
import shutil
import signal
from dataclasses import replace

import pytest

from hack.nats import NatsServer
from licenseusage.clock import SystemClock
from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS, Cycle
from licenseusage.metering.events import LogState, closed_windows
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.logs.jetstream import JetstreamSession
from licenseusage.sources.poll import CycleRequest, PollLimits, PollRequest
from licenseusage.sources.workers.kinds import collect
from licenseusage.sources.workers.workers import Workers
from tests.sources.broker import STREAM, Broker, Reader, ago, message, now_ms, person, source


@pytest.fixture
def reader(broker: Broker) -> Reader:
    return Reader(broker.server)


def lost(reader: Reader) -> list[str]:
    return [hole.reason for hole in reader.holes]


# -- what counts --


def test_sign_ins_and_key_actions_count_once_each_person(broker, reader):
    broker.publish(
        message("a", ago(50)),
        message("a", ago(40), "events.FileDownloaded"),
        message("b", ago(30), "events.BytesReceived"),
        message("c", ago(20), "events.ShareCreated"),
    )
    result = reader.poll()
    assert result.failure is None
    assert result.complete
    assert (result.counted, result.users_listed, result.skipped) == (3, 4, {})
    assert reader.counted() == {"a", "b", "c"}


@pytest.mark.parametrize(
    "kind",
    [
        "events.SpaceCreated",
        "events.SendSSE",
        "events.UploadReady",
        "events.PostprocessingFinished",
        "events.LinkAccessed",
        "events.ShareExpired",
        "events.BackchannelLogout",
        "events.UserCreated",
        "events.GroupMemberAdded",
    ],
)
def test_internals_and_administration_are_no_key_actions(broker, reader, kind):
    broker.publish(message("a", ago(20), kind), message("b", ago(10)))
    result = reader.poll()
    assert reader.counted() == {"b"}
    assert result.skipped == {"OtherType": 1}


def test_an_event_without_a_user_is_nobodys(broker, reader):
    broker.publish(message("a", ago(20)), message(None, ago(10), "events.BytesReceived"))
    result = reader.poll()
    assert result.complete
    assert reader.counted() == {"a"}
    assert result.skipped == {"NoId": 1}


def test_excluded_ids_are_left_out(broker, reader):
    reader.request["source"] = effective(source(users={"excludeIds": [person("a")]}))
    broker.publish(message("a", ago(20)), message("b", ago(10)))
    reader.poll()
    assert reader.counted() == {"b"}


def test_the_events_own_time_decides_the_cycle_and_the_day(broker, reader):
    start, end = reader.cycle.start_ms, reader.cycle.end_ms
    broker.publish(
        message("a", start - 1),
        message("b", start),
        message("c", start + DAY_MS - 1),
        message("d", start + DAY_MS),
    )
    result = reader.poll()
    words = sorted(word & ~(1 << CYCLE_BIT) for word in reader.sure.values())
    assert words == [0b1, 0b1, 0b10]
    assert reader.counted() == {"b", "c", "d"}
    assert result.skipped == {"OutsideCycle": 1}
    assert end > now_ms()


def test_a_payload_that_is_part_of_the_message_is_read_in_place(broker, reader):
    plain = source(
        preset=None,
        jetstream={"stream": STREAM, "typePath": "kind", "types": ["login"], "payloadPath": "who"},
        users={"id": "number", "time": {"path": "at", "format": "EpochMillis"}},
    )
    reader.request["source"] = effective(plain)
    broker.publish(
        json.dumps({"kind": "login", "at": ago(9), "who": {"number": 7}}).encode(),
        json.dumps({"kind": "logout", "at": ago(9), "who": {"number": 8}}).encode(),
    )
    result = reader.poll(show_ids=True)
    assert (result.counted, result.ids) == (1, ("7",))


@pytest.mark.parametrize("payload", ['{"number": 7}', '{"number": 7, "name": "caf\\ud83d"}'])
def test_a_payload_may_be_a_text_that_holds_json(broker, reader, payload):
    log = {"stream": STREAM, "payloadPath": "who", "payloadEncoding": "JSONText"}
    users = {"id": "number", "time": {"path": "at", "format": "EpochMillis"}}
    reader.request["source"] = effective(source(preset=None, jetstream=log, users=users))
    broker.publish(
        json.dumps({"at": ago(9), "who": payload}).encode(),
        json.dumps({"at": ago(9), "who": {"number": 8}}).encode(),
        json.dumps({"at": ago(9), "who": "no json"}).encode(),
        json.dumps({"at": ago(9), "who": None}).encode(),
    )
    result = reader.poll(show_ids=True)
    assert result.ids == ("7",)
    assert result.skipped == {"Unreadable": 2, "NoId": 1}


def test_without_types_and_payload_every_message_counts_and_is_the_event(broker, reader):
    plain = source(
        preset=None,
        jetstream={"stream": STREAM},
        users={"id": "user", "time": {"path": "at"}},
        guarantees={"ids": "Stable"},
    )
    reader.request["source"] = effective(plain)
    broker.publish(b'{"user": "ada", "at": %d}' % (ago(9) // 1000))
    assert reader.poll().counted == 1


# -- reading on --


def test_a_second_poll_reads_only_what_is_new(broker, reader):
    broker.publish(message("a", ago(20)), message("b", ago(10)))
    reader.poll()
    broker.publish(message("c", ago(5)))
    result = reader.poll()
    assert (result.users_listed, result.complete) == (1, True)
    assert reader.last.after.sequence == 3
    assert reader.counted() == {"a", "b", "c"}


def test_a_poll_without_news_is_complete_and_reads_nothing(broker, reader):
    broker.publish(message("a", ago(20)))
    reader.poll()
    result = reader.poll()
    assert (result.bytes, result.complete) == (0, True)


def test_an_empty_stream_is_a_complete_answer(broker, reader):
    result = reader.poll()
    assert (result.failure, result.complete, result.counted) == (None, True, 0)
    assert lost(reader) == ["StreamBegan"]
    broker.publish(message("a", ago(1)))
    assert reader.poll().counted == 1


def test_the_same_messages_again_change_nothing(broker, reader):
    broker.publish(message("a", ago(20)), message("b", ago(10)))
    reader.poll()
    sure = dict(reader.sure)
    reader.last = None  # as from a restored backup of the ledger
    result = reader.poll()
    assert reader.sure == sure
    assert result.users_listed == 2


def test_events_published_twice_count_once(broker, reader):
    twice = message("a", ago(10))
    broker.publish(twice, twice)
    result = reader.poll()
    assert (result.users_listed, result.counted) == (2, 1)


@pytest.mark.parametrize("kill", [False, True])
def test_reading_goes_on_after_the_server_was_restarted(broker, reader, kill):
    broker.publish(message("a", ago(20)))
    reader.poll()
    broker.server.stop(kill=kill)
    down = reader.poll()
    assert (down.failure.reason, down.complete, down.readings) == ("Unreachable", False, {})
    broker.server.start()
    broker.publish(message("b", ago(5)))
    result = reader.poll()
    assert result.complete
    assert reader.counted() == {"a", "b"}
    assert lost(reader) == ["StreamBegan"]


def test_nothing_is_left_behind_at_the_server(broker, reader):
    broker.publish(*(message("a", ago(20)) for _ in range(3)))
    reader.poll()
    reader.poll(limits=PollLimits(poll_pages=1, worker_bytes=0))
    assert broker.consumers() == []


def test_a_new_cycle_is_read_from_its_own_start_beside_the_closing_one(broker, reader):
    """Each cycle goes on from its own position; what one has read serves the other too."""
    middle = now_ms() // DAY_MS * DAY_MS
    old, new = Cycle(0, middle - DAY_MS, middle), Cycle(1, middle, middle + DAY_MS)
    broker.publish(message("a", middle - 5000), message("b", middle + 5))
    reader.cycle = old
    reader.poll()
    assert reader.counted() == {"a"}
    broker.publish(message("c", middle + 6))
    requests = (
        CycleRequest(old, log=reader.state),
        CycleRequest(new),
    )
    result = reader.poll(cycles=requests)
    assert (len(result.facts[0].sure), len(result.facts[1].sure)) == (0, 2)
    assert result.readings[0].after.sequence == result.readings[1].after.sequence == 3
    together = reader.poll(
        cycles=tuple(
            CycleRequest(one.cycle, log=LogState(result.readings[one.cycle.index].after))
            for one in requests
        )
    )
    assert together.complete


# -- bounds --


def test_a_poll_stops_at_its_bounds_and_the_next_goes_on(broker, reader):
    names = "abcdefghijklmnopqrstuvwxyz"
    broker.publish(
        *(message(names[i % 26], ago(3000 - i)) for i in range(1200)), acknowledged=False
    )
    small = PollLimits(poll_pages=1, worker_bytes=0)
    first = reader.poll(limits=small)
    assert first.failure is None
    assert not first.complete
    assert first.incomplete.reason == "ReadingBehind"
    assert "next poll begins at once and goes on" in first.hint
    assert reader.last.after.sequence == 500
    assert first.facts[0].ended == 0
    second = reader.poll(limits=small)
    assert reader.last.after.sequence == 999  # the last one is read again
    assert not second.complete
    third = reader.poll(limits=small)
    assert third.complete
    assert reader.last.after.sequence == 1200
    assert len(reader.sure) == 26


def eventful(broker: Broker) -> None:
    """A log in which everything happens: repeats, other types, nonsense, removals, a purge."""
    names, chance = "abcdefghijklmnopqrstuvwxyz", random.Random(5)
    kinds = ["events.UserSignedIn", "events.FileDownloaded", "events.SendSSE"]
    sent = [
        message(chance.choice(names), ago(3000 - number), chance.choice(kinds))
        for number in range(40)
    ]
    sent[20] = sent[21] = sent[15]
    sent[25] = b"nonsense"
    broker.publish(*sent, acknowledged=False)
    broker.purge(keep=30)
    broker.erase(18, 19, 33, 38)


@pytest.mark.parametrize(("batch", "pages"), [(1, 10_000), (1, 8), (7, 1), (7, 2), (500, 1)])
def test_a_log_proves_the_same_however_it_is_cut_into_batches_and_polls(
    broker, reader, monkeypatch, batch, pages
):
    eventful(broker)
    # A measured clock difference is never the same.
    known = effective(source(guarantees={"clockSkewSeconds": 1}))
    limits = PollLimits(request_seconds=5, poll_pages=pages, worker_bytes=0)
    reader.request["source"] = known
    reader.poll()
    again = Reader(broker.server, reader.cycle, source=known, limits=limits)
    monkeypatch.setattr("licenseusage.sources.logs.jetstream.BATCH", batch)
    polls = next(number for number in range(1, 100) if again.poll().complete)
    assert polls >= 26 / batch / pages
    assert again.sure == reader.sure
    assert again.holes == reader.holes
    assert [one.start_ms for one in again.ranges] == [one.start_ms for one in reader.ranges]
    assert again.last.after.sequence == reader.last.after.sequence


def test_messages_larger_than_a_poll_may_read_are_read_one_a_poll(broker, reader):
    broker.publish(*(message(name, ago(9), padding="x" * 2000) for name in "abcd"))
    reader.request["limits"] = PollLimits(request_seconds=5, poll_bytes=1024, worker_bytes=0)
    last = [reader.poll() and reader.last.after.sequence for _ in range(4)]
    assert last == [1, 2, 3, 4]
    assert reader.poll().complete
    assert reader.counted() == set("abcd")


def test_bytes_bound_a_poll(broker, reader):
    big = [message("a", ago(10), filler="x" * 100_000) for _ in range(120)]
    broker.publish(*big)
    result = reader.poll(limits=PollLimits(poll_bytes=1024 * 1024, worker_bytes=0))
    assert not result.complete
    assert result.bytes < 24 * 1024 * 1024
    while not reader.poll(limits=PollLimits(poll_bytes=1024 * 1024, worker_bytes=0)).complete:
        pass
    assert reader.last.after.sequence == 120


def test_a_message_larger_than_a_batch_is_read_alone(nats_program, tmp_path):
    limit = 20 * 1024 * 1024
    with NatsServer(tmp_path / "n", program=nats_program, max_payload=limit) as server:
        broker = Broker(server)
        broker.create()
        broker.publish(
            message("a", ago(10)),
            message("b", ago(10), filler="x" * 10_000_000),
            message("c", ago(10)),
        )
        reader = Reader(server)
        assert reader.poll().complete
        assert reader.counted() == {"a", "b", "c"}


def test_a_hundred_thousand_messages_are_read_quickly(broker, reader):
    one = message("a", ago(5)), message("b", ago(5), "events.SendSSE")
    broker.publish(*(one[i % 2] for i in range(100_000)), acknowledged=False)
    result = reader.poll(limits=PollLimits(worker_bytes=0))
    print(f"\n  100,000 messages: {result.seconds:.1f} s, {result.bytes / 1e6:.0f} MB")
    assert result.complete
    assert (result.users_listed, result.skipped) == (50_000, {"OtherType": 50_000})
    assert result.seconds < 40


def test_a_server_that_stops_answering_is_a_failure_in_time(broker, reader):
    broker.publish(message("a", ago(10)))
    process = broker.server._process
    os.kill(process.pid, signal.SIGSTOP)
    try:
        result = reader.poll(limits=PollLimits(request_seconds=1, poll_seconds=20, worker_bytes=0))
    finally:
        os.kill(process.pid, signal.SIGCONT)
    assert result.failure.reason in {"Unreachable", "RequestTimeout"}
    assert result.seconds < 15


async def test_a_worker_process_reads_it_as_well(broker, reader):
    request: PollRequest = reader.made()
    async with Workers(1) as workers:
        result = await workers.poll(replace(request, limits=PollLimits()))
    assert result.failure is None
    assert result.readings[0].after.stream == STREAM


# -- what is lost is stated --


def test_a_purged_stream_breaks_the_proof(broker, reader):
    broker.publish(message("a", ago(20)))
    reader.poll()
    broker.publish(message("b", ago(15)))
    broker.purge()
    broker.publish(message("c", ago(5)))
    result = reader.poll()
    assert lost(reader) == ["StreamBegan", "StreamPurged"]
    assert "StreamPurged: Messages of the stream main-queue were purged" in result.hint
    assert result.failure is None
    assert reader.counted() == {"a", "c"}


def test_a_purge_of_what_was_read_loses_nothing(broker, reader):
    broker.publish(message("a", ago(20)))
    reader.poll()
    broker.purge()
    reader.poll()
    broker.publish(message("b", ago(5)))
    reader.poll()
    assert lost(reader) == ["StreamBegan"]
    assert reader.counted() == {"a", "b"}


def test_a_limited_stream_says_which_limit(nats_server):
    broker = Broker(nats_server)
    broker.create(max_msgs=2)
    reader = Reader(nats_server)
    broker.publish(message("a", ago(20)))
    reader.poll()
    broker.publish(*(message(name, ago(10)) for name in "bcdef"))
    result = reader.poll()
    assert lost(reader) == ["StreamBegan", "StreamLimited"]
    assert "max_msgs 2" in result.hint
    assert reader.counted() == {"a", "e", "f"}


def test_a_recreated_stream_breaks_the_proof(broker, reader):
    broker.publish(message("a", ago(20)), message("b", ago(20)))
    reader.poll()
    broker.remove()
    broker.create()
    broker.publish(*(message(name, ago(5)) for name in "cdef"))
    result = reader.poll()
    assert lost(reader) == ["StreamBegan", "StreamRecreated"]
    assert "removed and made anew" in result.hint
    assert reader.counted() == set("abcdef")


def test_deleted_messages_break_the_proof(broker, reader):
    broker.publish(message("a", ago(20)))
    reader.poll()
    broker.publish(*(message(name, ago(5)) for name in "bcd"))
    broker.erase(3)
    reader.poll()
    assert lost(reader) == ["StreamBegan", "MessagesDeleted"]
    assert reader.counted() == {"a", "b", "d"}


def test_a_stream_restored_from_an_older_backup_breaks_the_proof(broker, reader, tmp_path):
    broker.publish(message("a", ago(20)))
    broker.server.stop()
    streams = tmp_path / "nats" / "streams"
    shutil.copytree(streams, tmp_path / "backup")
    broker.server.start()
    broker.publish(message("b", ago(10)), message("c", ago(10)))
    reader.poll()
    broker.server.stop()
    shutil.rmtree(streams)
    shutil.copytree(tmp_path / "backup", streams)
    broker.server.start()
    reader.poll()
    assert lost(reader) == ["StreamBegan", "StreamWentBack"]
    broker.publish(*(message(name, ago(5)) for name in "defgh"))
    reader.poll()
    assert reader.counted() == set("abcdefgh")


def test_holes_are_told_again_with_every_poll(broker, reader):
    broker.publish(message("a", ago(20)))
    reader.poll()
    broker.publish(message("b", ago(10)))
    broker.purge()
    reader.poll()
    broker.publish(message("c", ago(1)))
    assert "StreamPurged" in reader.poll().hint


def test_an_unreadable_message_is_a_hole_and_stops_nothing(broker, reader):
    broker.publish(message("a", ago(20)), b"\x00not json", message("b", ago(5)))
    result = reader.poll()
    assert result.complete
    assert reader.counted() == {"a", "b"}
    assert result.skipped == {"Unreadable": 1}
    assert "EventsUnreadable" in lost(reader)
    assert "sequence 2" in result.hint


def rewritten(data: bytes, old: bytes, new: bytes) -> bytes:
    """The message with something else in its payload."""
    envelope = json.loads(data)
    payload = base64.b64decode(envelope["Payload"])
    assert old in payload
    envelope["Payload"] = base64.b64encode(payload.replace(old, new)).decode()
    return json.dumps(envelope).encode()


@pytest.mark.parametrize("name", [b"\\ud83d", b"caf\xe9"])
def test_broken_letters_in_what_nobody_reads_of_an_event_cost_nothing(broker, reader, name):
    broken = rewritten(message("a", ago(9), Filename="XX"), b"XX", name)
    envelope = message("b", ago(8)).replace(b'"eventid": "x"', b'"eventid": "' + name + b'"')
    broker.publish(broken, envelope)
    assert reader.poll().skipped == {}
    assert reader.counted() == {"a", "b"}
    assert "EventsUnreadable" not in lost(reader)


def test_an_event_of_somebody_whose_id_is_no_text_is_a_hole(broker, reader):
    whom = person("a").encode()
    broker.publish(rewritten(message("a", ago(9)), whom, b"\\ud83d"), message("b", ago(5)))
    result = reader.poll()
    assert reader.counted() == {"b"}
    assert result.skipped == {"Unreadable": 1}
    assert "EventsUnreadable" in lost(reader)


@pytest.mark.parametrize(
    "broken",
    [
        b"[]",
        b'{"Metadata": {"eventtype": "events.UserSignedIn"}, "Payload": "e30="}',
        b'{"Metadata": {"eventtype": "events.UserSignedIn"}, "Timestamp": "soon", "Payload": ""}',
        message("a", 1).replace(b'"Payload": "', b'"Payload": "%%%'),
    ],
)
def test_messages_that_cannot_be_read_at_all_fail_the_poll_with_the_reason(broker, reader, broken):
    if broken == b"[]":
        reader.request["source"] = effective(
            source(
                preset=None,
                jetstream={"stream": STREAM},
                users={"id": "u", "time": {"path": "at"}},
            )
        )
    if b"%%%" in broken:
        broken = broken.replace(b"1970-01-01T00:00:00.001456789Z", b"2999-01-01T00:00:00Z")
    broker.publish(broken)
    result = reader.poll()
    assert result.failure.reason == "EventsUnreadable"
    assert result.failure.needs_a_person
    assert "sequence 1" in result.failure.message
    assert (result.facts, result.readings) == ({}, {})


def test_events_stored_later_than_the_declared_lag_are_told(broker, reader):
    broker.publish(message("a", ago(600)))
    result = reader.poll()
    assert result.failure is None
    assert "later than guarantees.lagSeconds (sequence 1): raise it" in result.hint
    assert reader.counted() == {"a"}


# -- clocks --


def test_an_event_from_the_future_fails_the_poll_as_a_whole(broker, reader):
    broker.publish(message("a", ago(5)), message("b", ago(-3600)))
    result = reader.poll()
    assert result.failure.reason == "StampInFuture"
    assert "1 events are stamped up to 35" in result.failure.message
    assert "sequence 2" in result.failure.message
    assert (result.facts, result.readings, result.complete) == ({}, {}, False)


def test_the_servers_clock_is_compared_with_ours(broker, reader):
    result = reader.poll()
    assert 1000 <= result.clock_skew_ms < 3000


def test_a_server_clock_that_is_far_off_fails_the_poll(broker, reader, monkeypatch):
    monkeypatch.setattr(SystemClock, "now_ms", lambda self: now_ms() - 400_000)
    result = reader.poll()
    assert result.failure.reason == "ClockSkewTooLarge"
    assert " s ahead of ours, at most 300 s" in result.failure.message


def test_a_declared_clock_difference_replaces_the_measurement(broker, reader):
    reader.request["source"] = effective(source(guarantees={"clockSkewSeconds": 9}))
    assert reader.poll().clock_skew_ms == 9000


def test_a_simulated_clock_shifts_the_servers_times_alike(broker, reader, monkeypatch):
    offset = -20 * DAY_MS
    middle = (now_ms() + offset) // DAY_MS * DAY_MS
    cycle = Cycle(0, middle, middle + DAY_MS)
    broker.publish(message("a", now_ms() + offset - 5))
    result = collect(
        replace(reader.made(), cycles=(CycleRequest(cycle),), clock_offset_ms=offset),
        SystemClock(offset // 1000),
    )
    assert result.failure is None
    assert result.counted == 1
    (hole,) = result.readings[0].holes
    assert abs(hole.end_ms - (now_ms() + offset)) < 60_000


# -- a whole cycle --


FACTOR = 20_000  # a second of the server's is five and a half hours of ours: a day takes 4.3 s


@pytest.fixture
def warp(monkeypatch):
    """Let our time run faster than the server's, from a midnight on."""
    begun = now_ms()
    midnight = begun // DAY_MS * DAY_MS

    def ours(server_ms: int) -> int:
        return midnight + (server_ms - begun) * FACTOR

    monkeypatch.setattr(JetstreamSession, "_shifted", lambda _, at: ours(at))
    monkeypatch.setattr(
        JetstreamSession, "_unshifted", lambda _, at: begun + (at - midnight) // FACTOR
    )
    monkeypatch.setattr(SystemClock, "now_ms", lambda _: ours(now_ms()))
    return midnight


def test_a_cycle_read_from_before_its_start_to_after_its_end_is_exact(broker, warp):
    reader = Reader(broker.server, Cycle(0, warp + DAY_MS, warp + 2 * DAY_MS))
    declared = effective(source(guarantees={"clockSkewSeconds": 300}))
    reader.request["source"] = declared
    clock, published, polls = SystemClock(), 0, 0
    while clock.now_ms() < reader.cycle.end_ms + 3_600_000:
        broker.publish(message("abcdefghijklmnopqrstuvwxyz"[published % 26], clock.now_ms()))
        published += 1
        if published % 3 == 0:
            assert reader.poll().failure is None
            polls += 1
            closed = closed_windows(reader.cycle, declared.properties, reader.ranges)
            assert not closed or clock.now_ms() > reader.cycle.end_ms
    result = reader.poll()
    assert polls > 5
    assert result.facts[0].ended >> CYCLE_BIT & 1
    closed = closed_windows(reader.cycle, declared.properties, reader.ranges)
    assert closed == 1 << CYCLE_BIT | 1
    assert lost(reader) == []
    assert len(reader.ranges) == 1
    assert all(word == closed for word in reader.sure.values())


def test_a_purge_in_the_cycle_leaves_a_lower_bound_for_good(broker, warp):
    reader = Reader(broker.server, Cycle(0, warp + DAY_MS, warp + 2 * DAY_MS))
    declared = effective(source(guarantees={"clockSkewSeconds": 300}))
    reader.request["source"] = declared
    clock, purged = SystemClock(), False
    while clock.now_ms() < reader.cycle.end_ms + 3_600_000:
        broker.publish(message("a", clock.now_ms()))
        if not purged and clock.now_ms() > reader.cycle.start_ms + DAY_MS // 2:
            reader.poll()
            broker.publish(message("b", clock.now_ms()))
            broker.purge()
            purged = True
    broker.publish(message("a", clock.now_ms()))
    result = reader.poll()
    assert result.facts[0].ended >> CYCLE_BIT & 1
    assert closed_windows(reader.cycle, declared.properties, reader.ranges) == 0
    (hole,) = reader.holes
    assert hole.reason == "StreamPurged"
    assert reader.cycle.start_ms < hole.start_ms < hole.end_ms < reader.cycle.end_ms
    assert reader.counted() == {"a"}
