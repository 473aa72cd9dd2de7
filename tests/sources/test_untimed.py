"""Lists without times, read over HTTP and kept in a ledger: what is stated holds, or nothing is."""

import itertools
from dataclasses import replace

import pytest

from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.upkeep.checking import Level, check_ledger
from licenseusage.ledger.upkeep.merging import merge_ledgers
from licenseusage.metering.bounds import Accuracy
from licenseusage.metering.countwindows import CalendarMonthToDate, Rolling
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.lifecycle import HOUR_MS
from tests.metering.lately import Lately
from tests.sources.lately import Reader, lately

CYCLE = Cycle(0, 20_000 * DAY_MS, 20_012 * DAY_MS)
NEXT = Cycle(1, CYCLE.end_ms, CYCLE.end_ms + 12 * DAY_MS)
START, END = CYCLE.start_ms, CYCLE.end_ms
TIMES = (
    *range(START - 26 * HOUR_MS, END - HOUR_MS, 8 * HOUR_MS),
    *(END - HOUR_MS, END + HOUR_MS // 2, END + 3 * HOUR_MS, END + 9 * HOUR_MS),
)
LONG = {"type": "Rolling", "days": 12}
ALWAYS = list(range(START - 5 * DAY_MS, END + DAY_MS, 6 * HOUR_MS))
NEW = {f"new-{n}": [START + 5 * DAY_MS + n] for n in range(3)}
WORKS = {"goes": [START - DAY_MS, START - 20 * HOUR_MS, END - DAY_MS]}
"""Somebody whose coming back shows that the list forgets."""


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(
        f"sqlite:///{tmp_path / 'ledger.db'}", now_ms=TIMES[0], ledger_id="lately"
    ) as opened:
        yield opened


@pytest.fixture
def reader(serve, ledger):
    """Begin to read a product; each has a meter of its own."""
    server, numbers = serve(b""), itertools.count()

    def begin(*cycles, **fields):
        asked = lately(**fields)
        return Reader.of(ledger, server, asked, f"usage-{next(numbers)}", *(cycles or (CYCLE,)))

    return begin


@pytest.fixture
def stated(reader):
    """Read a product all through the cycle; return the statement."""

    def all_polls(product, times=TIMES, **fields):
        of = reader(**fields)
        for at in times:
            of.read(product, at)
        return of.stated(CYCLE)

    return all_polls


def rolling(days, acts, **more):
    return Lately(acts, Rolling(days * DAY_MS), **more)


def numbers(statement):
    return statement.bounds.lower, statement.bounds.upper


class TestAWeekInTwelveDays:
    """The window fits into the cycle: rows prove activity."""

    def test_everybody_who_was_active_counts(self, stated):
        acts = {"always": ALWAYS, "before": [START - DAY_MS], "after": [END + DAY_MS], **WORKS}
        found = stated(rolling(7, acts | {"once": [START + 5 * DAY_MS]}))
        assert numbers(found) == (3, 3)
        assert found.bounds.accuracy is Accuracy.EXACT
        assert "WindowAsDeclared" in found.assumptions

    def test_who_was_active_at_the_start_only_is_still_seen(self, stated):
        found = stated(rolling(7, {"first": [START + 7 * HOUR_MS], "always": ALWAYS, **WORKS}))
        assert found.bounds.lower == 3

    def test_a_list_that_is_not_seen_to_forget_gives_an_upper_bound_only(self, stated):
        found = stated(rolling(7, {"a": ALWAYS, "b": ALWAYS}))
        assert numbers(found) == (0, 2)
        assert [(one.reason, one.users) for one in found.uncertainty] == [("NeverForgets", 2)]
        assert found.words.startswith("at most 2: nobody was seen to leave the product's list")

    def test_how_many_accounts_there_are_is_not_told(self, reader):
        of, product = reader(), rolling(7, {"a": ALWAYS, **WORKS})
        assert of.read(product, TIMES[20]).provisioned is None

    def test_of_which_day_nobody_is_told(self, stated):
        found = stated(rolling(7, {"a": ALWAYS, **WORKS}))
        assert set(found.daily) == {None}

    def test_without_a_promise_that_nobody_leaves_there_is_a_lower_bound(self, stated):
        found = stated(
            rolling(7, {"a": ALWAYS, **WORKS}),
            guarantees={"removal": "Unknown", "ids": "Stable", "lagSeconds": 0},
        )
        assert numbers(found) == (2, None)
        assert found.unbounded == ("RemovedUsers",)

    def test_an_excluded_user_is_listed_and_counts_nowhere(self, stated):
        acts = {"bot": ALWAYS, "a": ALWAYS, **WORKS}
        found = stated(rolling(7, acts), users={"id": "id", "excludeIds": ["bot"]})
        assert numbers(found) == (2, 2)

    def test_days_that_no_list_looked_at_leave_no_upper_bound(self, stated):
        times = [at for at in TIMES if not START < at < END - DAY_MS]
        found = stated(rolling(7, {"a": ALWAYS, **WORKS}), times=times)
        assert found.bounds.upper is None
        assert found.unbounded == ("NeverForgets", "ProofGap")

    def test_no_poll_after_the_end_leaves_no_upper_bound(self, stated):
        found = stated(rolling(7, {"a": ALWAYS, **WORKS}), times=[t for t in TIMES if t < END])
        assert found.bounds.upper is None
        assert "NoClosingPoll" in found.unbounded


class TestTwelveDaysInTwelveDays:
    """The window is as long as the cycle: only who is new proves activity."""

    def test_who_is_new_counts_and_who_is_always_there_is_possible(self, stated):
        acts = {"always": ALWAYS, "new": [START + 5 * DAY_MS], "before": [START - DAY_MS]}
        found = stated(rolling(12, acts), window=LONG)
        assert numbers(found) == (1, 2)
        assert found.bounds.accuracy is Accuracy.BOUNDED
        assert [(one.reason, one.users) for one in found.uncertainty] == [("RollingList", 1)]

    def test_who_came_between_two_lists_around_the_start_is_only_possible(self, stated):
        between = max(t for t in TIMES if t < START) + 1000
        found = stated(rolling(12, {"a": ALWAYS, "first": [between]}), window=LONG)
        assert found.bounds.lower == 0

    def test_without_a_list_before_the_start_only_who_came_later_counts(self, stated):
        """Installed in the cycle: whoever is on the first list may be from before it."""
        acts = {"a": [START + DAY_MS], "b": [START + 9 * DAY_MS]}
        times = [at for at in TIMES if at > START + 5 * DAY_MS]
        assert stated(rolling(12, acts), times=times, window=LONG).bounds.lower == 1

    def test_nobody_is_new_where_people_may_be_shown_again(self, stated):
        found = stated(
            rolling(12, {"a": ALWAYS, "new": [START + 5 * DAY_MS]}),
            window=LONG,
            guarantees={"removal": "Unknown", "ids": "Stable", "lagSeconds": 0},
        )
        assert numbers(found) == (0, None)


class TestMonths:
    """Since the first of the month: the list begins anew at the cycle's end."""

    APRIL = Cycle(0, 90 * DAY_MS, 120 * DAY_MS)

    def stated(self, reader, acts, **more):
        of = reader(self.APRIL, window={"type": "CalendarMonthToDate"})
        product = Lately(acts, CalendarMonthToDate(), **more)
        first, last = self.APRIL.start_ms, self.APRIL.end_ms
        for at in (*range(first - DAY_MS, last - HOUR_MS, 15 * HOUR_MS), last - 1000, last + 5000):
            of.read(product, at)
        return of.stated(self.APRIL)

    def test_who_is_listed_in_the_month_was_active_in_it(self, reader):
        first = self.APRIL.start_ms
        acts = {"a": [first - DAY_MS * 2, first + 9 * DAY_MS], "b": [first + 1], "c": [first - 1]}
        acts["d"] = [self.APRIL.end_ms + 1]
        found = self.stated(reader, acts)
        assert numbers(found) == (2, None)
        assert found.unbounded == ("ProofGap",)

    def test_a_list_that_loses_people_within_the_month_proves_nothing(self, reader):
        first = self.APRIL.start_ms
        acts = {"a": [first - DAY_MS * 2, first + DAY_MS], "b": [first + DAY_MS]}

        def loses(names, at):
            return [name for name in names if name != "b" or at < first + 9 * DAY_MS]

        found = self.stated(reader, acts, shown=loses)
        assert numbers(found) == (0, None)
        assert "GuaranteeRefuted" in found.unbounded
        assert "left the list while the window that is declared still looked" in found.refuted[0]


class TestLies:
    """What the list says against itself."""

    def test_a_list_of_all_accounts_proves_nobody_active(self, stated):
        accounts = {f"u{n}": [START - 300 * DAY_MS] for n in range(9)}
        found = stated(rolling(7, accounts, shown=lambda _, at: sorted(accounts)))
        assert numbers(found) == (0, 9)

    def test_a_list_of_all_accounts_that_grows_proves_nobody_active(self, stated):
        """One signs up every day; none is ever used."""
        everybody = [f"u{n}" for n in range(20)]
        grows = rolling(7, {}, shown=lambda _, at: everybody[: 5 + (at - START) // DAY_MS])
        assert stated(grows).bounds.lower == 0

    def test_half_a_list_makes_nobody_new_who_is_back(self, stated):
        """All came before the cycle; one answer of many lacks half of them, who are few."""
        before = {f"u{n}": [START - DAY_MS] for n in range(4)}
        cut = TIMES[30]
        halved = rolling(12, before, shown=lambda names, at: names[::2] if at == cut else names)
        found = stated(halved, window=LONG)
        assert found.bounds.lower == 0

    def test_half_a_list_first_makes_nobody_new_when_it_is_whole(self, stated):
        """Half of forty, all through the time before: the account is given its rights later."""
        before = {f"u{n}": [START - DAY_MS] for n in range(40)}
        rights = START + 4 * DAY_MS
        halved = rolling(12, before, shown=lambda names, at: names[::2] if at < rights else names)
        assert stated(halved, window=LONG).bounds.lower == 0

    def test_a_list_without_somebody_who_must_still_be_on_it_proves_nothing(self, stated):
        """The window is 2 days in truth, and 12 are declared."""
        found = stated(rolling(2, {"a": ALWAYS, **NEW}), window=LONG)
        assert numbers(found) == (0, None)
        assert found.bounds.accuracy is Accuracy.UNKNOWN
        assert found.unbounded[0] == "GuaranteeRefuted"
        assert "If the product's window is shorter, correct window" in found.refuted[0]

    def test_it_goes_on_proving_nothing_when_people_are_back(self, stated):
        """Who vanished is listed again, and stays."""
        away = range(START + 7 * DAY_MS, START + 9 * DAY_MS)
        blinks = rolling(
            12,
            {"a": ALWAYS, **NEW},
            shown=lambda names, at: [n for n in names if at not in away or n == "a"],
        )
        assert numbers(stated(blinks, window=LONG)) == (0, None)

    def test_nobody_on_the_list_is_no_answer(self, reader):
        """An account that lost its rights is shown an empty list: nobody was ruled out."""
        of = reader(window=LONG)
        lost = range(START + 6 * DAY_MS, START + 7 * DAY_MS)
        product = rolling(
            12, {"a": ALWAYS, **NEW}, shown=lambda names, at: [] if at in lost else names
        )
        results = [of.read(product, at) for at in TIMES]
        empty = [found for found in results if not found.users_listed]
        assert {found.incomplete.reason for found in empty} == {"EmptyListing"}
        assert numbers(of.stated(CYCLE)) == (3, 4)

    def test_a_repeated_row_rules_nobody_out_and_makes_nobody_new(self, reader):
        of = reader(window=LONG)
        product = rolling(12, {"a": ALWAYS, **NEW}, shown=lambda names, at: [*names, names[0]])
        results = [of.read(product, at) for at in TIMES]
        assert {found.incomplete.reason for found in results} == {"RowsRepeated"}
        assert numbers(of.stated(CYCLE)) == (0, None)

    def test_a_list_that_says_that_more_follows_is_cut(self, reader):
        of = reader(window=LONG)
        product = rolling(12, {"a": ALWAYS, **NEW}, around={"continue": True, "total": 9})
        results = [of.read(product, at) for at in TIMES]
        assert {found.incomplete.reason for found in results} == {"ListCut"}
        assert numbers(of.stated(CYCLE)) == (0, None)

    @pytest.mark.parametrize(("people", "counted"), [(3, 3), (4, 0)])
    def test_many_at_once_are_not_new(self, reader, people, counted):
        came = {f"u{n}": [START + 5 * DAY_MS] for n in range(people)}
        of, product = reader(window=LONG), rolling(12, {"a": ALWAYS, **came})
        for at in (at for at in TIMES if at < START + 5 * DAY_MS + 8 * HOUR_MS):
            of.read(product, at)
        assert of.stated(CYCLE, so_far=True).bounds.lower == counted
        skipped = of.ledger.source_statuses(of.meter_id)["lately"].skipped
        assert skipped == ({} if counted else {"CameAtOnce": people})

    def test_somebody_without_an_id_cannot_be_left_out(self, reader):
        of = reader()
        product = rolling(7, {"a": ALWAYS})
        product.around["active"] = [{"id": "a"}, {"name": "b"}]
        found = of.read(product, TIMES[20])
        assert found.failure.reason == "IdMissing"


class TestASecondCycle:
    """Each cycle has its own pseudonyms, and its own list before it."""

    def both(self, reader, acts, days=12, **fields):
        of = reader(CYCLE, NEXT, **fields)
        product = rolling(days, acts)
        for at in (*TIMES, *range(END + 9 * HOUR_MS, NEXT.end_ms + 9 * HOUR_MS, 8 * HOUR_MS)):
            of.read(product, at)
        return of.stated(CYCLE), of.stated(NEXT)

    def test_who_is_on_the_last_list_before_it_is_not_new_in_it(self, reader):
        acts = {"a": [START + 5 * DAY_MS, END + 10 * DAY_MS], "b": [END + 2 * DAY_MS]}
        first, second = self.both(reader, acts | {"always": ALWAYS}, window=LONG)
        assert first.bounds.lower == 1
        assert second.bounds.lower == 1

    def test_the_next_cycle_has_to_be_seen_to_forget_itself(self, reader):
        always = list(range(START - 5 * DAY_MS, NEXT.end_ms + DAY_MS, 6 * HOUR_MS))
        first, second = self.both(reader, {"a": always, **WORKS}, days=7)
        assert numbers(first) == (2, 2)
        assert second.bounds.lower == 0

    def test_what_is_refuted_stays_so_until_it_is_declared_anew(self, reader):
        always = list(range(START - 5 * DAY_MS, NEXT.end_ms + DAY_MS, 6 * HOUR_MS))
        of = reader(CYCLE, NEXT, window=LONG)
        product = rolling(2, {"a": always, "b": [START + 5 * DAY_MS], "c": [END + 5 * DAY_MS]})
        later = range(END + 9 * HOUR_MS, NEXT.end_ms + 9 * HOUR_MS, 8 * HOUR_MS)
        for at in (*TIMES, *later):
            of.read(product, at)
        assert numbers(of.stated(NEXT)) == (0, None)
        assert of.stated(NEXT).refuted


class TestKept:
    """What is kept of it, besides who was listed."""

    @pytest.fixture
    def read(self, reader):
        """A list of a week, with somebody who works and somebody who is always there."""

        def begin(*, forgets=True, name=None, **fields):
            of = reader(**fields)
            product = rolling(7, {"a": ALWAYS, **(WORKS if forgets else {})})
            for at in TIMES:
                of.read(product, at)
            return of

        return begin

    def test_without_days_there_is_a_lower_bound(self, read, reader):
        of = reader()
        of.ledger.follow_daily_facts(of.meter_id, TIMES[0], dropped=True)
        product = rolling(7, {"a": ALWAYS, **WORKS})
        for at in TIMES:
            of.read(product, at)
        assert numbers(of.stated(CYCLE)) == (2, None)

    def test_days_that_are_dropped_later_take_the_upper_bound_away(self, read):
        of = read()
        assert numbers(of.stated(CYCLE)) == (2, 2)
        of.ledger.follow_daily_facts(of.meter_id, TIMES[-1], dropped=True)
        assert numbers(of.stated(CYCLE)) == (2, None)

    def test_a_source_that_is_gone_counts_as_far_as_it_was_heard(self, read):
        for forgets, lower in ((True, 2), (False, 0)):
            of = read(forgets=forgets)
            gone = of.ledger.statement(of.meter_id, CYCLE, sources=[], as_of_ms=END)
            assert (gone.bounds.lower, gone.bounds.upper) == (lower, None)

    def test_the_ledger_is_sound(self, read, tmp_path):
        read()
        found = check_ledger(tmp_path / "ledger.db")
        assert [one for one in found if one.level is Level.BAD] == []

    def test_two_ledgers_joined_say_at_least_what_each_says(self, serve, ledger, tmp_path):
        """Half of the polls were recorded in each; only one of them saw the list forget."""
        product = rolling(7, {"a": ALWAYS, **WORKS})
        path = tmp_path / "other.db"
        with Ledger.open(f"sqlite:///{path}", now_ms=TIMES[0], ledger_id="other") as other:
            one, two = (
                Reader.of(each, serve(b""), lately(), "shared", CYCLE) for each in (ledger, other)
            )
            for number, at in enumerate(TIMES):
                (one if number < 35 else two).read(product, at)
            apart = one.stated(CYCLE), two.stated(CYCLE)
        assert [numbers(each) for each in apart] == [(0, None), (0, None)]
        ledger.close()
        for _ in range(2):
            merge_ledgers(path, tmp_path / "ledger.db", now_ms=TIMES[-1])
        with Ledger.open(
            f"sqlite:///{tmp_path / 'ledger.db'}", now_ms=TIMES[-1], ledger_id="lately"
        ) as joined:
            assert numbers(replace(one, ledger=joined).stated(CYCLE)) == (0, 2)


class TestReplays:
    """What was read may be recorded again, and in any order."""

    def test_a_poll_that_is_recorded_again_changes_nothing(self, reader):
        of = reader(window=LONG)
        product = rolling(12, {"always": ALWAYS, "new": [START + 5 * DAY_MS]})
        results = [of.read(product, at) for at in TIMES]
        before = of.stated(CYCLE)
        for result in reversed(results):
            of.record(result)
        assert of.stated(CYCLE) == before

    def test_lists_that_come_late_make_nobody_new(self, reader):
        """The newest list is recorded first: who is on an older one did not appear on it."""
        of = reader(window=LONG)
        product = rolling(12, {"always": ALWAYS, "new": [START + 5 * DAY_MS]})
        results = [of.read(product, at) for at in TIMES]
        backwards = replace(of, meter_id=of.meter_id)
        again = Reader.of(of.ledger, of.server, of.asked, "backwards", CYCLE)
        for result in reversed(results):
            again.record(result)
        assert again.stated(CYCLE).bounds.lower == 0
        assert again.stated(CYCLE).bounds.upper == backwards.stated(CYCLE).bounds.upper
