"""Every reason that this project gives: of a condition, an event, a skip, a gap, a refusal, ….

A reason is a CamelCase word for machines and part of the API. One word has one meaning wherever it
stands. What each means and what to do about it is in the chapters beside this module, and in
docs/reasons.md, which is made from them.
"""

from enum import StrEnum


class Reason(StrEnum):
    """The one vocabulary of reasons; it may grow, and a word never changes its meaning."""

    # conditions of a LicenseUsage
    SUCCEEDED = "Succeeded"
    PROGRESSING = "Progressing"
    PROGRESSING_WITH_RETRY = "ProgressingWithRetry"
    INVALID_SPEC = "InvalidSpec"
    INVALID_SOURCE = "InvalidSource"
    UNKNOWN_PRESET = "UnknownPreset"
    CONFIGMAP_NOT_PRESET = "ConfigMapNotPreset"
    PRESET_INVALID = "PresetInvalid"
    PRESET_REFUSED = "PresetRefused"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105
    SECRET_KEY_MISSING = "SecretKeyMissing"  # noqa: S105
    SECRET_INVALID = "SecretInvalid"  # noqa: S105
    SECRET_NOT_CREDENTIALS = "SecretNotCredentials"  # noqa: S105
    CONFIGMAP_NOT_FOUND = "ConfigMapNotFound"
    CONFIGMAP_KEY_MISSING = "ConfigMapKeyMissing"
    FORBIDDEN_BY_CLUSTER = "ForbiddenByCluster"
    API_UNAVAILABLE = "APIUnavailable"
    CLOCK_SKEWED = "ClockSkewed"
    INTERNAL_ERROR = "InternalError"
    POLL_SUCCEEDED = "PollSucceeded"
    NOT_COLLECTED_YET = "NotCollectedYet"
    STALE = "Stale"
    GUARANTEE_REFUTED = "GuaranteeRefuted"
    LICENSE_VALID = "LicenseValid"
    LICENSE_NOT_FOUND = "LicenseNotFound"
    WITHIN_MAXIMUM = "WithinMaximum"
    THRESHOLD_REACHED = "ThresholdReached"
    MAXIMUM_REACHED = "MaximumReached"
    MAXIMUM_EXCEEDED = "MaximumExceeded"
    COUNT_UNKNOWN = "CountUnknown"

    # where a product is
    NO_PODS = "NoPods"
    NO_READY_PODS = "NoReadyPods"
    POD_GONE = "PodGone"
    ADDRESS_REFUSED = "AddressRefused"
    PORT_NOT_FOUND = "PortNotFound"
    SERVICE_NOT_FOUND = "ServiceNotFound"
    ENDPOINT_NOT_ALLOWED = "EndpointNotAllowed"
    ENDPOINT_INVALID = "EndpointInvalid"
    ENDPOINT_UNRESOLVED = "EndpointUnresolved"

    # reaching a product
    UNREACHABLE = "Unreachable"
    CONNECTION_LOST = "ConnectionLost"
    NOT_HTTP = "NotHTTP"
    NOT_NATS = "NotNATS"
    NOT_REDIS = "NotRedis"
    CA_INVALID = "CAInvalid"
    CERTIFICATE_INVALID = "CertificateInvalid"
    TLS_FAILED = "TLSFailed"
    CREDENTIALS_INVALID = "CredentialsInvalid"

    # signing in at a product, or at who issues its tokens
    SIGN_IN_REFUSED = "SignInRefused"
    SIGN_IN_UNUSABLE = "SignInUnusable"
    SIGN_IN_UNAVAILABLE = "SignInUnavailable"
    CLIENT_CERTIFICATE_REFUSED = "ClientCertificateRefused"
    PROXY_AUTHENTICATION_REQUIRED = "ProxyAuthenticationRequired"

    # what a product answers
    UNAUTHORIZED = "Unauthorized"
    ACCESS_DENIED = "AccessDenied"
    PATH_NOT_FOUND = "PathNotFound"
    TOO_MANY_REQUESTS = "TooManyRequests"
    SERVER_ERROR = "ServerError"
    REDIRECTED = "Redirected"
    UNASKED_NOT_MODIFIED = "UnaskedNotModified"
    UNEXPECTED_STATUS = "UnexpectedStatus"
    UNKNOWN_ENCODING = "UnknownEncoding"
    ANSWER_EMPTY = "AnswerEmpty"
    ANSWER_TRUNCATED = "AnswerTruncated"
    ANSWER_NOT_JSON = "AnswerNotJSON"
    ANSWER_INVALID_JSON = "AnswerInvalidJSON"

    # what the answer means
    LINE_NOT_A_USER = "LineNotAUser"
    ITEMS_NOT_A_LIST = "ItemsNotAList"
    EXPRESSION_FAILED = "ExpressionFailed"
    ID_INVALID = "IdInvalid"
    ID_MISSING = "IdMissing"
    TIMESTAMP_INVALID = "TimestampInvalid"
    STAMP_IN_FUTURE = "StampInFuture"
    CLOCK_UNKNOWN = "ClockUnknown"
    CLOCK_SKEW_TOO_LARGE = "ClockSkewTooLarge"

    # pages of a list
    PAGING_IGNORED = "PagingIgnored"
    PAGING_LOOP = "PagingLoop"
    LIST_MOVED = "ListMoved"
    ORDER_VIOLATED = "OrderViolated"
    TOTAL_INVALID = "TotalInvalid"
    FEWER_THAN_TOTAL = "FewerThanTotal"
    CURSOR_INVALID = "CursorInvalid"
    NEXT_INVALID = "NextInvalid"
    NEXT_ELSEWHERE = "NextElsewhere"
    PAGE_SIZE_CAPPED = "PageSizeCapped"

    # numbers in place of people
    COUNT_MISSING = "CountMissing"
    COUNT_INVALID = "CountInvalid"
    COUNT_STALE = "CountStale"
    ZERO_UNPROVED = "ZeroUnproved"
    ANSWER_NOT_METRICS = "AnswerNotMetrics"
    METRICS_INVALID = "MetricsInvalid"
    METRIC_NOT_FOUND = "MetricNotFound"
    METRIC_NOT_A_GAUGE = "MetricNotAGauge"
    METRIC_AMBIGUOUS = "MetricAmbiguous"
    METRIC_REPEATED = "MetricRepeated"
    PODS_WARMING_UP = "PodsWarmingUp"
    SHARDS_MISSING = "ShardsMissing"
    PODS_DISAGREE = "PodsDisagree"
    COUNT_SATURATED = "CountSaturated"
    COUNT_DISAGREES = "CountDisagrees"

    # bounds of a poll
    REQUEST_TIMEOUT = "RequestTimeout"
    POLL_TIMEOUT = "PollTimeout"
    POLL_TOO_LARGE = "PollTooLarge"
    TOO_MANY_PAGES = "TooManyPages"
    TOO_MANY_USERS = "TooManyUsers"
    WORKER_MEMORY = "WorkerMemory"
    WORKER_FAILED = "WorkerFailed"

    # a list that was read and proves nothing
    EMPTY_LISTING = "EmptyListing"
    NOBODY_STAMPED = "NobodyStamped"
    CANNOT_OVERLAP = "CannotOverlap"
    ROWS_REPEATED = "RowsRepeated"
    LISTS_DISAGREE = "ListsDisagree"
    LIST_CUT = "ListCut"
    END_UNSEEN = "EndUnseen"
    LIST_UNCHANGED = "ListUnchanged"
    ETAG_UNRELIABLE = "ETagUnreliable"
    ANSWER_AMBIGUOUS = "AnswerAmbiguous"
    ID_UNREADABLE = "IdUnreadable"
    IDS_RENAMABLE = "IdsRenamable"
    FILTERED_BY_PRODUCT = "FilteredByProduct"

    # event logs
    JETSTREAM_UNAVAILABLE = "JetStreamUnavailable"
    STREAM_NOT_FOUND = "StreamNotFound"
    SEVERAL_LOGS = "SeveralLogs"
    STREAM_NOT_A_LOG = "StreamNotALog"
    STREAM_NOT_IN_TIME = "StreamNotInTime"
    NOT_PRIMARY = "NotPrimary"
    BROKER_FAILED = "BrokerFailed"
    EVENTS_UNREADABLE = "EventsUnreadable"
    IDS_NOT_STABLE = "IdsNotStable"
    READING_BEHIND = "ReadingBehind"
    STREAM_BEGAN = "StreamBegan"
    STREAM_LIMITED = "StreamLimited"
    STREAM_PURGED = "StreamPurged"
    STREAM_RECREATED = "StreamRecreated"
    STREAM_WENT_BACK = "StreamWentBack"
    SERVER_RESTARTED = "ServerRestarted"
    MESSAGES_DELETED = "MessagesDeleted"
    LOG_BEGAN = "LogBegan"
    LOG_EMPTY = "LogEmpty"
    LOG_EXPIRED = "LogExpired"
    LOG_MOVED = "LogMoved"
    LOG_WENT_BACK = "LogWentBack"
    EVENTS_NOT_RECORDED = "EventsNotRecorded"
    EVENTS_TIED = "EventsTied"
    SETTINGS_UNREADABLE = "SettingsUnreadable"

    # activity that the product pushes
    INTAKE_OFF = "IntakeOff"
    INTAKE_UNAVAILABLE = "IntakeUnavailable"
    NOTHING_PUSHED = "NothingPushed"
    PRODUCER_SILENT = "ProducerSilent"
    PUSH_REFUSED = "PushRefused"
    PUSH_AMBIGUOUS = "PushAmbiguous"
    PUSH_TOKEN_MISSING = "PushTokenMissing"  # noqa: S105
    PUSH_TOKEN_REFUSED = "PushTokenRefused"  # noqa: S105
    NO_PUSH_SOURCE = "NoPushSource"
    PUSH_NOT_READY = "PushNotReady"
    PUSH_TOO_LARGE = "PushTooLarge"
    PUSH_TOO_FAST = "PushTooFast"
    PUSH_INVALID = "PushInvalid"
    EVENT_INVALID = "EventInvalid"
    EVENT_IN_FUTURE = "EventInFuture"
    HEARTBEAT_AHEAD = "HeartbeatAhead"
    HEARTBEAT_WENT_BACK = "HeartbeatWentBack"
    PUSH_RECEIPT_UNKNOWN = "PushReceiptUnknown"

    # items that are not counted
    EXCLUDED = "Excluded"
    EXCLUDED_ID = "ExcludedId"
    NEVER_ACTIVE = "NeverActive"
    ONLY_CREATED = "OnlyCreated"
    OUTSIDE_CYCLE = "OutsideCycle"
    NO_ID = "NoId"
    CAME_AT_ONCE = "CameAtOnce"
    OTHER_TYPE = "OtherType"
    EXCLUDED_EVENT = "ExcludedEvent"
    UNREADABLE = "Unreadable"

    # how far apart polls are
    AS_DECLARED = "AsDeclared"
    LOAD_BOUNDED = "LoadBounded"
    PAUSE_AFTER_SLOW_POLL = "PauseAfterSlowPoll"
    CYCLE_ENDS = "CycleEnds"
    RETRY = "Retry"

    # gaps of the coverage
    BEFORE_FIRST_POLL = "BeforeFirstPoll"
    NO_POLL = "NoPoll"
    FACTS_LOST = "FactsLost"

    # why a number is a range
    BOUNDARY_GAP = "BoundaryGap"
    HIDDEN_ACTIVITY = "HiddenActivity"
    SEPARATE_IDENTITIES = "SeparateIdentities"
    UNSTABLE_IDS = "UnstableIds"
    ROLLING_LIST = "RollingList"
    NEVER_FORGETS = "NeverForgets"
    BARE_COUNTS = "BareCounts"
    STRADDLING_EVENTS = "StraddlingEvents"
    REMOVED_USERS = "RemovedUsers"

    # why a number has no upper bound
    ACTIVITY_LOST = "ActivityLost"
    NO_CLOSING_POLL = "NoClosingPoll"
    ROSTER_MISSING = "RosterMissing"
    ROSTER_GAP = "RosterGap"
    UNLISTED_USERS = "UnlistedUsers"
    RULES_CHANGED = "RulesChanged"
    SOURCE_GONE = "SourceGone"
    OBJECT_GONE = "ObjectGone"
    PSEUDONYM_KEY_CHANGED = "PseudonymKeyChanged"
    STORE_GONE = "StoreGone"
    LOG_HOLE = "LogHole"
    PUSH_GAP = "PushGap"
    PROOF_GAP = "ProofGap"
    UNPROVED_COUNTS = "UnprovedCounts"

    # cycles
    CYCLE_CLOSED = "CycleClosed"
    CYCLE_AMENDED = "CycleAmended"
    NEW_EVIDENCE = "NewEvidence"

    # reports and their delivery
    NOTHING_DUE = "NothingDue"
    DELIVERY_PENDING = "DeliveryPending"
    OFFLINE = "Offline"
    EXPORTED = "Exported"
    EXPORT_DUE = "ExportDue"
    EXPORT_OVERDUE = "ExportOverdue"
    AWAITING_APPROVAL = "AwaitingApproval"
    APPROVAL_MISMATCH = "ApprovalMismatch"
    EARLIER_AWAITS_APPROVAL = "EarlierAwaitsApproval"
    APPROVAL_DUE = "ApprovalDue"
    APPROVAL_OVERDUE = "ApprovalOverdue"
    INTERIMS_REQUIRED = "InterimsRequired"
    SUSPENDED = "Suspended"
    NO_LICENSE = "NoLicense"
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    CONFLICT = "Conflict"
    ACKNOWLEDGED_BY_HEAD = "AcknowledgedByHead"
    REPORT_ACCEPTED = "ReportAccepted"
    REPORT_REJECTED = "ReportRejected"
    KEYS_ACCEPTED = "KeysAccepted"
    KEYS_REJECTED = "KeysRejected"
    KEYS_CONFLICT = "KeysConflict"
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    NAMESPACE_GONE = "NamespaceGone"
    STATEMENTS_NOT_KEPT = "StatementsNotKept"
    KEYS_NOT_EXPORTED = "KeysNotExported"
    COUNTED_ELSEWHERE = "CountedElsewhere"
    MOVED_IN_CYCLE = "MovedInCycle"

    # receipts that were imported as objects
    RECEIPTS_IMPORTED = "ReceiptsImported"
    DOCUMENT_UNKNOWN = "DocumentUnknown"
    OTHER_NAMESPACE = "OtherNamespace"
    RECEIPT_CONTRADICTED = "ReceiptContradicted"

    # the vendor's endpoint
    ENDPOINT_UNREACHABLE = "EndpointUnreachable"
    TIMEOUT = "Timeout"
    THROTTLED = "Throttled"
    VENDOR_UNAVAILABLE = "VendorUnavailable"
    FORBIDDEN = "Forbidden"
    ENDPOINT_NOT_FOUND = "EndpointNotFound"
    UNEXPECTED_RESPONSE = "UnexpectedResponse"

    # keys of the operator and of the vendor
    IDENTITY_LOST = "IdentityLost"
    IDENTITY_INVALID = "IdentityInvalid"
    PSEUDONYM_KEY_LOST = "PseudonymKeyLost"
    PSEUDONYM_KEY_INVALID = "PseudonymKeyInvalid"
    VENDOR_KEYS_NOT_FOUND = "VendorKeysNotFound"
    VENDOR_KEYS_INVALID = "VendorKeysInvalid"

    # the operator's start
    SETTINGS_INVALID = "SettingsInvalid"
    NO_CLUSTER = "NoCluster"
    CRDS_MISSING = "CRDsMissing"
    ROLE_MISSING = "RoleMissing"
    API_REFUSED = "APIRefused"

    # the ledger
    LEDGER_LOCKED = "LedgerLocked"
    LEDGER_LOST = "LedgerLost"
    LEDGER_CORRUPT = "LedgerCorrupt"
    LEDGER_DISK_FULL = "LedgerDiskFull"
    LEDGER_READ_ONLY = "LedgerReadOnly"
    LEDGER_UNAVAILABLE = "LedgerUnavailable"
    LEDGER_SCHEMA_UNSUPPORTED = "LedgerSchemaUnsupported"
    LEDGER_UPGRADE_FAILED = "LedgerUpgradeFailed"
    BACKUP_UNUSABLE = "BackupUnusable"
    MERGE_REFUSED = "MergeRefused"

    # error classes of REPORT_FORMAT §12: the token and its claims
    MALFORMED_TOKEN = "MalformedToken"  # noqa: S105
    MALFORMED_JSON = "MalformedJSON"
    NUMBER_INVALID = "NumberInvalid"
    TOO_LARGE = "TooLarge"
    HEADER_INVALID = "HeaderInvalid"
    UNSUPPORTED_ALGORITHM = "UnsupportedAlgorithm"
    UNSUPPORTED_TYPE = "UnsupportedType"
    UNSUPPORTED_VERSION = "UnsupportedVersion"
    SIGNATURE_INVALID = "SignatureInvalid"
    KEY_INVALID = "KeyInvalid"
    CLAIM_MISSING = "ClaimMissing"
    CLAIM_INVALID = "ClaimInvalid"
    IDENTIFIER_MISMATCH = "IdentifierMismatch"

    # error classes: keys
    KEY_UNKNOWN = "KeyUnknown"
    KEY_REVOKED = "KeyRevoked"
    KEY_RETIRED = "KeyRetired"
    KEY_NOT_PERMITTED = "KeyNotPermitted"

    # error classes: the licence
    LICENSE_EXPIRED = "LicenseExpired"
    LICENSE_NOT_YET_VALID = "LicenseNotYetValid"
    LICENSE_MISMATCH = "LicenseMismatch"
    LICENSE_KEY_MISMATCH = "LicenseKeyMismatch"
    LICENSE_TERMS_CHANGED = "LicenseTermsChanged"
    CYCLE_UNSUPPORTED = "CycleUnsupported"

    # error classes: the content
    ISSUER_MISMATCH = "IssuerMismatch"
    AUDIENCE_MISMATCH = "AudienceMismatch"
    ISSUED_IN_FUTURE = "IssuedInFuture"
    CLOCK_INCONSISTENT = "ClockInconsistent"
    CYCLE_MISMATCH = "CycleMismatch"
    COUNTS_INCONSISTENT = "CountsInconsistent"
    COVERAGE_INCONSISTENT = "CoverageInconsistent"

    # error classes: the chain
    REPORT_CONFLICT = "ReportConflict"
    CHAIN_FORKED = "ChainForked"
    CHAIN_GAP = "ChainGap"
    CHAIN_TRUNCATED = "ChainTruncated"
    CYCLE_ORDER = "CycleOrder"
    AMENDMENT_INVALID = "AmendmentInvalid"
    LOCAL_HISTORY_LOST = "LocalHistoryLost"
    VENDOR_HEAD_REGRESSED = "VendorHeadRegressed"

    # spec.reporting.adoptHead
    ADOPT_HEAD_UNKNOWN = "AdoptHeadUnknown"
    ADOPT_HEAD_FOREIGN = "AdoptHeadForeign"
    ADOPT_HEAD_OUTDATED = "AdoptHeadOutdated"
    ADOPT_HEAD_USED = "AdoptHeadUsed"
    ADOPT_HEAD_REFUSED = "AdoptHeadRefused"

    # error classes: receipt and bundle
    RECEIPT_INVALID = "ReceiptInvalid"
    RECEIPT_MISMATCH = "ReceiptMismatch"
    BUNDLE_INVALID = "BundleInvalid"

    # findings of a receipt (REPORT_FORMAT §6)
    ACKNOWLEDGEMENT_LOST = "AcknowledgementLost"
    AMENDMENT_LATE = "AmendmentLate"
    CLOCK_ROLLBACK = "ClockRollback"
    COVERAGE_INCOMPLETE = "CoverageIncomplete"
    LICENSE_UNKNOWN = "LicenseUnknown"
    INSTALLATION_CLONED = "InstallationCloned"
    REPORT_OVERDUE = "ReportOverdue"
    RESTATED = "Restated"
    RESTORED = "Restored"

    # the receiver
    NOT_FOUND = "NotFound"
    METHOD_NOT_ALLOWED = "MethodNotAllowed"
    REQUEST_CUT = "RequestCut"
    REQUEST_EXPIRED = "RequestExpired"
    UNSUPPORTED_MEDIA_TYPE = "UnsupportedMediaType"
    TOO_MANY_CONFLICTS = "TooManyConflicts"
    DATABASE_UNAVAILABLE = "DatabaseUnavailable"
    SCHEMA_UNSUPPORTED = "SchemaUnsupported"
    RECEIPT_NOT_SIGNED = "ReceiptNotSigned"
    LICENSE_KEY_ON_LINE = "LicenseKeyOnLine"

    # the command line
    VALID = "Valid"
    NO_RECEIPT = "NoReceipt"
    NO_VENDOR_KEYS = "NoVendorKeys"
    NO_ENROLMENT = "NoEnrolment"
    INCOMPLETE = "Incomplete"
    NOT_ENROLLED = "NotEnrolled"
    NO_DOCUMENT = "NoDocument"
    AMBIGUOUS = "Ambiguous"
    NO_SUCH_CYCLE = "NoSuchCycle"
    COMMITMENT_NOT_KEPT = "CommitmentNotKept"
    PERSON_REQUESTS_REFUSED = "PersonRequestsRefused"
    NOT_VERIFIED = "NotVerified"
    FILE_UNREADABLE = "FileUnreadable"
    FILE_EXISTS = "FileExists"
    CAPTURE_INVALID = "CaptureInvalid"
    CAPTURE_NOT_MADE = "CaptureNotMade"
    NOT_WRITABLE = "NotWritable"
    PASSPHRASE_UNUSABLE = "PassphraseUnusable"  # noqa: S105
    PASSPHRASE_WRONG = "PassphraseWrong"  # noqa: S105
    KEY_FILE_INVALID = "KeyFileInvalid"
    KEY_FILE_TOO_WEAK = "KeyFileTooWeak"
    KEY_FILE_TOO_COSTLY = "KeyFileTooCostly"
    ANOTHER_KEY = "AnotherKey"
    NOT_INSTALLED = "NotInstalled"
    KUBECTL_FAILED = "KubectlFailed"
    OPERATOR_NOT_FOUND = "OperatorNotFound"
    OPERATOR_NOT_RUNNING = "OperatorNotRunning"
    OPERATOR_DIFFERS = "OperatorDiffers"
    STREAM_CUT = "StreamCut"
    UNEXPECTED = "Unexpected"

    @classmethod
    def known(cls, word: str | None, otherwise: "Reason") -> "Reason":
        """Return the member of a word that was stored or received.

        Args:
            word: The word; None or empty: none was given.
            otherwise: For no word, and for one of another version, which this one does not know.
        """
        try:
            return cls(word or "")
        except ValueError:
            return otherwise
