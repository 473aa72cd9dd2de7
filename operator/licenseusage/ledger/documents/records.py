"""Signed documents and their chains, as they go into the ledger and come out of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from licenseusage.ledger.records import (
    Companion,
    CycleRecord,
    LastPolls,
    Meter,
)
from licenseusage.metering.combine import Combine
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.refuting import Refutation
from licenseusage.metering.statement import CycleStatement
from licenseusage.metering.stores import DeclaredSource, StoreKey, StoreState
from licenseusage.reasons import Reason
from licenseusage.reports.names import Link
from licenseusage.reports.receipt import Receipt, ReceiptVerdict
from licenseusage.reports.report import Report

HISTORY_LOST = Reason.LOCAL_HISTORY_LOST
"""Why a chain is stopped: a document of it exists that this ledger does not hold."""
FORKED = Reason.CHAIN_FORKED
"""Why a chain is stopped: another document exists at a position that this ledger holds."""


class Recovery(StrEnum):
    """Why a position of a chain is remembered beside its documents (REPORT_FORMAT §11).

    ``LOST``: a document is known to exist there, and the ledger did not hold it. ``RESUMED``: the
    chain goes on behind it after a loss, so that the next report is ``Restored``. ``ADOPTED``: it
    does so because an administrator named this head; a head is adopted once.
    """

    LOST = "Lost"
    RESUMED = "Resumed"
    ADOPTED = "Adopted"


@dataclass(frozen=True, slots=True)
class ReportChain:
    """The chain that a meter's reports belong to (REPORT_FORMAT §2).

    Attributes:
        id: Report chain id, 32 hex digits.
        key_chain_id: Chain of the key statements that must be receipted before its first report.
    """

    id: str
    key_chain_id: str


class ReportKind(StrEnum):
    """Kinds of documents in the outbox; the last two are key statements."""

    INTERIM = "Interim"
    FINAL = "Final"
    AMENDMENT = "Amendment"
    ENROLMENT = "Enrolment"
    SUCCESSION = "Succession"

    @property
    def is_report(self) -> bool:
        """Whether it is a report rather than a key statement."""
        return self in {ReportKind.INTERIM, ReportKind.FINAL, ReportKind.AMENDMENT}


class Delivery(StrEnum):
    """States of a document in the outbox (REPORT_FORMAT §10)."""

    AWAITING_APPROVAL = "AwaitingApproval"
    PENDING = "Pending"
    SENDING = "Sending"
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    CONFLICT = "Conflict"


@dataclass(frozen=True, slots=True)
class Superseded:
    """The report that an amendment takes the place of.

    Attributes:
        link: Its position and digest.
        reason: ``NewEvidence``.
        note: Both statements in a few words, at most 256 characters.
    """

    link: Link
    reason: str
    note: str


@dataclass(frozen=True, slots=True)
class ReportDraft:
    """Everything the ledger adds to a report; what it is signed from, read in the same transaction.

    Attributes:
        kind: Interim, Final or Amendment.
        chain_id: Its chain.
        sequence: Its position, from 1.
        previous: Digest of the report before, None at 1.
        continuity: ``Start`` at 1, ``Restored`` after a loss, else ``Continues``.
        acknowledged: Newest vendor head that was verified.
        at_ms: When it is signed: now, or the time of the closing intent.
        previous_at_ms: When the report before was signed; None at 1.
        statement: What it states.
        clock_high_water_ms: Latest time made durable before.
        vendor_time_ms: ``receivedAt`` of the newest verified receipt.
        record: The cycle: rules and clock steps.
        superseded: For an amendment: what it takes the place of.
        commitment: Digest of whom it counts; None: it has none.
    """

    kind: ReportKind
    chain_id: str
    sequence: int
    previous: str | None
    continuity: str
    acknowledged: Link | None
    at_ms: int
    previous_at_ms: int | None
    statement: CycleStatement
    clock_high_water_ms: int
    vendor_time_ms: int | None
    record: CycleRecord
    superseded: Superseded | None = None
    commitment: str | None = None


@dataclass(frozen=True, slots=True)
class Committing:
    """How users are counted, and where salts come from.

    Attributes:
        sources: As declared.
        combine: How they belong together.
        random_bytes: Returns so many random octets.
    """

    sources: Sequence[DeclaredSource]
    combine: Combine
    random_bytes: Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """A signed token and its names: ``jti``, digest (``sha256:…``), token exactly as signed."""

    jti: str
    digest: str
    token: str


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """A signed document and the state of its delivery.

    Attributes:
        jti: Its name: chain id and position.
        kind: Which kind of report or key statement.
        chain_id: Its chain.
        key_chain_id: For reports: the chain of key statements that goes first. None for those.
        sequence: Position in the chain.
        digest: Of the token.
        token: Exactly as signed.
        meter_id: None for key statements.
        cycle: None for key statements.
        active_text: The number in the report as a column shows it; empty for key statements.
        created_ms: When it was signed.
        state: REPORT_FORMAT §10.
        reason: Of the state: error class or transport reason; empty if none.
        message: For people.
        attempts: Sending attempts so far.
        first_failure_ms: Of the present run of failures; None if none.
        next_attempt_ms: When it is due; None: never by itself.
        lease_until_ms: End of the lease while Sending; names the claim.
        receipt: The verified receipt, exactly as signed.
        accepted_ms: When the vendor received it.
        findings: Of the receipt.
    """

    jti: str
    kind: ReportKind
    chain_id: str
    key_chain_id: str | None
    sequence: int
    digest: str
    token: str
    meter_id: int | None
    cycle: Cycle | None
    active_text: str
    created_ms: int
    state: Delivery
    reason: str = ""
    message: str = ""
    attempts: int = 0
    first_failure_ms: int | None = None
    next_attempt_ms: int | None = None
    lease_until_ms: int | None = None
    receipt: str | None = None
    accepted_ms: int | None = None
    findings: tuple[str, ...] = ()

    @property
    def link(self) -> Link:
        """Position and digest."""
        return Link(self.sequence, self.digest)

    @property
    def refused(self) -> bool:
        """Whether the vendor has refused it with a signature: it is a link and counts for nothing.

        (REPORT_FORMAT §6 rule 4.)
        """
        return self.state is Delivery.REJECTED and self.receipt is not None


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The result of one attempt to send, to be recorded.

    Attributes:
        state: Accepted, Rejected, Conflict, or Pending (try again).
        reason: Error class or transport reason; empty for Accepted.
        message: For people; no response body.
        next_attempt_ms: When to try again; None for Accepted, signed verdicts and Conflict.
        receipt: The verified receipt, None without one.
        received_ms: The receipt's ``receivedAt``.
        findings: Of the receipt.
        head: The vendor's head in the verified receipt, if it names one that the ledger holds.
        resend_after: Re-send every *other* accepted document after this position (the vendor's head
            fell behind); None: nothing to re-send.
        resend_ms: When those are due; None: now.
        stopped: ``LocalHistoryLost`` or ``ChainForked``: nothing of this chain is claimed or signed
            any more until a person decides (REPORT_FORMAT §11); None: it goes on.
    """

    state: Delivery
    reason: str = ""
    message: str = ""
    next_attempt_ms: int | None = None
    receipt: str | None = None
    received_ms: int | None = None
    findings: tuple[str, ...] = ()
    head: Link | None = None
    resend_after: int | None = None
    resend_ms: int | None = None
    stopped: str | None = None


class Held(NamedTuple):
    """Why a report waits for approval.

    Attributes:
        reason: ``AwaitingApproval`` or ``ApprovalMismatch``.
        message: For people.
    """

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ChainState:
    """A chain as both ends see it.

    Attributes:
        id: Chain id.
        head: Newest position held locally; None before the first document.
        acknowledged: Newest head of the vendor that was verified.
        vendor_time_ms: ``receivedAt`` of the newest verified receipt.
        stopped: Why nothing more is sent or signed (``DeliveryResult.stopped``, or a Conflict);
            None: it goes on.
        lost: Documents that are known to exist and were not held, by position.
        resumed: The newest position behind which it went on after a loss; None: it never did.
        adopted: Heads that an administrator named, and that it went on behind.
    """

    id: str
    head: Link | None = None
    acknowledged: Link | None = None
    vendor_time_ms: int | None = None
    stopped: str | None = None
    lost: tuple[Link, ...] = ()
    resumed: Link | None = None
    adopted: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class SetAside:
    """A document of a chain that went on without it.

    Attributes:
        link: Its position and digest.
        token: As signed; None: it is only known to exist.
        receipt: The vendor's verified verdict; None: none is known.
    """

    link: Link
    token: str | None = None
    receipt: str | None = None


@dataclass(frozen=True, slots=True)
class Recovered:
    """A report of ours, found outside of the ledger and verified, to be taken over into it.

    Attributes:
        report: It, with its token.
        receipt: The vendor's verified verdict about it; None: none was found.
    """

    report: Report
    receipt: Receipt | None = None

    @property
    def kind(self) -> ReportKind:
        """Interim, Final or Amendment."""
        return ReportKind(self.report.content.kind.value.capitalize())

    @property
    def refused(self) -> bool:
        """Whether the vendor has refused it with a signature: then it is a link only."""
        return self.receipt is not None and self.receipt.verdict is ReceiptVerdict.REJECTED


@dataclass(frozen=True, slots=True)
class Adoption:
    """The history of a chain that an administrator consented to, by its head (REPORT_FORMAT §11).

    Attributes:
        documents: All of it by position, from 1 to the head; those that are held, too.
        acknowledged: The vendor's newest head; None: none is known.
        others: Reports of the chain that were found and are not in that history.
    """

    documents: tuple[Recovered, ...]
    acknowledged: Link | None = None
    others: tuple[SetAside, ...] = ()

    @property
    def head(self) -> Link:
        """The last of the history."""
        return self.documents[-1].report.envelope.link


@dataclass(frozen=True, slots=True)
class MeterFacts:
    """What the ledger knows of a meter at one moment.

    Attributes:
        meter: The meter.
        clock_high_water_ms: The latest time made durable.
        cycles: Its newest cycles, newest first.
        unfinished: All its cycles that are not Final, oldest first.
        states: Cycle -> what is known of its stores; without cycles whose facts were deleted.
        statuses: Source -> its last polls.
        refuted: What the products' answers refuted of what is declared.
        reports: Its reports, newest first; without older interims that were accepted.
        statements: Key chain -> its key statements by position.
        chains: Chain of reports or of key statements -> both ends of it.
        route: Digest of what delivery depended on last; None before the first.
        companions: Meters that report its newest two cycles for the same product and contract.
        heartbeats: Pushed source -> producer -> its greatest heartbeat, if it has sent any.
    """

    meter: Meter
    clock_high_water_ms: int
    cycles: tuple[CycleRecord, ...]
    unfinished: tuple[CycleRecord, ...]
    states: Mapping[Cycle, Mapping[StoreKey, StoreState]]
    statuses: Mapping[str, LastPolls]
    refuted: tuple[Refutation, ...]
    reports: tuple[OutboxItem, ...]
    statements: Mapping[str, tuple[OutboxItem, ...]]
    chains: Mapping[str, ChainState]
    route: str | None
    companions: tuple[Companion, ...] = ()
    heartbeats: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict)
