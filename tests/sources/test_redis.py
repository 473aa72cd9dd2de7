"""Event logs read from a real Redis server: what is counted, what is proved, what is lost."""

import json

import pytest

from licenseusage.clock import SystemClock
from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS, Cycle
from licenseusage.metering.events import closed_windows
from licenseusage.sources.logs.redis.session import RedisSession
from licenseusage.sources.poll import PollLimits
from licenseusage.sources.workers.workers import Workers
from tests.sources.broker import ago, now_ms, person
from tests.sources.redisproduct import KEY, Reader, Stream, event


@pytest.fixture
def stream(redis_server) -> Stream:
    return Stream(redis_server)


@pytest.fixture
def reader(redis_server) -> Reader:
    return Reader(redis_server)


# -- what counts --


def test_each_person_counts_once_by_the_types_that_count(stream, reader):
    stream.add(
        event("a", ago(50)),
        event("a", ago(40)),
        event("b", ago(30)),
        event("c", ago(20), "viewed"),
        event(None, ago(10)),
    )
    result = reader.poll()
    assert result.failure is None
    assert result.complete
    assert reader.counted() == {"a", "b"}
    assert result.skipped == {"OtherType": 1, "NoId": 1}


def test_without_a_field_an_entry_is_an_object_of_its_fields_and_its_time(stream, reader):
    reader.declare(
        redis={"stream": KEY, "typePath": "type", "types": ["login"]},
        users={"id": "user", "time": {"path": "entryTime", "format": "EpochMillis"}},
        guarantees={"ids": "Stable"},
    )
    stream.add({"type": "login", "user": "ada"}, {"type": "logout", "user": "bob"})
    result = reader.poll(show_ids=True)
    assert (result.failure, result.ids) == (None, ("ada",))


def test_a_payload_may_be_json_in_one_of_the_fields(stream, reader):
    log = {"stream": KEY, "typePath": "type", "types": ["login"], "payloadPath": "data"}
    reader.declare(
        redis=log | {"payloadEncoding": "JSONText"},
        users={"id": "user.id", "time": {"path": "entryTime", "format": "EpochMillis"}},
    )
    stream.add({"type": "login", "data": json.dumps({"user": {"id": 7}})})
    assert reader.poll(show_ids=True).ids == ("7",)


def test_an_entry_without_the_field_or_with_broken_text_is_a_hole(stream, reader):
    read_before(stream, reader)
    stream.add({"other": "x"}, event("b", ago(5)))
    result = reader.poll()
    assert reader.counted() == {"a", "b"}
    assert result.skipped == {"Unreadable": 1}
    assert reader.lost == ["EventsUnreadable"]
    assert "not readable (entry " in result.hint


def test_an_id_that_is_no_text_is_nobodys_name(stream, reader):
    reader.declare(
        redis={"stream": KEY},
        users={"id": "user", "time": {"path": "entryTime", "format": "EpochMillis"}},
        guarantees={"ids": "Stable"},
    )
    stream.do("XADD", KEY, "*", "user", b"caf\xe9")
    stream.do("XADD", KEY, "*", "user", "ada", "note", b"\xff\xfe")
    result = reader.poll(show_ids=True)
    assert (result.ids, result.skipped) == (("ada",), {"Unreadable": 1})


def test_a_stream_of_another_database_is_another_stream(stream, reader, redis_server):
    stream.add(event("a", ago(9)))
    Stream(redis_server, db=3).add(event("b", ago(8)))
    reader.declare(redis={"stream": KEY, "field": "event", "database": 3})
    reader.poll()
    assert reader.counted() == {"b"}
    assert reader.last.after.stream == f"3/{KEY}"


def test_the_events_own_time_decides_the_cycle(stream, reader):
    start = reader.cycle.start_ms
    stream.add(event("a", start - 1), event("b", start), event("c", start + DAY_MS))
    result = reader.poll()
    assert reader.counted() == {"b", "c"}
    assert result.skipped == {"OutsideCycle": 1}


# -- reading on --


def test_a_second_poll_reads_only_what_is_new(stream, reader):
    stream.add(event("a", ago(20)), event("b", ago(10)))
    reader.poll()
    stream.add(event("c", ago(5)))
    result = reader.poll()
    assert (result.users_listed, result.complete) == (1, True)
    assert reader.last.after.sequence == 3
    assert reader.counted() == {"a", "b", "c"}
    assert reader.lost == ["StreamBegan"]


def test_a_poll_without_news_reads_nothing_and_proves_more(stream, reader):
    read_before(stream, reader)
    known = reader.ranges[-1].end_ms
    result = reader.poll()
    assert (result.bytes, result.complete) == (0, True)
    assert reader.ranges[-1].end_ms > known


def test_entries_of_the_same_millisecond_are_all_read(stream, reader):
    at = now_ms()
    for number, name in enumerate("abcdef"):
        stream.add(event(name, ago(5)), id=f"{at}-{number}")
    limits = PollLimits(request_seconds=5, poll_seconds=30, worker_bytes=0, poll_pages=1)
    reader.poll(limits=limits)
    stream.add(event("g", ago(5)), id=f"{at}-6")
    reader.poll()
    assert reader.counted() == {*"abcdefg"}
    assert reader.lost == ["StreamBegan"]


def test_many_entries_are_read_in_batches_and_over_several_polls(stream, reader):
    before(stream, reader)
    with stream.client as client, client.pipeline(transaction=False) as pipe:
        for number in range(2500):
            pipe.xadd(KEY, event("abcdefghij"[number % 10], ago(60)))
        pipe.execute()
    limits = PollLimits(request_seconds=5, poll_seconds=30, worker_bytes=0, poll_pages=2)
    result = reader.poll(limits=limits)
    assert (result.incomplete.reason, result.complete) == ("ReadingBehind", False)
    assert reader.last.behind
    polls = 1
    while reader.last.behind:
        result = reader.poll(limits=limits)
        polls += 1
    assert polls >= 3
    assert (result.complete, reader.last.after.sequence) == (True, 2501)
    assert reader.lost == []
    assert len(reader.ranges) == 1


def test_large_entries_come_in_small_batches(stream, reader):
    filler = "x" * 1_000_000
    stream.add(*(event("a", ago(9), text=filler) for _ in range(60)))
    result = reader.poll()
    assert result.complete
    assert result.pages > 2
    assert result.bytes > 60_000_000


def test_the_same_entries_again_change_nothing(stream, reader):
    stream.add(event("a", ago(20)), event("b", ago(10)))
    reader.poll()
    sure = dict(reader.sure)
    reader.last = None  # as from a restored backup of the ledger
    reader.poll()
    assert reader.sure == sure


async def test_a_worker_process_reads_it_as_well(stream, reader):
    stream.add(event("a", ago(20)))
    async with Workers(1) as workers:
        reader.keep(await workers.poll(reader.made(limits=PollLimits())))
    assert reader.counted() == {"a"}


# -- losses --


def before(stream, reader) -> None:
    """Add an entry that is older than the cycle."""
    at = reader.cycle.start_ms - DAY_MS
    stream.add(event("z", at), id=f"{at}-0")


def read_before(stream, reader, *, entries=3):
    """A stream from before the cycle, so that nothing is missing at its beginning."""
    before(stream, reader)
    ids = stream.add(*(event("a", ago(9)) for _ in range(entries)))
    reader.poll()
    assert reader.lost == []
    return ids


def test_a_stream_from_before_the_cycle_has_lost_nothing(stream, reader):
    read_before(stream, reader)
    (known,) = reader.ranges
    assert known.start_ms < reader.cycle.start_ms


def test_trimming_what_was_read_loses_nothing(stream, reader):
    read_before(stream, reader)
    stream.do("XTRIM", KEY, "MAXLEN", 0)
    assert reader.poll().complete
    stream.add(event("b", ago(5)))
    assert reader.poll().complete
    assert reader.lost == []
    assert reader.counted() == {"a", "b"}


def test_trimming_what_was_not_read_is_a_loss(stream, reader):
    read_before(stream, reader)
    stream.add(event("b", ago(5)), event("c", ago(4)), maxlen=1, approximate=False)
    result = reader.poll()
    assert reader.counted() == {"a", "c"}
    assert reader.lost == ["StreamLimited"]
    assert "forgot messages before they were read" in result.hint


def test_everything_trimmed_before_it_was_read_is_a_loss(stream, reader):
    read_before(stream, reader)
    stream.add(event("b", ago(5)))
    stream.do("XTRIM", KEY, "MAXLEN", 0)
    reader.poll()
    assert reader.lost == ["StreamLimited"]
    stream.add(event("c", ago(3)))
    reader.poll()
    assert reader.lost == ["StreamLimited"]
    assert reader.counted() == {"a", "c"}


def test_a_stream_that_was_trimmed_within_the_cycle_is_known_from_its_first_entry_on(
    stream, reader
):
    stream.add(*(event("a", ago(9)) for _ in range(5)))
    stream.do("XTRIM", KEY, "MAXLEN", 2)
    reader.poll()
    assert reader.lost == ["StreamLimited"]


def test_deleting_what_was_read_loses_nothing(stream, reader):
    first, *_ = read_before(stream, reader)
    stream.do("XDEL", KEY, first)
    stream.add(event("b", ago(5)))
    reader.poll()
    assert reader.lost == []
    assert reader.counted() == {"a", "b"}


def test_deleting_what_was_not_read_is_a_loss(stream, reader):
    read_before(stream, reader)
    _, gone, _ = stream.add(*(event(name, ago(5)) for name in "bcd"))
    stream.do("XDEL", KEY, gone)
    reader.poll()
    assert reader.lost == ["MessagesDeleted"]
    assert reader.counted() == {"a", "b", "d"}
    reader.poll()
    assert reader.lost == ["MessagesDeleted"]


def test_deleting_the_newest_before_it_was_read_is_a_loss(stream, reader):
    read_before(stream, reader)
    (gone,) = stream.add(event("b", ago(5)))
    stream.do("XDEL", KEY, gone)
    reader.poll()
    assert reader.lost == ["MessagesDeleted"]


def test_the_entry_that_was_read_last_is_deleted(stream, reader):
    *_, last = read_before(stream, reader)
    stream.do("XDEL", KEY, last)
    stream.add(event("b", ago(5)))
    reader.poll()
    assert reader.lost == ["MessagesDeleted"]
    assert reader.counted() == {"a", "b"}


def test_a_deletion_before_the_first_reading_is_a_loss(stream, reader):
    before(stream, reader)
    gone, _ = stream.add(event("a", ago(9)), event("b", ago(8)))
    stream.do("XDEL", KEY, gone)
    reader.poll()
    assert reader.lost == ["MessagesDeleted"]


def test_a_stream_made_anew_is_read_from_its_first_entry_on(stream, reader):
    read_before(stream, reader)
    stream.do("DEL", KEY)
    stream.add(event("b", ago(5)))
    reader.poll()
    assert reader.lost == ["StreamRecreated"]
    assert reader.counted() == {"a", "b"}


def test_a_stream_made_anew_that_has_more_entries_is_noticed(stream, reader):
    read_before(stream, reader)
    stream.do("DEL", KEY)
    stream.add(*(event("b", ago(5)) for _ in range(9)))
    reader.poll()
    assert reader.lost == ["StreamRecreated"]
    assert reader.last.after.sequence == 9


def test_a_removed_stream_is_named_until_it_is_there_again(stream, reader):
    read_before(stream, reader)
    stream.do("DEL", KEY)
    result = reader.poll()
    assert result.failure.reason == "StreamNotFound"
    assert f"no stream {KEY}" in result.failure.message


def test_a_stream_that_was_set_back_is_read_again(stream, reader):
    before(stream, reader)
    stream.add(event("a", ago(9)))
    kept = stream.do("DUMP", KEY)
    stream.add(event("b", ago(8)))
    reader.poll()
    stream.do("RESTORE", KEY, 0, kept, "REPLACE")
    stream.add(event("c", ago(5)))
    reader.poll()
    assert reader.lost == ["StreamWentBack"]
    assert reader.counted() == {"a", "b", "c"}


def test_a_stream_that_went_back_and_ends_below_what_was_read_is_noticed(stream, reader):
    before(stream, reader)
    kept = stream.do("DUMP", KEY)
    stream.add(event("b", ago(8)))
    reader.poll()
    stream.do("RESTORE", KEY, 0, kept, "REPLACE")
    reader.poll()
    assert reader.lost == ["StreamWentBack"]


def test_entries_that_come_later_than_their_ids_say_fail_the_poll(stream, reader):
    old = now_ms() - 3_600_000
    stream.add(event("a", old), id=f"{old}-0")
    reader.poll()
    stream.add(event("b", old + 1000), id=f"{old + 1000}-0")
    result = reader.poll()
    assert result.failure.reason == "StreamNotInTime"
    assert result.failure.needs_a_person
    assert f"{old + 1000}-0" in result.failure.message
    assert (result.facts, result.readings) == ({}, {})


def test_ids_that_are_no_times_fail_the_poll(stream, reader):
    stream.add(event("a", ago(9)), id="5-1")
    stream.add(event("b", ago(8)), id="6-1")
    result = reader.poll()
    assert result.failure.reason == "ClockSkewTooLarge"
    assert "later than the stream stored them" in result.failure.message


def test_ids_from_the_future_fail_the_poll(stream, reader):
    stream.add(event("a", ago(9)), id=f"{now_ms() + 3_600_000}-0")
    result = reader.poll()
    assert result.failure.reason == "ClockSkewTooLarge"
    assert "after the server's time" in result.failure.message


# -- restarts and failovers --


def saving(redis_program, tmp_path, *more):
    from hack.redis import RedisServer

    settings = ("appendonly yes", "appendfsync always", *more)
    return RedisServer(tmp_path / "saving", *settings, program=redis_program)


UNSURE = {"guarantees": {"durability": "Unknown"}}


def test_a_server_that_started_within_the_cycle_may_have_forgotten_what_was_before(stream, reader):
    reader.declare(**UNSURE)
    before(stream, reader)
    stream.add(event("a", ago(5)))
    result = reader.poll()
    (hole,) = reader.holes
    assert (hole.reason, hole.start_ms) == ("ServerRestarted", reader.cycle.start_ms)
    assert hole.end_ms <= now_ms() + 5000
    assert reader.counted() == {"a"}
    assert "guarantees.durability" in result.hint


def test_a_restart_may_have_lost_what_was_not_read(redis_program, tmp_path):
    with saving(redis_program, tmp_path) as server:
        stream, reader = Stream(server), Reader(server)
        read_before(stream, reader)
        reader.declare(**UNSURE)
        server.stop(kill=True)
        server.start()
        stream.add(event("b", ago(5)))
        reader.poll()
        assert reader.lost == ["ServerRestarted"]
        assert reader.counted() == {"a", "b"}
        reader.poll()
        assert reader.lost == ["ServerRestarted"]


def test_a_restart_of_a_server_that_is_declared_durable_loses_nothing(redis_program, tmp_path):
    with saving(redis_program, tmp_path) as server:
        stream, reader = Stream(server), Reader(server)
        read_before(stream, reader)
        server.stop(kill=True)
        server.start()
        stream.add(event("b", ago(5)))
        reader.poll()
        assert reader.lost == []
        assert reader.counted() == {"a", "b"}


def test_a_server_that_forgot_what_was_read_is_noticed_whatever_is_declared(
    redis_program, tmp_path
):
    from hack.redis import RedisServer

    with RedisServer(tmp_path / "r", "appendonly no", program=redis_program) as server:
        stream, reader = Stream(server), Reader(server)
        before(stream, reader)
        stream.do("SAVE")
        stream.add(event("a", ago(9)))
        reader.poll()
        server.stop(kill=True)
        server.start()
        stream.add(event("b", ago(5)))
        reader.poll()
        assert reader.lost == ["StreamWentBack"]
        assert reader.counted() == {"a", "b"}


def test_a_failover_to_a_replica_is_a_hole_and_reading_goes_on(redis_program, tmp_path, stream):
    from hack.redis import RedisServer

    reader = Reader(stream.server)
    read_before(stream, reader)
    follow = f"replicaof 127.0.0.1 {stream.server.port}"
    with RedisServer(tmp_path / "b", follow, program=redis_program) as second:
        other = Stream(second)
        while other.do("EXISTS", KEY) != 1 or b"master_link_status:up" not in raw(second):
            pass
        stream.server.stop(kill=True)
        other.do("REPLICAOF", "NO", "ONE")
        other.add(event("b", ago(5)))
        moved = Reader(second).target
        reader.declare(**UNSURE)
        result = reader.poll(targets=(moved,))
    assert result.failure is None
    assert reader.lost == ["ServerRestarted"]
    assert reader.counted() == {"a", "b"}


def raw(server) -> bytes:
    """INFO as the server writes it."""
    import socket

    with socket.create_connection(("127.0.0.1", server.port)) as plain:
        plain.sendall(b"INFO replication\r\n")
        return plain.recv(65536)


def test_a_replica_is_not_asked_and_the_primary_beside_it_is(redis_program, tmp_path, stream):
    from hack.redis import RedisServer

    stream.add(event("a", ago(9)))
    reader = Reader(stream.server)
    follow = f"replicaof 127.0.0.1 {stream.server.port}"
    with RedisServer(tmp_path / "b", follow, program=redis_program) as second:
        replica = Reader(second).target
        alone = reader.poll(targets=(replica,))
        both = reader.poll(targets=(replica, reader.target), every_pod=True)
    assert alone.failure.reason == "NotPrimary"
    assert "it is a replica, whose copy may be behind" in alone.failure.message
    assert both.failure is None
    assert both.one_log, "the replica keeps no log but its primary's"
    assert reader.counted() == {"a"}


def test_primaries_that_each_keep_a_stream_of_their_own_are_refused(
    redis_program, tmp_path, stream
):
    from hack.redis import RedisServer

    stream.add(event("a", ago(9)))
    reader = Reader(stream.server)
    with RedisServer(tmp_path / "b", program=redis_program) as second:
        other = Reader(second)
        assert reader.poll(targets=(reader.target, other.target)).failure is None
        type(stream)(second).add(event("b", ago(9)))
        result = reader.poll(targets=(reader.target, other.target))
    assert result.failure.reason == "SeveralLogs"
    assert (result.complete, result.facts, result.readings) == (False, {}, {})


# -- clocks and whole cycles --


FACTOR = 20_000


@pytest.fixture
def warp(monkeypatch):
    """Let our time run faster than the server's, from a midnight on."""
    begun = now_ms()
    midnight = begun // DAY_MS * DAY_MS

    def ours(server_ms: int) -> int:
        return midnight + (server_ms - begun) * FACTOR

    def theirs(at_ms: int) -> int:
        return begun + (at_ms - midnight) // FACTOR

    monkeypatch.setattr(RedisSession, "_shifted", lambda _, at: ours(at))
    monkeypatch.setattr(RedisSession, "_unshifted", lambda _, at: theirs(at))
    monkeypatch.setattr(SystemClock, "now_ms", lambda _: ours(now_ms()))
    return midnight


def test_a_cycle_read_from_before_its_start_to_after_its_end_is_exact(stream, redis_server, warp):
    reader = Reader(redis_server, Cycle(0, warp + DAY_MS, warp + 2 * DAY_MS))
    reader.declare(guarantees={"clockSkewSeconds": 300})
    declared, clock, polls = reader.request["source"], SystemClock(), 0
    while clock.now_ms() < reader.cycle.end_ms + 3_600_000:
        stream.add(event("abcdefghijklmnopqrstuvwxyz"[polls % 26], clock.now_ms()))
        assert reader.poll().failure is None
        polls += 1
        closed = closed_windows(reader.cycle, declared.properties, reader.ranges)
        assert not closed or clock.now_ms() > reader.cycle.end_ms
    result = reader.poll()
    assert polls > 5
    assert result.facts[0].ended >> CYCLE_BIT & 1
    closed = closed_windows(reader.cycle, declared.properties, reader.ranges)
    assert closed == 1 << CYCLE_BIT | 1
    assert reader.lost == []
    assert all(word == closed for word in reader.sure.values())


def test_ids_of_people_are_in_no_message(stream, reader):
    stream.add(event("a", ago(9)), event("b", ago(-3600)))
    result = reader.poll()
    assert result.failure.reason == "StampInFuture"
    assert person("b") not in result.failure.message
