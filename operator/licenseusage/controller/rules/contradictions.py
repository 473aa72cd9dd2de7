"""The message if a product's answers contradict a source's guarantees (MEASUREMENT §2).

What rests on a refuted guarantee is not stated, the rest is. What was stated before stands:
evidence against it changes no report by itself, it is shown, and a person judges.
"""

from collections.abc import Sequence

from licenseusage.api.model import rfc3339
from licenseusage.controller.rules.status import Ended
from licenseusage.metering.bounds import Accuracy
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.definitions import evidence_counts
from licenseusage.metering.refuting import Refutation
from licenseusage.metering.statement import CycleStatement
from licenseusage.reasons import Reason

_FIX = "Correct spec.sources[].guarantees, which counts from the next cycle on"


def contradicted(
    refuted: Sequence[Refutation],
    running: CycleStatement | None,
    ended: Sequence[Ended],
    rules_digest: str,
) -> str | None:
    """Return what a person is told, None if nothing is contradicted.

    It is told as long as the guarantees stand that are false, and the facts are kept.

    Args:
        refuted: What stands refuted of the sources as declared now.
        running: About the running cycle; None without one.
        ended: Ended cycles, newest first.
        rules_digest: Of the rules as declared now.
    """
    sentences = [f"Source {refutation.source}: {refutation.words}" for refutation in refuted]
    known = {f"source {refutation.source}: {refutation.words}" for refutation in refuted}
    others = [words for words in (running.refuted if running else ()) if words not in known]
    if others:
        sentences.append(f"This cycle: {'; '.join(others)}")
    cycles = []
    for ended_cycle in ended:
        record = ended_cycle.record
        if record.wiped or not evidence_counts(record.rules_digest, rules_digest):
            continue
        if record.contradiction is not None:
            cycles.append(
                f"{_dates(record.cycle)}: {record.contradiction.words}. That statement stands. "
                f"{_FIX}, and agree with the vendor on a restatement"
            )
        elif ended_cycle.statement.bounds.accuracy is Accuracy.CONFLICT:
            named = "; ".join(ended_cycle.statement.refuted)
            cycles.append(f"{_dates(record.cycle)}: no number can be stated: {named}. {_FIX}")
    sentences += cycles[:1]
    if not sentences:
        return None
    more = f" ({len(cycles) - 1} more cycles in status.history.)" if len(cycles) > 1 else ""
    return f"{'. '.join(sentences)}.{more}"


def disagreeing(
    running: CycleStatement | None, ended: Sequence[Ended], *, proved: bool
) -> str | None:
    """Return how a number that the product states disagrees with lists and logs; None: it does not.

    Of the running cycle, and of the last one that ended.

    Args:
        running: About the running cycle; None without one.
        ended: Ended cycles, newest first.
        proved: They cannot both be true; else the number is an estimate.
    """
    sentences = []
    if running is not None:
        sentences += [
            f"This cycle: {each.words}" for each in running.beside if each.proved is proved
        ]
    for last in ended[:1]:
        checks = (each for each in last.statement.beside if each.proved is proved)
        sentences += [f"{_dates(last.record.cycle)}: {each.words}" for each in checks]
    return f"{'. '.join(sentences)} ({Reason.COUNT_DISAGREES})." if sentences else None


def _dates(cycle: Cycle) -> str:
    return f"Cycle {rfc3339(cycle.start_ms)[:10]} to {rfc3339(cycle.end_ms)[:10]}"
