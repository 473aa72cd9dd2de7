"""Reasons of the programs themselves: start, ledger, receiver, command line."""

from licenseusage.reasons.entries import Chapter, fault, good, note, passing
from licenseusage.reasons.vocabulary import Reason

START = Chapter(
    title="The start of a program",
    speaker="the operator or the receiver",
    places="the log and the last line before the end; `Ready` where the operator goes on",
    entries={
        Reason.SETTINGS_INVALID: fault(
            "a setting has a value that cannot be used", "Correct the setting in the message."
        ),
        Reason.NO_CLUSTER: fault(
            "there is no cluster to connect to", "Set KUBECONFIG, or run the operator as a pod."
        ),
        Reason.CRDS_MISSING: fault(
            "the cluster does not know the custom resources", "`kubectl apply -k crds`"
        ),
        Reason.ROLE_MISSING: fault(
            "the operator's account lacks the rights it starts with",
            "Install its roles as you installed it (`kubectl apply -k manifests/base`, your own "
            "kustomization, or `helm upgrade`), or limit it by LICENSEUSAGE_NAMESPACES.",
        ),
        Reason.API_REFUSED: fault(
            "the API server refused the first list of objects",
            "See the API server's sentence in the message.",
        ),
    },
)

LEDGER = Chapter(
    title="The ledger",
    speaker="the ledger, in the operator and in `licenseusage ledger`",
    places="`Ready` of every LicenseUsage, the log, the command line",
    entries={
        Reason.LEDGER_LOCKED: passing(
            "another process uses the ledger; only one may write it",
            "Stop the other process, or wait for its end.",
        ),
        Reason.LEDGER_LOST: fault(
            "the cluster shows cycles that the ledger does not know",
            "Restore the ledger from a backup: `licenseusage ledger restore`. Without one, name "
            "the newest report in `spec.reporting.adoptHead` (docs/operations.md).",
        ),
        Reason.LEDGER_CORRUPT: fault(
            "the file is damaged, cut, or no ledger", "Restore it from a backup."
        ),
        Reason.LEDGER_DISK_FULL: passing(
            "the volume has no room; nothing is written by half",
            "Free space on the volume, or make it larger.",
        ),
        Reason.LEDGER_READ_ONLY: passing(
            "the ledger cannot be written",
            "Mount its volume writable, and let the operator's user write it.",
        ),
        Reason.LEDGER_UNAVAILABLE: passing(
            "the ledger cannot be read, or is not open yet",
            "Check that its volume is mounted, and its permissions.",
        ),
        Reason.LEDGER_SCHEMA_UNSUPPORTED: fault(
            "the ledger was written by a later version, or by one that is too old",
            "Run the version that the message names.",
        ),
        Reason.LEDGER_UPGRADE_FAILED: fault(
            "the ledger could not be brought to the newest schema, and is unchanged",
            "Run the version before, and report the message.",
        ),
        Reason.BACKUP_UNUSABLE: fault(
            "a backup cannot be restored; nothing was changed", "Choose another backup."
        ),
        Reason.MERGE_REFUSED: fault(
            "two ledgers cannot be merged; nothing was changed",
            "See in the message what contradicts.",
        ),
    },
)

RECEIVER = Chapter(
    title="The vendor's receiver",
    speaker="the receiver",
    places="`error` of a problem (RFC 9457), the receiver's log and start",
    entries={
        Reason.NOT_FOUND: fault("there is nothing at this address", "Correct the address."),
        Reason.METHOD_NOT_ALLOWED: fault(
            "this address is not used with this method", "See the receiver's `/docs`."
        ),
        Reason.REQUEST_CUT: passing(
            "the connection ended before the document did; send it again", "Send it again."
        ),
        Reason.REQUEST_EXPIRED: fault(
            "the request was signed too long ago; sign a new one",
            "Ask again; if that does not help, set the operator's clock by NTP.",
        ),
        Reason.UNSUPPORTED_MEDIA_TYPE: fault(
            "the body is not of the type that this address takes",
            "Send a token as it is with `content-type: application/jose`, a bundle with "
            "`content-type: text/plain`.",
        ),
        Reason.TOO_MANY_CONFLICTS: fault(
            "enough contradicting documents of this installation are kept",
            "Find out why two histories exist: customer and vendor together.",
        ),
        Reason.DATABASE_UNAVAILABLE: passing(
            "the receiver's database does not answer, or its file cannot be written",
            "Check the database, its volume and `--database-url`.",
        ),
        Reason.SCHEMA_UNSUPPORTED: fault(
            "the receiver's database was made by another version",
            "Run the version that wrote it, or give another `--database-url`.",
        ),
        Reason.RECEIPT_NOT_SIGNED: passing(
            "a receipt could not be signed; nothing was stored", "See the receiver's log."
        ),
        Reason.LICENSE_KEY_ON_LINE: fault(
            "the key that signs licences lies on the receiver's machine",
            "Remove it from there, and keep it off line.",
        ),
    },
)

COMMANDS = Chapter(
    title="The command line",
    speaker="`licenseusage`",
    places="`error: REASON: …` (exit 3), and `reason` of `report verify --output json`",
    entries={
        Reason.VALID: good("the check found the document in order"),
        Reason.NO_RECEIPT: note(
            "no receipt was given, so it is not known whether the vendor has the document",
            "Give the receipts, or the UsageReports as `kubectl get -o yaml` prints them.",
        ),
        Reason.NO_VENDOR_KEYS: note(
            "the vendor's keys were not given, so its signatures were not checked",
            "Give them with `--vendor-keys`.",
        ),
        Reason.NO_ENROLMENT: note(
            "the installation's enrolment was not given, so its signature was not checked",
            "Give the enrolment; `licenseusage ledger` prints it.",
        ),
        Reason.INCOMPLETE: note(
            "documents of the chain are missing, so the chain was not checked",
            "Give all reports of the chain.",
        ),
        Reason.NOT_ENROLLED: fault(
            "the ledger holds no enrolment", "Wait until the first licence is valid."
        ),
        Reason.NO_DOCUMENT: fault(
            "the input holds no signed document, or not exactly the one that is needed",
            "Give tokens, one a line, or objects as `kubectl get -o yaml` prints them.",
        ),
        Reason.AMBIGUOUS: fault(
            "the input names several installations, or objects of several namespaces; or several "
            "pods of operators fit",
            "Give the reports of one installation only, or name the namespace. The message says "
            "how to choose among pods.",
        ),
        Reason.COMMITMENT_NOT_KEPT: fault(
            "the ledger does not keep whom a final report counted",
            "Name another cycle; the message says why there may be none. See docs/privacy.md.",
        ),
        Reason.PERSON_REQUESTS_REFUSED: fault(
            "the operator's settings do not allow to look for one person",
            "If your privacy officer agrees, set `LICENSEUSAGE_PERSON_REQUESTS=Allowed` at the "
            "operator; see docs/privacy.md.",
        ),
        Reason.NO_SUCH_CYCLE: fault(
            "no report is here of the cycle that a statement was asked for",
            "Choose one of the cycles that the message lists, or give the reports of more.",
        ),
        Reason.NOT_VERIFIED: fault(
            "a document that a statement would be made of does not verify",
            "See each document and its class in the message; `licenseusage report verify` says "
            "more.",
        ),
        Reason.FILE_UNREADABLE: fault(
            "a file cannot be read as what it has to be", "See the file's name in the message."
        ),
        Reason.FILE_EXISTS: fault(
            "a file of this name exists, and is not overwritten", "Name another file or folder."
        ),
        Reason.CAPTURE_INVALID: fault(
            "a capture of `source check` cannot be used: it was cut or changed, is of another "
            "version, or of a source that reads other members",
            "Record it anew with `licenseusage source check --record`.",
        ),
        Reason.CAPTURE_NOT_MADE: fault(
            "the answers of this source cannot be recorded without what names people",
            "See what the message names: a kind of source, an expression, or a condition.",
        ),
        Reason.NOT_WRITABLE: fault(
            "a file or folder cannot be written", "Correct its permissions, or name another."
        ),
        Reason.PASSPHRASE_UNUSABLE: fault(
            "there is no passphrase, or it is too short to protect keys",
            "Type a longer one, or name its file with `--passphrase-file`.",
        ),
        Reason.PASSPHRASE_WRONG: fault(
            "the passphrase does not open the file of exported keys",
            "Use the passphrase that the file was exported with.",
        ),
        Reason.KEY_FILE_INVALID: fault(
            "the file is no whole export of the operator's keys", "Take another copy of it."
        ),
        Reason.KEY_FILE_TOO_WEAK: fault(
            "the file of keys would be cheap to guess",
            "Export again while the machine is idle, or on another machine.",
        ),
        Reason.KEY_FILE_TOO_COSTLY: fault(
            "opening the file of keys would take too long on this machine",
            "Open it on a faster machine, or with the program age.",
        ),
        Reason.ANOTHER_KEY: fault(
            "the cluster holds another key than the file, or the report, was made with",
            "Check that they belong together: restore the former key, or delete the Secret if it "
            "is to go.",
        ),
        Reason.NOT_INSTALLED: fault(
            "a part of the package, or a program that is needed, is not installed",
            "Install what the message names.",
        ),
        Reason.KUBECTL_FAILED: fault(
            "`kubectl` could not be run, or did not do what was asked",
            "See its own words in the message.",
        ),
        Reason.OPERATOR_NOT_FOUND: fault(
            "kubectl finds no operator to run the command in",
            "Name its namespace with `--operator-namespace`, or the cluster with `--context`.",
        ),
        Reason.OPERATOR_NOT_RUNNING: fault(
            "the operator's pod, in which the command would run, does not run",
            "Do what the cluster says of the pod. To reach the ledger meanwhile, scale the "
            "operator to zero and apply `manifests/maintenance`.",
        ),
        Reason.OPERATOR_DIFFERS: fault(
            "the program in the operator's pod does not know the command, or is not there",
            "Use the version of `licenseusage` that the operator has.",
        ),
        Reason.STREAM_CUT: passing(
            "what was streamed between this machine and the operator's pod is not whole",
            "Try again: nothing was written, and nothing was changed.",
        ),
        Reason.UNEXPECTED: fault(
            "the program has a defect", "Report it; LICENSEUSAGE_DEBUG=1 shows where it failed."
        ),
    },
)
