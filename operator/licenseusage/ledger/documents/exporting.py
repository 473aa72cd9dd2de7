"""Signed documents out of a ledger's file, for bundles: read while an operator writes it."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, true
from sqlalchemy.exc import DBAPIError

from licenseusage import __version__
from licenseusage.errors import Stalled
from licenseusage.ledger.documents.issued import ITEMS, item
from licenseusage.ledger.documents.records import Delivery, OutboxItem
from licenseusage.ledger.storage import schema
from licenseusage.ledger.storage.copying import connected, reading
from licenseusage.ledger.storage.faults import explained
from licenseusage.ledger.storage.schema import chains, ledger, meters, outbox
from licenseusage.reasons import Reason

MOST_CHARACTERS = 192 * 2**20
"""Of tokens at once, in a pod of its own: they take three times that of its memory."""

MOST_BESIDE_OPERATOR = 32 * 2**20
"""Likewise in the operator's pod, whose memory is measured for its work."""

_AT_ONCE = 500
_SETTLED = or_(
    outbox.c.state == Delivery.ACCEPTED,
    and_(
        outbox.c.state.in_((Delivery.REJECTED, Delivery.CONFLICT)),
        outbox.c.receipt.is_not(None),
    ),
)
"""The vendor has signed for it; nothing is to be brought to him any more."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Namespace and name of a LicenseUsage that has a report in the ledger."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Return both, joined by a slash."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class LedgerDocuments:
    """What a ledger holds that could be exported.

    Attributes:
        usages: Number of the meter -> the object it counts for.
        statements: Key chain -> its key statements by position.
        reports: Reports by chain, then position: those of the query, and every open one.
        stopped: Chain -> why nothing more of it is sent until a person decides.
    """

    usages: Mapping[int, Usage]
    statements: Mapping[str, tuple[OutboxItem, ...]]
    reports: tuple[OutboxItem, ...]
    stopped: Mapping[str, str]


def signed_documents(
    path: Path, *, since_ms: int | None = None, every: bool = False, most: int = MOST_CHARACTERS
) -> LedgerDocuments:
    """Return all key statements, every report without a verdict, and those signed since a time.

    Args:
        path: The ledger, also while an operator writes it.
        since_ms: Reports signed since then, whatever their state; None: no others.
        every: All reports.
        most: Characters of reports that are read.

    Raises:
        Stalled: ``LedgerCorrupt``, ``LedgerSchemaUnsupported``; ``TooLarge``: more than
            ``most``.
        Retryable: It cannot be read.
    """
    wanted: ColumnElement[bool] = true() if every else outbox.c.state != Delivery.ACCEPTED
    if since_ms is not None:
        wanted = or_(wanted, outbox.c.created_ms >= since_ms)
    is_report = outbox.c.meter_id.is_not(None)
    with opened(path) as connection:
        _refuse_too_much(connection, and_(is_report, wanted), most)
        ordered = ITEMS.order_by(outbox.c.chain_id, outbox.c.sequence)
        statements: dict[str, tuple[OutboxItem, ...]] = {}
        for row in connection.execute(ordered.where(outbox.c.meter_id.is_(None))):
            statements[row.chain_id] = (*statements.get(row.chain_id, ()), item(row))
        reports = connection.execute(ordered.where(is_report, wanted))
        named = select(meters.c.id, meters.c.namespace, meters.c.name)
        halted = select(chains.c.id, chains.c.stopped).where(chains.c.stopped.is_not(None))
        return LedgerDocuments(
            usages={row.id: Usage(row.namespace, row.name) for row in connection.execute(named)},
            statements=statements,
            reports=tuple(item(row) for row in reports),
            stopped={row.id: str(row.stopped) for row in connection.execute(halted)},
        )


def settled(path: Path, digests: Collection[str]) -> frozenset[str]:
    """Return those of the documents that the vendor has signed for, by their digests.

    One that is sent again because the vendor lost it is not among them, nor one that the ledger
    does not hold.

    Raises:
        Stalled: ``LedgerCorrupt``, ``LedgerSchemaUnsupported``.
        Retryable: It cannot be read.
    """
    signed: set[str] = set()
    asked = sorted(digests)
    with opened(path) as connection:
        for start in range(0, len(asked), _AT_ONCE):
            some = asked[start : start + _AT_ONCE]
            query = select(outbox.c.digest).where(outbox.c.digest.in_(some), _SETTLED)
            signed.update(connection.execute(query).scalars())
    return frozenset(signed)


def is_settled(document: OutboxItem) -> bool:
    """Whether the vendor has signed for a document, as `settled` says."""
    refused = document.state in (Delivery.REJECTED, Delivery.CONFLICT)
    return document.state is Delivery.ACCEPTED or (refused and document.receipt is not None)


@contextmanager
def opened(path: Path) -> Iterator[Connection]:
    """Read a snapshot of a ledger, also while an operator writes it.

    Raises:
        Stalled: ``LedgerCorrupt``, ``LedgerSchemaUnsupported``.
        Retryable: It cannot be read.
    """
    try:
        with reading(path) as raw, connected(raw) as connection:
            _refuse_other_schema(connection, path)
            yield connection
    except DBAPIError as error:
        raise explained(error, path) from error


def _refuse_other_schema(connection: Connection, path: Path) -> None:
    stated = connection.execute(select(ledger.c.schema_version, ledger.c.written_by)).one()
    if stated.schema_version != schema.VERSION:
        raise Stalled(
            Reason.LEDGER_SCHEMA_UNSUPPORTED,
            f"The ledger {path} has schema {stated.schema_version}, written by licenseusage "
            f"{stated.written_by or '(unknown)'}; this is {__version__}, which reads schema "
            f"{schema.VERSION}. Use the image of the operator that runs.",
        )


def _refuse_too_much(connection: Connection, wanted: ColumnElement[bool], most: int) -> None:
    query = select(func.coalesce(func.sum(func.length(outbox.c.token)), 0)).where(wanted)
    size = connection.execute(query).scalar_one()
    if size > most:
        raise Stalled(
            Reason.TOO_LARGE,
            f"These documents have {size // 2**20} MiB; at most {most // 2**20} MiB are exported "
            f"at once here. Leave out --all and --since, or use the CronJob's files "
            f"(manifests/components/export), and apply the receipts of what was carried.",
        )
