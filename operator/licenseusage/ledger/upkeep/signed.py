"""Taking over what another ledger has signed, where its chains go on from this one's.

A ledger that was restored from a backup is an earlier state of the one that is kept beside it. So
where the other holds every document of ours in a chain, and more, it is the newer state: its
documents come over as they are, with what they say of their cycles, and the chain goes on behind
them. Where the two differ, each keeps its own, and a person decides (REPORT_FORMAT §11). What
another installation has signed is its own: only a ledger that knows the enrolment takes it over.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from licenseusage.ledger.documents.chains import chain_state, know_chain, note
from licenseusage.ledger.documents.issued import documents_of
from licenseusage.ledger.documents.records import (
    HISTORY_LOST,
    ChainState,
    Delivery,
    OutboxItem,
    Recovery,
    ReportKind,
)
from licenseusage.ledger.documents.recovering import resume
from licenseusage.ledger.records import CycleState
from licenseusage.ledger.storage.schema import amendments, chains, commitments, cycles, outbox
from licenseusage.metering.cycles import Cycle
from licenseusage.reports.names import Link
from licenseusage.reports.receipt import Sent, stored_receipt
from licenseusage.reports.refused import Refused

_DECISION = (
    *("state", "intent_ms", "intent_reason", "intent_high_water_ms", "statement", "closed_ms"),
    *("rules_digest", "reported", "contradiction_ms", "contradiction_words"),
)
_VERDICT = ("state", "reason", "message", "next_attempt_ms", "receipt", "accepted_ms", "findings")
_DELIVERED = (Delivery.ACCEPTED, Delivery.REJECTED)


@dataclass(slots=True)
class Signed:
    """What came over.

    Attributes:
        documents: How many.
        resumed: Chains that were stopped and go on.
        kept: Chains that were left as they are, with the reason.
    """

    documents: int = 0
    resumed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def take_over_chains(
    ours: Connection, theirs: Connection, meter_ids: Mapping[int, int], now_ms: int
) -> Signed:
    """Take over the documents of every chain that goes on in the other ledger.

    Args:
        ours: In the transaction that is written.
        theirs: Only read.
        meter_ids: Their number of a meter -> ours.
        now_ms: The time.
    """
    done = Signed()
    left: set[str | None] = set()
    # Key statements first: reports refer to their chain.
    query = select(chains).order_by(chains.c.key_chain_id.is_not(None), chains.c.id)
    rows = theirs.execute(query).all()
    for row in rows:
        chain = _Chain(ours, theirs, row, meter_ids, now_ms)
        why = chain.why_not()
        if why is not None:
            done.kept.append(f"chain {row.id[:8]}: {why}")
            left |= {row.id, row.key_chain_id}
            continue
        done.documents += chain.take_over()
        if chain.go_on():
            done.resumed.append(row.id)
    for row in rows:
        known = row.key_chain_id is None and row.id not in left
        if known and _release(ours, theirs, row, now_ms):
            done.resumed.append(row.id)
    return done


def _release(ours: Connection, theirs: Connection, keys: Row[Any], now_ms: int) -> bool:
    """Let chains begin under an enrolment again that was found beside its key.

    Which reports were signed under it, this ledger did not know. The other one does if it holds the
    enrolment and all that followed, and was never without them; its reports have come over.
    """
    if keys.stopped is not None or chain_state(ours, keys.id).stopped != HISTORY_LOST:
        return False
    statements = {item.link for item in documents_of(theirs, keys.id)}
    if not statements.issuperset(item.link for item in documents_of(ours, keys.id)):
        return False
    resume(ours, keys.id, now_ms)
    return True


class _Chain:
    """One chain in both ledgers."""

    def __init__(
        self,
        ours: Connection,
        theirs: Connection,
        row: Row[Any],
        meter_ids: Mapping[int, int],
        now_ms: int,
    ) -> None:
        self._ours, self._theirs, self._row = ours, theirs, row
        self._meter_ids, self._now_ms = meter_ids, now_ms
        self._state = chain_state(ours, row.id)
        self._before = {item.sequence: item for item in documents_of(ours, row.id)}
        self._after = {item.sequence: item for item in documents_of(theirs, row.id)}
        self._missing = [item for at, item in self._after.items() if at not in self._before]

    def why_not(self) -> str | None:
        """Return why the chain is left as it is; None: it goes on as it does there."""
        for at in sorted(self._before.keys() & self._after.keys()):
            if self._before[at].digest != self._after[at].digest:
                return f"the ledgers hold different documents at position {at}"
        if not self._missing:
            return None
        keys = self._row.key_chain_id or self._row.id
        known = self._ours.execute(select(chains.c.id).filter_by(id=keys)).first() is not None
        if not known and not _installations(self._ours) & _installations(self._theirs, keys):
            return "it is another installation's"
        if self._state.stopped not in {None, HISTORY_LOST}:
            return f"it is stopped ({self._state.stopped})"
        if self._before.keys() - self._after.keys():
            return "each ledger holds documents that the other lacks"
        for item in self._missing:
            closed = item.kind is ReportKind.FINAL and self._closed_otherwise(item)
            if closed and item.cycle is not None:
                return f"cycle {item.cycle.index} was closed here without its final"
        return None

    def _closed_otherwise(self, final: OutboxItem) -> bool:
        """Whether its cycle is Final here by another document, or by none."""
        row = self._cycle(final)
        before = [i for i in self._before.values() if i.kind is ReportKind.FINAL]
        replaced = any(item.cycle == final.cycle for item in before)
        return row is not None and row.state == CycleState.FINAL and not replaced

    def _cycle(self, item: OutboxItem) -> Row[Any] | None:
        if item.cycle is None or item.meter_id is None:
            return None
        meter_id = self._meter_ids[item.meter_id]
        same = select(cycles).filter_by(meter_id=meter_id, start_ms=item.cycle.start_ms)
        return self._ours.execute(same).one_or_none()

    def take_over(self) -> int:
        """Copy what is missing, and verdicts; return how many documents."""
        know_chain(self._ours, self._row.id, self._row.key_chain_id)
        for item in self._missing:
            self._copy(item)
        for at, known in self._before.items():
            there = self._after.get(at)
            if there is not None and there.state in _DELIVERED and known.state not in _DELIVERED:
                verdict = {name: self._columns(there)[name] for name in _VERDICT}
                self._write(known.jti, {**verdict, "lease_until_ms": None})
        acknowledged = self._state.acknowledged
        position = self._row.acknowledged_sequence
        if position is not None and (acknowledged is None or acknowledged.sequence < position):
            names = ("acknowledged_sequence", "acknowledged_digest", "vendor_time_ms")
            ends = {name: getattr(self._row, name) for name in names}
            this = chains.c.id == self._row.id
            self._ours.execute(update(chains).where(this).values(ends))
        self._commit()
        return len(self._missing)

    def _commit(self) -> None:
        """Take over to whom finals commit that are the same in both ledgers now.

        Where the facts of their cycle are gone, the merge of the cycles drops them.
        """
        of_chain = select(outbox.c.jti).filter_by(chain_id=self._row.id)
        query = select(commitments).where(commitments.c.jti.in_(of_chain))
        here = {row.jti for row in self._ours.execute(query)}
        for row in self._theirs.execute(query).mappings():
            if row["jti"] not in here:
                this = select(outbox.c.cycle_id).filter_by(jti=row["jti"])
                cycle_id = self._ours.execute(this).scalar_one()
                self._ours.execute(insert(commitments).values({**row, "cycle_id": cycle_id}))

    def go_on(self) -> bool:
        """Let a stopped chain go on, if nothing is missing of it any more; return whether it does.

        What the other ledger lacks is missing here, too.
        """
        there = chain_state(self._theirs, self._row.id)
        for link in there.lost:
            note(self._ours, self._row.id, Recovery.LOST, link, self._now_ms)
        if self._missing and there.stopped is not None:
            this = (chains.c.id == self._row.id) & chains.c.stopped.is_(None)
            self._ours.execute(update(chains).where(this).values(stopped=self._row.stopped))
            return False
        stopped = self._state.stopped == HISTORY_LOST
        if stopped and (self._missing or self._state.lost) and self._whole(there):
            resume(self._ours, self._row.id, self._now_ms)
            return True
        return False

    def _whole(self, there: ChainState) -> bool:
        """Whether every document is held that is known to exist."""
        links = {item.link for item in documents_of(self._ours, self._row.id)}
        named = [*self._state.lost, *there.lost]
        named += [link for link in (there.acknowledged, self._state.acknowledged) if link]
        named += filter(None, map(_head_of, (*self._before.values(), *self._after.values())))
        return links.issuperset(named)

    def _columns(self, item: OutboxItem) -> dict[str, Any]:
        query = select(outbox).filter_by(jti=item.jti)
        return dict(self._theirs.execute(query).mappings().one())

    def _write(self, jti: str, values: dict[str, Any]) -> None:
        self._ours.execute(update(outbox).where(outbox.c.jti == jti).values(values))

    def _copy(self, item: OutboxItem) -> None:
        """Copy a document, and what it decided about its cycle."""
        columns = {**self._columns(item), "lease_until_ms": None}
        if item.state is Delivery.SENDING:
            columns["state"] = Delivery.PENDING
        if item.meter_id is not None and item.cycle is not None:
            meter_id = self._meter_ids[item.meter_id]
            columns |= {"meter_id": meter_id, "cycle_id": self._decide(item, item.cycle, meter_id)}
        self._ours.execute(insert(outbox).values(columns))

    def _decide(self, item: OutboxItem, cycle: Cycle, meter_id: int) -> int:
        """Make our record of a cycle say what a document of theirs says; return its number."""
        there = select(cycles).filter_by(meter_id=item.meter_id, start_ms=cycle.start_ms)
        theirs, ours = self._theirs.execute(there).one(), self._cycle(item)
        if ours is None:
            same = ("cycle_index", "start_ms", "end_ms")
            row = {name: getattr(theirs, name) for name in same}
            new = insert(cycles).values(row | {"meter_id": meter_id, "state": CycleState.OPEN})
            self._ours.execute(new)
            ours = self._cycle(item)
        assert ours is not None  # noqa: S101 - inserted just now
        slots = [s for s in (ours.interim_slot, theirs.interim_slot) if s is not None]
        values: dict[str, Any] = {"interim_slot": max(slots, default=None)}
        if item.kind is ReportKind.FINAL:
            values |= {name: getattr(theirs, name) for name in _DECISION}
        self._ours.execute(update(cycles).where(cycles.c.id == ours.id).values(values))
        if item.kind is ReportKind.AMENDMENT:
            self._amend(theirs.id, ours.id)
        ours_id: int = ours.id
        return ours_id

    def _amend(self, their_id: int, our_id: int) -> None:
        """Take over the amendments of a cycle that are not here."""
        known = select(amendments.c.number).filter_by(cycle_id=our_id)
        numbers = set(self._ours.execute(known).scalars())
        for row in self._theirs.execute(select(amendments).filter_by(cycle_id=their_id)).mappings():
            if row["number"] not in numbers:
                self._ours.execute(insert(amendments).values({**row, "cycle_id": our_id}))


def _installations(connection: Connection, chain_id: str | None = None) -> set[str]:
    """Return the installations that have enrolled; with a key chain, only the one of that."""
    query = select(outbox.c.token).filter_by(kind=ReportKind.ENROLMENT)
    if chain_id is not None:
        query = query.filter_by(chain_id=chain_id)
    return {Sent.from_token(token).installation for token in connection.execute(query).scalars()}


def _head_of(item: OutboxItem) -> Link | None:
    """Return the vendor's head in the receipt of a document, if it names one."""
    try:
        return None if item.receipt is None else stored_receipt(item.receipt).head
    except Refused:
        return None  # it was verified when it arrived; `ledger check` tells what is damaged
