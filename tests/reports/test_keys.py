"""Keys: what is refused, what is never shown, and what each may sign."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.errors import Stalled
from licenseusage.reports.keys import PublicKey, SigningKey, VendorKeys, generate_key
from licenseusage.reports.refused import MEANING, UNSIGNED_CLASSES, Refused
from licenseusage.reports.tokens import open_token, sign
from licenseusage.reports.typs import LICENSE, RECEIPT, REPORT
from tests.reports.conformance import TOKENS, VECTORS

RFC8037_JWK = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}


def test_thumbprint_of_rfc_8037():
    # RFC 8037, appendix A.3.
    assert (
        PublicKey.from_jwk(RFC8037_JWK).thumbprint == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    )


def test_public_half_of_rfc_8037():
    # RFC 8037, appendix A.1 and A.2.
    private = {**RFC8037_JWK, "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}
    assert SigningKey.from_jwk(json.dumps(private)).public == PublicKey.from_jwk(RFC8037_JWK)


@given(st.binary(min_size=32, max_size=32))
def test_a_private_key_survives_its_file(seed):
    key = SigningKey.from_seed(seed)
    assert SigningKey.from_jwk(key.to_jwk()) == key


def test_a_private_key_is_not_shown_by_its_repr():
    key = generate_key()
    assert json.loads(key.to_jwk())["d"] not in repr(key)
    assert "seed" not in repr(key)


def test_generated_keys_differ():
    assert generate_key() != generate_key()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"kty":"OKP","crv":"Ed25519","d":"AA"}',
        '{"kty":"OKP","crv":"X25519","x":"' + "A" * 43 + '","d":"' + "A" * 43 + '"}',
        '{"kty":"OKP","crv":"Ed25519","x":"' + "A" * 43 + '","d":"' + "A" * 43 + '"}',
    ],
)
def test_what_is_no_private_key_is_refused(text):
    with pytest.raises(Refused) as caught:
        SigningKey.from_jwk(text)
    assert caught.value.error == "KeyInvalid"


def jwks(**changes):
    key = {**VECTORS["context"]["vendorJwks"]["keys"][0], **changes}
    return json.dumps({"keys": [{name: v for name, v in key.items() if v is not None}]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"keys": {}}',
        '{"keys": []}',
        '{"keys": [], "keys": []}',
        jwks(x="A" * 43),
        jwks(x="short"),
        jwks(d="A" * 43),
        jwks(usage_types="usage-license+jwt"),
        jwks(usage_types=[1]),
        jwks(alg="EdDSA"),
        jwks(use="enc"),
        jwks(kty="RSA"),
    ],
)
def test_a_jwks_that_cannot_be_trusted_stalls_with_its_source(text):
    with pytest.raises(Stalled, match="ConfigMap x/y") as caught:
        VendorKeys.from_jwks(text, source="ConfigMap x/y")
    assert caught.value.reason == "VendorKeysInvalid"


def test_keys_of_other_algorithms_are_ignored():
    keys = json.loads(jwks())["keys"]
    rsa = {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "x"}
    assert len(VendorKeys.from_jwks(json.dumps({"keys": [rsa, *keys]}))) == 1


def test_a_kid_that_lies_is_ignored():
    keys = VendorKeys.from_jwks(jwks(kid="lie"))
    assert list(keys) == [VECTORS["context"]["vendorJwks"]["keys"][0]["kid"]]


def test_a_vendor_key_without_usage_types_may_sign_nothing():
    keys = VendorKeys.from_jwks(jwks(usage_types=None))
    with pytest.raises(Refused) as caught:
        open_token(TOKENS["license"], LICENSE, keys)
    assert caught.value.error == "KeyNotPermitted"


def test_jwks_survives_its_file():
    text = json.dumps(VECTORS["context"]["vendorJwks"])
    keys = VendorKeys.from_jwks(text)
    assert json.loads(keys.to_jwks()) == json.loads(text)


def test_a_revoked_key_is_refused():
    from dataclasses import replace

    from tests.reports.conformance import context

    keys = context({}).keys
    revoked = {kid: replace(key, revoked=True) for kid, key in keys.items()}
    open_token(TOKENS["report-1-interim"], REPORT, keys)
    with pytest.raises(Refused) as caught:
        open_token(TOKENS["report-1-interim"], REPORT, revoked)
    assert caught.value.error == "KeyRevoked"


def test_an_installation_key_signs_no_receipt():
    from licenseusage.reports.keys import InstallationKey

    key = generate_key()
    known = {key.kid: InstallationKey(key.public, key.installation)}
    with pytest.raises(Refused) as caught:
        open_token(sign(RECEIPT, {"ver": 1}, key), RECEIPT, known)
    assert caught.value.error == "KeyNotPermitted"


def test_signing_refuses_what_exceeds_its_type():
    with pytest.raises(Refused) as caught:
        sign(RECEIPT, {"ver": 1, "x": "a" * 8000}, generate_key())
    assert caught.value.error == "TooLarge"


def test_every_class_has_words_for_people():
    named = {case["expect"] for case in VECTORS["invalid"]} | UNSIGNED_CLASSES
    assert named - set(MEANING) == set()


def test_a_refusal_is_an_error_with_a_reason():
    refusal = Refused("ClaimMissing", "cycle.start")
    assert (refusal.reason, refusal.error) == ("ClaimMissing", "ClaimMissing")
    assert refusal.message == "a required claim is missing (cycle.start)"
