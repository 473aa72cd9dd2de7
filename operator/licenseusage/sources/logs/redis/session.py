"""One Redis stream: its state, and its entries in order; nothing is left at the server."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from licenseusage.clock import Clock
from licenseusage.reasons import Reason
from licenseusage.sources.clockskew import LARGEST_MS, compared
from licenseusage.sources.definition.model import SECOND_MS, EffectiveSource
from licenseusage.sources.failures import PollError
from licenseusage.sources.logs.messages import Batch, Message
from licenseusage.sources.logs.redis.connection import RedisConnection
from licenseusage.sources.logs.redis.entries import (
    NO_ENTRY,
    EntryId,
    StreamState,
    entry_id,
    mark_of,
)
from licenseusage.sources.logs.redis.trail import EntryTrail, trail_of
from licenseusage.sources.logs.session import Asked
from licenseusage.sources.mending import text_of
from licenseusage.sources.poll import MIB, CycleRequest, PollLimits, PollRequest

_BATCH: Final = 500
"""Most entries asked for at a time: a page of a log."""
_FIRST_BATCH: Final = 50
"""The same before it is known how large they are."""
_LEAST_BATCH: Final = 2
"""One of them is the last of the batch before."""
_BATCH_BYTES: Final = 8 * MIB

ENTRY_TIME: Final = "entryTime"
"""Member of a message that is made of an entry's fields: when the server stored it, in ms."""


class RedisSession:
    """Reads one stream over one connection; a ``Session``.

    Attributes:
        bytes: Content received.
        batches: Batches of entries received.
        ended: The server has sent all it had, at the last reading.
    """

    def __init__(
        self,
        connection: RedisConnection,
        source: EffectiveSource,
        limits: PollLimits,
        clock: Clock,
        offset_ms: int,
        runs: Mapping[str, int],
    ) -> None:
        """Use an open connection.

        Args:
            connection: To the pod.
            source: A Redis stream.
            limits: Bounds of the poll.
            clock: Ours.
            offset_ms: As of ``JetstreamSession``.
            runs: Runs of servers that answered before, and when they did first, as far as known.
        """
        self._runs = runs
        self._connection, self._source = connection, source
        self._limits, self._clock, self._offset_ms = limits, clock, offset_ms
        self._log = source.redis_stream
        self._server: dict[str, str] = {}
        self.bytes = self.batches = 0
        self.ended = False

    # -- asking --

    async def state(self) -> Asked[StreamState]:
        """As of ``Session``.

        Raises:
            PollError: ``NotPrimary``, ``StreamNotFound``, ``StreamNotALog``, ``NotRedis``,
                ``AccessDenied``, ``ClockSkewTooLarge`` and their like.
        """
        info = await self._connection.ask(("INFO", "server"), ("INFO", "replication"))
        server = _lines(info[0]) | _lines(info[1])
        if server.get("role") != "master":
            raise self._connection.not_primary(
                "it is a replica, whose copy may be behind"
                if server.get("role") == "slave"
                else "it does not say that it is a primary"
            )
        self._server = server
        asked_ms = self._clock.now_ms()
        answer, time = await self._connection.ask(("XINFO", "STREAM", self._log.stream), ("TIME",))
        answered_ms = self._clock.now_ms()
        state = self._state_of(answer)
        try:
            server_ms = self._shifted(int(time[0]) * SECOND_MS + int(time[1]) // 1000)
        except (ValueError, IndexError, TypeError):
            raise self._connection.strange() from None
        ahead_ms = max(0, state.last.ms - server_ms)
        skew_ms = self._skew_ms(asked_ms, answered_ms, server_ms)
        if ahead_ms > LARGEST_MS:
            raise PollError(
                Reason.CLOCK_SKEW_TOO_LARGE,
                f"the newest entry of the stream {self._log.stream} ({state.last}) is of "
                f"{ahead_ms // SECOND_MS} s after the server's time. Let the server give the ids "
                "(XADD … *), and set its clock by NTP: an id must say when the entry was stored.",
                stalls=True,
                facts_stand=False,
            )
        # While the clock was set back, ids go on from where it had been.
        skew_ms += ahead_ms
        # Only a primary answers: two of them that hold the stream are no copies of each other.
        return Asked(self._name, state, asked_ms, skew_ms, word="entry", identity=state.run)

    @property
    def _name(self) -> str:
        database = self._log.database
        return f"{database}/{self._log.stream}" if database else self._log.stream

    def _state_of(self, answer: object) -> StreamState:
        """Read XINFO STREAM."""
        try:
            pairs = _pairs(answer)
            first = self._ours(pairs[b"recorded-first-entry-id"])
            return StreamState(
                run=self._server["run_id"],
                since_ms=self._since_ms(),
                length=int(pairs[b"length"]),
                added=int(pairs[b"entries-added"]),
                first=first if first != NO_ENTRY else None,
                last=self._ours(pairs[b"last-generated-id"]),
                deleted=self._ours(pairs[b"max-deleted-entry-id"]),
            )
        except (KeyError, ValueError, TypeError):
            raise self._connection.strange() from None

    def _since_ms(self) -> int | None:
        """Since when this run has answered for the stream; None: that cannot be told.

        A primary remembers the history that it took over (``master_replid2``), but not when.
        """
        known_ms = self._runs.get(self._server["run_id"])
        if known_ms is not None:
            return known_ms
        if self._server.get("master_replid2", "").strip("0"):
            return None
        up_ms = int(self._server["uptime_in_seconds"]) * SECOND_MS
        return self._clock.now_ms() - up_ms

    def _skew_ms(self, asked_ms: int, answered_ms: int, server_ms: int) -> int:
        """Return k as for ``Date`` (MEASUREMENT §0), from the server's TIME."""
        declared = self._source.guarantees.clock_skew_seconds
        if declared is not None:
            return max(SECOND_MS, declared * SECOND_MS)
        ahead_ms, skew_ms = compared(server_ms, asked_ms, answered_ms)
        if skew_ms > LARGEST_MS:
            raise PollError(
                Reason.CLOCK_SKEW_TOO_LARGE,
                f"the Redis server's clock is {abs(ahead_ms) // SECOND_MS} s "
                f"{'ahead of' if ahead_ms > 0 else 'behind'} ours, at most "
                f"{LARGEST_MS // SECOND_MS} s can be allowed for. Set both clocks by NTP.",
                facts_stand=False,
            )
        return skew_ms

    # -- reading --

    def trail(
        self, asked: Asked[StreamState], request: CycleRequest, *, replaced: bool = False
    ) -> EntryTrail:
        """As of ``Session``."""
        return trail_of(self._source, asked, request, replaced=replaced)

    async def read(self, trail: EntryTrail) -> AsyncGenerator[Batch, None]:
        """As of ``Session``; each batch after the first begins with the last entry of the former.

        The server tells of its stream right after each batch, so that an entry that was deleted
        before it could be read is known.
        """
        start, wanted, self.ended = trail.start, _FIRST_BATCH, False
        if trail.before:
            entries_before = await self._connection.ask(
                ("XREVRANGE", self._log.stream, f"({self._theirs(start)}", "-", "COUNT", 1)
            )
            start = next((message.place for message in self._messages(entries_before[0])), start)
        while not self.ended:
            entries, answer = await self._connection.ask(
                ("XRANGE", self._log.stream, self._theirs(start), "+", "COUNT", wanted),
                ("XINFO", "STREAM", self._log.stream),
            )
            messages = self._messages(entries)
            size = sum(len(message.data) for message in messages)
            self.batches, self.bytes = self.batches + 1, self.bytes + size
            self.ended = len(messages) < wanted
            yield Batch(messages, self._state_of(answer))
            if messages:
                start = messages[-1].place
                fitting = _BATCH_BYTES * len(messages) // max(size, 1)
                wanted = max(_LEAST_BATCH, min(_BATCH, fitting))

    def _messages(self, entries: object) -> list[Message]:
        messages = []
        try:
            for name, values in entries:  # type: ignore[attr-defined]
                place = self._ours(name)
                messages.append(Message(place, place.ms, self._data(place, _pairs(values))))
        except (ValueError, TypeError):
            raise self._connection.strange() from None
        return messages

    def _data(self, place: EntryId, values: Mapping[bytes, bytes]) -> bytes:
        """Return an entry as a message: one of its fields, or an object of all of them."""
        if self._log.field is not None:
            return values.get(self._log.field.encode(), b"")
        texts: dict[str, str | int] = {text_of(name): text_of(v) for name, v in values.items()}
        return msgspec.json.encode(texts | {ENTRY_TIME: place.ms})

    # -- times --

    def _ours(self, text: object) -> EntryId:
        """Read an id, its time as our (perhaps simulated) clock would have shown it."""
        entry = entry_id(text)
        return entry if entry == NO_ENTRY else EntryId(self._shifted(entry.ms), entry.number)

    def _theirs(self, entry: EntryId) -> str:
        return str(EntryId(max(0, self._unshifted(entry.ms)), entry.number))

    def _shifted(self, server_ms: int) -> int:
        return server_ms + self._offset_ms

    def _unshifted(self, at_ms: int) -> int:
        return at_ms - self._offset_ms


def _pairs(flat: object) -> dict[bytes, Any]:
    """Return what Redis sends as name, value, name, value; raises ``TypeError``, ``ValueError``."""
    if not isinstance(flat, Sequence) or isinstance(flat, bytes) or len(flat) % 2:
        raise TypeError("no pairs")
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _lines(info: object) -> dict[str, str]:
    """Return the lines ``name:value`` of INFO."""
    if not isinstance(info, bytes):
        return {}
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines())
    return {name: value for name, colon, value in lines if colon}


def runs_of(request: PollRequest) -> dict[str, int]:
    """Return which run of the server answered for each cycle's last reading, and when."""
    runs: dict[str, int] = {}
    for position in (cycle.position for cycle in request.cycles):
        if position is None or not position.mark:
            continue
        with suppress(ValueError):
            asked_ms = mark_of(position.mark).asked_ms
            if asked_ms is not None:
                runs[position.created] = min(asked_ms, runs.get(position.created, asked_ms))
    return runs
