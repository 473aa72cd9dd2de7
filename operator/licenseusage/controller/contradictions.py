"""What to say where the facts of a cycle contradict what a source declares (MEASUREMENT §2).

A running or closing cycle states no number then. What was stated before stands: evidence against it
changes no report by itself, it is shown, and a person judges.
"""

from collections.abc import Sequence

from licenseusage.api.model import rfc3339
from licenseusage.controller.status import Ended
from licenseusage.metering.bounds import Accuracy
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.statement import CycleStatement

_FIX = "Correct spec.sources[].guarantees, which counts from the next cycle on"


def contradicted(
    running: CycleStatement | None, ended: Sequence[Ended], rules_digest: str
) -> str | None:
    """Return what a person is told, None if nothing is contradicted.

    It is told as long as the guarantees stand that are false, and the facts are kept.

    Args:
        running: About the running cycle; None without one.
        ended: Ended cycles, newest first.
        rules_digest: Of the rules as declared now.
    """
    told = []
    if running is not None and running.refuted:
        told.append(f"This cycle: {_refuted(running)}. {_FIX}")
    for one in ended:
        record = one.record
        if record.wiped or record.rules_digest not in {None, rules_digest}:
            continue
        if record.contradiction is not None:
            told.append(
                f"{_dates(record.cycle)}: {record.contradiction.words}. That statement stands. "
                f"{_FIX}, and agree with the vendor on a restatement"
            )
        elif one.statement.refuted:
            told.append(f"{_dates(record.cycle)}: {_refuted(one.statement)}. {_FIX}")
    if not told:
        return None
    others = f" ({len(told) - 1} more cycles in status.history.)" if len(told) > 1 else ""
    return f"{told[0]}.{others}"


def _refuted(statement: CycleStatement) -> str:
    """What is refuted: of the whole cycle, or of some of its days only."""
    conflict = statement.bounds.accuracy is Accuracy.CONFLICT
    consequence = "no number can be stated" if conflict else "the days' numbers are in doubt"
    return f"{consequence}: {'; '.join(statement.refuted)}"


def _dates(cycle: Cycle) -> str:
    return f"Cycle {rfc3339(cycle.start_ms)[:10]} to {rfc3339(cycle.end_ms)[:10]}"
