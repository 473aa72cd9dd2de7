"""The ledger's methods for facts: meters, cycles, polls, and the statement made from them."""

from licenseusage.ledger.facts import (
    attendance,
    erasing,
    expiry,
    growth,
    polls,
    pushes,
    refutations,
    registry,
    sources,
    stores,
)
from licenseusage.ledger.facts.statements import make_statement
from licenseusage.ledger.storage.transactions import Transactions, reads, writes


class FactMethods(Transactions):
    """Methods of the ledger about meters, cycles and polls; each is documented at its function."""

    clock_high_water_ms = reads(registry.high_water_ms)

    ensure_meter = writes(registry.ensure_meter)
    meter = reads(registry.find_meter)
    meters = reads(registry.all_meters)
    meter_deleted = writes(registry.delete_meter)
    keep_terms = writes(registry.keep_terms)

    ensure_cycle = writes(registry.ensure_cycle)
    follow_daily_facts = writes(attendance.follow_daily_facts)
    cycles = reads(registry.newest_cycles)
    unfinished_cycles = reads(registry.unfinished_cycles)

    record_poll = writes(polls.record_poll)
    record_pushes = writes(pushes.record_pushes)
    refuted = reads(refutations.refuted)
    store_states = reads(stores.store_states)
    source_statuses = reads(sources.source_statuses)
    kept_starts = reads(erasing.kept_starts)
    erase_person = writes(erasing.erase_person)
    carry_out_erasures = writes(erasing.carry_out_erasures)
    delete_expired_facts = writes(expiry.delete_expired_facts)

    first_days = reads(growth.first_days)
    statement = reads(make_statement)
