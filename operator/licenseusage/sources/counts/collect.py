"""One poll of a bare number, from the request to the samples. Runs in a worker process.

As ``collect`` for lists: nothing raises out of here for what a product does. A number is read or it
is not; there is nothing in between, and what is not a number gives no sample.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from prometheus_client.samples import Sample as Series

from licenseusage.clock import Clock
from licenseusage.errors import Failure
from licenseusage.metering.counts import Counts
from licenseusage.metering.facts import Facts
from licenseusage.metering.polled import Polled
from licenseusage.reasons import Reason
from licenseusage.sources.counts.answer import number_in
from licenseusage.sources.counts.exposition import Exposition, number_of
from licenseusage.sources.counts.facts import (
    Reading,
    added,
    notes_of,
    refuse_fresh_zero,
    samples_of,
    warm_targets,
    whole_shards,
)
from licenseusage.sources.counts.lookalikes import Lookalikes
from licenseusage.sources.deadline import Deadline
from licenseusage.sources.definition.model import SECOND_MS
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.fetch import Session
from licenseusage.sources.http.signin.memory import TokenMemory
from licenseusage.sources.http.signin.ways import sign_in_of
from licenseusage.sources.http.wire import Wire, Wiring
from licenseusage.sources.poll import CycleRequest, Looked, PollRequest, PollResult, Target
from licenseusage.sources.replicas import Replicas
from licenseusage.sources.seen import Step
from licenseusage.sources.whereabouts import Whereabouts
from licenseusage.sources.wording import placed


class CountCollection:
    """One poll under way."""

    def __init__(
        self,
        request: PollRequest,
        clock: Clock,
        *,
        tokens: TokenMemory | None = None,
        alarm: bool = False,
        look: Callable[[], Looked] | None = None,
        wire: Wiring = Wire,
    ) -> None:
        """Prepare; nothing is sent yet. Arguments as of ``Collection``."""
        self._clock, self._source, self._wire = clock, request.source, wire
        self._limits = request.limits
        self._wanted = [each for each in request.cycles if not each.coming]
        self._deadline = Deadline(request.limits.poll_seconds, alarm=alarm)
        self._request = request
        self._look, self._tokens = look, tokens or TokenMemory()
        self._alike = Lookalikes() if request.advise else None
        self._steps: list[Step] = []
        self._replicas: Replicas | None = None
        self._bytes = self._requests = self._skew_ms = 0
        self._started_ms: int | None = None

    def perform(self) -> PollResult:
        """Read the number (one a cycle where the request names the cycle) and make samples."""
        begun_ms = self._clock.now_ms()
        error: PollError | None = None
        readings: dict[int, list[Reading]] = {}
        try:
            readings = self._read(begun_ms)
        except PollError as failed:
            error = failed
        started_ms = begun_ms if self._started_ms is None else self._started_ms
        result = PollResult(
            started_ms=started_ms,
            ended_ms=max(self._clock.now_ms(), started_ms),
            clock_skew_ms=self._skew_ms,
            complete=error is None,
            ids_stable=True,
            pages=self._requests,
            bytes=self._bytes,
            target=self._replicas.label if self._replicas is not None else "",
            failure=self._named(error.failure) if error else None,
            seconds=self._deadline.seconds,
            steps=tuple(self._steps),
        )
        return result if error is not None else self._sampled(result, readings)

    # -- reading --

    def _read(self, now_ms: int) -> dict[int, list[Reading]]:
        """Return the numbers of each cycle, by its index."""
        targets = warm_targets(self._source, self._request.targets, now_ms)
        whole_shards(self._source, len(targets))
        whereabouts = Whereabouts(replace(self._request, targets=targets), self._warm_look())
        self._replicas = Replicas(whereabouts)
        by_pod: list[dict[int, Reading]] = []
        every = self._source.count.across_pods != "Any"
        asked: set[str] = set()
        for target in self._replicas:
            try:
                by_pod.append(self._of_pod(target, whereabouts))
            except PollError as error:
                self._replicas.failed(error, stop=every)
                continue
            asked.add(target.label)
            if not every or not whereabouts.others:
                break
        indices = [each.cycle.index for each in self._wanted]
        readings = {index: [each[index] for each in by_pod] for index in indices}
        if self._source.count.across_pods == "Shards":
            whole_shards(self._source, len(asked))
            readings = {index: [added(parts)] for index, parts in readings.items()}
        for each in readings.values():
            for reading in each:
                refuse_fresh_zero(reading)
        return readings

    def _warm_look(self) -> Callable[[], Looked] | None:
        """Return how to look again where the source is, without pods that have just started."""
        look, source = self._look, self._source
        if look is None:
            return None

        def again() -> Looked:
            looked = look()
            if looked.failure is not None:
                return looked
            warm = warm_targets(source, looked.targets, self._clock.now_ms())
            return replace(looked, targets=warm)

        return again

    def _open(self, target: Target, whereabouts: Whereabouts) -> Session:
        return Session(
            target,
            self._source,
            whereabouts,
            self._limits,
            self._clock,
            self._deadline,
            sign_in=sign_in_of(self._request, whereabouts, self._tokens),
            bytes_before=self._bytes,
            wire=self._wire,
        )

    def _of_pod(self, target: Target, whereabouts: Whereabouts) -> dict[int, Reading]:
        with self._open(target, whereabouts) as session:
            try:
                return dict(self._numbers(session, target))
            finally:
                self._bytes = session.bytes
                self._requests += session.requests
                self._skew_ms = max(self._skew_ms, session.skew_ms)
                if self._started_ms is None:
                    self._started_ms = session.started_ms

    def _numbers(self, session: Session, target: Target) -> Iterator[tuple[int, Reading]]:
        """Ask for the number: once, or once a cycle where the request names the cycle."""
        apart = self._source.http.names("cycle")
        answers = [[each] for each in self._wanted] if apart else [self._wanted]
        for requests in answers:
            sent_ms = self._clock.now_ms()
            users = self._number(session, requests[-1], sent_ms)
            # A clock of the cluster tells since when a pod is ready; ours may be ahead of it.
            warm_targets(self._source, (target,), sent_ms - session.skew_ms)
            polled = Polled.at(sent_ms, session.ended_ms, session.skew_ms, complete=True)
            reading = Reading(users, polled, target.ready_ms is not None, target.label)
            yield from ((each.cycle.index, reading) for each in requests)

    def _number(self, session: Session, request: CycleRequest, sent_ms: int) -> int:
        number = self._source.count
        with session.get((), request.cycle) as content:
            if number.gauge is None:
                shown = self._alike.document if self._alike else None
                return number_in(content, number.value or "", shown)
            exposition = Exposition(number.gauge, look=self._alike.line if self._alike else None)
            for data in content:
                exposition.feed(data)
            series = exposition.finish(shows_end=session.head.ends)
        for each in series:
            self._refuse_other_times(each, sent_ms, session)
        return number_of(series, number.gauge)

    def _refuse_other_times(self, series: Series, sent_ms: int, session: Session) -> None:
        """Refuse a number that says itself that it is of another time than is declared."""
        if series.timestamp is None:
            return
        said_ms = float(series.timestamp) * SECOND_MS
        apart_ms = max(session.skew_ms, SECOND_MS)
        age_ms = self._source.guarantees.age_seconds * SECOND_MS
        if not sent_ms - age_ms - apart_ms <= said_ms <= self._clock.now_ms() + apart_ms:
            raise PollError(
                Reason.COUNT_STALE,
                "the metric says that its number is of another time: older than "
                "guarantees.ageSeconds, or of the future. Declare how old it may be in "
                "guarantees.ageSeconds, or ask the product in place of a copy of its metrics.",
                stalls=True,
            )

    # -- results --

    def _sampled(self, result: PollResult, readings: dict[int, list[Reading]]) -> PollResult:
        samples = {
            request.cycle.index: Counts(
                frozenset(samples_of(self._source, request, readings[request.cycle.index]))
            )
            for request in self._wanted
        }
        newest = readings[self._wanted[-1].cycle.index]
        notes = [self._replicas.note() if self._replicas else None]
        notes += notes_of(self._source, newest)
        number = max(reading.users for reading in newest)
        if self._alike is not None:
            capped_at = self._source.count.saturates_at
            notes.append(self._alike.note(number, capped_at=capped_at))
        return replace(
            result,
            facts={each.cycle.index: self._facts(each, readings) for each in self._wanted},
            samples=samples,
            counted=number,
            notes=tuple(f"Source {self._source.name}: {note}" for note in notes if note),
        )

    def _facts(self, request: CycleRequest, readings: dict[int, list[Reading]]) -> Facts:
        """Return the windows that ended early enough for the number to show all their activity."""
        began_ms = min(each.polled.began_ms for each in readings[request.cycle.index])
        shown_ms = began_ms - self._source.properties.lag_ms
        return Facts(ended=request.part.ended_by(shown_ms))

    def _named(self, failure: Failure) -> Failure:
        """Put the source and the pod before a message."""
        label = self._replicas.label if self._replicas is not None else ""
        pod = f", {label}" if label else ""
        message = placed(failure.message, self._source)
        if self._source.count.gauge is not None:
            message = message.replace("http.path", "prometheus.path")
        return replace(failure, message=f"Source {self._source.name}{pod}: {message}")
