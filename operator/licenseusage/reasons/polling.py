"""Reasons of a poll that failed: the way to the product, and the bounds of one poll."""

from licenseusage.reasons.entries import Chapter, fault, good, note, passing
from licenseusage.reasons.vocabulary import Reason

REACHING = Chapter(
    title="The way to a product",
    speaker="the operator",
    places="`Collected`, its event, `status.sources[].reason`, gaps of the coverage",
    entries={
        Reason.NO_PODS: passing(
            "the selector of the source matches no pod", "Check `pods.selector` of the source."
        ),
        Reason.NO_READY_PODS: passing(
            "pods exist, and none of them is ready", "See why the product's pods are not ready."
        ),
        Reason.POD_GONE: passing(
            "the pod ended, or was not ready any more, while it was being read",
            "See the pod's state and log.",
        ),
        Reason.ADDRESS_REFUSED: passing(
            "the address is one that the operator never calls: of a node, loopback or link-local, "
            "or of a Service that may lead anywhere",
            "Give the product's pods addresses of their own, or name another Service.",
        ),
        Reason.PORT_NOT_FOUND: passing(
            "no port of the pod or Service has the name that the source gives",
            "Correct `pods.port` or `service.port`; the message lists the ports.",
        ),
        Reason.SERVICE_NOT_FOUND: passing(
            "the Service that the source names does not exist", "Correct `service.name`."
        ),
        Reason.ENDPOINT_NOT_ALLOWED: fault(
            "the operator's settings name no endpoint of this name for the namespace",
            "An administrator adds the endpoint to the operator's ConfigMap of endpoints.",
        ),
        Reason.ENDPOINT_INVALID: fault(
            "an endpoint in the operator's ConfigMap is not written as it has to be",
            "Correct the key that the message names.",
        ),
        Reason.ENDPOINT_UNRESOLVED: passing(
            "the host of an endpoint has no address",
            "Check the host's name, and whether the operator may ask the cluster's DNS.",
        ),
        Reason.UNREACHABLE: passing(
            "no connection to the product could be opened",
            "Check port, scheme and NetworkPolicies, and whether the product listens on all "
            "interfaces.",
        ),
        Reason.CONNECTION_LOST: passing(
            "the connection was closed before the answer was complete", "See the product's log."
        ),
        Reason.NOT_HTTP: fault(
            "what listens at this port does not speak HTTP/1.1",
            "Correct `pods.port`; a port that speaks TLS needs `pods.scheme: HTTPS`.",
        ),
        Reason.NOT_NATS: passing(
            "what listens at this port does not speak NATS, or refuses the connection",
            "Correct `pods.port`; see the server's log.",
        ),
        Reason.NOT_REDIS: passing(
            "what listens at this port does not answer as a Redis server of version 7 or newer",
            "Correct `pods.port`; see the server's version.",
        ),
        Reason.CA_INVALID: fault(
            "the Secret of the certificate authority holds no PEM certificate",
            "Store the authority's certificate, beginning with `-----BEGIN CERTIFICATE-----`.",
        ),
        Reason.CERTIFICATE_INVALID: fault(
            "the product's certificate is not trusted",
            "Give its authority in `pods.tls.caSecretRef` and its name in `pods.tls.serverName`.",
        ),
        Reason.TLS_FAILED: fault(
            "no TLS connection could be made with the product or with the vendor",
            "For a product: check `pods.scheme` and its TLS settings. For the vendor, or a proxy "
            "before it: set LICENSEUSAGE_VENDOR_CA_FILE if it uses an authority of your own.",
        ),
        Reason.CREDENTIALS_INVALID: fault(
            "the credentials hold characters that a request cannot carry, or are missing",
            "Correct the value in the Secret, and `http.headers`.",
        ),
        Reason.SIGN_IN_REFUSED: fault(
            "the login or the token endpoint refuses the credentials, or what is asked for; it is "
            "tried again after 15 minutes, later once an hour, so that no account is locked",
            "Correct the Secret of the source (then it is tried at once), or what the message "
            "names of `auth`.",
        ),
        Reason.SIGN_IN_UNUSABLE: fault(
            "the login or the token endpoint is not there, or gives nothing that can be sent",
            "Check the path in `auth`, and the server's settings for this client.",
        ),
        Reason.SIGN_IN_UNAVAILABLE: passing(
            "the login or the token endpoint cannot be reached, or did not answer",
            "See the log of the server that the message names; check its address in `auth`.",
        ),
        Reason.CLIENT_CERTIFICATE_REFUSED: fault(
            "the server wants a client's certificate, or refuses the one that was presented",
            "Give one in `auth.clientCertificate`, or correct it: its authority, dates and chain.",
        ),
        Reason.PROXY_AUTHENTICATION_REQUIRED: fault(
            "a proxy between operator and product wants credentials of its own (407)",
            "Let the operator reach the product without that proxy.",
        ),
    },
)

BOUNDS = Chapter(
    title="The bounds of one poll",
    speaker="the operator",
    places="`Collected`, its event, `status.sources[].reason`, gaps of the coverage",
    entries={
        Reason.REQUEST_TIMEOUT: passing(
            "the other side sent nothing for too long in the middle of a request",
            "See how busy the product is; ask for smaller pages, or raise POLL_REQUEST_SECONDS. "
            "At the receiver: send the document again.",
        ),
        Reason.POLL_TIMEOUT: passing(
            "the whole list or log was not read within the time of one poll",
            "Ask for larger pages, or raise POLL_SECONDS. What was read of a log counts.",
        ),
        Reason.POLL_TOO_LARGE: passing(
            "the answers of one poll are larger than allowed",
            "Ask for fewer fields, or raise POLL_BYTES.",
        ),
        Reason.TOO_MANY_PAGES: passing(
            "the list did not end after the most pages of one poll",
            "Ask for larger pages, check that the pages end, or raise POLL_PAGES.",
        ),
        Reason.TOO_MANY_USERS: passing(
            "the list has more users than one poll may read",
            "Raise POLL_USERS, and the operator's memory with it.",
        ),
        Reason.WORKER_MEMORY: passing(
            "the process that read the answer had not enough memory",
            "Ask for smaller pages or fewer fields, or raise WORKER_BYTES and the pod's memory "
            "limit together.",
        ),
        Reason.WORKER_FAILED: passing(
            "the process that reads answers could not be started, or has a defect",
            "Check the operator's image, volumes and limits; report a defect.",
        ),
    },
)

PACE = Chapter(
    title="How far apart polls are",
    speaker="the operator",
    places="`status.sources[].intervalReason`",
    entries={
        Reason.AS_DECLARED: good("polls are `intervalMinutes` apart"),
        Reason.LOAD_BOUNDED: note(
            "a poll takes so long that the interval is 100 times its duration: the product answers "
            "the operator for at most 1 % of the time",
            "Nothing, if the number may be that old. Else let the product answer faster: larger "
            "pages, fewer fields, or a query for those who were active in the cycle.",
        ),
        Reason.PAUSE_AFTER_SLOW_POLL: passing(
            "the last poll was slow and not complete, or failed late: three times its duration "
            "passes before the next one",
            "See why the product answers slowly; the poll took a quarter of `intervalSeconds`.",
        ),
        Reason.CYCLE_ENDS: note(
            "polls are more frequent from 10 minutes before the end of a cycle until 10 minutes "
            "after everything of it can be seen: every 15 seconds, or 10 times the duration of a "
            "poll"
        ),
        Reason.RETRY: passing(
            "the last poll failed; the next one is due sooner than usual, and after each further "
            "failure later",
            "See `reason` and `message` of the source.",
        ),
    },
)
