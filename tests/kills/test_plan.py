"""The plan of a run of kills: each start is later, a seed repeats it, the sweep is everywhere."""

import random
from itertools import pairwise

from licenseusage.ledger.ledger import Ledger
from trials.kills.occasions import WAYS, Deed
from trials.kills.people import DAY, People
from trials.kills.places import (
    BY_DEEDS,
    LEDGER_WRITES,
    NOT_PLAYED,
    PLACES,
    only_at_the_beginning,
)
from trials.kills.plan import Move, Plan

BEGIN = 1_700_006_400 // DAY * DAY + DAY // 2


def lives(seed, kills=300, sweep=()):
    plan, now, made = Plan(random.Random(seed), kills, 4, list(sweep)), float(BEGIN), []
    for _ in range(kills):
        made.append(plan.next(now))
        plan.died(None, ["before poll", "after poll"])
        now = made[-1].starts_s + 3
    return made


def test_each_life_starts_after_the_end_of_the_one_before():
    made = lives(1)
    assert all(after.starts_s > before.starts_s + 3 for before, after in pairwise(made))


def test_a_seed_repeats_the_choices():
    assert lives(7) == lives(7)
    assert lives(7) != lives(8)


def test_lives_begin_in_every_way():
    assert {life.move for life in lives(1)} == set(Move)


def test_a_life_before_midnight_is_watched_until_its_cycle_can_be_closed():
    for life in lives(2):
        if life.move is Move.BEFORE_END:
            assert life.starts_s < life.rest_until_s - 20
            assert life.limit_seconds > life.rest_until_s - life.starts_s


def test_the_sweep_lies_in_wait_in_every_life_until_it_has_been_there():
    plan = Plan(random.Random(1), 100, 4, ["before poll", "after poll"])
    assert plan.next(BEGIN).armed.keys() == {"before poll", "after poll"}
    plan.died("before poll", ["before poll"])
    assert "after poll" in plan.next(BEGIN).armed
    assert plan.sweep == ["after poll"]


def test_what_happens_only_at_the_beginning_is_swept_in_every_life_until_then():
    once = [place for place in PLACES if only_at_the_beginning(place)]
    assert "within ledger add_key_statement Enrolment" in once
    assert "after put Enrolment" in once
    plan = Plan(random.Random(1), 100, 4, list(PLACES))
    for _ in range(60):
        assert set(once) <= plan.next(BEGIN).armed.keys()


def test_while_amendments_are_to_be_reached_cycles_end_unread_and_are_read_afterwards():
    made = lives(5, sweep=["before ledger amend_cycle"])
    read = [
        after
        for life, after in pairwise(made)
        if life.move is Move.GRACE and after.request is not None and after.request == life.down
    ]
    assert len(read) > 20
    assert {life.down for life in read} == {None}
    assert all(set(life.armed) == {"before ledger amend_cycle"} for life in read)
    assert not any(life.kill_after for life in read)


def test_a_run_that_is_long_enough_makes_every_rare_occasion_before_it_ends():
    for seed in range(20):
        made = lives(seed, kills=2 * len(PLACES), sweep=PLACES)
        rest = made[-6:]
        assert {life.move for life in rest} == {Move.GRACE, Move.SOON}, seed
        assert all(life.down is not None or life.request is not None for life in rest), seed


def test_a_short_run_is_as_mixed_as_any():
    made = lives(5, kills=80, sweep=PLACES)
    assert len({life.move for life in made[-30:]}) > 3


def test_an_object_that_is_deleted_comes_back():
    made = lives(3)
    deleted = [life.delete for life in made if life.delete is not None]
    assert deleted
    assert deleted == [life.restore for life in made if life.restore is not None]


def test_every_transaction_of_the_ledger_is_a_place():
    public = {name for name in dir(Ledger) if not name.startswith("_")}
    assert {"record_poll", "begin_close", "close_cycle", "claim", "record_result"} < set(
        LEDGER_WRITES
    )
    assert set(LEDGER_WRITES) < public
    assert set(NOT_PLAYED) < set(LEDGER_WRITES)
    for name in set(LEDGER_WRITES) - set(NOT_PLAYED):
        for when in ("before", "within", "after"):
            assert any(place.startswith(f"{when} ledger {name}") for place in PLACES)


def test_the_truth_counts_each_person_once_and_midnight_belongs_to_the_next_day():
    people = People(random.Random(5), BEGIN // DAY * DAY, 40, 20)
    start = BEGIN // DAY * DAY
    for day in range(start, start + 39 * DAY, DAY):
        seen = {name for name, at in _all(people) if day <= at < day + DAY}
        assert people.active(day, day + DAY) == len(seen)
    assert any(at % DAY == 0 for _, at in _all(people))
    assert any(at % DAY == DAY - 1 for _, at in _all(people))


def test_the_product_shows_the_last_activity_only():
    start = BEGIN // DAY * DAY
    people = People(random.Random(5), start, 3, 5)
    events = _all(people)
    for now in (start, start + DAY, start + 2 * DAY + 50_000):
        shown = dict(people.listed(now))
        for name in shown:
            past = [at for one, at in events if one == name and at <= now]
            assert shown[name] == max(past, default=None)


def _all(people):
    return [(name, at) for name, times in people._times.items() for at in times]


def test_places_that_deeds_lead_to_have_their_occasion_while_enough_lives_are_left():
    for seed in range(10):
        plan = Plan(random.Random(seed), 2 * len(BY_DEEDS), 4, list(BY_DEEDS), deeds=0.9)
        held = [place for place in BY_DEEDS if "AwaitingApproval" in place]
        for number in range(plan.kills):
            life = plan.next(BEGIN + number * DAY)
            for place in [place for place in plan.sweep if number > 20 and place not in held]:
                plan.died(place, [])
            last = plan.kills - number <= len(held)
            assert not last or (life.deeds, life.move) == ((Deed.HOLD,), Move.AFTER_END)
            assert not last or life.kill_after is None


def test_every_place_that_deeds_lead_to_has_a_way():
    ways = [way.words for way in WAYS]
    assert [place for place in BY_DEEDS if not any(words in place for words in ways)] == []


def test_without_an_administrator_nothing_is_done():
    plan = Plan(random.Random(1), 200, 4, list(BY_DEEDS))
    assert not any(plan.next(BEGIN + number * DAY).deeds for number in range(100))
