"""Reasons about a LicenseUsage: its spec, what it names, its licence, its number."""

from licenseusage.reasons.entries import Chapter, fault, good, note, passing
from licenseusage.reasons.vocabulary import Reason

USAGES = Chapter(
    title="A LicenseUsage",
    speaker="the operator",
    places="conditions and events of a LicenseUsage; `status.sources[].reason`",
    entries={
        Reason.SUCCEEDED: good("everything that was due has been done; users are being counted"),
        Reason.PROGRESSING: note(
            "the operator works on the current spec and has no first result yet", "Wait."
        ),
        Reason.PROGRESSING_WITH_RETRY: passing(
            "something failed and is tried again", "See the condition that is False."
        ),
        Reason.INVALID_SPEC: fault(
            "a field of the spec has a value that cannot be used",
            "Correct the field that the message names; `kubectl explain licenseusage.spec` shows "
            "what is allowed.",
        ),
        Reason.INVALID_SOURCE: fault(
            "a source, together with its preset, does not describe a list or log that can be read",
            "Correct the field that the message names; try it with `licenseusage source check`.",
        ),
        Reason.UNKNOWN_PRESET: fault(
            "there is no preset of this name",
            "Choose one of `licenseusage preset list`, or write `http` and `users` in full.",
        ),
        Reason.CONFIGMAP_NOT_PRESET: fault(
            "a ConfigMap that `presetConfigMapRef` names was not made to hold presets",
            "Who owns it labels it as the message shows.",
        ),
        Reason.PRESET_INVALID: fault(
            "the preset in a ConfigMap is no preset: not YAML, too large, or a member is missing "
            "or unknown",
            "Correct the member that the message names; `licenseusage source check` reads the "
            "ConfigMap beside the source.",
        ),
        Reason.PRESET_REFUSED: fault(
            "the preset in a ConfigMap asks for what only the operator's own presets, or the "
            "LicenseUsage, may: another method than GET, another path to sign in, a server, or a "
            "Secret",
            "Remove the member that the message names.",
        ),
        Reason.SECRET_NOT_FOUND: fault(
            "a Secret that is named does not exist",
            "Create the Secret in that namespace, or correct the name.",
        ),
        Reason.SECRET_KEY_MISSING: fault(
            "a Secret that is named lacks the key that is named",
            "Add the key to the Secret, or correct its name.",
        ),
        Reason.SECRET_INVALID: fault(
            "a value in a Secret is not one line of text",
            "Store the bare token or password, without line breaks.",
        ),
        Reason.SECRET_NOT_CREDENTIALS: fault(
            "a Secret exists, but its owner has not permitted to send it to a product",
            "The owner labels the Secret as the message shows.",
        ),
        Reason.CONFIGMAP_NOT_FOUND: fault(
            "a ConfigMap that is needed does not exist",
            "Create the ConfigMap in that namespace, or correct the name.",
        ),
        Reason.CONFIGMAP_KEY_MISSING: fault(
            "a ConfigMap lacks the key that is needed", "Add the key to the ConfigMap."
        ),
        Reason.FORBIDDEN_BY_CLUSTER: fault(
            "the operator's account lacks a right in the cluster",
            "Apply the RoleBinding or the roles that the message shows.",
        ),
        Reason.API_UNAVAILABLE: passing(
            "the API server does not answer, or answers with an error",
            "Check the control plane and the network between it and the operator.",
        ),
        Reason.CLOCK_SKEWED: fault(
            "the clocks of the operator and of the API server differ by more than 300 s",
            "Set the clocks of the operator's node and of the control plane by NTP.",
        ),
        Reason.INTERNAL_ERROR: fault(
            "a program of this project failed by its own defect; nothing was stored by half",
            "It is tried again (to the receiver: send it again later). Report the line of the log.",
        ),
        Reason.POLL_SUCCEEDED: good("the last poll of every source succeeded"),
        Reason.NOT_COLLECTED_YET: note(
            "no poll has ended yet, or there is no cycle to count in yet",
            "Wait, or see the condition `Licensed`.",
        ),
        Reason.STALE: passing(
            "the last successful poll of a source is more than two intervals ago",
            "See the operator's log, and whether its pod was stopped.",
        ),
        Reason.GUARANTEE_REFUTED: fault(
            "the product's answers contradict a guarantee that a source declares",
            "Correct the guarantee that the message names; `Unknown` promises nothing.",
        ),
        Reason.LICENSE_VALID: good("the licence is verified and in force"),
        Reason.LICENSE_NOT_FOUND: fault(
            "the Secret of the licence, or its key, is missing",
            "Put the licence there exactly as the vendor sent it.",
        ),
        Reason.WITHIN_MAXIMUM: good("at most as many users as are paid for were active"),
        Reason.THRESHOLD_REACHED: note(
            "a part of what is paid for is reached at which `spec.warnAtPercent` warns",
            "See whether what is paid for lasts until the cycle's end.",
        ),
        Reason.MAXIMUM_REACHED: note(
            "exactly as many users as are paid for were active; one more exceeds the maximum",
            "Talk to the vendor in time.",
        ),
        Reason.MAXIMUM_EXCEEDED: fault(
            "more users were active than are paid for; nothing is switched off",
            "Talk to the vendor.",
        ),
        Reason.COUNT_UNKNOWN: note(
            "nothing is known about the number of the running cycle yet", "Wait."
        ),
        Reason.CYCLE_CLOSED: good("a cycle has ended and has its number"),
        Reason.CYCLE_AMENDED: note("later evidence has narrowed the number of an ended cycle"),
        Reason.NEW_EVIDENCE: note(
            "an ended cycle's number was narrowed, because more was seen after its end"
        ),
    },
)
