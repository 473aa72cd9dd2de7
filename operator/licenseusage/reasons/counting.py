"""Reasons about a number: what was not counted, where nothing was seen, why it is not exact."""

from licenseusage.reasons.entries import Chapter, fault, note, passing
from licenseusage.reasons.vocabulary import Reason

SKIPS = Chapter(
    title="Items that are not counted",
    speaker="the operator",
    places="`status.sources[].skipped`, `licenseusage source check`, `rules` of a report",
    entries={
        Reason.EXCLUDED: note("left out by `users.exclude`"),
        Reason.EXCLUDED_ID: note("left out by `users.excludeIds`"),
        Reason.NEVER_ACTIVE: note("has never been active"),
        Reason.ONLY_CREATED: note(
            "the last activity is the time of the creation, which is no activity"
        ),
        Reason.OUTSIDE_CYCLE: note("was active, but not in this cycle"),
        Reason.NO_ID: note(
            "has no id, or one that is no valid text, so that it cannot be told apart",
            "Correct `users.id` if it should have one.",
        ),
        Reason.CAME_AT_ONCE: note(
            "came to a list without times together with many others, so that the list before may "
            "have been cut",
            "See whether so many began at once; else look for what hides users from the account "
            "that reads the list.",
        ),
        Reason.OTHER_TYPE: note("an event of a type that does not count"),
        Reason.EXCLUDED_EVENT: note("an event left out by `users.exclude`"),
        Reason.UNREADABLE: note(
            "a message that cannot be read as an event", "Correct what reads the log."
        ),
    },
)

GAPS = Chapter(
    title="Spans that nobody observed",
    speaker="the operator",
    places="gaps of the coverage, in status and report, beside the reasons of failed polls",
    entries={
        Reason.BEFORE_FIRST_POLL: note("nothing was polled yet"),
        Reason.NO_POLL: passing(
            "no poll took place, as while the operator did not run", "See why the operator stopped."
        ),
        Reason.FACTS_LOST: note(
            "it was observed, and the ledger with what was seen was lost: only what the reports "
            "had said is known"
        ),
    },
)

RANGES = Chapter(
    title="Why a number is a range",
    speaker="the operator",
    places="`uncertainty` of a report, `status` and its words",
    entries={
        Reason.BOUNDARY_GAP: passing(
            "nothing could be read right at the cycle's end, and people signed in again since",
            "Keep the product and the operator running at the end of a cycle.",
        ),
        Reason.HIDDEN_ACTIVITY: note(
            "the product may show activity late or coarsely (`guarantees.hiddenSeconds`)",
            "Nothing: it is a property of the product.",
        ),
        Reason.SEPARATE_IDENTITIES: note(
            "the users of several sources cannot be compared, so that a person may be in two",
            "Let the sources give the same id, and declare it in `identity`.",
        ),
        Reason.UNSTABLE_IDS: note(
            "ids may change, so that lists of different times cannot be united",
            "Name an id that never changes, and declare `guarantees.ids: Stable`.",
        ),
        Reason.ROLLING_LIST: note("the product tells who was active lately, not when"),
        Reason.NEVER_FORGETS: note(
            "nobody was seen to leave a list without times and to come back, so that it may be a "
            "list of everybody",
            "Nothing, if people come and go: they count once somebody did. If the list never gets "
            "shorter, correct `http` or `window`.",
        ),
        Reason.BARE_COUNTS: note(
            "the product states numbers only, over spans that are not the cycle's"
        ),
        Reason.STRADDLING_EVENTS: note(
            "events near the cycle's start or end may lie on either side of it",
            "Set the clocks of product and event log by NTP.",
        ),
        Reason.REMOVED_USERS: note(
            "people were removed before it could be ruled out that they had been active",
            "Lower `intervalMinutes`, or declare `guarantees.removal` if the product keeps them.",
        ),
    },
)

UNBOUNDED = Chapter(
    title="Why a number has no upper bound",
    speaker="the operator",
    places="`uncertainty` of a report, `status` and its words; doubts about a list stand there too",
    entries={
        Reason.ACTIVITY_LOST: passing(
            "activity that the product had shown was gone later, or came to be shown too late",
            "Correct `guarantees.lagSeconds`; see whether activity is removed in the product.",
        ),
        Reason.NO_CLOSING_POLL: passing(
            "nothing could be read completely after the cycle's end",
            "Keep the product reachable after the end of a cycle, or raise `closeGraceHours`.",
        ),
        Reason.ROSTER_MISSING: note(
            "users may be removed, and the list was not read completely right before the start",
            "Nothing: a cycle that begins while the operator runs has it.",
        ),
        Reason.ROSTER_GAP: passing(
            "users may be removed, and the complete readings of the list are too far apart",
            "Lower `intervalMinutes`; keep the product and the operator running.",
        ),
        Reason.UNLISTED_USERS: fault(
            "somebody was active who was in no complete list",
            "Lower `intervalMinutes`, or correct `guarantees.removal`.",
        ),
        Reason.RULES_CHANGED: note(
            "the definition of who counts changed within the cycle, so that the part before cannot "
            "be completed",
            "Change sources right after a cycle's end.",
        ),
        Reason.SOURCE_GONE: note(
            "a source is no longer declared, and what it had recorded was not read to the end",
            "Remove a source after the cycle's end.",
        ),
        Reason.OBJECT_GONE: note(
            "the LicenseUsage was deleted before the product could be read after the cycle's end",
            "Delete it after the cycle's end.",
        ),
        Reason.PSEUDONYM_KEY_CHANGED: fault(
            "the pseudonym key is another one than before in the same cycle, so that people cannot "
            "be recognised",
            "Restore the former key; it may change at a cycle's start only. If it is lost: "
            "`licenseusage keys new pseudonym`.",
        ),
        Reason.STORE_GONE: passing(
            "a pod went away with what only it had recorded",
            "Keep the product's data on a volume that all its pods share.",
        ),
        Reason.LOG_HOLE: passing(
            "part of the event log was lost before it was read",
            "Raise the limits of the stream, or lower `intervalMinutes`.",
        ),
        Reason.PUSH_GAP: passing(
            "no unbroken heartbeats of all declared producers cover the cycle",
            "Declare every producer in `push.producers`, and keep their unsent events on a disk.",
        ),
        Reason.PROOF_GAP: passing(
            "the product shows activity for a while only, and the readings are too far apart",
            "Lower `intervalMinutes`; keep the product and the operator running.",
        ),
        Reason.UNPROVED_COUNTS: note(
            "the product states numbers only, none of which covers the cycle"
        ),
    },
)
