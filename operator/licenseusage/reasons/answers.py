"""Reasons of a poll that failed or proves nothing: what the product answered, and what it means."""

from licenseusage.reasons.entries import Chapter, fault, note, passing
from licenseusage.reasons.vocabulary import Reason

ANSWERS = Chapter(
    title="What a product answers",
    speaker="the operator",
    places="`Collected`, its event, `status.sources[].reason`, gaps of the coverage",
    entries={
        Reason.UNAUTHORIZED: fault(
            "the other side asks for credentials, or refuses those that it got (401)",
            "For a product: correct the Secret of the source, or give one in `auth`. For the "
            "vendor's endpoint: find the proxy that asks for a login.",
        ),
        Reason.ACCESS_DENIED: fault(
            "the account is known and may not list the users or read the stream (403)",
            "Give the account in the source's Secret that right.",
        ),
        Reason.PATH_NOT_FOUND: fault(
            "there is nothing at this path (404)",
            "Check `http.path`, `pods.port` and the product's version.",
        ),
        Reason.TOO_MANY_REQUESTS: passing(
            "the product limits how often it may be asked (429)",
            "Ask for larger pages, raise `intervalMinutes`, or raise the product's limit.",
        ),
        Reason.SERVER_ERROR: passing(
            "the product failed to answer (5xx)", "See the product's log."
        ),
        Reason.REDIRECTED: fault(
            "the product sends the request elsewhere (3xx), which is not followed",
            "Check the credentials, `pods.scheme` and `http.path`.",
        ),
        Reason.UNASKED_NOT_MODIFIED: fault(
            "the answer is that nothing has changed (304), and that was not asked",
            "A proxy or cache answers for the product: ask the product itself, or switch the cache "
            "off for this path.",
        ),
        Reason.UNEXPECTED_STATUS: fault(
            "the product answered with a status that is no list",
            "Check `http.path` and `http.query`; a TLS port needs `pods.scheme: HTTPS`.",
        ),
        Reason.UNKNOWN_ENCODING: passing(
            "the answer is compressed in a way that was not asked for",
            "Switch compression off for these requests, or use gzip.",
        ),
        Reason.ANSWER_EMPTY: passing(
            "the answer has no content, which is not the same as nobody",
            "Check `http.path`, and whether the product is ready.",
        ),
        Reason.ANSWER_TRUNCATED: passing(
            "the answer ends too early: the product or a proxy cut it off",
            "See the log of the product and of the proxy.",
        ),
        Reason.ANSWER_NOT_JSON: fault(
            "the answer is a page (HTML or XML) instead of JSON, often a sign-in page",
            "Check `http.path` and the credentials.",
        ),
        Reason.ANSWER_INVALID_JSON: passing(
            "the answer is not valid JSON",
            "Check `http.path`; a proxy may have cut or changed the answer.",
        ),
        Reason.ITEMS_NOT_A_LIST: fault(
            "`http.items` leads to something else than a list", "Correct `http.items`."
        ),
        Reason.LINE_NOT_A_USER: passing(
            "a line of the answer is no user, as at the end of a stream that failed midway",
            "See the product's log; leave out lines that are no users by `users.exclude`, or "
            "correct `http.format`.",
        ),
        Reason.EXPRESSION_FAILED: fault(
            "an expression of the source cannot be applied to the answer",
            "Correct the expression; try it with `licenseusage source check`.",
        ),
        Reason.ID_INVALID: fault(
            "`users.id` gives something else than a text or an integer", "Correct `users.id`."
        ),
        Reason.ID_MISSING: fault(
            "active users or events have no id at `users.id`, so that they cannot be counted",
            "Correct `users.id`, or leave these accounts out by `users.exclude`.",
        ),
        Reason.TIMESTAMP_INVALID: fault(
            "the last activity, or the creation, is not a time in the declared format",
            "Correct the path, set `users.lastActive.format`, or name what means never in "
            "`users.lastActive.never`.",
        ),
        Reason.STAMP_IN_FUTURE: fault(
            "times of activity lie in the future, so that none of this poll can be trusted",
            "Correct `naiveTimezone` or the format, or set the product's clock.",
        ),
        Reason.CLOCK_UNKNOWN: fault(
            "the answer does not show the clock of the product, so it cannot be compared",
            "Ask the pods directly, or declare `guarantees.clockSkewSeconds`.",
        ),
        Reason.CLOCK_SKEW_TOO_LARGE: passing(
            "the clock of the product, or of its event log, is too far from the operator's",
            "Set both clocks by NTP, or declare `guarantees.clockSkewSeconds`.",
        ),
        Reason.PAGING_IGNORED: fault(
            "two pages are the same: the product ignores the paging parameters",
            "Correct `http.pagination`; use type `None` if one answer holds everybody.",
        ),
        Reason.PAGING_LOOP: fault(
            "a page names a next page that was read before",
            "Correct `http.pagination`.",
        ),
        Reason.LIST_MOVED: passing(
            "the list changed while its pages were read",
            "Sort by an immutable key, or ask for larger pages.",
        ),
        Reason.ORDER_VIOLATED: fault(
            "the list is not in the order that `guarantees.order` declares",
            "Correct the query, or declare `guarantees.order: Unknown`.",
        ),
        Reason.TOTAL_INVALID: fault(
            "`http.pagination.total` does not lead to the number of users",
            "Correct the path, or remove it.",
        ),
        Reason.FEWER_THAN_TOTAL: passing(
            "the list ends before the total that the product states",
            "Check the rights of the account; if the total counts others as well, remove "
            "`http.pagination.total`.",
        ),
        Reason.CURSOR_INVALID: fault(
            "the cursor of the next page is neither a text nor a number, or a header names several",
            "Correct `http.pagination.params`, or `http.pagination.header` and the product.",
        ),
        Reason.NEXT_INVALID: fault(
            "the link to the next page is no URL, or there are several",
            "Correct `http.pagination.path`; without it the header `Link` is read.",
        ),
        Reason.NEXT_ELSEWHERE: fault(
            "the link to the next page leads to another server, and is not followed",
            "Correct the product's public address, or use another type of `http.pagination`.",
        ),
        Reason.PAGE_SIZE_CAPPED: fault(
            "all pages are shorter than asked for, so that users between them may be left out",
            "Set `http.pagination.size` to what the product gives, or declare "
            "`http.pagination.total`.",
        ),
    },
)

DOUBTS = Chapter(
    title="A list that was read and proves nothing",
    speaker="the operator",
    places="`status.sources[].reason` and its message; reasons of an unknown upper bound",
    entries={
        Reason.EMPTY_LISTING: passing(
            "the list is empty, as it is for an account that may not list users",
            "Check the rights of the account.",
        ),
        Reason.NOBODY_STAMPED: passing(
            "nobody in the list has a last activity",
            "Correct `users.lastActive.path`, unless nobody has used the product yet.",
        ),
        Reason.CANNOT_OVERLAP: passing(
            "the pages cannot overlap, so that a user may have moved between two of them unseen",
            "Sort by an immutable key and declare `guarantees.order`; a poll at the cycle's end "
            "reads the list again and may settle it.",
        ),
        Reason.ROWS_REPEATED: fault(
            "the list has fewer different ids than rows: each repeated row may hide a user",
            "Sort by an immutable key, ask for one row per user, or correct `users.id`.",
        ),
        Reason.LISTS_DISAGREE: fault(
            "pods that should show the same list (`users.acrossPods: Same`) do not",
            "If each pod keeps data of its own, make a source for each of them. If it lasts, "
            "look why one of them is behind: its database, a cache, its version.",
        ),
        Reason.LIST_CUT: fault(
            "the list ended, and the answer says that there is more",
            "Declare `http.pagination`, or ask for all users.",
        ),
        Reason.END_UNSEEN: fault(
            "an answer of lines does not show where it ends, so that lines may be missing",
            "Ask the product itself instead of a proxy, or read a format of one document.",
        ),
        Reason.LIST_UNCHANGED: note(
            "the product says that its list has not changed since it was read (304, "
            "`http.validator`): it confirms who was counted, and rules nobody out",
            "Nothing: the whole list is read at least once an hour, after each day and at the "
            "cycle's end.",
        ),
        Reason.ETAG_UNRELIABLE: fault(
            "the product's ETags contradict its lists, so each poll reads the whole list. What was "
            "counted stays true",
            "Remove `http.validator`, or correct the product or the cache in front of it.",
        ),
        Reason.ANSWER_AMBIGUOUS: fault(
            "a member stands twice in one object, and JSON does not say which counts",
            "Correct the product, or name another member.",
        ),
        Reason.ID_UNREADABLE: fault(
            "the id of an active user is no valid text",
            "Correct the account in the product, or read another id.",
        ),
        Reason.IDS_RENAMABLE: fault(
            "ids may be renamed while the pages are read",
            "Use an immutable id and declare `guarantees.ids: Stable`, or sort by an immutable "
            "key.",
        ),
        Reason.FILTERED_BY_PRODUCT: fault(
            "the request asks the product to leave out users who may have been active",
            "Filter by `{{cycle.start}}` or `{{cycle.start.dayBefore}}` only.",
        ),
    },
)
