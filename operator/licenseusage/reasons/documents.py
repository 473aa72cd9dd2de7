"""Reasons of signed documents: the error classes of REPORT_FORMAT §12 and the findings of §6.

The meaning of an error class is also the title of the receiver's problem (RFC 9457).
"""

from licenseusage.reasons.entries import Chapter, fault, note, passing
from licenseusage.reasons.vocabulary import Reason

_PLACES = "`Licensed`, `Reported`, `status.reason` of a UsageReport, problems of the receiver"
_BOTH = "whoever verifies: operator, receiver, `licenseusage report verify`"
_ANEW = "Take the document anew from where it was made: it was cut or altered on its way."
_WRITER = "Tell whoever wrote the document: its program does not follow the format."
_VENDOR = "Ask the vendor."

TOKENS = Chapter(
    title="Error classes: the token and its claims",
    speaker=_BOTH,
    places=_PLACES,
    entries={
        Reason.MALFORMED_TOKEN: fault(
            "this is not a token: three base64url parts joined by dots, nothing around", _ANEW
        ),
        Reason.MALFORMED_JSON: fault(
            "the token's JSON is malformed, has a member twice, or nests too deeply", _ANEW
        ),
        Reason.NUMBER_INVALID: fault(
            "the token holds a number that is not a plain integer within 2^53", _WRITER
        ),
        Reason.TOO_LARGE: fault(
            "the document is longer than its type allows",
            "Check that it is one document, and of the right type.",
        ),
        Reason.HEADER_INVALID: fault(
            "the token's header has members that the format does not know", _WRITER
        ),
        Reason.UNSUPPORTED_ALGORITHM: fault("the token is not signed with Ed25519", _WRITER),
        Reason.UNSUPPORTED_TYPE: fault(
            "the token is of another type than expected here",
            "Give the document that is asked for.",
        ),
        Reason.UNSUPPORTED_VERSION: fault(
            "the document's version is not one that this program reads",
            "Install the version that the vendor names.",
        ),
        Reason.SIGNATURE_INVALID: fault(
            "the signature does not fit: the document was altered or cut", _ANEW
        ),
        Reason.KEY_INVALID: fault(
            "the public key is malformed, unsafe, or was used before", "Use a new key."
        ),
        Reason.CLAIM_MISSING: fault("a required claim is missing", _WRITER),
        Reason.CLAIM_INVALID: fault("a claim has a value that the format does not allow", _WRITER),
        Reason.IDENTIFIER_MISMATCH: fault(
            "the document's id does not follow from what it names", _WRITER
        ),
    },
)

SIGNERS = Chapter(
    title="Error classes: keys",
    speaker=_BOTH,
    places=_PLACES,
    entries={
        Reason.KEY_UNKNOWN: passing(
            "the key that signed this is not among the trusted ones",
            "A report: the enrolment is sent again by itself; if this goes on, ask the vendor. A "
            "licence: install the vendor's current keys.",
        ),
        Reason.KEY_REVOKED: fault(
            "the key that signed this has been revoked by the vendor",
            "Ask the vendor for a new licence.",
        ),
        Reason.KEY_RETIRED: fault(
            "a key signed this after a newer key had taken its place",
            "Find out who still uses the former key: a second copy of the operator, or a thief.",
        ),
        Reason.KEY_NOT_PERMITTED: fault(
            "the key that signed this is not allowed to sign documents of this type", _VENDOR
        ),
    },
)

LICENCES = Chapter(
    title="Error classes: the licence",
    speaker=_BOTH,
    places=_PLACES,
    entries={
        Reason.LICENSE_EXPIRED: fault(
            "the licence has expired; ask the vendor for a new one", "Ask the vendor for a new one."
        ),
        Reason.LICENSE_NOT_YET_VALID: note(
            "the licence is not valid yet; check its start and this machine's clock",
            "Wait for its start, or set the clock.",
        ),
        Reason.LICENSE_MISMATCH: fault(
            "the document belongs to another subscription or product than the licence",
            "Ask the vendor for a licence of this product.",
        ),
        Reason.LICENSE_KEY_MISMATCH: fault(
            "the licence is bound to another installation's key",
            "Tell the vendor the id of this installation, or restore the identity's Secret.",
        ),
        Reason.LICENSE_TERMS_CHANGED: fault(
            "the licence changes the cycles of its subscription; new terms need a new subscription",
            "Ask the vendor for a licence with the same cycles, or of a new subscription.",
        ),
        Reason.CYCLE_UNSUPPORTED: fault(
            "the licence's cycle is longer than the 62 days this operator can meter",
            "Ask the vendor for a licence with cycles of at most 62 days or two months.",
        ),
    },
)

CONTENT = Chapter(
    title="Error classes: the content",
    speaker=_BOTH,
    places=_PLACES,
    entries={
        Reason.ISSUER_MISMATCH: fault(
            "the document was issued by someone else than its key belongs to", _VENDOR
        ),
        Reason.AUDIENCE_MISMATCH: fault(
            "the document is addressed to someone else", "Send it to the vendor that it names."
        ),
        Reason.ISSUED_IN_FUTURE: passing(
            "the document's time of issue lies in the future; check both clocks",
            "Set both clocks by NTP; a report is issued anew by itself.",
        ),
        Reason.CLOCK_INCONSISTENT: fault(
            "the report was issued before the time it speaks of", "Set the operator's clock by NTP."
        ),
        Reason.CYCLE_MISMATCH: fault(
            "the report's cycle is not one of the licence's cycles", _VENDOR
        ),
        Reason.COUNTS_INCONSISTENT: fault(
            "the report's counts contradict its accuracy or its days", _WRITER
        ),
        Reason.COVERAGE_INCONSISTENT: fault(
            "the report's observed time and gaps do not add up", _WRITER
        ),
    },
)

_HISTORY = (
    "Restore the newest backup of the ledger; if the identity exists twice, delete the copy. Else "
    "agree with the vendor on which history stands."
)

CHAINS = Chapter(
    title="Error classes: the chain",
    speaker=_BOTH,
    places=f"{_PLACES}; `ChainGap` is a finding as well",
    entries={
        Reason.REPORT_CONFLICT: fault(
            "two different reports claim the same position of the chain", _HISTORY
        ),
        Reason.CHAIN_FORKED: fault(
            "a report does not follow the one before it: the history was rewritten", _HISTORY
        ),
        Reason.CHAIN_GAP: passing(
            "a position of the chain is missing", "Send the documents that are missing."
        ),
        Reason.CHAIN_TRUNCATED: fault(
            "a report that the vendor has acknowledged is missing",
            "Give all reports of the chain; if they are lost, restore the ledger.",
        ),
        Reason.CYCLE_ORDER: fault(
            "the cycles of the chain are out of order, or a cycle has two finals", _WRITER
        ),
        Reason.AMENDMENT_INVALID: fault(
            "the amendment names a wrong report or leaves the bounds it may narrow", _WRITER
        ),
        Reason.LOCAL_HISTORY_LOST: fault(
            "a report exists that is not known here",
            "Merge the previous ledger, or apply the UsageReports that are missing "
            "(docs/operations.md); else restore the newest backup, or agree with the vendor on how "
            "to continue.",
        ),
        Reason.VENDOR_HEAD_REGRESSED: passing(
            "the vendor lost reports that it had acknowledged",
            "What it lost is sent again by itself; tell the vendor.",
        ),
    },
)

RECEIPTS = Chapter(
    title="Error classes: receipt and bundle",
    speaker=_BOTH,
    places=_PLACES,
    entries={
        Reason.RECEIPT_INVALID: passing(
            "the answer holds no receipt that verifies",
            "The answer holds no receipt that verifies, so nothing counts as delivered. Look for a "
            "proxy or portal that answers in its place, or install the vendor's current key "
            "manifest.",
        ),
        Reason.RECEIPT_MISMATCH: fault(
            "the receipt acknowledges another document than the one sent", _VENDOR
        ),
        Reason.BUNDLE_INVALID: fault(
            "the bundle was cut, edited, or its lines are out of order",
            "Make the bundle again, and send it as it is.",
        ),
    },
)

FINDINGS = Chapter(
    title="Findings about a report that was accepted",
    speaker="the receiver, and `licenseusage report verify`",
    places="`findings` of a receipt and of a UsageReport, the receiver's pages",
    entries={
        Reason.ACKNOWLEDGEMENT_LOST: note(
            "the sender knows an older head than before: it was restored from a backup",
            "Vendor: compare the reports since then.",
        ),
        Reason.AMENDMENT_LATE: note(
            "it arrived after the following cycle had ended as well",
            "Customer and vendor agree whether it still changes an invoice.",
        ),
        Reason.CLOCK_ROLLBACK: note(
            "the sender's clock went back, or is behind the receiver's",
            "Set the operator's clock by NTP.",
        ),
        Reason.COVERAGE_INCOMPLETE: note(
            "the sources were not observed all the time",
            "See the gaps of the report and their reasons.",
        ),
        Reason.LICENSE_UNKNOWN: note(
            "the licence that it names has not arrived",
            "Nothing: the operator sends it. By hand: put it to `/v1/licenses`.",
        ),
        Reason.INSTALLATION_CLONED: note(
            "the cluster changed: the identity may exist twice",
            "Make sure that only one operator has this identity.",
        ),
        Reason.REPORT_OVERDUE: note(
            "nothing arrived for longer than agreed", "Vendor: ask the customer."
        ),
        Reason.RESTATED: note(
            "a rule was corrected: the count left its earlier bounds",
            "Customer and vendor agree on the new number.",
        ),
        Reason.RESTORED: note("the sender continued its chain after a loss"),
    },
)

ERROR_CLASSES = (TOKENS, SIGNERS, LICENCES, CONTENT, CHAINS, RECEIPTS)
"""The chapters of what a verifier refuses."""
