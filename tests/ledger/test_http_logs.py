"""A log over HTTP is read, killed, restored from a backup and read on: the bounds stay true."""

import random
import shutil
from dataclasses import replace

import pytest

from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import MeterKey, PollRecord, Subscribed
from licenseusage.metering.combine import Combine
from licenseusage.metering.cycles import DAY_MS
from licenseusage.metering.stores import DeclaredSource, StoreKey, StoreState
from tests.ledger.conftest import CYCLE, END, HOUR_MS, START, TERMS, poll
from tests.sources.eventlog import LAG_MS, EventLog, poll_log, source
from tests.sources.product import FixedClock

LOG = StoreKey("people", "domain")
PEOPLE = 12


class Life:
    """A product that is used, an operator that reads it, and a ledger that survives both."""

    def __init__(self, seed: int, path) -> None:
        self.chance = random.Random(seed)
        order = self.chance.choice(["NewestFirst", "OldestFirst"])
        form = self.chance.choice(["ms", "day"])
        self.log = EventLog(order == "NewestFirst", unstable=True)
        self.source = source(form, events={"order": order})
        self.clock = FixedClock(START - DAY_MS)
        self.path, self.backup = path, path.with_suffix(".backup")
        self.ledger = self._opened()
        meter = self.ledger.ensure_meter(MeterKey("default", "opencloud", "opencloud"), START)
        self.ledger.keep_terms(meter.id, TERMS, START, licensed=Subscribed("contract", "licence"))
        self.log.before = self.used
        self.active: set[str] = set()

    def _opened(self) -> Ledger:
        return Ledger.open(f"sqlite:///{self.path}", now_ms=START, ledger_id="ledger-1")

    def used(self) -> None:
        """People use the product while time passes."""
        self.clock.at_ms += self.chance.choice([10, 1_000, 20_000])
        if self.chance.random() < 0.5:
            person = f"person-{self.chance.randrange(PEOPLE)}"
            self.log.write(self.clock.at_ms, person)
            if START <= self.clock.at_ms < END:
                self.active.add(person)

    def restart(self) -> None:
        """Reopen the ledger, sometimes a copy that is older."""
        self.ledger.close()
        if self.backup.exists() and self.chance.random() < 0.5:
            shutil.copy(self.backup, self.path)
        elif self.chance.random() < 0.5:
            shutil.copy(self.path, self.backup)
        self.ledger = self._opened()

    def read(self) -> None:
        state = self.ledger.store_states(1, CYCLE).get(LOG, StoreState())
        pages = {"poll_pages": self.chance.choice([3, 8, 1000])}
        result = poll_log(self.log, self.source, self.clock, CYCLE, state.log, **pages)
        if self.chance.random() < 0.15:
            return  # killed before it was recorded
        record = self.recorded(result)
        self.ledger.record_poll(record, self.clock.at_ms)
        if self.chance.random() < 0.3:
            self.ledger.record_poll(record, self.clock.at_ms)  # a replay changes nothing

    def recorded(self, result) -> PollRecord:
        properties = self.source.properties
        made = poll(result.started_ms, {}, store=LOG, properties=properties)
        return replace(
            made,
            ended_ms=result.ended_ms,
            complete=result.complete,
            facts={CYCLE: result.facts[CYCLE.index]} if result.facts else {},
            readings={CYCLE: result.readings[CYCLE.index]} if result.readings else {},
            failure=result.failure,
            listed=None,
            provisioned=None,
        )

    def bounds(self):
        declared = DeclaredSource(LOG, self.source.properties, 5 * DAY_MS)
        stated = self.ledger.statement(
            1, CYCLE, sources=(declared,), combine=Combine.UNION, as_of_ms=self.clock.at_ms
        )
        return stated.bounds


@pytest.mark.parametrize("seed", range(3))
def test_a_log_that_is_read_through_kills_and_backups_ends_exact(tmp_path, seed):
    life = Life(seed, tmp_path / "ledger.sqlite")
    life.log.write(START - 2 * DAY_MS, "earlier")
    while life.clock.at_ms < END + 2 * LAG_MS:
        for _ in range(life.chance.choice([1, 5, 20])):
            life.used()
        life.clock.at_ms += life.chance.choice([0, 5 * HOUR_MS, 10 * HOUR_MS])
        life.read()
        if life.chance.random() < 0.1:
            life.restart()
        bounds = life.bounds()
        assert bounds.lower <= len(life.active)
        if life.clock.at_ms < END:
            assert bounds.upper is None  # the cycle is not over
    for _ in range(30):
        life.read()
        if life.bounds().upper is not None:
            break
    bounds = life.bounds()
    assert bounds.lower == bounds.upper == len(life.active)
    life.ledger.close()


def test_a_log_that_was_cleared_between_two_readings_has_no_upper_bound(tmp_path):
    life = Life(1, tmp_path / "ledger.sqlite")
    life.chance.random = lambda: 0.99  # nobody is killed, and nobody uses it meanwhile
    life.log.write(START - DAY_MS, "earlier")
    life.clock.at_ms = START + DAY_MS
    life.log.write(life.clock.at_ms - HOUR_MS, "seen")
    life.read()
    life.log.held.clear()
    life.clock.at_ms = END + HOUR_MS
    life.log.write(END - HOUR_MS, "after")
    for _ in range(30):
        life.read()
    bounds = life.bounds()
    assert (bounds.lower, bounds.upper) == (2, None)
    life.ledger.close()
