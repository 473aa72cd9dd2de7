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
            "there is no stream of this name", "Correct the name of the stream, or `pods.port`."
        ),
        Reason.SEVERAL_LOGS: fault(
            "pods of one source each keep a log of their own, so that none holds all events",
            "Make a source for each pod, with `combine: Union`, or let the servers form a cluster.",
        ),
        Reason.STREAM_NOT_A_LOG: fault(
            "the stream removes messages once others have read them, so it proves nothing",
            "Use a stream with retention `limits`, or another source.",
        ),
        Reason.STREAM_NOT_IN_TIME: fault(
            "messages appeared in the stream long after the time at which they were stored, as "
            "their ids say, so nobody knows what else is still to come",
            "Let the server give the ids (`XADD` with `*`); read the original of a copied stream.",
        ),
        Reason.NOT_PRIMARY: passing(
            "the server has no or only a copy of the stream: it is a replica, or another node of a "
            "cluster",
            "Select the primary, or all pods: the one that can answer is asked.",
        ),
        Reason.BROKER_FAILED: passing(
            "the message broker does not let the stream be read", "See the server's log."
        ),
        Reason.EVENTS_UNREADABLE: fault(
            "messages cannot be read as events of the kind that the source describes",
            "Correct the source: what reads the log (`jetstream`, `redis`), or `users`.",
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
        Reason.SERVER_RESTARTED: fault(
            "the server was restarted, or another one took over, so messages that had not been "
            "read may be lost",
            "Declare `guarantees.durability: Durable` if the server keeps every entry; nothing "
            "mends this cycle.",
        ),
        Reason.MESSAGES_DELETED: fault(
            "single messages were deleted before they were read",
            "Do not delete messages; nothing mends this cycle.",
        ),
        Reason.LOG_BEGAN: note(
            "the log begins within the cycle: whether anything was recorded before its oldest "
            "event is not known",
            "Nothing: the next cycle can be exact.",
        ),
        Reason.LOG_EMPTY: note(
            "the log holds no event, and nothing else says that events are recorded, so it proves "
            "nothing",
            "See whether the product records events; the first one ends this. "
            "`events.settings.recording` lets the product say it.",
        ),
        Reason.LOG_EXPIRED: fault(
            "the product deleted events by their age before they were read",
            "Let the product keep events longer, or lower `intervalMinutes`.",
        ),
        Reason.LOG_MOVED: passing(
            "events were removed from the log while it was read, so that some may be missing in "
            "the answers",
            "It is read again. If this keeps happening, the answers are not sorted by "
            "`users.time`.",
        ),
        Reason.LOG_WENT_BACK: fault(
            "the newest event of the last reading is gone: the log was cleared, or set back, as by "
            "a restored backup",
            "Do not clear the log; nothing mends this cycle.",
        ),
        Reason.EVENTS_NOT_RECORDED: fault(
            "the product says that it does not record the events that count",
            "Switch the recording of these events on, at the product.",
        ),
        Reason.EVENTS_TIED: passing(
            "more events have one time than a page holds, so that the next page cannot be asked "
            "for",
            "Ask for larger pages (`http.pagination.size`).",
        ),
        Reason.SETTINGS_UNREADABLE: fault(
            "the product's answer about its log does not hold what `events.settings` reads of it",
            "Correct `events.settings`; try it with `licenseusage source check`.",
        ),
    },
)
