"""A ledger in a temporary folder, one meter in it, and short ways to say what happened."""

import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest

from licenseusage.errors import Failure
from licenseusage.ledger.documents.records import ReportChain, ReportDraft, SignedDocument
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import MeterKey, PollRecord, Subscribed
from licenseusage.ledger.upkeep.snapshot import identity_of
from licenseusage.metering.cycles import DAY_MS, Cycle, Segment, Terms
from licenseusage.metering.facts import Facts, Row, horizon_ms, list_facts
from licenseusage.metering.properties import Properties, Removal
from licenseusage.metering.roster import Listed
from licenseusage.metering.stores import DeclaredSource, StoreKey

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
TERMS = Terms(date(2026, 11, 1), length_days=4)
CYCLE = TERMS.cycle(0)
START, END = CYCLE.start_ms, CYCLE.end_ms
KEPT = Properties(removal=Removal.NEVER, ids_stable=True, lag_ms=MINUTE_MS)
LISTED_ONCE = Properties(removal=Removal.LISTED_ONCE, ids_stable=True, lag_ms=MINUTE_MS)
GRAPH = StoreKey("graph", "domain")
CHAIN = ReportChain("c" * 32, "e" * 32)
INTERVAL_MS = 15 * MINUTE_MS


def user(name: str) -> bytes:
    return sha256(name.encode()).digest()[:16]


def poll(
    at_ms: int,
    active: dict[str, int],
    *,
    store: StoreKey = GRAPH,
    properties: Properties = KEPT,
    complete: bool = True,
    failure: Failure | None = None,
    cycles: tuple[Cycle, ...] = (CYCLE,),
    already_closed: int = 0,
    meter_id: int = 1,
    idle: Collection[str] = (),
    excluded: Collection[str] = (),
    excluded_lately: Collection[str] = (),
    declaration: str = "",
    listing: str | None = None,
    selection: str | None = None,
    since: int | None = None,
) -> PollRecord:
    """A poll of one second that listed ``active``: name -> time of last activity, and ``idle``.

    Those ``excluded`` are listed and do not count; some of them were active lately.

    Its facts are about the segment from ``since`` on; None: about whole cycles.
    """
    facts = {
        cycle: list_facts(
            cycle if since is None else Segment(cycle, since, cycle.end_ms),
            properties,
            started_ms=at_ms,
            ended_ms=at_ms + 1000,
            clock_skew_ms=1000,
            complete=complete,
            rows=[Row(user(name), ms, None) for name, ms in active.items()],
            already_closed=already_closed,
            listed=Listed(
                never=[user(name) for name in idle],
                early=[user(n) for n, ms in active.items() if ms < horizon_ms(cycle, properties)],
                later=[
                    (user(name), ms, None)
                    for name, ms in active.items()
                    if ms >= horizon_ms(cycle, properties)
                ],
                aside=[user(name) for name in excluded_lately],
                quiet=[user(name) for name in excluded],
            ),
        )
        for cycle in cycles
    }
    return PollRecord(
        meter_id=meter_id,
        store=store,
        properties=properties,
        interval_ms=INTERVAL_MS,
        started_ms=at_ms,
        ended_ms=at_ms + 1000,
        clock_skew_ms=1000,
        complete=complete,
        facts=facts,
        pseudonym_key_id="f" * 32,
        rules_digest="sha256:rules",
        selection=selection,
        declaration=declaration,
        listing=listing,
        since={} if since is None else dict.fromkeys(cycles, since),
        failure=failure,
        listed=len(active),
        provisioned=100,
    )


def failed(at_ms: int, reason: str = "EndpointUnreachable") -> PollRecord:
    record = poll(at_ms, {}, complete=False, failure=Failure(reason, "no answer"))
    return replace(record, facts={CYCLE: Facts()})


def declared(store: StoreKey = GRAPH, properties: Properties = KEPT) -> DeclaredSource:
    return DeclaredSource(store, properties, INTERVAL_MS)


@dataclass
class Signer:
    """Signs by writing down what was asked; the token is a function of the draft."""

    drafts: list[ReportDraft] = field(default_factory=list)

    def __call__(self, draft: ReportDraft) -> SignedDocument:
        self.drafts.append(draft)
        token = f"{draft.kind}.{draft.sequence}.{draft.previous}.{draft.at_ms}." + repr(
            draft.statement
        )
        digest = "sha256:" + sha256(token.encode()).hexdigest()
        return SignedDocument(f"{draft.chain_id}-{draft.sequence:010d}", digest, token)


@pytest.fixture
def signer() -> Signer:
    return Signer()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def reopen(path: Path) -> Iterator[Callable[[], Ledger]]:
    """Open the ledger (again), as a restarted operator does."""
    opened: list[Ledger] = []

    def again() -> Ledger:
        for ledger in opened:
            ledger.close()
        opened.append(Ledger.open(f"sqlite:///{path}", now_ms=START, ledger_id="ledger-1"))
        return opened[-1]

    yield again
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(reopen: Callable[[], Ledger]) -> Ledger:
    """A fresh ledger with one meter, whose id is 1."""
    ledger = reopen()
    meter = ledger.ensure_meter(MeterKey("default", "opencloud", "opencloud"), START)
    ledger.keep_terms(meter.id, TERMS, START, licensed=Subscribed("contract", "licence"))
    return ledger


__all__ = ["DAY_MS"]


def ledger_id(path: Path) -> str:
    """The random name that a ledger got when it was created."""
    with closing(sqlite3.connect(path)) as connection:
        return identity_of(connection).ledger_id
