"""Months of one installation: the operator's process works by its own schedule until they end."""

import asyncio
import random
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.resources import PODS, USAGES
from licenseusage.ledger.ledger import Ledger
from licenseusage.metering.bounds import Accuracy
from licenseusage.metering.cycles import Cycle, Terms
from trials.compiledsql import share_compiled_sql
from trials.months import population, shop
from trials.months.operator import Counter
from trials.months.scenario import Scenario
from trials.proof import contradiction
from trials.soak import vendor as vendors
from trials.soak.cluster import OBJECTS, Cluster, pod
from trials.soak.history import quiet
from trials.soak.listing import Shop
from trials.soak.need import Violation
from trials.soak.people import DAY_MS
from trials.soak.process import Estate
from trials.soak.tally import Tally
from trials.soak.timeline import Timeline, World, WrongClock

_NAME = "months"
_ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)
_BEFORE_MS = 3 * DAY_MS
"""The operator is installed so long before the first month; nothing is said of the one before."""
_SETTLED_MS = 2 * DAY_MS
"""After the last month its grace is over, and the final is made."""


@dataclass(frozen=True, slots=True)
class Final:
    """What was stated of one month, and the truth."""

    accuracy: Accuracy
    lower: int | None
    upper: int | None
    truth: int

    @property
    def width(self) -> int | None:
        """How far the bounds lie apart; None without an upper one."""
        return None if self.upper is None else self.upper - (self.lower or 0)


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it is simulated.

    Attributes:
        months: Months of each installation; it is installed some days before the first.
        people: Accounts at the beginning.
        interval_minutes: Between two polls, but for those around a month's end.
        seed: Makes everything that happens.
        days: Length of a cycle; 0: calendar months.
    """

    months: int = 6
    people: int = 100
    interval_minutes: int = 60
    seed: int = 1
    days: int = 0


def finals(scenario: Scenario, size: Size) -> list[Final]:
    """Run the months of one installation and return their finals, in order.

    Raises:
        Violation: A final contradicts the truth, or there is none.
    """
    quiet()
    share_compiled_sql()
    loop = Timeline()
    loop.set_exception_handler(lambda *_: None)
    folder = Path(tempfile.mkdtemp(prefix="months-", dir=_memory()))
    try:
        return loop.run_until_complete(_run(scenario, size, loop, folder))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        shutil.rmtree(folder, ignore_errors=True)


async def _run(scenario: Scenario, size: Size, loop: Timeline, folder: Path) -> list[Final]:
    random_ = random.Random(f"{size.seed} {scenario.words}")  # noqa: S311 - repeatable, not secret
    length = {"lengthDays": size.days} if size.days else {"lengthMonths": 1}
    terms = Terms(
        _ANCHOR.date(), length_days=size.days or None, length_months=None if size.days else 1
    )
    cycles = [terms.cycle(number) for number in range(1, size.months + 1)]
    ends = (cycles[0].start_ms, *(cycle.end_ms for cycle in cycles))
    drawn = population.draw(scenario, random_, people=size.people, ends=ends)
    installed_ms = cycles[0].start_ms - _BEFORE_MS
    world = World(loop, installed_ms)
    product, source = shop.shop_of(scenario, drawn, scenario.outage.spans(installed_ms, ends))
    source["intervalMinutes"] = size.interval_minutes
    process = _install(world, folder, random_, product, _spec(source, length))
    await process.start()
    process.look(Key(OBJECTS, _NAME))
    await process.wait((cycles[-1].end_ms + _SETTLED_MS - installed_ms) / 1000)
    try:
        if process.failure is not None:
            raise Violation(f"a reconcile failed: {process.failure!r}") from process.failure
        return [_final(process.ledger, scenario, cycle, drawn) for cycle in cycles]
    finally:
        await process.stop()
        with suppress(asyncio.CancelledError):
            process.estate.vendor.close()


def _install(
    world: World,
    folder: Path,
    random_: random.Random,
    product: Shop,
    spec: Mapping[str, object],
) -> Counter:
    cluster, tally = Cluster(), Tally()
    clock = WrongClock(world.now_ms)
    client, line = vendors.connect()
    vendor = vendors.Vendor(world, folder, clock, random_, (), tally)
    line.vendor = vendor
    cluster.put(
        PODS, OBJECTS, "months-0", pod("months-0", "10.1.2.3", ready=True, labels={"app": _NAME})
    )
    cluster.credentials(OBJECTS, shop.CREDENTIALS, username="meter", password="pw", token="pw")  # noqa: S106
    cluster.put(
        USAGES,
        OBJECTS,
        _NAME,
        {"apiVersion": USAGES.api_version, "kind": "LicenseUsage", "spec": spec},
    )
    estate = Estate(
        world=world,
        folder=folder,
        cluster=cluster,
        vendor=vendor,
        client=client,
        clock=clock,
        shops={(_NAME, "product"): product},
        random=random_,
        tally=tally,
        signing_key=vendors.key("months"),
        spread_seconds=0,
        asked=lambda _: None,
        kept=lambda _, __: None,
        heard=lambda *_: None,
        api_down=lambda: False,
    )
    return Counter(estate, 1)


def _spec(source: Mapping[str, object], length: Mapping[str, int]) -> dict[str, object]:
    return {
        "product": _NAME,
        "cycle": {"anchorDate": _ANCHOR.date().isoformat(), **length},
        "closeGraceHours": 24,
        "combine": "Union",
        "sources": [source],
    }


def _final(ledger: Ledger, scenario: Scenario, cycle: Cycle, drawn: population.Population) -> Final:
    (meter,) = ledger.meters()
    records = {record.cycle.start_ms: record for record in ledger.cycles(meter.id, 100)}
    record = records.get(cycle.start_ms)
    if record is None or record.intent is None:
        raise Violation(f"{scenario.words}: month {cycle.index} has no final")
    bounds = record.intent.statement.bounds
    truth = drawn.truth(cycle.start_ms, cycle.end_ms)
    numbers = bounds.active_users, bounds.active_users_upper_bound
    wrong = contradiction(bounds.stated, *numbers, truth)
    if wrong is not None:
        raise Violation(f"{scenario.words}: month {cycle.index} {wrong}")
    return Final(bounds.stated, *numbers, truth)


def _memory() -> Path | None:
    shared = Path("/dev/shm")  # noqa: S108 - the kernel's, in memory
    return shared if shared.is_dir() else None
