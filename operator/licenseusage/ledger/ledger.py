"""The ledger's surface: every writing method is one transaction, every reading one a snapshot."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, select

from licenseusage.ledger.documents import amending, chains, closing, issued, outbox
from licenseusage.ledger.documents.closing import Signing
from licenseusage.ledger.documents.records import (
    ChainState,
    DeliveryResult,
    OutboxItem,
    ReportChain,
    ReportDraft,
    ReportKind,
    SignedDocument,
)
from licenseusage.ledger.facts import polls, refutations, registry
from licenseusage.ledger.facts.statements import make_statement
from licenseusage.ledger.records import (
    Amendment,
    ClosingIntent,
    Contradiction,
    CycleRecord,
    DeclaredSource,
    Meter,
    MeterKey,
    PollRecord,
    Refutation,
    SourceStatus,
    StoreKey,
    StoreState,
    Subscribed,
)
from licenseusage.ledger.storage import schema
from licenseusage.ledger.storage.database import Database, open_database
from licenseusage.metering.combine import Combine
from licenseusage.metering.cycles import Cycle, Terms
from licenseusage.metering.statement import CycleStatement

LEASE_MS = 60_000


class Ledger:
    """The embedded ledger of one operator.

    Any thread may call it, one at a time: calls are serialised inside. The controller uses one
    writer thread, so that the event loop never waits for the disk.

    Every method raises ``Retryable`` (``LedgerDiskFull``, ``LedgerReadOnly``, or for an I/O error
    ``LedgerUnavailable``) or ``Stalled`` (``LedgerCorrupt``) and then has changed nothing; after a
    ``Retryable`` the next call may succeed.
    """

    def __init__(self, database: Database) -> None:
        """Use ``open`` instead."""
        self._database = database
        self._one_at_a_time = threading.RLock()

    @classmethod
    def open(cls, url: str, *, now_ms: int, ledger_id: str, lock_wait_seconds: float = 0.0) -> Self:
        """Open the ledger, or create it where no file exists.

        Args:
            url: ``sqlite:////absolute/path/ledger.db``.
            now_ms: The time.
            ledger_id: Random name for a ledger created by this call; ignored for an existing one.
            lock_wait_seconds: How long to wait for another process to release the ledger.

        Raises:
            Stalled: ``LedgerCorrupt``: the file cannot be read as a ledger;
                ``LedgerSchemaUnsupported``: it was written by a newer version;
                ``LedgerUpgradeFailed``: it is older, and could not be brought up to date;
                ``SettingsInvalid``: the URL names no such store, or the folder is missing.
            Waiting: ``LedgerLocked``: another process holds it.
            Retryable: ``LedgerDiskFull``, ``LedgerReadOnly``, ``LedgerUnavailable`` (permissions).
        """
        return cls(
            open_database(
                url, now_ms=now_ms, ledger_id=ledger_id, lock_wait_seconds=lock_wait_seconds
            )
        )

    @property
    def fresh(self) -> bool:
        """Whether this ``open`` created the file: a loss, if earlier cycles are evident."""
        return self._database.fresh

    @property
    def ledger_id(self) -> str:
        """Random name given when the ledger was created."""
        with self._read() as connection:
            return str(connection.execute(select(schema.ledger.c.ledger_id)).scalar_one())

    def close(self) -> None:
        """Close the file and release the lock."""
        with self._one_at_a_time:
            self._database.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    # --- clock -----------------------------------------------------------------------------------

    def clock_high_water_ms(self) -> int:
        """Return the latest time made durable: a clock behind it has been set back."""
        with self._read() as connection:
            return registry.high_water_ms(connection)

    def record_clock_step(self, step_ms: int, now_ms: int) -> None:
        """Count a step of the clock (negative: backward) in every cycle that is not Final.

        After a step back, nothing in the outbox waits for times of the clock before it.
        """
        with self._write(now_ms) as connection:
            registry.add_clock_step(connection, step_ms)
            if step_ms < 0:
                outbox.set_back(connection, now_ms, LEASE_MS)

    # --- meters and cycles -----------------------------------------------------------------------

    def ensure_meter(self, key: MeterKey, now_ms: int) -> Meter:
        """Return the meter, created if absent; a meter marked deleted lives again."""
        with self._write(now_ms) as connection:
            return registry.ensure_meter(connection, key, now_ms)

    def meter(self, key: MeterKey) -> Meter | None:
        """Return the meter of an object that exists; None: `ensure_meter` has work to do."""
        with self._read() as connection:
            return registry.find_meter(connection, key)

    def meters(self) -> tuple[Meter, ...]:
        """Return every meter, also those whose objects are gone."""
        with self._read() as connection:
            return registry.all_meters(connection)

    def meter_deleted(self, meter_id: int, now_ms: int) -> None:
        """Note that the object is gone; its cycles still end with their reports."""
        with self._write(now_ms) as connection:
            registry.delete_meter(connection, meter_id, now_ms)

    def keep_terms(
        self,
        meter_id: int,
        terms: Terms,
        now_ms: int,
        *,
        licensed: Subscribed | None = None,
    ) -> Meter:
        """Keep verified terms; other ones than before act from the end of the running cycle on.

        So does another subscription; another licence of the same one acts at once.
        """
        with self._write(now_ms) as connection:
            return registry.keep_terms(connection, meter_id, terms, now_ms, licensed)

    def ensure_cycle(self, meter_id: int, cycle: Cycle, now_ms: int) -> CycleRecord:
        """Return the record of a cycle, created Open if absent."""
        with self._write(now_ms) as connection:
            return registry.cycle_record(registry.ensure_cycle(connection, meter_id, cycle))

    def cycles(self, meter_id: int, limit: int = 14) -> tuple[CycleRecord, ...]:
        """Return the newest cycles, newest first."""
        with self._read() as connection:
            return registry.newest_cycles(connection, meter_id, limit)

    def unfinished_cycles(self, meter_id: int) -> tuple[CycleRecord, ...]:
        """Return the cycles that are not Final, oldest first."""
        with self._read() as connection:
            return registry.unfinished_cycles(connection, meter_id)

    # --- polls -----------------------------------------------------------------------------------

    def record_poll(self, poll: PollRecord, now_ms: int) -> bool:
        """Make one poll durable: facts of all its cycles, closed words, coverage, source status.

        Also the position of an event log. Cycles that have no record yet are created Open. Facts
        for a cycle whose facts were deleted are dropped.

        Returns:
            False: it would have closed a cycle and contradicts what is declared, so that it decides
            nothing, and the next one does (MEASUREMENT §3.10).

        Raises:
            Stalled: ``PseudonymKeyChanged``: facts made with another key than the cycle's.
        """
        with self._write(now_ms) as connection:
            return polls.record_poll(connection, poll)

    def refuted(self, meter_id: int) -> tuple[Refutation, ...]:
        """Return what the products' answers refuted of what is declared, until that changes."""
        with self._read() as connection:
            return refutations.refuted(connection, meter_id)

    def store_states(self, meter_id: int, cycle: Cycle) -> dict[StoreKey, StoreState]:
        """Return what is known of every store of a cycle: where its next poll goes on from."""
        with self._read() as connection:
            return polls.store_states(connection, meter_id, cycle)

    def closed_words(self, meter_id: int, cycle: Cycle) -> dict[StoreKey, int]:
        """Return the closed word of every store of a cycle."""
        states = self.store_states(meter_id, cycle)
        return {store: state.closed for store, state in states.items()}

    def source_statuses(self, meter_id: int) -> dict[str, SourceStatus]:
        """Return the status of each source that was ever polled."""
        with self._read() as connection:
            return polls.source_statuses(connection, meter_id)

    # --- statements ------------------------------------------------------------------------------

    def statement(
        self,
        meter_id: int,
        cycle: Cycle,
        *,
        sources: Sequence[DeclaredSource],
        combine: Combine = Combine.UNION,
        as_of_ms: int | None = None,
    ) -> CycleStatement:
        """Return what can be stated about a cycle from the facts held.

        Args:
            meter_id: The meter.
            cycle: The cycle.
            sources: Every source declared now. Stores of sources no longer declared count too.
            combine: How the sources belong together.
            as_of_ms: End of the time stated; None: the end of the newest poll that succeeded,
                rounded up, plus its skew (the cycle's start without one), at most the cycle's end.
                Pass ``cycle.end_ms`` for a cycle that has ended.
        """
        with self._read() as connection:
            return make_statement(connection, meter_id, cycle, sources, combine, as_of_ms)

    def begin_close(
        self,
        meter_id: int,
        cycle: Cycle,
        *,
        reason: str,
        statement: CycleStatement,
        now_ms: int,
        rules_digest: str | None = None,
    ) -> ClosingIntent:
        """Decide durably that a cycle is closed now, and with what; an earlier decision stands.

        Later evidence is taken under the same rules only: those of the cycle's polls, or
        ``rules_digest`` where there was none.
        """
        with self._write(now_ms) as connection:
            return closing.begin_close(
                connection, meter_id, cycle, reason, statement, now_ms, rules_digest
            )

    def mark_closing(self, meter_id: int, cycle: Cycle, now_ms: int) -> CycleRecord:
        """Move a cycle that has ended from Open to Closing."""
        with self._write(now_ms) as connection:
            return closing.mark_closing(connection, meter_id, cycle)

    def close_cycle(
        self,
        meter_id: int,
        cycle: Cycle,
        now_ms: int,
        *,
        chain: ReportChain | None = None,
        sign: Callable[[ReportDraft], SignedDocument] | None = None,
        first_attempt_ms: int | None = None,
        awaiting_approval: bool = False,
    ) -> OutboxItem | None:
        """Make a cycle Final as its intent says: statement, report, outbox row in one transaction.

        Idempotent: a cycle that is Final already returns its report as it was signed. Without
        ``chain`` and ``sign`` (no licence) the cycle is closed without a report.

        Args:
            meter_id: The meter.
            cycle: The cycle; ``begin_close`` has been called for it.
            now_ms: The time.
            chain: Chain of the report.
            sign: Signs the draft; called inside the transaction, at most once per commit, and must
                not call the ledger.
            first_attempt_ms: When the report is due for sending; None: now.
            awaiting_approval: Start as AwaitingApproval instead of Pending.

        Raises:
            ValueError: No intent was recorded, or a cycle before it is not Final.
        """
        signing = None
        if chain is not None and sign is not None:
            signing = _signing(chain, sign, now_ms, first_attempt_ms, awaiting_approval)
        with self._write(now_ms) as connection:
            return closing.close_cycle(connection, meter_id, cycle, now_ms, signing)

    def add_interim(
        self,
        meter_id: int,
        slot: int,
        statement: CycleStatement,
        now_ms: int,
        *,
        chain: ReportChain,
        sign: Callable[[ReportDraft], SignedDocument],
        first_attempt_ms: int | None = None,
        awaiting_approval: bool = False,
    ) -> OutboxItem | None:
        """Sign and keep the interim report of a slot; None if that slot or a later one has one."""
        signing = _signing(chain, sign, now_ms, first_attempt_ms, awaiting_approval)
        with self._write(now_ms) as connection:
            return closing.add_interim(connection, meter_id, slot, statement, now_ms, signing)

    def replace_final(
        self,
        meter_id: int,
        cycle: Cycle,
        now_ms: int,
        *,
        chain: ReportChain,
        sign: Callable[[ReportDraft], SignedDocument],
        first_attempt_ms: int | None = None,
        awaiting_approval: bool = False,
    ) -> OutboxItem | None:
        """Sign the decided statement of a Final cycle once more, dated now.

        Only in place of a final with a signed ``Rejected``, which holds its place in the chain and
        does not count as final (REPORT_FORMAT §6 rule 4).

        Returns:
            The new report; None if the cycle's newest final is no such one of this chain, or if the
            report would be dated before the end of the cycle.
        """
        signing = _signing(chain, sign, now_ms, first_attempt_ms, awaiting_approval)
        with self._write(now_ms) as connection:
            return closing.replace_final(connection, meter_id, cycle, now_ms, signing)

    def amend_cycle(
        self,
        meter_id: int,
        cycle: Cycle,
        statement: CycleStatement,
        words: str,
        now_ms: int,
        *,
        chain: ReportChain | None = None,
        sign: Callable[[ReportDraft], SignedDocument] | None = None,
        first_attempt_ms: int | None = None,
    ) -> Amendment | None:
        """State less than before about a Final cycle: statement, report, outbox row at once.

        The report supersedes the cycle's latest final or amendment that the vendor has not refused
        with a signature. A cycle that was closed without a report is amended without one.
        Idempotent: what does not narrow the statement in force changes nothing.

        Args:
            meter_id: The meter.
            cycle: The cycle.
            statement: What is stated from now on, as of the cycle's end.
            words: Both statements, for people.
            now_ms: The time.
            chain: Chain of the report, which must be that of the final.
            sign: Signs the draft; as for ``close_cycle``.
            first_attempt_ms: When the report is due for sending; None: now.

        Returns:
            None if nothing was amended: the cycle is not Final, its facts were deleted, evidence
            contradicts what was stated, or a report is due and cannot be made now.
        """
        signing = None
        if chain is not None and sign is not None:
            signing = _signing(chain, sign, now_ms, first_attempt_ms)
        with self._write(now_ms) as connection:
            return amending.amend_cycle(
                connection, meter_id, cycle, statement, words, now_ms, signing
            )

    def replace_amendment(
        self,
        meter_id: int,
        cycle: Cycle,
        now_ms: int,
        *,
        chain: ReportChain,
        sign: Callable[[ReportDraft], SignedDocument],
        first_attempt_ms: int | None = None,
    ) -> OutboxItem | None:
        """Sign the last amendment of a cycle once more, in place of one refused with a signature.

        Returns:
            The new report; None if the newest amendment was not refused, or the cycle has no report
            in force which it could supersede (its final was refused as well).
        """
        signing = _signing(chain, sign, now_ms, first_attempt_ms)
        with self._write(now_ms) as connection:
            return amending.replace_amendment(connection, meter_id, cycle, now_ms, signing)

    def contradict(
        self, meter_id: int, cycle: Cycle, words: str, now_ms: int
    ) -> Contradiction | None:
        """Keep that evidence lies outside of what was stated about a Final cycle; the first stands.

        The statement stands as well, and the cycle is amended no more.
        """
        with self._write(now_ms) as connection:
            return amending.contradict(connection, meter_id, cycle, words, now_ms)

    # --- outbox ----------------------------------------------------------------------------------

    def add_key_statement(
        self,
        chain_id: str,
        kind: ReportKind,
        sequence: int,
        document: SignedDocument,
        now_ms: int,
        *,
        first_attempt_ms: int | None = None,
    ) -> OutboxItem:
        """Keep a signed key statement for sending; the same position is returned as it is.

        Raises:
            Stalled: ``ReportConflict``: another document holds this position.
        """
        with self._write(now_ms) as connection:
            return outbox.add_key_statement(
                connection, chain_id, kind, sequence, document, now_ms, first_attempt_ms
            )

    def restart_outbox(self, now_ms: int, delay_ms: Callable[[str], int]) -> int:
        """After a restart: Sending is Pending again, due at max(stored, now + delay), 24 h at most.

        Args:
            now_ms: The time.
            delay_ms: Chain id -> 0..60,000, random, so that a fleet does not send at once.

        Returns:
            How many documents were Sending.
        """
        with self._write(now_ms) as connection:
            return outbox.restart(connection, now_ms, delay_ms)

    def claim(
        self, now_ms: int, *, chain_id: str | None = None, lease_ms: int = LEASE_MS
    ) -> OutboxItem | None:
        """Claim the oldest due document, of one chain or of any; None if nothing is due.

        Per chain at most one is in flight, in order of position. Rejected does not hold up later
        ones; Conflict stops the chain; AwaitingApproval holds up what is behind it. Reports wait
        until their key statements are Accepted. The state becomes Sending with a lease;
        ``attempts`` grows.
        """
        with self._write(now_ms) as connection:
            return outbox.claim(connection, now_ms, chain_id, lease_ms)

    def record_result(self, claimed: OutboxItem, result: DeliveryResult, now_ms: int) -> OutboxItem:
        """Record what came of sending a claimed document.

        A verdict (with a receipt) counts even if the lease is over; a temporary failure does not,
        then whoever claimed it since decides. A head acknowledges every report up to it, but for
        explicit verdicts.
        """
        with self._write(now_ms) as connection:
            return outbox.record_result(connection, claimed, result, now_ms)

    def next_due_ms(self) -> int | None:
        """Return when the next document is due or its lease over; None if nothing is waiting."""
        with self._read() as connection:
            return outbox.next_due_ms(connection)

    def resend(self, now_ms: int, *, meter_id: int | None = None) -> int:
        """Make everything undelivered due now, Rejected too (settings or licence changed, request).

        Returns:
            How many documents became due.
        """
        with self._write(now_ms) as connection:
            return outbox.resend(connection, now_ms, meter_id)

    def route(self, meter_id: int) -> str | None:
        """Return the route of a meter as `resend_if_rerouted` last kept it; None before that."""
        with self._read() as connection:
            return outbox.route_of(connection, meter_id)

    def resend_if_rerouted(self, meter_id: int, route: str, now_ms: int) -> int:
        """Make everything undelivered of a meter due, if what delivery depends on has changed.

        The route is kept, so that what changes with a restart (settings, an upgrade) counts too;
        the first one of a meter changes nothing (REPORT_FORMAT §10).

        Args:
            meter_id: The meter.
            route: Digest of licence, keys, the vendor's address and the operator's version; at most
                64 characters.
            now_ms: The time.

        Returns:
            How many documents became due.
        """
        with self._read() as connection:
            if outbox.route_of(connection, meter_id) == route:
                return 0
        with self._write(now_ms) as connection:
            return outbox.reroute(connection, meter_id, route, now_ms)

    def resend_key_statements(self, key_chain_id: str, now_ms: int) -> None:
        """Send all key statements again (the vendor answered ``KeyUnknown``)."""
        with self._write(now_ms) as connection:
            outbox.resend_key_statements(connection, key_chain_id, now_ms)

    def reports(
        self, meter_id: int, *, limit: int | None = None, interims: int | None = None
    ) -> tuple[OutboxItem, ...]:
        """Return the reports of a meter, newest first.

        Args:
            meter_id: The meter.
            limit: At most so many.
            interims: Leave out accepted interims but the newest so many; None: leave out none.
        """
        with self._read() as connection:
            return issued.reports_of(connection, meter_id, limit, interims)

    def key_statements(self, key_chain_id: str) -> tuple[OutboxItem, ...]:
        """Return the key statements of a chain by position."""
        with self._read() as connection:
            return issued.documents_of(connection, key_chain_id)

    def document(self, jti: str) -> OutboxItem | None:
        """Return one document by name."""
        with self._read() as connection:
            return issued.find(connection, jti)

    def chain(self, chain_id: str) -> ChainState:
        """Return a chain as both ends see it; an empty one if it is not known."""
        with self._read() as connection:
            return chains.chain_state(connection, chain_id)

    def stop_chain(
        self, chain_id: str, reason: str, now_ms: int, *, key_chain_id: str | None = None
    ) -> None:
        """Sign and send nothing more of a chain until a person decides (REPORT_FORMAT §11).

        Args:
            chain_id: The chain; it need not be known.
            reason: `HISTORY_LOST` or `FORKED`; the first one stands.
            now_ms: The time.
            key_chain_id: For reports, the chain of the key statements; for those, None.
        """
        if self.chain(chain_id).stopped is None:
            with self._write(now_ms) as connection:
                chains.stop_chain(connection, chain_id, key_chain_id, reason)

    def outbox_counts(self) -> dict[str, int]:
        """Return state -> number of documents."""
        with self._read() as connection:
            return issued.counts(connection)

    # --- care ------------------------------------------------------------------------------------

    def delete_expired_facts(self, now_ms: int, *, cycles: int = 3) -> int:
        """Delete facts about users of cycles that have been Final for ``cycles`` cycle lengths.

        Counts, statements, tokens and receipts stay. Returns how many cycles were wiped.
        """
        with self._write(now_ms) as connection:
            return polls.wipe_expired(connection, now_ms, cycles)

    @contextmanager
    def _write(self, now_ms: int) -> Iterator[Connection]:
        """One transaction, which also makes ``now_ms`` durable."""
        with (
            self._one_at_a_time,
            self._database.errors(),
            self._database.engine.begin() as connection,
        ):
            yield connection
            registry.raise_high_water(connection, now_ms)

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with (
            self._one_at_a_time,
            self._database.errors(),
            self._database.engine.connect() as connection,
        ):
            yield connection


def _signing(
    chain: ReportChain,
    sign: Callable[[ReportDraft], SignedDocument],
    now_ms: int,
    first_attempt_ms: int | None,
    awaiting_approval: bool = False,
) -> Signing:
    """Return how a report is signed; it is due for sending now if nothing else is said."""
    due_ms = now_ms if first_attempt_ms is None else first_attempt_ms
    return Signing(chain, sign, due_ms, awaiting_approval)
