"""People who approve reports, or do not; and whether anything else leaves the house."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from licenseusage.controller.rules.approval import APPROVED
from licenseusage.controller.rules.resources import REPORTS
from licenseusage.reports.names import digest
from licenseusage.reports.tokens import decode
from licenseusage.reports.typs import REPORT
from trials.soak.cluster import OBJECTS, Cluster
from trials.soak.draws import span
from trials.soak.need import need
from trials.soak.people import HOUR_MS, near
from trials.soak.plan import Event, Usage
from trials.soak.tally import Tally

_OTHER_DIGEST = "sha256:" + "0" * 64


class Approvers:
    """The people of one history, who see the UsageReports.

    Attributes:
        held: Objects whose reports wait for approval, as the operator has seen.
    """

    def __init__(self, cluster: Cluster, random_: random.Random, tally: Tally) -> None:
        """Nobody has approved anything yet."""
        self._cluster, self._random, self._tally = cluster, random_, tally
        self._approved: set[str] = set()
        self.held: set[str] = set()

    def approve(self, name: str, share: float) -> None:
        """Approve a share of an object's reports that have no approval; now and then wrongly."""
        for item in self._waiting(name):
            if self._random.random() >= share:
                self._tally.notes["approvals withheld"] += 1
                continue
            token = item["spec"]["token"]
            right = share == 1.0 or self._random.random() < 0.9
            if right:
                self._approved.add(digest(token))
            self._tally.notes["approvals" if right else "approvals of other bytes"] += 1
            self._annotate(item, digest(token) if right else _OTHER_DIGEST)

    def take_back(self, name: str) -> None:
        """Take one approval back; what has left meanwhile has left."""
        given = [item for item in self._of(name) if APPROVED in _annotations(item)]
        if given:
            item = self._random.choice(given)
            self._tally.notes["approvals taken back"] += 1
            self._annotate(item, None)

    def leaves(self, what: str, name: str, token: str) -> None:
        """A document of an object leaves the house.

        Raises:
            Violation: It is a report that waits for approval, and nobody has approved it.
        """
        if name not in self.held or decode(token)[0].get("typ") != REPORT:
            return
        need(digest(token) in self._approved, f"a report of {name} {what} and nobody approved it")

    def _waiting(self, name: str) -> list[dict[str, Any]]:
        return [
            item
            for item in self._of(name)
            if (item.get("status") or {}).get("delivery") == "AwaitingApproval"
            and digest(item["spec"]["token"]) != _annotations(item).get(APPROVED)
        ]

    def _of(self, name: str) -> list[dict[str, Any]]:
        return [
            item
            for (plural, _, _), item in sorted(self._cluster.objects.items())
            if plural == REPORTS.plural and item["spec"]["usageName"] == name
        ]

    def _annotate(self, item: dict[str, Any], value: str | None) -> None:
        annotations = {**_annotations(item), APPROVED: value}
        kept = {key: text for key, text in annotations.items() if text is not None}
        metadata = {**item["metadata"], "annotations": kept}
        name = item["metadata"]["name"]
        self._cluster.put(REPORTS, OBJECTS, name, {**item, "metadata": metadata})


def draw_approvals(
    random_: random.Random, usages: Sequence[Usage], start_ms: int, end_ms: int, length_ms: int
) -> list[Event]:
    """Have reports of some objects wait for approval, and draw who approves when."""
    events = []
    for usage in usages:
        if not usage.licensed or random_.random() < 0.65:
            continue
        usage.approved = True
        usage.approval = random_.choice(("Manual", "Manual", "Automatic"))
        wanted = usage.approval
        for _ in range(random_.randint(wanted == "Automatic", 2)):
            wanted = "Manual" if wanted == "Automatic" else "Automatic"
            at_ms = near(random_, usage.boundaries, HOUR_MS)
            events.append(Event(at_ms, "want_approval", usage.name, wanted))
        for end_ms_ in usage.boundaries:
            at_ms = end_ms_ + random_.choice((1, HOUR_MS, span(random_, length_ms)))
            events.append(Event(at_ms, "approve", usage.name, random_.choice((0.5, 0.9, 1.0))))
            events.append(Event(at_ms + 1, "look", usage.name))
            if random_.random() < 0.1:
                events.append(Event(at_ms + random_.choice((1, HOUR_MS)), "take_back", usage.name))
    return [event for event in events if start_ms <= event.at_ms < end_ms]


def _annotations(item: Mapping[str, Any]) -> dict[str, str]:
    return item["metadata"].get("annotations") or {}
