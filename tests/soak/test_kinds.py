"""Each kind of source in a history: what it states holds, and where its rule is broken it is seen.

One short history each, without other trouble, whose product is given.
"""

import random
from unittest import mock

import pytest

from licenseusage.metering import pushes
from licenseusage.sources.logs.collect import LogCollection
from licenseusage.sources.logs.ranged.walk import Walk
from trials.soak.drawing import draw
from trials.soak.history import play
from trials.soak.kinds import numbers, pushing, ranged, rolling, streams
from trials.soak.kinds.drawing import KINDS, LISTS, draw_kind
from trials.soak.kinds.events import Written, events_of
from trials.soak.lies import Lie
from trials.soak.listing import Paging, Shop
from trials.soak.need import Violation
from trials.soak.people import DAY_MS, HOUR_MS, MINUTE_MS, Account, Names, Store, Traits
from trials.soak.plan import Event
from trials.soak.products import NEVER

SEED = "by file 274"
"""One object with cycles of two days."""

PODS = {"selector": {"matchLabels": {"app": "usage-0"}}, "port": "http", "scheme": "HTTP"}


class Stage:
    """A plan without trouble: looks every six hours, and around the end of a cycle.

    The first cycle had begun when the operator was installed; the second one is whole.
    """

    def __init__(self, cycle=0, *, licensed=False):
        self.plan = draw(SEED, 2, (LISTS,))
        (self.usage,) = self.plan.usages
        plan, self.start, self.end = self.plan, *self.usage.boundaries[cycle:][:2]
        plan.outages, plan.api_outages, plan.clock_error_ms, plan.events = (), [], (0, 0), []
        plan.spread_seconds, plan.kills = 0, False
        plan.end_ms = self.end + DAY_MS
        if not licensed:  # nothing is signed: what is stated is judged all the same
            (_, terms), spec = self.usage.terms[0], self.usage.spec
            self.usage.licensed = False
            spec.pop("license", None)
            anchor, days = terms.anchor.isoformat(), terms.length_days
            spec["cycle"] = {"anchorDate": anchor, "lengthDays": days}
        for at_ms in range(plan.start_ms, plan.end_ms, 6 * HOUR_MS):
            self.happens(at_ms, "look")
        for minutes in (-10, -1, 3, 7):
            self.happens(self.end + minutes * MINUTE_MS, "look")

    def happens(self, at_ms, kind, value=None):
        self.plan.events.append(Event(at_ms, kind, self.usage.name, value))

    def play(self, kind, product, source, *, pods=1):
        usage, name = self.usage, "source-0"
        usage.kind, usage.shops, usage.pods = kind, {name: product}, pods
        own = {} if kind == "Pushed" else {"pods": dict(PODS)}
        if kind == "Streams":
            own["pods"]["scheme"] = "REDIS"
        source = {"name": name, "intervalMinutes": 15, **own, **source}
        usage.spec |= {"sources": [source], "combine": "Union"}
        self.plan.events.sort(key=lambda event: event.at_ms)
        self.tally = play(self.plan)
        return self.tally


@pytest.fixture
def stage():
    return Stage()


def people(stage, *hours_of):
    """One account for each: its acts, in hours after the cycle's start."""
    accounts = []
    for person, hours in enumerate(hours_of):
        acts = [stage.start + round(hour * HOUR_MS) for hour in hours]
        account = Account(person, stage.start - 9 * DAY_MS, acts=acts)
        account.writes = [(at, at) for at in acts]
        accounts.append(account)
    return accounts


def store(accounts):
    return Store(Traits(), accounts, Names(len(accounts)))


# -- lists without times --


def listed(stage, lies=()):
    window = {"type": "Rolling", "days": 3}
    accounts = people(stage, (4,), (30,), (44,), (47.5, 49))
    shown = rolling.RollingStore(Traits(), accounts, window, 0)
    shop = Shop(shown, Paging("OnePage", 9), 5, lies=lies, evident=True)
    guarantees = {"lagSeconds": 0, "removal": "Never", "ids": "Stable"}
    http = {"path": "/active", "items": "users"}
    source = {"http": http, "users": {"id": "id"}, "window": window, "guarantees": guarantees}
    return stage.play("Rolling", shop, source)


CUT = (Lie("cutWithTotal", 0, NEVER, 0.6),)


def test_a_list_without_times_bounds_its_cycle(stage):
    stated = listed(stage).statements
    assert stated["decision Bounded"] + stated["decision UpperBound"] > 0


def test_a_list_that_says_that_it_is_cut_is_not_complete(stage):
    tally = listed(stage, CUT)
    assert tally.lies["cutWithTotal"] > 0
    assert tally.polls["incomplete"] > 0


def test_a_cut_list_that_is_taken_for_complete_is_noticed(stage):
    with (
        mock.patch("licenseusage.sources.lists.collect.incomplete", return_value=None),
        pytest.raises(Violation, match="taken for complete"),
    ):
        listed(stage, CUT)


# -- bare numbers --


def counted(stage, **more):
    """A number in memory, whose pods start again ten minutes before the cycle's end."""
    stage.happens(stage.end - 11 * MINUTE_MS, "pods", value=False)
    stage.happens(stage.end - 10 * MINUTE_MS, "pods", value=True)
    given = {"own": 0, "cap": None, "warmup_ms": HOUR_MS, "in_memory": True, "shards": 0}
    window = {"type": "Rolling", "days": 3}
    accounts = people(stage, (4,), (30,), (44,), (47.5, 49))
    teller = numbers.Teller(
        store(accounts), 5, window, 0, **given | more, factor=1.0, format="json"
    )
    count = {"value": "active", "warmupSeconds": 3600, "ownAccounts": teller.own}
    source = {
        "http": {"path": "/active"},
        "count": count,
        "window": window,
        "guarantees": {"lagSeconds": 0, "removal": "Never", "completeness": "Complete"},
    }
    return stage.play("Numbers", teller, source)


def test_a_number_bounds_its_cycle_once_its_product_has_warmed_up(stage):
    assert counted(stage).statements["decision UpperBound"] > 0


def test_a_number_that_is_asked_before_its_product_has_warmed_up_is_noticed(stage):
    def all_of_them(_source, targets, _now_ms):
        return targets

    with (
        mock.patch("licenseusage.sources.counts.collect.warm_targets", all_of_them),
        pytest.raises(Violation, match="decision on cycle"),
    ):
        counted(stage)


# -- event logs over HTTP --


def logged(stage):
    hours = [(47 - number / 9,) for number in range(30)]
    accounts = people(stage, *hours)
    events = events_of(accounts)
    register = ranged.Register(store(accounts), 5, events, True, 10, 1, None)
    pagination = {"type": "Offset", "offsetParam": "offset", "limitParam": "limit", "size": 10}
    query = [
        {"name": edge, "value": f"{{{{range.{edge}.epochMillis}}}}"} for edge in ("start", "end")
    ]
    source = {
        "http": {"path": "/log", "items": "items", "query": query, "pagination": pagination},
        "events": {"order": "NewestFirst", "id": "id"},
        "users": {
            "id": "user",
            "time": {"path": "at", "format": "EpochMillis", "granularity": "Millisecond"},
        },
        "guarantees": {"lagSeconds": 0, "ids": "Stable"},
    }
    earlier = Written(stage.start - DAY_MS, stage.start - DAY_MS, 0, 0)
    register.events.insert(0, earlier)  # the log was kept before the cycle
    return stage.play("Ranged", register, source)


def test_a_log_over_http_is_exact_page_by_page(stage):
    assert logged(stage).statements["decision Exact"] > 0


def test_a_page_of_a_log_that_is_skipped_is_noticed(stage):
    def every_other(walk, _page):
        walk._behind, walk.offset = True, walk.offset + 20

    with (
        mock.patch.object(Walk, "_next_offset", every_other),
        mock.patch.object(Walk, "_must_continue", return_value=None),
        pytest.raises(Violation, match="the truth is 30"),
    ):
        logged(stage)


# -- Redis streams --


def streamed(stage, *, apart):
    accounts = people(stage, *((1 + number,) for number in range(8)))
    stream = streams.Stream(
        store(accounts), 5, events_of(accounts), (), None, 2, stage.start - 9 * DAY_MS, apart
    )
    first = Written(stage.start - DAY_MS, stage.start - DAY_MS, 0, 0)
    stream.events[:0] = [first, first._replace(number=-1)]
    source = {
        "redis": {"stream": "app", "field": "event", "typePath": "kind", "types": ["login"]},
        "users": {
            "id": "user",
            "time": {"path": "at", "format": "EpochMillis", "granularity": "Millisecond"},
        },
        "guarantees": {"lagSeconds": 0, "ids": "Stable", "durability": "Durable"},
    }
    return stage.play("Streams", stream, source, pods=2)


def test_a_redis_stream_is_exact_where_one_server_keeps_it(stage):
    assert streamed(stage, apart=False).statements["decision Exact"] > 0


def test_two_primaries_prove_nothing(stage):
    tally = streamed(stage, apart=True)
    assert tally.faults["two primaries"] > 0
    assert tally.statements["decision Unknown"] > 0


def test_two_primaries_that_are_taken_for_one_are_noticed(stage):
    async def never(*_):
        return None

    with (
        mock.patch.object(LogCollection, "_refuse_another_log", never),
        pytest.raises(Violation, match="the truth is 8"),
    ):
        streamed(stage, apart=True)


# -- activity that is pushed --


@pytest.fixture
def second():
    return Stage(1, licensed=True)


def pushed(stage):
    """What was pushed in eight hours is lost with the ledger that had taken it."""
    accounts = people(stage, (4,), (30,), (39,), (47.5, 49))
    producer = pushing.Producer("/app", events_of(accounts), [], 100)
    for at_ms in range(stage.plan.start_ms, stage.plan.end_ms, 2 * HOUR_MS):
        stage.happens(at_ms, "push")
    stage.happens(stage.end - 12 * HOUR_MS, "back_up")
    stage.happens(stage.end - 4 * HOUR_MS, "forfeit", (0.9, 0.0))
    push = {"serviceAccounts": ["app"], "producers": ["/app"]}
    source = {
        "preset": "StandardPush",
        "push": push,
        "guarantees": {"clockSkewSeconds": 240},
    }
    return stage.play("Pushed", pushing.Pusher(store(accounts), "app", [producer]), source)


def test_what_a_restored_ledger_has_forgotten_is_not_taken_for_silence(second):
    tally = pushed(second)
    assert tally.faults["push PushReceiptUnknown"] == 1
    assert tally.statements["decision LowerBound"] > 0


def test_a_heartbeat_that_proves_across_a_restored_ledger_is_noticed(second):
    def any_receipt(chain, given, receipt, through_ms):
        if chain is not None and given is not None:
            given = chain.receipt
        return pushes.continued(chain, given, receipt, through_ms)

    with (
        mock.patch("licenseusage.ledger.facts.pushes.continued", any_receipt),
        pytest.raises(Violation, match="the truth is 4"),
    ):
        pushed(second)


# -- drawing --


def test_every_kind_is_drawn_and_lists_most_often():
    random_ = random.Random(1)
    drawn = [draw_kind(random_, KINDS) for _ in range(200)]
    assert set(drawn) == set(KINDS)
    assert drawn.count(LISTS) > 70
