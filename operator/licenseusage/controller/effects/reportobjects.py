"""UsageReport objects: a view of the ledger's rows, in the object's own namespace (DESIGN §2).

Finals, amendments, what awaits approval and the newest three interims are kept as objects; deleted
ones are made again, older interims go. The ledger holds every token.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from licenseusage.api.model import rfc3339
from licenseusage.api.usagereport import UsageReportStatus, report_name
from licenseusage.controller.effects.kube import (
    ConflictError,
    Kube,
    KubeError,
    NotFoundError,
    TerminatingError,
    versions_of,
)
from licenseusage.controller.effects.refusals import forbidden_kinds
from licenseusage.controller.rules.approval import held_behind
from licenseusage.controller.rules.conditions import cut
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.reportmanifest import manifest
from licenseusage.controller.rules.resources import REPORTS, Dependency, reports_of
from licenseusage.errors import Retryable, Stalled
from licenseusage.ledger.documents.records import Delivery, OutboxItem, ReportKind
from licenseusage.reasons import Reason
from licenseusage.reports.names import digest
from licenseusage.reports.report import read_report

INTERIMS = 3


_UNDELIVERED = (Delivery.PENDING, Delivery.SENDING, Delivery.AWAITING_APPROVAL)


def kept(reports: Sequence[OutboxItem], *, approval: bool = False) -> tuple[OutboxItem, ...]:
    """Return the reports that are kept as objects.

    Args:
        reports: Newest first.
        approval: Whether they need a person's approval, which is kept at the object until the
            report is delivered.
    """
    interims = [i for i in reports if i.kind is ReportKind.INTERIM][:INTERIMS]
    return tuple(
        item
        for item in reports
        if item.kind is not ReportKind.INTERIM
        or item.state is Delivery.AWAITING_APPROVAL
        or (approval and item.state in _UNDELIVERED)
        or item in interims
    )


def status(
    item: OutboxItem, reports: Sequence[OutboxItem] = (), approval_due_ms: int | None = None
) -> dict[str, Any]:
    """Return the status of a report's object; ``Sending`` lasts seconds and is shown as Pending.

    Args:
        item: The report.
        reports: It and the others of the object.
        approval_due_ms: By when it has to reach the vendor, while it waits for approval.
    """
    reason, message = item.reason, item.message
    first = held_behind(item, reports)
    if first is not None:
        reason = Reason.EARLIER_AWAITS_APPROVAL
        message = (
            f"Approved; report {first.sequence} before it in the chain is not, and goes first."
        )
    waits = item.state in (Delivery.PENDING, Delivery.SENDING)
    next_attempt = item.next_attempt_ms if waits or item.state is Delivery.REJECTED else None
    return UsageReportStatus(
        delivery=_delivery(item),
        reason=reason or None,
        message=cut(message) if message else None,
        attempts=item.attempts,
        next_attempt_time=None if next_attempt is None else rfc3339(next_attempt),
        approval_due_time=None if approval_due_ms is None else rfc3339(approval_due_ms),
        accepted_time=None if item.accepted_ms is None else rfc3339(item.accepted_ms),
        receipt=item.receipt,
        findings=item.findings or None,
    ).to_object()


class ReportObjects:
    """Keeps the objects as the ledger says; reads them by one LIST per object and change."""

    def __init__(
        self,
        kube: Kube,
        saw: Callable[[Dependency, str], None] = lambda _dependency, _version: None,
    ) -> None:
        """Write through ``kube``.

        Args:
            kube: The API server.
            saw: Takes what was read and in which version (`dependencies.version`).
        """
        self._kube, self._saw = kube, saw

    async def live(self, key: Key) -> dict[str, dict[str, Any]]:
        """Return the objects of an object's reports, by name.

        Raises:
            UsageError: They cannot be listed.
        """
        try:
            items = await self._kube.items(REPORTS, key.namespace, reports_of(key).selector)
        except KubeError as error:
            raise _unwritten(key, error) from None
        self._saw(reports_of(key), versions_of(items))
        return {
            item["metadata"]["name"]: item
            for item in items
            if item.get("spec", {}).get("usageName") == key.name
        }

    async def keep(
        self,
        key: Key,
        reports: Sequence[OutboxItem],
        due: Mapping[str, int] | None = None,
        set_aside: Collection[str] = (),
        *,
        approval: bool = False,
    ) -> None:
        """Make the objects agree with the ledger's rows (newest first).

        Args:
            key: Namespace and name of the LicenseUsage.
            reports: The rows.
            due: Report (``jti``) that waits for approval -> by when it has to reach the vendor.
            set_aside: Digests of reports that their chain went on without: the ledger keeps their
                bytes, and their objects go.
            approval: Whether reports need a person's approval.

        Raises:
            Stalled: ``ReportConflict``: an object of that name holds other bytes.
            UsageError: The API server refuses or does not answer.
        """
        wanted = {
            report_name(key.name, i.chain_id, i.sequence): i
            for i in kept(reports, approval=approval)
        }
        live = await self.live(key)
        conflicts = []
        try:
            for name in [name for name, item in live.items() if _digest(item) in set_aside]:
                await self._kube.delete(REPORTS, key.namespace, name)
                del live[name]
            for name, item in wanted.items():
                live_report = live.get(name)
                if live_report is None:
                    live_report = await self._create(key, name, item)
                if live_report["spec"].get("token") != item.token:
                    conflicts.append(name)
                    continue
                desired = status(item, reports, (due or {}).get(item.jti))
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
        body = manifest(read_report(item.token), item.active_text)
        try:
            return await self._kube.create(REPORTS, key.namespace, body)
        except ConflictError:
            return await self._kube.get(REPORTS, key.namespace, name)


def _digest(report: Mapping[str, Any]) -> str | None:
    token = report.get("spec", {}).get("token")
    return digest(token) if isinstance(token, str) and token.isascii() else None


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


def _delivery(item: OutboxItem) -> Any:  # noqa: ANN401 - a Literal of the model
    return str(Delivery.PENDING if item.state is Delivery.SENDING else item.state)
