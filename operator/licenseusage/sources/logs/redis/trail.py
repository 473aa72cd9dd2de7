"""Where a Redis stream is read on, and what it has lost.

Ids of entries are no dense numbers, so that a gap between two of them proves nothing. A loss is
seen by other signs:

- An entry that was read is read again, by itself at the start and with each batch. While it is
  there, nothing was trimmed behind it. If it was trimmed itself, the number of entries that were
  ever added tells whether others were, too.
- ``max-deleted-entry-id`` behind what was read: entries were deleted (XDEL) before they were read.
- The entry that was read last is gone, and was neither trimmed nor deleted, or fewer entries were
  ever added than were counted: the stream is another one, or was set back, as after a failover to
  a replica that had not got it yet.
- Another run of the server: what was added since the last reading may have been lost with the
  memory of the one before, and leaves no sign. Unless the source declares it durable.
"""

from dataclasses import dataclass, field

from licenseusage.reasons import Reason
from licenseusage.sources.clockskew import LARGEST_MS
from licenseusage.sources.definition.guarantees import Durability
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.logs.messages import Batch, Message
from licenseusage.sources.logs.redis.entries import EntryId, Mark, StreamState, mark_of
from licenseusage.sources.logs.session import Asked
from licenseusage.sources.logs.trail import LateError, Loss, RestartError, Stop, Trail
from licenseusage.sources.poll import CycleRequest


@dataclass(slots=True)
class EntryTrail(Trail):
    """One reading of a Redis stream.

    Attributes:
        state: The stream just before.
        durable: The server keeps every entry through restarts and failovers.
        start: Where to begin, that entry included.
        before: To begin with the last entry before ``start``, if there is one.
    """

    state: StreamState
    durable: bool
    start: EntryId = field(init=False)
    before: bool = field(init=False, default=True)
    _overlap: EntryId | None = field(init=False, default=None)
    _front: Reason = field(init=False)
    _seen: StreamState = field(init=False)
    _begun: bool = field(init=False, default=False)
    _last: EntryId | None = field(init=False, default=None)
    _newer: int = field(init=False, default=0)  # entries added since ``state``
    _asked_ms: int | None = field(init=False, default=None)  # of the last reading
    _gone: tuple[int | None, EntryId] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Decide where to begin, and which events are lost already."""
        state, position = self.state, self.position
        self._seen, self._front = state, self._removed()
        self.start = EntryId(max(0, self.since_ms))
        if position is None:
            self._unsure()
            return
        self._known_ms = position.until_ms
        (read, self._asked_ms), counted = mark_of(position.mark), position.sequence
        # Where reading was not at the end, nobody knows how many entries had been added.
        back = state.added < counted if counted else False
        again = state.last == read and counted not in (0, state.added)
        if position.stream != self.name:
            self._losses.append(Loss(None, self.asked_ms, Reason.STREAM_RECREATED))
            return
        restarted = position.created != state.run and not self.durable
        if self.replaced or back or again or state.last < read:
            self._restart(read, restarted=restarted)
        else:
            if restarted:
                self._losses.append(Loss(None, self.asked_ms, Reason.SERVER_RESTARTED))
            self.start, self.before = read, False
            self._overlap = self._last = read

    def _unsure(self) -> None:
        """Where reading begins anew: an earlier run of the server may have lost what it had."""
        run_ms = self.state.since_ms
        until_ms = self.asked_ms if run_ms is None else run_ms
        if until_ms > self.start.ms and not self.durable:
            self._losses.append(Loss(None, until_ms, Reason.SERVER_RESTARTED))

    def _restart(self, read: EntryId, *, restarted: bool) -> None:
        """Read everything again: ids and counters were given anew."""
        state = self.state
        whole = state.added == state.length and not restarted
        if whole and state.first is not None and state.first > read:
            # It holds all that was ever added, and that is newer than what was read.
            self.start, self.before, self._front = state.first, False, Reason.STREAM_RECREATED
            return
        self._losses.append(Loss(None, self.asked_ms, Reason.STREAM_WENT_BACK))

    def _removed(self) -> Reason:
        """Why a stream does not hold what was added before its oldest entry."""
        state = self.state
        if state.added == state.length:
            return Reason.STREAM_BEGAN
        deleted = state.first is None or state.deleted >= state.first
        return Reason.MESSAGES_DELETED if deleted else Reason.STREAM_LIMITED

    # -- on the way --

    def look(self, batch: Batch) -> None:
        """As of ``Trail``: a batch begins with the last entry of the one before."""
        state: StreamState = batch.state
        self._seen, last = state, self._last
        if self._begun and last is not None and batch.messages:
            first = batch.messages[0]
            if first.place != last:
                reason = Reason.STREAM_LIMITED
                if state.deleted >= last:
                    reason = Reason.MESSAGES_DELETED
                self._losses.append(Loss(last.ms, first.stored_ms, reason))
        unread = state.deleted > last if last is not None else state.deleted >= self.start
        if unread:
            since = last.ms if last is not None else None
            self._gone = (self._gone[0] if self._gone else since, state.deleted)

    def took(self, message: Message) -> bool:
        """As of ``Trail``.

        Raises:
            RestartError: As of ``Trail``.
            LateError: As of ``Trail``.
        """
        entry: EntryId = message.place
        begun, self._begun = self._begun, True
        if not begun and self._overlap is None:
            if entry < self.start:
                self._last = entry
                return False
            self._losses.append(Loss(None, message.stored_ms, self._front))
        if self._last is not None and entry <= self._last:
            return False
        if not begun and self._overlap is not None:
            self._without(self._overlap, message)
        if self._overlap is not None and self._belated(entry):
            raise LateError
        if self._gone is not None and entry > self._gone[1]:
            self._losses.append(Loss(self._gone[0], message.stored_ms, Reason.MESSAGES_DELETED))
            self._gone = None
        self._newer += entry > self.state.last
        self._last = entry
        return True

    def _without(self, read: EntryId, message: Message) -> None:
        """Judge what is lost where the entry that was read last is not there any more."""
        seen, position = self._seen, self.position
        counted = position.sequence if position is not None else 0
        if seen.deleted >= read:
            # By hand: nobody can tell any more whether the stream went on from it.
            self._losses.append(Loss(read.ms, message.stored_ms, Reason.MESSAGES_DELETED))
            return
        if seen.first is not None and seen.first <= read:
            raise RestartError
        others = seen.added - counted - seen.length
        if counted and others < 0:
            raise RestartError
        if not counted or others or message.place != seen.first:
            self._losses.append(Loss(read.ms, message.stored_ms, Reason.STREAM_LIMITED))

    def _belated(self, entry: EntryId) -> bool:
        """Whether an entry came later than L after its id: at the last reading it was not there.

        Clocks may have been set since then.
        """
        late_ms = entry.ms + self.properties.lag_ms + LARGEST_MS
        return self._asked_ms is not None and late_ms < self._asked_ms

    @property
    def idle(self) -> bool:
        """Whether nothing has to be read: it is empty, or its newest entry was read last."""
        return not self.state.length or self._overlap == self.state.last

    @property
    def reached(self) -> bool:
        """Whether everything that was stored when the server was asked has been read."""
        return self._last is not None and self._last >= self.state.last

    # -- in the end --

    def stopped(self, *, ended: bool) -> Stop | None:
        """As of ``Trail``."""
        if ended and not self.reached:
            self._end()
        if self._last is None:
            return None
        last, state = self._last, self.state
        if self._gone is not None:
            until_ms = self.asked_ms if self.reached else last.ms
            self._losses.append(Loss(self._gone[0], until_ms, Reason.MESSAGES_DELETED))
            self._gone = None
        counted = state.added + self._newer if self.reached else 0
        mark = Mark(last, self.asked_ms if self.reached else None)
        return Stop(state.run, counted, last.ms, str(mark))

    def _end(self) -> None:
        """The server has sent all entries: newer ones were removed."""
        last = self._last
        if last is None:
            self._losses.append(Loss(None, self.asked_ms, self._front))
        else:
            deleted = self._seen.deleted > last
            reason = Reason.MESSAGES_DELETED if deleted else Reason.STREAM_LIMITED
            self._losses.append(Loss(last.ms, self.asked_ms, reason))
        self._last = self.state.last


def trail_of(
    source: EffectiveSource, asked: Asked[StreamState], request: CycleRequest, *, replaced: bool
) -> EntryTrail:
    """Return the rules by which a stream is read on for a cycle; the arguments of ``Session``."""
    return EntryTrail(
        asked.name,
        request.cycle,
        source.properties,
        request.position,
        asked.at_ms,
        asked.skew_ms,
        replaced,
        asked.state,
        source.guarantees.durability is Durability.DURABLE,
    )
