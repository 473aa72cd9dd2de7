"""What the sender bundles, the receiver accepts: whole, in order, in as many files as it takes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.reports import bundle as bundles
from licenseusage.reports.bundle import Parties, make_bundle, read_lines, verify_bundle
from licenseusage.reports.names import Link, digest
from licenseusage.reports.receipt import Sent
from licenseusage.reports.refused import Refused
from licenseusage.reports.report import ReportInput, build_report, read_report
from licenseusage.reports.tokens import decode
from tests.delivery.people import (
    DAY,
    INSTALLATION_KEY,
    NOW_S,
    VENDOR_KEYS,
    enrolment,
    key,
    licence,
    reports,
)

CHAIN = reports(12)
ENROLMENT = enrolment()
PARTIES = Parties.of(ENROLMENT)


def made(tokens, statements=(ENROLMENT,), signer=INSTALLATION_KEY):
    return make_bundle(PARTIES, signer, key_statements=statements, reports=tokens, now_s=NOW_S)


def verified(data, received=()):
    return verify_bundle(
        data, VENDOR_KEYS, license_=licence(), keys={}, now_s=NOW_S, received=received
    )


@given(st.integers(0, 12), st.randoms(use_true_random=False))
def test_the_receiver_accepts_what_the_sender_bundled_in_whatever_order_it_was_given(count, dice):
    tokens = CHAIN[:count]
    dice.shuffle(tokens)
    (data,) = made(tokens)
    chain = Sent.from_token(CHAIN[0]).chain_id
    head = {chain: Link(count, digest(CHAIN[count - 1]))} if count else {}
    assert verified(data).heads == head


@given(st.integers(0, 12))
def test_the_documents_are_in_it_octet_by_octet(count):
    (data,) = made(CHAIN[:count])
    lines = read_lines(data)
    assert (lines.key_statements, lines.reports) == ((ENROLMENT,), tuple(CHAIN[:count]))


@given(st.integers(1, 5), st.integers(0, 12))
def test_too_many_documents_for_one_file_make_several_with_the_oldest_first(most, count):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundles, "MAX_LINES", most + 2)
        files = made(random.Random(count).sample(CHAIN[:count], count))
        received = []
        for data in files:
            verified(data, received)
            received += read_lines(data).reports
        assert all(data.count("\n") <= most + 2 for data in files)
    assert received == CHAIN[:count]
    assert len(files) == max(1, -(-count // most))


@given(st.integers(1, 12))
def test_no_file_is_longer_than_the_limit(count):
    longest = 4096 + len(ENROLMENT) + 2 + 65536 + 3 * len(CHAIN[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundles, "MAX_CHARACTERS_IN_FILE", longest)
        files = made(CHAIN[:count])
        assert all(len(data) <= longest for data in files)
    assert [token for data in files for token in read_lines(data).reports] == CHAIN[:count]


def test_a_month_off_line_is_one_small_file():
    (data,) = made(reports(29))
    assert len(data) < 100_000


def test_a_clock_that_went_back_does_not_turn_the_order_of_a_chain():
    tokens = another_chain(4, ahead_at=2)
    issued = [read_report(token).envelope.issued_at_s for token in tokens]
    assert issued[1] > issued[2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundles, "MAX_LINES", 3)
        files = made(tokens)
    assert [read_lines(data).reports for data in files] == [(token,) for token in tokens]


def test_the_manifest_names_the_parties_and_the_number_of_lines():
    (data,) = made(CHAIN[:2])
    header, claims = decode(read_lines(data).manifest)
    assert header == {"alg": "Ed25519", "typ": "usage-bundle+jwt", "kid": INSTALLATION_KEY.kid}
    assert (claims["iss"], claims["sub"]) == (INSTALLATION_KEY.installation, "sub-1")
    assert (claims["aud"], claims["iat"]) == ("https://vendor.example", NOW_S)
    assert claims["count"] == 3


def test_without_documents_it_is_the_question_for_the_history():
    (data,) = made((), statements=())
    assert data.count("\n") == 1
    assert decode(read_lines(data).manifest)[1]["count"] == 0


def test_a_document_of_another_subscription_is_refused():
    other = Parties(PARTIES.installation, PARTIES.vendor, "sub-2")
    with pytest.raises(Refused, match="of one subscription"):
        make_bundle(other, INSTALLATION_KEY, reports=CHAIN[:1], now_s=NOW_S)


def test_a_manifest_by_another_key_is_refused_by_the_receiver():
    (data,) = made(CHAIN[:1], signer=key("somebody"))
    with pytest.raises(Refused, match="key") as refused:
        verified(data)
    assert refused.value.error == "KeyUnknown"


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: data.rstrip("\n").rindex("\n") + 1],  # cut after a line
        lambda data: data[:-10],  # cut within one
        lambda data: "\n".join(_swapped(data.split("\n"))),
        lambda data: data.replace("\n", "\r\n"),
        lambda data: data + "\n",
        lambda data: data + CHAIN[5] + "\n",
    ],
    ids=["cut-between", "cut-within", "swapped", "line-ends", "blank-line", "added"],
)
def test_damage_on_the_way_is_noticed(damage):
    (data,) = made(CHAIN[:3])
    with pytest.raises(Refused) as refused:
        verified(damage(data))
    assert refused.value.error == "BundleInvalid"


def _swapped(lines):
    return [*lines[:-3], lines[-2], lines[-3], *lines[-1:]]


def test_every_chain_of_the_subscription_fits_into_one_bundle():
    chains = {Sent.from_token(token).chain_id for token in (*CHAIN, *another_chain(3))}
    (data,) = made([*another_chain(3), *CHAIN])
    assert set(verified(data).heads) == chains
    assert len(chains) == 2


def another_chain(count, ahead_at=0):

    tokens, previous = [], None
    for token in CHAIN[:count]:
        report = read_report(token)
        tokens.append(
            build_report(
                ReportInput(
                    installation=INSTALLATION_KEY.installation,
                    vendor=report.envelope.vendor,
                    subscription=report.envelope.subscription,
                    namespace="collab",
                    name="staging",
                    issued_at_s=report.envelope.issued_at_s
                    + (5 * DAY if report.envelope.sequence == ahead_at else 0),
                    content=report.content,
                    previous=previous,
                ),
                INSTALLATION_KEY,
            )
        )
        previous = Link(report.envelope.sequence, digest(tokens[-1]))
    return tokens
