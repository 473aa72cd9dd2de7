"""The changes that a write transaction may make."""

import json
from collections.abc import Collection
from dataclasses import asdict

from sqlalchemy import delete, insert, select, update

from licenseusage.receiver.store.engines import hold_more
from licenseusage.receiver.store.holds import lock_of
from licenseusage.receiver.store.reading import Reading
from licenseusage.receiver.store.rows import (
    Chain,
    Document,
    Installation,
    KeyRow,
    ReportRow,
    chain_of,
    license_columns,
)
from licenseusage.receiver.store.schema import (
    chains,
    documents,
    installations,
    keys,
    licenses,
    probes,
    reports,
)
from licenseusage.reports.licence import License
from licenseusage.reports.names import Link

_PROBE_BYTES = 80 * 1024


class Writing(Reading):
    """The statements of one write transaction; the caller's block is the transaction."""

    def stored(self, chain: Chain) -> Chain:
        """Return the chain as stored, made if absent; the transaction holds it (`Hold.chain`)."""
        statement = select(chains).where(chains.c.id == chain.id)
        row = self._connection.execute(statement).one_or_none()
        if row is not None:
            return chain_of(row._asdict())
        self._connection.execute(
            insert(chains).values(
                id=chain.id,
                aud=chain.aud,
                installation=chain.installation,
                subscription=chain.subscription,
                namespace=chain.namespace,
                name=chain.name,
            )
        )
        return chain

    def hold_evidence(self, installation: str) -> None:
        """Keep others from adding to an installation's evidence until the end: it has a quota."""
        hold_more(self._connection, lock_of("evidence", installation))

    def set_head(self, chain_id: str, head: Link) -> None:
        """Advance the head."""
        self._connection.execute(
            update(chains)
            .where(chains.c.id == chain_id)
            .values(head_sequence=head.sequence, head_digest=head.digest)
        )

    def add(self, document: Document, report: ReportRow | None = None) -> None:
        """Store a document, and its contents if it is an accepted report."""
        findings = json.dumps(document.findings)
        self._connection.execute(
            insert(documents).values(asdict(document) | {"findings": findings})
        )
        if report is not None:
            stands = int(report.stands)
            self._connection.execute(insert(reports).values(asdict(report) | {"stands": stands}))

    def set_receipt(self, digest: str, receipt: str, receipt_kid: str) -> None:
        """Give a document its receipt, or another one (the key of the first was withdrawn)."""
        self._connection.execute(
            update(documents)
            .where(documents.c.digest == digest)
            .values(receipt=receipt, receipt_kid=receipt_kid)
        )

    def set_findings(self, digest: str, findings: Collection[str], *, stands: bool) -> None:
        """Write the findings that a later arrival adds to a stored report."""
        self._connection.execute(
            update(documents)
            .where(documents.c.digest == digest)
            .values(findings=json.dumps(sorted(findings)))
        )
        self._connection.execute(
            update(reports).where(reports.c.digest == digest).values(stands=int(stands))
        )

    def add_installation(self, installation: Installation) -> None:
        """Store an enrolment."""
        self._connection.execute(
            insert(installations).values(
                key_chain_id=installation.key_chain_id,
                installation=installation.installation,
                replaces=installation.replaces,
                enrolled_ms=installation.enrolled_ms,
                **license_columns(installation.terms),
            )
        )

    def keep_license(self, license_: License, received_ms: int) -> bool:
        """Keep a licence; return whether it is new. Of two of one id the later issued one is kept.

        An id is a subscription's. Both were signed by the vendor, who corrected the first by the
        second.
        """
        same = (
            (licenses.c.vendor == license_.vendor)
            & (licenses.c.subscription == license_.subscription)
            & (licenses.c.license_id == license_.license_id)
        )
        issued_at_s = self._connection.execute(select(licenses.c.issued_at_s).where(same)).scalar()
        if issued_at_s is not None and issued_at_s >= license_.issued_at_s:
            return False
        self._connection.execute(delete(licenses).where(same))
        self._connection.execute(
            insert(licenses).values(
                vendor=license_.vendor,
                license_id=license_.license_id,
                subscription=license_.subscription,
                issued_at_s=license_.issued_at_s,
                token=license_.token,
                received_ms=received_ms,
            )
        )
        return True

    def add_key(self, key: KeyRow) -> None:
        """Store a key."""
        self._connection.execute(insert(keys).values(asdict(key)))

    def probe(self, now_ms: int) -> None:
        """Store a probe as large as a document, in place of the previous one."""
        # Other octets each time: the database does not write what is there already.
        content = now_ms.to_bytes(8, "big") * (_PROBE_BYTES // 8)
        self._connection.execute(delete(probes))
        self._connection.execute(insert(probes).values(id=1, content=content))
