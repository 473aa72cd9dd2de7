"""Whatever the sender builds, the receiver verifies; what it must not build, it refuses to sign."""

import hashlib
from dataclasses import replace
from datetime import date
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.reports.chain import verify_chain
from licenseusage.reports.content import (
    Content,
    Gap,
    Kind,
    OperatorInfo,
    ReportClock,
    ReportCoverage,
    ReportCycle,
    ReportRules,
    Uncertainty,
)
from licenseusage.reports.enrolment import build_enrolment
from licenseusage.reports.fitting import fit_uncertainty, report_version
from licenseusage.reports.keychain import verify_keys
from licenseusage.reports.keys import SigningKey, VendorKey, VendorKeys
from licenseusage.reports.licence import LicenseTerms, build_license, read_license
from licenseusage.reports.names import Link, digest
from licenseusage.reports.refused import Refused
from licenseusage.reports.report import ReportInput, build_report, read_report, verify_report
from licenseusage.reports.terms import CycleTerms
from licenseusage.reports.typs import LICENSE, RECEIPT
from tests.properties import examples

DAY = 86400
VENDOR, SUBSCRIPTION = "https://vendor.example", "sub-1"


def key(label):
    return SigningKey.from_seed(hashlib.sha256(label.encode()).digest())


LICENCE_KEY, INSTALLATION_KEY = key("licence"), key("installation")
VENDOR_KEYS = VendorKeys(
    [
        VendorKey(LICENCE_KEY.public, frozenset({LICENSE})),
        VendorKey(key("receipt").public, frozenset({RECEIPT})),
    ]
)


def licence(cycle):
    token = build_license(
        LicenseTerms(
            vendor=VENDOR,
            subscription=SUBSCRIPTION,
            license_id="lic-1",
            issued_at_s=1767225600,
            not_before_s=1767225600,
            expires_s=1767225600 + 366 * DAY,
            product="acme",
            cycle=cycle,
            interval_hours=24,
            reporting_required=True,
        ),
        LICENCE_KEY,
    )
    return read_license(token, VENDOR_KEYS)


LICENSE_30 = licence(CycleTerms(date(2026, 1, 1), length_days=30))
NOW_S = 1767225600 + 3000 * DAY
KEYS = verify_keys(
    [build_enrolment(LICENSE_30, INSTALLATION_KEY, issued_at_s=1767225600)],
    VENDOR_KEYS,
    now_s=NOW_S,
    enrolled_s=1767225600,
)

tokens = st.from_regex(r"[A-Z][A-Za-z0-9]{0,20}", fullmatch=True)
counts = st.integers(0, 10**9)


@st.composite
def cycle_terms(draw):
    anchor = draw(st.dates(date(2024, 1, 1), date(2027, 12, 31)))
    if draw(st.booleans()):
        return CycleTerms(anchor, length_days=draw(st.integers(1, 366)))
    return CycleTerms(
        anchor.replace(day=min(anchor.day, 28)), length_months=draw(st.integers(1, 12))
    )


@st.composite
def bounds(draw):
    low = draw(st.integers(0, 10**6))
    match draw(st.sampled_from(["Exact", "Bounded", "LowerBound", "UpperBound", "Unknown"])):
        case "Exact":
            return low, low, "Exact"
        case "Bounded":
            return low, low + draw(st.integers(1, 100)), "Bounded"
        case "LowerBound":
            return low, None, "LowerBound"
        case "UpperBound":
            return None, low, "UpperBound"
        case _:
            return None, None, "Unknown"


@st.composite
def gaps_within(draw, start, end):
    edges = sorted(draw(st.sets(st.integers(start, end), max_size=120)))
    pairs = zip(edges[::2], edges[1::2], strict=False)
    return [Gap(first, second, draw(tokens)) for first, second in pairs]


def fitted_to(gaps, most=32):
    """Join the first gaps until there are few enough, as a sender must; whether any were joined."""
    left = list(gaps)
    while len(left) > most:
        left[:2] = [Gap(left[0].start_s, left[1].end_s, left[0].reason)]
    return tuple(left), len(left) < len(gaps)


@st.composite
def contents(draw, terms, index, kind):
    start, end = terms.bounds(index)
    as_of = draw(st.integers(start, end - 1)) if kind is Kind.INTERIM else end
    low, high, accuracy = draw(bounds())
    busiest = low if low is not None else 10**6
    days = -(-(as_of - start) // DAY)
    gaps = draw(gaps_within(start, as_of))
    fitted, merged = fitted_to(gaps)
    observed = (as_of - start) - sum(gap.end_s - gap.start_s for gap in gaps)
    return Content(
        kind=kind,
        product="acme",
        license_id="lic-1",
        cycle=ReportCycle(index, start, end, as_of),
        active_users=low,
        active_users_upper_bound=high,
        accuracy=accuracy,
        coverage=ReportCoverage(observed, fitted, merged),
        rules=ReportRules(
            draw(st.sampled_from(["signed in", "öffnete ein Dokument"])),
            digest("rules"),
            draw(st.integers(0, 3)),
            MappingProxyType(draw(st.dictionaries(tokens, counts, max_size=16))),
            tuple(draw(st.lists(tokens, max_size=16, unique=True))),
        ),
        clock=ReportClock(as_of, vendor_time_s=draw(st.none() | st.just(start))),
        operator=OperatorInfo(
            report_version(draw(st.sampled_from(["0.1.0", "1.2.3+local.4"]))),
            draw(st.none() | st.just("ab" * 16)),
        ),
        provisioned_users=draw(st.none() | counts),
        daily_active_users=draw(
            st.none()
            | st.lists(st.none() | st.integers(0, busiest), min_size=days, max_size=days).map(tuple)
        ),
        uncertainty=fit_uncertainty(
            draw(st.lists(st.builds(Uncertainty, tokens, counts), max_size=12))
        ),
        pseudonym_key_id=draw(st.none() | st.just("0f" * 16)),
    )


def report_input(content, previous=None, **more):
    return ReportInput(
        installation=INSTALLATION_KEY.installation,
        vendor=VENDOR,
        subscription=SUBSCRIPTION,
        namespace="collab",
        name="production",
        issued_at_s=content.cycle.as_of_s,
        content=content,
        previous=previous,
        **more,
    )


@examples(150)
@given(st.data())
def test_a_built_report_verifies_and_reads_back_the_same(data):
    terms = data.draw(cycle_terms())
    index = data.draw(st.integers(0, 3))
    kind = data.draw(st.sampled_from([Kind.INTERIM, Kind.FINAL]))
    content = data.draw(contents(terms, index, kind))
    token = build_report(report_input(content), INSTALLATION_KEY)
    report = verify_report(token, license_=licence(terms), keys=KEYS, now_s=NOW_S)
    assert report.content == content
    assert read_report(token) == report


@examples(40)
@given(st.data())
def test_built_reports_form_a_chain_in_any_order_of_arrival(data):
    built, previous = [], None
    for index in range(data.draw(st.integers(1, 3))):
        kinds = [Kind.INTERIM] * data.draw(st.integers(0, 2)) + [Kind.FINAL]
        for kind in kinds:
            content = data.draw(contents(LICENSE_30.cycle, index, kind))
            token = build_report(
                report_input(content, previous, acknowledged=previous), INSTALLATION_KEY
            )
            previous = Link(len(built) + 1, digest(token))
            built.append(token)
    shuffled = data.draw(st.permutations(built))
    chain = verify_chain(shuffled, license_=LICENSE_30, keys=KEYS, now_s=NOW_S, heads=[previous])
    assert [envelope.token for envelope in chain.envelopes] == built


PLAIN = Content(
    kind=Kind.FINAL,
    product="acme",
    license_id="lic-1",
    cycle=ReportCycle(0, 1767225600, 1767225600 + 30 * DAY, 1767225600 + 30 * DAY),
    active_users=5,
    active_users_upper_bound=5,
    accuracy="Exact",
    coverage=ReportCoverage(30 * DAY),
    rules=ReportRules("signed in", digest("rules")),
    clock=ReportClock(1767225600),
    operator=OperatorInfo("1.0.0"),
)


def test_the_plain_report_is_valid():
    token = build_report(report_input(PLAIN), INSTALLATION_KEY)
    verify_report(token, license_=LICENSE_30, keys=KEYS, now_s=NOW_S)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"active_users": 4}, "CountsInconsistent"),
        ({"accuracy": "Conflict"}, "ClaimInvalid"),
        ({"accuracy": "Bounded"}, "CountsInconsistent"),
        ({"active_users": -1, "active_users_upper_bound": -1}, "ClaimInvalid"),
        ({"daily_active_users": (6,) * 30}, "CountsInconsistent"),
        ({"daily_active_users": (1,) * 29}, "CountsInconsistent"),
        ({"coverage": ReportCoverage(30 * DAY - 1)}, "CoverageInconsistent"),
        ({"kind": Kind.AMENDMENT}, "ClaimInvalid"),
        ({"kind": Kind.INTERIM}, "CycleMismatch"),
        ({"operator": OperatorInfo("1.0+local")}, "ClaimInvalid"),
        ({"rules": ReportRules("line\nbreak", digest("r"))}, "ClaimInvalid"),
        ({"rules": ReportRules("right\u202eleft", digest("r"))}, "ClaimInvalid"),
        ({"pseudonym_key_id": "secret"}, "ClaimInvalid"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_a_report_that_no_receiver_would_take_is_not_signed(change, error):
    with pytest.raises(Refused) as caught:
        build_report(report_input(replace(PLAIN, **change)), INSTALLATION_KEY)
    assert caught.value.error == error


END = PLAIN.cycle.end_s


def test_a_gap_may_end_with_the_time_stated():
    gaps = (Gap(END - 60, END, "SourceUnreachable"),)
    content = replace(PLAIN, coverage=ReportCoverage(30 * DAY - 60, gaps))
    token = build_report(report_input(content), INSTALLATION_KEY)
    verify_report(token, license_=LICENSE_30, keys=KEYS, now_s=NOW_S)


@pytest.mark.parametrize(
    "gap",
    [(END - 60, END - 60), (END - 60, END + 1), (END, END - 60)],
    ids=["empty", "out", "back"],
)
def test_a_gap_is_never_empty_nor_outside(gap):
    coverage = ReportCoverage(30 * DAY, (Gap(*gap, "SourceUnreachable"),), merged=True)
    with pytest.raises(Refused) as caught:
        build_report(report_input(replace(PLAIN, coverage=coverage)), INSTALLATION_KEY)
    assert caught.value.error == "CoverageInconsistent"


@pytest.mark.parametrize(("length", "fits"), [(1, True), (1024, True), (1025, False), (0, False)])
def test_a_definition_has_1_to_1024_characters(length, fits):
    content = replace(PLAIN, rules=ReportRules("ü" * length, digest("rules")))
    if fits:
        build_report(report_input(content), INSTALLATION_KEY)
    else:
        with pytest.raises(Refused):
            build_report(report_input(content), INSTALLATION_KEY)


def test_a_report_is_not_signed_before_the_time_it_speaks_of():
    early = replace(report_input(PLAIN), issued_at_s=PLAIN.cycle.as_of_s - 1)
    with pytest.raises(Refused) as caught:
        build_report(early, INSTALLATION_KEY)
    assert caught.value.error == "ClockInconsistent"


def test_the_same_input_gives_the_same_bytes():
    first, second = (build_report(report_input(PLAIN), INSTALLATION_KEY) for _ in range(2))
    assert first == second


def test_a_version_with_a_shifted_clock_says_so():
    assert report_version("0.1.0+dev", simulated_clock=True) == "0.1.0-dev-simulated-clock"
    assert report_version("9" * 300, simulated_clock=True).endswith("-simulated-clock")
    assert len(report_version("9" * 300, simulated_clock=True)) == 128
