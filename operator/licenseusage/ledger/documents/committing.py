"""The commitment of a report: a digest of whom it counted, with a salt (REPORT_FORMAT §5).

Made in the transaction that signs the report, from the facts as they are then: a set of exactly as
many users with proof of activity as are stated. Salt and set are kept beside the report as long as
the cycle's facts. Functions of an open transaction.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from licenseusage.ledger.documents.records import Committing
from licenseusage.ledger.facts.counting import counted_users
from licenseusage.ledger.facts.statements import judged_stores
from licenseusage.ledger.storage.schema import commitments
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.pseudonym import SIZE
from licenseusage.metering.statement import CycleStatement
from licenseusage.reports.names import commitment_to

SALT_BYTES = 32
_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Commitment:
    """Whom a report counted.

    Attributes:
        salt: 32 random octets, of this report alone.
        users: Their pseudonyms, packed (``metering.packing``).
    """

    salt: bytes
    users: bytes

    @property
    def digest(self) -> str:
        """The claim ``commitment``."""
        return commitment_to(self.salt, self.users)


def commit(
    connection: Connection, row: Row[Any], statement: CycleStatement, committing: Committing
) -> Commitment | None:
    """Return the commitment of a statement about a cycle that has ended.

    None: the ledger does not hold exactly the users that are stated: ids may be renamed, facts were
    lost or deleted, somebody was erased, or the sources contradict each other. Of several identity
    domains it is those of the greatest one, which the lower bound counts.
    """
    stated = statement.bounds.active_users
    if stated is None or row.wiped or row.sealed:
        return None
    cycle = Cycle(row.cycle_index, row.start_ms, row.end_ms)
    for group in judged_stores(connection, row.meter_id, cycle, committing.sources, cycle.end_ms):
        stores = [counted for _, counted in group if counted is not None]
        if not stores or not group[0][0].stable:
            continue
        users = bytearray()
        query = counted_users(stores, committing.combine).execution_options(yield_per=_BATCH)
        with connection.execute(query) as rows:
            for (user,) in rows:
                users += user
        if len(users) == SIZE * stated:
            return Commitment(committing.random_bytes(SALT_BYTES), bytes(users))
    return None


def keep_commitment(
    connection: Connection, jti: str, cycle_id: int, commitment: Commitment
) -> None:
    """Keep what a signed report commits to."""
    connection.execute(
        insert(commitments).values(
            jti=jti, cycle_id=cycle_id, salt=commitment.salt, users=commitment.users
        )
    )


def commitment_of(connection: Connection, jti: str) -> Commitment | None:
    """Return what a report commits to; None: it has no commitment, or that was deleted."""
    row = connection.execute(select(commitments).filter_by(jti=jti)).one_or_none()
    return None if row is None else Commitment(row.salt, row.users)
