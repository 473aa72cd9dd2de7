"""Whether a cycle may be counted twice: by objects of one product and one contract. Pure.

A renamed or moved LicenseUsage is another meter, with a chain of its own. Nobody but people can
tell it from a second installation of the product, whose users are counted by right.
"""

from collections.abc import Sequence

from licenseusage.api.model import rfc3339
from licenseusage.controller.rules.conditions import Status, Verdict
from licenseusage.ledger.records import Companion
from licenseusage.metering.cycles import Cycle
from licenseusage.reasons import Reason

_SHOWN = 3


def counted_once(companions: Sequence[Companion]) -> Verdict | None:
    """Return the condition ``CountedOnce``; None: no other object reports the same cycles.

    Args:
        companions: Other meters of the product and the contract, with the cycles in common.
    """
    gone = [each for each in companions if each.deleted_ms is not None]
    if gone:
        return Verdict(Status.FALSE, Reason.MOVED_IN_CYCLE, _moved(gone))
    if companions:
        return Verdict(Status.UNKNOWN, Reason.COUNTED_ELSEWHERE, _both(companions))
    return None


def _moved(gone: Sequence[Companion]) -> str:
    first = gone[0]
    deleted = rfc3339(first.deleted_ms or 0)[:10]
    return (
        f"LicenseUsage {_named(gone)} was deleted on {deleted}, and reports "
        f"{_days(first.cycle)} for product {first.key.product} under the same contract as this "
        f"one: two finals for one cycle. If this is the same installation of the product under "
        f"another name or namespace, do not add them: its users are at least the larger number, at "
        f"most the sum. As long as the cycle runs, the former name and namespace continue the "
        f"former count. If it is another installation, both numbers are right."
    )


def _both(companions: Sequence[Companion]) -> str:
    product = companions[0].key.product
    return (
        f"LicenseUsage {_named(companions)} reports product {product} under the same contract, for "
        f"the same cycles. Compare spec.sources (namespace, pods, service or endpoint, url): if "
        f"both read the same installation of the product, delete one of them, and never add their "
        f"numbers. If they read different installations, each number is right, and who uses both "
        f"is in both."
    )


def _named(companions: Sequence[Companion]) -> str:
    names = list(dict.fromkeys(f"{each.key.namespace}/{each.key.name}" for each in companions))
    return ", ".join(names[:_SHOWN]) + (" and more" if len(names) > _SHOWN else "")


def _days(cycle: Cycle) -> str:
    return f"the cycle from {rfc3339(cycle.start_ms)[:10]} to {rfc3339(cycle.end_ms)[:10]}"
