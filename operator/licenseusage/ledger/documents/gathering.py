"""One snapshot of what the ledger knows of a meter, so that one reconcile sees one state.

Functions of an open transaction.
"""

from collections.abc import Callable, Iterable

from sqlalchemy import Connection

from licenseusage.ledger.documents.chains import chain_states
from licenseusage.ledger.documents.issued import documents_of, reports_of
from licenseusage.ledger.documents.outbox import route_of
from licenseusage.ledger.documents.records import MeterFacts, ReportChain
from licenseusage.ledger.facts.companions import companions
from licenseusage.ledger.facts.pushes import heartbeats_of
from licenseusage.ledger.facts.refutations import refuted
from licenseusage.ledger.facts.registry import (
    high_water_ms,
    newest_cycles,
    one_meter,
    unfinished_cycles,
)
from licenseusage.ledger.facts.sources import source_statuses
from licenseusage.ledger.facts.stores import store_states
from licenseusage.ledger.records import Meter


def facts_of(
    connection: Connection,
    meter_id: int,
    chains: Callable[[Meter], Iterable[ReportChain]],
    limit: int,
    interims: int,
) -> MeterFacts:
    """Return one snapshot of what is known of a meter.

    Args:
        connection: Of an open transaction.
        meter_id: The meter.
        chains: Names the chains that reports about it may be in.
        limit: So many of its newest cycles.
        interims: Leave out accepted interims but the newest so many.
    """
    meter = one_meter(connection, meter_id)
    newest = newest_cycles(connection, meter_id, limit)
    unfinished = unfinished_cycles(connection, meter_id)
    counted = {record.cycle for record in (*newest, *unfinished) if not record.wiped}
    reports = reports_of(connection, meter_id, interims=interims)
    named = tuple(chains(meter))
    key_chains = {chain.key_chain_id for chain in named}
    key_chains |= {item.key_chain_id for item in reports if item.key_chain_id is not None}
    return MeterFacts(
        meter=meter,
        clock_high_water_ms=high_water_ms(connection),
        cycles=newest,
        unfinished=unfinished,
        states={cycle: store_states(connection, meter_id, cycle) for cycle in counted},
        statuses=source_statuses(connection, meter_id),
        heartbeats=heartbeats_of(connection, meter_id),
        refuted=refuted(connection, meter_id),
        reports=reports,
        statements={chain_id: documents_of(connection, chain_id) for chain_id in key_chains},
        chains=chain_states(connection, (*(chain.id for chain in named), *key_chains)),
        route=route_of(connection, meter_id),
        companions=companions(connection, meter, [record.cycle for record in newest[:2]]),
    )
