"""The sender's view of a ledger: what it reads there, and what it writes.

The ledger keeps the documents and their states (REPORT_FORMAT §10); here is the sender's view of
it, which the controller joins to the ledger's own. Synchronous, each method one transaction; the
sender calls them on the ledger's thread. Times are milliseconds since 1970 UTC.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from licenseusage.metering.cycles import Cycle
from licenseusage.reports.names import Link


class DeliveryState(StrEnum):
    """The state of a document after an attempt; only a verified receipt ends the sending."""

    PENDING = "Pending"
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    CONFLICT = "Conflict"


@dataclass(frozen=True, slots=True)
class Queued:
    """A document that was claimed for sending.

    Attributes:
        jti: Names the position, hence the document; also its path at the vendor's endpoint.
        chain_id: The chain of reports, or of key statements.
        sequence: Position in that chain, from 1.
        token: The document, exactly as signed.
        attempt: Number of this attempt, from 1.
        receipted: The vendor has signed for it before, and it is sent again.
        cycle: What it is about; None: a key statement.
    """

    jti: str
    chain_id: str
    sequence: int
    token: str
    attempt: int
    receipted: bool = False
    cycle: Cycle | None = None


@dataclass(frozen=True, slots=True)
class ChainView:
    """The vendor's receipts about a chain so far.

    Attributes:
        acknowledged: Sequence of the highest verified head; 0: none.
        vendor_time_ms: ``receivedAt`` of the newest verified receipt; None: none.
    """

    acknowledged: int = 0
    vendor_time_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """The result of one attempt; the outbox writes all of it in one transaction.

    Attributes:
        state: The document's new state.
        reason: ``Accepted``, an error class, or a transport reason; a Token.
        message: For people; holds nothing of the answer's body.
        next_attempt_ms: When it is due again; None: never by itself (a signed verdict).
        receipt: The verified receipt's token, if there was one.
        received_ms: The receipt's ``receivedAt``.
        findings: The receipt's.
        acknowledged: The vendor's head, if it is a document of ours: everything up to it that has
            no signed verdict of its own becomes ``Accepted``, so that lost receipts heal.
        resend_after: The vendor lacks what follows this position: every *other* ``Accepted``
            document behind it becomes ``Pending`` again, due at ``resend_ms``.
        resend_ms: See there.
        stopped: ``LocalHistoryLost`` or ``ChainForked``: nothing more of this chain may be claimed
            or signed until a person decides (REPORT_FORMAT §11).
        warning: ``VendorHeadRegressed``: for people, stops nothing.
    """

    state: DeliveryState
    reason: str
    message: str
    next_attempt_ms: int | None
    receipt: str | None = None
    received_ms: int | None = None
    findings: tuple[str, ...] = ()
    acknowledged: Link | None = None
    resend_after: int | None = None
    resend_ms: int | None = None
    stopped: str | None = None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A document that was sent, the result, and the host that received it."""

    queued: Queued
    settlement: Settlement
    host: str


class Outbox(Protocol):
    """The durable queue of key statements and reports, by chain."""

    def claim(self, chain_id: str, now_ms: int) -> Queued | None:
        """Take the document of this chain that must be sent now, for 60 s; None: nothing is due.

        The oldest ``Pending`` one if it is due, or one whose lease is over; else a ``Rejected`` one
        whose unsigned verdict is due again. Reports wait for their key statements, for what awaits
        approval before them, and for whatever stopped the chain.
        """
        ...

    def chain(self, chain_id: str) -> ChainView:
        """Return the vendor's receipts about a chain."""
        ...

    def held_digest(self, chain_id: str, sequence: int) -> str | None:
        """Return the digest of our own document at a position; None: we hold none."""
        ...

    def settle(self, queued: Queued, settlement: Settlement, now_ms: int) -> None:
        """Write the result of one attempt and its consequences for the chain.

        A verdict counts even if the lease is over; a temporary failure then does not.
        """
        ...

    def put_again(self, key_chain_id: str, now_ms: int) -> None:
        """Make every key statement of a chain ``Pending``, due now: the vendor does not know us."""
        ...
