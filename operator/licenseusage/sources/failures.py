"""How a poll fails: the vocabulary of reasons, and the one exception inside.

Messages say what was seen and the fix; ``collect`` puts the source and the pod before them. None
quotes a body, an id or a secret.
"""

from enum import StrEnum

from licenseusage.sources.poll import Failure


class Reason(StrEnum):
    """Why a poll failed; used as the reason of a condition."""

    # reaching the product
    NO_READY_PODS = "NoReadyPods"
    UNREACHABLE = "Unreachable"
    CONNECTION_LOST = "ConnectionLost"
    NOT_HTTP = "NotHTTP"
    POD_GONE = "PodGone"
    CA_INVALID = "CAInvalid"
    CERTIFICATE_INVALID = "CertificateInvalid"
    TLS_FAILED = "TLSFailed"
    CREDENTIALS_INVALID = "CredentialsInvalid"
    NOT_NATS = "NotNATS"
    # what it answered
    UNAUTHORIZED = "Unauthorized"
    ACCESS_DENIED = "AccessDenied"
    PATH_NOT_FOUND = "PathNotFound"
    TOO_MANY_REQUESTS = "TooManyRequests"
    SERVER_ERROR = "ServerError"
    REDIRECTED = "Redirected"
    UNEXPECTED_STATUS = "UnexpectedStatus"
    UNKNOWN_ENCODING = "UnknownEncoding"
    ANSWER_EMPTY = "AnswerEmpty"
    ANSWER_TRUNCATED = "AnswerTruncated"
    ANSWER_NOT_JSON = "AnswerNotJSON"
    ANSWER_INVALID_JSON = "AnswerInvalidJSON"
    # what it means
    ITEMS_NOT_A_LIST = "ItemsNotAList"
    EXPRESSION_FAILED = "ExpressionFailed"
    ID_INVALID = "IdInvalid"
    ID_MISSING = "IdMissing"
    TIMESTAMP_INVALID = "TimestampInvalid"
    STAMP_IN_FUTURE = "StampInFuture"
    CLOCK_UNKNOWN = "ClockUnknown"
    CLOCK_SKEW_TOO_LARGE = "ClockSkewTooLarge"
    # event logs
    JETSTREAM_UNAVAILABLE = "JetStreamUnavailable"
    STREAM_NOT_FOUND = "StreamNotFound"
    STREAM_NOT_A_LOG = "StreamNotALog"
    BROKER_FAILED = "BrokerFailed"
    EVENTS_UNREADABLE = "EventsUnreadable"
    IDS_NOT_STABLE = "IdsNotStable"
    # paging
    PAGING_IGNORED = "PagingIgnored"
    PAGING_LOOP = "PagingLoop"
    LIST_MOVED = "ListMoved"
    ORDER_VIOLATED = "OrderViolated"
    TOTAL_INVALID = "TotalInvalid"
    FEWER_THAN_TOTAL = "FewerThanTotal"
    CURSOR_INVALID = "CursorInvalid"
    # bounds
    REQUEST_TIMEOUT = "RequestTimeout"
    POLL_TIMEOUT = "PollTimeout"
    POLL_TOO_LARGE = "PollTooLarge"
    TOO_MANY_PAGES = "TooManyPages"
    TOO_MANY_USERS = "TooManyUsers"
    WORKER_MEMORY = "WorkerMemory"
    WORKER_FAILED = "WorkerFailed"
    # no failure, but no proof either
    EMPTY_LISTING = "EmptyListing"
    NOBODY_STAMPED = "NobodyStamped"
    CANNOT_OVERLAP = "CannotOverlap"
    ROWS_REPEATED = "RowsRepeated"
    LIST_CUT = "ListCut"
    ANSWER_AMBIGUOUS = "AnswerAmbiguous"
    ID_UNREADABLE = "IdUnreadable"
    IDS_RENAMABLE = "IdsRenamable"
    FILTERED_BY_PRODUCT = "FilteredByProduct"
    READING_BEHIND = "ReadingBehind"
    # what a log has lost for good
    STREAM_BEGAN = "StreamBegan"
    STREAM_LIMITED = "StreamLimited"
    STREAM_PURGED = "StreamPurged"
    STREAM_RECREATED = "StreamRecreated"
    STREAM_WENT_BACK = "StreamWentBack"
    MESSAGES_DELETED = "MessagesDeleted"


class PollError(Exception):
    """A poll ends here.

    Attributes:
        failure: The reason and the message for a person.
        facts_stand: Whether the rows read so far are true all the same (MEASUREMENT §3.2).
    """

    def __init__(
        self, reason: str, message: str, *, stalls: bool = False, facts_stand: bool = True
    ) -> None:
        """Keep the failure; ``stalls`` where only a person can mend it."""
        super().__init__(message)
        self.failure = Failure(str(reason), message, stalls)
        self.facts_stand = facts_stand
