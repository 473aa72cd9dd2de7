"""``source check --watch``: what moved between polls of one product."""

import json
from email.utils import format_datetime
from typing import Any

import pytest

from licenseusage.cli.source_watch_users import Moves, moves_of
from tests.sources.product import answer
from tests.sources.test_source_check import OTHER, ago, now

PEOPLE = OTHER | {
    "pods": {"selector": {"matchLabels": {"app": "x"}}, "port": 1, "scheme": "HTTP"},
    "guarantees": {"removal": "Never", "ids": "Stable"},
}

NUMBER = {name: PEOPLE[name] for name in ("name", "pods")} | {
    "http": {"path": "/n"},
    "count": {"value": "n"},
    "window": {"type": "Rolling", "days": 30},
}


def at(hours: float) -> str:
    return ago(hours=hours)


def row(name: str, seen: str | None) -> dict[str, Any]:
    return {"id": f"leaky-{name}", "seen": seen}


def lists(serve, *answers):
    """A product that answers so, one after the other, and then always as the last time."""
    left = list(answers)

    def respond(_):
        body = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(body, bytes):
            return body
        return answer(body, headers={"Date": format_datetime(now(), usegmt=True)})

    return f"http://127.0.0.1:{serve(respond).port}"


def watch(run, file, url, source, times, *more):
    asked = ("source", "check", file(source), "--url", url, "--watch", "--every", 0)
    return run(*asked, "--times", times, *more)


def test_two_lists_are_compared_by_user():
    before = {b"a": 5, b"b": 5, b"c": 5, b"d": -1, b"e": 5}
    now_ = {b"a": 5, b"b": 6, b"c": 4, b"d": 1, b"f": 1}
    assert moves_of(before, now_) == Moves([b"f"], [b"e"], [b"b", b"d"], [b"c"])


def test_who_appeared_left_moved_on_and_went_back_is_told(run, file, serve):
    first = [row("a", at(5)), row("b", at(5)), row("c", at(5)), row("d", None)]
    second = [row("b", at(2)), row("c", at(9)), row("d", None), row("e", at(1))]
    url = lists(serve, first, second)
    done = watch(run, file, url, PEOPLE, 2, "-o", "json")
    facts = json.loads(done.out)
    begun, moved = facts["polls"]
    assert begun["moves"] is None
    assert {name: one["users"] for name, one in moved["moves"].items()} == {
        "appeared": 1,
        "left": 1,
        "movedOn": 1,
        "wentBack": 1,
    }
    assert (begun["usersListed"], moved["usersCounted"], done.code) == (4, 3, 1)
    assert "a last activity went back" in facts["notes"][0]
    assert "leaky" not in done.out + done.err


def test_each_poll_is_printed_with_pseudonyms_that_stay_the_same(run, file, serve):
    times = [at(5), at(4), at(3)]
    url = lists(serve, *([row("a", seen), row("b", at(9))] for seen in times))
    done = watch(run, file, url, PEOPLE, 3)
    assert (done.code, done.err) == (0, "")
    assert done.out.count("2 listed, 2 counted") == 3
    examples = [line.split() for line in done.out.splitlines() if line.startswith("    ")]
    assert [seen for _, seen in examples] == times[1:]
    assert len({user for user, _ in examples}) == 1
    assert "1 users moved on with each poll" in done.out
    assert "leaky" not in done.out


def test_a_list_in_which_nothing_moves_says_what_to_try(run, file, serve):
    done = watch(run, file, lists(serve, [row("a", at(5))]), PEOPLE, 2)
    assert done.code == 0
    assert "note: Source other: nothing moved. Use the product as a person" in done.out


@pytest.mark.parametrize(("removal", "code"), [("Never", 1), ("Unknown", 0)])
def test_to_leave_is_wrong_only_where_nobody_may_be_removed(run, file, serve, removal, code):
    source = PEOPLE | {"guarantees": {"removal": removal, "ids": "Stable"}}
    url = lists(serve, [row("a", at(5)), row("b", at(5))], [row("a", at(5))])
    done = watch(run, file, url, source, 2)
    assert (done.code, "1 left, for example:" in done.out) == (code, True)


def test_a_poll_that_fails_is_told_and_not_compared(run, file, serve):
    failed = answer(b"", "404 Not Found")
    url = lists(serve, [row("a", at(5))], failed, [row("a", at(4))])
    done = watch(run, file, url, PEOPLE, 3, "-o", "json")
    polls = json.loads(done.out)["polls"]
    assert [poll["failure"] and poll["failure"]["reason"] for poll in polls] == [
        None,
        "PathNotFound",
        None,
    ]
    assert [poll["moves"] and poll["moves"]["movedOn"]["users"] for poll in polls] == [
        None,
        None,
        1,
    ]
    assert done.code == 1


def test_an_unreachable_product_is_3(run, file, serve):
    made = serve(answer([]))
    made.close()
    done = watch(run, file, f"http://127.0.0.1:{made.port}", PEOPLE, 2)
    assert (done.code, "error: Unreachable" in done.err) == (3, True)


def test_a_list_without_times_shows_who_came_and_went(run, file, serve):
    source = PEOPLE | {"users": {"id": "id"}, "window": {"type": "Rolling", "days": 7}}
    url = lists(serve, [{"id": "leaky-a"}, {"id": "leaky-b"}], [{"id": "leaky-b"}, {"id": "c"}])
    done = watch(run, file, url, source, 2, "-o", "json")
    moves = json.loads(done.out)["polls"][1]["moves"]
    assert {name: one["users"] for name, one in moves.items()} == {"appeared": 1, "left": 1}
    assert done.code == 0


def test_a_number_is_shown_as_it_moves(run, file, serve):
    url = lists(serve, {"n": 3}, {"n": 5})
    done = watch(run, file, url, NUMBER, 2, "-o", "json")
    assert [poll["number"] for poll in json.loads(done.out)["polls"]] == [3, 5]


@pytest.mark.parametrize(("numbers", "noted"), [((3, 3, 3), True), ((3, 3, 4), False)])
def test_a_number_that_stands_still_may_be_a_limit(run, file, serve, numbers, noted):
    url = lists(serve, *({"n": number} for number in numbers))
    done = watch(run, file, url, NUMBER, 3)
    assert done.code == 0
    assert ("the number stayed at 3" in done.out) == noted
    assert ("declare count.saturatesAt" in done.out) == noted


@pytest.mark.parametrize(
    ("hours", "granularity", "noted"),
    [(9.1, "Second", True), (0.5, "Second", True), (0.3, "Second", False), (9.0, "Day", False)],
)
def test_who_moves_on_to_another_time_of_the_day_shows_a_wrong_zone(
    run, file, serve, hours, granularity, noted
):
    """A zone that makes times too early passes every other check: nothing is in the future."""
    url = lists(serve, [row("a", at(30))], [row("a", at(hours))])
    stamp = {"path": "seen", "naiveTimezone": "Asia/Tokyo", "granularity": granularity}
    source = PEOPLE | {"users": {"id": "id", "lastActive": stamp}}
    done = watch(run, file, url, source, 2)
    assert done.code == 0, done.err
    assert ("of another zone than Asia/Tokyo" in done.out) == noted
    assert ("a time at least 9 h " in done.out) == (noted and hours == 9.1)


@pytest.mark.parametrize(
    "options",
    [
        ("--every", 5),
        ("--times", 5),
        ("--watch", "--record", "x"),
        ("--watch", "--times", 1),
        ("--watch", "--show-ids"),
    ],
)
def test_options_that_do_not_go_together_are_usage_errors(run, file, options):
    done = run("source", "check", file(PEOPLE), "--url", "http://127.0.0.1:1", *options)
    assert done.code == 2
    assert "Traceback" not in done.err
