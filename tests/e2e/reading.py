"""One poll of a real product, by the operator's own code in a worker process of its own."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from licenseusage.api.source import Source
from licenseusage.clock import SystemClock
from licenseusage.metering.cycles import Terms
from licenseusage.metering.events import LogState
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.poll import CycleRequest, PollRequest, PollResult, Target, credentials
from licenseusage.sources.workers.workers import Workers

SECRET = "meter"
"""The name of the Secret in the sources of these tests."""


def read(
    source: Mapping[str, Any], port: int, secret: Mapping[str, str], *, closing: bool = False
) -> PollResult:
    """Poll a source once for a cycle that began ten days ago; the result names the ids.

    Args:
        source: As in a LicenseUsage.
        port: Of the product, on loopback.
        secret: The values of the Secret that it names.
        closing: As at the end of a cycle.
    """
    (result,) = asyncio.run(_polls(_request(source, port, secret, closing=closing)))
    return result


def read_on(
    source: Mapping[str, Any], port: int, secret: Mapping[str, str], between: Callable[[], None]
) -> tuple[PollResult, PollResult]:
    """Poll an event log as `read` does, and once more by the same worker, from there on.

    Args:
        source: As of `read`; likewise the others.
        port: Likewise.
        secret: Likewise.
        between: What happens between the two.
    """
    first, second = asyncio.run(_polls(_request(source, port, secret), between))
    return first, second


def _request(
    source: Mapping[str, Any], port: int, secret: Mapping[str, str], *, closing: bool = False
) -> PollRequest:
    whole = {"name": "product", "pods": {"selector": {"matchLabels": {"app": "product"}}}}
    made = effective(Source.model_validate({**whole, **source}))
    terms = Terms(datetime.now(UTC).date() - timedelta(days=10), length_days=30)
    return PollRequest(
        source=made,
        targets=(Target("127.0.0.1", port),),
        product="product",
        pseudonym_key=secrets.token_bytes(32),
        cycles=(CycleRequest(terms.cycle(0)),),
        credentials=credentials(
            made.auth, {key: value.encode() for key, value in secret.items()}, f"Secret {SECRET}"
        ),
        closing=closing,
        show_ids=True,
        advise=True,
    )


async def _polls(request: PollRequest, *between: Callable[[], None]) -> list[PollResult]:
    async with Workers(1, clock=SystemClock()) as workers:
        results = [await workers.poll(request)]
        for happens in between:
            await asyncio.to_thread(happens)
            results.append(await workers.poll(_from_there(request, results[-1])))
    return results


def _from_there(request: PollRequest, result: PollResult) -> PollRequest:
    """Return the request for the next poll, as after the first one is in the ledger."""
    (asked,) = request.cycles
    reading = result.readings[asked.cycle.index]
    log = LogState(reading.after, tuple(reading.ranges), tuple(reading.holes), reading.behind)
    return replace(request, cycles=(replace(asked, log=log),))
