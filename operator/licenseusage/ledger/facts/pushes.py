"""Requests of producers that push: recorded, and answered only once they are durable.

Functions of an open transaction; many requests are recorded in one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, bindparam, select

from licenseusage.errors import UsageError
from licenseusage.ledger.facts.claims import claims
from licenseusage.ledger.facts.polls import record_poll
from licenseusage.ledger.facts.refutations import refute
from licenseusage.ledger.facts.stores import find_store, store_states
from licenseusage.ledger.facts.users import adds_anybody
from licenseusage.ledger.records import PollRecord, Pushed, PushedRequest, PushRecord
from licenseusage.ledger.storage.database import upsert
from licenseusage.ledger.storage.schema import push_producers
from licenseusage.metering.cycles import Cycle, Segment
from licenseusage.metering.definitions import segment_ms
from licenseusage.metering.events import EventWords, Range
from licenseusage.metering.facts import Facts
from licenseusage.metering.pushes import (
    Chain,
    PushRefusedError,
    claimed,
    continued,
    covers,
    heard_until_ms,
)
from licenseusage.metering.refuting import Seen
from licenseusage.metering.stores import StoreState, definitions_of

_PRODUCERS = select(push_producers).where(push_producers.c.meter_id == bindparam("meter_id"))
_OF_SOURCE = _PRODUCERS.where(push_producers.c.source == bindparam("source"))
_new = upsert(push_producers)
_KEEP = _new.on_conflict_do_update(
    list(push_producers.primary_key),
    set_={name: _new.excluded[name] for name in ("receipt", "former", "since_ms", "until_ms")},
)

Outcome = str | PushRefusedError
"""The receipt that answers a request; or why nothing of it was recorded."""


def record_pushes(
    connection: Connection, pushes: Sequence[PushRecord], now_ms: int
) -> list[list[Outcome] | UsageError]:
    """Make the requests of several sources durable, in one transaction.

    Returns:
        For each source the outcome of each request; or why none of its requests was recorded.
    """
    return [_each(connection, push, now_ms) for push in pushes]


def _each(connection: Connection, push: PushRecord, now_ms: int) -> list[Outcome] | UsageError:
    attempt = connection.begin_nested()
    try:
        outcomes = record_push(connection, push, now_ms)
    except UsageError as error:
        attempt.rollback()
        return error
    attempt.commit()
    return outcomes


def record_push(connection: Connection, push: PushRecord, now_ms: int) -> list[Outcome]:
    """Make requests for one source durable: facts, chains of their producers, what these prove.

    Raises:
        UsageError: As `record_poll`.
    """
    source, meter_id = push.poll.store.source, push.poll.meter_id
    chains = chains_of(connection, meter_id, source)
    before = heard_until_ms(push.producers, _until(chains))
    outcomes: list[Outcome] = []
    taken: list[PushedRequest] = []
    proved: dict[str, list[Range]] = {}
    for request in push.requests:
        try:
            outcomes.append(_follow(chains, proved, push.producers, request))
            taken.append(request)
        except PushRefusedError as error:
            outcomes.append(error)
    if not taken:
        return outcomes
    heard_ms = heard_until_ms(push.producers, _until(chains))
    late = _late(connection, push, taken)
    pushed = Pushed(push.producers, {name: tuple(r) for name, r in proved.items()}, heard_ms)
    poll = _polled(connection, push, taken, pushed, now_ms)
    observed = heard_ms != before if push.producers else True
    record_poll(connection, replace(poll, observed=observed), now_ms)
    strange = bool(push.producers) and any(r.producer not in push.producers for r in taken)
    seen = Seen(late=late, strange=strange)
    declaration, properties = poll.declaration, poll.properties
    refute(connection, meter_id, source, declaration, properties, seen, poll.started_ms)
    for name in dict.fromkeys(r.producer for r in taken if r.producer in push.producers):
        _keep(connection, meter_id, source, name, chains[name])
    return outcomes


def chains_of(connection: Connection, meter_id: int, source: str) -> dict[str, Chain]:
    """Return what is kept of each producer of a source."""
    rows = connection.execute(_OF_SOURCE, {"meter_id": meter_id, "source": source})
    return {row.producer: _chain(row) for row in rows}


def heartbeats_of(connection: Connection, meter_id: int) -> dict[str, dict[str, int | None]]:
    """Return source -> producer -> its greatest heartbeat; None: it has sent none."""
    sources: dict[str, dict[str, int | None]] = {}
    for row in connection.execute(_PRODUCERS, {"meter_id": meter_id}):
        sources.setdefault(row.source, {})[row.producer] = row.until_ms
    return sources


def _until(chains: Mapping[str, Chain]) -> dict[str, int | None]:
    return {name: chain.until_ms for name, chain in chains.items()}


def _follow(
    chains: dict[str, Chain],
    proved: dict[str, list[Range]],
    producers: Sequence[str],
    request: PushedRequest,
) -> str:
    """Go on in a producer's chain; return the receipt, empty for one that is not declared."""
    name = request.producer
    if name not in producers:
        return ""
    chain = continued(chains.get(name), request.given, request.receipt, request.through_ms)
    chains[name] = chain
    stretch = claimed(chain)
    if stretch is not None and request.through_ms is not None:
        proved.setdefault(name, []).append(stretch)
    return request.receipt


def _polled(
    connection: Connection,
    push: PushRecord,
    taken: Sequence[PushedRequest],
    pushed: Pushed,
    now_ms: int,
) -> PollRecord:
    """Return the requests as one poll, with the facts of their events."""
    poll, facts, since = push.poll, {}, {}
    cycles = {cycle for request in taken for cycle in request.events} | set(push.cycles)
    read_ms = poll.ended_ms + poll.clock_skew_ms
    for cycle in sorted(cycles, key=lambda cycle: cycle.start_ms):
        part = _part(connection, poll, cycle, now_ms)
        if isinstance(part, Segment):
            since[cycle] = part.start_ms
        words = EventWords(part, poll.properties)
        for request in taken:
            for user, value_ms in request.events.get(cycle, ()):
                words.add(user, value_ms, read_ms)
        facts[cycle] = Facts(sure=words.sure, maybe=words.unsure())
    return replace(poll, facts=facts, since=since, pushed=pushed)


def _part(connection: Connection, poll: PollRecord, cycle: Cycle, now_ms: int) -> Cycle | Segment:
    """Return the part of a cycle in which this definition decides who counts."""
    states: Mapping[Any, StoreState] = store_states(connection, poll.meter_id, cycle)
    known = definitions_of(poll.store, states)
    since_ms = segment_ms(cycle, known, poll.selection or "", now_ms)
    return cycle if since_ms is None else Segment(cycle, since_ms, cycle.end_ms)


def _late(connection: Connection, push: PushRecord, taken: Sequence[PushedRequest]) -> bool:
    """Whether an event is new, of whose time its producer had said that everything was sent."""
    for cycle in {cycle for request in taken for cycle in request.events}:
        store = find_store(connection, push.poll, cycle)
        if store is None:
            continue
        words = EventWords(cycle, push.poll.properties)
        read_ms = push.poll.ended_ms + push.poll.clock_skew_ms
        for request in taken:
            events = request.events.get(cycle, ())
            ranges = claims(connection, store.id, request.producer)
            for user, value_ms in events:
                if covers(ranges, value_ms):
                    words.add(user, value_ms, read_ms)
        if adds_anybody(connection, store.id, words.sure):
            return True
    return False


def _keep(connection: Connection, meter_id: int, source: str, producer: str, chain: Chain) -> None:
    values = {
        "receipt": chain.receipt,
        "former": chain.before,
        "since_ms": chain.since_ms,
        "until_ms": chain.until_ms,
    }
    key = {"meter_id": meter_id, "source": source, "producer": producer}
    connection.execute(_KEEP, key | values)


def _chain(row: Any) -> Chain:  # noqa: ANN401 - a row of `push_producers`
    return Chain(row.receipt, row.former, row.since_ms, row.until_ms)
