"""Lists without times: who was active in the last days (source kind B of MEASUREMENT)."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from trials.soak.draws import NEVER, span
from trials.soak.kinds.windows import draw_window, first_ms, looked_ms, was_active
from trials.soak.lies import Lie
from trials.soak.listing import Paging, Shop
from trials.soak.people import (
    HOUR_MS,
    MINUTE_MS,
    SECOND_MS,
    Account,
    Names,
    Shown,
    Store,
    Traits,
    near,
)

_EVIDENT = ("repeated", "cutWithLink", "cutWithTotal")
_PAGINATION: Mapping[str, dict[str, Any]] = {
    "KeyCursor": {"type": "Cursor", "params": [{"name": "after", "path": "next"}]},
    "Linked": {"type": "Next", "path": "onward"},
    "Offset": {"type": "Offset", "offsetParam": "offset", "limitParam": "limit"},
}


class RollingStore(Store):
    """Accounts of which the list names those with activity in a window."""

    def __init__(
        self, traits: Traits, accounts: Sequence[Account], window: Mapping[str, Any], age_ms: int
    ) -> None:
        """Take what was drawn.

        Args:
            traits: What the product is like.
            accounts: In the order of creation.
            window: As a person writes it.
            age_ms: For so long the product keeps what it has found.
        """
        super().__init__(traits, accounts, Names(1 + max(a.person for a in accounts)))
        self._window, self._age_ms = window, age_ms

    def rows(self, at_ms: int) -> list[Shown]:
        """Return the list as it is shown at an instant, in the order of creation."""
        looked = looked_ms(at_ms, self._age_ms)
        first = first_ms(self._window, looked)
        return [
            Shown(f"user-{account.person:04d}", number, None, account.created_ms)
            for number, account in enumerate(self.accounts)
            if account.listed(at_ms) and was_active(account, first, looked + 1, looked)
        ]


def draw_rolling(
    random_: random.Random, traits: Traits, accounts: list[Account], boundaries: Sequence[int]
) -> tuple[Shop, dict[str, Any]]:
    """Draw a list without times and its source, but for what every source has."""
    age_ms = random_.choice((0, 0, MINUTE_MS, HOUR_MS))
    window = draw_window(random_, boundaries[1] - boundaries[0])
    kind = random_.choice(("OnePage", "OnePage", "KeyCursor", "Offset", "Linked"))
    paging = Paging(kind, random_.randint(2, 9))
    shop = Shop(
        RollingStore(traits, accounts, window, age_ms),
        paging,
        random_.choice((5, 50, 500, 4000)),
        lies=_lies(random_, boundaries),
        evident=True,
    )
    http: dict[str, Any] = {"path": "/active", "items": "users"}
    if kind in _PAGINATION:
        size = {"size": paging.size} if kind == "Offset" else {}
        http["pagination"] = {**_PAGINATION[kind], **size}
    orders = {"KeyCursor": "KeyCursor", "Offset": "ImmutableKey"}
    guarantees = {
        "lagSeconds": traits.lag_ms // SECOND_MS,
        "ageSeconds": age_ms // SECOND_MS,
        "removal": str(traits.removal),
        "ids": "Stable",
        "order": orders.get(kind, "Unknown"),
    }
    source = {"http": http, "users": {"id": "id"}, "window": window, "guarantees": guarantees}
    return shop, source


def _lies(random_: random.Random, boundaries: Sequence[int]) -> tuple[Lie, ...]:
    """Draw when the list is cut, in ways that show."""
    if random_.random() < 0.5:
        return ()
    kind, share = random_.choice(_EVIDENT), random_.choice((0.1, 0.3, 0.6))
    if random_.random() < 0.1:
        return (Lie(kind, 0, NEVER, share, random_.randrange(1000)),)
    from_ms = near(random_, boundaries, 24 * HOUR_MS)
    to_ms = from_ms + span(random_, boundaries[1] - boundaries[0])
    return (Lie(kind, from_ms, to_ms, share, random_.randrange(1000)),)
