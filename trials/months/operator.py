"""The operator's process with its own schedule, but for what tells people and vendors of it.

A month is 3,000 polls. What a reconcile does beside counting (statuses, reports, deliveries) takes
most of its time and changes no number; ``trials.soak`` has all of it.
"""

import asyncio

from licenseusage.api.licenseusage import LicenseUsage
from licenseusage.controller.rules.ends import next_close_ms
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.resources import USAGES
from licenseusage.controller.rules.subject import Subject
from licenseusage.controller.steps import closing, counting
from licenseusage.controller.steps.meters import begin_cycles, gathered, keys_of
from licenseusage.controller.steps.reconcile import reconcile
from trials.soak.cluster import SimulatedKube
from trials.soak.process import Killed, Process


class Counter(Process):
    """Counts one object: when its polls are due and cycles end is the operator's own decision."""

    async def _reconcile(self) -> None:
        first = True
        while True:
            try:
                key = await self._queue.get()
                assert isinstance(key, Key)  # noqa: S101 - there are no receipts here
                # The first look makes keys, meter and terms, as on any installation.
                seconds = (
                    await reconcile(self.surroundings, key) if first else await self._count(key)
                )
                first = False
                if seconds is not None:
                    self._queue.add(key, seconds)
            except (Killed, asyncio.CancelledError):
                return
            except Exception as error:
                self.failure = self.failure or error
                return
            self._queue.done(key)

    async def _count(self, key: Key) -> float:
        """Start the polls that are due and close what has ended; return the seconds to wait."""
        world = self.surroundings
        assert isinstance(world.kube, SimulatedKube)  # noqa: S101
        subject = Subject.read(key, await world.kube.get(USAGES, key.namespace, key.name))
        usage = subject.usage
        assert isinstance(usage, LicenseUsage)  # noqa: S101
        now_ms = world.clock.now_ms()
        pseudonym, signing = await keys_of(world, asyncio.get_running_loop().time())
        known = await gathered(world, subject, usage, signing, now_ms)
        await begin_cycles(known, now_ms)
        facts = known.facts
        outcome = await counting.step(
            world, subject, usage, facts, pseudonym, now_ms, requested=False
        )
        times = [] if outcome.next_ms is None else [outcome.next_ms]
        for record in facts.unfinished:
            final = record.cycle.end_ms <= now_ms and await closing.close(
                world.books,
                record,
                outcome.counted,
                now_ms,
                rules_digest=outcome.rules_digest,
                issuer=None,
                first_delay_ms=lambda: 0,
            )
            if not final:
                times.append(next_close_ms(record.cycle, outcome.counted, now_ms))
                break
        return max(0.05, (min(times) - now_ms) / 1000)
