"""A list that need not be sent again, because the product says that it has not changed (304).

**Such an answer confirms who was counted, and proves nothing else.** The rows read before were true
and stay so. That nobody else was active is the product's word alone: an ETag that is not made of
the list's content, or a cache that gives old answers, would say the same. So no window is closed,
no roster is written and no upper bound made by it. The whole list is read at least once an hour,
whenever a day could be closed, in the last hour of the cycle and after it. That reading also shows
whether the ETag kept its promise.

A worker process remembers what the last whole list gave, as pseudonyms; never an id, and no answer.
Another worker, and one that was restarted, asks for the whole list.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from licenseusage.clock import Clock
from licenseusage.errors import Failure
from licenseusage.metering.facts import Facts
from licenseusage.metering.words import PackedWords
from licenseusage.reasons import Reason
from licenseusage.sources.http.fetch import Session
from licenseusage.sources.lists.steps import HOUR_MS
from licenseusage.sources.poll import Credentials, CycleRequest, PollRequest, PollResult, Target

MOST_BYTES: Final = 16 * 1024 * 1024
"""Enough for a million active users, of all lists together."""

MOST_LISTS: Final = 256
READ_WHOLE_MS: Final = HOUR_MS
"""How long a list may be said to be unchanged without being read."""

_UNCHANGED = Failure(
    Reason.LIST_UNCHANGED,
    "the product says that the list has not changed since it was read (HTTP 304). Who was counted "
    "is confirmed; nobody is ruled out before the whole list is read again, within an hour.",
)
_SILENT = (
    "http.validator is ETag, but the answer has no strong ETag (a weak one begins with W/), so "
    "each poll reads the whole list. Remove http.validator, or have the product send one."
)
_UNRELIABLE = f"{Reason.ETAG_UNRELIABLE}: {{}}, so each poll reads the whole list. Remove " + (
    "http.validator, or correct the product or the cache in front of it."
)
_SAME = "two different lists had the same ETag"
_OTHER = "the answer that the list has not changed (HTTP 304) did not name the list that was read"


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What the last whole list gave.

    Attributes:
        etag: Of its answer.
        digest: Of its content.
        began_ms: When it was read, at the earliest: start of the poll minus the clock skew.
        result: Of its poll; of the facts only who was active for sure.
    """

    etag: str
    digest: bytes
    began_ms: int
    result: PollResult

    @property
    def size(self) -> int:
        """Its size in bytes, about."""
        packed = (PackedWords.of(facts.sure) for facts in self.result.facts.values())
        return 1024 + sum(len(users) for words in packed for users in words.parts.values())


class AnswerMemory:
    """Answers by whose list, from where, for whom and of which definition; the oldest first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        """Begin empty; ``most_bytes`` is the limit of all answers together."""
        self._most = most_bytes
        self._kept: dict[bytes, KeptAnswer] = {}
        self._refuted: dict[bytes, str] = {}

    def known(self, key: bytes) -> KeptAnswer | None:
        """Return the last answer; None: the list has to be read."""
        return self._kept.get(key)

    def keep(self, key: bytes, answer: KeptAnswer) -> None:
        """Remember an answer, and forget the oldest ones where there is no room."""
        self.forget(key)
        self._kept[key] = answer
        while (
            len(self._kept) > MOST_LISTS
            or sum(answer.size for answer in self._kept.values()) > self._most
        ):
            del self._kept[next(iter(self._kept))]

    def forget(self, key: bytes) -> None:
        """Forget an answer."""
        self._kept.pop(key, None)

    def refute(self, key: bytes, seen: str) -> None:
        """Use no ETag of this list any more; ``seen`` is what was wrong with one."""
        self.forget(key)
        self._refuted[key] = seen
        while len(self._refuted) > MOST_LISTS:
            del self._refuted[next(iter(self._refuted))]

    def refuted(self, key: bytes) -> str | None:
        """Return what was wrong with an ETag of this list; None: nothing yet."""
        return self._refuted.get(key)


class Revisit:
    """One poll of a list that may be unchanged.

    Attributes:
        kept: The answer that the product confirmed; None: the list was read.
    """

    def __init__(self, request: PollRequest, memory: AnswerMemory, clock: Clock) -> None:
        """Prepare; nothing is decided before a pod is chosen."""
        self._request, self._memory, self._clock = request, memory, clock
        self._key: bytes | None = None
        self._asked: KeptAnswer | None = None
        self.kept: KeptAnswer | None = None

    def etag(self, target: Target, credentials: Credentials | None) -> str | None:
        """Return for which ETag the list need not be sent; None: it is wanted whole."""
        self._key = self._asked = None
        wanted = self._request.cycles
        if self._request.source.http.validator == "None" or len(wanted) > 1 or wanted[0].coming:
            return None
        self._key = _key(self._request, target, credentials)
        known = self._memory.known(self._key)
        if known is None or self._request.closing or self._request.advise:
            return None
        if _to_be_read(self._request, wanted[0], known, self._clock.now_ms()):
            return None
        self._asked = known
        return known.etag

    def confirmed(self, etag: str | None) -> bool:
        """Whether an answer that nothing has changed can be believed; else the list is read.

        Args:
            etag: The strong one of that answer.
        """
        if self._asked is not None and etag == self._asked.etag:
            self.kept = self._asked
            return True
        if self._key is not None:
            self._memory.refute(self._key, _OTHER)
        return False

    def again(self, bare: PollResult) -> PollResult:
        """Return what a poll gave whose list has not changed.

        Args:
            bare: Times, bytes and place of this poll.
        """
        assert self.kept is not None  # noqa: S101
        return replace(
            self.kept.result,
            started_ms=bare.started_ms,
            ended_ms=bare.ended_ms,
            clock_skew_ms=bare.clock_skew_ms,
            complete=False,
            incomplete=_UNCHANGED,
            hint="",
            bytes=bare.bytes,
            saved_bytes=self.kept.result.bytes,
            target=bare.target,
        )

    def read(self, session: Session, result: PollResult) -> Sequence[str]:
        """Remember a list that was read whole; return what its ETag makes worth saying."""
        key = self._key
        if key is None or not result.complete:
            return ()
        before, etag = self._memory.known(key), session.etag
        if before is not None and (before.etag == etag) and before.digest != session.digest:
            self._memory.refute(key, _SAME)
        if (seen := self._memory.refuted(key)) is not None:
            return (_UNRELIABLE.format(seen),)
        if etag is None:
            self._memory.forget(key)
            return (_SILENT,)
        facts = {
            index: Facts(sure=facts.sure, low=facts.low) for index, facts in result.facts.items()
        }
        began_ms = result.started_ms - result.clock_skew_ms
        bare = replace(result, facts=facts, moved=(), ids=())
        self._memory.keep(key, KeptAnswer(etag, session.digest, began_ms, bare))
        return ()


def _to_be_read(request: PollRequest, wanted: CycleRequest, known: KeptAnswer, now_ms: int) -> bool:
    """Whether a list is wanted whole: it was read long ago, or something may be closed by it."""
    if not 0 <= now_ms - known.began_ms < READ_WHOLE_MS:
        return True
    if not wanted.cycle.start_ms <= now_ms < wanted.cycle.end_ms - READ_WHOLE_MS:
        return True
    lag_ms = request.source.properties.lag_ms
    part = wanted.part
    return part.ended_by(now_ms - lag_ms) != part.ended_by(known.began_ms - lag_ms)


def _key(request: PollRequest, target: Target, credentials: Credentials | None) -> bytes:
    """Return whose list it is: what another account sees, or another pod shows, is another one."""
    seen_by = None
    if credentials is not None:
        values = sorted(credentials.values.items())
        plain = [credentials.username, credentials.password, credentials.header_value, values]
        presented = credentials.certificate
        seen_by = [plain, presented and [presented.chain_pem, presented.key_pem]]
    wanted = request.cycles[0]
    cycle = [wanted.cycle.index, wanted.cycle.start_ms, wanted.cycle.end_ms, wanted.since_ms]
    place = [target.host, target.port, target.scheme, target.host_sent, target.ca_pem]
    key = hashlib.sha256(request.pseudonym_key).digest()
    of = [request.subject, request.source, request.product, key, cycle, place, seen_by]
    return hashlib.sha256(msgspec.msgpack.encode(of, order="sorted")).digest()
