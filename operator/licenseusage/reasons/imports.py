"""Reasons about receipts that were imported as objects."""

from licenseusage.reasons.entries import Chapter, fault, good, note
from licenseusage.reasons.vocabulary import Reason

IMPORTS = Chapter(
    title="A UsageReceipt",
    speaker="the operator",
    places="conditions and `status.receipts[].reason` of a UsageReceipt",
    entries={
        Reason.RECEIPTS_IMPORTED: good("every receipt is verified, and the ledger has it"),
        Reason.DOCUMENT_UNKNOWN: note(
            "the ledger does not hold the document that a receipt acknowledges",
            "Wait: the receipt is used as soon as the document is there. Of a report, apply its "
            "LicenseUsage; after a loss of the ledger, restore it.",
        ),
        Reason.OTHER_NAMESPACE: fault(
            "the receipt acknowledges a document of a LicenseUsage in another namespace",
            "Apply it in that namespace; `licenseusage report import` finds the namespace.",
        ),
        Reason.RECEIPT_CONTRADICTED: fault(
            "the vendor signed another decision about this document before; the first one stands",
            "Ask the vendor which of the two is right, and show both receipts.",
        ),
    },
)
