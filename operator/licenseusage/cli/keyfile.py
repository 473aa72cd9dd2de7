"""The file of exported keys: the two Secrets as a Kubernetes List, encrypted by age.

The program ``age`` decrypts it, too: ``age -d keys.age | kubectl create -f -`` restores the Secrets
without this program.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from licenseusage.cli.agefile import decrypted, encrypted
from licenseusage.controller.rules.keysecrets import (
    EXPORTED,
    NEXT_KEY,
    PRIVATE_KEY,
    PSEUDONYM_KEY,
    STATEMENTS,
    exported_line,
)
from licenseusage.errors import Stalled
from licenseusage.metering.pseudonym import KEY_BYTES, key_id
from licenseusage.reasons import Reason
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.keys import SigningKey
from licenseusage.reports.refused import Refused

SHORTEST = 12
"""Characters of a passphrase: whoever has the file may try passphrases for years."""


@dataclass(frozen=True, slots=True)
class ExportedKeys:
    """The keys of an operator, outside its cluster. Secret; its ``repr`` shows ids only.

    Attributes:
        ring: The identity's keys, with the statements beside them.
        pseudonym_id: Public name of the pseudonym key.
        secrets: The two Secrets, as they are to be created; not shown.
    """

    ring: KeyRing
    pseudonym_id: str
    secrets: tuple["SecretObject", "SecretObject"]


@dataclass(frozen=True, slots=True)
class SecretObject:
    """A Secret: where it is, and its members. Its ``repr`` shows no value."""

    namespace: str
    name: str
    values: "Members"

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "SecretObject":
        """Read a Secret as the API server has it.

        Raises:
            ValueError: It is none.
        """
        try:
            meta, data = raw["metadata"], raw.get("data") or {}
            values = {name: b64decode(value, validate=True) for name, value in data.items()}
            return cls(str(meta["namespace"]), str(meta["name"]), Members(values))
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ValueError("no Secret") from None

    def manifest(self) -> dict[str, object]:
        """Return the object to be created."""
        values = self.values.by_name
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": {"app.kubernetes.io/managed-by": "licenseusage-operator"},
            },
            "type": "Opaque",
            "data": {name: b64encode(value).decode() for name, value in values.items()},
        }


@dataclass(frozen=True, slots=True, repr=False)
class Members:
    """Values by name, never shown."""

    by_name: Mapping[str, bytes]


def keys_of(identity: SecretObject, pseudonym: SecretObject) -> ExportedKeys:
    """Return the keys in the two Secrets.

    Raises:
        Stalled: ``IdentityInvalid`` or ``PseudonymKeyInvalid``: a Secret does not hold its key.
    """
    values, key = identity.values.by_name, pseudonym.values.by_name.get(PSEUDONYM_KEY, b"")
    if len(key) != KEY_BYTES:
        raise Stalled(
            Reason.PSEUDONYM_KEY_INVALID,
            f"Secret {pseudonym.namespace}/{pseudonym.name}, key {PSEUDONYM_KEY}, has {len(key)} "
            f"bytes instead of {KEY_BYTES}.",
        )
    following = values.get(NEXT_KEY)
    try:
        ring = KeyRing(
            current=_key(values.get(PRIVATE_KEY, b"")),
            following=None if following is None else _key(following),
            statements=tuple(values.get(STATEMENTS, b"").decode("ascii", "replace").split()),
        )
    except Refused as refusal:
        raise Stalled(
            Reason.IDENTITY_INVALID,
            f"Secret {identity.namespace}/{identity.name} holds no key that signs: "
            f"{refusal.message}.",
        ) from None
    return ExportedKeys(ring, key_id(key), (identity, pseudonym))


def sealed(keys: ExportedKeys, passphrase: str, time: str) -> bytes:
    """Return the encrypted file.

    Args:
        keys: The keys; both Secrets as they are.
        passphrase: Checked by `acceptable`.
        time: When they are exported, RFC 3339. It goes into the file: who imports it has it.
    """
    identity, pseudonym = keys.secrets
    marked = dict(identity.values.by_name) | {EXPORTED: exported_mark(keys, time).encode()}
    items = [
        SecretObject(identity.namespace, identity.name, Members(marked)).manifest(),
        pseudonym.manifest(),
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=1)
    return encrypted(text.encode(), passphrase)


def exported_mark(keys: ExportedKeys, time: str) -> str:
    """Return what the identity's Secret remembers of an export: when, and of which keys."""
    return exported_line(time, [key.kid for key in keys.ring.keys], keys.pseudonym_id)


def opened(data: bytes, passphrase: str, source: str) -> ExportedKeys:
    """Decrypt and read a file of keys.

    Raises:
        Stalled: ``PassphraseWrong``; ``KeyFileInvalid``: it is none, was cut or damaged, or does
            not hold two Secrets; ``KeyFileTooCostly``: another machine has to open it;
            ``IdentityInvalid`` or ``PseudonymKeyInvalid``: a key in it is no key.
    """
    text = decrypted(data, passphrase, source)
    try:
        identity, pseudonym = map(SecretObject.read, json.loads(text)["items"])
    except (ValueError, KeyError, TypeError):
        raise Stalled(
            Reason.KEY_FILE_INVALID,
            f"{source} was opened and does not hold the operator's two Secrets.",
        ) from None
    return keys_of(identity, pseudonym)


def acceptable(passphrase: str) -> str:
    """Return a passphrase that may protect keys.

    Raises:
        Stalled: ``PassphraseUnusable``.
    """
    if len(passphrase) < SHORTEST:
        raise Stalled(
            Reason.PASSPHRASE_UNUSABLE,
            f"The passphrase has {len(passphrase)} characters; {SHORTEST} are needed, and a few "
            f"random words are better. Whoever finds the file may try for years.",
        )
    return passphrase


def _key(raw: bytes) -> SigningKey:
    return SigningKey.from_jwk(raw.decode("utf-8", "replace"))
