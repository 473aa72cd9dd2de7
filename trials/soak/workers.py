"""The polls of a history: performed in place and in simulated time, whatever the kind of source."""

import random
from collections.abc import Callable, Mapping

from licenseusage.clock import Clock
from licenseusage.sources.poll import PollRequest, PollResult
from trials.soak.answering import PollClock, Product, Visit
from trials.soak.heard import Heard
from trials.soak.need import need
from trials.soak.tally import Tally
from trials.soak.timeline import World


class SimulatedWorkers:
    """Performs polls as `sources.workers.Workers` does."""

    def __init__(
        self,
        world: World,
        clock: Clock,
        products: Mapping[tuple[str, str], Product],
        random_: random.Random,
        tally: Tally,
        boundary: Callable[[str], None],
        heard: Callable[[tuple[str, str], PollResult, Heard], None],
    ) -> None:
        """Take the products, by product id and source; ``heard`` is told what each poll read."""
        self._world, self._clock, self._products = world, clock, products
        self._random, self._tally, self._boundary = random_, tally, boundary
        self._heard = heard

    async def poll(self, request: PollRequest, _look: object) -> PollResult:
        """Perform one poll; its result comes when the simulated poll ends."""
        self._boundary("poll begins")
        clock, true_ms = PollClock(self._clock), self._world.now_ms()
        asked = (request.product, request.source.name)
        product = self._products[asked]
        visit = Visit(self._random, clock, true_ms, request.limits.poll_seconds)
        visited = product.visited(request, visit)
        result, heard = visited.result, visited.heard
        if heard is not None:
            self._heard(asked, result, heard)
            need(
                not (heard.evident and result.complete),
                f"poll of {request.product} at {true_ms}: an answer that shows that it is not "
                "whole is taken for complete",
            )
        for lie in product.lies:
            self._tally.lies[lie.kind] += lie.now(true_ms)
        self._tally.faults.update(visited.faults)
        if visited.pods > 1 and result.failure is None:
            self._tally.faults["one pod of several"] += 1
        outcome = "failed" if result.failure else "complete" if result.complete else "incomplete"
        self._tally.polls[outcome] += 1
        await self._world.until(true_ms + clock.passed_ms)
        self._boundary("poll ended")
        return result
