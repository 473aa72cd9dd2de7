"""What is said of exclusions that leave nobody out, and of the collector among the people."""

import pytest

from licenseusage.api.source import Source
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.lists.columns import Columns
from licenseusage.sources.lists.notes import (
    MOST_MOVED,
    POLLS_ALIKE,
    Companions,
    Watch,
    account_to_read,
    moved_with,
)
from licenseusage.sources.poll import Credentials
from tests.sources.product import ADMIN, NOW_MS, answer, at, poll

START_MS = 20_400 * DAY_MS
CYCLE = Cycle(0, START_MS, START_MS + 30 * DAY_MS)
OWN = Credentials(username="license-meter", password="p")
BASIC = {"basic": {"secretRef": {"name": "opencloud-meter"}}}
TOKEN = {"header": {"secretRef": {"name": "m", "key": "t"}}}
KEPT = {"removal": "Never", "ids": "Stable"}
PODS = {"selector": {"matchLabels": {"app": "x"}}, "port": 80, "scheme": "HTTP"}


def source(**fields):
    return effective(Source.model_validate({"name": "s", "pods": PODS, **fields}))


def users(auth=BASIC, **more):
    read = {"id": "id", "lastActive": {"path": "seen"}, **more}
    return source(auth=auth, http={"path": "/users"}, users=read)


def opencloud(auth=BASIC, **more):
    return source(preset="OpenCloud", auth=auth, **more)


def notes(read, *pages, complete=True, credentials=OWN):
    watch = Watch(read, credentials, CYCLE)
    for page in pages:
        watch.see(page)
    return " ".join(watch.notes(complete=complete))


def at_day(day):
    return (START_MS + day * DAY_MS) // 1000


def rows(*ids, seen=5, **more):
    return Columns(list(ids), [at_day(seen)] * len(ids), **more)


# -- excludeIds --


def test_an_excluded_id_that_is_on_no_row_is_named_by_its_place():
    said = notes(users(excludeIds=["gone-user", "b"]), rows("a"), rows("b"))
    assert "Source s: users.excludeIds[0] is on nobody's row of a complete list" in said
    assert "gone-user" not in said


def test_several_are_counted():
    said = notes(users(excludeIds=["v", "w", "x", "y", "z"]), rows("a"))
    assert "users.excludeIds[0], users.excludeIds[1], users.excludeIds[2] and 2 more are" in said
    assert "users.excludeIds[0] and users.excludeIds[1] are" in notes(
        users(excludeIds=["v", "w"]), rows("a")
    )


def test_of_a_list_that_is_not_complete_nothing_is_said_about_who_is_not_on_it():
    read = users(excludeIds=["gone"], exclude="bot")
    assert notes(read, rows("a", excluded=[False]), complete=False) == ""


def test_ids_are_compared_as_they_are_counted():
    read = users(excludeIds=["ADA", "7"], normalize=["Trim", "Lowercase"])
    assert notes(read, rows(" Ada", 7, None)) == ""
    assert notes(users(excludeIds=["7"]), rows(7, None)) == ""


def test_an_id_that_exclude_leaves_out_as_well_is_on_the_list():
    read = users(excludeIds=["a"], exclude="bot")
    assert notes(read, rows("a", "b", excluded=[True, False])) == ""


# -- exclude --


def test_an_exclude_that_matches_nobody_is_said():
    said = notes(users(exclude="bot"), rows("a", "b", excluded=[False, False]))
    assert "users.exclude matches none of 2 users" in said
    assert (
        notes(users(exclude="bot"), rows("a", excluded=[False]), rows("b", excluded=[True])) == ""
    )
    assert notes(users(exclude="bot"), rows()) == ""


# -- the collector's own account --


def test_the_collectors_own_account_is_told_by_its_id():
    said = notes(users(), rows("a", "license-meter"))
    assert "collector's own account, that of Secret opencloud-meter, is counted" in said
    assert "license-meter" not in said.replace("opencloud-meter", "")


def test_the_collectors_own_account_is_told_by_its_user_name_where_that_is_shown():
    said = notes(users(), rows("u-1", "u-2", accounts=["ada", "license-meter"]))
    assert "collector's own account" in said


@pytest.mark.parametrize(
    "page",
    [
        rows("license-meter", seen=31),
        rows("license-meter", seen=-1),
        Columns(["license-meter"], [None]),
        Columns(["license-meter"], ["soon"]),
        rows("license-meter", excluded=[True]),
        Columns([None], [at_day(5)], accounts=["license-meter"]),
        rows("license-meter-2"),
    ],
)
def test_an_account_that_is_not_counted_is_not_said(page):
    assert notes(users(), page) == ""


def test_an_account_that_is_left_out_by_its_id_is_not_said():
    read = users(excludeIds=["u-2"])
    assert notes(read, rows("u-1", "u-2", accounts=["ada", "license-meter"])) == ""


def test_without_a_user_name_of_ours_nobody_is_suspected():
    token = Credentials(header_value="license-meter")
    assert notes(users(TOKEN), rows("license-meter"), credentials=token) == ""
    assert notes(users(None), rows("license-meter"), credentials=None) == ""


def test_user_names_are_read_only_where_nothing_else_leaves_the_collector_out():
    left_out = {"exclude": "onPremisesSamAccountName == 'license-meter'"}
    guests = {"exclude": "userType == 'Guest'"}
    assert account_to_read(opencloud()) == "onPremisesSamAccountName"
    assert account_to_read(opencloud(users=guests)) == "onPremisesSamAccountName"
    assert account_to_read(opencloud(users=left_out)) is None
    assert account_to_read(opencloud(TOKEN)) is None
    assert account_to_read(users()) is None


# -- an account that is active whenever we are --


def test_users_active_while_a_poll_ran_are_those_whose_stamps_lie_within():
    names, at = [b"a", b"b", b"c", b"d"], [899, 900, 2100, 2101]
    assert moved_with([(1000, 2000)], names, at, 100) == (b"b", b"c")
    assert moved_with([(1000, 2000), (850, 880)], names, at, 100) == (b"a", b"b", b"c")


def test_where_many_are_active_at_once_nobody_is_told():
    crowd = [bytes([number]) for number in range(MOST_MOVED + 1)]
    assert moved_with([(0, 1)], crowd, [0] * len(crowd), 0) == ()
    assert len(moved_with([(0, 1)], crowd[1:], [0] * MOST_MOVED, 0)) == MOST_MOVED


def told(*polls, apart=60):
    """What is said after these, an interval of 60 apart."""
    seen = Companions()
    for number, moved in enumerate(polls):
        seen = seen.after(moved, (apart * number, apart * number + 1), 60)
    return seen.note("graph")


def test_one_user_who_was_active_at_every_poll_is_suspected_to_be_the_collector():
    said = told(*([(b"own", bytes([number])) for number in range(POLLS_ALIKE)]))
    assert said is not None
    assert "Source graph: one of the people counted was active at each of the last 6 polls" in said
    assert "own" not in said.replace("account", "")


@pytest.mark.parametrize(
    "polls",
    [
        [(b"own",)] * (POLLS_ALIKE - 1),
        [(b"own", b"ada")] * POLLS_ALIKE,
        [*[(b"own",)] * (POLLS_ALIKE - 1), ()],
        [*[(b"own",)] * (POLLS_ALIKE - 1), (b"ada",)],
        [()] * POLLS_ALIKE,
    ],
)
def test_fewer_polls_two_users_or_one_poll_without_her_are_no_suspicion(polls):
    assert told(*polls) is None


def test_after_a_poll_without_her_it_begins_anew():
    assert told((b"own",), (b"ada",), *[(b"own",)] * POLLS_ALIKE) is not None


def test_polls_that_follow_closely_say_nothing():
    assert told(*[(b"own",)] * 20, apart=29) is None
    assert told(*[(b"own",)] * 20, apart=30) is not None
    assert told((b"own",), *[()] * 5, apart=1) is None


def test_the_last_poll_is_remembered_since_an_access_may_show_only_in_the_next():
    assert Companions().after((), (7, 9), 60).last == (7, 9)
    assert Companions((), 0, (7, 9)).after((b"a",), (10, 11), 60).last == (10, 11)


# -- from a poll --


def listed(*rows):
    return answer({"value": [{"id": name, "seen": seen} for name, seen in rows]})


def test_a_poll_tells_what_its_exclusions_and_its_own_account_do(serve):
    product = serve(listed(("ann", at("05T10:00:00")), (ADMIN, at("06T10:00:00"))))
    read = {"id": "id", "lastActive": {"path": "seen"}, "excludeIds": ["0"], "exclude": "bot"}
    made = source(
        auth=BASIC, http={"path": "/users", "items": "value"}, users=read, guarantees=KEPT
    )
    result = poll(product.port, made)
    assert (result.failure, result.complete, result.counted) == (None, True, 2)
    places = [note.split()[2] for note in result.notes]
    assert places == ["users.excludeIds[0]", "users.exclude", "the"]
    assert result.hint is None


def test_a_list_of_those_active_in_the_cycle_only_does_not_show_whom_it_should_leave_out(serve):
    product = serve(listed(("ann", at("05T10:00:00"))))
    made = source(
        http={
            "path": "/users",
            "items": "value",
            "query": [{"name": "since", "value": "{{cycle.start}}"}],
        },
        users={"id": "id", "lastActive": {"path": "seen"}, "excludeIds": ["0"]},
        guarantees=KEPT,
    )
    result = poll(product.port, made)
    assert (result.complete, result.notes) == (True, ())


def test_a_poll_tells_by_pseudonym_who_was_active_while_it_ran_or_the_one_before(serve):
    product = serve(
        listed(
            ("own", at("20T12:00:00")),
            ("lately", at("20T11:45:00")),
            ("other", at("20T11:00:00")),
        )
    )
    made = source(
        http={"path": "/users", "items": "value"},
        users={"id": "id", "lastActive": {"path": "seen"}},
        guarantees=KEPT | {"clockSkewSeconds": 2},
    )
    now = poll(product.port, made)
    (own,) = now.moved
    assert own in now.facts[5].sure
    quarter = 15 * 60_000
    both = poll(product.port, made, before=(NOW_MS - quarter, NOW_MS - quarter + 500))
    assert len(both.moved) == 2
    assert own in both.moved
