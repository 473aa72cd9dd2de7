"""The products behind an object: who uses them, what they promise, how they page and fail."""

import random
from collections.abc import Sequence
from typing import Any

from licenseusage.metering.properties import Removal
from trials.soak.answering import FAULTS, Fault, Product
from trials.soak.draws import NEVER, span
from trials.soak.listing import CURSOR_HEADER, Paging, Shop
from trials.soak.people import (
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

INTERVALS = (1, 5, 15, 15, 60, 240)
_GRANULARITIES = {
    SECOND_MS: "Second", MINUTE_MS: "Minute", HOUR_MS: "Hour", DAY_MS: "Day",
}  # fmt: skip


def draw_sources(
    random_: random.Random,
    usage: str,
    boundaries: Sequence[int],
    start_ms: int,
    end_ms: int,
    peaceful: bool,
) -> tuple[dict[str, Product], list[dict[str, Any]], str]:
    """Draw the products of one object, its sources as a person writes them, and ``combine``."""
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
    first = draw_accounts(random_, people, all_traits[0], boundaries, start_ms, end_ms)
    shops: dict[str, Product] = {}
    sources = []
    for number, traits in enumerate(all_traits):
        if combine == "Same":
            forgets = traits.removal is not Removal.NEVER
            accounts = [
                Account(a.person, a.created_ms, a.removed_ms if forgets else NEVER, a.acts)
                for a in first
            ]
        elif number == 0:
            accounts = first
        else:
            accounts = draw_accounts(random_, people, traits, boundaries, start_ms, end_ms)
        if combine == "Union" and count > 1:
            accounts = [a for a in accounts if random_.random() < 0.7]
        for account in accounts:
            account.writes = draw_writes(random_, traits, account.acts, account.created_ms)
        accounts.sort(key=lambda account: account.created_ms)
        paging = _paging(random_, traits)
        source = f"source-{number}"
        faults = () if peaceful else draw_faults(random_, boundaries, start_ms, end_ms)
        slowness = random_.choice((5, 50, 500, 4000, 20_000))
        shops[source] = Shop(Store(traits, accounts, names), paging, slowness, faults)
        sources.append(_source(random_, usage, source, traits, paging))
    return shops, sources, combine


def _traits(random_: random.Random, *, alone: bool) -> Traits:
    lag_s = random_.choice((0, 1, 30, 60, 60, 300, 3600))
    removal = random_.choice((Removal.NEVER, Removal.NEVER, Removal.LISTED_ONCE))
    if alone and random_.random() < 0.15:
        removal = Removal.UNKNOWN
    return Traits(
        lag_ms=lag_s * SECOND_MS,
        granularity_ms=random_.choice((SECOND_MS,) * 5 + (MINUTE_MS, HOUR_MS, DAY_MS)),
        throttle_ms=random_.choice((0, 0, 0, 0, 5 * MINUTE_MS, HOUR_MS)),
        unordered=random_.random() < 0.15,
        removal=removal,
        renames=alone and removal is not Removal.LISTED_ONCE and random_.random() < 0.16,
        starts_created=random_.random() < 0.2,
    )


def draw_accounts(
    random_: random.Random,
    people: int,
    traits: Traits,
    boundaries: Sequence[int],
    start_ms: int,
    end_ms: int,
) -> list[Account]:
    """Draw who has an account, from when on and until when, and when each is active."""
    accounts = []
    for person in range(people):
        created = start_ms - random_.randrange(1, 400 * DAY_MS)
        chance = random_.random()
        if chance < 0.15:
            created = random_.randrange(start_ms, end_ms)
        elif chance < 0.3:
            created = near(random_, boundaries, HOUR_MS)
        removed = NEVER
        if traits.removal is not Removal.NEVER and random_.random() < 0.5:
            removed = max(created + traits.listed_ms, near(random_, boundaries, 5 * DAY_MS))
        acts = draw_acts(random_, boundaries, created, removed, traits.lag_ms)
        accounts.append(Account(person, created, removed, acts))
    return accounts


def _paging(random_: random.Random, traits: Traits) -> Paging:
    kinds = ["OnePage", "OnePage", "Offset", "Unsorted", "Numbered", "Linked"]
    if not traits.renames:
        kinds += ["KeyCursor", "KeyCursor", "KeyCursor", "Headed", "NewestFirst"]
        if not traits.unordered:
            kinds.append("Moving")
    return Paging(random_.choice(kinds), random_.randint(2, 9))


def _source(
    random_: random.Random, usage: str, name: str, traits: Traits, paging: Paging
) -> dict[str, Any]:
    guarantees: dict[str, Any] = {
        "lagSeconds": traits.lag_ms // SECOND_MS,
        "hiddenSeconds": traits.hidden_ms // SECOND_MS,
        "removal": str(traits.removal),
        "ids": random_.choice(("Renamable", "Unknown")) if traits.renames else "Stable",
        "initialValue": "CreationTime" if traits.starts_created else "Empty",
        "order": {
            "KeyCursor": "KeyCursor",
            "Headed": "KeyCursor",
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
    elif paging.kind == "Headed":
        named = {"header": CURSOR_HEADER.lower(), "cursorParam": "after"}
        http["pagination"] = {"type": "HeaderCursor", **named}
    elif paging.kind == "Linked":
        http["pagination"] = {"type": "Next", "path": "onward"}
    elif paging.kind == "Numbered":
        http["pagination"] = {
            "type": "Page",
            "pageParam": "page",
            "first": 1,
            "sizeParam": "limit",
            "size": paging.size,
        }
    elif paging.kind != "OnePage":
        http["pagination"] = {
            "type": "Offset",
            "offsetParam": "offset",
            "limitParam": "limit",
            "size": paging.size,
        }
    return {
        "name": name,
        "intervalMinutes": random_.choice(INTERVALS),
        "pods": {
            "selector": {"matchLabels": {"app": usage}},
            "port": "http",
            "scheme": "HTTP",
        },
        "http": http,
        "users": users,
        "guarantees": guarantees,
    }


def draw_faults(
    random_: random.Random, boundaries: Sequence[int], start_ms: int, end_ms: int
) -> tuple[Fault, ...]:
    """Draw when a product misbehaves."""
    length_ms = boundaries[1] - boundaries[0]
    faults = []
    base = random_.choice((0.0, 0.03, 0.15))
    faults += [Fault(0, NEVER, kind, base / len(FAULTS)) for kind in FAULTS]
    for _ in range(random_.randint(0, 4)):
        at_ms = near(random_, boundaries, 2 * HOUR_MS)
        kind = random_.choice(FAULTS)
        chance = random_.choice((0.5, 1.0))
        faults.append(Fault(at_ms, at_ms + span(random_, length_ms), kind, chance))
    return tuple(faults)
