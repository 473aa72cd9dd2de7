"""One stream of NATS JetStream: its state, and its messages in order.

Nothing is left behind: messages are read through a consumer that exists in the server's memory for
the length of the reading, acknowledges nothing, and is deleted at the end; should that fail, the
server drops it after half a minute.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from licenseusage.clock import Clock
from licenseusage.reasons import Reason
from licenseusage.sources.clockskew import LARGEST_MS, compared
from licenseusage.sources.definition.model import SECOND_MS, EffectiveSource
from licenseusage.sources.failures import PollError
from licenseusage.sources.logs.messages import Batch, Message
from licenseusage.sources.logs.natsconnection import NatsConnection
from licenseusage.sources.logs.numbered import NumberedTrail, Start, StreamState, trail_of
from licenseusage.sources.logs.session import Asked
from licenseusage.sources.logs.wire import (
    EPOCH,
    MILLISECOND,
    ConfigAnswer,
    ConsumerAnswer,
    ErrorAnswer,
    Inbox,
    InfoAnswer,
    StateAnswer,
    StreamAnswer,
    place,
    rfc3339_ms,
)
from licenseusage.sources.poll import MIB, CycleRequest, PollLimits

BATCH: Final = 500
"""Messages asked for at a time: a page of a log."""

_BATCH_BYTES: Final = 8 * MIB
_IDLE_SECONDS: Final = 30.0
_NANOSECOND: Final = 1_000_000_000
_MILLISECOND_NS: Final = 1_000_000
_NO_STREAM: Final = 10059
_NO_JETSTREAM: Final = {10039, 10076}


_A = TypeVar("_A")


class JetstreamSession:
    """Reads one stream over one connection; a ``Session``.

    Attributes:
        bytes: Content received.
        batches: Batches of messages received.
        ended: The server has sent all it had, at the last reading.
    """

    def __init__(
        self,
        connection: NatsConnection,
        source: EffectiveSource,
        limits: PollLimits,
        clock: Clock,
        offset_ms: int,
    ) -> None:
        """Use an open connection.

        Args:
            connection: To the pod.
            source: An event log.
            limits: Bounds of the poll.
            clock: Ours.
            offset_ms: Shift of a simulated clock: a server has no simulated one, so that its times
                are shifted alike. 0 in production.
        """
        self._connection, self._client = connection, connection.client
        self._source, self._stream = source, source.jetstream.stream
        self._limits, self._clock, self._offset_ms = limits, clock, offset_ms
        self.bytes = self.batches = 0
        self.ended = False

    # -- asking --

    async def state(self) -> Asked[StreamState]:
        """Ask for the state of the stream.

        Raises:
            PollError: ``JetStreamUnavailable``, ``StreamNotFound``, ``StreamNotALog``,
                ``AccessDenied``, ``ClockUnknown``, ``ClockSkewTooLarge`` and their like.
        """
        asked_ms = self._clock.now_ms()
        info = await self._api(f"STREAM.INFO.{self._stream}", InfoAnswer)
        answered_ms = self._clock.now_ms()
        if info.config.retention != "limits":
            raise PollError(
                Reason.STREAM_NOT_A_LOG,
                f"the stream {self._stream} has retention {info.config.retention}: it removes "
                "messages once others have read them, so it proves nothing. Use a stream with "
                "retention limits, or another source.",
                stalls=True,
            )
        limits = _limits_of(info.config)
        state = self._state_of(info.created, info.state, info.config, limited=bool(limits))
        server_ms = None if info.ts is None else self._ours(info.ts)
        skew_ms = self._skew_ms(asked_ms, answered_ms, server_ms)
        # Each server of a cluster says the same of it; servers that stand alone do not.
        return Asked(self._stream, state, asked_ms, skew_ms, limits, identity=info.created)

    def trail(
        self, asked: Asked[StreamState], request: CycleRequest, *, replaced: bool = False
    ) -> NumberedTrail:
        """As of ``Session``."""
        return trail_of(self._source, asked, request, replaced=replaced)

    def _state_of(
        self, created: str, seen: StateAnswer, config: ConfigAnswer, *, limited: bool
    ) -> StreamState:
        empty = seen.messages == 0
        first = seen.last_seq + 1 if empty else seen.first_seq
        return StreamState(
            created=created,
            created_ms=self._ours(created),
            first_seq=first,
            first_ms=None if empty else self._ours(seen.first_ts),
            last_seq=seen.last_seq,
            last_ms=self._ours(seen.last_ts) if seen.last_seq else None,
            origin_seq=config.first_seq or 1,
            punctured=seen.messages < seen.last_seq - first + 1,
            limited=limited,
        )

    def _ours(self, text: str) -> int:
        """Read one of the server's times: RFC 3339 with up to nine digits of a second."""
        try:
            return self._shifted(rfc3339_ms(text))
        except ValueError:
            raise self._strange("a time") from None

    def _shifted(self, server_ms: int) -> int:
        """A time of the server's clock as our (perhaps simulated) clock would have shown it."""
        return server_ms + self._offset_ms

    def _unshifted(self, at_ms: int) -> int:
        return at_ms - self._offset_ms

    def _skew_ms(self, asked_ms: int, answered_ms: int, server_ms: int | None) -> int:
        """Return k as for ``Date`` (MEASUREMENT §0), from the time in the server's answer."""
        declared = self._source.guarantees.clock_skew_seconds
        if declared is not None:
            return max(SECOND_MS, declared * SECOND_MS)
        if server_ms is None:
            raise PollError(
                Reason.CLOCK_UNKNOWN,
                "the NATS server does not tell its time (before version 2.10), so its clock cannot "
                "be compared with ours. Update it, or declare guarantees.clockSkewSeconds.",
                stalls=True,
                facts_stand=False,
            )
        ahead_ms, skew_ms = compared(server_ms, asked_ms, answered_ms)
        if skew_ms > LARGEST_MS:
            raise PollError(
                Reason.CLOCK_SKEW_TOO_LARGE,
                f"the NATS server's clock is {abs(ahead_ms) // SECOND_MS} s "
                f"{'ahead of' if ahead_ms > 0 else 'behind'} ours, at most "
                f"{LARGEST_MS // SECOND_MS} s can be allowed for. Set both clocks by NTP.",
                facts_stand=False,
            )
        return skew_ms

    # -- reading --

    async def read(self, trail: NumberedTrail) -> AsyncGenerator[Batch, None]:
        """As of ``Session``."""
        before: int | None = None
        async with aclosing(self._from(trail.start)) as batches:
            batch = await anext(batches, None)
            if trail.start.sequence is None:
                before = trail.predecessor(batch.messages[0].place if batch else None)
            while batch and before is None:
                yield batch
                batch = await anext(batches, None)
        if before is not None:
            async with aclosing(self._from(Start(sequence=before))) as batches:
                async for batch in batches:
                    yield batch

    async def _from(self, start: Start) -> AsyncGenerator[Batch, None]:
        consumer = await self._open(start)
        try:
            async with aclosing(self._batches(consumer)) as batches:
                async for batch in batches:
                    yield batch
        finally:
            await self._close(consumer)

    async def _batches(self, consumer: "Consumer") -> AsyncGenerator[Batch, None]:
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer.name}"
        inbox = Inbox()
        waiting = await self._client.subscribe(
            address := self._client.new_inbox(),
            cb=inbox.take,
            pending_msgs_limit=2 * BATCH,
            pending_bytes_limit=4 * _BATCH_BYTES,
        )
        batch_bytes = min(_BATCH_BYTES, self._limits.poll_bytes)
        left, delivered, most_bytes = consumer.pending, 0, batch_bytes
        self.ended = left == 0
        while left > 0:
            # One message larger than a whole batch may be is asked for alone.
            wanted = {"batch": min(BATCH, left), "max_bytes": most_bytes}
            if not most_bytes:
                wanted = {"batch": 1}
            wanted["expires"] = int(self._limits.request_seconds * _NANOSECOND)
            complete = inbox.await_(wanted["batch"])
            question = json.dumps(wanted).encode()
            await self._connection.asked(self._client.publish(subject, question, address))
            await self._connection.asked(
                asyncio.wait_for(complete.wait(), self._limits.request_seconds)
            )
            batch: list[Message] = []
            for raw in inbox.messages:
                sequence, number, stored_ns, left = place(raw.reply)
                delivered += 1
                if number != delivered:
                    raise PollError(
                        Reason.CONNECTION_LOST,
                        f"messages of {self._connection.address} got lost on the way. It is tried "
                        "again.",
                    )
                self.bytes += len(raw.data)
                stored_ms = self._shifted(stored_ns // _MILLISECOND_NS)
                batch.append(Message(sequence, stored_ms, raw.data))
            if batch:
                self.batches += 1
                most_bytes = batch_bytes
                self.ended = left == 0
                yield Batch(batch)
            elif most_bytes:
                most_bytes = 0
            else:
                self.ended = await self._nothing_left(consumer)
                left = 0
        with suppress(Exception):
            await waiting.unsubscribe()

    async def _open(self, start: Start) -> "Consumer":
        """Create a consumer that begins there; it reports the number of waiting messages."""
        config: dict[str, Any] = {
            "name": (name := f"licenseusage-{secrets.token_hex(8)}"),
            "ack_policy": "none",
            "replay_policy": "instant",
            "inactive_threshold": int(_IDLE_SECONDS * _NANOSECOND),
            "mem_storage": True,
            "num_replicas": 1,
        }
        if start.sequence is not None:
            config |= {
                "deliver_policy": "by_start_sequence",
                "opt_start_seq": max(1, start.sequence),
            }
        else:
            at = EPOCH + max(0, self._unshifted(start.time_ms or 0)) * MILLISECOND
            config |= {"deliver_policy": "by_start_time", "opt_start_time": at.isoformat()}
        wanted = {"stream_name": self._stream, "config": config}
        made = await self._api(f"CONSUMER.CREATE.{self._stream}.{name}", ConsumerAnswer, wanted)
        return Consumer(name, made.num_pending)

    async def _close(self, consumer: "Consumer") -> None:
        """Delete a consumer; should it fail, the server does after half a minute."""
        with suppress(PollError):
            await self._api(f"CONSUMER.DELETE.{self._stream}.{consumer.name}", StreamAnswer)

    async def _nothing_left(self, consumer: "Consumer") -> bool:
        seen = await self._api(f"CONSUMER.INFO.{self._stream}.{consumer.name}", ConsumerAnswer)
        return seen.num_pending == 0

    async def _api(self, subject: str, kind: type[_A], wanted: object = None) -> _A:
        """Ask JetStream and decode the answer.

        Raises:
            PollError: It was refused, not answered, or not understood.
        """
        question = self._client.request(
            f"$JS.API.{subject}",
            b"" if wanted is None else json.dumps(wanted).encode(),
            timeout=self._limits.request_seconds,
        )
        raw = await self._connection.asked(question)
        try:
            error = msgspec.json.decode(raw.data, type=StreamAnswer).error
            if error is None:
                return msgspec.json.decode(raw.data, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise PollError(
                Reason.NOT_NATS,
                f"an answer of {self._connection.address} about the stream cannot be read. Check "
                "pods.port.",
            ) from None
        raise self._refusal(error)

    def _refusal(self, error: ErrorAnswer) -> PollError:
        if error.err_code == _NO_STREAM:
            return PollError(
                Reason.STREAM_NOT_FOUND,
                f"there is no stream {self._stream} at {self._connection.address}. Check "
                "jetstream.stream and pods.port; the product makes it when it writes its first "
                "event.",
                stalls=True,
            )
        if error.err_code in _NO_JETSTREAM or error.code == 503:
            return self._connection.unavailable()
        return PollError(
            Reason.BROKER_FAILED,
            f"{self._connection.address} does not let the stream {self._stream} be read "
            f"(JetStream's error {error.err_code or error.code}). See the server's log; it is "
            "tried again.",
        )

    def _strange(self, what: str) -> PollError:
        return PollError(
            Reason.NOT_NATS,
            f"{what} of {self._connection.address} cannot be read. Check pods.port.",
        )


@dataclass(frozen=True, slots=True)
class Consumer:
    """A reading position that the server keeps for us.

    Attributes:
        name: Its name.
        pending: How many messages are waiting.
    """

    name: str
    pending: int


def _limits_of(config: ConfigAnswer) -> tuple[str, ...]:
    """Return, in words, what makes a stream forget."""
    return tuple(
        f"{name} {value}"
        for name, value in (
            ("max_age", f"{config.max_age // _NANOSECOND} s" if config.max_age else None),
            ("max_msgs", config.max_msgs if config.max_msgs > 0 else None),
            ("max_bytes", config.max_bytes if config.max_bytes > 0 else None),
            (
                "max_msgs_per_subject",
                config.max_msgs_per_subject if config.max_msgs_per_subject > 0 else None,
            ),
            ("allow_msg_ttl", "true" if config.allow_msg_ttl else None),
            ("allow_rollup_hdrs", "true" if config.allow_rollup_hdrs else None),
        )
        if value is not None
    )
