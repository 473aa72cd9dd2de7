"""Results of deliveries: they wake the object, and a signed verdict becomes an event."""

import asyncio
from collections.abc import Callable

from licenseusage.clock import SystemClock
from licenseusage.controller.effects.events import Events
from licenseusage.controller.effects.kube import KubeError
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.resources import USAGES
from licenseusage.controller.rules.transitions import Event, of_deliveries
from licenseusage.delivery.outbox import Attempt


class Verdicts:
    """Hears of every attempt; posts beside the delivery, which waits for nobody."""

    def __init__(self, nudge: Callable[[Key], None], events: Events, clock: SystemClock) -> None:
        """Wake objects by ``nudge``."""
        self.events = events
        self._nudge, self._clock = nudge, clock
        self._posting: set[asyncio.Task[None]] = set()

    def settled(self, key: Key, attempts: tuple[Attempt, ...]) -> None:
        """Take note of what was sent for an object."""
        self._nudge(key)
        events = of_deliveries(attempts)
        if events:
            task = asyncio.create_task(self._post(key, events))
            self._posting.add(task)
            task.add_done_callback(self._posting.discard)

    async def _post(self, key: Key, events: list[Event]) -> None:
        try:
            regarding = await self.events.kube.get(USAGES, key.namespace, key.name)
        except KubeError:
            return  # the object is gone; its UsageReports tell
        machine_s = self._clock.now_ms() / 1000 - self._clock.offset_seconds
        for event in events:
            await self.events.post(regarding, event, machine_s)
