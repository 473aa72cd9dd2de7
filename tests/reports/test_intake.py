"""A licence on its way in: what is put around it costs nothing, and a refusal says what to do."""

from dataclasses import replace
from datetime import date

import pytest

from licenseusage.reports.intake import Expected, accept_license, still_applies, unpacked
from licenseusage.reports.keys import VendorKey, VendorKeys
from licenseusage.reports.licence import LicenseTerms, Subscription, build_license
from licenseusage.reports.refused import Refused
from licenseusage.reports.terms import CycleTerms
from licenseusage.reports.typs import LICENSE, RECEIPT
from tests.delivery.people import (
    ANCHOR,
    DAY,
    INSTALLATION_KEY,
    LICENCE_KEY,
    NOW_S,
    RECEIPT_KEY,
    VENDOR_KEYS,
    enrolment,
    key,
    licence,
)
from tests.reports import conformance
from tests.reports.conformance import TOKENS

TOKEN = licence().token
FOLDED = "\r\n".join(TOKEN[at : at + 76] for at in range(0, len(TOKEN), 76)) + "\r\n"
AS_BROUGHT = {
    "as issued": TOKEN.encode(),
    "line end": f"{TOKEN}\r\n".encode(),
    "byte order mark": f"\ufeff{TOKEN}".encode(),
    "blanks and empty lines": f"\n\n  {TOKEN} \t\n\n".encode(),
    "folded as mail programs do": FOLDED.encode(),
    "in double quotes": f'"{TOKEN}"\n'.encode(),
    "in single quotes": f"'{TOKEN}'".encode(),
    "UTF-16 of a shell": f"{TOKEN}\r\n".encode("utf-16"),
    "a comment above": f"# the licence of 2026\n{TOKEN}\n".encode(),
}
NOT_A_LICENCE = {
    "'=' appended": f"{TOKEN}=".encode(),
    "cut": TOKEN[:-40].encode(),
    "empty": b"",
    "blanks only": b" \n\r\n",
    "a picture": b"\x89PNG\r\n\x1a\n\x00\xff",
    "a sentence": b"see the attachment",
    "two": f"{TOKEN}\n{TOKEN}\n".encode(),
}


def asked(**changes):
    defaults = {"now_s": NOW_S, "keys_from": "ConfigMap a/b", "product": "acme"}
    return Expected(**{**defaults, **changes})


@pytest.mark.parametrize("raw", AS_BROUGHT.values(), ids=AS_BROUGHT)
def test_what_is_put_around_a_licence_costs_nothing(raw):
    assert unpacked(raw) == TOKEN
    found, terms = accept_license(raw, VENDOR_KEYS, asked())
    assert (found.token, terms.length_days) == (TOKEN, 30)


@pytest.mark.parametrize("raw", NOT_A_LICENCE.values(), ids=NOT_A_LICENCE)
def test_what_is_no_licence_is_refused_with_what_was_seen(raw):
    with pytest.raises(Refused) as refused:
        accept_license(raw, VENDOR_KEYS, asked())
    assert refused.value.reason in ("MalformedToken", "SignatureInvalid")
    assert refused.value.message.startswith(("it ", "its signature "))
    assert TOKEN[-40:] not in refused.value.message


def signed(signer=LICENCE_KEY, **changes):
    terms = LicenseTerms(
        **{
            "vendor": "https://vendor.example",
            "subscription": "sub-1",
            "license_id": "lic-2",
            "issued_at_s": NOW_S - DAY,
            "not_before_s": NOW_S - DAY,
            "expires_s": NOW_S + DAY,
            "product": "acme",
            "cycle": CycleTerms(date(2026, 1, 1), length_days=30),
            "interval_hours": 24,
            "reporting_required": True,
            **changes,
        }
    )
    return build_license(terms, signer)


BEFORE = Subscription("sub-1", CycleTerms(date(2026, 1, 1), length_days=30))
REFUSED = {
    # class -> licence, what it must fit, what is said
    "LicenseMismatch": (
        signed(product="board"),
        {},
        "licence lic-2 is for product board; spec.product is acme. Ask https://vendor.example for "
        "a licence of acme",
    ),
    "LicenseExpired": (
        signed(not_before_s=ANCHOR, expires_s=NOW_S - 3 * DAY),
        {},
        "licence lic-2 expired on 2026-02-07 00:00 UTC. Ask https://vendor.example for a new one",
    ),
    "LicenseNotYetValid": (
        signed(not_before_s=NOW_S + 3 * DAY, expires_s=NOW_S + 9 * DAY),
        {},
        "licence lic-2 is valid from 2026-02-13 00:00 UTC on, in 3 days by this cluster's clock; "
        "it applies by itself then",
    ),
    "IssuedInFuture": (
        signed(issued_at_s=NOW_S + 400),
        {},
        "licence lic-2 was issued at 2026-02-10 00:06 UTC, which is 6 minutes ahead of this "
        "cluster's clock. If that clock is right, the one at https://vendor.example is ahead; it "
        "applies by itself once the time has come",
    ),
    "LicenseKeyMismatch": (
        signed(first_key="A" * 43),
        {"installation": INSTALLATION_KEY.installation},
        f"this one is {INSTALLATION_KEY.installation}. Tell https://vendor.example this id",
    ),
    "LicenseTermsChanged": (
        signed(cycle=CycleTerms(date(2026, 1, 1), length_months=1)),
        {"previous": BEFORE},
        "licence lic-2 has cycles of 1 months from 2026-01-01, subscription sub-1 has 30 days from "
        "2026-01-01",
    ),
    "CycleUnsupported": (
        signed(cycle=CycleTerms(date(2026, 1, 1), length_days=90)),
        {},
        "licence lic-2 has cycles of 90 days from 2026-01-01; cycles of at most 62 days",
    ),
    "UnsupportedVersion": (
        signed(versions=(7,)),
        {},
        "licence lic-2 asks for reports of version 7; this operator writes version 1",
    ),
    "KeyUnknown": (
        signed(key("somebody")),
        {},
        f"it is signed with key {key('somebody').kid}, and ConfigMap a/b holds of keys for "
        f"licences {LICENCE_KEY.kid}. Install the vendor's current keys",
    ),
    "KeyNotPermitted": (
        signed(RECEIPT_KEY),
        {},
        f"it is signed with key {RECEIPT_KEY.kid}, which may not sign licences",
    ),
    "UnsupportedType": (
        enrolment(),
        {},
        "it is another document than a licence",
    ),
}


@pytest.mark.parametrize("error", REFUSED)
def test_a_refusal_names_what_was_seen_and_the_fix(error):
    token, changes, words = REFUSED[error]
    with pytest.raises(Refused) as refused:
        accept_license(token.encode(), VENDOR_KEYS, asked(**changes))
    assert refused.value.reason == error
    assert words in refused.value.message
    assert len(refused.value.message) < 600  # with the object's name, a condition holds it


@pytest.mark.parametrize(
    ("vector", "error"),
    [("alg-eddsa", "UnsupportedAlgorithm"), ("license-bad-date", "ClaimInvalid")],
)
def test_what_only_the_vendor_can_mend_says_so(vector, error):
    with pytest.raises(Refused) as refused:
        accept_license(TOKENS[vector].encode(), conformance.VENDOR_KEYS, asked())
    assert refused.value.reason == error
    assert refused.value.message.endswith(". Ask the vendor to issue it anew")


def test_a_revoked_key_is_named():
    revoked = VendorKeys(
        [
            VendorKey(LICENCE_KEY.public, frozenset({LICENSE}), revoked=True),
            VendorKey(RECEIPT_KEY.public, frozenset({RECEIPT})),
        ]
    )
    with pytest.raises(Refused, match=f"{LICENCE_KEY.kid}, which was revoked"):
        accept_license(TOKEN.encode(), revoked, asked())


@pytest.mark.parametrize("late_s", [20, 290])
def test_a_clock_that_is_a_little_behind_costs_nothing(late_s):
    token = signed(issued_at_s=NOW_S + late_s, not_before_s=NOW_S + late_s)
    assert accept_license(token.encode(), VENDOR_KEYS, asked())[0].license_id == "lic-2"


def test_what_applies_meanwhile_is_named_with_its_end():
    assert still_applies(None) == ""
    assert still_applies(replace(licence()).token) == (
        " Until then licence lic-1 applies (valid until 2027-02-05 00:00 UTC, its terms also "
        "beyond): counting and reporting go on."
    )
