"""One page of a log over HTTP: the events in it, and whether it says that there is more."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from licenseusage.reasons import Reason
from licenseusage.sources.definition import paging
from licenseusage.sources.definition.expressions import Json, expression, predicate
from licenseusage.sources.definition.interpreter import EvaluationError
from licenseusage.sources.definition.logs import HttpLog
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.paging import NEXT, TOTAL
from licenseusage.sources.definition.timestamps import BadStampError, kind_of, reader
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.asking import Head, named_cursor
from licenseusage.sources.http.notjson import not_json
from licenseusage.sources.http.said import next_links
from licenseusage.sources.logs.ranged.walk import Stamped
from licenseusage.sources.logs.tally import CountedMessage
from licenseusage.sources.mending import NO_JSON, decoded

_BOM = b"\xef\xbb\xbf"
MOST_EVENTS = 10**15


class Event(NamedTuple):
    """One event of a page.

    Attributes:
        stamped: Its time.
        user: The id of its user, as shown; anything may come.
        excluded: It does not count.
        own: What distinguishes it from all others.
    """

    stamped: Stamped
    user: Json
    excluded: bool
    own: Json


class Page(NamedTuple):
    """A page, in the order of the answer.

    Attributes:
        events: Its events.
        more: Whether it says that there is more; None: it says nothing.
        total: How many events it says there are; None: nothing.
    """

    events: list[Event]
    more: bool | None = None
    total: int | None = None


class PageReader:
    """Takes the answers of a source apart as its ``http``, ``events`` and ``users`` say."""

    def __init__(self, source: EffectiveSource, log: HttpLog) -> None:
        """Compile the expressions; they have been checked before."""
        http, users = source.http, source.users
        self._pagination = http.pagination
        self._items = expression(http.items) if http.items else None
        self._values = {name: expression(path) for name, path in http.pagination.values.items()}
        self._id, self._time = expression(users.id), expression(users.last_active.path)
        self._own = expression(log.id) if log.id is not None else None
        self._exclude = predicate(users.exclude) if users.exclude is not None else None
        self._stamps = reader(users.last_active)

    def page(self, chunks: Iterable[bytes], head: Head) -> Page:
        """Read one answer.

        Args:
            chunks: Its content.
            head: What its head says.

        Raises:
            PollError: ``AnswerNotJSON``, ``ItemsNotAList``, ``TimestampInvalid`` and their like.
        """
        document = document_of(chunks)
        try:
            items = self._items.search(document) if self._items else document
            values = {name: value.search(document) for name, value in self._values.items()}
            if not isinstance(items, list):
                raise _no_list(self._items.text if self._items else None, items)
            events = [self._event(item) for item in items]
        except EvaluationError as error:
            raise PollError(
                Reason.EXPRESSION_FAILED,
                f"the expression {error.expression} cannot be applied to the answer: {error}. "
                "Correct it; try the source with `licenseusage source check`.",
                stalls=True,
            ) from None
        total = _total(values.get(TOTAL), self._pagination.total)
        more = self._says_more(len(events), values, head)
        if more is None and total is not None:
            more = total > len(events)
        return Page(events, more, total)

    def _event(self, item: Json) -> Event:
        user, stamp = self._id.search(item), self._time.search(item)
        try:
            instant = self._stamps.read(stamp)
        except BadStampError as error:
            raise self._no_time(str(error)) from None
        if instant is None:
            raise self._no_time("it gives no time")
        excluded = self._exclude.holds(item) if self._exclude is not None else False
        own = self._own.search(item) if self._own is not None else user
        return Event(Stamped(instant.at_ms, instant.unsure_ms), user, excluded, own)

    def _no_time(self, seen: str) -> PollError:
        return PollError(
            Reason.TIMESTAMP_INVALID,
            f"users.time.path ({self._time.text}), of an event: {seen}. Correct the path, or set "
            "users.time.format: an event without a time cannot be placed.",
            stalls=True,
        )

    def _says_more(self, events: int, values: dict[str, Json], head: Head) -> bool | None:
        match self._pagination:
            case paging.Cursor(params=params):
                return any(values[name] not in (None, "") for name, _ in params)
            case paging.HeaderCursor(header=header):
                return named_cursor(head, header) is not None
            case paging.Linked(path=None):
                return any(True for link in head.links for _ in next_links(link))
            case paging.Linked():
                return bool(values[NEXT])
            case paging.Offset(size=size) | paging.Numbered(size=int() as size):
                return True if events >= size else None
        return None


class EventReader:
    """Hands the events of a page to an `EventTally`."""

    def open(self, data: Event) -> CountedMessage:
        """Return an event's time; every event counts."""
        return CountedMessage(data.stamped.value_ms, data.stamped.unsure_ms, data)

    def who(self, payload: Json) -> tuple[Json, bool]:
        """Return the id of the event's user, and whether it is excluded."""
        return (None, True) if payload.excluded else (payload.user, False)


def document_of(chunks: Iterable[bytes]) -> Json:
    """Return an answer's document.

    Raises:
        PollError: It is none.
    """
    body = b"".join(chunks).removeprefix(_BOM)
    if not body:
        raise PollError(
            Reason.ANSWER_EMPTY,
            "the answer has status 200 and no content. Check the path, and whether the product is "
            "ready.",
        )
    try:
        return decoded(msgspec.json.decode, body)
    except (*NO_JSON, RecursionError) as error:
        raise not_json(body, error) from None


def _total(value: Json, path: str | None) -> int | None:
    if path is None:
        return None
    if type(value) is int and 0 <= value <= MOST_EVENTS:
        return value
    raise PollError(
        Reason.TOTAL_INVALID,
        f"http.pagination.total ({path}) gives {kind_of(value)} instead of a number of events. "
        "Correct the path, or remove it.",
        stalls=True,
    )


def _no_list(path: str | None, value: Json) -> PollError:
    where = f"http.items ({path})" if path else "the answer itself"
    return PollError(
        Reason.ITEMS_NOT_A_LIST,
        f"{where} gives {kind_of(value)} instead of a list of events. Check http.items against the "
        "product's answer; an error message sent with status 200 looks like this as well.",
        stalls=True,
    )
