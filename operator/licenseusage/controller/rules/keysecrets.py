"""The members of the two Secrets with the installation's keys. Pure, and quick to load."""

from collections.abc import Mapping, Sequence

PRIVATE_KEY = "private.jwk"
NEXT_KEY = "next.jwk"
"""The key that is to follow, while a rotation is under way (`steps.rotating`)."""
ROTATE = "rotate"
"""Why an administrator wants another key: ``Scheduled``, ``Suspected``, ….

A member of the identity's Secret: so whoever may ask for another key is exactly who may write the
Secret, and the API server's audit log has the name.
"""
EXPORTED = "exported"
"""When these keys were exported last, and which: `exported_line`."""
STATEMENTS = "statements"
REPLACES = "replaces"
"""In either Secret: what the new key takes the place of, as an administrator decided."""
PSEUDONYM_KEY = "key"
IDENTITY_MEMBERS: Mapping[str, str] = {
    PRIVATE_KEY: "private key that signs reports",
    NEXT_KEY: "private key that is to follow it, during a rotation",
    ROTATE: "why an administrator wants another key",
    EXPORTED: "when these keys were exported last",
    STATEMENTS: "enrolments and successions, as signed (public)",
    REPLACES: "id of the installation whose place this one takes",
}
"""What each member of the identity's Secret is for; `docs/privacy.md` is made of it."""
PSEUDONYM_MEMBERS: Mapping[str, str] = {
    PSEUDONYM_KEY: "key of the keyed hashes that replace ids in the ledger",
    REPLACES: "public name of the lost key whose place this one takes",
}
"""Likewise of the Secret of the pseudonyms."""


def exported_line(time: str, kids: Sequence[str], pseudonym_id: str) -> str:
    """Return what the identity's Secret remembers of an export."""
    return " ".join((time, *kids, pseudonym_id))
