"""What happens in a history, drawn from its seed before it begins."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hack.soak import listing, vendor
from hack.soak.listing import Fault, Paging, Shop
from hack.soak.people import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    SECOND_MS,
    Account,
    Names,
    Store,
    Traits,
    draw_acts,
    draw_writes,
    near,
)
from hack.soak.vendor import Outage
from licenseusage.metering.cycles import Cycle, Grid, Terms, cycle_at, first_grid, with_terms
from licenseusage.reports.terms import CycleTerms

EPOCH = date(2026, 1, 1)
NEVER = 1 << 62
_FAMILIES = (
    ({"length_days": 1}, {"length_days": 2}, {"length_days": 3}),
    ({"length_days": 5}, {"length_days": 7}, {"length_days": 10}),
    ({"length_days": 28}, {"length_days": 30}, {"length_days": 31}, {"length_months": 1}),
    ({"length_days": 62}, {"length_months": 2}),
)
_INTERVALS = (1, 5, 15, 15, 60, 240)
_GRANULARITIES = {
    SECOND_MS: "Second", MINUTE_MS: "Minute", HOUR_MS: "Hour", DAY_MS: "Day",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens at a time; ``kind`` is a method of the history."""

    at_ms: int
    kind: str
    subject: str = ""
    value: Any = None


@dataclass(slots=True)
class Usage:
    """One LicenseUsage and the products behind it.

    Attributes:
        spec: Its spec, as a person wrote it.
        licensed: It has a licence, so that reports are due.
        terms: Terms of its licence (or of its spec) and when each comes: the first at the start.
        stores: Source -> its store.
        combine: ``Union`` or ``Same``.
        boundaries: Ends of cycles, those that may be as well, ascending.
    """

    name: str
    spec: dict[str, Any]
    licensed: bool
    terms: list[tuple[int, Terms]]
    shops: dict[str, Shop]
    boundaries: list[int]
    interval_hours: int
    grids: tuple[Grid, ...] = ()

    @property
    def product(self) -> str:
        """The product's id."""
        return str(self.spec["product"])

    @property
    def stores(self) -> list[Store]:
        """Every store of it."""
        return [shop.store for shop in self.shops.values()]


@dataclass(slots=True)
class Plan:
    """A history before it begins.

    Attributes:
        start_ms: When the operator is installed.
        end_ms: When all trouble ends.
        events: What happens, ascending in time.
        outages: Of the vendor.
        clock_error_ms: Of operator and vendor at the beginning.
    """

    seed: str
    start_ms: int
    end_ms: int
    usages: list[Usage]
    events: list[Event]
    outages: tuple[Outage, ...]
    clock_error_ms: tuple[int, int]
    spread_seconds: int
    kills: bool = True
    api_outages: list[tuple[int, int]] = field(default_factory=list)


def draw(seed: str, cycles: int) -> Plan:
    """Draw the plan of a history of about ``cycles`` cycles for each of its objects."""
    random_ = random.Random(f"{seed} plan")
    family = random_.choice(_FAMILIES)
    start_ms = _ms(EPOCH + timedelta(days=random_.randrange(400))) + random_.randrange(DAY_MS)
    count = random_.choice((1, 1, 2, 2, 3))
    length_ms = _length_ms(family[0])
    end_ms = start_ms + cycles * length_ms
    peaceful = random_.random() < 0.1
    usages = [
        _usage(random_, f"usage-{number}", family, start_ms, end_ms, peaceful)
        for number in range(count)
    ]
    plan = Plan(
        seed=seed,
        start_ms=start_ms,
        end_ms=end_ms,
        usages=usages,
        events=[],
        outages=() if peaceful else _outages(random_, usages, start_ms, end_ms),
        clock_error_ms=(0, 0) if peaceful else (_error(random_), _error(random_)),
        spread_seconds=random_.choice((0, 0, 600, 3600)),
        kills=not peaceful,
    )
    for usage in usages:
        plan.events += _looks(random_, usage, start_ms, end_ms)
    if not peaceful:
        plan.events += _trouble(random_, plan, length_ms)
    plan.events.sort(key=lambda event: event.at_ms)
    return plan


def _usage(
    random_: random.Random,
    name: str,
    family: Sequence[dict[str, int]],
    start_ms: int,
    end_ms: int,
    peaceful: bool,
) -> Usage:
    terms = _terms(random_, random_.choice(family), start_ms)
    licensed = random_.random() < 0.9
    timeline = [(start_ms, terms)]
    if licensed and random_.random() < 0.15:
        at_ms = random_.randrange(start_ms, end_ms)
        timeline.append((at_ms, _terms(random_, random_.choice(family), at_ms)))
    grids: tuple[Grid, ...] = (first_grid(terms),)
    for at_ms, later in timeline[1:]:
        grids = with_terms(grids, later, at_ms)
    boundaries = _boundaries(grids, start_ms, end_ms)
    shops, sources, combine = _sources(random_, name, boundaries, start_ms, end_ms, peaceful)
    shortest = min((b - a) // HOUR_MS for a, b in zip(boundaries, boundaries[1:], strict=False))
    least = max(
        -(-(s["guarantees"]["lagSeconds"] + 120 * s["intervalMinutes"]) // 3600) for s in sources
    )
    grace = random_.choice((least, 6, 24, 48, 168))
    spec: dict[str, Any] = {
        "product": f"product-{name}",
        "closeGraceHours": max(least, min(grace, shortest, 168), 1),
        "combine": combine,
        "sources": sources,
    }
    if licensed:
        spec["license"] = {"secretRef": {"name": f"{name}-license"}}
    else:
        length = {"lengthDays": terms.length_days, "lengthMonths": terms.length_months}
        spec["cycle"] = {
            "anchorDate": terms.anchor.isoformat(),
            **{k: v for k, v in length.items() if v is not None},
        }
    days = (boundaries[1] - boundaries[0]) // DAY_MS
    interval_hours = random_.choice((1, 24, 24, max(1, 8 * days), 744))
    return Usage(name, spec, licensed, timeline, shops, boundaries, interval_hours)


def _sources(
    random_: random.Random,
    usage: str,
    boundaries: Sequence[int],
    start_ms: int,
    end_ms: int,
    peaceful: bool,
) -> tuple[dict[str, Shop], list[dict[str, Any]], str]:
    combine, count = random_.choice(
        (("Union", 1), ("Union", 1), ("Union", 1), ("Union", 2), ("Union", 3), ("Same", 2))
    )
    people = random_.randint(3, 12 if count > 1 else 30)
    names = Names(people)
    all_traits = [_traits(random_, alone=count == 1) for _ in range(count)]
    if all_traits[0].renames:
        at_ms = start_ms
        while (at_ms := at_ms + random_.randrange((end_ms - start_ms) // 8)) < end_ms:
            names.shuffle(random_, at_ms)
    first = _accounts(random_, people, all_traits[0], boundaries, start_ms, end_ms)
    shops: dict[str, Shop] = {}
    sources = []
    for number, traits in enumerate(all_traits):
        if combine == "Same":
            accounts = [
                Account(a.person, a.created_ms, acts=a.acts)
                for a in first
            ]
        elif number == 0:
            accounts = first
        else:
            accounts = _accounts(random_, people, traits, boundaries, start_ms, end_ms)
        if combine == "Union" and count > 1:
            accounts = [a for a in accounts if random_.random() < 0.7]
        for account in accounts:
            account.writes = draw_writes(random_, traits, account.acts, account.created_ms)
        accounts.sort(key=lambda account: account.created_ms)
        paging = _paging(random_, traits)
        source = f"source-{number}"
        faults = () if peaceful else _faults(random_, boundaries, start_ms, end_ms)
        slowness = random_.choice((5, 50, 500, 4000, 20_000))
        shops[source] = Shop(Store(traits, accounts, names), paging, slowness, faults)
        sources.append(_source(random_, usage, source, traits, paging))
    return shops, sources, combine


def _traits(random_: random.Random, *, alone: bool) -> Traits:
    lag_s = random_.choice((0, 1, 30, 60, 60, 300, 3600))
    return Traits(
        lag_ms=lag_s * SECOND_MS,
        granularity_ms=random_.choice((SECOND_MS,) * 5 + (MINUTE_MS, HOUR_MS, DAY_MS)),
        throttle_ms=random_.choice((0, 0, 0, 0, 5 * MINUTE_MS, HOUR_MS)),
        unordered=random_.random() < 0.15,
        keeps_users=not alone or random_.random() < 0.85,
        renames=alone and random_.random() < 0.12,
        starts_created=random_.random() < 0.2,
    )


def _accounts(
    random_: random.Random,
    people: int,
    traits: Traits,
    boundaries: Sequence[int],
    start_ms: int,
    end_ms: int,
) -> list[Account]:
    found = []
    for person in range(people):
        created = start_ms - random_.randrange(1, 400 * DAY_MS)
        chance = random_.random()
        if chance < 0.15:
            created = random_.randrange(start_ms, end_ms)
        elif chance < 0.3:
            created = near(random_, boundaries, HOUR_MS)
        removed = NEVER
        if not traits.keeps_users and random_.random() < 0.5:
            removed = max(created + 1, near(random_, boundaries, 5 * DAY_MS))
        acts = draw_acts(random_, boundaries, created, removed, traits.lag_ms)
        found.append(Account(person, created, removed, acts))
    return found


def _paging(random_: random.Random, traits: Traits) -> Paging:
    kinds = ["OnePage", "Offset", "Unsorted"]
    if not traits.renames:
        kinds += ["KeyCursor", "KeyCursor", "NewestFirst"]
        if not traits.unordered:
            kinds.append("Moving")
    return Paging(random_.choice(kinds), random_.randint(2, 9))


def _source(
    random_: random.Random, usage: str, name: str, traits: Traits, paging: Paging
) -> dict[str, Any]:
    guarantees: dict[str, Any] = {
        "lagSeconds": traits.lag_ms // SECOND_MS,
        "hiddenSeconds": traits.hidden_ms // SECOND_MS,
        "removal": "Never" if traits.keeps_users else "Unknown",
        "ids": random_.choice(("Renamable", "Unknown")) if traits.renames else "Stable",
        "initialValue": "CreationTime" if traits.starts_created else "Empty",
        "order": {
            "KeyCursor": "KeyCursor",
            "Offset": "ImmutableKey",
            "Moving": "Activity",
        }.get(paging.kind, "Unknown"),
    }
    if random_.random() < 0.1:
        guarantees["clockSkewSeconds"] = 240
    users: dict[str, Any] = {
        "id": "id",
        "lastActive": {
            "path": "last",
            "format": "EpochMillis",
            "granularity": _GRANULARITIES[traits.granularity_ms],
        },
    }
    if traits.starts_created or random_.random() < 0.3:
        users["createdAt"] = {"path": "created"}
    http: dict[str, Any] = {"path": f"/{name}", "items": "users"}
    if paging.kind == "KeyCursor":
        http["pagination"] = {"type": "Cursor", "params": [{"name": "after", "path": "next"}]}
    elif paging.kind != "OnePage":
        http["pagination"] = {
            "type": "Offset",
            "offsetParam": "offset",
            "limitParam": "limit",
            "size": paging.size,
        }
    return {
        "name": name,
        "intervalMinutes": random_.choice(_INTERVALS),
        "pods": {
            "selector": {"matchLabels": {"app": usage}},
            "port": "http",
            "scheme": "HTTP",
        },
        "http": http,
        "users": users,
        "guarantees": guarantees,
    }


# --- what happens ------------------------------------------------------------------------------


def _looks(random_: random.Random, usage: Usage, start_ms: int, end_ms: int) -> list[Event]:
    """Draw when the operator looks at an object: seldom, but often around the ends of cycles."""
    longest_lag = max(shop.store.traits.lag_ms for shop in usage.shops.values())
    times = [start_ms, start_ms + 5 * SECOND_MS]
    for start, end in zip(usage.boundaries, usage.boundaries[1:], strict=False):
        times += [random_.randrange(start, end) for _ in range(random_.randint(0, 2))]
        closing = end + longest_lag
        style = random_.random()
        if style < 0.06:  # as it would: every few seconds
            at_ms = end - random_.randrange(3 * MINUTE_MS)
            while at_ms < closing + 45 * SECOND_MS:
                times.append(at_ms)
                at_ms += random_.randint(5, 40) * SECOND_MS * (1 + longest_lag // (5 * MINUTE_MS))
        elif style < 0.85:
            around = (
                end - random_.randrange(1, 20 * MINUTE_MS),
                end - random_.randrange(1, 30 * SECOND_MS),
                end + random_.randrange(longest_lag + 2000),
                closing + random_.randint(1, 30) * SECOND_MS,
            )
            times += random_.sample(around, random_.randint(1, 4))
        elif style < 0.95:  # back only later
            closing += random_.randrange(1, 30 * HOUR_MS)
        times.append(closing + random_.choice((40 * SECOND_MS, random_.randrange(2 * HOUR_MS))))
        if random_.random() < 0.5:
            times.append(end + random_.randrange(60 * HOUR_MS))
    return [Event(at, "look", usage.name) for at in times if start_ms <= at < end_ms]


def _trouble(random_: random.Random, plan: Plan, length_ms: int) -> list[Event]:
    events: list[Event] = []
    start_ms, end_ms = plan.start_ms, plan.end_ms
    ends = sorted({one for usage in plan.usages for one in usage.boundaries})
    rate = random_.choice((0.1, 0.3, 0.6, 0.9))
    for end in ends:
        if random_.random() < rate:
            before = random_.choice((SECOND_MS, MINUTE_MS, 20 * MINUTE_MS, length_ms))
            at_ms = end + random_.randint(-before, 2 * HOUR_MS)
            events.append(Event(at_ms, "arm", value=random_.randint(1, random_.choice((12, 90)))))
    for _ in range(random_.choice((0, 1, 1, 2))):  # away on purpose: hours to several cycles
        at_ms = random_.choice((near(random_, ends, HOUR_MS), random_.randrange(start_ms, end_ms)))
        events.append(Event(at_ms, "leave", value=_span(random_, length_ms)))
    for _ in range(random_.randint(0, 4)):
        at_ms = near(random_, ends, 2 * HOUR_MS)
        events.append(Event(at_ms, "set_clock", value=(_error(random_), _error(random_))))
    for _ in range(random_.randint(0, 3)):
        at_ms = near(random_, ends, HOUR_MS)
        plan.api_outages.append((at_ms, at_ms + random_.randrange(6 * HOUR_MS)))
    for usage in plan.usages:
        events += _trouble_of(random_, usage, ends, plan, length_ms)
    for _ in range(random_.randint(1, 3)):
        events.append(Event(random_.randrange(start_ms, end_ms), "expire"))
    return [event for event in events if start_ms < event.at_ms < end_ms]


def _trouble_of(
    random_: random.Random, usage: Usage, ends: Sequence[int], plan: Plan, length_ms: int
) -> list[Event]:
    events: list[Event] = []
    start_ms, end_ms = plan.start_ms, plan.end_ms
    for _ in range(random_.randint(0, 2)):
        at_ms = near(random_, ends, 2 * HOUR_MS)
        events.append(Event(at_ms, "pods", usage.name, False))
        events.append(Event(at_ms + _span(random_, length_ms), "pods", usage.name, True))
    if usage.licensed:
        for at_ms, terms in usage.terms[1:]:
            events.append(Event(at_ms, "license", usage.name, terms))
        for _ in range(random_.randint(0, 3)):
            events.append(Event(random_.randrange(start_ms, end_ms), "renew", usage.name))
        if random_.random() < 0.2:
            at_ms = random_.randrange(start_ms, end_ms)
            events.append(Event(at_ms, "spoil_license", usage.name))
            events.append(Event(at_ms + _span(random_, length_ms), "renew", usage.name))
        if random_.random() < 0.15:
            at_ms = random_.randrange(start_ms, end_ms)
            events.append(Event(at_ms, "suspend", usage.name, True))
            events.append(Event(at_ms + _span(random_, length_ms), "suspend", usage.name, False))
    if random_.random() < 0.2:
        at_ms = random_.randrange(start_ms, end_ms)
        events.append(Event(at_ms, "delete", usage.name))
        if random_.random() < 0.7:
            events.append(Event(at_ms + _span(random_, length_ms), "apply", usage.name))
    if random_.random() < 0.3:
        events.append(Event(random_.randrange(start_ms, end_ms), "request", usage.name))
    return events


def _outages(
    random_: random.Random, usages: Sequence[Usage], start_ms: int, end_ms: int
) -> tuple[Outage, ...]:
    ends = sorted({one for usage in usages for one in usage.boundaries})
    length_ms = ends[1] - ends[0]
    found = [Outage(0, NEVER, "any", random_.choice((0.0, 0.05, 0.3)))]
    for _ in range(random_.randint(0, 4)):
        at_ms = near(random_, ends, 2 * HOUR_MS)
        kind = random_.choice((*vendor.FAULTS, "any", "any"))
        chance = random_.choice((0.5, 0.9, 1.0))
        found.append(Outage(at_ms, at_ms + _span(random_, length_ms), kind, chance))
    return tuple(found)


def _faults(
    random_: random.Random, boundaries: Sequence[int], start_ms: int, end_ms: int
) -> tuple[Fault, ...]:
    length_ms = boundaries[1] - boundaries[0]
    found = []
    base = random_.choice((0.0, 0.03, 0.15))
    found += [Fault(0, NEVER, kind, base / len(listing.FAULTS)) for kind in listing.FAULTS]
    for _ in range(random_.randint(0, 4)):
        at_ms = near(random_, boundaries, 2 * HOUR_MS)
        kind = random_.choice(listing.FAULTS)
        chance = random_.choice((0.5, 1.0))
        found.append(Fault(at_ms, at_ms + _span(random_, length_ms), kind, chance))
    return tuple(found)


def _span(random_: random.Random, length_ms: int) -> int:
    """Draw how long something lasts: minutes to several cycles."""
    longest = random_.choice((5 * MINUTE_MS, HOUR_MS, 12 * HOUR_MS, length_ms, 3 * length_ms))
    return random_.randrange(1, longest)


def _error(random_: random.Random) -> int:
    """Draw how far a clock is ahead: within what poll skew and receiver allow."""
    return random_.choice((0, 0, random_.randint(-900, 900), random_.randint(-110_000, 110_000)))


def _terms(random_: random.Random, length: dict[str, int], at_ms: int) -> Terms:
    day = datetime.fromtimestamp(at_ms // 1000, UTC).date()
    day -= timedelta(days=random_.randrange(60))
    if "length_months" in length:
        day = day.replace(day=min(day.day, 28))
    return Terms(day, **length)


def _boundaries(grids: Sequence[Grid], start_ms: int, end_ms: int) -> list[int]:
    found: set[int] = set()
    at_ms = start_ms
    while at_ms <= end_ms + 1:
        cycle: Cycle | None = cycle_at(grids, at_ms)
        if cycle is None:
            at_ms += DAY_MS
            continue
        found |= {cycle.start_ms, cycle.end_ms}
        at_ms = cycle.end_ms
    return sorted(found)


def _length_ms(length: dict[str, int]) -> int:
    return DAY_MS * length.get("length_days", 31 * length.get("length_months", 0))


def _ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def cycle_terms(terms: Terms) -> CycleTerms:
    """Return the terms as a licence says them."""
    return CycleTerms(terms.anchor, terms.length_days, terms.length_months)
