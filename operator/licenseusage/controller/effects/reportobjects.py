"""UsageReport objects: a view of the ledger's rows, in the object's own namespace (DESIGN §2).

Finals, amendments, what awaits approval and the newest three interims are kept as objects; deleted
ones are made again, older interims go. The ledger holds every token.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from licenseusage.api.model import CyclePeriod, rfc3339
from licenseusage.api.usagereport import (
    SupersededReport,
    UsageReportSpec,
    UsageReportStatus,
    report_name,
)
from licenseusage.controller.effects.kube import (
    ConflictError,
    Kube,
    KubeError,
    NotFoundError,
    TerminatingError,
)
from licenseusage.controller.effects.refusals import forbidden_kinds
from licenseusage.controller.rules.conditions import cut
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.resources import REPORTS, USAGES
from licenseusage.errors import Retryable, Stalled
from licenseusage.ledger.documents.records import Delivery, OutboxItem, ReportKind
from licenseusage.reasons import Reason
from licenseusage.reports.content import Content
from licenseusage.reports.inwords import in_words
from licenseusage.reports.report import read_report

INTERIMS = 3
USAGE_LABEL = f"{USAGES.group}/usage"


def kept(reports: Sequence[OutboxItem]) -> tuple[OutboxItem, ...]:
    """Return the reports that are kept as objects; ``reports`` newest first."""
    interims = [i for i in reports if i.kind is ReportKind.INTERIM][:INTERIMS]
    return tuple(
        item
        for item in reports
        if item.kind is not ReportKind.INTERIM
        or item.state is Delivery.AWAITING_APPROVAL
        or item in interims
    )


def spec(usage: str, item: OutboxItem) -> dict[str, Any]:
    """Return the immutable spec of a report's object."""
    assert item.cycle is not None  # noqa: S101 - reports have a cycle, key statements none
    content = read_report(item.token).content
    return UsageReportSpec(
        usage_name=usage,
        kind=_kind(item),
        sequence=item.sequence,
        cycle=CyclePeriod.of(item.cycle.index, item.cycle.start_ms, item.cycle.end_ms),
        active_text=item.active_text,
        words=cut(in_words(content)),
        supersedes=_supersedes(content),
        token=item.token,
    ).to_object()


def _supersedes(content: Content) -> SupersededReport | None:
    named = content.supersedes
    if named is None:
        return None
    return SupersededReport(sequence=named.link.sequence, reason=named.reason, note=named.note)


def status(item: OutboxItem) -> dict[str, Any]:
    """Return the status of a report's object; ``Sending`` lasts seconds and is shown as Pending."""
    waits = item.state in (Delivery.PENDING, Delivery.SENDING)
    next_attempt = item.next_attempt_ms if waits or item.state is Delivery.REJECTED else None
    return UsageReportStatus(
        delivery=_delivery(item),
        reason=item.reason or None,
        message=cut(item.message) if item.message else None,
        attempts=item.attempts,
        next_attempt_time=None if next_attempt is None else rfc3339(next_attempt),
        accepted_time=None if item.accepted_ms is None else rfc3339(item.accepted_ms),
        receipt=item.receipt,
        findings=item.findings or None,
    ).to_object()


class ReportObjects:
    """Keeps the objects as the ledger says; reads them by one LIST per object and change."""

    def __init__(self, kube: Kube) -> None:
        """Write through ``kube``."""
        self._kube = kube

    async def exist_for(self, key: Key) -> bool:
        """Whether reports of this object are in the cluster: evidence of earlier cycles.

        Raises:
            UsageError: They cannot be listed.
        """
        return bool(await self.live(key))

    async def live(self, key: Key) -> Mapping[str, dict[str, Any]]:
        """Return the objects of an object's reports, by name.

        Raises:
            UsageError: They cannot be listed.
        """
        try:
            items = await self._kube.items(REPORTS, key.namespace, f"{USAGE_LABEL}={key.name}")
        except KubeError as error:
            raise _unwritten(key, error) from None
        return {
            item["metadata"]["name"]: item
            for item in items
            if item.get("spec", {}).get("usageName") == key.name
        }

    async def keep(self, key: Key, reports: Sequence[OutboxItem]) -> None:
        """Make the objects agree with the ledger's rows (newest first).

        Raises:
            Stalled: ``ReportConflict``: an object of that name holds other bytes.
            UsageError: The API server refuses or does not answer.
        """
        wanted = {report_name(key.name, i.chain_id, i.sequence): i for i in kept(reports)}
        live = await self.live(key)
        conflicts = []
        try:
            for name, item in wanted.items():
                live_report = live.get(name)
                if live_report is None:
                    live_report = await self._create(key, name, item)
                if live_report["spec"].get("token") != item.token:
                    conflicts.append(name)
                    continue
                desired = status(item)
                if live_report.get("status") != desired:
                    await self._kube.apply_status(
                        REPORTS, key.namespace, name, "UsageReport", desired
                    )
            for name in _outdated(key, live, reports) - wanted.keys():
                await self._kube.delete(REPORTS, key.namespace, name)
        except KubeError as error:
            raise _unwritten(key, error) from None
        if conflicts:
            raise Stalled(
                Reason.REPORT_CONFLICT,
                f"UsageReport {key.namespace}/{conflicts[0]} holds another token than the ledger. "
                f"If it is not from a restored backup, delete it: it is made again from the "
                f"ledger.",
            )

    async def _create(self, key: Key, name: str, item: OutboxItem) -> dict[str, Any]:
        body = {
            "apiVersion": f"{REPORTS.group}/{REPORTS.version}",
            "kind": "UsageReport",
            "metadata": {
                "name": name,
                "namespace": key.namespace,
                "labels": {USAGE_LABEL: key.name},
            },
            "spec": spec(key.name, item),
        }
        try:
            return await self._kube.create(REPORTS, key.namespace, body)
        except ConflictError:
            return await self._kube.get(REPORTS, key.namespace, name)


def _outdated(
    key: Key, live: Mapping[str, dict[str, Any]], reports: Sequence[OutboxItem]
) -> set[str]:
    """Return live interims that are older than a report of their chain which is held here.

    Others stay: objects that the ledger does not know are evidence of a loss.
    """
    newest = {item.chain_id: item.sequence for item in reversed(reports)}
    names = set()
    for name, item in live.items():
        spec = item["spec"]
        older = any(
            spec["sequence"] < sequence and report_name(key.name, chain, spec["sequence"]) == name
            for chain, sequence in newest.items()
        )
        if spec["kind"] == ReportKind.INTERIM and older:
            names.add(name)
    return names


def _unwritten(key: Key, error: KubeError) -> Stalled | Retryable:
    if isinstance(error, TerminatingError):
        return Retryable(Reason.NAMESPACE_TERMINATING, f"{error}; the ledger keeps the reports.")
    if error.status in (401, 403):
        return forbidden_kinds(error)
    if isinstance(error, NotFoundError):
        return Retryable(Reason.NAMESPACE_GONE, f"{error}; the ledger keeps the reports.")
    return Retryable(Reason.API_UNAVAILABLE, f"{error}; it is tried again.")


def _kind(item: OutboxItem) -> Any:  # noqa: ANN401 - a Literal of the model
    return str(item.kind)


def _delivery(item: OutboxItem) -> Any:  # noqa: ANN401 - a Literal of the model
    return str(Delivery.PENDING if item.state is Delivery.SENDING else item.state)
