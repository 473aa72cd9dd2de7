"""Products that break one promise: no bound that the truth escapes, whichever promise it is.

Lists that are declared to lose nobody, read in order as the ledger reads them. Each history is a
seed, and a failure names it (``histories``). Time is the oracle's ticks: the cycle is [30, 54).
"""

import random
from dataclasses import dataclass, field, replace

from licenseusage.metering.bounds import Accuracy, Bounds
from licenseusage.metering.combine import evaluate_facts
from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS
from licenseusage.metering.facts import Facts, list_facts, merge
from licenseusage.metering.properties import Guarantee
from licenseusage.metering.refuting import refuted_by, seen_in
from licenseusage.metering.roster import Listed, unpacked
from tests.metering import translate
from tests.metering.histories import blocks
from tests.metering.oracle import bounds as oracle
from tests.metering.oracle.simulator import CY, E, S

SPEC = oracle.ListSpec()
DECLARED = replace(translate.properties(SPEC), roster_gap_ms=4 * DAY_MS)
NEVER = 10**6


@dataclass
class Person:
    """Who was active when, under which ids, and when the list shows it."""

    events: list[int]
    ids: list[tuple[int, str]]  # since when, ascending
    created: int = 0
    erased: int = NEVER
    hidden: tuple[int, int] = (NEVER, NEVER)
    excluded: int = NEVER

    def name(self, at: int) -> str:
        return [name for since, name in self.ids if since <= at][-1]

    def listed(self, at: int) -> bool:
        return self.created <= at < self.erased and not self.hidden[0] <= at < self.hidden[1]

    def counts(self) -> bool:
        return any(S <= at < min(E, self.excluded) for at in self.events)


@dataclass
class Product:
    """A product; restored at ``restored[1]`` from a backup of ``restored[0]``."""

    people: list[Person] = field(default_factory=list)
    restored: tuple[int, int] = (NEVER, NEVER)

    def value(self, person: Person, at: int) -> int | None:
        backup, since = self.restored
        lost = [backup < event < since <= at for event in person.events]
        shown = [e for e, gone in zip(person.events, lost, strict=True) if e < at and not gone]
        return max(shown, default=None)

    def truth(self) -> int:
        return sum(person.counts() for person in self.people)


def made(random_: random.Random, lie: str) -> Product:
    """A product that tells one lie; nobody is created, used and gone between two polls."""
    product = Product()
    for number in range(random_.randint(1, 7)):
        events = sorted(random_.sample(range(10, 80), random_.randint(0, 5)))
        person = Person(events, [(0, f"{number}")])
        product.people.append(person)
        if random_.random() < 0.5:
            continue
        at = random_.randint(S - 2, 70)
        if lie == "erased":
            person.erased = at
            person.events = [event for event in events if event < at]
        elif lie == "renamed":
            person.ids.append((at, f"{number}-new"))
        elif lie == "excluded":
            person.excluded = at
            person.events = [event for event in events if event < at]
    if lie == "shrunk":
        since = random_.randint(S, 70)
        for person in random_.sample(product.people, random_.randint(0, len(product.people))):
            person.hidden = (since, since + random_.randint(1, 30))
    if lie == "restored":
        since = random_.randint(S, 70)
        product.restored = (since - random_.randint(1, 30), since)
    return product


def poll(product: Product, at: int, *, complete: bool) -> Facts:
    """What the project makes of one poll."""
    tick = translate.TICK_MS
    rows, aside, quiet, never, early = [], [], [], [], []
    for person in product.people:
        if not person.listed(at):
            continue
        user, value = translate.user(person.name(at)), product.value(person, at)
        if person.excluded <= at:
            (aside if value is not None and value >= S else quiet).append(user)
        elif value is None:
            never.append(user)
        elif value < S:
            early.append(user)
        else:
            rows.append((user, value * tick, None))
    return list_facts(
        translate.CYCLE,
        DECLARED,
        started_ms=at * tick,
        ended_ms=at * tick,
        clock_skew_ms=0,
        complete=complete,
        rows=rows,
        listed=Listed(never, early, list(rows), None, aside, quiet),
    )


def told(product: Product, at: int, *, complete: bool) -> oracle.Poll:
    """The same poll, as the oracle reads it."""
    rows = [(p.name(at), product.value(p, at), None) for p in product.people if p.listed(at)]
    return oracle.Poll(at, at, complete, tuple(rows))


@dataclass
class Book:
    """Polls in order, as the ledger takes them: what is refuted stays so."""

    facts: Facts = field(default_factory=Facts)
    refuted: frozenset[Guarantee] = frozenset()
    doubted: bool = False
    decided: list[oracle.Poll] = field(default_factory=list)

    def take(self, found: Facts, told: oracle.Poll) -> None:
        joined = merge(self.facts, found)
        held = replace(DECLARED, refuted=self.refuted)
        seen = seen_in(translate.CYCLE, held, joined)
        new = refuted_by(held, replace(seen, late=seen.late or self.came_late(found)))
        closes = found.ended & ~self.facts.ended & 1 << CYCLE_BIT
        if new and closes and not self.doubted:
            self.doubted = True  # decides nothing, and is repeated
            self.facts = merge(self.facts, Facts(found.sure))
            named = tuple(row for row in told.rows if (row[1] or 0) >= S)
            self.decided.append(replace(told, complete=False, rows=named))
            return
        self.decided.append(told)
        self.facts, self.refuted = joined, self.refuted | new.keys()

    def came_late(self, found: Facts) -> bool:
        """Whether somebody was active in a closed window who had been on no list."""
        roster = self.facts.roster
        known = set(unpacked(roster.start + roster.before + roster.last)) if roster else set()
        return any(
            bits & self.facts.closed and user not in known for user, bits in found.sure.items()
        )

    def bounds(self, window: int = CYCLE_BIT) -> Bounds:
        held = replace(DECLARED, refuted=self.refuted)
        return evaluate_facts(self.facts, held, window, translate.CYCLE)


def times(random_: random.Random) -> list[int]:
    """Polls from before the start until after the end; some days without any."""
    gap, down = random_.randint(1, 3), random_.randint(S, 80)
    return [at for at in range(S - 6, 90, gap) if not down <= at < down + random_.choice([0, 0, 4])]


def stated(random_: random.Random, product: Product) -> Book:
    book = Book()
    for at in times(random_):
        complete = random_.random() < 0.9
        book.take(poll(product, at, complete=complete), told(product, at, complete=complete))
        if at < E and complete:  # so far; an incomplete list shows nobody missing
            assert book.bounds().lower <= product.truth()
    return book


def unseen(product: Product, book: Book) -> bool:
    """Whether somebody active was in no complete list: then a roster cannot hold everybody."""
    return Guarantee.LISTED_ONCE in book.refuted or any(
        person.counts() and not any(person.listed(at) for at in range(S - 6, 90))
        for person in product.people
    )


def holds(lie: str, seed: int) -> Book:
    random_ = random.Random(f"{lie}-{seed}")
    product = made(random_, lie)
    book = stated(random_, product)
    found, truth = book.bounds(), product.truth()
    note = f"{lie} {seed}: {found} for {truth}, refuted {sorted(book.refuted)}"
    assert found.accuracy is not Accuracy.CONFLICT, note
    assert found.lower <= truth, note
    if not unseen(product, book):
        assert found.upper is None or truth <= found.upper, note
    return book


@blocks
def test_erased_accounts_are_between_the_bounds_and_removal_is_refuted(seeds: range):
    for seed in seeds:
        book = holds("erased", seed)
        assert book.refuted <= {Guarantee.REMOVAL_NEVER, Guarantee.LISTED_ONCE}
        if book.refuted == {Guarantee.REMOVAL_NEVER}:
            ours, theirs = book.bounds(), oracle.evaluate_refuted(CY, SPEC, book.decided)
            assert ours.lower == theirs.lower, seed
            assert ours.upper in {theirs.upper, None}, seed  # None: the polls are too far apart


@blocks
def test_ids_that_change_count_nobody_twice(seeds: range):
    for seed in seeds:
        holds("renamed", seed)


@blocks
def test_a_list_that_shrinks_for_a_while_hides_nobody_from_the_upper_bound(seeds: range):
    for seed in seeds:
        holds("shrunk", seed)


@blocks
def test_users_who_are_excluded_refute_nothing(seeds: range):
    for seed in seeds:
        assert not holds("excluded", seed).refuted, seed


@blocks
def test_a_restored_backup_leaves_a_lower_bound_and_where_it_shows_no_upper_one(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"restored-{seed}")
        product = made(random_, "restored")
        book = stated(random_, product)
        found, truth = book.bounds(), product.truth()
        assert found.lower <= truth, seed
        if Guarantee.SHOWN in book.refuted:
            assert found.upper is None, seed


@blocks
def test_an_honest_product_is_never_accused(seeds: range):
    for seed in seeds:
        book = holds("none", seed)
        assert not book.refuted, seed
