"""Seeds of random histories, and what must hold of every one.

``HISTORIES`` sets how many are tried per rule; a failure names its seed.
"""

import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from licenseusage.metering.bounds import Accuracy, Bounds
from tests.metering import translate

HISTORIES = int(os.environ.get("HISTORIES", "400"))
BLOCK = max(1, min(100, HISTORIES))
SEEDS = [range(first, min(first + BLOCK, HISTORIES)) for first in range(0, HISTORIES, BLOCK)]
blocks = pytest.mark.parametrize(
    "seeds", SEEDS, ids=lambda seeds: f"histories {seeds.start}-{seeds.stop - 1}"
)
WINDOWS = tuple(translate.CYCLE.windows())


def joined(
    random_: random.Random, parts: list[Any], merge: Callable[[Any, Any], Any], nothing: Any
) -> Any:
    """Join in order, and in a random tree with repeats and a restored backup: the same facts."""
    total = nothing
    for part in parts:
        total = merge(total, part)
    pool = [*parts, nothing, total, *(random_.choice(parts) for _ in range(2) if parts)]
    random_.shuffle(pool)
    while len(pool) > 1:
        a = pool.pop(random_.randrange(len(pool)))
        b = pool.pop(random_.randrange(len(pool)))
        assert merge(a, b) == merge(b, a)
        pool.append(merge(a, b))
    assert pool[0] == total, "the join depends on the order"
    assert merge(total, total) == total
    return total


def check(bounds: Bounds, truth: int, note: str) -> None:
    assert bounds.accuracy is not Accuracy.CONFLICT, f"{note}: the declared properties hold"
    assert bounds.lower <= truth, f"{note}: lower {bounds.lower} > truth {truth}"
    assert bounds.upper is None or truth <= bounds.upper, f"{note}: {bounds.upper} < truth {truth}"
    if bounds.accuracy is Accuracy.EXACT:
        assert bounds.lower == truth, note


def narrows(before: Bounds, after: Bounds, note: str) -> None:
    """More facts only narrow what is stated."""
    assert before.lower <= after.lower, note
    if before.upper is not None:
        assert after.upper is not None, note
        assert after.upper <= before.upper, note
