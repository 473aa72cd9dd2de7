"""Which key signs in which chain, before, while and after a key is succeeded by another."""

from licenseusage.reports.keyring import KeyRing, KeyStatement, Placed, key_chains
from licenseusage.reports.names import digest
from licenseusage.reports.succession import build_succession
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
