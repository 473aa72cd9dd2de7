"""Tables of event logs and of pushed activity, which `schema` brings along."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, String, Table, Text

from licenseusage.ledger.storage.tables import metadata

# --- event logs (source kind D) -------------------------------------------------------------------
# How far a log was read for a store. Written in the transaction of what was read: never apart.
log_positions = Table(
    "log_positions",
    metadata,
    Column("store_id", ForeignKey("stores.id"), primary_key=True),
    Column("stream", String(255), nullable=False),
    Column("created", String(64), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("stored_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("behind", Integer, nullable=False),
    # The position in the log's own words, where a number does not tell it.
    Column("mark", Text, nullable=False, server_default=""),
)

# Proof ranges: of which stamps every event is known. Disjoint, none touching another.
log_ranges = Table(
    "log_ranges",
    metadata,
    Column("store_id", ForeignKey("stores.id"), primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),
    Column("end_ms", BigInteger, nullable=False),
)

# Stretches of a log that were lost, and why; only what no range covers is lost in fact.
log_holes = Table(
    "log_holes",
    metadata,
    Column("store_id", ForeignKey("stores.id"), primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),
    Column("end_ms", BigInteger, primary_key=True),
    Column("reason", String(64), primary_key=True),
)

# --- pushed activity ------------------------------------------------------------------------------
# The chain of requests of each declared producer (`metering.pushes`); over all cycles.
push_producers = Table(
    "push_producers",
    metadata,
    Column("meter_id", ForeignKey("meters.id"), primary_key=True),
    Column("source", String(63), primary_key=True),
    Column("producer", String(256), primary_key=True),
    Column("receipt", String(64), nullable=False),
    Column("former", String(64)),
    Column("since_ms", BigInteger),
    Column("until_ms", BigInteger),
)

# What each of them has proved of a cycle; disjoint, none touching another.
push_ranges = Table(
    "push_ranges",
    metadata,
    Column("store_id", ForeignKey("stores.id"), primary_key=True),
    Column("producer", String(256), primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),
    Column("end_ms", BigInteger, nullable=False),
)
