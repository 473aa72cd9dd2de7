"""Ledgers and reports that are lost for good, and the person who decides how it goes on.

A backup is restored whose successor is gone, or the ledger is lost as a whole; UsageReports are
deleted. What the vendor holds and what is left in the cluster completes the chains, or it does not:
then an administrator does what the conditions say (``spec.reporting.adoptHead``, or the object is
deleted and applied again).
"""

import random

from licenseusage.controller.rules.resources import REPORTS
from trials.soak.cluster import OBJECTS, Cluster
from trials.soak.draws import span
from trials.soak.people import HOUR_MS, near
from trials.soak.plan import Event, Plan
from trials.soak.tally import Tally


def delete_reports(
    cluster: Cluster, random_: random.Random, share: float, tally: Tally
) -> list[str]:
    """Delete a share of all UsageReports; return the tokens of those that are left."""
    left = []
    for plural, namespace, name in sorted(cluster.objects):
        if plural != REPORTS.plural or namespace != OBJECTS:
            continue
        if random_.random() < share:
            tally.notes["UsageReports deleted"] += 1
            cluster.remove(REPORTS, OBJECTS, name)
        else:
            left.append(str(cluster.objects[plural, namespace, name]["spec"]["token"]))
    return left


def draw_losses(random_: random.Random, plan: Plan, length_ms: int) -> list[Event]:
    """Draw what is lost for good, and when somebody decides.

    Not where a file may be under way: what is in it and nowhere else would come back. Not where an
    object is deleted: nobody decides for it. A licence that is lost with the ledger is not played.
    """
    lying = any(usage.lies for usage in plan.usages)
    carried = any(usage.carried for usage in plan.usages)
    deleted = any(event.kind == "delete" for event in plan.events)
    if lying or carried or deleted or random_.random() < 0.4:
        return []
    one_licence = all(len(usage.terms) == 1 for usage in plan.usages)
    ends = sorted({boundary for usage in plan.usages for boundary in usage.boundaries})
    events = []
    for _ in range(random_.randint(1, 3)):
        at_ms = random_.choice(
            (near(random_, ends, length_ms // 4), random_.randrange(plan.start_ms, plan.end_ms))
        )
        kind = random_.choice(("forfeit", "lose") if one_licence else ("forfeit",))
        before_ms = at_ms - random_.choice((HOUR_MS, span(random_, length_ms)))
        events.append(Event(before_ms, "back_up"))
        share = random_.choice((0.0, 0.3, 0.7, 1.0))
        events.append(Event(at_ms, kind, value=(random_.random(), share)))
        for _ in range(random_.randint(0, 2)):
            events.append(Event(at_ms + span(random_, length_ms), "decide"))
    return [event for event in events if plan.start_ms <= event.at_ms < plan.end_ms]
