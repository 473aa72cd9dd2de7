"""Rows for the pages: newest first, always a limited number."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, exists, func, or_, select

from licenseusage.receiver.store.reading import Reading
from licenseusage.receiver.store.rows import (
    Chain,
    Document,
    Installation,
    ReportRow,
    chain_of,
    document_of,
    installation_of,
    report_of,
)
from licenseusage.receiver.store.schema import chains, documents, installations, reports
from licenseusage.reports.receipt import ReceiptVerdict

_NOTEWORTHY_AT_MOST = 500


@dataclass(frozen=True, slots=True)
class ChainSummary:
    """One usage object of an installation.

    Attributes:
        newest: Highest position held; 0: none. Beyond the head if reports are missing.
        missing: How many positions up to ``newest`` are not held.
        conflicts: How many documents contradicted the chain and are kept as evidence.
        last_received_ms: When the newest report arrived.
        last_final: Index of the last cycle with a final report.
    """

    chain: Chain
    newest: int
    missing: int
    conflicts: int
    last_received_ms: int | None
    last_final: int | None


@dataclass(frozen=True, slots=True)
class CycleValue:
    """A chain's value for one cycle: its last valid final or amendment, otherwise an interim."""

    report: ReportRow
    document: Document


class Views(Reading):
    """Look-ups for the pages."""

    def installations(self, *, limit: int, offset: int) -> list[Installation]:
        """Return enrolments, newest first."""
        rows = self._connection.execute(
            select(installations)
            .order_by(installations.c.enrolled_ms.desc(), installations.c.key_chain_id)
            .limit(limit)
            .offset(offset)
        )
        return [installation_of(row._asdict()) for row in rows]

    def installations_of(self, subscription: str) -> int:
        """Return how many installations are enrolled under a subscription."""
        count: int = self._connection.execute(
            select(func.count())
            .select_from(installations)
            .where(installations.c.subscription == subscription)
        ).scalar_one()
        return count

    def chains_of(self, installation: Installation, *, limit: int) -> list[Chain]:
        """Return the chains of reports of one enrolment, by name."""
        rows = self._connection.execute(
            select(chains)
            .where(
                chains.c.installation == installation.installation,
                chains.c.subscription == installation.subscription,
                chains.c.name.is_not(None),
            )
            .order_by(chains.c.namespace, chains.c.name)
            .limit(limit)
        )
        return [chain_of(row._asdict()) for row in rows]

    def find_chain(self, chain_id: str) -> Chain | None:
        """Return a chain of reports, if there is one of that id."""
        row = self._connection.execute(
            select(chains).where(chains.c.id == chain_id, chains.c.name.is_not(None))
        ).one_or_none()
        return None if row is None else chain_of(row._asdict())

    def enrolment_of(self, chain: Chain) -> Installation:
        """Return the enrolment that a chain of reports belongs to."""
        row = self._connection.execute(
            select(installations).where(
                installations.c.installation == chain.installation,
                installations.c.subscription == chain.subscription,
            )
        ).one()
        return installation_of(row._asdict())

    def summary(self, chain: Chain) -> ChainSummary:
        """Return the overview of a chain."""
        holds_position = documents.c.verdict != ReceiptVerdict.CONFLICT
        mine = documents.c.chain_id == chain.id
        newest, count, received = self._connection.execute(
            select(
                func.max(documents.c.sequence), func.count(), func.max(documents.c.received_ms)
            ).where(mine, holds_position)
        ).one()
        conflicts = self._connection.execute(
            select(func.count()).select_from(documents).where(mine, ~holds_position)
        ).scalar_one()
        return ChainSummary(
            chain=chain,
            newest=newest or 0,
            missing=(newest or 0) - count,
            conflicts=conflicts,
            last_received_ms=received,
            last_final=self.last_final(chain.id),
        )

    def cycles(self, chain_id: str, *, limit: int) -> list[CycleValue]:
        """Return a chain's cycles, newest first, each with the report that states its value."""
        # A final or amendment states the value, the last one in chain order; before there is one,
        # the last interim does.
        closed = reports.c.kind != "interim"
        standing = reports.c.stands == 1
        state = func.max(reports.c.sequence).filter(standing, closed)
        interim = func.max(reports.c.sequence).filter(standing)
        newest = (
            select(func.coalesce(state, interim, func.max(reports.c.sequence)).label("sequence"))
            .where(reports.c.chain_id == chain_id)
            .group_by(reports.c.cycle_index)
            .order_by(reports.c.cycle_index.desc())
            .limit(limit)
            .subquery()
        )
        rows = self._connection.execute(
            select(reports, documents)
            .join(documents, documents.c.digest == reports.c.digest)
            .where(reports.c.chain_id == chain_id, reports.c.sequence.in_(select(newest)))
            .order_by(reports.c.cycle_index.desc())
        ).all()
        report_names, document_names = reports.c.keys(), documents.c.keys()
        split = len(report_names)
        return [
            CycleValue(
                report_of(dict(zip(report_names, row[:split], strict=True))),
                document_of(dict(zip(document_names, row[split:], strict=True))),
            )
            for row in rows
        ]

    def stating(
        self, subscription: str, cycles: Collection[int], *, limit: int
    ) -> list[tuple[Chain, ReportRow, str]]:
        """Return which chains report a cycle of a subscription: chain, newest report, its token.

        Args:
            subscription: Of whichever installations.
            cycles: Indices of cycles.
            limit: At most so many pairs of chain and cycle.
        """
        newest = (
            select(reports.c.chain_id, func.max(reports.c.sequence).label("sequence"))
            .join(chains, chains.c.id == reports.c.chain_id)
            .where(chains.c.subscription == subscription, reports.c.cycle_index.in_(cycles))
            .group_by(reports.c.chain_id, reports.c.cycle_index)
            .limit(limit)
            .subquery()
        )
        rows = self._connection.execute(
            select(chains, reports, documents.c.token)
            .select_from(newest)
            .join(
                reports,
                and_(
                    reports.c.chain_id == newest.c.chain_id,
                    reports.c.sequence == newest.c.sequence,
                ),
            )
            .join(chains, chains.c.id == reports.c.chain_id)
            .join(documents, documents.c.digest == reports.c.digest)
            .order_by(chains.c.namespace, chains.c.name, chains.c.id)
        ).all()
        of_chain, of_report = chains.c.keys(), reports.c.keys()
        split = len(of_chain)
        return [
            (
                chain_of(dict(zip(of_chain, row[:split], strict=True))),
                report_of(dict(zip(of_report, row[split:-1], strict=True))),
                row[-1],
            )
            for row in rows
        ]

    def documents(
        self, chain_id: str, *, limit: int, before: int | None = None
    ) -> list[tuple[Document, ReportRow | None]]:
        """Return the documents of a chain, highest position first, each before its evidence."""
        evidence = documents.c.verdict == ReceiptVerdict.CONFLICT
        statement = (
            select(documents)
            .where(documents.c.chain_id == chain_id)
            .order_by(
                documents.c.sequence.desc(), evidence, documents.c.received_ms, documents.c.digest
            )
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(documents.c.sequence < before)
        page = [document_of(row._asdict()) for row in self._connection.execute(statement)]
        return self._with_reports(page)

    def gaps(self, chain_id: str, *, limit: int) -> list[tuple[int, int]]:
        """Return the missing positions as ``(first, last)``, both missing, lowest first."""
        positions = (
            select(
                documents.c.sequence,
                func.lag(documents.c.sequence, 1, 0)
                .over(order_by=documents.c.sequence)
                .label("before"),
            )
            .where(documents.c.chain_id == chain_id, documents.c.verdict != ReceiptVerdict.CONFLICT)
            .subquery()
        )
        rows = self._connection.execute(
            select(positions.c.before, positions.c.sequence)
            .where(positions.c.sequence > positions.c.before + 1)
            .order_by(positions.c.sequence)
            .limit(limit)
        )
        return [(before + 1, sequence - 1) for before, sequence in rows]

    def noteworthy(self, chain_id: str) -> list[tuple[Document, ReportRow | None]]:
        """Return the newest documents of a chain that have something to say beyond their count.

        Of accepted reports with the same findings in the same cycle the last one stands for all.
        """
        plain = documents.c.verdict == ReceiptVerdict.ACCEPTED
        same = (reports.c.cycle_index, documents.c.findings)
        last = (
            select(func.max(documents.c.sequence))
            .select_from(documents.join(reports, reports.c.digest == documents.c.digest))
            .where(documents.c.chain_id == chain_id, plain, documents.c.findings != "[]")
            .group_by(*same)
        )
        wanted = select(documents).where(
            documents.c.chain_id == chain_id,
            or_(~plain, documents.c.sequence.in_(last)),
        )
        rows = self._connection.execute(
            wanted.order_by(documents.c.received_ms.desc()).limit(_NOTEWORTHY_AT_MOST)
        )
        return self._with_reports([document_of(row._asdict()) for row in rows])

    def _with_reports(self, page: Sequence[Document]) -> list[tuple[Document, ReportRow | None]]:
        rows = self._connection.execute(
            select(reports).where(reports.c.digest.in_([document.digest for document in page]))
        )
        by_digest = {report.digest: report for report in (report_of(r._asdict()) for r in rows)}
        return [(document, by_digest.get(document.digest)) for document in page]

    def replaced(self, installation: Installation) -> bool:
        """Whether another installation of its subscription has taken its place."""
        replaced: bool = self._connection.execute(
            select(
                exists()
                .where(installations.c.subscription == installation.subscription)
                .where(installations.c.replaces == installation.installation)
            )
        ).scalar_one()
        return replaced
