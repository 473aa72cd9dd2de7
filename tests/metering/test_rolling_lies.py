"""Lists without times that lie: no bound is stated that the truth escapes, or no rule could see it.

The same rules with a ledger and over HTTP are in ``tests/sources/test_untimed.py``.
"""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.metering.bounds import Bounds
from licenseusage.metering.combine import Store, evaluate
from licenseusage.metering.countwindows import Rolling
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.facts import Facts, merge
from licenseusage.metering.lifecycle import HOUR_MS
from licenseusage.metering.polled import Polled
from licenseusage.metering.properties import Properties, Removal
from tests.metering.lately import Lately, Shown, people
from tests.metering.untimed import Lists
from tests.properties import examples

CYCLE = Cycle(0, 20_000 * DAY_MS, 20_012 * DAY_MS)
START, END = CYCLE.start_ms, CYCLE.end_ms
TIMES = (
    *range(START - 26 * HOUR_MS, END - HOUR_MS, 3 * HOUR_MS),
    *range(END - HOUR_MS, END + 9 * HOUR_MS, HOUR_MS // 2),
)


def cut(often: int) -> Callable[[random.Random, Lately], Shown]:
    """Half the list is missing, and nothing shows it."""

    def lie(random_: random.Random, _: Lately) -> Shown:
        times = set(random_.sample(TIMES, often))
        return lambda names, at: names[: len(names) // 2] if at in times else names

    return lie


def rights(random_: random.Random, _: Lately) -> Shown:
    """The account sees half of the people, and all of them from some time on."""
    since = random_.choice(TIMES)
    return lambda names, at: names if at >= since else names[::2]


def everybody(_: random.Random, product: Lately) -> Shown:
    """All accounts, whoever was active."""
    return lambda _, at: sorted(product.acts)


def signing_up(random_: random.Random, product: Lately) -> Shown:
    """All accounts there are so far; none is ever deleted."""
    since = {name: random_.choice((0, *TIMES)) for name in product.acts}
    return lambda _, at: sorted(name for name in since if since[name] <= at)


LIES = {
    "none": lambda _, __: lambda names, at: names,
    "cut once": cut(1),
    "cut often": cut(40),
    "more rights": rights,
    "all accounts": everybody,
    "signing up": signing_up,
}
UNSEEN = {(lie, days) for lie in ("signing up", "more rights") for days in (12, 20)}
"""Lies that no rule sees where the window is as long as the cycle: a few people who come to a list
of all accounts, or who were hidden, look like people who became active.
"""


def stated(product: Lately, declared: Properties) -> Bounds:
    lists, facts = Lists(CYCLE, declared), Facts()
    for at in TIMES:
        names = {name.encode().ljust(16, b".") for name in product.shown(product.listed(at), at)}
        facts = merge(facts, lists.read(Polled(at, at, complete=bool(names)), names))
    return evaluate([Store("", facts, declared, CYCLE, lists.forgets)])


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("days", [1, 3, 7, 12, 20])
@examples(20)
@given(seed=st.integers(0, 2**32))
def test_no_lower_bound_is_stated_that_the_truth_escapes(days, lie, seed):
    if (lie, days) in UNSEEN:
        pytest.skip("no rule sees it")
    random_ = random.Random(seed)
    product = Lately(people(random_, START, END, random_.choice((3, 8))), Rolling(days * DAY_MS))
    product.shown = LIES[lie](random_, product)
    removal = random_.choice((Removal.NEVER, Removal.UNKNOWN))
    declared = Properties(window=product.window, lag_ms=0, removal=removal, ids_stable=True)
    bounds, truth = stated(product, declared), len(product.active(START, END))
    assert bounds.lower <= truth
    if lie in {"none", "all accounts"}:
        assert bounds.upper is None or truth <= bounds.upper
