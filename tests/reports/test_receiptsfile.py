"""Receipts of a bundle, as a file and as objects: the same tokens, wherever they travel."""

import hashlib
import random

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.api.usagereceipt import UsageReceipt
from licenseusage.reports.names import Link, digest, jti_of
from licenseusage.reports.receipt import ReceiptInput, ReceiptVerdict, Subject, build_receipt
from licenseusage.reports.receiptsfile import (
    in_bundle_order,
    read_receipts,
    receipts_text,
    usage_receipts,
    usage_receipts_yaml,
)
from licenseusage.reports.refused import Refused
from licenseusage.reports.typs import ENROLMENT, REPORT, SUCCESSION
from tests.receiver.people import ANCHOR, RECEIPT_KEY, Customer

INSTALLATION = Customer().first.installation
KEY_CHAIN, CHAINS = "0" * 32, ("a" * 32, "b" * 32)


def receipt(typ=REPORT, chain=CHAINS[0], sequence=1):
    named = Link(sequence, digest(f"{chain}.{sequence}.document"))
    return build_receipt(
        ReceiptInput(
            vendor="https://vendor.example",
            installation=INSTALLATION,
            subscription="sub-1",
            receipt_id=f"rcpt-{chain[:4]}-{sequence}",
            issued_at_s=ANCHOR,
            received_at_s=ANCHOR,
            verdict=ReceiptVerdict.ACCEPTED,
            subject=Subject(typ, jti_of(chain, sequence), sequence, named.digest),
            chain_id=chain,
            head=named,
        ),
        RECEIPT_KEY,
    )


STATEMENTS = [receipt(ENROLMENT, KEY_CHAIN, 1), receipt(SUCCESSION, KEY_CHAIN, 2)]
REPORTS = [receipt(chain=chain, sequence=n) for chain in CHAINS for n in range(1, 71)]
ORDERED = STATEMENTS + REPORTS

some = st.lists(st.sampled_from(ORDERED), unique=True)
placed = st.lists(
    st.tuples(st.sampled_from(["apps", "data", "web", None]), st.sampled_from(ORDERED)),
    max_size=200,
)


@given(some.filter(bool))
def test_a_file_gives_back_the_tokens_that_it_was_made_of(tokens):
    assert read_receipts(receipts_text(tokens)) == tuple(tokens)


def test_a_receipt_that_is_given_twice_is_one_line():
    assert receipts_text([REPORTS[0], REPORTS[0]]) == f"{REPORTS[0]}\n"


@given(st.randoms(use_true_random=False))
def test_the_order_is_that_of_a_bundle_whatever_the_order_of_arrival(shuffling: random.Random):
    shuffled = list(ORDERED)
    shuffling.shuffle(shuffled)
    assert in_bundle_order(shuffled) == ORDERED


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("", "BundleInvalid"),
        ("\n", "BundleInvalid"),
        (REPORTS[0], "BundleInvalid"),
        (f"\n{REPORTS[0]}\n", "BundleInvalid"),
        (f"{REPORTS[0]}\r\n", "BundleInvalid"),
        (f"{REPORTS[0]}\n\n{REPORTS[1]}\n", "BundleInvalid"),
        (f"{REPORTS[0]}\n\n", "BundleInvalid"),
        (f"é{REPORTS[0]}\n", "BundleInvalid"),
        (f"{REPORTS[0]}\nno token\n", "MalformedToken"),
        (f"{Customer().enrolment}\n", "UnsupportedType"),
        (f"{'a' * 9000}\n", "TooLarge"),
        (f"{REPORTS[0]}\n" * 4097, "TooLarge"),
    ],
)
def test_a_file_that_breaks_the_line_rules_is_refused(data, error):
    with pytest.raises(Refused) as refusal:
        read_receipts(data)
    assert refusal.value.error == error


def test_a_receipt_whose_subject_cannot_be_read_has_no_place():
    with pytest.raises(Refused):
        in_bundle_order([Customer().enrolment])


@given(placed)
def test_every_object_is_one_that_the_api_takes(pairs):
    for made in usage_receipts(pairs):
        read = UsageReceipt.model_validate(made)
        assert 1 <= len(read.spec.receipts) <= 64
        assert len(set(read.spec.receipts)) == len(read.spec.receipts)


@given(placed)
def test_each_namespace_gets_its_own_receipts_and_those_of_the_keys(pairs):
    got = {}
    for made in usage_receipts(pairs):
        got.setdefault(made["metadata"]["namespace"], []).extend(made["spec"]["receipts"])
    for namespace in {place for place, _ in pairs if place is not None}:
        due = [token for place, token in pairs if place in (namespace, None)]
        assert got.pop(namespace) == list(dict.fromkeys(due))
    assert got == {}


@given(placed)
def test_the_name_follows_from_the_lines_alone(pairs):
    for made in usage_receipts(pairs):
        lines = "".join(f"{token}\n" for token in made["spec"]["receipts"])
        expected = f"receipts-{hashlib.sha256(lines.encode()).hexdigest()[:12]}"
        assert made["metadata"]["name"] == expected


@given(placed)
def test_yaml_gives_back_the_objects(pairs):
    objects = usage_receipts(pairs)
    assert [read for read in yaml.safe_load_all(usage_receipts_yaml(objects)) if read] == objects


def test_more_than_64_receipts_are_several_objects():
    made = usage_receipts([("apps", token) for token in REPORTS[:65]])
    assert [len(each["spec"]["receipts"]) for each in made] == [64, 1]
    assert made[0]["metadata"]["name"] != made[1]["metadata"]["name"]


def test_receipts_of_keys_alone_have_no_namespace_to_go_to():
    assert usage_receipts([(None, token) for token in STATEMENTS]) == []


def test_a_token_is_one_line_of_the_yaml():
    lines = usage_receipts_yaml(usage_receipts([("apps", REPORTS[0])])).splitlines()
    assert f"  - {REPORTS[0]}" in lines
