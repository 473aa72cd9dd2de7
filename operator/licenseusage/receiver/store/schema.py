"""Tables of the receiver: SQLite and PostgreSQL read the same definitions.

A *document* is a token exactly as it arrived, with its verdict and the receipt that was signed for
it. A position of a chain is held by at most one document; whatever else was signed for it is kept
beside it as evidence (``verdict = 'Conflict'``). Everything else here is derived from documents, so
that pages and rules need not open tokens again.

Times are integer milliseconds since the epoch (``_ms``), or seconds where a claim is copied as
signed (``_s``). Numbers that a document claims are ``BigInteger``: PostgreSQL, unlike SQLite,
refuses whatever does not fit, and the position after the last possible one needs more than 32 bits.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

SCHEMA_VERSION = 3

metadata = MetaData()


def _text(length: int | None = None) -> String | Text:
    """Return the type of ids and tokens: on PostgreSQL, too, in the order of their octets.

    Which of two licences of one second is the newer one must not depend on the language that a
    database was made for.
    """
    kind: type[String] = Text if length is None else String
    plain = kind(length)
    return plain.with_variant(kind(length, collation="C"), "postgresql")


schema_version = Table(
    "receiver_schema",
    metadata,
    Column("version", Integer, primary_key=True),
)

# Both kinds of chain, of key statements and of reports: their ids are hashes of different domains.
chains = Table(
    "chains",
    metadata,
    Column("id", _text(32), primary_key=True),
    Column("aud", _text(128), nullable=False),
    Column("installation", _text(128), nullable=False),
    Column("subscription", _text(128), nullable=False),
    # What the reports count; null for a chain of key statements.
    Column("namespace", _text(63)),
    Column("name", _text(253)),
    # The last document of the unbroken run from sequence 1 (REPORT_FORMAT, preamble).
    Column("head_sequence", BigInteger),
    Column("head_digest", _text(71)),
    Index("chains_by_installation", "installation", "subscription"),
)

installations = Table(
    "installations",
    metadata,
    Column("key_chain_id", ForeignKey("chains.id"), primary_key=True),
    Column("installation", _text(128), nullable=False),
    Column("subscription", _text(128), nullable=False),
    Column("product", _text(128), nullable=False),
    Column("maximum_active_users", BigInteger),
    Column("replaces", _text(128)),
    # The licence that authorised the enrolment. Its terms judge every report of the subscription
    # for good, also when it has expired and its key was withdrawn: columns, not the token.
    Column("license_id", _text(128), nullable=False),
    Column("vendor", _text(128), nullable=False),
    Column("anchor_date", _text(10), nullable=False),
    Column("length_days", BigInteger),
    Column("length_months", BigInteger),
    Column("interval_hours", BigInteger, nullable=False),
    Column("interim", _text(8), nullable=False),
    Column("reporting_required", Integer, nullable=False),
    Column("purpose", _text(13), nullable=False),
    Column("not_before_s", BigInteger, nullable=False),
    Column("expires_s", BigInteger, nullable=False),
    Column("license_issued_at_s", BigInteger, nullable=False),
    Column("enrolled_ms", BigInteger, nullable=False),
    UniqueConstraint("installation", "subscription"),
    Index("installations_by_subscription", "subscription"),
)

keys = Table(
    "keys",
    metadata,
    Column("key_chain_id", ForeignKey("chains.id"), primary_key=True),
    Column("kid", _text(43), primary_key=True),
    # Sequence of the statement that brought the key: an older key is retired by a newer one.
    Column("rank", BigInteger, nullable=False),
    Column("x", _text(43), nullable=False),
    Index("keys_by_kid", "kid"),
)

documents = Table(
    "documents",
    metadata,
    Column("digest", _text(71), primary_key=True),
    Column("chain_id", ForeignKey("chains.id"), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("typ", _text(64), nullable=False),
    Column("jti", _text(43), nullable=False),
    Column("previous", _text(71)),
    Column("rank", BigInteger, nullable=False),
    Column("token", _text(), nullable=False),
    Column("verdict", _text(8), nullable=False),
    Column("error", _text(64)),
    # JSON array of Tokens, ascending: those of the receipt, and those later arrivals added.
    Column("findings", _text(), nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("receipt", _text(), nullable=False),
    Column("receipt_kid", _text(43), nullable=False),
    # With what is asked of each arrival about all of its chain: the rows themselves are large.
    Index("documents_by_place", "chain_id", "sequence", "verdict", "rank", "received_ms"),
    # One position, one document (REPORT_FORMAT §12 "Receiver"): the database refuses a second.
    Index(
        "one_document_per_position",
        "chain_id",
        "sequence",
        unique=True,
        sqlite_where=text("verdict <> 'Conflict'"),
        postgresql_where=text("verdict <> 'Conflict'"),
    ),
)

# What accepted reports say, for the chain rules and for the pages.
reports = Table(
    "reports",
    metadata,
    Column("digest", ForeignKey("documents.digest"), primary_key=True),
    Column("chain_id", ForeignKey("chains.id"), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("kind", _text(9), nullable=False),
    Column("cycle_index", BigInteger, nullable=False),
    Column("cycle_start_s", BigInteger, nullable=False),
    Column("cycle_end_s", BigInteger, nullable=False),
    Column("as_of_s", BigInteger, nullable=False),
    Column("accuracy", _text(10), nullable=False),
    Column("active_users", BigInteger),
    Column("active_users_upper_bound", BigInteger),
    Column("provisioned_users", BigInteger),
    Column("observed_seconds", BigInteger, nullable=False),
    # 0: signed as accepted, but a later arrival showed that it breaks a rule of REPORT_FORMAT §6.
    Column("stands", Integer, nullable=False),
    UniqueConstraint("chain_id", "sequence"),
    Index("reports_by_cycle", "chain_id", "cycle_index", "sequence"),
    Index("reports_by_kind", "chain_id", "kind", "cycle_index", "sequence", "stands"),
)

# Every licence of the vendor's that has arrived: by itself, or inside an enrolment. The token is
# what was verified then; its key may have been withdrawn since.
licenses = Table(
    "licenses",
    metadata,
    Column("vendor", _text(128), primary_key=True),
    Column("subscription", _text(128), primary_key=True),
    Column("license_id", _text(128), primary_key=True),
    Column("issued_at_s", BigInteger, nullable=False),
    Column("token", _text(), nullable=False),
    Column("received_ms", BigInteger, nullable=False),
)

# Written to find out whether anything can be stored; one row, as large as a document and its
# receipt.
probes = Table(
    "probes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
