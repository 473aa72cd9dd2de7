"""What a sender keeps about a document that it must deliver: the states of REPORT_FORMAT §10.

    AwaitingApproval -> Pending -> Sending -> Accepted | Rejected | Conflict
    Sending -- temporary failure, lease over, restart --> Pending

Here are only the types, since two neighbours need them: the ledger stores them, ``delivery`` decides
them. Times are milliseconds since 1970 UTC.
"""

from dataclasses import dataclass
from enum import StrEnum

from licenseusage.reports.names import Link

LEASE_MS = 60_000
"""How long a document stays ``Sending`` before anybody may take it for ``Pending`` again."""


class DeliveryState(StrEnum):
    """Where a document stands; only a verified receipt leads to the last three for good."""

    AWAITING_APPROVAL = "AwaitingApproval"
    PENDING = "Pending"
    SENDING = "Sending"
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    CONFLICT = "Conflict"


@dataclass(frozen=True, slots=True)
class Queued:
    """A document as the outbox hands it to whoever sends it.

    Attributes:
        jti: Names the position, hence the document; also its path at the vendor's endpoint.
        chain_id: The chain of reports, or of key statements.
        sequence: Position in that chain, from 1.
        token: The document, exactly as signed.
        attempts: How often it was sent before.
        first_failure_ms: When its present row of failures began; None: none so far.
    """

    jti: str
    chain_id: str
    sequence: int
    token: str
    attempts: int = 0
    first_failure_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one attempt has led to; the outbox writes all of it in one transaction.

    Attributes:
        jti: The document that was sent.
        chain_id: Its chain.
        state: Its new state.
        reason: Why: ``Accepted`` or an error class; a Token.
        message: For people; holds nothing of the answer's body.
        at_ms: When the answer came.
        attempts: How often it has been sent now.
        first_failure_ms: When the present row of failures began; None after an acceptance.
        next_attempt_ms: When it is due again; None: never by itself (a signed verdict).
        receipt: The verified receipt's token, if there was one; ``received_at_ms`` and
            ``findings`` are its claims.
        acknowledged: The vendor's head, if it is ours: every document up to it without a verdict
            of its own becomes ``Accepted``, so that lost receipts heal themselves.
        resend: First and last position (both included) that the vendor lacks: those ``Accepted``
            become ``Pending``, due at once. The last may lie beyond what is held.
        stopped: The chain must not be continued (``LocalHistoryLost``, ``ChainForked``), §11.
        warning: A note for people that stops nothing (``VendorHeadRegressed``).
    """

    jti: str
    chain_id: str
    state: DeliveryState
    reason: str
    message: str
    at_ms: int
    attempts: int
    first_failure_ms: int | None
    next_attempt_ms: int | None
    receipt: str | None = None
    received_at_ms: int | None = None
    findings: tuple[str, ...] = ()
    acknowledged: Link | None = None
    resend: tuple[int, int] | None = None
    stopped: str | None = None
    warning: str | None = None
