"""What goes on and what goes wrong in a history: looks, kills, outages, people at work."""

import random
from collections.abc import Sequence
from itertools import pairwise

from licenseusage.metering.properties import Removal
from trials.soak import vendor
from trials.soak.draws import NEVER, clock_error, span
from trials.soak.people import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, near
from trials.soak.plan import Event, Plan, Usage
from trials.soak.vendor import Outage

_DEADLY = (
    "", "", "insert", "update", "delete", "commit", "poll", "vendor", "status", "create",
)  # fmt: skip
"""How the names of the effect boundaries begin at which a process dies; empty: any."""


def draw_looks(random_: random.Random, usage: Usage, start_ms: int, end_ms: int) -> list[Event]:
    """Draw when the operator looks at an object: seldom, but often around the ends of cycles."""
    longest_lag = max(store.traits.lag_ms for store in usage.stores)
    forgets = any(store.traits.removal is Removal.LISTED_ONCE for store in usage.stores)
    times, requests = [start_ms, start_ms + 5 * SECOND_MS], []
    for start, end in pairwise(usage.boundaries):
        if forgets and random_.random() < (0.8 if end - start < 11 * DAY_MS else 0.15):
            times += _roll_calls(random_, start, end)
        if random_.random() < 0.1:  # somebody cannot wait for the cycle's end to be over
            requests.append(end + random_.randint(-2 * SECOND_MS, longest_lag + MINUTE_MS))
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
    events = [Event(at, "request", usage.name) for at in requests]
    events += [Event(at, "look", usage.name) for at in (*times, *requests)]
    return [event for event in events if start_ms <= event.at_ms < end_ms]


def _roll_calls(random_: random.Random, start: int, end: int) -> list[int]:
    """Draw looks that are never a day apart, the last shortly before the end: for a roster."""
    times = [end - random_.randrange(1, HOUR_MS)]
    at_ms = start
    while (at_ms := at_ms + random_.randint(12, 22) * HOUR_MS) < end:
        times.append(at_ms)
    return times


def draw_trouble(random_: random.Random, plan: Plan, length_ms: int) -> list[Event]:
    """Draw what goes wrong, and what people do; outages of the API server go into the plan."""
    events: list[Event] = []
    start_ms, end_ms = plan.start_ms, plan.end_ms
    ends = sorted({boundary for usage in plan.usages for boundary in usage.boundaries})
    if random_.random() < 0.5:  # while it is being installed
        events.append(Event(start_ms, "arm", value=("", random_.randint(1, 90))))
    rate = random_.choice((0.1, 0.3, 0.6, 0.9))
    for end in ends:
        if random_.random() < rate:
            before = random_.choice((SECOND_MS, MINUTE_MS, 20 * MINUTE_MS, length_ms))
            at_ms = end + random_.randint(-before, 2 * HOUR_MS)
            kind = random_.choice(_DEADLY)
            most = random_.choice((12, 90)) if kind == "" else 4
            events.append(Event(at_ms, "arm", value=(kind, random_.randint(1, most))))
    for _ in range(random_.choice((0, 1, 1, 2))):  # away on purpose: hours to several cycles
        at_ms = random_.choice((near(random_, ends, HOUR_MS), random_.randrange(start_ms, end_ms)))
        events.append(Event(at_ms, "leave", value=span(random_, length_ms)))
    for _ in range(random_.randint(0, 4)):
        at_ms = near(random_, ends, 2 * HOUR_MS)
        events.append(Event(at_ms, "set_clock", value=(clock_error(random_), clock_error(random_))))
    for _ in range(random_.randint(0, 3)):
        at_ms = near(random_, ends, HOUR_MS)
        plan.api_outages.append((at_ms, at_ms + random_.randrange(6 * HOUR_MS)))
    for usage in plan.usages:
        events += _trouble_of(random_, usage, ends, plan, length_ms)
    for _ in range(random_.randint(1, 3)):
        events.append(Event(random_.randrange(start_ms, end_ms), "expire"))
    for _ in range(random_.choice((0, 0, 1, 2))):
        at_ms = random_.choice((near(random_, ends, HOUR_MS), random_.randrange(start_ms, end_ms)))
        events.append(Event(at_ms, "rotate", value=random_.choice(("Scheduled", "Suspected"))))
    return [event for event in events if start_ms <= event.at_ms < end_ms]


def _trouble_of(
    random_: random.Random, usage: Usage, ends: Sequence[int], plan: Plan, length_ms: int
) -> list[Event]:
    events: list[Event] = []
    start_ms, end_ms = plan.start_ms, plan.end_ms
    for _ in range(random_.randint(0, 2)):
        at_ms = near(random_, ends, 2 * HOUR_MS)
        events.append(Event(at_ms, "pods", usage.name, False))
        events.append(Event(at_ms + span(random_, length_ms), "pods", usage.name, True))
    if usage.licensed:
        for at_ms, terms in usage.terms[1:]:
            events.append(Event(at_ms, "license", usage.name, terms))
        for _ in range(random_.randint(0, 3)):
            events.append(Event(random_.randrange(start_ms, end_ms), "renew", usage.name))
        if random_.random() < 0.2:
            at_ms = random_.randrange(start_ms, end_ms)
            events.append(Event(at_ms, "spoil_license", usage.name))
            events.append(Event(at_ms + span(random_, length_ms), "renew", usage.name))
        if random_.random() < 0.15:
            at_ms = random_.randrange(start_ms, end_ms)
            events.append(Event(at_ms, "suspend", usage.name, True))
            events.append(Event(at_ms + span(random_, length_ms), "suspend", usage.name, False))
    if random_.random() < 0.2:
        at_ms = random_.randrange(start_ms, end_ms)
        events.append(Event(at_ms, "delete", usage.name))
        if random_.random() < 0.7:
            events.append(Event(at_ms + span(random_, length_ms), "apply", usage.name))
    if random_.random() < 0.3:
        events.append(Event(random_.randrange(start_ms, end_ms), "request", usage.name))
    return events


def draw_outages(
    random_: random.Random, usages: Sequence[Usage], start_ms: int, end_ms: int
) -> tuple[Outage, ...]:
    """Draw when the vendor, or the way there, does not work."""
    ends = sorted({boundary for usage in usages for boundary in usage.boundaries})
    length_ms = ends[1] - ends[0]
    outages = [Outage(0, NEVER, "any", random_.choice((0.0, 0.05, 0.3)))]
    for _ in range(random_.randint(0, 4)):
        at_ms = near(random_, ends, 2 * HOUR_MS)
        kind = random_.choice((*vendor.FAULTS, "any", "any"))
        chance = random_.choice((0.5, 0.9, 1.0))
        outages.append(Outage(at_ms, at_ms + span(random_, length_ms), kind, chance))
    return tuple(outages)
