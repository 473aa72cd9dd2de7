"""Why what a store holds cannot be completed: each cause by its own name."""

from dataclasses import replace

import pytest

from licenseusage.metering.stores import StoreKey
from tests.ledger.conftest import CYCLE, GRAPH, HOUR_MS, START, declared, poll

NOW = StoreKey(GRAPH.source, "another-domain")


@pytest.fixture
def counted(ledger):
    """Somebody was counted in the store of before; the store of now was read to the end."""
    ledger.record_poll(poll(START + HOUR_MS, {"ada": START}), START + HOUR_MS)
    after = CYCLE.end_ms + 120_000
    ledger.record_poll(poll(after, {"ben": START}, store=NOW), after)
    return ledger


def why(ledger, *sources):
    return ledger.statement(1, CYCLE, sources=sources, as_of_ms=CYCLE.end_ms).unbounded


def test_a_lost_pseudonym_key_is_no_source_that_is_gone(counted):
    now = replace(declared(NOW), former=GRAPH)
    assert why(counted, now)[0] == "PseudonymKeyChanged"


def test_ids_that_are_read_otherwise_are_another_definition(counted):
    assert why(counted, declared(NOW))[0] == "RulesChanged"


def test_a_source_that_is_no_longer_declared_is_gone(counted):
    other = declared(StoreKey("other", "x"))
    assert "SourceGone" in why(counted, other)


def test_of_a_deleted_object_every_source_is_gone_with_it(counted):
    assert why(counted) == ("ObjectGone", "NoClosingPoll")
