"""Which key signs in which chain, before, while and after a key is succeeded by another."""

import base64
import json

import pytest

from licenseusage.reports.keyring import KeyRing, KeyStatement, Placed, key_chains, signed_by
from licenseusage.reports.names import digest
from licenseusage.reports.refused import Refused
from licenseusage.reports.succession import build_succession
from licenseusage.reports.tokens import decode
from tests.delivery.people import INSTALLATION_KEY as FIRST
from tests.delivery.people import NOW_S, VENDOR_KEYS, enrolment, key
from tests.reports.conformance import TOKENS

SECOND, THIRD = key("second"), key("third")
ENROLMENT = enrolment()
SENT = KeyStatement.from_token(ENROLMENT).sent


def succession(signer, new, sequence, previous):
    return build_succession(
        vendor=SENT.vendor,
        subscription=SENT.subscription,
        installation=SENT.installation,
        signer=signer,
        new=new.public,
        reason="Scheduled",
        sequence=sequence,
        previous=digest(previous),
        issued_at_s=NOW_S,
    )


SUCCESSION = succession(FIRST, SECOND, 2, ENROLMENT)
UNRECEIPTED, RECEIPTED = False, True


def test_an_enrolment_brings_the_key_that_signed_it():
    statement = KeyStatement.from_token(ENROLMENT)
    assert (statement.brings, statement.signed_by) == (FIRST.public, FIRST.kid)


def test_a_succession_brings_the_key_that_follows():
    statement = KeyStatement.from_token(SUCCESSION)
    assert (statement.brings, statement.signed_by) == (SECOND.public, FIRST.kid)
    assert statement.reason == "Scheduled"


def test_statements_come_by_chain_as_far_as_they_follow_each_other():
    beyond_a_gap = succession(SECOND, THIRD, 4, SUCCESSION)
    (chain,) = key_chains([beyond_a_gap, SUCCESSION, "nothing", ENROLMENT]).values()
    assert [statement.token for statement in chain] == [ENROLMENT, SUCCESSION]


def test_documents_that_are_no_key_statements_are_left_out():
    assert key_chains([TOKENS["report-3-amendment"]]) == {}


def test_before_the_succession_is_receipted_the_former_key_signs():
    ring = KeyRing(FIRST, SECOND, (ENROLMENT, SUCCESSION))
    placed = [Placed(FIRST.kid, RECEIPTED), Placed(SECOND.kid, UNRECEIPTED)]
    assert ring.signer(placed) == FIRST


def test_once_it_is_receipted_the_key_that_follows_signs():
    ring = KeyRing(FIRST, SECOND, (ENROLMENT, SUCCESSION))
    placed = [Placed(FIRST.kid, RECEIPTED), Placed(SECOND.kid, RECEIPTED)]
    assert ring.signer(placed) == SECOND


def test_a_key_whose_succession_is_not_in_the_chain_never_signs():
    ring = KeyRing(FIRST, SECOND, (ENROLMENT,))
    assert ring.signer([Placed(FIRST.kid, RECEIPTED)]) == FIRST
    assert KeyRing(SECOND, None, (ENROLMENT,)).signer([Placed(FIRST.kid, RECEIPTED)]) is None


def test_a_key_that_was_succeeded_never_signs_again():
    restored = KeyRing(FIRST, None, (ENROLMENT,))
    assert restored.signer([Placed(FIRST.kid, RECEIPTED), Placed(SECOND.kid, RECEIPTED)]) is None


def test_where_the_former_key_is_gone_its_successor_signs():
    ring = KeyRing(SECOND, None, (ENROLMENT, SUCCESSION))
    placed = [Placed(FIRST.kid, RECEIPTED), Placed(SECOND.kid, UNRECEIPTED)]
    assert ring.signer(placed) == SECOND


def test_a_subscription_knows_the_installation_by_its_first_key():
    ring = KeyRing(SECOND, None, (ENROLMENT, SUCCESSION))
    assert ring.installation(SENT.vendor, SENT.subscription) == FIRST.installation


def test_another_subscription_is_enrolled_by_the_current_key():
    ring = KeyRing(SECOND, None, (ENROLMENT, SUCCESSION))
    assert ring.installation(SENT.vendor, "another") == SECOND.installation


def test_statements_of_an_installation_that_was_given_up_do_not_count():
    ring = KeyRing(THIRD, None, (ENROLMENT, SUCCESSION))
    assert ring.installation(SENT.vendor, SENT.subscription) == THIRD.installation


def test_what_a_former_key_has_signed_is_still_known_as_ours():
    ring = KeyRing(SECOND, None, (ENROLMENT, SUCCESSION))
    ranks = {kid: known.rank for kid, known in ring.public_keys().items()}
    assert ranks == {FIRST.kid: 1, SECOND.kid: 2}


def test_a_built_succession_is_one_that_a_receiver_accepts():
    from licenseusage.reports.keychain import verify_keys

    keys = verify_keys((ENROLMENT, SUCCESSION), VENDOR_KEYS, now_s=NOW_S)
    assert [known.rank for known in keys.values()] == [1, 2]
    assert list(keys) == [FIRST.kid, SECOND.kid]


def test_an_enrolment_names_no_reason():
    assert KeyStatement.from_token(ENROLMENT).reason is None


def test_a_succession_without_a_key_is_refused_by_its_name():
    header, claims = decode(SUCCESSION)
    without = {name: value for name, value in claims.items() if name != "cnf"}
    forged = b".".join(map(packed, (header, without))).decode() + ".AAAA"
    with pytest.raises(Refused):
        KeyStatement.from_token(forged)


def packed(part):
    return base64.urlsafe_b64encode(json.dumps(dict(part)).encode()).rstrip(b"=")


def test_a_chain_that_does_not_begin_with_its_enrolment_is_left_out():
    assert key_chains([SUCCESSION]) == {}
    (chain,) = key_chains([ENROLMENT]).values()
    assert [statement.token for statement in chain] == [ENROLMENT]


def test_a_document_says_which_key_has_signed_it():
    assert signed_by(ENROLMENT) == FIRST.kid
    assert signed_by(succession(SECOND, THIRD, 3, SUCCESSION)) == SECOND.kid


def test_the_tokens_are_told_and_never_repeated_by_a_ring_in_words():
    assert ENROLMENT not in repr(KeyRing(FIRST).chains)
    assert "chains" not in repr(KeyRing(FIRST, None, (ENROLMENT,)))


@pytest.mark.parametrize(
    ("following", "wanted", "rotating"),
    [(None, None, False), (SECOND, None, True), (None, "Scheduled", True), (SECOND, "x", True)],
)
def test_a_rotation_is_wanted_or_under_way(following, wanted, rotating):
    assert KeyRing(FIRST, following, (), wanted).rotating is rotating


@pytest.mark.parametrize(
    ("exported", "at"),
    [
        ((), None),
        (("2026-01-02", "pseudonym", FIRST.kid, SECOND.kid), "2026-01-02"),
        (("2026-01-02", "pseudonym", FIRST.kid, SECOND.kid, "older"), "2026-01-02"),
        (("2026-01-02", "pseudonym", FIRST.kid), None),
        (("2026-01-02", FIRST.kid, SECOND.kid), None),
    ],
)
def test_keys_are_exported_if_each_of_them_was(exported, at):
    assert KeyRing(FIRST, SECOND, exported=exported).exported_at("pseudonym") == at


def test_each_subscription_that_has_enrolled_knows_the_installation_by_its_first_key():
    ring = KeyRing(SECOND, None, (ENROLMENT, SUCCESSION))
    assert ring.installation_ids() == {SENT.subscription: FIRST.installation}
    assert KeyRing(SECOND).installation_ids() == {}


def test_where_nothing_is_enrolled_the_current_key_signs():
    assert KeyRing(FIRST, SECOND).signer([]) == FIRST


def test_the_key_of_the_newest_report_signs_until_another_one_is_receipted():
    ring = KeyRing(FIRST, SECOND, (ENROLMENT, SUCCESSION))
    placed = [Placed(FIRST.kid, RECEIPTED), Placed(SECOND.kid, UNRECEIPTED)]
    assert ring.signer(placed, SECOND.kid) == SECOND
    assert ring.signer(placed, FIRST.kid) == FIRST


def test_before_anything_is_receipted_the_first_key_of_the_chain_signs():
    ring = KeyRing(FIRST, SECOND, (ENROLMENT, SUCCESSION))
    assert ring.signer([Placed(FIRST.kid, UNRECEIPTED), Placed(SECOND.kid, UNRECEIPTED)]) == FIRST
