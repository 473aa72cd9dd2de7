"""Tables of the ledger. Times are ms since the epoch; words are as in ``metering.cycles``."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from licenseusage.ledger.storage.logschema import log_holes as log_holes
from licenseusage.ledger.storage.logschema import log_positions as log_positions
from licenseusage.ledger.storage.logschema import log_ranges as log_ranges
from licenseusage.ledger.storage.logschema import push_producers as push_producers
from licenseusage.ledger.storage.logschema import push_ranges as push_ranges
from licenseusage.ledger.storage.sampleschema import samples as samples
from licenseusage.ledger.storage.tables import metadata as metadata

VERSION = 17


class Octets(LargeBinary):
    """Octets as the drivers take and give them (``bytes``): no conversion for each of a million."""

    def bind_processor(self, dialect: Dialect) -> None:
        """Pass ``bytes`` through."""

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        """Pass ``bytes`` through."""


# One row. `written_by` is the version of the program that made this schema; these two columns are
# what every later version reads first. The clock's high water is the latest time that any
# transaction made durable.
ledger = Table(
    "ledger",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("schema_version", Integer, nullable=False),
    Column("written_by", String(64), nullable=False, server_default=""),
    Column("ledger_id", String(64), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("clock_high_water_ms", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

meters = Table(
    "meters",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("namespace", String(253), nullable=False),
    Column("name", String(253), nullable=False),
    Column("product", String(128), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("deleted_ms", BigInteger),
    Column("route", String(64)),  # digest of what delivery depends on
    Column("subscription", String(260)),  # of the last verified licence
    Column("approval", String(16)),  # as the spec said last; absent: Automatic
    Column("daily_facts", String(16)),  # likewise; absent: Kept
    UniqueConstraint("namespace", "name", "product"),
)

# The last verified licence of every subscription that a meter has had.
licenses = Table(
    "licenses",
    metadata,
    Column("meter_id", ForeignKey("meters.id"), primary_key=True),
    Column("subscription", String(260), primary_key=True),
    Column("token", Text, nullable=False),
)

# Terms of cycles, since when each applies, and the subscription that the cycles are reported under.
grids = Table(
    "grids",
    metadata,
    Column("meter_id", ForeignKey("meters.id"), primary_key=True),
    Column("from_ms", BigInteger, primary_key=True),
    Column("anchor", String(10), nullable=False),
    Column("length_days", Integer),
    Column("length_months", Integer),
    Column("subscription", String(260)),
    CheckConstraint("(length_days is null) <> (length_months is null)", name="one_length"),
)

# A cycle is identified by its start: grids of different terms reuse the index.
cycles = Table(
    "cycles",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("meter_id", ForeignKey("meters.id"), nullable=False),
    Column("cycle_index", Integer, nullable=False),
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("intent_ms", BigInteger),
    Column("intent_reason", String(64)),
    Column("intent_high_water_ms", BigInteger),
    Column("statement", Text),
    Column("closed_ms", BigInteger),
    Column("interim_slot", Integer),
    Column("pseudonym_key_id", String(32)),
    Column("rules_digest", String(80)),
    Column("rules_changes", Integer, nullable=False, server_default="0"),
    Column("backward_steps", Integer, nullable=False, server_default="0"),
    Column("forward_steps", Integer, nullable=False, server_default="0"),
    Column("largest_step_seconds", BigInteger, nullable=False, server_default="0"),
    Column("wiped", Integer, nullable=False, server_default="0"),
    # Somebody was erased from it: a product that still lists them would add them a second time.
    Column("sealed", Integer, nullable=False, server_default="0"),
    # Its facts say of nobody on which days; for good, whatever is wanted later.
    Column("days_dropped", Integer, nullable=False, server_default="0"),
    # How often something came to be known after the intent, and whether that contradicts it.
    Column("evidence", Integer, nullable=False, server_default="0"),
    Column("contradiction_ms", BigInteger),
    Column("contradiction_words", Text),
    # What our own reports prove of it that this ledger holds no facts of (`metering.reported`).
    Column("reported", Text),
    UniqueConstraint("meter_id", "start_ms"),
    CheckConstraint("state in ('Open', 'Closing', 'Final')", name="cycle_state"),
    CheckConstraint("start_ms < end_ms", name="cycle_span"),
)

# Statements after the final, numbered from 1. Where there is a licence, each has its report.
amendments = Table(
    "amendments",
    metadata,
    Column("cycle_id", ForeignKey("cycles.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("reason", String(64), nullable=False),
    Column("words", Text, nullable=False),
    Column("statement", Text, nullable=False),
)

# The words of a store; `low` and `full` are JSON objects window -> number (unstable ids only).
stores = Table(
    "stores",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("cycle_id", ForeignKey("cycles.id"), nullable=False),
    Column("source", String(63), nullable=False),
    Column("domain", String(64), nullable=False),
    Column("ids_stable", Integer, nullable=False),
    Column("closed", BigInteger, nullable=False, server_default="0"),
    Column("ended", BigInteger, nullable=False, server_default="0"),
    Column("refuted", BigInteger, nullable=False, server_default="0"),
    Column("followed", BigInteger, nullable=False, server_default="0"),
    # The end of the newest poll that told something, and of the newest one that succeeded; whom
    # only failed ones named since, by window (`unsettled`).
    Column("seen_until_ms", BigInteger),
    Column("read_until_ms", BigInteger),
    Column("unsettled", Text, nullable=False, server_default="{}"),
    Column("low", Text, nullable=False, server_default="{}"),
    Column("full", Text, nullable=False, server_default="{}"),
    # Who counts, as the newest poll had it, how often that changed within the cycle, and when last.
    Column("selection", String(80)),
    Column("selection_changes", Integer, nullable=False, server_default="0"),
    Column("selection_since_ms", BigInteger),
    # Unstable ids: most users on one list. When a closing poll first contradicted what is declared:
    # it is repeated before it decides anything. What is declared, as the newest poll had it.
    Column("listed", Integer, nullable=False, server_default="0"),
    Column("doubted_ms", BigInteger),
    Column("declaration", String(80), nullable=False, server_default=""),
    # Why the newest poll after the cycle's end that read everything proves nothing (Token).
    Column("unproved", String(64)),
    # A list without times (`metering.rolling`): its rows prove activity in the cycle, or only
    # appearing on it does; null: the source has times.
    Column("by_rows", Integer),
    UniqueConstraint("cycle_id", "source", "domain"),
)

# 32 bytes for each user of a store: the pseudonym (16 bytes) and two words. Only users with a bit.
facts = Table(
    "facts",
    metadata,
    Column("store_id", ForeignKey("stores.id"), primary_key=True),
    Column("pseudonym", Octets(16), primary_key=True),
    Column("sure", BigInteger, nullable=False),
    Column("maybe", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Who was listed (`metering.roster`). Known by the start of the cycle, which a roster precedes.
# `runs` is a JSON list of [first end, last start]; `before_digest` that of the newest poll's users;
# `listing` that of what decides who is listed.
rosters = Table(
    "rosters",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("meter_id", ForeignKey("meters.id"), nullable=False),
    Column("cycle_start_ms", BigInteger, nullable=False),
    Column("source", String(63), nullable=False),
    Column("domain", String(64), nullable=False),
    Column("open_at_ms", BigInteger),
    Column("runs", Text, nullable=False, server_default="[]"),
    Column("before_digest", String(64)),
    Column("start_at_ms", BigInteger),
    Column("last_at_ms", BigInteger),
    Column("idle_at_ms", BigInteger),
    Column("listing", String(80)),
    # Of a list without times: when the newest had been read, and when somebody first came back.
    Column("last_read_ms", BigInteger),
    Column("returned_ms", BigInteger),
    UniqueConstraint("meter_id", "cycle_start_ms", "source", "domain"),
)

# 16 bytes of pseudonym for each user listed, and a word: 1 listed before the closing poll, 2 listed
# by it and possibly active, 4 proved inactive, 8 listed by the newest poll (excluded users too), 16
# listed by the newest poll before the cycle, 32 excluded and proved inactive, 64 proved inactive by
# the newest closing poll.
roster_users = Table(
    "roster_users",
    metadata,
    Column("roster_id", ForeignKey("rosters.id"), primary_key=True),
    Column("pseudonym", Octets(16), primary_key=True),
    Column("word", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# Who is to be erased from a cycle once it is Final (`facts.erasing`).
erasures = Table(
    "erasures",
    metadata,
    Column("meter_id", ForeignKey("meters.id"), primary_key=True),
    Column("cycle_start_ms", BigInteger, primary_key=True),
    Column("pseudonym", Octets(16), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
)

# What a product's answers refuted of what was declared (`metering.refuting`): it carries nothing
# from then on, in later cycles neither, until a poll is made by another declaration (lifted). That
# pods keep logs of their own is lifted as well by a poll that finds one log at all of them.
refutations = Table(
    "refutations",
    metadata,
    Column("meter_id", ForeignKey("meters.id"), primary_key=True),
    Column("source", String(63), primary_key=True),
    Column("guarantee", String(64), primary_key=True),
    Column("declaration", String(80), primary_key=True),
    Column("at_ms", BigInteger, primary_key=True),
    Column("words", Text, nullable=False),
    Column("lifted_ms", BigInteger),
)

coverage = Table(
    "coverage",
    metadata,
    Column("meter_id", ForeignKey("meters.id"), primary_key=True),
    Column("source", String(63), primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),
    Column("end_ms", BigInteger, nullable=False),
    Column("gap_reason", String(64), nullable=False),
)

# What a ledger had observed that was lost, as far as its reports tell; "" for all sources.
lost_spans = Table(
    "lost_spans",
    metadata,
    Column("meter_id", ForeignKey("meters.id"), primary_key=True),
    Column("source", String(63), primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),
    Column("end_ms", BigInteger, primary_key=True),
)

source_status = Table(
    "source_status",
    metadata,
    Column("meter_id", ForeignKey("meters.id"), primary_key=True),
    Column("source", String(63), primary_key=True),
    Column("last_attempt_ms", BigInteger),
    Column("last_attempt_ended_ms", BigInteger),
    Column("last_success_ms", BigInteger),
    Column("last_duration_ms", BigInteger),
    Column("last_complete_duration_ms", BigInteger),
    Column("clock_skew_ms", BigInteger),
    Column("size_bytes", BigInteger),
    Column("listed", Integer),
    Column("counted", Integer),
    Column("skipped", Text, nullable=False, server_default="{}"),
    Column("provisioned", Integer),
    Column("failure_reason", String(64)),
    Column("failure_message", Text),
    Column("failure_consequence", String(16)),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("failing_since_ms", BigInteger),
)

# What both ends hold of a chain; the head is the newest row of the outbox.
chains = Table(
    "chains",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("key_chain_id", ForeignKey("chains.id")),
    Column("acknowledged_sequence", Integer),
    Column("acknowledged_digest", String(80)),
    Column("vendor_time_ms", BigInteger),
    Column("stopped", String(64)),
)

# Positions of a chain that matter to its recovery (`documents.records.Recovery`).
recoveries = Table(
    "recoveries",
    metadata,
    Column("chain_id", ForeignKey("chains.id"), primary_key=True),
    Column("event", String(16), primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("digest", String(80), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

# Documents of a chain that went on without them, as an administrator decided: reports of ours with
# their bytes, and what is only known to exist. Never sent, never deleted.
set_aside = Table(
    "set_aside",
    metadata,
    Column("chain_id", ForeignKey("chains.id"), primary_key=True),
    Column("digest", String(80), primary_key=True),
    Column("sequence", Integer, nullable=False),
    Column("token", Text),
    Column("receipt", Text),
    Column("at_ms", BigInteger, nullable=False),
)

# Signed documents: reports and key statements. A token is written once and never changed.
outbox = Table(
    "outbox",
    metadata,
    Column("jti", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("chain_id", ForeignKey("chains.id"), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("digest", String(80), nullable=False),
    Column("token", Text, nullable=False),
    Column("meter_id", ForeignKey("meters.id")),
    Column("cycle_id", ForeignKey("cycles.id")),
    Column("active_text", String(64), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(64), nullable=False, server_default=""),
    Column("message", Text, nullable=False, server_default=""),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("first_failure_ms", BigInteger),
    Column("next_attempt_ms", BigInteger),
    Column("lease_until_ms", BigInteger),
    Column("receipt", Text),
    Column("accepted_ms", BigInteger),
    Column("findings", Text, nullable=False, server_default="[]"),
    UniqueConstraint("chain_id", "sequence"),
    Index("outbox_state", "state", "chain_id", "sequence"),
    Index("outbox_cycle", "cycle_id"),
    CheckConstraint(
        "state in ('AwaitingApproval', 'Pending', 'Sending', 'Accepted', 'Rejected', 'Conflict')",
        name="delivery_state",
    ),
)

# Whom a report counted, as its `commitment` says; kept as long as the cycle's facts.
commitments = Table(
    "commitments",
    metadata,
    Column("jti", ForeignKey("outbox.jti"), primary_key=True),
    Column("cycle_id", ForeignKey("cycles.id"), nullable=False),
    Column("salt", Octets(32), nullable=False),
    Column("users", LargeBinary, nullable=False),
)
