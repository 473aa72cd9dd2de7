"""Prometheus metrics, as `metricbook` names them: counts of objects and work, and no person."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from licenseusage import __version__
from licenseusage.controller.effects.volume import Volume
from licenseusage.controller.rules import metricbook as book
from licenseusage.controller.rules.gauges import UsageGauges
from licenseusage.controller.rules.key import Key


class Metrics(Collector):
    """The operator's registry: counters that grow, gauges computed when they are read.

    Attributes:
        volume: That of the ledger, as it was measured last; None: not measured, or no file.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        """Expose ages relative to ``now_s``, the operator's clock in epoch seconds."""
        self._now_s = now_s
        self._usages: dict[Key, UsageGauges] = {}
        self._waits_since_s: dict[Key, Mapping[str, int]] = {}
        self._worked: dict[Key, Collection[str]] = {}
        self._conditions: dict[Key, Sequence[Mapping[str, Any]]] = {}
        self.volume: Volume | None = None
        # A second series for each counter, of which nobody makes use.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self.collections = self._counter(book.COLLECTIONS)
        self.collection_seconds = Histogram(
            book.COLLECTION_SECONDS.name,
            book.COLLECTION_SECONDS.meaning,
            buckets=book.BUCKETS,
            registry=self.registry,
        )
        self.saved_bytes = self._counter(book.SAVED_BYTES)
        self.pushes = self._counter(book.PUSHES)
        self.pushed_events = self._counter(book.PUSHED_EVENTS)
        self.deliveries = self._counter(book.DELIVERIES)
        self.reconciles = self._counter(book.RECONCILES)
        self.reconcile_errors = self._counter(book.RECONCILE_ERRORS)

    def _counter(self, family: book.Family) -> Counter:
        return Counter(family.name, family.meaning, family.labels, registry=self.registry)

    def look(
        self, key: Key, waits_since_s: Mapping[str, int], worked: Collection[str] = ()
    ) -> None:
        """Expose the age of an object's sources from the first look at it on.

        A source that never worked would otherwise have no age, and no alert could see it.

        Args:
            key: The object.
            waits_since_s: Declared source -> since when a success is waited for, epoch seconds.
            worked: Sources of them that have had a success.
        """
        self._waits_since_s[key], self._worked[key] = waits_since_s, worked

    def show(self, key: Key, gauges: UsageGauges) -> None:
        """Expose an object's gauges from now on."""
        self._usages[key] = gauges

    def judge(self, key: Key, conditions: Sequence[Mapping[str, Any]]) -> None:
        """Expose an object's conditions (``status.conditions``) from now on."""
        self._conditions[key] = conditions

    def forget(self, key: Key) -> None:
        """Stop exposing a deleted object."""
        self._usages.pop(key, None)
        self._waits_since_s.pop(key, None)
        self._worked.pop(key, None)
        self._conditions.pop(key, None)

    def snapshot(self) -> "Snapshot":
        """Return what is exposed now, to be written down elsewhere than on the event loop."""
        return Snapshot(tuple(self.registry.collect()))

    def text(self) -> bytes:
        """Return the exposition text."""
        return self.snapshot().text()

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges of the operator and of every object (called by the registry)."""
        families = {family: _empty(family) for family in book.BOOK if family.kind is _GAUGE}
        now = self._now_s()
        for key, seen in self._usages.items():
            _add_usage(families, key, seen, now)
        for key, since in self._waits_since_s.items():
            self._add_ages(families, key, since, now)
        for key, conditions in self._conditions.items():
            for condition in conditions:
                values = [str(condition[member]) for member in ("type", "status", "reason")]
                families[book.CONDITION].add_metric((key.namespace, key.name, *values), 1)
        families[book.BUILD].add_metric((__version__,), 1)
        if self.volume is not None:
            families[book.VOLUME_SIZE].add_metric((), self.volume.size)
            families[book.VOLUME_AVAILABLE].add_metric((), self.volume.available)
            families[book.LEDGER_SIZE].add_metric((), self.volume.ledger)
        yield from families.values()

    def _add_ages(
        self,
        families: Mapping[book.Family, GaugeMetricFamily],
        key: Key,
        since: Mapping[str, int],
        now: float,
    ) -> None:
        """Add how long each declared source has gone without a success, and the last one."""
        known = self._usages[key].last_success_s if key in self._usages else {}
        for source, at in since.items():
            last, labels = known.get(source, at), (key.namespace, key.name, source)
            families[book.AGE].add_metric(labels, max(0.0, now - last))
            if source in known or source in self._worked[key]:
                families[book.LAST_SUCCESS].add_metric(labels, last)


class Snapshot(Collector):
    """Values of one moment. To write them down takes most of the time that a scrape needs."""

    def __init__(self, families: tuple[Metric, ...]) -> None:
        """Keep the values; they change no more."""
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Yield them (called by the library)."""
        yield from self._families

    def text(self) -> bytes:
        """Return the exposition text; in any thread."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)


def _add_usage(
    families: Mapping[book.Family, GaugeMetricFamily], key: Key, seen: UsageGauges, now: float
) -> None:
    """Add the gauges of one object; what is not known is left out."""
    names = (key.namespace, key.name)
    waits = None if seen.outbox_oldest_s is None else now - seen.outbox_oldest_s
    single = {
        book.PROVISIONED: seen.provisioned,
        book.MAXIMUM: seen.maximum,
        book.CYCLE_END: seen.cycle_end_s,
        book.LICENSE_EXPIRY: seen.license_expiry_s,
        book.REFUTED: seen.refuted,
        book.OUTBOX_AGE: None if waits is None else max(0.0, waits),
        book.EXPORT_DUE: seen.export_due_s,
        book.APPROVAL_DUE: seen.approval_due_s,
    }
    for family, value in single.items():
        if value is not None:
            families[family].add_metric(names, value)
    several: dict[book.Family, Mapping[Any, float | None]] = {
        book.ACTIVE: {"lower": seen.lower, "upper": seen.upper},
        book.REACHED: dict(seen.thresholds),
        book.FORECAST: dict(seen.forecast),
        book.OUTBOX: dict(seen.outbox),
    }
    for family, values in several.items():
        for label, number in values.items():
            if number is not None:
                families[family].add_metric((*names, str(label)), float(number))


_GAUGE = book.Kind.GAUGE


def _empty(family: book.Family) -> GaugeMetricFamily:
    return GaugeMetricFamily(family.name, family.meaning, labels=family.labels)
