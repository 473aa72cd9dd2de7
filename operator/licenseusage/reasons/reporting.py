"""Reasons about reports on their way: delivery, the vendor's endpoint, keys."""

from licenseusage.reasons.entries import Chapter, fault, good, note, passing
from licenseusage.reasons.vocabulary import Reason

DELIVERY = Chapter(
    title="Reports and their delivery",
    speaker="the operator",
    places="`Reported`, events of a LicenseUsage, `status.reason` of a UsageReport",
    entries={
        Reason.NOTHING_DUE: good("no report has been due yet"),
        Reason.DELIVERY_PENDING: note("a report is on its way", "Wait."),
        Reason.OFFLINE: note(
            "the report waits for an export, and nothing is sent: the mode is Export, or there is "
            "no address",
            "`kubectl licenseusage report export`; see docs/air-gap.md. To send instead, set the "
            "mode to Online with a licence that names an endpoint.",
        ),
        Reason.EXPORTED: good("reports are exported, and none has waited too long"),
        Reason.EXPORT_DUE: fault(
            "four fifths of the time are over in which a final has to reach the vendor",
            "`kubectl licenseusage report export`, take the file to the vendor, and apply the "
            "receipts; see docs/air-gap.md.",
        ),
        Reason.EXPORT_OVERDUE: fault(
            "a final has waited for an export for longer than agreed (`exportDays`, or one cycle)",
            "`kubectl licenseusage report export`, take the file to the vendor, and apply the "
            "receipts; see docs/air-gap.md. Nothing is lost.",
        ),
        Reason.AWAITING_APPROVAL: note(
            "the report is signed, and nothing of it leaves before somebody approves it "
            "(`spec.reporting.approval: Manual`)",
            "Look at it, then `kubectl licenseusage approve`; see docs/privacy.md.",
        ),
        Reason.APPROVAL_MISMATCH: fault(
            "the annotation `licenseusage.dev/approved` approves another document than this one",
            "Look at this one, then `kubectl licenseusage approve`: it writes the right digest.",
        ),
        Reason.EARLIER_AWAITS_APPROVAL: note(
            "the report is approved, and one before it in the chain is not: they go in order",
            "Approve the earlier one: `kubectl licenseusage approve`.",
        ),
        Reason.APPROVAL_DUE: fault(
            "four fifths of the time are over in which a report has to reach the vendor, and it "
            "waits for approval",
            "Look at it, then `kubectl licenseusage approve`; see docs/privacy.md.",
        ),
        Reason.APPROVAL_OVERDUE: fault(
            "a report has waited for approval for longer than the licence allows",
            "Look at it, then `kubectl licenseusage approve`; see docs/privacy.md. Nothing is "
            "lost.",
        ),
        Reason.INTERIMS_REQUIRED: fault(
            "`spec.reporting.interims` is `Withheld`, and the licence requires interim reports: "
            "they are made",
            "Set it to `Sent`, or ask the vendor for a licence that makes them optional.",
        ),
        Reason.SUSPENDED: note(
            "`spec.suspend` is `Reporting`: no report is made or sent, counting goes on",
            "Set it to `None` to report again.",
        ),
        Reason.NO_LICENSE: note(
            "nothing is reported without a licence", "Name a licence in `spec.license`."
        ),
        Reason.ACCEPTED: good("the vendor accepted the document; its receipt is verified"),
        Reason.REJECTED: fault(
            "the vendor refused the document with a signature",
            "See the class in the message, and ask the vendor.",
        ),
        Reason.CONFLICT: fault(
            "the vendor holds another document at this position",
            "Find out which history stands: see `ReportConflict` and `ChainForked`.",
        ),
        Reason.ACKNOWLEDGED_BY_HEAD: good(
            "a later receipt of the vendor covers this document as well"
        ),
        Reason.REPORT_ACCEPTED: good("the newest report that was due has a verified receipt"),
        Reason.REPORT_REJECTED: fault(
            "the vendor refused a report with a signature", "Do what the class in the message asks."
        ),
        Reason.KEYS_ACCEPTED: good("the vendor knows this installation's key"),
        Reason.KEYS_REJECTED: fault(
            "the vendor refused this installation's key with a signature",
            "Ask the vendor which installation the licence is for.",
        ),
        Reason.KEYS_CONFLICT: fault(
            "the vendor holds another key statement at this position",
            "Restore the identity's Secret that belongs to the ledger; agree with the vendor.",
        ),
        Reason.NAMESPACE_TERMINATING: note(
            "the namespace is being deleted, so that no UsageReport can be made in it",
            "Nothing: the ledger keeps the reports.",
        ),
        Reason.NAMESPACE_GONE: note(
            "the namespace is gone, so that no UsageReport can be made in it",
            "Nothing: the ledger keeps the reports.",
        ),
        Reason.KEYS_NOT_EXPORTED: note(
            "the operator's keys exist in this cluster only",
            "Run `kubectl licenseusage keys export`, or set `LICENSEUSAGE_KEYS_BACKUP=Elsewhere`.",
        ),
        Reason.COUNTED_ELSEWHERE: note(
            "another LicenseUsage reports the same product under the same contract",
            "Compare their sources: if both read the same installation of the product, delete one "
            "LicenseUsage, and never add their numbers. If they read different installations, "
            "nothing is wrong.",
        ),
        Reason.MOVED_IN_CYCLE: note(
            "a LicenseUsage was deleted, and another one reports the same cycle of the same "
            "product and contract: two finals for one cycle",
            "If it is the same installation of the product under another name or namespace, do not "
            "add the numbers; the former name continues the former count, until the cycle ends.",
        ),
        Reason.STATEMENTS_NOT_KEPT: passing(
            "the key statements could not be written into the identity's Secret",
            "Check the operator's rights in its own namespace, and the control plane.",
        ),
    },
)

_NAME_THE_HEAD = (
    "Set `spec.reporting.adoptHead` to the digest that the message proposes, or remove it "
    "(docs/operations.md)."
)

RECOVERY = Chapter(
    title="A chain that goes on behind a named head",
    speaker="the operator",
    places="`Reported`, while the chain is stopped; nothing has been changed",
    entries={
        Reason.ADOPT_HEAD_UNKNOWN: fault(
            "`adoptHead` names a report that is neither in the ledger, nor in a UsageReport, nor "
            "known from the vendor",
            "Correct the digest. If only the vendor has the report, import its history "
            "(`kubectl licenseusage report import`).",
        ),
        Reason.ADOPT_HEAD_FOREIGN: fault(
            "`adoptHead` names a report of another object or of another installation",
            _NAME_THE_HEAD,
        ),
        Reason.ADOPT_HEAD_OUTDATED: fault(
            "`adoptHead` names a report that others follow, or that the vendor's receipts "
            "contradict",
            _NAME_THE_HEAD,
        ),
        Reason.ADOPT_HEAD_USED: fault(
            "the chain went on behind the head that `adoptHead` names once, and was contradicted "
            "since",
            "Find out whether a second copy of the operator runs with the same identity, and end "
            "it. Then set `spec.reporting.adoptHead` to the digest that the message proposes.",
        ),
        Reason.ADOPT_HEAD_REFUSED: fault(
            "the history up to the report that `adoptHead` names is not complete or not in order",
            "Import the reports that the message names, or name another head.",
        ),
    },
)

ENDPOINT = Chapter(
    title="The vendor's endpoint",
    speaker="the operator",
    places="`Reported`, `status.reason` of a UsageReport",
    entries={
        Reason.ENDPOINT_UNREACHABLE: passing(
            "no connection to the vendor's endpoint could be opened",
            "Check DNS, network policies and the proxy; it is sent again by itself.",
        ),
        Reason.TIMEOUT: passing(
            "the vendor's endpoint did not answer in time",
            "It is sent again by itself; if this goes on, check the proxy and the firewall.",
        ),
        Reason.THROTTLED: passing(
            "the vendor's endpoint asks to wait (425, 429)",
            "The vendor asks to wait; it is sent again by itself.",
        ),
        Reason.VENDOR_UNAVAILABLE: passing(
            "the receiver cannot store or sign; nothing was stored, send again",
            "The vendor's service is in trouble; it is sent again by itself.",
        ),
        Reason.FORBIDDEN: passing(
            "this address is not open to you",
            "The vendor, or something in between, refuses this installation: ask the vendor.",
        ),
        Reason.ENDPOINT_NOT_FOUND: passing(
            "there is no usage API at the endpoint (404, 410)",
            "There is no usage API: check the endpoint in the licence, or the proxy.",
        ),
        Reason.UNEXPECTED_RESPONSE: passing(
            "the answer is none of the usage API",
            "This is not an answer of the usage API. Check the endpoint in the licence, and any "
            "proxy.",
        ),
    },
)

KEYS = Chapter(
    title="Keys of the operator and of the vendor",
    speaker="the operator",
    places="`Ready`, `Licensed` and `Reported`; the command line and the receiver's start",
    entries={
        Reason.IDENTITY_LOST: fault(
            "the Secret with the installation's signing key is gone, and this is no first start",
            "Restore it from a backup; without one, `licenseusage keys new identity`.",
        ),
        Reason.IDENTITY_INVALID: fault(
            "the Secret with the installation's signing key holds something else",
            "Restore it from a backup, or correct the key that the message names.",
        ),
        Reason.PSEUDONYM_KEY_LOST: fault(
            "the Secret with the pseudonym key is gone, and this is no first start",
            "Restore it from a backup; without one, `licenseusage keys new pseudonym`.",
        ),
        Reason.PSEUDONYM_KEY_INVALID: fault(
            "the Secret with the pseudonym key holds no key of 32 bytes",
            "Restore it from a backup.",
        ),
        Reason.VENDOR_KEYS_NOT_FOUND: fault(
            "the ConfigMap with the vendor's public keys does not exist",
            "Install it from the vendor's manifests.",
        ),
        Reason.VENDOR_KEYS_INVALID: fault(
            "the vendor's public keys cannot be read, or cannot be used for this",
            "Install the key set from the vendor's manifests again.",
        ),
    },
)
