"""Polls become durable: facts into the ledger, with the metrics and the log of each."""

from collections.abc import Mapping

import structlog

from licenseusage.clock import SystemClock
from licenseusage.controller.effects.books import Books
from licenseusage.controller.effects.identity import PseudonymKey
from licenseusage.controller.effects.metrics import Metrics
from licenseusage.controller.rules.polls import Job
from licenseusage.controller.rules.trace import trace_of
from licenseusage.errors import Failure
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import PollRecord
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.stores import StoreState
from licenseusage.sources.poll import PollResult

_log = structlog.get_logger(__name__)


class Recorder:
    """Writes what polls gave."""

    def __init__(self, books: Books, metrics: Metrics, clock: SystemClock) -> None:
        """Write into ``books``."""
        self._books, self._metrics, self._clock = books, metrics, clock

    async def poll(
        self,
        job: Job,
        result: PollResult,
        failure: Failure | None,
        key: PseudonymKey,
        since: Mapping[Cycle, int],
    ) -> None:
        """Record a poll that was made.

        Args:
            job: What was asked for.
            result: What came of it.
            failure: Why it failed, with the consequence to act on.
            key: The pseudonyms' key.
            since: Cycle -> start of its last segment, ms since the epoch.

        Raises:
            UsageError: The ledger cannot be written.
        """
        stable = result.ids_stable
        asked = job.cycles if job.coming is None else (*job.cycles, job.coming)
        by_index = {cycle.index: cycle for cycle in asked}
        record = PollRecord(
            meter_id=job.meter_id,
            store=job.store,
            properties=job.source.properties_given(ids_stable=stable),
            interval_ms=job.interval_ms,
            started_ms=result.started_ms,
            ended_ms=result.ended_ms,
            clock_skew_ms=result.clock_skew_ms,
            complete=result.complete,
            facts={by_index[index]: facts for index, facts in result.facts.items()},
            readings={by_index[index]: read for index, read in result.readings.items()},
            samples={by_index[index]: counts for index, counts in result.samples.items()},
            pseudonym_key_id=key.id,
            replaced_key_id=key.replaces,
            rules_digest=job.rules_digest,
            selection=job.source.selection,
            since=since,
            declaration=job.source.declaration,
            listing=job.source.listed_by,
            incomplete=result.incomplete.reason if result.incomplete else None,
            failure=failure,
            # A log has events, not users, and a number none: how many are listed cannot be said.
            listed=None
            if job.source.people is None or job.source.reads_log
            else result.users_listed,
            counted=result.counted,
            skipped=result.skipped,
            provisioned=result.provisioned,
            size_bytes=result.bytes,
            one_log=result.one_log,
        )
        now_ms = self._clock.now_ms()
        await self._books.do(lambda ledger: ledger.record_poll(record, now_ms))
        outcome = "Failed" if failure else "Success" if result.complete else "Partial"
        reason = failure or (None if result.complete else result.incomplete)
        self._metrics.collections.labels(outcome, reason.reason if reason else "").inc()
        self._metrics.collection_seconds.observe(result.seconds)
        self._metrics.saved_bytes.inc(result.saved_bytes)
        _log.info(
            "poll ended",
            object=str(job.key),
            trace=trace_of(job.key, *job.cycles),
            source=job.source.name,
            pod=result.target or None,
            result=outcome,
            reason=reason.reason if reason else None,
            seconds=round(result.seconds, 3),
            bytes=result.bytes,
            saved_bytes=result.saved_bytes,
            pages=result.pages,
        )

    async def failure(self, job: Job, problem: Failure) -> None:
        """Record an attempt that reached no product: it counts as one, and proves nothing.

        Raises:
            UsageError: The ledger cannot be written.
        """
        now_ms = self._clock.now_ms()
        record = PollRecord(
            meter_id=job.meter_id,
            store=job.store,
            properties=job.source.properties,
            interval_ms=job.interval_ms,
            started_ms=now_ms,
            ended_ms=now_ms,
            clock_skew_ms=0,
            complete=False,
            facts={},
            pseudonym_key_id="",
            failure=problem,
        )
        await self._books.do(lambda ledger: ledger.record_poll(record, now_ms))
        self._metrics.collections.labels("Failed", problem.reason).inc()
        _log.warning(
            "poll not possible",
            object=str(job.key),
            trace=trace_of(job.key, *job.cycles),
            source=job.source.name,
            reason=problem.reason,
            error=problem.message,
        )

    async def unread(self, job: Job, result: PollResult) -> frozenset[Cycle]:
        """Return for which cycles the next poll of a log can go on where this one stopped.

        Only where what was read is new and durable: a poll that made no progress is repeated after
        its interval, not at once.

        Raises:
            UsageError: The ledger cannot be read.
        """
        if not job.source.reads_log or result.complete or result.failure is not None:
            return frozenset()

        def left(ledger: Ledger) -> frozenset[Cycle]:
            unread, moved = set(), False
            for cycle in job.cycles:
                reading = result.readings.get(cycle.index)
                if reading is None:  # its turn did not come
                    unread.add(cycle)
                    continue
                log = ledger.store_states(job.meter_id, cycle).get(job.store, StoreState()).log
                if reading.further and log is not None and log.position == reading.after:
                    moved = True
                    if reading.behind:
                        unread.add(cycle)
            return frozenset(unread) if moved else frozenset()

        return await self._books.do(left)
