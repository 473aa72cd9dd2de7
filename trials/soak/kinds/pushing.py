"""Products that push: processes with a queue and a receipt, whose requests and answers get lost.

What is sent is taken by the operator's own intake and its ledger; the HTTP between them is left
out. A process that ends loses its queue and its receipt, as docs/push.md asks of it.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from licenseusage.controller.effects.intake import Intake
from licenseusage.controller.rules.pushes import Caller
from licenseusage.errors import UsageError
from licenseusage.reasons import Reason
from licenseusage.sources.poll import PollRequest
from licenseusage.sources.pushed.cloudevents import Activity, Pushed
from trials.soak.answering import Fault, Visit, Visited
from trials.soak.cluster import OBJECTS
from trials.soak.kinds.events import Written, events_of
from trials.soak.lies import Lie
from trials.soak.people import Account, Names, Store, Traits, near
from trials.soak.tally import Tally

_CLOCK_SKEW_SECONDS = 240


@dataclass(slots=True)
class Producer:
    """One process that pushes.

    Attributes:
        name: The attribute ``source`` of its events.
        events: All that it ever records, in order.
        ends_ms: When it ends, and another one of the same name begins.
        most: Events of one request at most.
        sent: Events that were answered.
        receipt: Of the newest answer; None: a chain begins.
        through_ms: Its greatest heartbeat.
    """

    name: str
    events: list[Written]
    ends_ms: list[int]
    most: int
    sent: set[int] = field(default_factory=set)
    receipt: str | None = None
    through_ms: int = 0

    def forget(self, at_ms: int) -> bool:
        """Lose the queue and the receipt, if the process has ended since it sent last."""
        ended = [end for end in self.ends_ms if end <= at_ms]
        if not ended:
            return False
        self.ends_ms = [end for end in self.ends_ms if end > at_ms]
        self.sent |= {event.number for event in self.events if event.written_ms <= ended[-1]}
        self.receipt = None
        return True

    def pending(self, at_ms: int) -> list[Written]:
        """Return what was recorded and not answered yet."""
        return [e for e in self.events if e.written_ms <= at_ms and e.number not in self.sent]


@dataclass(slots=True)
class Pusher:
    """A product that pushes.

    Attributes:
        account: The service account of its pods.
        producers: Its processes.
        twins: Two of them use one name.
    """

    store: Store
    account: str
    producers: list[Producer]
    twins: bool = False
    slowness_ms: int = 0
    faults: tuple[Fault, ...] = ()
    lies: tuple[Lie, ...] = ()

    @property
    def deceives(self) -> bool:
        """As of `Product`: what one of two processes of one name keeps back need not show."""
        return self.twins

    def visited(self, request: PollRequest, visit: Visit) -> Visited:
        """It is never asked."""
        raise AssertionError(f"{request.source.name} is polled, and it pushes")

    async def push(self, intake: Intake, at_ms: int, random_: random.Random, tally: Tally) -> None:
        """Have each process send what it has."""
        for producer in self.producers:
            if producer.forget(at_ms):
                tally.faults["producer ended"] += 1
            await self._send(producer, intake, at_ms, random_, tally)

    async def _send(
        self,
        producer: Producer,
        intake: Intake,
        at_ms: int,
        random_: random.Random,
        tally: Tally,
    ) -> None:
        pending = producer.pending(at_ms)
        batch = pending[: producer.most]
        through_ms: int | None = None
        if len(batch) == len(pending) and random_.random() < 0.9:
            # Whatever happened before this has been recorded by now.
            shown_ms = at_ms - self.store.traits.lag_ms - random_.choice((0, 0, 60_000))
            producer.through_ms = max(producer.through_ms, shown_ms)
            through_ms = producer.through_ms
        activities = tuple(Activity(event.user, event.at_ms) for event in batch)
        pushed = Pushed(producer.name, activities, through_ms)
        try:
            with intake.admitted(Caller(OBJECTS, self.account)) as target:
                answer = await intake.take(target, pushed, producer.receipt)
        except UsageError as error:
            tally.faults[f"push {error.reason}"] += 1
            if error.reason is Reason.PUSH_RECEIPT_UNKNOWN and producer.receipt is not None:
                producer.receipt = None
                await self._send(producer, intake, at_ms, random_, tally)
            return
        if random_.random() < 0.05:
            tally.faults["answer to a push lost"] += 1
            return
        tally.notes["requests pushed"] += 1
        producer.sent |= {event.number for event in batch}
        producer.receipt = answer.receipt or producer.receipt


def draw_pusher(
    random_: random.Random, traits: Traits, accounts: list[Account], boundaries: Sequence[int]
) -> tuple[Pusher, dict[str, Any]]:
    """Draw a product that pushes and its source, but for what every source has."""
    count, twins = random_.choice((1, 1, 2, 3)), random_.random() < 0.1
    events = events_of(accounts)
    producers = []
    for number in range(count + twins):
        ends = [near(random_, boundaries, 86_400_000) for _ in range(random_.choice((0, 0, 1, 3)))]
        own = [event for event in events if event.number % (count + twins) == number]
        name = f"/app-{number % count}"
        producers.append(Producer(name, own, sorted(ends), random_.choice((2, 5, 100, 100))))
    account = f"account-{random_.randrange(10**9)}"
    push: dict[str, Any] = {"serviceAccounts": [account]}
    if random_.random() < 0.85:
        push["producers"] = sorted({producer.name for producer in producers})
    store = Store(traits, accounts, Names(1 + max(a.person for a in accounts)))
    source = {
        "preset": "StandardPush",
        "push": push,
        "guarantees": {"clockSkewSeconds": _CLOCK_SKEW_SECONDS},
    }
    return Pusher(store, account, producers, twins), source
