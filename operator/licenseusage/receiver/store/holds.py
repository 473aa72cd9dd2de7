"""What a write transaction keeps from all others, from its first read to its end.

SQLite has one write lock, so that there every transaction holds everything. PostgreSQL's are
advisory locks of the transaction: they end with it, whatever becomes of the process, and they need
nothing of the session (a pooler may give each transaction another one).
https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS

Who holds more than one takes them in the order register, chain, evidence: nobody waits in a circle.
"""

import hashlib
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Hold:
    """The locks that a transaction begins with, as numbers.

    Attributes:
        shared: Held by any number of transactions together; None: nothing.
        alone: Held by one, and by nobody as shared; None: nothing.
    """

    shared: int | None = None
    alone: int | None = None

    @classmethod
    def chain(cls, chain_id: str) -> Self:
        """A chain; keys and licences, which judge its documents, stay as they are meanwhile."""
        return cls(_REGISTER, lock_of("chain", chain_id))

    @classmethod
    def register(cls) -> Self:
        """Keys, enrolments and licences, and with them every chain: they judge all of them."""
        return cls(alone=_REGISTER)

    @classmethod
    def probe(cls) -> Self:
        """The one row that shows whether anything can be stored."""
        return cls(alone=lock_of("probe"))

    @classmethod
    def schema(cls) -> Self:
        """The tables: several replicas start at once, and one of them makes or changes them."""
        return cls(alone=_REGISTER)


def lock_of(*names: str) -> int:
    """Return the number of what is named: 64 bits, signed, as PostgreSQL takes it.

    Two names of one number would only wait for each other.
    """
    name = "\0".join(("licenseusage receiver", *names))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


_REGISTER = lock_of("register")
