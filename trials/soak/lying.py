"""Which products of a history lie, and how: drawn apart, so that a seed's honest part stays."""

import random

from licenseusage.metering.properties import Removal
from trials.soak.draws import NEVER, span
from trials.soak.lies import GROUP, KINDS, LEAST_COARSE, Lie
from trials.soak.listing import Shop
from trials.soak.people import DAY_MS, HOUR_MS, MINUTE_MS, Account, Store, near
from trials.soak.plan import Usage

_ALWAYS = ("neverAsTime", "coarse")
"""A product's notation is the same from its first day on."""
_CHANCE = 0.4


def draw_lies(random_: random.Random, usage: Usage, start_ms: int, end_ms: int) -> None:
    """Have some products lie: those that are an object's only one, and do not rename users."""
    if len(usage.shops) > 1 or random_.random() >= _CHANCE:
        return
    (shop,) = usage.shops.values()
    assert isinstance(shop, Shop)  # noqa: S101 - asked of lists only
    if shop.store.traits.renames:
        return
    few = len(shop.store.accounts) < 2 + LEAST_COARSE
    kinds = [kind for kind in KINDS if not (few and kind == "coarse")]
    lies = [
        _lie(random_, kind, usage, start_ms, end_ms)
        for kind in random_.sample(kinds, random_.choice((1, 1, 1, 2)))
    ]
    shop.lies = tuple(lies)
    for lie in lies:
        at_ms = max(start_ms, min(lie.from_ms, end_ms)) + random_.randrange(HOUR_MS)
        after_ms = random_.choice((0, 10 * MINUTE_MS, 6 * HOUR_MS, 3 * DAY_MS, 20 * DAY_MS))
        exclude = happen(lie, shop.store, at_ms, after_ms=after_ms)
        if exclude is not None:
            usage.spec["sources"][0]["users"]["exclude"] = exclude


def _lie(random_: random.Random, kind: str, usage: Usage, start_ms: int, end_ms: int) -> Lie:
    length_ms = usage.boundaries[1] - usage.boundaries[0]
    from_ms, to_ms = 0, NEVER
    if kind not in _ALWAYS and random_.random() < 0.8:
        from_ms = random_.choice(
            (near(random_, usage.boundaries, DAY_MS), random_.randrange(start_ms, end_ms))
        )
        to_ms = from_ms + span(random_, length_ms)
    return Lie(kind, from_ms, to_ms, random_.choice((0.1, 0.3, 0.6)), random_.randrange(1000))


def happen(lie: Lie, store: Store, at_ms: int, *, after_ms: int) -> str | None:
    """Do to a product's accounts what a lie is about, where it is more than a wrong answer.

    Args:
        lie: What is told of it.
        store: The product's accounts.
        at_ms: When it is done.
        after_ms: How much later accounts are erased, how far a backup goes back.

    Returns:
        What has to be excluded; None: nobody.
    """
    concerned = [
        account
        for number, account in enumerate(store.accounts)
        if lie.concerns(number) and account.created_ms < at_ms < account.removed_ms
    ]
    match lie.kind:
        case "erased" if store.traits.removal is Removal.NEVER:
            for account in concerned:
                _remove(account, at_ms + after_ms)
        case "moved":
            for account in concerned:
                store.moved[account.person] = min(at_ms, store.moved.get(account.person, at_ms))
                account.acts = [at for at in account.acts if at < at_ms]
            return f"group == '{GROUP}'"
        case "restored":
            store.forgotten = (at_ms - after_ms, at_ms)
            for account in store.accounts:
                if at_ms - after_ms <= account.created_ms < at_ms:
                    _remove(account, at_ms)
    return None


def _remove(account: Account, at_ms: int) -> None:
    account.removed_ms = min(account.removed_ms, at_ms)
    account.acts = [at for at in account.acts if at < account.removed_ms]
