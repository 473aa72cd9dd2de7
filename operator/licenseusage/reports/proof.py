"""A proof that a person is, or is not, among those whom a report counted (REPORT_FORMAT §5).

It opens the report's commitment: the salt, and the pseudonyms of everybody counted. They are of one
cycle, and tell nothing to whoever lacks the customer's key. That a pseudonym is a certain person's
only the holder of the key can show.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from licenseusage.reports.names import commitment_to, digest
from licenseusage.reports.report import read_report

KIND: Final = "licenseusage-counted-users-v1"
_SIZE: Final = 16
_SALT_BYTES: Final = 32


class ProofError(ValueError):
    """A proof that proves nothing; its text says why, for people."""


@dataclass(frozen=True, slots=True)
class CountedProof:
    """Who was counted, as a report commits to it.

    Attributes:
        report: Digest of the report's token.
        salt: 32 octets.
        users: 16-byte pseudonyms, ascending, one after the other.
        pseudonyms: Of the person in question: one for each way in which sources write the id.
    """

    report: str
    salt: bytes
    users: bytes
    pseudonyms: tuple[bytes, ...]

    @property
    def counted(self) -> bool:
        """Whether the person is among those counted."""
        users = {self.users[at : at + _SIZE] for at in range(0, len(self.users), _SIZE)}
        return not users.isdisjoint(self.pseudonyms)

    def to_json(self) -> str:
        """Return the proof as a document."""
        document = {
            "proof": KIND,
            "report": self.report,
            "counted": self.counted,
            "pseudonyms": [pseudonym.hex() for pseudonym in self.pseudonyms],
            "salt": self.salt.hex(),
            "users": b64encode(self.users).decode(),
        }
        return json.dumps(document, indent=1) + "\n"


def read_proof(text: str) -> CountedProof:
    """Return a proof as it was written.

    Raises:
        ProofError: It is none, or says about itself what is not so.
    """
    try:
        document = json.loads(text)
        kind, counted = document["proof"], document["counted"]
        proof = CountedProof(
            report=str(document["report"]),
            salt=bytes.fromhex(document["salt"]),
            users=b64decode(document["users"], validate=True),
            pseudonyms=tuple(bytes.fromhex(digits) for digits in document["pseudonyms"]),
        )
    except (ValueError, KeyError, TypeError):
        raise ProofError(f"it is no document of the kind {KIND}") from None
    if kind != KIND:
        raise ProofError(f"it is not of the kind {KIND}")
    if not proof.pseudonyms or any(len(named) != _SIZE for named in proof.pseudonyms):
        raise ProofError("it names no person by pseudonyms of 16 bytes")
    if counted is not proof.counted:
        raise ProofError("what it says of the person is not what its own list says")
    return proof


def check_proof(proof: CountedProof, tokens: Sequence[str]) -> str:
    """Hold a proof against reports; return the token that it is about.

    The report's own signature is not looked at.

    Raises:
        ProofError: It is about none of them, or does not open its commitment.
    """
    token = next(
        (given for given in tokens if given.isascii() and digest(given) == proof.report), None
    )
    if token is None:
        raise ProofError(f"it is about another report, {proof.report}")
    content = read_report(token).content
    if content.commitment is None:
        raise ProofError("the report has no commitment")
    if len(proof.salt) != _SALT_BYTES or commitment_to(proof.salt, proof.users) != (
        content.commitment
    ):
        raise ProofError("its salt and list are not those that the report commits to")
    users = [proof.users[at : at + _SIZE] for at in range(0, len(proof.users), _SIZE)]
    if any(first >= second for first, second in pairwise(users)):
        raise ProofError("its list is not ascending, or names somebody twice")
    if len(proof.users) % _SIZE or len(users) != content.active_users:
        raise ProofError(
            f"its list has {len(users)} users, and the report counts {content.active_users}"
        )
    return token
