"""The receiver's database: the only part of the receiver that knows SQL (DESIGN §3)."""

from licenseusage.receiver.store.address import DatabaseAddress
from licenseusage.receiver.store.database import ReceiverDatabase
from licenseusage.receiver.store.holds import Hold
from licenseusage.receiver.store.reading import Reading
from licenseusage.receiver.store.rows import Chain, Document, Installation, KeyRow, ReportRow
from licenseusage.receiver.store.views import ChainSummary, CycleValue, Views
from licenseusage.receiver.store.writing import Writing

__all__ = [
    "Chain",
    "ChainSummary",
    "CycleValue",
    "DatabaseAddress",
    "Document",
    "Hold",
    "Installation",
    "KeyRow",
    "Reading",
    "ReceiverDatabase",
    "ReportRow",
    "Views",
    "Writing",
]
