"""Rules of the operator, each broken on purpose: the soak must notice every one.

``python -m hack.soak.mutants`` runs the soak once for each of these and says which survive.
"""

import dataclasses
from collections.abc import Callable
from typing import Any
from unittest import mock

from sqlalchemy import delete, update

from hack.soak import listing
from licenseusage.controller import closing as steps
from licenseusage.delivery import outcome, sender
from licenseusage.delivery.outbox import DeliveryState
from licenseusage.delivery.schedule import Schedule
from licenseusage.delivery.settle import settle
from licenseusage.ledger import closing, ledger, outbox, polls, schema
from licenseusage.ledger.counting import count_domain
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.registry import ensure_cycle
from licenseusage.metering.bounds import Bounds
from licenseusage.metering.cycles import cycle_at
from licenseusage.metering.facts import list_facts
from licenseusage.metering.lifecycle import CloseReason
from licenseusage.metering.properties import Properties
from licenseusage.reports import report
from licenseusage.reports.receipt import read_receipt
from licenseusage.sources.definition import EffectiveSource

_MUTATIONS: dict[str, Callable[[], None]] = {}


def names() -> tuple[str, ...]:
    """Return what can be broken."""
    return tuple(_MUTATIONS)


def apply(name: str) -> None:
    """Break a rule in this process, until ``mock.patch.stopall``; the empty name breaks none.

    Raises:
        KeyError: There is no such mutation.
    """
    if name:
        _MUTATIONS[name]()


def _mutation(make: Callable[[], None]) -> Callable[[], None]:
    _MUTATIONS[make.__name__.replace("_", "-")] = make
    return make


def _replace(target: str, new: object) -> None:
    mock.patch(target, new).start()


# --- metering ----------------------------------------------------------------------------------


@_mutation
def lag_ignored() -> None:
    """A poll closes a window at its end, not lag and skew later (MEASUREMENT §3.5)."""

    def wrong(cycle: Any, properties: Any, **more: Any) -> Any:  # noqa: ANN401
        return list_facts(cycle, dataclasses.replace(properties, lag_ms=0), **more)

    _replace("licenseusage.sources.tally.list_facts", wrong)


@_mutation
def complete_ignored() -> None:
    """A failed or partial poll proves as much as a complete one (§3.6)."""

    def wrong(cycle: Any, properties: Any, **more: Any) -> Any:  # noqa: ANN401
        return list_facts(cycle, properties, **{**more, "complete": True})

    _replace("licenseusage.sources.tally.list_facts", wrong)


@_mutation
def hidden_ignored() -> None:
    """Activity that the product hides is ruled out (§3.4, H)."""

    def wrong(cycle: Any, properties: Any, **more: Any) -> Any:  # noqa: ANN401
        return list_facts(cycle, dataclasses.replace(properties, hidden_ms=0), **more)

    _replace("licenseusage.sources.tally.list_facts", wrong)


@_mutation
def removal_ignored() -> None:
    """Users who were removed are taken for inactive (K)."""
    _replace_property(Properties, "keeps_users", lambda _: True)


@_mutation
def creation_counts() -> None:
    """A value that is the account's creation counts as activity (§3.3)."""

    def wrong(cycle: Any, properties: Any, **more: Any) -> Any:  # noqa: ANN401
        return list_facts(cycle, dataclasses.replace(properties, initial_created=False), **more)

    _replace("licenseusage.sources.tally.list_facts", wrong)


@_mutation
def granule_ignored() -> None:
    """A coarse time is taken for an instant (§1, g)."""

    def wrong(cycle: Any, properties: Any, **more: Any) -> Any:  # noqa: ANN401
        return list_facts(cycle, dataclasses.replace(properties, granularity_ms=1), **more)

    _replace("licenseusage.sources.tally.list_facts", wrong)


@_mutation
def skew_ignored() -> None:
    """The clocks of operator and product are taken for one (§1, k)."""

    def none(*_: Any, **__: Any) -> int:  # noqa: ANN401
        return 0

    mock.patch.object(listing, "skew_ms", none).start()


@_mutation
def names_united() -> None:
    """People who change their names are united by them all the same (§3.8)."""
    true = EffectiveSource.properties_given

    def wrong(self: Any, *, ids_stable: bool) -> Any:  # noqa: ANN401
        return true(self, ids_stable=True)

    mock.patch.object(EffectiveSource, "properties_given", wrong).start()


# --- the ledger --------------------------------------------------------------------------------


@_mutation
def join_by_intersection() -> None:
    """``maybe`` is joined by AND although one side has not closed the window (§8)."""
    for module in ("licenseusage.metering.facts", "licenseusage.ledger.polls"):
        _replace(f"{module}.join_maybe", lambda a, _a, b, _b: a & b)


@_mutation
def join_forgets() -> None:
    """A poll's facts replace those before (last writer wins)."""
    true = polls._join_users

    def wrong(connection: Any, store: Any, found: Any) -> Any:  # noqa: ANN401
        connection.execute(delete(schema.facts).where(schema.facts.c.store_id == store.id))
        return true(connection, store, found)

    _replace("licenseusage.ledger.polls._join_users", wrong)


@_mutation
def upper_of_one_store() -> None:
    """With several stores, one that has proved its part is enough for an upper bound (§7)."""

    def wrong(connection: Any, stores: Any, combine: Any, days: int) -> Any:  # noqa: ANN401
        proving = [one for one in stores if one.proves] or list(stores)
        return count_domain(connection, proving, combine, days)

    _replace("licenseusage.ledger.statements.count_domain", wrong)


@_mutation
def poll_in_two_transactions() -> None:
    """The words of a store are durable before the users they speak about."""
    true = Ledger.record_poll

    def wrong(self: Any, poll: Any, now_ms: int) -> None:  # noqa: ANN401
        empty = {
            cycle: dataclasses.replace(found, sure={}, maybe={})
            for cycle, found in poll.facts.items()
        }
        true(self, dataclasses.replace(poll, facts=empty), now_ms)
        true(self, poll, now_ms)

    mock.patch.object(Ledger, "record_poll", wrong).start()


# --- closing and reporting ---------------------------------------------------------------------


@_mutation
def closed_at_the_end() -> None:
    """A cycle is closed as soon as it has ended, whatever was read."""

    def wrong(cycle: Any, now_ms: int, _grace: int, _sources: Any) -> Any:  # noqa: ANN401
        return CloseReason.GRACE_OVER if now_ms >= cycle.end_ms else None

    _replace("licenseusage.controller.closing.close_due", wrong)


@_mutation
def running_is_exact() -> None:
    """A running cycle states its upper bound as if it had ended (§0)."""

    def wrong(self: Bounds) -> Bounds:
        return Bounds(self.lower, self.lower)

    mock.patch.object(Bounds, "so_far", wrong).start()


@_mutation
def no_intent() -> None:
    """The decision to close is made anew by each process."""
    true = closing.begin_close

    def wrong(connection: Any, meter_id: int, cycle: Any, *more: Any) -> Any:  # noqa: ANN401
        row = ensure_cycle(connection, meter_id, cycle)
        connection.execute(
            update(schema.cycles).where(schema.cycles.c.id == row.id).values(intent_ms=None)
        )
        return true(connection, meter_id, cycle, *more)

    _replace("licenseusage.ledger.closing.begin_close", wrong)
    close = steps.close

    async def again(books: Any, record: Any, *more: Any, **named: Any) -> Any:  # noqa: ANN401
        return await close(books, dataclasses.replace(record, intent=None), *more, **named)

    mock.patch.object(steps, "close", again).start()


@_mutation
def missed_cycles_skipped() -> None:
    """After an outage only the running cycle gets a record."""

    def wrong(meter: Any, newest: Any, now_ms: int) -> Any:  # noqa: ANN401
        current = cycle_at(meter.grids, now_ms)
        return () if current is None or current == newest else (current,)

    _replace("licenseusage.controller.meters.missing_cycles", wrong)


@_mutation
def interims_overtake() -> None:
    """An interim does not wait for the finals before it (REPORT_FORMAT §6)."""
    true = steps.interim_plan

    def wrong(record: Any, _unfinished: Any, *more: Any, **named: Any) -> Any:  # noqa: ANN401
        return true(record, [record], *more, **named)

    mock.patch.object(steps, "interim_plan", wrong).start()


@_mutation
def chain_from_one() -> None:
    """A process that has started signs as if the chain were new."""
    true = report.build_report

    def wrong(given: Any, key: Any) -> Any:  # noqa: ANN401
        if given.previous is not None and given.previous.sequence % 5 == 0:
            previous = dataclasses.replace(given.previous, digest="sha256:" + "0" * 64)
            given = dataclasses.replace(given, previous=previous)
        return true(given, key)

    _replace("licenseusage.controller.statements.build_report", wrong)


@_mutation
def signed_again() -> None:
    """What is sent again is signed again, with another time."""
    true = outbox.restart

    def wrong(connection: Any, now_ms: int, delay_ms: Any) -> Any:  # noqa: ANN401
        connection.execute(
            update(schema.outbox)
            .where(schema.outbox.c.state == "Sending")
            .values(token=schema.outbox.c.token + "x")
        )
        return true(connection, now_ms, delay_ms)

    _replace("licenseusage.ledger.outbox.restart", wrong)


# --- delivery ----------------------------------------------------------------------------------


@_mutation
def status_is_enough() -> None:
    """A 200 or 201 counts as accepted without a receipt that verifies (DESIGN §8.5)."""
    true = outcome.classify

    def wrong(answer: Any, keys: Any, sent: Any) -> Any:  # noqa: ANN401
        found = true(answer, keys, sent)
        if getattr(answer, "status", 0) in (200, 201) and found.receipt is None:
            return outcome.Outcome(DeliveryState.ACCEPTED, "Accepted", Schedule.NONE)
        return found

    _replace("licenseusage.delivery.sender.classify", wrong)


@_mutation
def any_receipt_is_enough() -> None:
    """A receipt of another document counts (REPORT_FORMAT §12)."""

    def wrong(token: Any, keys: Any, _sent: Any) -> Any:  # noqa: ANN401
        return read_receipt(token, keys)

    _replace("licenseusage.delivery.outcome.verify_receipt", wrong)


@_mutation
def failures_are_dropped() -> None:
    """What could not be sent once is not sent again (DESIGN §8.4)."""

    def wrong(*given: Any, **named: Any) -> Any:  # noqa: ANN401
        return dataclasses.replace(settle(*given, **named), next_attempt_ms=None)

    mock.patch.object(sender, "settle", wrong).start()


@_mutation
def sending_is_forgotten() -> None:
    """What was being sent when the process died stays so: no lease, no restart."""
    _replace("licenseusage.ledger.outbox.restart", lambda *_: 0)
    mock.patch.object(ledger, "LEASE_MS", 1 << 50).start()
    mock.patch.dict(Ledger.claim.__kwdefaults__, lease_ms=1 << 50).start()


def _replace_property(owner: type, name: str, get: Callable[[Any], object]) -> None:
    mock.patch.object(owner, name, property(get)).start()
