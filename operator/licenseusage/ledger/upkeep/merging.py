"""Joining another ledger into this one: a replica's, or the one from before a restore.

Facts are statements about the past that never become false, so the join of two ledgers is the same
in any order and any number of times (MEASUREMENT §8). It needs the same users: one pseudonym key,
one definition of who counts. What a ledger has decided and signed (states of cycles, statements,
chains, outbox) is its own; it comes over only where the other goes on from here (`signed`).
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from licenseusage import __version__
from licenseusage.errors import Stalled
from licenseusage.ledger.facts import unsettled
from licenseusage.ledger.facts.attendance import drop_days
from licenseusage.ledger.facts.claims import join_claims
from licenseusage.ledger.facts.logs import join_logs
from licenseusage.ledger.facts.refutations import join_refutations, refute_joined
from licenseusage.ledger.facts.registry import DROPPED
from licenseusage.ledger.facts.samples import join_samples
from licenseusage.ledger.records import CycleState
from licenseusage.ledger.storage import schema
from licenseusage.ledger.storage.copying import (
    Progress,
    connected,
    copy_into,
    nothing_to_tell,
    reading,
    refuse_strangers,
)
from licenseusage.ledger.storage.database import open_database, open_engine
from licenseusage.ledger.storage.migrations import bring_up_to_date
from licenseusage.ledger.storage.schema import cycles, grids, ledger, licenses, meters, stores
from licenseusage.ledger.storage.transactions import raise_high_water
from licenseusage.ledger.upkeep.joining import (
    join_coverage,
    join_erasures,
    join_rosters,
    join_users,
    wipe,
)
from licenseusage.ledger.upkeep.signed import take_over_chains
from licenseusage.ledger.upkeep.snapshot import PATIENCE_SECONDS, every_page, identity_of
from licenseusage.ledger.upkeep.terms import follow_terms
from licenseusage.reasons import Reason

_OTHERWISE = (
    "If this one was restored, and has counted on without the licence that the other one knew, "
    "restore the other one in its place (licenseusage ledger restore)"
)


@dataclass(slots=True)
class Merged:
    """The result of a merge.

    Attributes:
        meters: Meters that this ledger did not know.
        cycles: Cycles of which the other ledger had facts or coverage.
        users: Users (by store) who are new here, or of whom more is known now.
        documents: Signed documents that the other ledger had, and this one had lost.
        resumed: Chains that were stopped for that, and go on.
        skipped: Cycles and chains that were left out, each with the reason.
    """

    meters: int = 0
    cycles: int = 0
    users: int = 0
    documents: int = 0
    resumed: int = 0
    skipped: list[str] = field(default_factory=list)


def merge_ledgers(
    other: Path, path: Path, *, now_ms: int, progress: Progress = nothing_to_tell
) -> Merged:
    """Join the facts of ``other`` into the ledger at ``path``, in one transaction.

    Args:
        other: A ledger or a backup; only read.
        path: The ledger; no operator uses it.
        now_ms: The time.
        progress: Hears of cycles.

    Raises:
        Waiting: ``LedgerLocked``.
        Stalled: ``MergeRefused``: they do not count the same users; nothing was changed.
            ``LedgerCorrupt``, ``LedgerSchemaUnsupported``.
        Retryable: Something cannot be read or written.
    """
    for file in (other, path):
        refuse_strangers(file)
    if path.samefile(other):
        raise _refused(other, path, "they are one file")
    database = open_database(
        f"sqlite:///{path}", now_ms=now_ms, ledger_id="", lock_wait_seconds=PATIENCE_SECONDS
    )
    try:
        with (
            _opened(other, path) as theirs,
            database.errors(),
            database.engine.begin() as ours,
        ):
            return join_ledgers(ours, theirs, other, path, progress)
    finally:
        database.close()


def join_ledgers(
    ours: Connection,
    theirs: Connection,
    other: Path,
    path: Path,
    progress: Progress = nothing_to_tell,
) -> Merged:
    """Join the facts of one open ledger into another; see `merge_ledgers`.

    Args:
        ours: In the transaction that is written.
        theirs: Only read.
        other: Where theirs is from, for messages.
        path: Where ours is from, for messages.
        progress: Hears of cycles.

    Raises:
        Stalled: ``MergeRefused``: take back the transaction.
    """
    return _Join(ours, theirs, other, path).run(progress)


class _Join:
    """One merge: two open ledgers, and the changes so far."""

    def __init__(self, ours: Connection, theirs: Connection, other: Path, path: Path) -> None:
        self._ours, self._theirs = ours, theirs
        self._other, self._path = other, path
        self._done = Merged()

    def run(self, progress: Progress) -> Merged:
        query = select(cycles).order_by(cycles.c.meter_id, cycles.c.start_ms)
        all_cycles = self._theirs.execute(query).all()
        number = 0
        known = self._theirs.execute(select(meters).order_by(meters.c.id)).all()
        meter_ids = {meter.id: self._meter(meter) for meter in known}
        self._take_over_documents(meter_ids)
        for meter in known:
            meter_id = meter_ids[meter.id]
            for row in all_cycles:
                if row.meter_id == meter.id:
                    self._cycle(meter, meter_id, row)
                    number += 1
                    progress(number, len(all_cycles) + 1)
            join_coverage(self._ours, meter_id, self._theirs, meter.id)
            join_rosters(self._ours, meter_id, self._theirs, meter.id)
            join_refutations(self._ours, meter_id, self._theirs, meter.id)
            join_erasures(self._ours, meter_id, self._theirs, meter.id)
            refute_joined(self._ours, meter_id)
        high_water = select(ledger.c.clock_high_water_ms)
        raise_high_water(self._ours, self._theirs.execute(high_water).scalar_one())
        progress(1, 1)
        return self._done

    def _take_over_documents(self, meter_ids: Mapping[int, int]) -> None:
        """Take over what the other has signed: before its facts, which may only narrow that."""
        high_water = self._theirs.execute(select(ledger.c.clock_high_water_ms)).scalar_one()
        signed = take_over_chains(self._ours, self._theirs, meter_ids, high_water)
        self._done.documents, self._done.resumed = signed.documents, len(signed.resumed)
        self._done.skipped += signed.kept

    def _meter(self, theirs: Row[Any]) -> int:
        """Return our row of a meter; one that was not known comes with its terms."""
        key = {name: getattr(theirs, name) for name in ("namespace", "name", "product")}
        same = select(meters.c.id).filter_by(**key)
        our_id: int | None = self._ours.execute(same).scalar_one_or_none()
        if our_id is not None:
            follow_terms(self._ours, our_id, self._theirs, theirs.id)
            return our_id
        kept = ("subscription", "created_ms", "deleted_ms", "approval", "daily_facts")
        known = {name: getattr(theirs, name) for name in kept}
        self._ours.execute(insert(meters).values(**key, **known))
        meter_id: int = self._ours.execute(same).scalar_one()
        for table in (licenses, grids):
            known_there = select(table).filter_by(meter_id=theirs.id)
            for row in self._theirs.execute(known_there).mappings():
                self._ours.execute(insert(table).values({**row, "meter_id": meter_id}))
        self._done.meters += 1
        return meter_id

    def _cycle(self, meter: Row[Any], meter_id: int, theirs: Row[Any]) -> None:
        named = f"cycle {theirs.cycle_index} of {meter.namespace}/{meter.name}"
        same = select(cycles).filter_by(meter_id=meter_id, start_ms=theirs.start_ms)
        ours = self._ours.execute(same).one_or_none()
        if ours is None:
            if self._is_past(meter_id, theirs):
                self._done.skipped.append(
                    f"{named} was closed before this ledger's first cycle of it"
                )
                return
            self._refuse_overlap(meter_id, theirs, named)
            self._ours.execute(
                insert(cycles).values(
                    meter_id=meter_id,
                    cycle_index=theirs.cycle_index,
                    start_ms=theirs.start_ms,
                    end_ms=theirs.end_ms,
                    state=CycleState.OPEN,
                )
            )
            ours = self._ours.execute(same).one()
        elif ours.end_ms != theirs.end_ms:
            raise self._refused(f"{named} ends at another time: the terms differ. {_OTHERWISE}")
        self._note(ours, theirs, named)
        self._done.cycles += 1
        if ours.wiped or theirs.wiped:
            wipe(self._ours, ours)
            self._done.skipped.append(f"of {named} the facts were deleted after their retention")
            return
        if ours.sealed or theirs.sealed:
            wipe(self._ours, ours)
            self._done.skipped.append(
                f"of {named} the facts were deleted: somebody was erased from it in one of the "
                f"ledgers, and the other still has them; what was stated stays"
            )
            return
        wanted = select(meters.c.daily_facts).filter_by(id=meter_id)
        unwanted = theirs.days_dropped or self._ours.execute(wanted).scalar_one() == DROPPED
        if unwanted and not ours.days_dropped:
            drop_days(self._ours, ours.id)
            ours = self._ours.execute(same).one()
        for store in self._theirs.execute(select(stores).filter_by(cycle_id=theirs.id)).all():
            self._store(ours, store, theirs, named)
        if ours.intent_ms is not None:  # what was decided is held against what is known now
            more = {"evidence": cycles.c.evidence + 1}
            self._ours.execute(update(cycles).where(cycles.c.id == ours.id).values(more))

    def _is_past(self, meter_id: int, theirs: Row[Any]) -> bool:
        """Whether a cycle was over and stated before ours began: it would be stated again."""
        first = select(cycles.c.start_ms).filter_by(meter_id=meter_id).order_by(cycles.c.start_ms)
        begun: int | None = self._ours.execute(first.limit(1)).scalar_one_or_none()
        final: bool = theirs.state == CycleState.FINAL
        return final and (begun is None or theirs.start_ms < begun)

    def _refuse_overlap(self, meter_id: int, theirs: Row[Any], named: str) -> None:
        crossing = select(cycles.c.id).where(
            cycles.c.meter_id == meter_id,
            cycles.c.start_ms < theirs.end_ms,
            cycles.c.end_ms > theirs.start_ms,
        )
        if self._ours.execute(crossing).first() is not None:
            raise self._refused(
                f"{named} overlaps another one here: the terms differ. {_OTHERWISE}"
            )

    def _note(self, ours: Row[Any], theirs: Row[Any], named: str) -> None:
        """Join the facts of a whole cycle, but not the decisions about it."""
        keys = {ours.pseudonym_key_id, theirs.pseudonym_key_id} - {None}
        if len(keys) > 1:
            raise self._refused(
                f"{named} has pseudonyms of another key ({theirs.pseudonym_key_id} there, "
                f"{ours.pseudonym_key_id} here), so people would count twice"
            )
        rules = {ours.rules_digest, theirs.rules_digest} - {None}
        counters = ("backward_steps", "forward_steps", "largest_step_seconds", "rules_changes")
        joined = {name: max(getattr(ours, name), getattr(theirs, name)) for name in counters}
        if len(rules) > 1:
            joined["rules_changes"] = max(joined["rules_changes"], 1)
        self._ours.execute(
            update(cycles)
            .where(cycles.c.id == ours.id)
            .values(
                pseudonym_key_id=next(iter(keys), None),
                rules_digest=ours.rules_digest or theirs.rules_digest,
                **joined,
            )
        )

    def _store(self, cycle: Row[Any], theirs: Row[Any], of: Row[Any], named: str) -> None:
        key = {"cycle_id": cycle.id, "source": theirs.source, "domain": theirs.domain}
        same = select(stores).filter_by(**key)
        ours = self._ours.execute(same).one_or_none()
        if ours is None:
            kept = ("ids_stable", "selection", "declaration", "by_rows")
            begun = {name: getattr(theirs, name) for name in kept}
            self._ours.execute(insert(stores).values(**key, **begun))
            ours = self._ours.execute(same).one()
        changes = max(ours.selection_changes, theirs.selection_changes)
        if not changes and self._defined_otherwise(ours, theirs, cycle, of):
            raise self._refused(
                f"source {theirs.source} of {named} counts other people there than here: its "
                f"definition differs"
            )
        users, refuted = join_users(
            self._ours, ours, self._theirs, theirs, dated=not cycle.days_dropped
        )
        self._done.users += users
        join_logs(self._ours, ours.id, self._theirs, theirs.id)
        join_claims(self._ours, ours.id, self._theirs, theirs.id)
        join_samples(self._ours, ours.id, self._theirs, theirs.id)
        since = [
            at for at in (ours.selection_since_ms, theirs.selection_since_ms) if at is not None
        ]
        by_rows = {ours.by_rows, theirs.by_rows} - {None}
        undated = cycle.days_dropped and by_rows  # nothing is covered day by day
        low, full = (_numbers(ours.low, theirs.low, max), _numbers(ours.full, theirs.full, min))
        seen = [at for at in (ours.seen_until_ms, theirs.seen_until_ms) if at is not None]
        read = [at for at in (ours.read_until_ms, theirs.read_until_ms) if at is not None]
        self._ours.execute(
            update(stores)
            .where(stores.c.id == ours.id)
            .values(
                ids_stable=min(ours.ids_stable, theirs.ids_stable),
                closed=0 if undated else ours.closed | theirs.closed,
                by_rows=max(by_rows, default=None),
                ended=ours.ended | theirs.ended,
                refuted=ours.refuted | theirs.refuted | refuted,
                followed=ours.followed | theirs.followed,
                seen_until_ms=max(seen, default=None),
                read_until_ms=max(read, default=None),
                # Perhaps the same people twice: too many taken off, until the next success.
                unsettled=unsettled.joined(
                    "{}", unsettled.total([ours.unsettled, theirs.unsettled])
                ),
                low=low,
                full=full,
                listed=max(ours.listed, theirs.listed),
                selection=ours.selection or theirs.selection,
                selection_changes=changes,
                selection_since_ms=max(since, default=None),
            )
        )

    @staticmethod
    def _defined_otherwise(ours: Row[Any], theirs: Row[Any], cycle: Row[Any], of: Row[Any]) -> bool:
        """Whether two stores count other people; where neither says, by the rules as a whole."""
        if ours.selection is not None and theirs.selection is not None:
            return bool(ours.selection != theirs.selection)
        rules = {cycle.rules_digest, of.rules_digest} - {None}
        return len(rules) > 1 and not cycle.rules_changes and not of.rules_changes

    def _refused(self, why: str) -> Stalled:
        return _refused(self._other, self._path, why)


def _refused(other: Path, path: Path, why: str) -> Stalled:
    return Stalled(
        Reason.MERGE_REFUSED, f"{other} cannot be merged into {path}: {why}. Nothing was changed."
    )


@contextmanager
def _opened(other: Path, path: Path) -> Iterator[Connection]:
    """Read the other ledger; one of an older schema in a copy that is brought up to date."""
    with reading(other) as raw:
        identity = identity_of(raw)
        every_page(raw, other)
        if identity.schema_version == schema.VERSION:
            with connected(raw) as connection:
                yield connection
            return
        if identity.schema_version > schema.VERSION:
            raise _refused(
                other,
                path,
                f"it was written by licenseusage {identity.written_by or '(a newer one)'} and has "
                f"schema {identity.schema_version}; this is {__version__}, which knows "
                f"{schema.VERSION} at most",
            )
        copy = path.with_name(path.name + ".merging")
        copy_into(raw, copy)
    try:
        engine = open_engine(copy)
        try:
            bring_up_to_date(engine, copy)
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()
    finally:
        for left_over in path.parent.glob(f"{copy.name}*"):
            left_over.unlink()


def _numbers(ours: str, theirs: str, better: Any) -> str:  # noqa: ANN401 - min or max
    """Join numbers of single polls by window, as JSON text."""
    a: Mapping[str, int] = json.loads(ours)
    b: Mapping[str, int] = json.loads(theirs)
    joined = {
        window: better(numbers[window] for numbers in (a, b) if window in numbers)
        for window in sorted(a.keys() | b.keys(), key=int)
    }
    return json.dumps(joined)
