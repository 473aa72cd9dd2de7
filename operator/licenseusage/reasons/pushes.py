"""Reasons of activity that the product pushes: of its source, and of the intake's refusals."""

from licenseusage.reasons.entries import Chapter, fault, passing
from licenseusage.reasons.vocabulary import Reason

PUSHES = Chapter(
    title="Pushed activity",
    speaker="the operator",
    places="`Collected`, its event, `status.sources[].reason` and its message",
    entries={
        Reason.INTAKE_OFF: fault(
            "a source says that the product pushes, and the operator's intake is off",
            "An administrator adds manifests/components/intake, or sets INTAKE_ADDRESS.",
        ),
        Reason.INTAKE_UNAVAILABLE: fault(
            "the intake cannot ask the API server whose token it was sent",
            "Apply manifests/components/intake: it grants `create` on `tokenreviews`.",
        ),
        Reason.NOTHING_PUSHED: passing(
            "no pod has pushed for two intervals, or ever",
            "See the log of the product; it may push a heartbeat where nobody is active.",
        ),
        Reason.PRODUCER_SILENT: passing(
            "a declared producer has sent no heartbeat for two intervals",
            "See the log of that producer; if it is gone for good, correct `push.producers`.",
        ),
        Reason.PUSH_REFUSED: passing(
            "the last request of the product was refused; the message says why",
            "Correct what the message names: the product keeps the events until it is answered.",
        ),
        Reason.PUSH_AMBIGUOUS: fault(
            "several sources of the namespace name the same service account",
            "Give each product a service account of its own, and name it in one source.",
        ),
    },
)

INTAKE = Chapter(
    title="The intake's answers",
    speaker="the operator's intake",
    places="`error` of a problem document (RFC 9457), and `PushRefused` of the source",
    entries={
        Reason.PUSH_TOKEN_MISSING: fault(
            "the request has no bearer token",
            "Send the pod's projected service account token: `Authorization: Bearer …`.",
        ),
        Reason.PUSH_TOKEN_REFUSED: fault(
            "the token is not a valid service account token for the intake's audience",
            "Project a token with the audience licenseusage.dev, and read the file for each "
            "request: it is renewed.",
        ),
        Reason.NO_PUSH_SOURCE: fault(
            "no LicenseUsage of the caller's namespace names its service account",
            "Name it in `push.serviceAccounts` of a source in the same namespace.",
        ),
        Reason.PUSH_NOT_READY: passing(
            "the operator cannot record activity of this object now", "Send it again."
        ),
        Reason.PUSH_TOO_LARGE: fault(
            "the request has too many bytes or events", "Send smaller batches."
        ),
        Reason.PUSH_TOO_FAST: passing(
            "the namespace sends more than its share",
            "Wait as long as Retry-After says; send larger batches, more rarely.",
        ),
        Reason.PUSH_INVALID: fault(
            "the request is not one of CloudEvents over HTTP, as docs/push.md describes",
            "Correct the member that the answer names.",
        ),
        Reason.EVENT_INVALID: fault(
            "an event is not of the form that docs/push.md describes",
            "Correct the member that the answer names; the whole request was refused.",
        ),
        Reason.EVENT_IN_FUTURE: passing(
            "an event lies further in the future than clocks may differ",
            "Set the producer's clock (NTP), or declare `guarantees.clockSkewSeconds`.",
        ),
        Reason.HEARTBEAT_AHEAD: passing(
            "a heartbeat lies further in the future than clocks may differ",
            "Set the producer's clock (NTP), or declare `guarantees.clockSkewSeconds`.",
        ),
        Reason.HEARTBEAT_WENT_BACK: passing(
            "a heartbeat lies before an earlier one of the same producer",
            "Set the producer's clock; give each process a `source` of its own.",
        ),
        Reason.PUSH_RECEIPT_UNKNOWN: passing(
            "the receipt is not the newest one of this producer: the ledger was restored, or two "
            "processes use one `source`",
            "Send the request again without a receipt: the events count, and a new chain begins.",
        ),
    },
)
