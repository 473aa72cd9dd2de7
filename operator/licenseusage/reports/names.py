"""Names that are derived from the named thing (REPORT_FORMAT §2).

A ``jti`` names a position in a chain, not a document: two replicas, a restart, an export and a
re-send all produce the same one, and two different documents for one position collide.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    """One document of a chain: its position (from 1) and the digest of its token."""

    sequence: int
    digest: str

    def claim(self) -> dict[str, object]:
        """Return the JSON form."""
        return {"sequence": self.sequence, "digest": self.digest}


def digest(token: str) -> str:
    """Return ``sha256:`` and 64 hex digits: the digest of the token's ASCII octets as sent.

    Raises:
        UnicodeEncodeError: the text is not ASCII, hence not a token.
    """
    return "sha256:" + hashlib.sha256(token.encode("ascii")).hexdigest()


def hex32(*parts: str) -> str:
    """Return the first 32 hex digits of the SHA-256 of the parts joined by line feeds."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def report_chain_id(
    *, vendor: str, installation: str, subscription: str, namespace: str, name: str
) -> str:
    """Return the id of the chain of one usage object's reports: 32 hex digits."""
    return hex32("usage-chain-v1", vendor, installation, subscription, f"{namespace}/{name}")


def key_chain_id(*, vendor: str, installation: str, subscription: str) -> str:
    """Return the id of the chain of key statements: 32 hex digits."""
    return hex32("usage-keys-v1", vendor, installation, subscription)


def jti_of(chain_id: str, sequence: int) -> str:
    """Return the id of a position: sorts in chain order, and is a DNS label."""
    return f"{chain_id}-{sequence:010d}"


def cluster_id(kube_system_uid: str) -> str:
    """Return the cluster's id in reports: 32 hex digits of the hash of the kube-system UID."""
    return hashlib.sha256(kube_system_uid.encode()).hexdigest()[:32]


def commitment(salt: bytes, pseudonyms: Iterable[bytes]) -> str:
    """Return the digest that commits to the users counted (REPORT_FORMAT §5).

    Args:
        salt: 32 random bytes, new for each report, kept by the customer.
        pseudonyms: The 16-byte pseudonyms counted in ``activeUsers``, each once, in any order.
    """
    return commitment_to(salt, b"".join(sorted(pseudonyms)))


def commitment_to(salt: bytes, users: bytes) -> str:
    """Return `commitment` to pseudonyms that are sorted and distinct, one after the other."""
    return "sha256:" + hashlib.sha256(salt + users).hexdigest()
