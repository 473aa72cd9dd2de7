"""The intake: activity that products push becomes durable, many requests in one transaction.

A request is answered only after its facts are committed. Requests of all namespaces are gathered
while a transaction runs, and the next one takes one of each producer; so one fsync serves many, and
nobody waits behind somebody else's queue.
"""

import asyncio
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import structlog

from licenseusage.clock import SystemClock
from licenseusage.controller.effects.books import Books
from licenseusage.controller.effects.callers import Callers
from licenseusage.controller.effects.identity import Keys, PseudonymKey
from licenseusage.controller.effects.metrics import Metrics
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.pushes import Caller, PushTarget, Share, rivals, target_of
from licenseusage.errors import Failure, Retryable, Stalled, UsageError
from licenseusage.ledger.records import PollRecord, PushedRequest, PushRecord
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.metering.pushes import PushRefusedError
from licenseusage.reasons import Reason
from licenseusage.sources.pushed.cloudevents import Activity, Pushed
from licenseusage.sources.pushed.naming import Named, named

BURST_SECONDS = 10
AT_A_TIME = 16
"""Requests of one namespace that may be read, or wait to be recorded."""
_GROUP_EVENTS = 20_000
_NUDGE_SECONDS = 60.0
_RECEIPT_BYTES = 16
_log = structlog.get_logger(__name__)

Source = tuple[Key, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a recorded request is answered.

    Attributes:
        accepted: Events that are facts now, or were before.
        outside: Events about cycles that are not counted (any more).
        excluded: Events about somebody who does not count.
        receipt: To be sent with the producer's next request; empty: it is not declared.
    """

    accepted: int
    outside: int
    excluded: int
    receipt: str


@dataclass(slots=True)
class _Waiting:
    """A request that waits to be recorded."""

    target: PushTarget
    key: PseudonymKey
    request: PushedRequest
    events: int
    done: asyncio.Future[str]


@dataclass(slots=True)
class Intake:
    """Takes what products push.

    Attributes:
        on: The settings turn it on; else nothing listens, and objects say so.
        callers: Tells who calls.
    """

    books: Books
    keys: Keys
    callers: Callers
    metrics: Metrics
    clock: SystemClock
    nudge: Callable[[Key], None]
    random_bytes: Callable[[int], bytes]
    on: bool = False
    events_per_second: int = 1000
    _targets: dict[Source, PushTarget] = field(default_factory=dict)
    _refused: dict[Source, dict[str, Failure]] = field(default_factory=dict)
    _shares: dict[str, Share] = field(default_factory=dict)
    _open: Counter[str] = field(default_factory=Counter)
    _waiting: OrderedDict[str, list[_Waiting]] = field(default_factory=OrderedDict)
    _more: asyncio.Event = field(default_factory=asyncio.Event)
    _nudged_s: dict[Key, float] = field(default_factory=dict)

    # -- what objects declare --

    def declare(self, key: Key, targets: Mapping[str, PushTarget]) -> None:
        """Take what an object says of its sources that are pushed, in place of what it said."""
        for source in [source for source in self._targets if source[0] == key]:
            if source[1] not in targets:
                del self._targets[source]
                self._refused.pop(source, None)
        for name, target in targets.items():
            self._targets[key, name] = target
        if not targets:
            self._nudged_s.pop(key, None)

    def problem(self, key: Key, source: str) -> Failure | None:
        """Return why nothing is taken for a source, or its last request was refused."""
        target = self._targets.get((key, source))
        if target is not None:
            rival = rivals(target, self._targets.values())
            if rival is not None:
                return rival
        if self.callers.problem is not None:
            return Failure.of(self.callers.problem).about(f"Source {source}")
        refused = self._refused.get((key, source))
        return next(iter(refused.values())) if refused else None

    # -- requests --

    @contextmanager
    def admitted(self, caller: Caller) -> Iterator[PushTarget]:
        """Find the source that a caller's request is for, and have the request in its share.

        Raises:
            Stalled: ``NoPushSource`` or ``PushAmbiguous``.
            TooFast: Its namespace has sent more than its share, or too many requests at once.
        """
        target = target_of(self._targets.values(), caller)
        if isinstance(target, Failure):
            raise Stalled(target.reason, target.message)
        namespace = caller.namespace
        wait_s = self._share(namespace).wait_s(asyncio.get_running_loop().time())
        if wait_s > 0:
            raise TooFast(
                f"namespace {namespace} sends more than {self.events_per_second} events a second "
                "(INTAKE_EVENTS_PER_SECOND of the operator)",
                wait_s,
            )
        if self._open[namespace] >= AT_A_TIME:
            raise TooFast(
                f"namespace {namespace} has {AT_A_TIME} requests that are not answered yet", 1.0
            )
        self._open[namespace] += 1
        try:
            yield target
        finally:
            self._open[namespace] -= 1

    def refuse(self, target: PushTarget, producer: str, failure: Failure) -> None:
        """Keep that a request was refused, until one of the same producer is taken."""
        source = (target.key, target.source.name)
        refused = self._refused.setdefault(source, {})
        name = producer if producer in target.source.push.producers else ""
        message = f"Source {target.source.name}: a request of the product was refused: "
        problem = replace(failure, reason=Reason.PUSH_REFUSED, message=message + failure.message)
        if name not in refused:
            self._soon(target.key, at_once=True)
        refused[name] = problem

    async def take(self, target: PushTarget, pushed: Pushed, given: str | None) -> Answer:
        """Record what was pushed; return once it is durable.

        Raises:
            UsageError: Nothing was recorded; the reason is of the vocabulary.
        """
        now_ms = self.clock.now_ms()
        self._share(target.key.namespace).take(len(pushed.activities))
        self._not_ahead(target, pushed, now_ms)
        key = await self.keys.pseudonym_key(asyncio.get_running_loop().time())
        if key.id != target.key_id or not target.cycles_at(now_ms):
            raise Retryable(
                Reason.PUSH_NOT_READY,
                f"LicenseUsage {target.key.name} cannot take activity now: its cycle or its "
                "pseudonym key is not settled; see its conditions",
            )
        activity = self._named(target, key, pushed.activities, now_ms)
        request = PushedRequest(
            producer=pushed.producer,
            given=given,
            receipt=self.random_bytes(_RECEIPT_BYTES).hex(),
            through_ms=None if pushed.through_ms is None else min(pushed.through_ms, now_ms),
            events={cycle: tuple(events) for cycle, events in activity.events.items()},
        )
        accepted = sum(map(len, activity.events.values()))
        receipt = await self._recorded(target, key, request, accepted)
        return Answer(accepted, activity.outside, activity.excluded, receipt)

    def _share(self, namespace: str) -> Share:
        now_s, rate = asyncio.get_running_loop().time(), float(self.events_per_second)
        most = rate * BURST_SECONDS
        return self._shares.setdefault(namespace, Share(rate, most, most, now_s))

    def _not_ahead(self, target: PushTarget, pushed: Pushed, now_ms: int) -> None:
        """Refuse times that lie further ahead than clocks may differ.

        Raises:
            TooEarly: ``EventInFuture`` or ``HeartbeatAhead``.
        """
        latest_ms = target.latest_ms(now_ms)
        skew = target.source.guarantees.clock_skew_seconds
        ahead = [activity.at_ms - latest_ms for activity in pushed.activities]
        many = sum(1 for by_ms in ahead if by_ms > 0)
        if many:
            raise TooEarly(
                Reason.EVENT_IN_FUTURE,
                f"{many} of {len(ahead)} events lie in the future, by {-(-max(ahead) // 1000)} s "
                f"more than clocks may differ ({skew} s): set the producer's clock (NTP), or "
                "declare guarantees.clockSkewSeconds; nothing of the request was taken",
                max(ahead),
            )
        far_ms = now_ms + 1000 * (skew or 0)
        if pushed.through_ms is not None and pushed.through_ms > far_ms:
            by_ms = pushed.through_ms - far_ms
            raise TooEarly(
                Reason.HEARTBEAT_AHEAD,
                f"completeThrough lies in the future, by {-(-by_ms // 1000)} s more than clocks "
                f"may differ ({skew} s): nobody knows what will be active; name a time that has "
                "passed, and set the producer's clock (NTP)",
                by_ms,
            )

    def _named(
        self,
        target: PushTarget,
        key: PseudonymKey,
        activities: tuple[Activity, ...],
        now_ms: int,
    ) -> Named:
        def pseudonyms(cycle: Cycle) -> Pseudonymiser:
            return Pseudonymiser(key.value, target.product, cycle.start_ms // 1000)

        return named(target.source, activities, target.cycles_at(now_ms), pseudonyms)

    async def _recorded(
        self, target: PushTarget, key: PseudonymKey, request: PushedRequest, events: int
    ) -> str:
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(target, key, request, events, done)
        self._waiting.setdefault(target.key.namespace, []).append(waiting)
        self._more.set()
        receipt = await done
        refused = self._refused.get((target.key, target.source.name))
        if refused:
            # What could not be read told no producer: it is settled by any request.
            refused.pop(request.producer, None)
            refused.pop("", None)
            self._soon(target.key, at_once=not refused)
        return receipt

    # -- recording --

    async def work(self) -> None:
        """Record for ever what waits, one transaction after the other."""
        while True:
            await self._more.wait()
            self._more.clear()
            while group := self._next_group():
                await self._record(group)

    def _next_group(self) -> list[_Waiting]:
        """Return what the next transaction takes: of all namespaces in turn, one of a producer."""
        group: list[_Waiting] = []
        events, seen = 0, set[tuple[Source, str]]()
        for namespace in list(self._waiting):
            left: list[_Waiting] = []
            for waiting in self._waiting.pop(namespace):
                producer = (_source(waiting), waiting.request.producer)
                if waiting.done.done():
                    continue  # the caller has gone
                if events > _GROUP_EVENTS or producer in seen:
                    left.append(waiting)
                    continue
                seen.add(producer)
                events += waiting.events
                group.append(waiting)
            if left:
                self._waiting[namespace] = left  # behind those that have not had a turn
        return group

    async def _record(self, group: list[_Waiting]) -> None:
        sources: dict[Source, list[_Waiting]] = {}
        for waiting in group:
            sources.setdefault(_source(waiting), []).append(waiting)
        now_ms = self.clock.now_ms()
        records = [self._as_record(each, now_ms) for each in sources.values()]
        try:
            results = await self.books.do(lambda ledger: ledger.record_pushes(records, now_ms))
        except UsageError as error:
            results = [error] * len(records)
        except Exception:
            _log.exception("pushed activity could not be recorded")
            self.metrics.reconcile_errors.inc()
            problem = Retryable(Reason.INTERNAL_ERROR, "a defect of the operator; see its log")
            results = [problem] * len(records)
        for waiting_of, result in zip(sources.values(), results, strict=True):
            for number, waiting in enumerate(waiting_of):
                outcome = result if isinstance(result, UsageError) else result[number]
                _settle(waiting, outcome)
            self._soon(waiting_of[0].target.key, at_once=any(map(_ends, waiting_of)))

    def _as_record(self, group: list[_Waiting], now_ms: int) -> PushRecord:
        first = group[-1]
        target, source = first.target, first.target.source
        skew_ms = 1000 * (source.guarantees.clock_skew_seconds or 0)
        poll = PollRecord(
            meter_id=target.meter_id,
            store=target.store,
            properties=source.properties,
            interval_ms=target.interval_ms,
            started_ms=now_ms,
            ended_ms=now_ms,
            clock_skew_ms=skew_ms,
            complete=False,
            facts={},
            pseudonym_key_id=first.key.id,
            replaced_key_id=first.key.replaces,
            rules_digest=target.rules_digest,
            selection=source.selection,
            declaration=source.declaration,
        )
        cycles = tuple(c for c in target.cycles_at(now_ms) if c.start_ms <= now_ms)
        requests = tuple(waiting.request for waiting in group)
        return PushRecord(poll, source.push.producers, cycles, requests)

    def _soon(self, key: Key, *, at_once: bool = False) -> None:
        """Have the object looked at: not more often than its status needs to move."""
        loop = asyncio.get_running_loop()
        last_s = self._nudged_s.get(key, -math.inf)
        if last_s > loop.time() and not at_once:
            return  # it will be
        due_s = loop.time() if at_once else max(loop.time(), last_s + _NUDGE_SECONDS)
        self._nudged_s[key] = due_s
        loop.call_at(due_s, self.nudge, key)


class TooFast(Retryable):
    """A namespace sends more than its share; ``wait_s`` says for how long it has to wait."""

    def __init__(self, message: str, wait_s: float) -> None:
        """Keep the wait, in seconds."""
        super().__init__(Reason.PUSH_TOO_FAST, message)
        self.wait_s = wait_s


class TooEarly(Retryable):
    """A time lies in the future; after ``wait_s`` it will not."""

    def __init__(self, reason: Reason, message: str, by_ms: int) -> None:
        """Keep the wait, in seconds."""
        super().__init__(reason, message)
        self.wait_s = by_ms / 1000


def _source(waiting: _Waiting) -> Source:
    return waiting.target.key, waiting.target.source.name


def _ends(waiting: _Waiting) -> bool:
    """Whether a heartbeat tells the end of a cycle that is not decided on."""
    through_ms = waiting.request.through_ms
    return through_ms is not None and through_ms >= waiting.target.ends_ms


def _settle(waiting: _Waiting, outcome: str | PushRefusedError | UsageError) -> None:
    if waiting.done.done():
        return
    if isinstance(outcome, str):
        waiting.done.set_result(outcome)
    elif isinstance(outcome, UsageError):
        waiting.done.set_exception(outcome)
    else:
        waiting.done.set_exception(_refusal(outcome))


def _refusal(error: PushRefusedError) -> Retryable:
    if error.reason is Reason.HEARTBEAT_WENT_BACK:
        return Retryable(
            error.reason,
            f"completeThrough lies {-(-error.by_ms // 1000)} s before that of an earlier request "
            "of this source: set the producer's clock, and give each process a source of its own",
        )
    return Retryable(
        error.reason,
        "the receipt is not the newest one of this source: the ledger was restored from a backup, "
        "or another process uses the same source; send the request again without the receipt: its "
        "events count, and a new chain of heartbeats begins",
    )
