"""Which licences the receiver honours: every licence vector, inside an enrolment."""

import pytest

from licenseusage.reports.names import jti_of, key_chain_id
from licenseusage.reports.tokens import decode, sign
from licenseusage.reports.typs import ENROLMENT
from tests.receiver.people import error_of, jti
from tests.receiver.test_vectors import KEYS, TOKENS, cases, context_of, reference, seed_key

SELF_CONTAINED = [
    case for case in cases("license") if set(case.values[0].get("context", ())) <= {"now"}
]


def enrolment_of(licence: str, issued_at_s: int) -> str:
    """Sign an enrolment that carries any text as its licence."""
    signer = seed_key("installation1")
    try:
        claims = decode(licence)[1]
        vendor, subscription = str(claims["iss"]), str(claims["sub"])
    except Exception:
        vendor, subscription = "https://vendor.example", "sub-4711"
    chain = key_chain_id(vendor=vendor, installation=signer.installation, subscription=subscription)
    return sign(
        ENROLMENT,
        {
            "ver": 1,
            "iss": signer.installation,
            "sub": subscription,
            "aud": vendor,
            "jti": jti_of(chain, 1),
            "iat": issued_at_s,
            "chain": {"id": chain, "sequence": 1, "previous": None},
            "license": licence,
        },
        signer,
    )


@pytest.mark.parametrize("case", SELF_CONTAINED)
def test_licence_vector(start, clock, case):
    clock.now_s = context_of(case)["now"]
    receiver = start(**KEYS)
    token = enrolment_of(TOKENS[case["input"]], clock.now_s)
    answer = receiver.put("keys", jti(token), token)
    if case["expect"] == "Valid":
        assert answer.status_code == 201, answer.text
        return
    unsigned = case["expect"] in reference.UNSIGNED
    status = {"TooLarge": 413, "KeyUnknown": 401}.get(case["expect"], 400 if unsigned else 403)
    assert (answer.status_code, error_of(answer)) == (status, case["expect"])
