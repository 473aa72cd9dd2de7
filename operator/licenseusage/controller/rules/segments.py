"""Which part of a cycle a poll is about, where the definition of who counts changed in it."""

from collections.abc import Mapping

from licenseusage.ledger.records import StoreKey, StoreState
from licenseusage.metering.cycles import Cycle


def segment_ms(
    cycle: Cycle,
    store: StoreKey,
    selection: str,
    states: Mapping[StoreKey, StoreState],
    now_ms: int,
) -> int | None:
    """Return since when a source's definition decides who counts; None: in the whole cycle.

    What was before is a segment of its own, of which no poll by the new definition says anything
    (MEASUREMENT §7). With the way ids are read the store changes as well: then the source's other
    stores tell whether there was another definition before. A definition that changed when the
    cycle was over has no part in it, and the ledger takes nothing from it.

    Args:
        cycle: The cycle.
        store: Where the facts go.
        selection: Digest of what decides who counts now.
        states: Every store of the cycle.
        now_ms: When the poll begins: a change that nobody has seen before is dated so.
    """
    known = [states[store]] if store in states else []
    known = known or [states[key] for key in states if key.source == store.source]
    times = [state.since_ms(selection, now_ms) for state in known]
    since_ms = max((at for at in times if at is not None), default=cycle.start_ms)
    return since_ms if cycle.start_ms < since_ms < cycle.end_ms else None
