"""The metrics of one LicenseUsage."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from licenseusage.controller.rules.status import View
from licenseusage.ledger.documents import records as documents
from licenseusage.metering.forecast import Forecast, Lack
from licenseusage.reasons import Reason


@dataclass(frozen=True, slots=True)
class UsageGauges:
    """What one LicenseUsage shows; None is unknown and then not exposed (never 0 or NaN).

    Attributes:
        lower, upper: Bounds of active users in the running cycle.
        thresholds: Percent of the maximum -> whether the running cycle has reached it.
        forecast: ``low``, ``expected`` and ``high`` end of the running cycle.
        cycle_end_s: End of the running cycle, epoch seconds.
        license_expiry_s: Until when the licence that applies is valid, epoch seconds.
        last_success_s: End of the last successful poll of each source, epoch seconds.
        export_due_s: By when the vendor has to have an exported final, epoch seconds.
        approval_due_s: By when the vendor has to have a report that waits for approval, epoch
            seconds.
        refuted: How many guarantees the product's answers refuted.
        outbox: Reports per delivery state.
        outbox_oldest_s: When the oldest report without a verdict was made, epoch seconds; without
            those that wait for an export or for approval.
    """

    lower: int | None = None
    upper: int | None = None
    provisioned: int | None = None
    maximum: int | None = None
    thresholds: dict[int, bool] = field(default_factory=dict)
    forecast: dict[str, int] = field(default_factory=dict)
    cycle_end_s: int | None = None
    license_expiry_s: int | None = None
    last_success_s: dict[str, int] = field(default_factory=dict)
    export_due_s: int | None = None
    approval_due_s: int | None = None
    refuted: int = 0
    outbox: dict[str, int] = field(default_factory=dict)
    outbox_oldest_s: int | None = None


def gauges(
    view: View, outbox: Sequence[documents.OutboxItem], license_expiry_s: int | None = None
) -> UsageGauges:
    """Return the metrics of the object.

    Args:
        view: As for the status.
        outbox: Documents of the object without a final verdict, and how many have one.
        license_expiry_s: As of `UsageGauges`.
    """
    statement = view.statement if view.informed else None
    states: dict[str, int] = {}
    for item in outbox:
        states[str(item.state)] = states.get(str(item.state), 0) + 1
    reached = {threshold.percent for threshold in view.thresholds}
    sent = [item for item in outbox if item.reason != Reason.OFFLINE]
    waiting = [item.created_ms // 1000 for item in sent if item.state in _WAITING]
    return UsageGauges(
        lower=statement.bounds.active_users if statement else None,
        upper=statement.bounds.so_far().active_users_upper_bound if statement else None,
        provisioned=statement.provisioned if statement else None,
        maximum=view.maximum,
        thresholds={percent: percent in reached for percent in view.percents},
        forecast=_forecast(view.foreseen),
        cycle_end_s=view.cycle.end_ms // 1000 if view.cycle else None,
        license_expiry_s=license_expiry_s,
        last_success_s={
            source.name: source.polls.last_success_ms // 1000
            for source in view.sources
            if source.polls is not None and source.polls.last_success_ms is not None
        },
        export_due_s=None if view.export_due_ms is None else view.export_due_ms // 1000,
        approval_due_s=None if view.approval_due_ms is None else view.approval_due_ms // 1000,
        refuted=view.refuted,
        outbox=states,
        outbox_oldest_s=min(waiting, default=None),
    )


def _forecast(foreseen: Forecast | Lack | None) -> dict[str, int]:
    if not isinstance(foreseen, Forecast):
        return {}
    return {"low": foreseen.low, "expected": foreseen.users, "high": foreseen.high}


_WAITING = (documents.Delivery.PENDING, documents.Delivery.SENDING)
