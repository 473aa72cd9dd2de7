"""What is exposed for alerts, as the real registry prints it."""

import re

from prometheus_client.parser import text_string_to_metric_families

from licenseusage.controller.effects.metrics import Metrics
from licenseusage.controller.rules.gauges import UsageGauges
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.subject import Subject

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


def subject(*sources, status=None, **more) -> Subject:
    raw = {
        "metadata": {"name": KEY.name, "namespace": KEY.namespace, "creationTimestamp": CREATED},
        "spec": {"sources": [{"name": name} for name in sources], **more},
        **({"status": status} if status else {}),
    }
    return Subject.read(KEY, raw)


def looked(*sources, offset=0, **kwargs) -> Metrics:
    metrics = Metrics(lambda: NOW)
    metrics.look(KEY, subject(*sources, **kwargs).waits_since_s(offset))
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


def test_a_restarted_operator_goes_on_from_the_success_that_the_status_tells():
    status = {"sources": [{"name": "list", "lastSuccessTime": "2026-05-28T10:00:00Z"}]}
    assert ages(looked("list", status=status)) == {"list": NOW - CREATED_S - 36_000}


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
