"""Objects become models; whatever is wrong becomes Stalled/InvalidSpec, never a crash."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.api.licenseusage import LicenseUsage
from licenseusage.api.model import CyclePeriod, rfc3339
from licenseusage.api.reading import read_license_usage
from licenseusage.api.selector import LabelRequirement, LabelSelector
from licenseusage.api.status import LicenseUsageStatus
from licenseusage.api.usagereceipt import UsageReceipt
from licenseusage.api.usagereport import UsageReport, report_name
from licenseusage.errors import Stalled

MODELS = {"LicenseUsage": LicenseUsage, "UsageReport": UsageReport, "UsageReceipt": UsageReceipt}


NESTED = {
    "reporting": {"approval": "Automatic", "interims": "Sent"},
    "privacy": {"dailyFacts": "Kept"},
}
"""Defaults of members of a LicenseUsage's spec, where the member is given."""


@pytest.fixture
def document(good_objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found = copy.deepcopy(good_objects["LicenseUsage everything-in-full"])
    found["metadata"]["namespace"] = "shop"
    return found


def refusal(document: Any) -> str:
    with pytest.raises(Stalled) as caught:
        read_license_usage(document)
    assert caught.value.reason == "InvalidSpec"
    return caught.value.message


def test_good_object_is_read_and_written_alike(good: dict[str, Any]) -> None:
    good["metadata"]["namespace"] = "shop"
    read = MODELS[good["kind"]].model_validate(good)
    written = read.to_object()["spec"]
    defaults = {"closeGraceHours": 24, "combine": "Union", "suspend": "None"}
    expected = good["spec"]
    if good["kind"] == "LicenseUsage":
        assert read_license_usage(good) == read
        expected = defaults | expected
        for name, members in NESTED.items():
            if name in expected:
                expected[name] = members | expected[name]
        if "license" in expected:
            expected["license"]["secretRef"].setdefault("key", "license.jwt")
    assert written == expected


def outcome(document: Any) -> Stalled | LicenseUsage:
    """Read or refused; anything else fails the test."""
    try:
        return read_license_usage(document)
    except Stalled as error:
        return error


def test_bad_object_never_crashes(bad_usage: Any) -> None:
    document = bad_usage.document
    document["metadata"]["namespace"] = "shop"
    found = outcome(document)
    if isinstance(found, Stalled):
        assert found.reason == "InvalidSpec"
        assert found.message.startswith("LicenseUsage shop/")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "key", "path", "pods", "type"]), inner)
    ),
    max_leaves=6,
)


@given(
    member=st.sampled_from(["product", "license", "cycle", "sources", "reporting", "combine"]),
    value=json_values,
)
def test_any_value_of_any_member_is_read_or_refused(member: str, value: Any) -> None:
    spec: dict[str, Any] = {
        "product": "x",
        "license": {"secretRef": {"name": "l"}},
        "sources": [{"name": "s", "preset": "Standard"}],
    }
    spec[member] = value
    found = outcome({"metadata": {"name": "n", "namespace": "ns"}, "spec": spec})
    assert isinstance(found, LicenseUsage) or found.reason == "InvalidSpec"


@given(json_values)
def test_any_document_is_read_or_refused(value: Any) -> None:
    with pytest.raises(Stalled):
        read_license_usage({"metadata": value, "spec": value})


def test_unknown_members_are_ignored(document: dict[str, Any]) -> None:
    document["spec"]["ofANewerVersion"] = {"a": 1}
    document["spec"]["sources"][0]["prometheus"] = {"path": "/metrics"}
    assert read_license_usage(document).spec.product == "x"


def test_wrong_value_is_named_with_its_place(document: dict[str, Any]) -> None:
    document["spec"]["sources"][0]["intervalMinutes"] = 5000
    assert refusal(document) == (
        "LicenseUsage shop/everything-in-full: spec.sources[0].intervalMinutes is 5000, but should "
        "be less than or equal to 1440"
    )


def test_wrong_enum_is_named_with_what_is_allowed(document: dict[str, Any]) -> None:
    document["spec"]["sources"][0]["pods"]["mode"] = "EachReady"
    assert "spec.sources[0].pods.mode is 'EachReady', but should be 'AnyReady'" in refusal(document)


def test_missing_member_is_named(document: dict[str, Any]) -> None:
    del document["spec"]["product"]
    assert "spec.product is missing: add it" in refusal(document)


def test_object_in_the_place_of_a_scalar_is_not_printed(document: dict[str, Any]) -> None:
    document["spec"]["product"] = {"password": "hunter2"}
    said = refusal(document)
    assert "spec.product is an object" in said
    assert "hunter2" not in said


def test_long_value_is_shortened(document: dict[str, Any]) -> None:
    document["spec"]["product"] = "x" * 10_000
    assert len(refusal(document)) < 250


def test_many_problems_are_counted(document: dict[str, Any]) -> None:
    document["spec"] |= {"product": 1, "cycle": 2, "sources": 3, "combine": 4, "suspend": 5}
    assert refusal(document).endswith("; and 2 more")


def test_object_without_metadata_is_refused() -> None:
    assert refusal({}).startswith("LicenseUsage without a name: ")


def test_selector_becomes_the_parameter_of_a_list_request() -> None:
    selector = LabelSelector(
        match_labels={"b": "2", "a": "1"},
        match_expressions=(
            LabelRequirement(key="tier", operator="In", values=("web", "api")),
            LabelRequirement(key="env", operator="NotIn", values=("test",)),
            LabelRequirement(key="app", operator="Exists"),
            LabelRequirement(key="canary", operator="DoesNotExist"),
        ),
    )
    assert selector.to_query() == "a=1,b=2,tier in (web,api),env notin (test),app,!canary"


def test_name_of_a_report() -> None:
    chain = "8ee9a1f2b1ac80118ee9a1f2b1ac8011"
    assert report_name("opencloud", chain, 301) == "opencloud-8ee9a1f2-000301"
    assert report_name("opencloud", chain, 1_234_567) == "opencloud-8ee9a1f2-1234567"


def test_period_of_a_cycle_has_its_days() -> None:
    start_ms = 1_760_227_200_000  # 2025-10-12T00:00:00Z
    period = CyclePeriod.of(9, start_ms, start_ms + 30 * 86_400_000)
    assert period.to_object() == {
        "index": 9,
        "startTime": "2025-10-12T00:00:00Z",
        "endTime": "2025-11-11T00:00:00Z",
        "startDate": "2025-10-12",
        "endDate": "2025-11-11",
    }


def test_times_are_cut_to_seconds() -> None:
    assert rfc3339(1_999) == "1970-01-01T00:00:01Z"


def test_unknown_counts_are_left_out_of_status() -> None:
    assert LicenseUsageStatus(active_text="unknown", accuracy="Unknown").to_object() == {
        "activeText": "unknown",
        "accuracy": "Unknown",
    }
