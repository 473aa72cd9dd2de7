"""Durable facts: who was active (pseudonyms), what was stated, what must be delivered.

SQLAlchemy Core, synchronous, one writer. ``ledger.Ledger`` is the surface; each of its writing
methods is one transaction. Times are integer milliseconds since the epoch, UTC.
"""
