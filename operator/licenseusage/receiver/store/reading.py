"""The receiver's queries, within a transaction of either kind."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, or_, select

from licenseusage.receiver.store.rows import (
    Chain,
    Document,
    Installation,
    KeyRow,
    chain_of,
    document_of,
    installation_of,
)
from licenseusage.receiver.store.schema import (
    chains,
    documents,
    installations,
    keys,
    licenses,
    reports,
)
from licenseusage.reports.licence import License, stored_license
from licenseusage.reports.receipt import ReceiptVerdict

_BEYOND = 2**31
"""Higher than any position."""


class Reading:
    """Look-ups; the caller's block is the transaction."""

    def __init__(self, connection: Connection) -> None:
        """Use the connection's open transaction."""
        self._connection = connection

    def document(self, digest: str) -> Document | None:
        """Return the document with these very octets, evidence included."""
        return self._document(select(documents).where(documents.c.digest == digest))

    def at_position(self, chain_id: str, sequence: int) -> Document | None:
        """Return the document that holds a position."""
        return self._document(
            select(documents).where(
                documents.c.chain_id == chain_id,
                documents.c.sequence == sequence,
                documents.c.verdict != ReceiptVerdict.CONFLICT,
            )
        )

    def at_position_and_before(
        self, chain_id: str, sequence: int
    ) -> tuple[Document | None, Document | None]:
        """Return the documents that hold the position before ``sequence``, and that itself."""
        rows = self._connection.execute(
            select(documents).where(
                documents.c.chain_id == chain_id,
                documents.c.sequence.in_((sequence - 1, sequence)),
                documents.c.verdict != ReceiptVerdict.CONFLICT,
            )
        )
        by_position = {row.sequence: document_of(row._asdict()) for row in rows}
        return by_position.get(sequence - 1), by_position.get(sequence)

    def positions_of(
        self, installation: str, subscription: str, *, chain_id: str | None, limit: int
    ) -> list[Document]:
        """Return the documents that hold positions: key statements, then reports by chain.

        Args:
            installation: Whose.
            subscription: Under which contract.
            chain_id: Only this chain of reports, with the key statements; None: every chain.
            limit: At most so many.
        """
        is_report = chains.c.name.is_not(None)
        statement = (
            select(documents)
            .join(chains, chains.c.id == documents.c.chain_id)
            .where(
                chains.c.installation == installation,
                chains.c.subscription == subscription,
                documents.c.verdict != ReceiptVerdict.CONFLICT,
            )
            .order_by(is_report, documents.c.chain_id, documents.c.sequence)
            .limit(limit)
        )
        if chain_id is not None:
            statement = statement.where(or_(~is_report, chains.c.id == chain_id))
        return [document_of(row._asdict()) for row in self._connection.execute(statement)]

    def counted_before(self, chain_id: str, sequence: int) -> Document | None:
        """Return the nearest accepted report before a position: rejected ones are links only."""
        return self._document(
            select(documents)
            .join(reports, reports.c.digest == documents.c.digest)
            .where(reports.c.chain_id == chain_id, reports.c.sequence < sequence)
            .order_by(reports.c.sequence.desc())
            .limit(1)
        )

    def conflicts_of(self, installation: str) -> int:
        """Return how many documents of an installation are kept as evidence of conflicts."""
        count: int = self._connection.execute(
            select(func.count())
            .select_from(documents.join(chains, chains.c.id == documents.c.chain_id))
            .where(
                chains.c.installation == installation,
                documents.c.verdict == ReceiptVerdict.CONFLICT,
            )
        ).scalar_one()
        return count

    def chain(self, chain_id: str) -> Chain:
        """Return a chain that is known to exist."""
        row = self._connection.execute(select(chains).where(chains.c.id == chain_id)).one()
        return chain_of(row._asdict())

    def newest_rank_before(self, chain_id: str, sequence: int) -> int:
        """Return the highest rank of a key that signed a position before ``sequence``, or 0."""
        newest: int | None = self._connection.execute(
            select(func.max(documents.c.rank)).where(
                documents.c.chain_id == chain_id,
                documents.c.sequence < sequence,
                documents.c.verdict != ReceiptVerdict.CONFLICT,
            )
        ).scalar_one()
        return newest or 0

    def last_received_ms(self, chain_id: str) -> int | None:
        """When the newest document of a chain arrived, evidence left out."""
        newest: int | None = self._connection.execute(
            select(func.max(documents.c.received_ms)).where(
                documents.c.chain_id == chain_id, documents.c.verdict != ReceiptVerdict.CONFLICT
            )
        ).scalar_one()
        return newest

    def first_cycle(self, chain_id: str, before: int) -> int | None:
        """Return the index of the first cycle reported before a position, in chain order."""
        first: int | None = self._connection.execute(
            select(reports.c.cycle_index)
            .where(
                reports.c.chain_id == chain_id,
                reports.c.sequence < before,
                reports.c.stands == 1,
            )
            .order_by(reports.c.sequence)
            .limit(1)
        ).scalar_one_or_none()
        return first

    def closed_cycles(self, chain_id: str, before: int) -> set[int]:
        """Return the indices of the cycles that a report before a position closed."""
        rows = self._connection.execute(
            select(reports.c.cycle_index).where(*_stating(chain_id, before))
        )
        return set(rows.scalars())

    def cycle_value(self, chain_id: str, before: int, cycle: int) -> str | None:
        """Return the token before a position that states the value of a cycle; None: none."""
        token: str | None = self._connection.execute(
            select(documents.c.token)
            .join(reports, reports.c.digest == documents.c.digest)
            .where(*_stating(chain_id, before), reports.c.cycle_index == cycle)
            .order_by(reports.c.sequence.desc())
            .limit(1)
        ).scalar_one_or_none()
        return token

    def last_final(self, chain_id: str) -> int | None:
        """Return the index of the last cycle that the chain holds a final of."""
        last: int | None = self._connection.execute(
            select(func.max(reports.c.cycle_index)).where(
                reports.c.chain_id == chain_id, reports.c.kind == "final"
            )
        ).scalar_one()
        return last

    def installation(self, key_chain_id: str) -> Installation | None:
        """Return the enrolment that began a chain of key statements."""
        row = self._connection.execute(
            select(installations).where(installations.c.key_chain_id == key_chain_id)
        ).one_or_none()
        return None if row is None else installation_of(row._asdict())

    def first_of_subscription(self, subscription: str) -> Installation | None:
        """Return the first enrolment under a subscription: its licence's terms are the terms."""
        row = self._connection.execute(
            select(installations)
            .where(installations.c.subscription == subscription)
            .order_by(installations.c.enrolled_ms, installations.c.key_chain_id)
            .limit(1)
        ).one_or_none()
        return None if row is None else installation_of(row._asdict())

    def licenses_of(self, vendor: str, subscription: str) -> list[License]:
        """Return the licences of a subscription that have arrived, in the order of their issue."""
        rows = self._connection.execute(
            select(licenses.c.token)
            .where(licenses.c.vendor == vendor, licenses.c.subscription == subscription)
            .order_by(licenses.c.issued_at_s, licenses.c.license_id)
        ).scalars()
        return [stored_license(token) for token in rows]

    def holding(self, finding: str, subscription: str) -> list[Document]:
        """Return the documents under a subscription that have a finding."""
        rows = self._connection.execute(
            select(documents)
            .join(chains, chains.c.id == documents.c.chain_id)
            .where(
                chains.c.subscription == subscription,
                documents.c.findings.contains(f'"{finding}"', autoescape=True),
            )
        )
        return [document_of(row._asdict()) for row in rows]

    def stands(self, digest: str) -> bool:
        """Whether an accepted report may state its cycle's value."""
        flag: int | None = self._connection.execute(
            select(reports.c.stands).where(reports.c.digest == digest)
        ).scalar_one_or_none()
        return bool(flag)

    def newest_counted(self, chain_id: str) -> Document | None:
        """Return the accepted report with the highest position."""
        return self.counted_before(chain_id, _BEYOND)

    def owners(self, kid: str) -> list[tuple[KeyRow, Installation]]:
        """Return every enrolment that knows this key: one per subscription of its installation."""
        joined = and_(keys.c.key_chain_id == installations.c.key_chain_id, keys.c.kid == kid)
        rows = self._connection.execute(
            select(keys, installations)
            .join(installations, joined)
            .order_by(installations.c.enrolled_ms, installations.c.key_chain_id)
        ).all()
        key_names, names = keys.c.keys(), installations.c.keys()
        split = len(key_names)
        return [
            (KeyRow(*row[:split]), installation_of(dict(zip(names, row[split:], strict=True))))
            for row in rows
        ]

    def keys(self, key_chain_id: str) -> list[KeyRow]:
        """Return the keys of one enrolment, oldest first."""
        rows = self._connection.execute(
            select(keys).where(keys.c.key_chain_id == key_chain_id).order_by(keys.c.rank)
        )
        return [KeyRow(*row) for row in rows]

    def used_elsewhere(self, kid: str, installation: str) -> bool:
        """Whether another installation than this has, or had, the key."""
        used: bool = self._connection.execute(
            select(
                exists()
                .where(keys.c.kid == kid)
                .where(keys.c.key_chain_id == installations.c.key_chain_id)
                .where(installations.c.installation != installation)
            )
        ).scalar_one()
        return used

    def _document(self, statement: Select[Any]) -> Document | None:
        row = self._connection.execute(statement).one_or_none()
        return None if row is None else document_of(row._asdict())


def _stating(chain_id: str, before: int) -> tuple[ColumnElement[bool], ...]:
    """Finals and amendments of a chain before a position that state a cycle's value."""
    return (
        reports.c.chain_id == chain_id,
        reports.c.sequence < before,
        reports.c.kind.in_(("final", "amendment")),
        reports.c.stands == 1,
    )
