"""Which objects are exported, and when files are carried: drawn apart from the rest."""

import random
from collections.abc import Sequence

from trials.soak.courier import DAMAGES, RETURNS
from trials.soak.draws import span
from trials.soak.people import HOUR_MS, near
from trials.soak.plan import Event, Usage


def draw_carriage(
    random_: random.Random, usages: Sequence[Usage], start_ms: int, end_ms: int, length_ms: int
) -> list[Event]:
    """Have some objects exported from the beginning or later, and draw what is carried when."""
    events: list[Event] = []
    for usage in usages:
        if usage.licensed:
            events += _modes_of(random_, usage, start_ms, end_ms, length_ms)
    carried = tuple(usage.name for usage in usages if usage.carried)
    if carried:
        cycles = max(1, (end_ms - start_ms) // length_ms)
        for number in range(1, random_.randint(2, max(2, cycles)) + 1):
            events += _carriage(random_, number, usages, start_ms, end_ms, length_ms)
    return [event for event in events if start_ms <= event.at_ms < end_ms]


def _modes_of(
    random_: random.Random, usage: Usage, start_ms: int, end_ms: int, length_ms: int
) -> list[Event]:
    """Draw how an object's reports reach the vendor; most are sent all the time."""
    style = random_.random()
    if style < 0.15:
        usage.endpoint, usage.carried = False, True
        usage.mode = random_.choice(("Online", "Export"))
        return []
    if style < 0.3:
        usage.mode, usage.carried = "Export", True
    elif style > 0.45:
        return []
    usage.carried = True
    events, mode, at_ms = [], usage.mode, start_ms
    for _ in range(random_.randint(usage.mode == "Online", 4)):
        mode = "Export" if mode == "Online" else "Online"
        at_ms = random_.choice(
            (near(random_, usage.boundaries, HOUR_MS), at_ms + span(random_, length_ms))
        )
        events.append(Event(at_ms, "switch", usage.name, mode))
    return events


def _carriage(
    random_: random.Random,
    number: int,
    usages: Sequence[Usage],
    start_ms: int,
    end_ms: int,
    length_ms: int,
) -> list[Event]:
    """Draw the way of one packing: carried late, or twice, or damaged; receipts late as well."""
    ends = sorted({boundary for usage in usages for boundary in usage.boundaries})
    at_ms = random_.choice((near(random_, ends, 30 * HOUR_MS), random_.randrange(start_ms, end_ms)))
    names = tuple(usage.name for usage in usages if usage.carried)
    if random_.random() < 0.3:
        names = (random_.choice(names),)
    events = [Event(at_ms, "pack", value=(number, names))]
    for _ in range(random_.choice((0, 1, 1, 1, 2, 3))):
        damage = random_.choice(DAMAGES) if random_.random() < 0.25 else ""
        arrives_ms = at_ms + random_.choice((1, span(random_, length_ms)))
        events.append(Event(arrives_ms, "carry", value=(number, damage)))
        for _ in range(random_.choice((0, 1, 1, 2))):
            back_ms = arrives_ms + random_.choice((1, span(random_, length_ms)))
            events.append(Event(back_ms, "bring_back", value=(number, random_.choice(RETURNS))))
    if random_.random() < 0.2:
        events.append(Event(at_ms + span(random_, length_ms), "withdraw"))
    return events
