"""The kinds of event logs: the one place that knows which there are, and how each is read."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from licenseusage.clock import Clock
from licenseusage.metering.events import LogPosition
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.logs.redis.entries import mark_of
from licenseusage.sources.logs.session import Session
from licenseusage.sources.poll import PollRequest, Target
from licenseusage.sources.whereabouts import Whereabouts


@asynccontextmanager
async def opened(
    request: PollRequest, target: Target, whereabouts: Whereabouts, clock: Clock
) -> AsyncGenerator[Session, None]:
    """Connect to a log's server, for the length of a poll.

    A worker imports only the clients that it uses.

    Raises:
        PollError: It cannot be reached, or refuses us.
    """
    given, limits, source = whereabouts.credentials, request.limits, request.source
    if source.redis is not None:
        from licenseusage.sources.logs.redis.connection import RedisConnection
        from licenseusage.sources.logs.redis.session import RedisSession, runs_of

        async with RedisConnection(target, source, given, limits) as redis:
            offset_ms = request.clock_offset_ms
            yield RedisSession(redis, source, limits, clock, offset_ms, runs_of(request))
        return
    from licenseusage.sources.logs.jetstream import JetstreamSession
    from licenseusage.sources.logs.natsconnection import NatsConnection

    async with NatsConnection(target, source, given, limits) as connection:
        yield JetstreamSession(connection, source, limits, clock, request.clock_offset_ms)


def place_of(source: EffectiveSource, position: LogPosition) -> str | None:
    """Return where a reading stopped, as its log calls it; None: a log over HTTP has no name."""
    if source.redis is not None:
        return f"entry {mark_of(position.mark).entry}"
    return f"sequence {position.sequence}" if source.log is not None else None
