"""A product that lists who was active lately, without times, and sources that read it."""

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from licenseusage.api.source import Source
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import MeterKey, PollRecord
from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS, Cycle
from licenseusage.metering.lifecycle import precedes
from licenseusage.metering.statement import CycleStatement
from licenseusage.metering.stores import DeclaredSource, StoreKey
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.poll import CycleRequest, PollResult
from tests.metering.lately import Lately
from tests.sources.product import FixedClock, Product, Request, answer, poll

STORE = StoreKey("lately", "domain")
WEEK = {"type": "Rolling", "days": 7}


def lately(**fields: Any) -> EffectiveSource:
    """A source of users in ``{"active": [{"id"}]}``; fields as a user would write them."""
    given: dict[str, Any] = {
        "name": "lately",
        "pods": {"selector": {"matchLabels": {"app": "x"}}, "port": 80, "scheme": "HTTP"},
        "http": {"path": "/active", "items": "active"},
        "users": {"id": "id"},
        "window": WEEK,
        "guarantees": {"removal": "Never", "ids": "Stable", "lagSeconds": 0},
    }
    return effective(Source.model_validate(given | fields))


def responding(product: Lately) -> Callable[[Request], bytes]:
    """What answers requests for such a product, at its time."""

    def respond(_: Request) -> bytes:
        names = product.shown(product.listed(product.now_ms), product.now_ms)
        document = {"active": [{"id": name} for name in names], **product.around}
        return answer(document, headers={"Date": formatdate(product.now_ms // 1000, usegmt=True)})

    return respond


@dataclass
class Reader:
    """Polls such a product as the operator does, and keeps what it read in a ledger."""

    ledger: Ledger
    server: Product
    asked: EffectiveSource
    meter_id: int
    cycles: tuple[Cycle, ...]
    last_ms: int | None = None

    @classmethod
    def of(
        cls, ledger: Ledger, server: Product, asked: EffectiveSource, name: str, *cycles: Cycle
    ) -> "Reader":
        """Begin with a meter of its own; before these cycles there was another one."""
        first = cycles[0]
        cycles = (
            Cycle(first.index - 1, 2 * first.start_ms - first.end_ms, first.start_ms),
            *cycles,
        )
        meter = ledger.ensure_meter(MeterKey("shop", name, "app"), cycles[0].start_ms)
        return cls(ledger, server, asked, meter.id, cycles)

    def read(self, product: Lately, at_ms: int) -> PollResult:
        """Poll once, for every cycle that it concerns, and record it."""
        product.now_ms = at_ms
        self.server.respond = responding(product)
        begun = [c for c in self.cycles if c.start_ms <= at_ms < c.end_ms + 2 * DAY_MS]
        coming = [
            c
            for c in self.cycles
            if precedes(c, at_ms, self.asked.interval_ms, DAY_MS, self.last_ms)
        ]
        requests = [CycleRequest(c, roster=True) for c in begun]
        requests += [CycleRequest(c, roster=True, coming=True) for c in coming]
        result = poll(self.server.port, self.asked, cycles=tuple(requests), clock=FixedClock(at_ms))
        self.last_ms = at_ms
        self.record(result)
        return result

    def record(self, result: PollResult) -> None:
        """Make what was read durable; as often as one likes."""
        facts = {c: result.facts[c.index] for c in self.cycles if c.index in result.facts}
        self.ledger.record_poll(
            PollRecord(
                meter_id=self.meter_id,
                store=STORE,
                properties=self.asked.properties_given(ids_stable=result.ids_stable),
                interval_ms=self.asked.interval_ms,
                started_ms=result.started_ms,
                ended_ms=result.ended_ms,
                clock_skew_ms=result.clock_skew_ms,
                complete=result.complete,
                facts=facts,
                pseudonym_key_id="key",
                rules_digest="rules",
                selection=self.asked.selection,
                declaration=self.asked.declaration,
                listing=self.asked.listed_by,
                incomplete=str(result.incomplete.reason) if result.incomplete else None,
                failure=result.failure,
                listed=result.users_listed,
            ),
            result.ended_ms,
        )

    def stated(self, cycle: Cycle, *, so_far: bool = False) -> CycleStatement:
        """What is stated of a cycle."""
        declared = DeclaredSource(
            STORE,
            self.asked.properties,
            self.asked.interval_ms,
            self.asked.selection,
            self.asked.declaration,
        )
        as_of_ms = None if so_far else cycle.end_ms
        return self.ledger.statement(self.meter_id, cycle, sources=[declared], as_of_ms=as_of_ms)

    def closed(self, cycle: Cycle) -> bool:
        """Whether a poll was late enough to close a cycle."""
        states = self.ledger.store_states(self.meter_id, cycle)
        return STORE in states and bool(states[STORE].ended >> CYCLE_BIT & 1)
