"""From messages to facts: which events count, who caused them, under which pseudonym.

Raw ids and payloads live here for the length of one call of ``add``. A message is looked at only as
far as needed: its type first, then its time, and the payload of those that may be in a cycle.
"""

import base64
import binascii
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from licenseusage.metering.cycles import Cycle, Segment
from licenseusage.metering.events import EventWords
from licenseusage.metering.facts import Facts
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.reasons import Reason
from licenseusage.sources.clockskew import LARGEST_MS
from licenseusage.sources.definition import timestamps
from licenseusage.sources.definition.expressions import (
    Expression,
    Getter,
    Json,
    Path,
    expression,
    predicate,
)
from licenseusage.sources.definition.guarantees import Ids
from licenseusage.sources.definition.interpreter import EvaluationError
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.structs import (
    TIME_TYPE,
    StructConflictError,
    attribute,
    struct_of,
)
from licenseusage.sources.ids import UUID, normalizer
from licenseusage.sources.logs.explained import EventsExplained
from licenseusage.sources.logs.oddity import Oddity
from licenseusage.sources.mending import NO_JSON, decoded, is_broken
from licenseusage.sources.seen import COUNTED


class _UnreadableError(ValueError):
    """A message that is no event as the source describes it; the text quotes nothing of it."""


class EventReader(Protocol):
    """Takes messages of one kind of log apart."""

    def open(self, data: Any) -> "CountedMessage | None":  # noqa: ANN401
        """Return a message's time and payload; None if its type does not count."""

    def who(self, payload: Json) -> tuple[Json, bool]:
        """Return the id in a message's payload, and whether the event is excluded."""


class MessageReader:
    """Takes messages apart as a source's log and ``users`` say."""

    def __init__(self, source: EffectiveSource) -> None:
        """Compile the expressions; they have been checked before."""
        log, users = source.events, source.users
        self._types = frozenset(log.types)
        self._opened = _OPENED[log.payload_encoding] if log.payload_path else None
        self._stamps = timestamps.reader(users.last_active)
        self._time_path = users.last_active.path
        self._time = expression(users.last_active.path)
        self._type = expression(log.type_path) if log.type_path and log.types else None
        self._payload = expression(log.payload_path) if log.payload_path else None
        self._id = expression(users.id)
        self._exclude = predicate(users.exclude) if users.exclude is not None else None
        self._row = self._typed()

    def _typed(self) -> "_Row | None":
        """Decode only the few members of a message that are asked for, where paths are plain.

        The payload stays as it was received: most messages do not count, or not here.
        """
        fields: dict[Path, Any] = {}
        if self._payload is None:
            return None
        asked = (self._time, TIME_TYPE), (self._type, Any), (self._payload, msgspec.Raw)
        for wanted, kind in asked:
            if wanted is None:
                continue
            if wanted.path is None:
                return None
            fields[wanted.path] = Any if wanted.path in fields else kind
        try:
            struct, names = struct_of(fields)
        except StructConflictError:
            return None

        def getter(wanted: Expression) -> Getter:
            return attribute(names[wanted.path or ()])

        return _Row(
            msgspec.json.Decoder(struct),
            getter(self._time),
            getter(self._type) if self._type else None,
            getter(self._payload),
        )

    def open(self, data: bytes) -> "CountedMessage | None":
        """Decode one message; None if its type does not count.

        Raises:
            _UnreadableError: It is not JSON, or its time is none.
        """
        try:
            if self._row is not None:
                return self._from_struct(self._row, decoded(self._row.decoder.decode, data))
        except msgspec.ValidationError:
            pass  # fits no struct: decode as a whole, which says what is wrong if anything is
        except (*NO_JSON, RecursionError):
            raise _UnreadableError("the message is not JSON") from None
        try:
            document = decoded(msgspec.json.decode, data)
        except (*NO_JSON, RecursionError):
            raise _UnreadableError("the message is not JSON") from None
        if self._type is not None and not self._counts(self._value(self._type, document)):
            return None
        payload = self._value(self._payload, document) if self._payload else document
        return self._message(self._value(self._time, document), payload)

    def _from_struct(self, row: "_Row", message: Any) -> "CountedMessage | None":  # noqa: ANN401
        if row.type is not None and not self._counts(row.type(message)):
            return None
        return self._message(row.time(message), row.payload(message))

    def _counts(self, kind: Json) -> bool:
        return isinstance(kind, str) and kind in self._types

    def _message(self, stamp: Json, payload: Json) -> "CountedMessage":
        try:
            instant = self._stamps.read(stamp)
        except timestamps.BadStampError as error:
            raise _UnreadableError(f"users.time.path ({self._time_path}): {error}") from None
        if instant is None:
            raise _UnreadableError(f"users.time.path ({self._time_path}) gives no time")
        return CountedMessage(instant.at_ms, instant.unsure_ms, payload)

    def who(self, payload: Json) -> tuple[Json, bool]:
        """Return the id in a message's payload, and whether the event is excluded.

        Raises:
            _UnreadableError: The payload is not what the source says.
        """
        if isinstance(payload, msgspec.Raw):
            try:
                payload = decoded(msgspec.json.decode, bytes(payload))
            except (*NO_JSON, RecursionError):
                raise _UnreadableError("the payload is not JSON") from None
        if self._opened is not None:
            payload = self._opened(payload)
        if self._exclude is not None:
            try:
                if self._exclude.holds(payload):
                    return None, True
            except EvaluationError:
                raise _UnreadableError("users.exclude cannot be applied to the payload") from None
        return self._value(self._id, payload), False

    def _value(self, wanted: Expression, document: Json) -> Json:
        try:
            return wanted.search(document)
        except EvaluationError:
            raise _UnreadableError(f"{wanted.text} cannot be applied to the message") from None


@dataclass(frozen=True, slots=True)
class _Row:
    """How the members of a message are decoded alone, and read."""

    decoder: msgspec.json.Decoder[Any]
    time: Getter
    type: Getter | None
    payload: Getter


@dataclass(frozen=True, slots=True)
class CountedMessage:
    """A message whose type counts.

    Attributes:
        value_ms: Its stamp, start of its granule.
        unsure_ms: How much later it may be read.
        payload: As it stands in the message; perhaps not decoded yet.
    """

    value_ms: int
    unsure_ms: int
    payload: Json


def _from_base64(payload: Json) -> Json:
    if payload is None:
        return None
    if not isinstance(payload, str):
        raise _UnreadableError("the payload is not base64 of JSON")
    try:
        return decoded(msgspec.json.decode, base64.b64decode(payload, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise _UnreadableError("the payload is not base64 of JSON") from None


def _from_text(payload: Json) -> Json:
    if payload is None:
        return None
    if not isinstance(payload, str):
        raise _UnreadableError("the payload is not a text of JSON")
    try:
        return decoded(msgspec.json.decode, payload.encode())
    except (*NO_JSON, RecursionError):
        raise _UnreadableError("the payload is not a text of JSON") from None


_OPENED: Mapping[str, Callable[[Json], Json] | None] = {
    "JSON": None,
    "Base64JSON": _from_base64,
    "JSONText": _from_text,
}
"""How a payload's value becomes the payload, by ``payloadEncoding``."""


class EventTally:
    """Collects the events of one poll for its cycles.

    Attributes:
        listed: Events of types that count.
        skipped: Events not counted in the newest cycle, by reason.
        named: Events with an id, in whichever cycle.
        ahead_ms: How far a stamp was ahead of the time at which its event was stored, at most.
        future: Events from the future.
        late: Events stored later after their stamp than the declared lag.
        unreadable: Messages that are no events.
        unstable: Events whose id may change, as far as one can tell.
        ids: Ids in the newest cycle; only where they are asked for.
        explained: What each event was decided to be; None: nobody wants to know.
    """

    def __init__(
        self,
        source: EffectiveSource,
        cycles: Mapping[Cycle, Cycle | Segment],
        pseudonymiser: Callable[[Cycle], Pseudonymiser],
        *,
        skew_ms: int,
        show_ids: bool = False,
        reader: EventReader | None = None,
        number: str = "sequence",
        explain: bool = False,
    ) -> None:
        """Prepare.

        Args:
            source: Whose log is read.
            cycles: Oldest first, each with the part that is counted of it.
            pseudonymiser: Of a cycle.
            skew_ms: k.
            show_ids: Ids are asked for.
            reader: Takes messages apart; None: as a broker's.
            number: What the numbers of messages are called.
            explain: Keep when the events took place, and examples.
        """
        self._reader = reader or MessageReader(source)
        self._lag_ms = source.properties.lag_ms + source.properties.granularity_ms + skew_ms
        self._cycles = tuple(cycles)
        self._words = {cycle: EventWords(part, source.properties) for cycle, part in cycles.items()}
        self._pseudonyms = {cycle: pseudonymiser(cycle) for cycle in cycles}
        newest = self._cycles[-1]
        self.explained = (
            EventsExplained(newest, self._pseudonyms[newest], show_ids=show_ids)
            if explain
            else None
        )
        self._normalize = normalizer(source.users.normalize)
        self._excluded_ids = {
            self._normalize(excluded_id) for excluded_id in source.users.exclude_ids
        }
        self._telling_ids = source.guarantees.ids is not Ids.STABLE
        self._skew_ms, self._show_ids = skew_ms, show_ids
        self.listed = self.named = self.ahead_ms = 0
        self.skipped: Counter[Reason] = Counter()
        self.future, self.late, self.unreadable, self.unstable = (
            Oddity(number=number) for _ in range(4)
        )
        self._ids: dict[str, None] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids in the newest cycle, once each; only where they are asked for."""
        return tuple(self._ids)

    def allow(self, skew_ms: int) -> None:
        """Take a clock difference that was measured since."""
        self._lag_ms += max(0, skew_ms - self._skew_ms)
        self._skew_ms = max(self._skew_ms, skew_ms)

    def add(
        self,
        place: object,
        stored_ms: int,
        data: Any,  # noqa: ANN401
        cycles: Sequence[Cycle],
        now_ms: int,
    ) -> bool:
        """Take one message; return False if it cannot be read as an event.

        Args:
            place: Where it stands in the log; ``str`` of it names it.
            stored_ms: When it was stored.
            data: The message.
            cycles: The cycles that it is new for.
            now_ms: The time, our clock.
        """
        try:
            message = self._reader.open(data)
            if message is None:
                self.skipped[Reason.OTHER_TYPE] += 1
                return True
            self._take(place, stored_ms, message, cycles, now_ms)
        except _UnreadableError as error:
            self.unreadable.note(place, why=str(error))
            self.skipped[Reason.UNREADABLE] += 1
            return False
        return True

    def glance(self, stored_ms: int, data: Any) -> None:  # noqa: ANN401 - as of ``EventReader``
        """Look at a message that is not new: a log's times may be none at all."""
        with suppress(_UnreadableError):
            message = self._reader.open(data)
            if message is not None:
                ahead_ms = message.value_ms - stored_ms
                self.ahead_ms = ahead_ms if ahead_ms > LARGEST_MS else self.ahead_ms

    def _take(
        self,
        place: object,
        stored_ms: int,
        message: CountedMessage,
        cycles: Sequence[Cycle],
        now_ms: int,
    ) -> None:
        value, unsure = message.value_ms, message.unsure_ms
        wanted = [cycle for cycle in cycles if self._words[cycle].wants(value, unsure)]
        newest = self._cycles[-1]
        # Far stamps are looked at as well: they may be those of a clock that is wrong.
        if not wanted and value <= now_ms + self._skew_ms:
            self.listed += 1
            self._skip(Reason.OUTSIDE_CYCLE, value)
            return
        shown, excluded = self._reader.who(message.payload)
        self.listed += 1
        if not (excluded or shown is None or type(shown) in (str, int)):
            raise _UnreadableError(f"users.id gives {timestamps.kind_of(shown)}")
        if is_broken(shown):
            raise _UnreadableError("users.id gives a text with broken letters")
        name = "" if shown is None else self._normalize(str(shown))
        if excluded or (name and name in self._excluded_ids):
            self._skip(Reason.EXCLUDED_EVENT, value, name)
            return
        if not name:
            self._skip(Reason.NO_ID, value)
            return
        self.named += 1
        read_ms = now_ms + self._skew_ms
        if value > read_ms:
            self.future.note(place, value - read_ms)
            return
        self.ahead_ms = max(self.ahead_ms, value - stored_ms)
        if stored_ms - value - unsure > self._lag_ms:
            self.late.note(place, stored_ms - value)
        if self._telling_ids and not (type(shown) is int or UUID.fullmatch(name)):
            self.unstable.note(place)
        for cycle in wanted:
            self._words[cycle].add(self._pseudonyms[cycle](name), value, read_ms, unsure)
        if newest not in wanted:
            self._skip(Reason.OUTSIDE_CYCLE, value, name)
            return
        if self.explained is not None:
            self.explained.take(COUNTED, value, name)
        if self._show_ids:
            self._ids[name] = None

    def _skip(self, why: Reason, value_ms: int, name: str = "") -> None:
        self.skipped[why] += 1
        if self.explained is not None:
            self.explained.take(why, value_ms, name)

    def facts(self, cycle: Cycle) -> Facts:
        """Return the facts about users that the events prove, without proof ranges."""
        words = self._words[cycle]
        return Facts(sure=words.sure, maybe=words.unsure())
