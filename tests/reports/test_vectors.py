"""An implementation conforms if it agrees with every vector (REPORT_FORMAT §15)."""

import subprocess
import sys
from pathlib import Path

import pytest

from licenseusage.reports.names import (
    commitment,
    digest,
    jti_of,
    key_chain_id,
    report_chain_id,
)
from licenseusage.reports.report import read_report
from tests.reports.conformance import TOKENS, VECTORS, judge

CASES = [*VECTORS["valid"], *VECTORS["invalid"]]
DERIVED = VECTORS["derived"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_vector(case):
    assert judge(case) == (case["expect"], case.get("findings"))


def test_vectors_are_all_there():
    assert (len(VECTORS["valid"]), len(VECTORS["invalid"])) == (112, 253)


def test_vectors_are_what_their_reference_says():
    folder = Path(__file__).parent / "vectors"
    check = [sys.executable, folder / "make_vectors.py", "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(" 0 wrong\n")


def test_derived_names():
    report = read_report(TOKENS["report-1-interim"]).envelope
    whose = {
        "vendor": report.vendor,
        "installation": DERIVED["installation"],
        "subscription": report.subscription,
    }
    chain = report_chain_id(**whose, namespace=report.namespace, name=report.name)
    assert chain == DERIVED["reportChainId"]
    assert jti_of(chain, 1) == DERIVED["firstReportId"]
    assert key_chain_id(**whose) == DERIVED["keyChainId"]


@pytest.mark.parametrize("name", DERIVED["digests"])
def test_derived_digest(name):
    assert digest(TOKENS[name]) == DERIVED["digests"][name]


def test_derived_commitment():
    known = DERIVED["commitment"]
    pseudonyms = [bytes.fromhex(pseudonym) for pseudonym in known["pseudonyms"]]
    assert commitment(bytes.fromhex(known["salt"]), pseudonyms) == known["digest"]
