"""What is exposed for alerts, as the real registry prints it."""

import re
from collections import Counter

import pytest
from prometheus_client.parser import text_string_to_metric_families

from licenseusage.api.conditions import ConditionType
from licenseusage.controller.effects.metrics import Metrics
from licenseusage.controller.effects.volume import Volume, measured
from licenseusage.controller.rules.gauges import UsageGauges
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.metricbook import BOOK, Kind, Per
from licenseusage.controller.rules.subject import Subject
from licenseusage.ledger.documents.records import Delivery

KEY = Key("shop", "usage")
NOW = 1_780_000_000
CREATED = "2026-05-28T00:00:00Z"
CREATED_S = 1_779_926_400


def ages(metrics: Metrics) -> dict[str, float]:
    """Age by source, read from the text that Prometheus scrapes."""
    return {
        sample.labels["source"]: sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
        if sample.name == "licenseusage_collection_age_seconds"
    }


def succeeded(metrics: Metrics) -> dict[str, float]:
    """Time of the last success by source."""
    return {
        sample.labels["source"]: sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
        if sample.name == "licenseusage_collection_last_success_timestamp_seconds"
    }


def subject(*sources, status=None, **more) -> Subject:
    raw = {
        "metadata": {"name": KEY.name, "namespace": KEY.namespace, "creationTimestamp": CREATED},
        "spec": {"sources": [{"name": name} for name in sources], **more},
        **({"status": status} if status else {}),
    }
    return Subject.read(KEY, raw)


def looked(*sources, offset=0, **kwargs) -> Metrics:
    metrics = Metrics(lambda: NOW)
    seen = subject(*sources, **kwargs)
    metrics.look(KEY, seen.waits_since_s(offset), seen.worked)
    return metrics


def test_a_source_that_never_worked_is_as_old_as_its_object_from_the_first_look_on():
    assert ages(looked("list", "log")) == dict.fromkeys(("list", "log"), NOW - CREATED_S)


def test_an_object_whose_spec_is_invalid_has_an_age_too():
    found = subject("list")
    assert isinstance(found.usage, Exception)
    assert found.waits_since_s(0) == {"list": CREATED_S}


def test_the_age_counts_from_the_last_success():
    metrics = looked("list", "log")
    metrics.show(KEY, UsageGauges(last_success_s={"list": NOW - 60}))
    assert ages(metrics) == {"list": 60, "log": NOW - CREATED_S}
    assert succeeded(metrics) == {"list": NOW - 60}


def test_a_restarted_operator_goes_on_from_the_success_that_the_status_tells():
    status = {"sources": [{"name": "list", "lastSuccessTime": "2026-05-28T10:00:00Z"}]}
    metrics = looked("list", "log", status=status)
    assert ages(metrics) == {"list": NOW - CREATED_S - 36_000, "log": NOW - CREATED_S}
    assert succeeded(metrics) == {"list": CREATED_S + 36_000}


def test_a_simulated_clock_counts_from_the_creation_in_its_own_time():
    assert ages(looked("list", offset=-7200)) == {"list": NOW - CREATED_S + 7200}


def test_a_source_that_is_no_longer_declared_and_a_deleted_object_have_no_age():
    metrics = looked("list", "log")
    metrics.show(KEY, UsageGauges(last_success_s={"list": NOW, "log": NOW}))
    metrics.look(KEY, subject("list").waits_since_s(0))
    assert ages(metrics) == {"list": 0}
    metrics.forget(KEY)
    assert ages(metrics) == {}


def test_that_an_operator_is_there_can_be_seen_without_any_object():
    assert re.search(
        r"^licenseusage_reconciles_total 0\.0$", Metrics(lambda: 0).text().decode(), re.M
    )


# -- the book of metrics

OBJECTS, SOURCES = 3, 2


@pytest.fixture(scope="module")
def full() -> Metrics:
    """As many series as three objects can have."""
    metrics = Metrics(lambda: NOW)
    for number in range(OBJECTS):
        key, names = Key("shop", f"usage-{number}"), ("list", "log")
        metrics.look(key, dict.fromkeys(names, CREATED_S), names)
        metrics.judge(
            key, [{"type": kind, "status": "True", "reason": "Fine"} for kind in ConditionType]
        )
        every = dict.fromkeys(
            (
                *("lower", "upper", "provisioned", "maximum", "cycle_end_s", "license_expiry_s"),
                *("export_due_s", "approval_due_s", "refuted", "outbox_oldest_s"),
            ),
            1,
        )
        metrics.show(
            key,
            UsageGauges(
                **every,
                thresholds=dict.fromkeys(range(80, 88), True),
                forecast={"low": 1, "expected": 2, "high": 3},
                outbox=dict.fromkeys(map(str, Delivery), 1),
            ),
        )
    metrics.volume = Volume(size=3, available=2, ledger=1)
    metrics.collections.labels("Success", "").inc()
    metrics.deliveries.labels("Accepted").inc()
    metrics.pushes.labels("Taken", "").inc()
    for result in ("Taken", "OutsideCycles", "NotCounted"):
        metrics.pushed_events.labels(result).inc()
    return metrics


def test_every_metric_that_is_exposed_is_in_the_book_and_no_other(full):
    exposed = {
        f"{family.name}_total" if family.type == "counter" else family.name: (family.type, labels)
        for family in text_string_to_metric_families(full.text().decode())
        for labels in [frozenset().union(*(sample.labels for sample in family.samples)) - {"le"}]
    }
    assert exposed == {family.name: (family.kind, frozenset(family.labels)) for family in BOOK}


def test_there_are_as_many_series_as_the_book_says(full):
    number = {Per.OPERATOR: 1, Per.OBJECT: OBJECTS, Per.SOURCE: OBJECTS * SOURCES}
    series = Counter(
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in text_string_to_metric_families(full.text().decode())
        for _ in family.samples
    )
    bounded = [family for family in BOOK if family.per is not Per.REASON]
    assert {f.name: series[f.name] for f in bounded} == {
        f.name: f.at_most * number[f.per] for f in bounded
    }


def test_the_kinds_of_the_book_are_told_by_the_names():
    for family in BOOK:
        assert family.name.startswith("licenseusage_")
        assert family.name.endswith("_total") == (family.kind is Kind.COUNTER)


def test_a_deleted_object_has_no_series():
    metrics = Metrics(lambda: NOW)
    metrics.look(KEY, {"list": 0}, ("list",))
    metrics.show(KEY, UsageGauges(lower=1))
    metrics.judge(KEY, [{"type": "Ready", "status": "True", "reason": "Fine"}])
    assert 'name="usage"' in metrics.text().decode()
    metrics.forget(KEY)
    assert 'name="usage"' not in metrics.text().decode()


# -- the volume of the ledger


def test_the_volume_is_measured_with_all_files_of_the_ledger(tmp_path):
    for suffix, size in (("", 100), ("-wal", 20), ("-shm", 3), ("-other", 4)):
        (tmp_path / f"ledger.sqlite{suffix}").write_bytes(b"x" * size)
    seen = measured(f"sqlite:///{tmp_path}/ledger.sqlite")
    assert seen is not None
    assert seen.ledger == 123
    assert 0 < seen.available <= seen.size


@pytest.mark.parametrize("url", ["postgresql://db/ledger", "sqlite:////nowhere/at/all.sqlite", ""])
def test_what_is_no_file_has_no_volume(url):
    assert measured(url) is None


def test_a_snapshot_is_of_one_moment_whatever_happens_while_it_is_written():
    metrics = Metrics(lambda: NOW)
    metrics.show(KEY, UsageGauges(lower=1))
    metrics.reconciles.inc()
    before = metrics.snapshot()
    metrics.show(Key("shop", "other"), UsageGauges(lower=2))
    metrics.reconciles.inc()
    assert 'name="other"' not in before.text().decode()
    assert "licenseusage_reconciles_total 1.0" in before.text().decode()
    assert "licenseusage_reconciles_total 2.0" in metrics.text().decode()
