"""The table of bare numbers (source kind C), which `schema` brings along."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table

from licenseusage.ledger.storage.tables import metadata

# Numbers that a product stated, and of when they are (`metering.counts`): a set of samples, joined
# by union. `flags`: 1 full, 2 advances, 4 saturated, 8 estimated, 16 stays.
samples = Table(
    "samples",
    metadata,
    Column("store_id", ForeignKey("stores.id"), primary_key=True),
    Column("computed_ms", BigInteger, primary_key=True),
    Column("read_ms", BigInteger, primary_key=True),
    Column("users", Integer, primary_key=True),
    Column("own", Integer, primary_key=True),
    Column("flags", Integer, primary_key=True),
    Column("first_ms", BigInteger, primary_key=True),
    Column("last_ms", BigInteger, primary_key=True),
    Column("covers_from_ms", BigInteger, primary_key=True),
    Column("covers_until_ms", BigInteger, primary_key=True),
    Column("settled_ms", BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)
