"""Reasons of event logs: the broker, the stream, and what a stream has lost."""

from licenseusage.reasons.entries import Chapter, fault, note, passing
from licenseusage.reasons.vocabulary import Reason

EVENT_LOGS = Chapter(
    title="Event logs",
    speaker="the operator",
    places="`Collected`, its event, `status.sources[].reason` and its message, gaps",
    entries={
        Reason.JETSTREAM_UNAVAILABLE: passing(
            "the NATS server has no JetStream: off, starting, without a leader, or not for this "
            "account",
            "Check `pods.port`, the server's configuration and its log.",
        ),
        Reason.STREAM_NOT_FOUND: fault(
            "there is no stream of this name", "Correct `jetstream.stream` or `pods.port`."
        ),
        Reason.STREAM_NOT_A_LOG: fault(
            "the stream removes messages once others have read them, so it proves nothing",
            "Use a stream with retention `limits`, or another source.",
        ),
        Reason.BROKER_FAILED: passing(
            "the NATS server does not let the stream be read", "See the server's log."
        ),
        Reason.EVENTS_UNREADABLE: fault(
            "messages cannot be read as events of the kind that the source describes",
            "Correct `jetstream` or `users` of the source.",
        ),
        Reason.IDS_NOT_STABLE: fault(
            "ids are neither UUIDs nor integers, and are not declared stable: somebody renamed "
            "would count twice",
            "Name an id that never changes, and declare `guarantees.ids: Stable`.",
        ),
        Reason.READING_BEHIND: note(
            "the stream holds more than one poll may read; the next poll goes on from there",
            "To read more at a time raise POLL_BYTES, POLL_PAGES or POLL_SECONDS.",
        ),
        Reason.STREAM_BEGAN: note(
            "the stream was made within the cycle, so nothing was recorded before",
            "Nothing: the next cycle can be exact.",
        ),
        Reason.STREAM_LIMITED: fault(
            "the stream forgot messages by its limits before they were read",
            "Raise the limits of the stream, or lower `intervalMinutes`.",
        ),
        Reason.STREAM_PURGED: fault(
            "messages were purged before they were read", "Do not purge the stream."
        ),
        Reason.STREAM_RECREATED: fault(
            "the stream was removed and made anew", "Keep the stream; nothing mends this cycle."
        ),
        Reason.STREAM_WENT_BACK: fault(
            "the stream was set back, as by a restored backup", "Nothing mends this cycle."
        ),
        Reason.MESSAGES_DELETED: fault(
            "single messages were deleted before they were read",
            "Do not delete messages; nothing mends this cycle.",
        ),
    },
)
