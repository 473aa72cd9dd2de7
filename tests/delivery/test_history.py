"""The vendor's history of a chain of ours: asked for by our newest key, believed line by line."""

import httpx
import pytest

from licenseusage.delivery.history import read_history
from licenseusage.delivery.outcome import Answer, NoAnswer
from licenseusage.delivery.vendor import VendorClient
from licenseusage.errors import UsageError
from licenseusage.receiver.access import PagesAccess
from licenseusage.receiver.app import create_app
from licenseusage.receiver.store import ReceiverDatabase
from licenseusage.reports.bundle import Parties, make_bundle
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.names import digest
from licenseusage.reports.receipt import Sent
from licenseusage.reports.typs import ENROLMENT, REPORT
from tests.delivery.people import (
    INSTALLATION_KEY,
    NOW_MS,
    NOW_S,
    RECEIPT_KEY,
    VENDOR_KEYS,
    VendorDesk,
    enrolment,
    key,
    reports,
)
from tests.delivery.test_sender import CHAIN, KEYS

TOKENS = reports(3)
OURS = KeyRing(INSTALLATION_KEY).public_keys()


class Clock:
    def now_ms(self) -> int:
        return NOW_MS


def read(answer, *, keys=OURS, chain_id=CHAIN):
    return read_history(
        answer,
        chain_id=chain_id,
        key_chain_id=KEYS,
        keys=keys,
        vendor_keys=VENDOR_KEYS,
        host="vendor.example",
    )


def lines(*tokens, status=200, media="text/plain; charset=us-ascii"):
    return Answer(status, media, "".join(f"{token}\n" for token in tokens).encode())


def refused(answer):
    with pytest.raises(UsageError) as caught:
        read(answer)
    return str(caught.value.reason), caught.value.message


async def test_the_real_receiver_answers_with_what_it_holds(tmp_path):
    store = ReceiverDatabase.open(f"sqlite:///{tmp_path / 'receiver.sqlite'}")
    app = create_app(
        store=store,
        vendor_keys=VENDOR_KEYS,
        receipt_key=RECEIPT_KEY,
        clock=Clock(),
        access=PagesAccess(),
    )
    client = VendorClient(transport=httpx.ASGITransport(app))
    for typ, token in ((ENROLMENT, enrolment()), *((REPORT, token) for token in TOKENS)):
        jti = Sent.from_token(token).subject.jti
        assert (await client.put("https://vendor.example", typ, jti, token)).status == 201
    (request,) = make_bundle(Parties.of(TOKENS[0]), INSTALLATION_KEY, now_s=NOW_S)
    answer = await client.ask_history("https://vendor.example", request, CHAIN)
    await client.aclose()
    store.close()
    history = read(answer)
    assert history.enrolled
    assert dict(history.reports) == {digest(token): token for token in TOKENS}
    assert history.receipts[0].head.sequence == 3


def test_what_is_not_ours_or_not_of_the_chain_is_left_out():
    receipt, foreign = VendorDesk().receipt(TOKENS[2]), VendorDesk(key=key("m")).receipt(TOKENS[2])
    answer = lines(enrolment(), *TOKENS, TOKENS[0][:-8] + "AAAAAAAA", foreign, receipt, "rubbish")
    history = read(answer)
    assert set(history.reports.values()) == set(TOKENS)
    assert [each.token for each in history.receipts] == [receipt]
    other = read(answer, chain_id="0" * 32)
    assert (other.reports, other.receipts, other.enrolled) == ({}, (), True)
    assert read(answer, keys=KeyRing(key("another")).public_keys()).reports == {}


def test_without_our_enrolment_no_report_says_nothing():
    assert not read(lines(TOKENS[0])).enrolled


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (NoAnswer("Timeout", "no answer within 30 s"), "Timeout"),
        (lines(enrolment(), media="text/html"), "UnexpectedResponse"),
        (lines(), "UnexpectedResponse"),
        (lines(enrolment(), status=302), "UnexpectedResponse"),
        (
            Answer(401, "application/problem+json", b'{"error":"KeyUnknown"}'),
            "KeyUnknown",
        ),
        (
            Answer(413, "application/problem+json", b'{"error":"TooLarge"}'),
            "TooLarge",
        ),
        (
            Answer(500, "application/problem+json", b'{"error":"no token"}'),
            "UnexpectedResponse",
        ),
    ],
    ids=["none", "a portal", "longer than allowed", "redirect", "unknown", "too large", "broken"],
)
def test_an_answer_without_a_history_says_why(answer, reason):
    seen, message = refused(answer)
    assert seen == reason
    assert "vendor.example" in message
