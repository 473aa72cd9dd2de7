"""Which kind of source an object has, and the product behind it."""

import random
from collections.abc import Sequence
from typing import Any, Final

from licenseusage.metering.properties import Removal
from trials.soak.answering import Product
from trials.soak.kinds.numbers import draw_number
from trials.soak.kinds.pushing import draw_pusher
from trials.soak.kinds.ranged import draw_register
from trials.soak.kinds.rolling import draw_rolling
from trials.soak.kinds.streams import draw_stream
from trials.soak.people import SECOND_MS, Account, Traits, draw_writes
from trials.soak.products import INTERVALS, draw_accounts, draw_faults

LISTS: Final = "Lists"
OTHERS: Final = ("Rolling", "Numbers", "Ranged", "Streams", "Pushed")
KINDS: Final = (LISTS, *OTHERS)
"""Lists with times, which a history may have several of; lists without; bare numbers; event logs
over HTTP; Redis streams; activity that is pushed."""


def draw_kind(random_: random.Random, kinds: Sequence[str]) -> str:
    """Draw the kind of an object's sources: half of them lists, where these are among ``kinds``."""
    others = [kind for kind in kinds if kind != LISTS]
    if LISTS in kinds and (not others or random_.random() < 0.5):
        return LISTS
    return random_.choice(others)


def draw_product(
    random_: random.Random,
    kind: str,
    usage: str,
    boundaries: Sequence[int],
    start_ms: int,
    end_ms: int,
    pods: int,
    *,
    peaceful: bool,
) -> tuple[dict[str, Product], list[dict[str, Any]]]:
    """Draw the product of another kind behind an object, and its source as a person writes it."""
    removal = Removal.NEVER
    if kind in ("Rolling", "Numbers") and random_.random() < 0.25:
        removal = Removal.UNKNOWN
    lag_s = random_.choice((0, 1, 30, 60, 60, 300))
    traits = Traits(lag_ms=lag_s * SECOND_MS, removal=removal)
    people = random_.randint(3, 30)
    accounts = draw_accounts(random_, people, traits, boundaries, start_ms, end_ms)
    for account in accounts:
        account.writes = draw_writes(random_, traits, account.acts, account.created_ms)
    accounts.sort(key=_created)
    product, source = _drawn(random_, kind, traits, accounts, boundaries, pods)
    if not peaceful:
        product.faults = draw_faults(random_, boundaries, start_ms, end_ms)
    scheme = "REDIS" if kind == "Streams" else "HTTP"
    asked = {
        "pods": {"selector": {"matchLabels": {"app": usage}}, "port": "http", "scheme": scheme}
    }
    source |= {"name": "source-0", "intervalMinutes": random_.choice(INTERVALS)}
    return {"source-0": product}, [source if kind == "Pushed" else source | asked]


def _drawn(
    random_: random.Random,
    kind: str,
    traits: Traits,
    accounts: list[Account],
    boundaries: Sequence[int],
    pods: int,
) -> tuple[Product, dict[str, Any]]:
    match kind:
        case "Rolling":
            return draw_rolling(random_, traits, accounts, boundaries)
        case "Numbers":
            return draw_number(random_, traits, accounts, boundaries, pods)
        case "Ranged":
            return draw_register(random_, traits, accounts, boundaries)
        case "Streams":
            return draw_stream(random_, traits, accounts, boundaries, pods)
        case "Pushed":
            return draw_pusher(random_, traits, accounts, boundaries)
    raise AssertionError(kind)


def _created(account: Account) -> int:
    return account.created_ms
