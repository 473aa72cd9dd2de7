"""A proof opens a report's commitment, and nothing else does."""

import json
from dataclasses import replace

import pytest

from licenseusage.reports.names import commitment, digest
from licenseusage.reports.proof import CountedProof, ProofError, check_proof, read_proof
from tests.reports.conformance import TOKENS, VECTORS

DERIVED = VECTORS["derived"]
SALT = bytes.fromhex(DERIVED["commitment"]["salt"])
USERS = sorted(bytes.fromhex(one) for one in DERIVED["commitment"]["pseudonyms"])
TOKEN = TOKENS["report-commitment"]
PROOF = CountedProof(digest(TOKEN), SALT, b"".join(USERS), (USERS[2],))
STRANGER = b"x" * 16


def why(proof, *tokens):
    with pytest.raises(ProofError) as error:
        check_proof(proof, tokens or (TOKEN,))
    return str(error.value)


def test_the_vectors_report_is_opened_by_its_salt_and_users():
    assert commitment(SALT, USERS) == DERIVED["commitment"]["digest"]
    assert check_proof(PROOF, [TOKEN]) == TOKEN


def test_a_proof_says_who_is_counted_and_who_is_not():
    assert PROOF.counted
    assert not replace(PROOF, pseudonyms=(STRANGER,)).counted
    assert replace(PROOF, pseudonyms=(STRANGER, USERS[0])).counted


def test_it_is_the_same_after_it_was_written_and_read():
    assert read_proof(PROOF.to_json()) == PROOF


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"salt": b"y" * 32}, "not those that the report commits to"),
        ({"users": b"".join(USERS[1:])}, "not those that the report commits to"),
        ({"users": b"".join([*USERS, STRANGER])}, "not those that the report commits to"),
        ({"report": digest("x")}, "about another report"),
    ],
)
def test_what_does_not_open_the_commitment_proves_nothing(change, words):
    assert words in why(replace(PROOF, **change))


def test_salt_and_list_cannot_be_cut_elsewhere():
    moved = replace(PROOF, salt=SALT + USERS[0], users=b"".join(USERS[1:]))
    assert "not those that the report commits to" in why(moved)


def test_a_report_without_a_commitment_proves_nothing():
    token = TOKENS["report-2-final"]
    assert why(replace(PROOF, report=digest(token)), token) == "the report has no commitment"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", '{"proof": "another", "counted": true}', "x" * 100],
)
def test_what_is_no_proof_is_called_so(text):
    with pytest.raises(ProofError):
        read_proof(text)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("counted", False),
        ("counted", "true"),
        ("pseudonyms", []),
        ("pseudonyms", ["00"]),
        ("users", "?"),
        ("salt", "xy"),
        ("proof", "licenseusage-counted-users-v2"),
    ],
)
def test_a_proof_that_was_edited_is_refused(member, value):
    document = json.loads(PROOF.to_json()) | {member: value}
    with pytest.raises(ProofError):
        read_proof(json.dumps(document))
