"""The keys that an installation has at hand, and which of them signs in which key chain (§4).

Normally there is one key. During a rotation there are two: the current one and the one that is to
follow. Each subscription has a key chain of its own, so that the switch happens in each of them by
itself: the key that follows signs once the vendor has receipted the succession that names it.

An installation is known by its *first* key. After a rotation that key is gone, and what a
subscription knows the installation by is read from the statements that are kept beside the keys.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from licenseusage.reasons import Reason
from licenseusage.reports.keys import InstallationKey, PublicKey, SigningKey
from licenseusage.reports.receipt import Sent
from licenseusage.reports.refused import Refused
from licenseusage.reports.tokens import decode
from licenseusage.reports.typs import ENROLMENT, SUCCESSION


@dataclass(frozen=True, slots=True)
class KeyStatement:
    """An enrolment or a succession, read and not verified: it is one of our own.

    Attributes:
        sent: Whose it is, its chain and its position.
        signed_by: Thumbprint of the key that signed it.
        brings: The key that it brings: the first one, or the successor.
        issued_at_s: When it was signed, seconds since 1970 UTC.
        reason: Of a succession: ``Scheduled``, ``Suspected``, …; None of an enrolment.
    """

    token: str
    sent: Sent
    signed_by: str
    brings: PublicKey
    issued_at_s: int
    reason: str | None

    @classmethod
    def from_token(cls, token: str) -> "KeyStatement":
        """Read a statement.

        Raises:
            Refused: It is no key statement.
        """
        return _read(token)


@lru_cache(maxsize=4096)
def _read(token: str) -> KeyStatement:
    """Read a statement once: all of them are looked at whenever one is added."""
    sent = Sent.from_token(token)
    header, read = decode(token)
    claims: Mapping[str, Any] = read
    enrols = sent.subject.typ == ENROLMENT
    if not enrols and sent.subject.typ != SUCCESSION:
        raise Refused(Reason.UNSUPPORTED_TYPE, "an enrolment or a succession")
    jwk = header.get("jwk") if enrols else (claims.get("cnf") or {}).get("jwk")
    return KeyStatement(
        token=token,
        sent=sent,
        signed_by=str(header.get("kid")),
        brings=PublicKey.from_jwk(jwk),
        issued_at_s=int(claims["iat"]),
        reason=None if enrols else str(claims.get("reason")),
    )


def signed_by(token: str) -> str:
    """Return the thumbprint of the key that signed one of our own documents."""
    return str(decode(token)[0].get("kid"))


class Placed(NamedTuple):
    """A key's place in a key chain.

    Attributes:
        kid: Thumbprint of the key that the statement at this place brings.
        receipted: Whether the vendor has receipted that statement.
    """

    kid: str
    receipted: bool


def key_chains(tokens: Iterable[str]) -> dict[str, tuple[KeyStatement, ...]]:
    """Return statements by key chain, each in order, as far as they follow each other.

    Anything else among the tokens is left out.
    """
    chains: dict[str, dict[int, KeyStatement]] = {}
    for token in tokens:
        try:
            statement = KeyStatement.from_token(token)
        except Refused:
            continue
        chains.setdefault(statement.sent.chain_id, {})[statement.sent.subject.sequence] = statement
    return {
        chain_id: tuple(by[at] for at in range(1, 1 + _unbroken(by)))
        for chain_id, by in chains.items()
        if 1 in by
    }


def _unbroken(by_sequence: Mapping[int, KeyStatement]) -> int:
    last = 0
    while last + 1 in by_sequence:
        last += 1
    return last


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of an installation, and the statements beside them.

    Attributes:
        current: The key that signs, but in chains that the key that follows has taken over.
        following: The key of a rotation that is under way; None: none is.
        statements: What is kept beside the keys, exactly as signed.
        wanted: Why an administrator wants another key; None: nobody does.
        exported: When keys were exported last, and the ids of those; empty: never.
    """

    current: SigningKey
    following: SigningKey | None = None
    statements: tuple[str, ...] = ()
    wanted: str | None = None
    exported: tuple[str, ...] = ()
    chains: Mapping[str, tuple[KeyStatement, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Read the statements of chains that one of the keys belongs to."""
        kids = {key.kid for key in self.keys}
        ours = {
            chain_id: statements
            for chain_id, statements in key_chains(self.statements).items()
            if kids & {statement.brings.thumbprint for statement in statements}
        }
        object.__setattr__(self, "chains", ours)

    @property
    def keys(self) -> tuple[SigningKey, ...]:
        """The keys, the older one first."""
        return (self.current,) if self.following is None else (self.current, self.following)

    @property
    def rotating(self) -> bool:
        """Whether a rotation is wanted or under way."""
        return self.wanted is not None or self.following is not None

    def exported_at(self, pseudonym_id: str) -> str | None:
        """Return when these keys and no others were exported, RFC 3339; None: they were not."""
        needed = {pseudonym_id, *(key.kid for key in self.keys)}
        return self.exported[0] if needed <= set(self.exported[1:]) else None

    def installation(self, vendor: str, subscription: str) -> str:
        """Return the id that a subscription knows this installation by.

        Where it has not enrolled, the current key will be its first one.
        """
        for statements in self.chains.values():
            sent = statements[0].sent
            if (sent.vendor, sent.subscription) == (vendor, subscription):
                return sent.installation
        return self.current.installation

    def installation_ids(self) -> Mapping[str, str]:
        """Return subscription -> id, of each subscription that has enrolled."""
        firsts = (statements[0].sent for statements in self.chains.values())
        return {sent.subscription: sent.installation for sent in firsts}

    def signer(self, placed: Sequence[Placed], newest: str | None = None) -> SigningKey | None:
        """Return the key that signs in a key chain; None: the chain's key is not at hand.

        Never one that a receipted succession has retired, and never one whose succession is not in
        the chain. Before the vendor has receipted a succession, the former key signs, as long as it
        is at hand.

        Args:
            placed: The chain's keys by position, as the ledger holds them; empty: none is known.
            newest: Thumbprint of the key that signed the newest report; None: there is none.
        """
        if not placed:
            return self.current
        since = [at for at, place in enumerate(placed) if place.receipted or place.kid == newest]
        by_kid = {key.kid: key for key in self.keys}
        usable = [place.kid for place in placed[max(since, default=0) :]]
        return next((by_kid[kid] for kid in usable if kid in by_kid), None)

    def public_keys(self) -> dict[str, InstallationKey]:
        """Return every key that the installation has had, by thumbprint: for what it has signed."""
        known = {
            key.kid: InstallationKey(key.public, key.installation) for key in reversed(self.keys)
        }
        for statements in self.chains.values():
            for rank, statement in enumerate(statements, 1):
                public, installation = statement.brings, statement.sent.installation
                known[public.thumbprint] = InstallationKey(public, installation, rank=rank)
        return known
