"""What the sender needs of a ledger.

Synchronous, each method one transaction; the sender calls them on the ledger's own thread.
"""

from typing import Protocol

from licenseusage.reports.sending import Queued, Settlement


class Outbox(Protocol):
    """The durable queue of key statements and reports, by chain."""

    def claim(self, chain_id: str, now_ms: int) -> Queued | None:
        """Take the document of this chain that must be sent now, as ``Sending`` for ``LEASE_MS``.

        The oldest ``Pending`` one, if it is due (``next_attempt_ms <= now_ms``) and nothing older
        awaits approval; else the oldest ``Rejected`` one whose unsigned verdict is due again. A
        ``Sending`` one whose lease is over counts as ``Pending``. None if there is no such document,
        one is in flight, or the chain is stopped: by a ``Conflict``, or by a settlement's ``stopped``.
        """
        ...

    def digest_at(self, chain_id: str, sequence: int) -> str | None:
        """Return the digest of our own document at a position; None: we hold none."""
        ...

    def acknowledged_sequence(self, chain_id: str) -> int:
        """Return the highest head of the vendor that was verified; 0: none."""
        ...

    def settle(self, settlement: Settlement) -> None:
        """Write the result of one attempt and what it means for the chain, in one transaction."""
        ...

    def all_accepted(self, chain_id: str) -> bool:
        """Whether the chain holds documents and all of them are ``Accepted``."""
        ...

    def put_again(self, chain_id: str, now_ms: int) -> None:
        """Make every document of a chain of key statements ``Pending``, due at ``now_ms``."""
        ...

    def due_now(self, chain_id: str, jti: str, now_ms: int) -> None:
        """Make one ``Pending`` document due at ``now_ms``."""
        ...

    def next_due_ms(self, chain_id: str) -> int | None:
        """Return when ``claim`` may next find something; None: nothing until something changes."""
        ...
