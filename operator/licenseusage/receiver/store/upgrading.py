"""Leading a database that an earlier version made to this version's tables."""

from sqlalchemy import Connection, select, text, update

from licenseusage.receiver.store.schema import SCHEMA_VERSION, documents, reports, schema_version
from licenseusage.receiver.store.writing import Writing
from licenseusage.reports.licence import stored_license
from licenseusage.reports.receipt import ReceiptVerdict
from licenseusage.reports.tokens import decode
from licenseusage.reports.typs import ENROLMENT

OLDEST = 1


def upgrade(connection: Connection, version: int) -> None:
    """Lead a database from ``version`` on; its tables that were missing have been made."""
    if version < 2:
        _register_enrolled_licenses(connection)
    if version < 3:
        _replace_indexes(connection)
    connection.execute(update(schema_version).values(version=SCHEMA_VERSION))


def _register_enrolled_licenses(connection: Connection) -> None:
    """2: licences have a register; those inside the enrolments are known already."""
    enrolments = select(documents.c.token, documents.c.received_ms).where(
        documents.c.typ == ENROLMENT, documents.c.verdict == ReceiptVerdict.ACCEPTED
    )
    writing = Writing(connection)
    for token, received_ms in connection.execute(enrolments).all():
        _, claims = decode(token)
        writing.keep_license(stored_license(str(claims["license"])), received_ms)


def _replace_indexes(connection: Connection) -> None:
    """3: what every arrival asks of its chain is answered by indexes alone."""
    connection.execute(text("DROP INDEX IF EXISTS documents_by_position"))
    for index in sorted((*documents.indexes, *reports.indexes), key=lambda index: str(index.name)):
        index.create(connection, checkfirst=True)
