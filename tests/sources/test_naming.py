"""What a worker remembers of a list saves time, and changes nothing of what is found."""

import asyncio
import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.packing import changed, packed
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.sources.lists.memory import ListMemory
from licenseusage.sources.lists.naming import Naming
from licenseusage.sources.poll import MIB, CycleRequest, PollLimits
from licenseusage.sources.workers.kinds import collect
from licenseusage.sources.workers.workers import Workers
from tests.sources.product import CYCLE, FixedClock, answer, at, request, source

HASHED = Pseudonymiser(b"k" * 32, "app", 0)
ONCE = {"removal": "ListedOnce", "ids": "Stable", "clockSkewSeconds": 1}


def passed(names, known=None, piece=7):
    """One pass over a list, some rows at a time."""
    naming = Naming(HASHED, known)
    for first in range(0, len(names), piece):
        part = names[first : first + piece]
        assert naming.name(part) == b"".join(HASHED.each(part))
    return naming.named()


edits = st.lists(
    st.tuples(st.sampled_from(["insert", "remove", "replace", "double", "move", "turn"]),
              st.integers(0, 10_000), st.integers(0, 10_000)),
    max_size=12,
)  # fmt: skip


def edited(names, changes):
    names = list(names)
    for what, first, second in changes:
        place, other = first % (len(names) or 1), second % (len(names) or 1)
        match what:
            case "insert":
                names.insert(place, f"new {first} {second}")
            case "double" if names:
                names.insert(place, names[other])
            case "remove" if names:
                del names[place : place + 1 + second % 40]
            case "replace" if names:
                names[place] = f"other {second}"
            case "move" if names:
                names.insert(other, names.pop(place))
            case "turn":
                names.reverse()
    return names


@given(st.integers(0, 300), st.lists(edits, min_size=1, max_size=4), st.integers(1, 200))
def test_a_list_is_named_alike_whatever_was_remembered_of_it(size, polls, piece):
    names, known = [f"user {number}" for number in range(size)], None
    for changes in polls:
        names = edited(names, changes)
        known = passed(names, known, piece)
        fresh = passed(names)
        assert (known.users, known.everybody) == (fresh.users, fresh.everybody)
        assert known.hashes == fresh.hashes


def test_who_moved_to_an_earlier_piece_is_still_listed():
    """His old place holds another one now, which does not mean that he has left the list."""
    names = [f"user {number}" for number in range(16)]
    known = passed(names)
    names.insert(0, names.pop(8))
    names.insert(8, names.pop(2))
    assert passed(names, known, 8).everybody == passed(names).everybody


@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
def test_packed_users_are_changed_as_sets_are(users, added, gone):
    held, more, less = ({number.to_bytes(16) for number in each} for each in (users, added, gone))
    assert changed(packed(held), more, less) == packed(held - less | more)
    plenty = {number.to_bytes(16) for number in range(1000, 2000)}
    assert changed(packed(held | plenty), more, less) == packed((held | plenty) - less | more)


def test_only_those_who_are_new_are_hashed():
    made = []

    class Counting(Pseudonymiser):
        def each(self, ids):
            ids = list(ids)
            made.extend(ids)
            return super().each(ids)

    counting = Counting(b"k" * 32, "app", 0)
    names = [f"user {number}" for number in range(5000)]
    known = None
    for shown, new in (
        (names, names),
        (names, []),
        ([*names[:50], "in between", *names[50:]], ["in between"]),
        ([*names[:50], *names[60:], "at the end"], ["at the end"]),
    ):
        made.clear()
        naming = Naming(counting, known)
        for first in range(0, len(shown), 600):
            naming.name(shown[first : first + 600])
        assert made == new
        known = naming.named()


def test_what_is_remembered_holds_no_id():
    held = pickle.dumps(passed([f"ada{number}@example.org" for number in range(100)]))
    assert b"ada" not in held
    assert b"example" not in held


# -- whole polls --


def rows(*users):
    return [{"id": name, "seen": seen} for name, seen in users]


USUAL = rows(*((f"u{number}", at("05T10:00:00") if number % 3 else None) for number in range(60)))
LATER = [*USUAL[:7], *rows(("new", at("06T10:00:00"))), *USUAL[8:50], *rows(("U51 ", None))]
UNBOUNDED = PollLimits(worker_bytes=0)  # polled in the tests' own process, however large it is
EARLIER = Cycle(4, CYCLE.start_ms - 30 * DAY_MS, CYCLE.start_ms)


@pytest.mark.parametrize(
    "first",
    [
        {},
        {"pseudonym_key": b"o" * 32},
        {"product": "other"},
        {"cycles": (CycleRequest(EARLIER, roster=True),)},
        {"cycles": (CycleRequest(EARLIER, roster=True), CycleRequest(CYCLE, roster=True))},
        {"read": {"users": {"id": "id", "lastActive": {"path": "seen"}, "excludeIds": ["u7"]}}},
        {"read": {"users": {"id": "id", "lastActive": {"path": "seen"}, "normalize": ["Trim"]}}},
        {"read": {"users": {"id": "seen", "lastActive": {"path": "seen"}}}},
    ],
    ids=["nothing", "key", "product", "cycle", "two cycles", "excluded", "normalised", "id"],
)
@pytest.mark.parametrize("late", [False, True])
def test_a_poll_gives_the_same_whatever_its_worker_has_read_before(serve, first, late):
    shown = [USUAL]
    product = serve(lambda _: answer({"value": shown[-1]}, headers={"Date": None}))
    clock = FixedClock(CYCLE.end_ms + 3_600_000) if late else FixedClock()

    def asked(read=None, **more):
        wanted = {"cycles": (CycleRequest(CYCLE, roster=True),), "limits": UNBOUNDED} | more
        return request(product.port, source(guarantees=ONCE, **(read or {})), **wanted)

    memory = ListMemory()
    collect(asked(**first), clock, memory)
    assert memory.size
    for now in (USUAL, LATER, LATER[::-1], LATER[:3], USUAL):
        shown.append(now)
        for names_alike in ({}, {"read": {"users": {
            "id": "id", "lastActive": {"path": "seen"}, "normalize": ["Trim", "Lowercase"]
        }}}):  # fmt: skip
            known, fresh = (collect(asked(**names_alike), clock, one) for one in (memory, None))
            assert replace(known, seconds=0) == replace(fresh, seconds=0)


def test_a_list_that_did_not_end_is_not_remembered(serve):
    product = serve(answer(b'{"value": [{"id": "ann", "seen": null}', headers={"Date": None}))
    memory = ListMemory()
    wanted = (CycleRequest(CYCLE, roster=True),)
    collect(request(product.port, source(guarantees=ONCE), cycles=wanted), FixedClock(), memory)
    assert memory.size == 0


def test_the_list_read_longest_ago_is_forgotten_first(serve):
    product = serve(answer({"value": USUAL}, headers={"Date": None}))
    wanted = (CycleRequest(CYCLE, roster=True),)
    one, two = (
        request(
            product.port, source(guarantees=ONCE), cycles=wanted, subject=name, limits=UNBOUNDED
        )
        for name in ("shop/one", "shop/two")
    )
    memory = ListMemory(most_bytes=40 * len(USUAL) + 1)  # room for one
    for last, other in ((one, two), (two, one), (one, two)):
        collect(last, FixedClock(), memory)
        assert memory.known(last, CYCLE) is not None
        assert memory.known(other, CYCLE) is None
    memory = ListMemory()
    for asked in (one, two):
        collect(asked, FixedClock(), memory)
    assert memory.known(one, CYCLE) is not None


def test_nothing_is_remembered_where_a_poll_needed_half_of_the_workers_memory(serve):
    product = serve(answer({"value": USUAL}, headers={"Date": None}))
    memory = ListMemory()
    tight = PollLimits(worker_bytes=1 * MIB)  # this process has more than that
    wanted = (CycleRequest(CYCLE, roster=True),)
    asked = request(product.port, source(guarantees=ONCE), cycles=wanted, limits=tight)
    assert collect(asked, FixedClock(), memory).failure is None
    assert memory.size == 0


async def test_a_source_is_read_again_by_the_worker_that_knows_its_list(
    serve, monkeypatch, tmp_path
):
    """Two workers, two lists; each id is hashed once, by whichever of them."""
    (tmp_path / "sitecustomize.py").write_text(
        "import licenseusage.metering.pseudonym as p\n"
        "real = p.Pseudonymiser.each\n"
        "def each(self, names):\n"
        "    names = list(names)\n"
        f"    with open({str(tmp_path / 'hashed')!r}, 'a') as told:\n"
        "        told.writelines(name + '\\n' for name in names)\n"
        "    return real(self, names)\n"
        "p.Pseudonymiser.each = each\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    both = [rows((f"{letter}1", None), (f"{letter}2", at("05T10:00:00"))) for letter in "ab"]
    products = [serve(answer({"value": each}, headers={"Date": None})) for each in both]
    wanted = (CycleRequest(CYCLE, roster=True),)

    def asked(which):
        read = source(guarantees=ONCE)
        return request(products[which].port, read, cycles=wanted, subject=f"shop/{which}")

    async with Workers(2) as workers:
        await asyncio.gather(*(workers.poll(asked(which)) for which in (0, 1)))
        for which in (0, 1, 1, 0, 0):
            result = await workers.poll(asked(which))
            assert (result.failure, result.counted) == (None, 1)
    assert sorted((tmp_path / "hashed").read_text().split()) == ["a1", "a2", "b1", "b2"]
