"""What happens in a history, drawn from its seed before it begins."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

from licenseusage.metering.cycles import Cycle, Grid, Terms, cycle_at, first_grid, with_terms
from trials.soak.approving import draw_approvals
from trials.soak.carrying import draw_carriage
from trials.soak.draws import clock_error
from trials.soak.kinds.drawing import KINDS, LISTS, draw_kind, draw_product
from trials.soak.losing import draw_losses
from trials.soak.lying import draw_lies
from trials.soak.people import DAY_MS, HOUR_MS, SECOND_MS
from trials.soak.plan import Event, Plan, Usage
from trials.soak.products import draw_sources
from trials.soak.recovery import draw_recoveries
from trials.soak.trouble import draw_looks, draw_outages, draw_trouble

EPOCH = date(2026, 1, 1)
_FAMILIES: tuple[tuple[dict[str, int], ...], ...] = (
    ({"length_days": 1}, {"length_days": 2}, {"length_days": 3}),
    ({"length_days": 5}, {"length_days": 7}, {"length_days": 10}),
    ({"length_days": 28}, {"length_days": 30}, {"length_days": 31}, {"length_months": 1}),
    ({"length_days": 62}, {"length_months": 2}),
)
_WEIGHTS = (4, 3, 2, 1)
"""Counting takes time with every day of a cycle."""


def draw(seed: str, cycles: int, kinds: Sequence[str] = KINDS) -> Plan:
    """Draw the plan of a history.

    Args:
        seed: Names it.
        cycles: About how many each of its objects has.
        kinds: Those that its objects' sources may be of.
    """
    random_ = random.Random(f"{seed} plan")  # noqa: S311 - repeatable, not secret
    (family,) = random_.choices(_FAMILIES, _WEIGHTS)
    start_ms = _ms(EPOCH + timedelta(days=random_.randrange(400))) + random_.randrange(DAY_MS)
    count = random_.choice((1, 1, 2, 2, 3))
    length_ms = _length_ms(family[0])
    end_ms = start_ms + cycles * length_ms
    peaceful = random_.random() < 0.1
    usages = [
        _usage(random_, f"usage-{number}", family, start_ms, end_ms, peaceful)
        for number in range(count)
    ]
    for usage in usages:
        of_kind = random.Random(f"{seed} kind of {usage.name}")  # noqa: S311 - repeatable
        kind = draw_kind(of_kind, kinds)
        if kind != LISTS:
            _become(of_kind, usage, kind, start_ms, end_ms, peaceful=peaceful)
    plan = Plan(
        seed=seed,
        start_ms=start_ms,
        end_ms=end_ms,
        usages=usages,
        events=[],
        outages=() if peaceful else draw_outages(random_, usages, start_ms, end_ms),
        clock_error_ms=(0, 0) if peaceful else (clock_error(random_), clock_error(random_)),
        spread_seconds=random_.choice((0, 0, 600, 3600)),
        kills=not peaceful,
    )
    for usage in usages:
        if usage.kind == LISTS:
            lying = random.Random(f"{seed} lies of {usage.name}")  # noqa: S311 - repeatable
            draw_lies(lying, usage, start_ms, end_ms)
        looks = draw_looks(random_, usage, start_ms, end_ms)
        plan.events += looks
        if usage.kind == "Pushed":
            pushing = random.Random(f"{seed} pushes of {usage.name}")  # noqa: S311 - repeatable
            plan.events += _pushes(pushing, usage, [look.at_ms for look in looks])
        ends = [at_ms for at_ms in usage.boundaries if start_ms < at_ms < end_ms]
        plan.events += [Event(at_ms, "boundary", usage.name) for at_ms in ends]
    if not peaceful:
        plan.events += draw_trouble(random_, plan, length_ms)
    plan.events += draw_carriage(
        random.Random(f"{seed} files"),  # noqa: S311 - repeatable
        usages,
        start_ms,
        end_ms,
        length_ms,
    )
    plan.events += draw_approvals(
        random.Random(f"{seed} approvals"),  # noqa: S311 - repeatable
        usages,
        start_ms,
        end_ms,
        length_ms,
    )
    if not peaceful:
        recovering = random.Random(f"{seed} recoveries")  # noqa: S311 - repeatable
        plan.events += draw_recoveries(recovering, plan, length_ms)
        losing = random.Random(f"{seed} losses")  # noqa: S311 - repeatable
        plan.events += draw_losses(losing, plan, length_ms)
    plan.events.sort(key=lambda event: event.at_ms)
    return plan


def _become(
    random_: random.Random, usage: Usage, kind: str, start_ms: int, end_ms: int, *, peaceful: bool
) -> None:
    """Put a product of another kind behind an object."""
    usage.shops, sources = draw_product(
        random_, kind, usage.name, usage.boundaries, start_ms, end_ms, usage.pods, peaceful=peaceful
    )
    usage.kind = kind
    grace = max(usage.spec["closeGraceHours"], _least_grace(sources))
    usage.spec |= {"sources": sources, "combine": "Union", "closeGraceHours": grace}


def _least_grace(sources: Sequence[dict[str, Any]]) -> int:
    lags = [source["guarantees"].get("lagSeconds", 0) for source in sources]
    both = zip(lags, sources, strict=True)
    hours: list[int] = [-(-(lag + 120 * each["intervalMinutes"]) // 3600) for lag, each in both]
    return max(hours)


def _pushes(random_: random.Random, usage: Usage, looks: Sequence[int]) -> list[Event]:
    """Draw when a product sends: shortly before most looks, and between them."""
    times = [at_ms - random_.randrange(2, 20) * SECOND_MS for at_ms in looks]
    times += [at_ms + random_.randrange(6 * HOUR_MS) for at_ms in looks]
    return [Event(at_ms, "push", usage.name) for at_ms in times if random_.random() < 0.8]


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
    shops, sources, combine = draw_sources(random_, name, boundaries, start_ms, end_ms, peaceful)
    # Terms that come near the end have their first cycle after it.
    first = [each.cycle(0) for _, each in timeline]
    lengths = [b - a for a, b in pairwise(boundaries)] + [c.end_ms - c.start_ms for c in first]
    shortest = min(lengths) // HOUR_MS
    least = _least_grace(sources)
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
    pods = random_.choice((1, 1, 2))
    return Usage(name, spec, licensed, timeline, shops, boundaries, interval_hours, pods)


def _terms(random_: random.Random, length: dict[str, int], at_ms: int) -> Terms:
    day = datetime.fromtimestamp(at_ms // 1000, UTC).date()
    day -= timedelta(days=random_.randrange(60))
    if "length_months" in length:
        day = day.replace(day=min(day.day, 28))
    return Terms(day, **length)


def _boundaries(grids: Sequence[Grid], start_ms: int, end_ms: int) -> list[int]:
    boundaries: set[int] = set()
    at_ms = start_ms
    while at_ms <= end_ms + 1:
        cycle: Cycle | None = cycle_at(grids, at_ms)
        if cycle is None:
            at_ms += DAY_MS
            continue
        boundaries |= {cycle.start_ms, cycle.end_ms}
        at_ms = cycle.end_ms
    return sorted(boundaries)


def _length_ms(length: dict[str, int]) -> int:
    return DAY_MS * length.get("length_days", 31 * length.get("length_months", 0))


def _ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
