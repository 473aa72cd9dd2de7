"""Meters, cycles and polls, as they go into the ledger and come out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from licenseusage.errors import Failure
from licenseusage.metering.counts import Counts
from licenseusage.metering.cycles import Cycle, Grid, grid_at
from licenseusage.metering.events import Event, LogReading, Range
from licenseusage.metering.facts import Facts
from licenseusage.metering.properties import Properties
from licenseusage.metering.statement import CycleStatement
from licenseusage.metering.stores import StoreKey


class MeterKey(NamedTuple):
    """Identity of a meter: deleting and re-applying the object continues the same meter."""

    namespace: str
    name: str
    product: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The licence that terms come from; the ledger keeps it and does not read it.

    Attributes:
        subscription: Name of the contract, the same for all its licences and for no others.
        token: The licence, exactly as signed.
    """

    subscription: str
    token: str


@dataclass(frozen=True, slots=True)
class Meter:
    """One LicenseUsage and product, with the last verified terms.

    Attributes:
        id: The ledger's own number.
        key: Namespace, name, product.
        grids: Verified terms and since when each applies, ascending; empty: no cycle to count in.
        subscription: Of the last verified licence; None without one.
        licenses: Subscription -> the last verified licence of it, exactly as signed.
        deleted_ms: When the object was found deleted; None while it exists.
        approval: Whether its reports wait for a person's approval, as its spec said last.
        days_dropped: Whether cycles that begin keep of nobody on which days, likewise.
    """

    id: int
    key: MeterKey
    grids: tuple[Grid, ...] = ()
    subscription: str | None = None
    licenses: Mapping[str, str] = field(default_factory=dict)
    deleted_ms: int | None = None
    approval: bool = False
    days_dropped: bool = False

    @property
    def license_token(self) -> str | None:
        """The last verified licence; None without one."""
        return None if self.subscription is None else self.licenses[self.subscription]

    def license_of(self, cycle: Cycle) -> str | None:
        """Return the licence that a cycle is reported under; None: it began under none."""
        grid = grid_at(self.grids, cycle.start_ms)
        if grid is None or grid.subscription is None or grid.terms.at(cycle.start_ms) != cycle:
            return None
        return self.licenses[grid.subscription]


@dataclass(frozen=True, slots=True)
class Companion:
    """Another meter that counts the same product under the same contract.

    Attributes:
        key: Namespace, name, product.
        deleted_ms: When its object was found deleted; None while it exists.
        cycle: A cycle that both of them report.
    """

    key: MeterKey
    deleted_ms: int | None
    cycle: Cycle


class CycleState(StrEnum):
    """Open until the end, Closing until every source's closing poll or the grace, then Final."""

    OPEN = "Open"
    CLOSING = "Closing"
    FINAL = "Final"


@dataclass(frozen=True, slots=True)
class ClosingIntent:
    """The decision to close a cycle, durable before its effects: a resumed close repeats it.

    Attributes:
        at_ms: When it was decided; the time of the final report.
        reason: Why now: ``ClosingPolls`` or ``GraceOver``.
        statement: What is stated; facts that arrive later do not change it.
        clock_high_water_ms: Latest durable time when it was decided.
    """

    at_ms: int
    reason: str
    statement: CycleStatement
    clock_high_water_ms: int


@dataclass(frozen=True, slots=True)
class Amendment:
    """A later statement about a Final cycle, which narrows the one before.

    Attributes:
        at_ms: When it was made.
        reason: ``NewEvidence``.
        words: Both statements, for people.
        statement: What is stated since.
    """

    at_ms: int
    reason: str
    words: str
    statement: CycleStatement


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Evidence outside the bounds of a Final cycle's statement; the statement is kept.

    Attributes:
        at_ms: When it was found.
        words: Both statements and the declared property that is false, for people.
    """

    at_ms: int
    words: str


@dataclass(frozen=True, slots=True)
class CycleRecord:
    """A cycle of a meter, as the ledger knows it.

    Attributes:
        meter_id: The meter.
        cycle: Index, start, end.
        state: Open, Closing or Final.
        intent: The decision to close, None before.
        statement: The final statement, None before.
        closed_ms: When it became Final.
        interim_slot: Newest slot of the interim grid for which a report was made; None: none yet.
        pseudonym_key_id: Key id of its pseudonyms; None before its first facts.
        rules_digest: Digest of the rules of the newest poll.
        rules_changes: How often the rules changed in this cycle.
        backward_steps: Clock steps in this cycle.
        forward_steps: Clock steps in this cycle.
        largest_step_seconds: Greatest step, absolute.
        wiped: The facts were deleted after their retention; later facts are refused.
        sealed: Somebody was erased from the Final cycle; later facts are refused.
        evidence: How often something came to be known after the decision to close: what to compare
            with the statement, if it has grown.
        amendments: Statements after the final, in order.
        contradiction: Evidence outside of what was stated; None: there is none.
    """

    meter_id: int
    cycle: Cycle
    state: CycleState
    intent: ClosingIntent | None = None
    statement: CycleStatement | None = None
    closed_ms: int | None = None
    interim_slot: int | None = None
    pseudonym_key_id: str | None = None
    rules_digest: str | None = None
    rules_changes: int = 0
    backward_steps: int = 0
    forward_steps: int = 0
    largest_step_seconds: int = 0
    wiped: bool = False
    sealed: bool = False
    evidence: int = 0
    amendments: tuple[Amendment, ...] = ()
    contradiction: Contradiction | None = None

    @property
    def stated(self) -> CycleStatement | None:
        """The statement in force: the last amendment's, else the one decided on; None before."""
        if self.amendments:
            return self.amendments[-1].statement
        return self.intent.statement if self.intent is not None else None


@dataclass(frozen=True, slots=True)
class PollRecord:
    """One poll of one source, successful or not, to be made durable in one transaction.

    Attributes:
        meter_id: The meter.
        store: Source and identity domain of the facts.
        properties: As declared for this poll.
        interval_ms: The source's effective interval.
        started_ms: Start of the poll.
        ended_ms: End of the poll.
        clock_skew_ms: k of this poll.
        complete: The listing was complete, so that the poll may close windows.
        facts: Cycle -> facts, for every cycle that the poll was about; with another key of the
            pseudonyms the cycle's facts are refused (``PseudonymKeyChanged``). Of a cycle that had
            not begun only the roster is kept.
        pseudonym_key_id: Key id of the pseudonyms in ``facts``.
        replaced_key_id: Id of the key that was lost, where an administrator put this one in its
            place: a cycle counted under that one goes on under this one.
        rules_digest: Digest of the sources' effective rules.
        selection: Digest of what decides who counts in this source. Where it changes within a
            cycle, facts of before and after are about two segments (MEASUREMENT §7); None: not
            told.
        since: Cycle -> since when that selection applies, for cycles of ``facts`` in which it did
            not from the start: the facts are about the segment from then on. Others are dropped.
        declaration: Digest of what is declared of the source: what was refuted of another one is
            forgotten.
        listing: Digest of what decides who is listed, counted or not; None: not told.
        incomplete: Why a poll without failure was not complete (Token); None: it was.
        failure: None: the poll succeeded. A failed poll's rows count, and it proves nothing.
        listed: Users listed, of this poll.
        counted: Users active in the newest cycle, of this poll.
        skipped: Users skipped, by reason.
        provisioned: Users provisioned, None where unknown.
        size_bytes: Bytes received.
        readings: Event logs: cycle -> what was read of the log, for cycles of ``facts``. A reading
            that does not go on from the position held leaves only who was seen.
        samples: Bare numbers: cycle -> the samples of this poll, for cycles of ``facts``.
        pushed: Pushed sources: what their producers have proved, for the cycles of ``facts``.
        observed: It tells that the source was observed now; a push of one producer does not, where
            others are silent.
        one_log: As of ``PollResult``.
    """

    meter_id: int
    store: StoreKey
    properties: Properties
    interval_ms: int
    started_ms: int
    ended_ms: int
    clock_skew_ms: int
    complete: bool
    facts: Mapping[Cycle, Facts]
    pseudonym_key_id: str
    replaced_key_id: str | None = None
    rules_digest: str | None = None
    selection: str | None = None
    since: Mapping[Cycle, int] = field(default_factory=dict)
    declaration: str = ""
    listing: str | None = None
    incomplete: str | None = None
    failure: Failure | None = None
    listed: int | None = None
    counted: int | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)
    provisioned: int | None = None
    size_bytes: int | None = None
    readings: Mapping[Cycle, LogReading] = field(default_factory=dict)
    pushed: "Pushed | None" = None
    samples: Mapping[Cycle, Counts] = field(default_factory=dict)
    observed: bool = True
    one_log: bool | None = None


@dataclass(frozen=True, slots=True)
class Pushed:
    """What the producers of a source have proved, after some of their requests.

    Attributes:
        producers: Those declared.
        claims: Producer -> stretches of time that its chains of these requests prove.
        heard_until_ms: Up to when each of them has sent a heartbeat; None: one has sent none.
    """

    producers: tuple[str, ...]
    claims: Mapping[str, tuple[Range, ...]]
    heard_until_ms: int | None


@dataclass(frozen=True, slots=True)
class PushedRequest:
    """One request of a producer, to be answered once it is durable.

    Attributes:
        producer: The CloudEvents attribute ``source``; kept only where it is declared.
        given: The receipt that it brings along; None: it begins a chain.
        receipt: The one that answers it.
        through_ms: Its heartbeat, at most now; None: it has none.
        events: Cycle -> its events, under the pseudonyms of that cycle.
    """

    producer: str
    given: str | None
    receipt: str
    through_ms: int | None
    events: Mapping[Cycle, tuple[Event, ...]]


@dataclass(frozen=True, slots=True)
class PushRecord:
    """Requests for one source, in the order in which they came.

    Attributes:
        poll: What is recorded, without facts; its times are when the requests came.
        producers: Those declared; empty: it is not declared which there are.
        cycles: Cycles that heartbeats may tell something about.
        requests: The requests.
    """

    poll: PollRecord
    producers: tuple[str, ...]
    cycles: tuple[Cycle, ...]
    requests: tuple[PushedRequest, ...]


@dataclass(frozen=True, slots=True)
class LastPolls:
    """What is known of a source's last polls; the figures are those of the last success.

    Attributes:
        source: Name of the source.
        last_attempt_ms: Start of the last attempt.
        last_attempt_ended_ms: End of the last attempt.
        last_success_ms: End of the last success.
        last_duration_ms: Duration of the last success.
        last_complete_duration_ms: Duration of the last poll that was complete.
        clock_skew_ms: k of the last attempt.
        size_bytes: Bytes received.
        listed: Users listed.
        counted: Users active in the newest cycle.
        skipped: Users skipped, by reason.
        provisioned: Users provisioned, None where unknown.
        failure: Of the last attempt, None if it succeeded.
        failures: Attempts that failed in a row.
        failing_since_ms: Start of the first of these.
    """

    source: str
    last_attempt_ms: int | None = None
    last_attempt_ended_ms: int | None = None
    last_success_ms: int | None = None
    last_duration_ms: int | None = None
    last_complete_duration_ms: int | None = None
    clock_skew_ms: int | None = None
    size_bytes: int | None = None
    listed: int | None = None
    counted: int | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)
    provisioned: int | None = None
    failure: Failure | None = None
    failures: int = 0
    failing_since_ms: int | None = None
