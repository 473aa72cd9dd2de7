"""Bare numbers: how many were active, and not who (source kind C of MEASUREMENT).

A number that a product keeps in memory begins again after a start, and is too low until its warm-up
is over; it may count accounts that are no people, and stop at the licence's maximum. Several pods
state one number, or each a part of it.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from licenseusage.metering.properties import Removal
from licenseusage.sources.counts.collect import CountCollection
from licenseusage.sources.http.fetch import Session
from licenseusage.sources.poll import PollRequest, Target
from licenseusage.sources.whereabouts import Whereabouts
from trials.soak.answering import Answering, Fault, Span, Visit, Visited
from trials.soak.kinds.windows import draw_window, first_ms, looked_ms, was_active
from trials.soak.lies import Lie
from trials.soak.people import MINUTE_MS, SECOND_MS, Account, Names, Store, Traits

_METRICS = "# TYPE app_active gauge\n# HELP app_active Users.\n{series}# EOF\n"


@dataclass(slots=True)
class Teller:
    """A product that states a number.

    Attributes:
        window: Whom it counts, as a person writes it.
        age_ms: For so long it keeps what it has found.
        own: So many accounts beside people are in the number at most.
        cap: It does not count further; None: it does.
        warmup_ms: So long after a start the number may be too low.
        in_memory: What was before a start comes back only when the warm-up is over.
        shards: So many pods hold a part each; 0: each states all.
        factor: An estimate differs from the number by this.
        format: ``json`` or ``prometheus``.
        apart: In these times one of several pods states fewer.
        began_ms: When its pods started last.
    """

    store: Store
    slowness_ms: int
    window: Mapping[str, Any]
    age_ms: int
    own: int
    cap: int | None
    warmup_ms: int
    in_memory: bool
    shards: int
    factor: float
    format: str
    apart: tuple[tuple[int, int], ...] = ()
    faults: tuple[Fault, ...] = ()
    lies: tuple[Lie, ...] = ()
    began_ms: int = 0

    @property
    def deceives(self) -> bool:
        """As of `Product`: whatever is untrue is declared."""
        return False

    def visited(self, request: PollRequest, visit: Visit) -> Visited:
        """As of `Product`."""
        poll = _Collection(self, request, visit)
        result = poll.perform()
        faults = [f"poll {number.fault}" for number in poll.asked if number.fault is not None]
        if any(pod.differs for pod in poll.asked):
            faults.append("number of one pod is lower")
        return Visited(result, faults, len(poll.asked))

    def started(self, at_ms: int) -> None:
        """Its pods have started."""
        self.began_ms = at_ms

    def count(self, at_ms: int, cycle: Span, pod: int) -> int:
        """Return the number that a pod states at an instant."""
        looked = max(looked_ms(at_ms, self.age_ms), min(self.began_ms, at_ms))
        if self.window["type"] == "Cycle":
            first, end = cycle.start_ms, cycle.end_ms
        else:
            first, end = first_ms(self.window, looked), looked + 1
        cold = self.in_memory and looked < self.began_ms + self.warmup_ms
        users = sum(
            was_active(account, max(first, self.began_ms) if cold else first, end, looked)
            for number, account in enumerate(self.store.accounts)
            if account.listed(at_ms) and (not self.shards or number % self.shards == pod)
        )
        users = round((users + (0 if pod and self.shards else self.own)) * self.factor)
        return users if self.cap is None else min(users, self.cap)


class _Number(Answering):
    """One pod's answers to one poll."""

    def __init__(self, teller: Teller, request: PollRequest, target: Target, visit: Visit) -> None:
        super().__init__(teller, request.source, visit)
        self._teller, self._pod = teller, int(target.label.rpartition("-")[2] or 0)
        now = visit.true_now_ms
        self.differs = self._pod > 0 and any(a <= now < b for a, b in teller.apart)

    def document(self, _asked: Mapping[str, str], span: Span, fault: str | None) -> object:
        """Return the number in the product's form."""
        users = self._teller.count(self._visit.true_now_ms, span, self._pod)
        if self.differs:
            users = max(0, users - 1 - self._visit.random.randrange(3))
        if self._teller.format == "json":
            return {} if fault == "emptyList" else {"active": users}
        series = "" if fault == "emptyList" else f"app_active {users}\n"
        return _METRICS.format(series=series)


class _Collection(CountCollection):
    """A poll of simulated pods.

    Attributes:
        asked: Those that were asked.
    """

    def __init__(self, teller: Teller, request: PollRequest, visit: Visit) -> None:
        super().__init__(request, visit.clock)
        self._teller, self._visit = teller, visit
        self.asked: list[_Number] = []

    def _open(self, target: Target, _whereabouts: Whereabouts) -> Session:
        self.asked.append(_Number(self._teller, self._request, target, self._visit))
        return cast(Session, self.asked[-1])


def draw_number(
    random_: random.Random,
    traits: Traits,
    accounts: list[Account],
    boundaries: Sequence[int],
    pods: int,
) -> tuple[Teller, dict[str, Any]]:
    """Draw a number and its source, but for what every source has."""
    window = draw_window(random_, boundaries[1] - boundaries[0])
    prometheus = random_.random() < 0.5
    if not prometheus and random_.random() < 0.4:
        window = {"type": "Cycle"}
    across = random_.choice(("Any", "Same", "Shards")) if pods > 1 else "Any"
    age_ms = random_.choice((0, 0, MINUTE_MS, 10 * MINUTE_MS))
    teller = Teller(
        Store(traits, accounts, Names(1 + max(a.person for a in accounts))),
        random_.choice((5, 50, 500, 4000)),
        window=window,
        age_ms=0 if window["type"] == "Cycle" else age_ms,
        own=random_.choice((0, 0, 1, 3)),
        cap=random_.choice((None, None, None, random_.randint(2, len(accounts) + 2))),
        warmup_ms=random_.choice((0, 30, 300, 3600)) * SECOND_MS,
        in_memory=random_.random() < 0.6,
        shards=pods if across == "Shards" else 0,
        factor=random_.choice((1.0,) * 7 + (0.9, 1.2)),
        format="prometheus" if prometheus else "json",
        apart=tuple(_apart(random_, boundaries)) if across == "Same" else (),
    )
    return teller, _source(teller, traits, across, random_)


def _apart(random_: random.Random, boundaries: Sequence[int]) -> list[tuple[int, int]]:
    if random_.random() < 0.5:
        return []
    at_ms = random_.choice(boundaries) - random_.randrange(boundaries[1] - boundaries[0])
    return [(at_ms, at_ms + random_.randrange(boundaries[1] - boundaries[0]))]


def _source(teller: Teller, traits: Traits, across: str, random_: random.Random) -> dict[str, Any]:
    count: dict[str, Any] = {
        "ownAccounts": teller.own,
        "warmupSeconds": teller.warmup_ms // SECOND_MS if teller.in_memory else 0,
        "precision": "Counted" if teller.factor == 1 else "Estimated",
        "acrossPods": across,
    }
    if teller.cap is not None:
        count["saturatesAt"] = teller.cap
    if teller.shards:
        count["shards"] = teller.shards
    guarantees = {
        "lagSeconds": traits.lag_ms // SECOND_MS,
        "ageSeconds": teller.age_ms // SECOND_MS,
        "removal": "Never" if teller.store.traits.removal is Removal.NEVER else "Unknown",
        "completeness": random_.choice(("Complete", "Complete", "Complete", "Unknown")),
    }
    source: dict[str, Any] = {"count": count, "window": teller.window, "guarantees": guarantees}
    if teller.format == "prometheus":
        source["prometheus"] = {"path": "/metrics", "metric": "app_active"}
        return source
    count["value"] = "active"
    source["http"] = {"path": "/active"}
    if teller.window["type"] == "Cycle":
        source["http"]["query"] = [
            {"name": "from", "value": "{{cycle.start}}"},
            {"name": "to", "value": "{{cycle.end}}"},
        ]
    return source
