"""What the sender bundles, the receiver accepts: whole, in order, in as many files as it takes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.reports import bundle as bundles
from licenseusage.reports.bundle import (
    Lines,
    Parties,
    make_bundle,
    read_lines,
    read_manifest,
    verify_bundle,
    verify_manifest,
)
from licenseusage.reports.keys import InstallationKey
from licenseusage.reports.names import Link, digest
from licenseusage.reports.receipt import Sent
from licenseusage.reports.refused import Refused
from licenseusage.reports.report import ReportInput, build_report, read_report
from licenseusage.reports.tokens import decode, sign
from licenseusage.reports.typs import BUNDLE, REPORT
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


# --- limits --------------------------------------------------------------------------------------


def refusal(data):
    with pytest.raises(Refused) as refused:
        read_lines(data)
    return refused.value.error


def test_a_file_has_at_most_16_mebibytes_and_4096_lines():
    assert refusal("x" * 16 * 2**20) == "BundleInvalid"
    assert refusal("x" * (16 * 2**20 + 1)) == "TooLarge"
    assert refusal("\n" * 4096) == "BundleInvalid"
    assert refusal("\n" * 4097) == "TooLarge"


def test_a_line_is_no_longer_than_the_longest_document():
    longest = bundles.MAX_CHARACTERS[REPORT]
    assert refusal("x" * (longest + 1) + "\n") == "TooLarge"
    assert refusal("x" * longest + "\n") != "TooLarge"


def test_a_file_whose_last_line_does_not_end_is_cut():
    (data,) = made(CHAIN[:1])
    with pytest.raises(Refused, match="its end is missing"):
        read_lines(data[:-1])


def test_key_statements_leave_room_for_one_document():
    least = bundles.MAX_CHARACTERS[BUNDLE] + 1 + len(ENROLMENT) + 1
    least += bundles.MAX_CHARACTERS[REPORT]
    for room, fits in ((least + 1, True), (least, False)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bundles, "MAX_CHARACTERS_IN_FILE", room)
            if fits:
                assert len(made(CHAIN[:2])) == 1
            else:
                with pytest.raises(Refused, match="key statements"):
                    made(CHAIN[:2])


@pytest.mark.parametrize(("most", "fits"), [(2, False), (3, True)])
def test_key_statements_leave_a_line_for_one_document(monkeypatch, most, fits):
    monkeypatch.setattr(bundles, "MAX_LINES", most)
    if fits:
        assert len(made(CHAIN[:2])) == 2
    else:
        with pytest.raises(Refused, match="key statements"):
            made(CHAIN[:2])


@pytest.mark.parametrize(("spare", "in_first"), [(0, 2), (-1, 1)])
def test_a_file_is_filled_to_its_last_character(monkeypatch, spare, in_first):
    monkeypatch.setattr(bundles, "MAX_CHARACTERS", {BUNDLE: 10, REPORT: 10})
    room = 10 + 1 + sum(len(line) + 1 for line in (ENROLMENT, *CHAIN[:2])) + spare
    monkeypatch.setattr(bundles, "MAX_CHARACTERS_IN_FILE", room)
    files = [data.splitlines()[2:] for data in made(CHAIN[:4])]
    assert files[0] == CHAIN[:in_first]
    assert [token for tokens in files for token in tokens] == CHAIN[:4]


def test_of_several_chains_the_older_reports_come_first(monkeypatch):
    monkeypatch.setattr(bundles, "MAX_LINES", 4)
    files = made([*another_chain(3), *CHAIN[:3]])
    days = [
        [Sent.from_token(token).subject.sequence for token in read_lines(data).reports]
        for data in files
    ]
    assert days == [[1, 1], [2, 2], [3, 3]]


# --- the manifest --------------------------------------------------------------------------------


def manifest(**changes):
    (data,) = made((), statements=())
    claims = {**decode(data.strip())[1], **changes}
    return sign(BUNDLE, {name: at for name, at in claims.items() if at is not None}, SIGNER)


SIGNER = INSTALLATION_KEY


def test_the_parties_of_a_document_are_read_from_it():
    parties = Parties.of(CHAIN[0])
    assert (parties.installation, parties.subscription) == (SIGNER.installation, "sub-1")
    assert parties.vendor == "https://vendor.example"


@pytest.mark.parametrize("count", [0, 1, 4095])
def test_a_manifest_is_read_without_its_lines(count):
    read = read_manifest(manifest(count=count))
    assert (read.parties, read.issued_at_s, read.count) == (PARTIES, NOW_S, count)


@pytest.mark.parametrize("wrong", [{"count": 4096}, {"count": -1}, {"count": None}, {"iat": -1}])
def test_a_manifest_that_says_what_cannot_be_is_refused(wrong):
    with pytest.raises(Refused):
        read_manifest(manifest(**wrong))
    lines = Lines(manifest(**wrong), (), (), "")
    keys = {SIGNER.kid: InstallationKey(SIGNER.public, SIGNER.installation)}
    with pytest.raises(Refused) as refused:
        verify_manifest(lines, licence(), keys)
    assert refused.value.error != "BundleInvalid"


def test_no_manifest_is_signed_that_would_be_refused():
    with pytest.raises(Refused):
        make_bundle(PARTIES, SIGNER, now_s=-1)
