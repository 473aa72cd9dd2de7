"""Prometheus metrics, named as DESIGN §9: counts of objects and work, nothing about a person."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from licenseusage.controller.rules.gauges import UsageGauges
from licenseusage.controller.rules.key import Key

_EXPORT_DUE = "By when the vendor has to have the oldest final that waits for an export."
_APPROVAL_DUE = "By when the vendor has to have the first report that waits for approval."


class Metrics(Collector):
    """The operator's registry: counters that grow, gauges computed when they are read."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        """Expose ages relative to ``now_s``, the operator's clock in epoch seconds."""
        self._now_s = now_s
        self._usages: dict[Key, UsageGauges] = {}
        self._waits_since_s: dict[Key, Mapping[str, int]] = {}
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self.collections = Counter(
            "licenseusage_collections_total",
            "Polls of sources by result (Success, Partial, Failed) and reason.",
            ("result", "reason"),
            registry=self.registry,
        )
        self.collection_seconds = Histogram(
            "licenseusage_collection_duration_seconds",
            "Duration of polls.",
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
            registry=self.registry,
        )
        self.saved_bytes = Counter(
            "licenseusage_collection_saved_bytes_total",
            "Bytes of lists that products did not send again, because nothing had changed.",
            registry=self.registry,
        )
        self.pushes = Counter(
            "licenseusage_push_requests_total",
            "Requests to the intake by result (Taken, Refused) and reason.",
            ("result", "reason"),
            registry=self.registry,
        )
        self.pushed_events = Counter(
            "licenseusage_push_events_total",
            "Events in requests that the intake took (Taken, OutsideCycles or NotCounted).",
            ("result",),
            registry=self.registry,
        )
        self.deliveries = Counter(
            "licenseusage_deliveries_total",
            "Attempts to deliver a document by result.",
            ("result",),
            registry=self.registry,
        )
        self.reconciles = Counter(
            "licenseusage_reconciles_total", "Looks at an object.", registry=self.registry
        )
        self.reconcile_errors = Counter(
            "licenseusage_reconcile_errors_total",
            "Reconciliations that ended by an error nobody foresaw.",
            registry=self.registry,
        )

    def look(self, key: Key, waits_since_s: Mapping[str, int]) -> None:
        """Expose the age of an object's sources from the first look at it on.

        A source that never worked would otherwise have no age, and no alert could see it.

        Args:
            key: The object.
            waits_since_s: Declared source -> since when a success is waited for, epoch seconds.
        """
        self._waits_since_s[key] = waits_since_s

    def show(self, key: Key, gauges: UsageGauges) -> None:
        """Expose an object's gauges from now on."""
        self._usages[key] = gauges

    def forget(self, key: Key) -> None:
        """Stop exposing a deleted object."""
        self._usages.pop(key, None)
        self._waits_since_s.pop(key, None)

    def text(self) -> bytes:
        """Return the exposition text."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges of every object (called by the registry)."""
        labels = ("namespace", "name")
        active = _gauge("active_users", "Distinct active users so far.", (*labels, "bound"))
        provisioned = _gauge("provisioned_users", "Users that the product lists.", labels)
        maximum = _gauge("maximum_active_users", "Contracted maximum.", labels)
        reached = _gauge(
            "threshold_reached",
            "Whether a part of the maximum (spec.warnAtPercent) is reached in the running cycle.",
            (*labels, "percent"),
        )
        foreseen = _gauge(
            "forecast_active_users",
            "What the running cycle may end with, from earlier cycles.",
            (*labels, "bound"),
        )
        ends = _gauge("cycle_end_timestamp_seconds", "End of the running cycle.", labels)
        due = _gauge("export_due_timestamp_seconds", _EXPORT_DUE, labels)
        approval_due = _gauge("approval_due_timestamp_seconds", _APPROVAL_DUE, labels)
        age = _gauge(
            "collection_age_seconds",
            "Since the last successful poll; before the first, since the object was created.",
            (*labels, "source"),
        )
        refuted = _gauge(
            "guarantees_refuted", "Guarantees of the sources that the answers refuted.", labels
        )
        outbox = _gauge("outbox_reports", "Reports by delivery state.", (*labels, "state"))
        oldest = _gauge(
            "outbox_oldest_age_seconds", "Age of the oldest report without a verdict.", labels
        )
        now = self._now_s()
        for key, seen in self._usages.items():
            names = (key.namespace, key.name)
            waits = None if seen.outbox_oldest_s is None else now - seen.outbox_oldest_s
            for family, value in (
                (provisioned, seen.provisioned),
                (maximum, seen.maximum),
                (ends, seen.cycle_end_s),
                (refuted, seen.refuted),
                (oldest, None if waits is None else max(0.0, waits)),
                (due, seen.export_due_s),
                (approval_due, seen.approval_due_s),
            ):
                if value is not None:
                    family.add_metric(names, value)
            for family, values in (
                (active, {"lower": seen.lower, "upper": seen.upper}),
                (reached, seen.thresholds),
                (foreseen, seen.forecast),
                (outbox, seen.outbox),
            ):
                for label, number in values.items():
                    if number is not None:
                        family.add_metric((*names, str(label)), float(number))
        self._add_ages(age, now)
        yield from (active, provisioned, maximum, reached, foreseen, ends, due, approval_due)
        yield from (age, refuted, outbox, oldest)

    def _add_ages(self, age: GaugeMetricFamily, now: float) -> None:
        """Add how long each declared source has gone without a success."""
        for key, since in self._waits_since_s.items():
            known = self._usages[key].last_success_s if key in self._usages else {}
            for source, at in since.items():
                passed = now - known.get(source, at)
                age.add_metric((key.namespace, key.name, source), max(0.0, passed))


def _gauge(name: str, text: str, labels: tuple[str, ...]) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"licenseusage_{name}", text, labels=labels)
