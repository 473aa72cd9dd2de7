"""The format's own vectors, put to the receiver; ``reference.py`` says which layer refuses them."""

import functools
import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from licenseusage.reports.enrolment import build_enrolment
from licenseusage.reports.keys import SigningKey, VendorKeys
from licenseusage.reports.licence import License, read_license
from licenseusage.reports.tokens import decode
from tests.receiver.people import FixedClock, Receiver, chain_id, error_of

FOLDER = Path(__file__).parents[1] / "reports" / "vectors"
VECTORS: dict[str, Any] = json.loads((FOLDER / "vectors.json").read_text())
TOKENS: dict[str, str] = VECTORS["tokens"]
SEEDS: dict[str, str] = VECTORS["privateSeeds"]
VENDOR_KEYS = VendorKeys.from_jwks(json.dumps(VECTORS["context"]["vendorJwks"]))
_SPEC = importlib.util.spec_from_file_location("format_reference", FOLDER / "reference.py")
assert _SPEC is not None
assert _SPEC.loader is not None
reference = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(reference)


def seed_key(name: str) -> SigningKey:
    return SigningKey.from_seed(reference.urlsafe_b64decode(SEEDS[name] + "="))


KEYS = {"vendor_keys": VENDOR_KEYS, "receipt_key": seed_key("receipt")}


def cases(verify: str) -> list[Any]:
    return [
        pytest.param(case, id=case["name"])
        for case in [*VECTORS["valid"], *VECTORS["invalid"]]
        if case["verify"] == verify
    ]


def context_of(case: dict[str, Any]) -> dict[str, Any]:
    context: dict[str, Any] = {**VECTORS["context"], **case.get("context", {})}
    return context


@pytest.fixture(scope="module")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bool], Path]:
    """Make, once each, a database that knows both installations under one licence."""

    @functools.cache
    def make(license_name: str, rotated: bool) -> Path:
        path = tmp_path_factory.mktemp("enrolled") / "receiver.sqlite"
        clock = FixedClock(VECTORS["context"]["now"])
        receiver = Receiver(f"sqlite:///{path}", clock, **KEYS)
        license_ = read_license(TOKENS[license_name], VENDOR_KEYS)
        for name in ("installation1", "otherInstallation"):
            own = name == "installation1" and license_name == "license"
            token = TOKENS["enrolment"] if own else enrolment(name, license_)
            assert receiver.put_key(token).status_code == 201
            if own and rotated:
                assert receiver.put_key(TOKENS["succession"]).status_code == 201
        receiver.close()
        return path

    return make


@pytest.fixture(scope="module")
def vendor(
    tmp_path_factory: pytest.TempPathFactory, enrolled: Callable[[str, bool], Path]
) -> Iterator[Callable[..., Receiver]]:
    """One application for all cases, given a fresh database with the case's keys enrolled."""
    path, clock = tmp_path_factory.mktemp("vendor") / "receiver.sqlite", FixedClock()
    receiver = Receiver(f"sqlite:///{path}", clock, **KEYS)

    def run(context: dict[str, Any], *, rotated: bool) -> Receiver:
        receiver.store.close()  # it connects again by itself
        shutil.copy(enrolled(context["license"], rotated), path)
        clock.now_s = context["now"]
        return receiver

    yield run
    receiver.close()


def enrolment(name: str, license_: License) -> str:
    return build_enrolment(license_, seed_key(name), issued_at_s=license_.not_before_s)


def expected_status(case: dict[str, Any], *, report: bool) -> int:
    """What §9 answers to the class that §12 names."""
    error = case["expect"]
    if error == "Valid":
        return 201
    if report and passes_envelope(case):
        return 422
    if error == "TooLarge":
        return 413
    if error in reference.UNSIGNED:
        return 400
    return 401 if error == "KeyUnknown" else 403


def passes_envelope(case: dict[str, Any]) -> bool:
    context = context_of(case)
    raw = {
        **context,
        "license": decode(TOKENS[context["license"]])[1],
        "installationKeys": VECTORS["keySets"][context["installationKeys"]],
    }
    try:
        reference.authenticate_report(TOKENS[case["input"]], raw)
    except reference.Refused:
        return False
    return True


@pytest.mark.parametrize("case", cases("report"))
def test_report_vector(vendor, case):
    context = context_of(case)
    receiver = vendor(context, rotated=context["installationKeys"] == "all")
    token = TOKENS[case["input"]]
    answer = receiver.put_report(token)
    assert answer.status_code == expected_status(case, report=True), answer.text
    if answer.status_code != 201:
        assert error_of(answer) == case["expect"]
    if answer.status_code in (201, 422):
        verdict = receiver.receipt(token, answer).verdict
        assert verdict == ("Accepted" if case["expect"] == "Valid" else "Rejected")
    else:
        with receiver.store.read() as views:
            known = views.installations(limit=9, offset=0)
            assert [views.chains_of(each, limit=9) for each in known] == [[], []]


@pytest.mark.parametrize("case", cases("enrolment"))
def test_enrolment_vector(start, clock, case):
    receiver = start(**KEYS)
    clock.now_s = context_of(case)["now"]
    answer = receiver.put_key(TOKENS[case["input"]])
    assert answer.status_code == expected_status(case, report=False), answer.text
    if answer.status_code != 201:
        assert error_of(answer) == case["expect"]


@pytest.mark.parametrize("case", cases("succession"))
def test_succession_vector(vendor, case):
    context = context_of(case)
    receiver = vendor(context, rotated=context["installationKeys"] == "all")
    answer = receiver.put_key(TOKENS[case["input"]])
    assert answer.status_code == expected_status(case, report=False), answer.text
    if answer.status_code != 201:
        assert error_of(answer) == case["expect"]


@pytest.mark.parametrize("case", cases("register"))
def test_register_vector(vendor, case):
    """The licences arrive one after the other, then the report."""
    receiver = vendor(context_of(case), rotated=True)
    *licences, report = (TOKENS[name] for name in case["input"])
    answers = [receiver.put_license(token) for token in licences]
    refused = [error_of(answer) for answer in answers if answer.status_code >= 400]
    answer = receiver.put_report(report)
    if case["expect"] == "Valid":
        assert refused == []
        findings = receiver.receipt(report, answer).findings
        assert [one for one in findings if one.startswith("License")] == case["findings"]
    elif refused:
        assert refused == [case["expect"]]
        assert "LicenseUnknown" in receiver.receipt(report, answer).findings
    else:
        assert (answer.status_code, error_of(answer)) == (422, case["expect"])


@pytest.mark.parametrize("case", cases("keys"))
def test_key_chain_vector(start, clock, case):
    receiver = start(**KEYS)
    clock.now_s = context_of(case)["now"]
    answers = [receiver.put_key(TOKENS[name]) for name in case["input"]]
    assert {answer.status_code for answer in answers[:-1]} <= {201}
    if case["expect"] == "Valid":
        assert answers[-1].status_code == 201
    else:
        assert answers[-1].status_code == (401 if case["expect"] == "KeyUnknown" else 409)
        assert error_of(answers[-1]) == case["expect"]


# What the receiver sees from the vendor's side only, and what a mere verifier cannot see.
RECEIVER_ONLY = {"ReportOverdue", "AmendmentLate"}


@pytest.mark.parametrize("backwards", [False, True], ids=["in-order", "backwards"])
@pytest.mark.parametrize("case", cases("chain"))
def test_chain_vector(vendor, case, backwards):
    """Every fault of a chain shows on arrival: as a verdict if it can, else as a finding."""
    context = context_of(case)
    receiver = vendor(context, rotated=True)
    names = case["input"][::-1] if backwards else case["input"]
    errors = set()
    for name in names:
        answer = receiver.put_report(TOKENS[name])
        if answer.status_code not in (200, 201):
            errors.add(error_of(answer))
    found = set().union(*(receiver.held_findings(chain_id(TOKENS[name])) for name in names))
    if case["expect"] == "ChainTruncated" or (case["expect"], "heads" in context) == (
        "ChainForked",
        True,
    ):
        return  # it takes a receipt to see these: what arrived is a chain in order
    if case["expect"] == "IdentifierMismatch":
        return  # two usage objects are two chains here, each in order
    if case["expect"] == "Valid":
        rejected = context.get("rejected", ())
        assert bool(errors) == bool(rejected)
        assert found - RECEIVER_ONLY == set(case["findings"])
    else:
        assert case["expect"] in errors | found
