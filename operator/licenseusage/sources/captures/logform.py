"""A recorded log as it stands in the file of a capture."""

from dataclasses import replace
from typing import Any, Final

import msgspec

from licenseusage.sources.captures.brokerlogs import RecordedBatch, RecordedLog
from licenseusage.sources.logs.messages import Batch, Message
from licenseusage.sources.logs.numbered import StreamState as NatsState
from licenseusage.sources.logs.redis.entries import EntryId
from licenseusage.sources.logs.redis.entries import StreamState as RedisState
from licenseusage.sources.logs.session import Asked

_RUN: Final = "recorded"


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    place: int | EntryId
    stored_ms: int
    data: str


class _Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    messages: tuple[_Message, ...]
    at_ms: int
    number: int
    ended: bool
    state: RedisState | None = None


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A broker's log; one of ``nats`` and ``redis`` is there."""

    name: str
    at_ms: int
    skew_ms: int
    limits: tuple[str, ...]
    word: str
    preceding: int | None
    number: int
    ended: bool
    batches: tuple[_Batch, ...]
    nats: NatsState | None = None
    redis: RedisState | None = None


def written(log: RecordedLog) -> Log:
    """Return a log as the file has it; which run of a server answered is left out."""
    asked, batches = log.asked, []
    for each in log.batches:
        messages = tuple(
            _Message(message.place, message.stored_ms, message.data.decode())
            for message in each.batch.messages
        )
        state: RedisState | None = each.batch.state
        if state is not None:
            state = replace(state, run=_RUN)
        batches.append(_Batch(messages, each.at_ms, each.number, each.ended, state))
    redis = replace(asked.state, run=_RUN) if isinstance(asked.state, RedisState) else None
    nats = asked.state if redis is None else None
    return Log(
        asked.name,
        asked.at_ms,
        asked.skew_ms,
        asked.limits,
        asked.word,
        log.preceding,
        log.number,
        log.ended,
        tuple(batches),
        nats,
        redis,
    )


def read(log: Log) -> RecordedLog:
    """Return a log as it was recorded."""
    asked: Asked[Any] = Asked(
        log.name, log.nats or log.redis, log.at_ms, log.skew_ms, log.limits, log.word
    )
    batches = []
    for each in log.batches:
        messages = [
            Message(message.place, message.stored_ms, message.data.encode())
            for message in each.messages
        ]
        batch = Batch(messages, each.state)
        batches.append(RecordedBatch(batch, each.at_ms, each.number, each.ended))
    return RecordedLog(asked, tuple(batches), log.preceding, log.number, log.ended)
