"""What only this operator checks of a licence, beside the verifier that the vectors pin."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.reports.licence import (
    LicenseTerms,
    build_license,
    check_for_operator,
    read_license,
)
from licenseusage.reports.refused import Refused
from licenseusage.reports.terms import CycleTerms
from tests.reports.conformance import TOKENS, VENDOR_KEYS
from tests.reports.test_built import LICENCE_KEY, LICENSE_30
from tests.reports.test_built import VENDOR_KEYS as OWN_KEYS


@pytest.mark.parametrize(
    "cycle",
    [
        CycleTerms(date(2026, 1, 31), length_days=1),
        CycleTerms(date(2026, 1, 31), length_days=62),
        CycleTerms(date(2026, 1, 28), length_months=1),
        CycleTerms(date(2026, 1, 28), length_months=2),
    ],
)
def test_cycles_that_the_ledger_can_meter_are_taken(cycle):
    terms = check_for_operator(replace(LICENSE_30, cycle=cycle))
    assert (terms.anchor, terms.length_days, terms.length_months) == (
        cycle.anchor,
        cycle.length_days,
        cycle.length_months,
    )


@pytest.mark.parametrize(
    "cycle",
    [
        CycleTerms(date(2026, 1, 1), length_days=63),
        CycleTerms(date(2026, 1, 1), length_days=366),
        CycleTerms(date(2026, 1, 1), length_months=3),
        CycleTerms(date(2026, 1, 1), length_months=12),
    ],
)
def test_longer_cycles_are_valid_but_unsupported_here(cycle):
    with pytest.raises(Refused) as caught:
        check_for_operator(replace(LICENSE_30, cycle=cycle))
    assert caught.value.error == "CycleUnsupported"


def test_a_vendor_that_reads_no_version_of_ours_is_unsupported():
    with pytest.raises(Refused) as caught:
        check_for_operator(replace(LICENSE_30, versions=(2,)))
    assert caught.value.error == "UnsupportedVersion"


def test_the_meter_and_the_report_agree_on_every_cycle():
    for cycle in (
        CycleTerms(date(2026, 1, 31), length_days=30),
        CycleTerms(date(2025, 12, 28), length_months=1),
        CycleTerms(date(2025, 12, 28), length_months=2),
    ):
        metered = check_for_operator(replace(LICENSE_30, cycle=cycle))
        for index in range(40):
            one = metered.cycle(index)
            assert (one.start_ms // 1000, one.end_ms // 1000) == cycle.bounds(index)


def test_a_licence_that_starts_when_it_ends_is_not_signed():
    with pytest.raises(Refused) as caught:
        build_license(replace(LICENSE_30, expires_s=LICENSE_30.not_before_s), LICENCE_KEY)
    assert caught.value.error == "ClaimInvalid"


def test_an_expired_licence_can_still_be_read():
    assert read_license(TOKENS["license"], VENDOR_KEYS).subscription == "sub-4711"


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,40}", fullmatch=True)


@given(
    st.builds(
        LicenseTerms,
        vendor=names,
        subscription=names,
        license_id=names,
        issued_at_s=st.integers(946684800, 4 * 10**9),
        not_before_s=st.integers(946684800, 2 * 10**9),
        expires_s=st.integers(2 * 10**9 + 1, 4 * 10**9),
        product=names,
        cycle=st.builds(
            CycleTerms, st.dates(date(2000, 1, 1), date(2199, 12, 31)), st.integers(1, 366)
        ),
        interval_hours=st.integers(1, 744),
        reporting_required=st.booleans(),
        maximum_active_users=st.none() | st.integers(0, 10**9),
        endpoint=st.none() | st.just("https://usage.vendor.example:8443/a/b"),
        interim=st.sampled_from(["Required", "Optional"]),
        export_days=st.none() | st.integers(1, 400),
        versions=st.lists(st.integers(1, 99), max_size=8).map(tuple),
        first_key=st.none() | st.just("A" * 43),
        purpose=st.sampled_from(["Production", "NonProduction", "Standby"]),
    )
)
def test_a_built_licence_reads_back_the_same(terms):
    token = build_license(terms, LICENCE_KEY)
    found = read_license(token, OWN_KEYS)
    assert found == replace(
        LICENSE_30,
        **{name: getattr(terms, name) for name in LicenseTerms.__slots__},
        token=token,
        digest=found.digest,
    )
