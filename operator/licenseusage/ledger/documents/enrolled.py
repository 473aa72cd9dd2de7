"""Key statements out of a ledger's file: for an auditor, who must not come near the private key."""

from pathlib import Path

from licenseusage.ledger.documents.records import ReportKind
from licenseusage.ledger.storage.copying import reading

_KINDS = tuple(kind.value for kind in ReportKind if not kind.is_report)


def key_statements(path: Path) -> tuple[str, ...]:
    """Return every enrolment with its successions, as signed: by chain, then by position.

    Args:
        path: The ledger, also while an operator writes it, or a backup.

    Raises:
        Stalled: ``LedgerCorrupt``.
        Retryable: It cannot be read.
    """
    marks = ", ".join("?" * len(_KINDS))
    query = f"SELECT token FROM outbox WHERE kind IN ({marks}) ORDER BY chain_id, sequence"  # noqa: S608
    with reading(path) as connection:
        return tuple(str(row[0]) for row in connection.execute(query, _KINDS))
