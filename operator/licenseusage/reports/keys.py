"""Keys: how to make and name them, and what each may sign (REPORT_FORMAT §3, §4).

All are Ed25519. A public key is refused unless its point is canonical and not of small order: under
a point of small order there are signatures that fit every message.
"""

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey

from licenseusage.errors import Stalled
from licenseusage.reasons import Reason
from licenseusage.reports.grammar import THUMBPRINT
from licenseusage.reports.refused import Refused, need
from licenseusage.reports.strictjson import parse_object
from licenseusage.reports.typs import ALGORITHM, LICENSE, RECEIPT, THUMBPRINT_URI

_FIELD_PRIME = 2**255 - 19
_SMALL_ORDER = {
    "00" * 32,
    "01" + "00" * 31,
    "ec" + "ff" * 30 + "7f",
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
}
"""Encodings of Ed25519 points of small order, sign bit cleared, as hex."""


def encode_base64url(raw: bytes) -> str:
    """Return unpadded base64url."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A checked Ed25519 public key.

    Attributes:
        x: The point, 32 octets as unpadded base64url.
    """

    x: str

    @classmethod
    def from_jwk(cls, jwk: object) -> "PublicKey":
        """Read a JWK of exactly ``kty``, ``crv`` and ``x``.

        Raises:
            Refused: ``KeyInvalid``.
        """
        if not isinstance(jwk, dict) or set(jwk) != {"kty", "crv", "x"}:
            raise Refused(Reason.KEY_INVALID, "exactly the members kty, crv and x")
        x = jwk["x"]
        need(
            jwk["kty"] == "OKP" and jwk["crv"] == "Ed25519",
            Reason.KEY_INVALID,
            "kty OKP, crv Ed25519",
        )
        try:
            THUMBPRINT(x, "x")  # 32 octets have the length of a thumbprint
        except Refused:
            raise Refused(Reason.KEY_INVALID, "x") from None
        raw = urlsafe_b64decode(x + "=")
        need(encode_base64url(raw) == x, Reason.KEY_INVALID, "x")
        need(
            int.from_bytes(raw, "little") & (2**255 - 1) < _FIELD_PRIME,
            Reason.KEY_INVALID,
            "the point is not canonical",
        )
        cleared = raw[:31] + bytes([raw[31] & 0x7F])
        need(cleared.hex() not in _SMALL_ORDER, Reason.KEY_INVALID, "the point has small order")
        return cls(x)

    @property
    def jwk(self) -> dict[str, str]:
        """The JWK of RFC 8037, nothing else in it."""
        return {"kty": "OKP", "crv": "Ed25519", "x": self.x}

    @property
    def thumbprint(self) -> str:
        """RFC 7638 SHA-256 thumbprint, base64url: the ``kid`` of everything this key signs."""
        return _thumbprint(self.x)

    @property
    def installation(self) -> str:
        """The id of the installation that has this as its *first* key (RFC 9278 URI)."""
        return THUMBPRINT_URI + self.thumbprint

    def okp(self) -> OKPKey:
        """Return joserfc's form of the key."""
        return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": self.x})


@lru_cache(maxsize=256)
def _thumbprint(x: str) -> str:
    canonical = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"))
    return encode_base64url(sha256(canonical.encode()).digest())


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private Ed25519 key. Its ``repr`` shows the thumbprint only."""

    public: PublicKey
    _seed: bytes = field(repr=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> "SigningKey":
        """Make the key of a 32-byte seed."""
        raw = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": encode_base64url(raw)}
        return cls(PublicKey.from_jwk(jwk), seed)

    @classmethod
    def from_jwk(cls, text: str) -> "SigningKey":
        """Read a private JWK (JSON text with ``kty``, ``crv``, ``x``, ``d``; others are ignored).

        Raises:
            Refused: ``KeyInvalid``: not JSON, no Ed25519 private key, or ``x`` is not the public
                half of ``d`` (a key that would sign what nobody can verify).
        """
        try:
            jwk = parse_object(text.strip().encode())
            need(jwk.get("kty") == "OKP" and jwk.get("crv") == "Ed25519", Reason.KEY_INVALID)
            THUMBPRINT(jwk.get("d"), "d")
            key = cls.from_seed(urlsafe_b64decode(str(jwk["d"]) + "="))
        except (Refused, ValueError):
            raise Refused(Reason.KEY_INVALID, "a private Ed25519 JWK is expected") from None
        need(jwk.get("x") == key.public.x, Reason.KEY_INVALID, "x is not the public half of d")
        return key

    def to_jwk(self) -> str:
        """Return the private JWK as JSON text. Secret."""
        return json.dumps(
            {
                **self.public.jwk,
                "d": encode_base64url(self._seed),
                "kid": self.kid,
                "alg": ALGORITHM,
                "use": "sig",
            },
            indent=1,
        )

    @property
    def kid(self) -> str:
        """The thumbprint of the public half."""
        return self.public.thumbprint

    @property
    def installation(self) -> str:
        """The installation id, if this is an installation's first key."""
        return self.public.installation

    def okp(self) -> OKPKey:
        """Return joserfc's form of the private key."""
        return OKPKey.import_key({**self.public.jwk, "d": encode_base64url(self._seed)})


def generate_key() -> SigningKey:
    """Make a new key from the system's randomness. Only entry points call this."""
    return SigningKey.from_seed(secrets.token_bytes(32))


class VerifyingKey(Protocol):
    """A key that a token may be verified with."""

    @property
    def public(self) -> PublicKey:
        """The public key."""
        ...

    @property
    def revoked(self) -> bool:
        """Whether it has been revoked; then nothing it signs counts."""
        ...

    def permits(self, typ: str) -> bool:
        """Whether it may sign documents of this type."""
        ...


@dataclass(frozen=True, slots=True)
class InstallationKey:
    """A key that an installation signs with.

    Attributes:
        installation: Id of the installation: the thumbprint URI of its *first* key.
        rank: 1 for the first key, one more for each successor; later ranks retire earlier ones.
        revoked: Set by the vendor only.
    """

    public: PublicKey
    installation: str
    rank: int = 1
    revoked: bool = False

    def permits(self, typ: str) -> bool:
        """Whether the type is one that installations sign."""
        return typ not in (LICENSE, RECEIPT)


InstallationKeys = Mapping[str, InstallationKey]
"""``kid`` to key: every key that an installation has had, retired ones too."""


@dataclass(frozen=True, slots=True)
class VendorKey:
    """A vendor's key, as pinned.

    Attributes:
        usage_types: The ``typ`` values it may sign: the on-line receipt key cannot mint licences.
    """

    public: PublicKey
    usage_types: frozenset[str]
    revoked: bool = False

    def permits(self, typ: str) -> bool:
        """Whether ``usage_types`` names the type."""
        return typ in self.usage_types

    def jwk(self) -> dict[str, object]:
        """Return the member of a JWKS (REPORT_FORMAT §3)."""
        return {
            **self.public.jwk,
            "kid": self.public.thumbprint,
            "alg": ALGORITHM,
            "use": "sig",
            "usage_types": sorted(self.usage_types),
        }


class VendorKeys(Mapping[str, VendorKey]):
    """The vendor's public keys by thumbprint; from a JWKS that the vendor's manifests install."""

    def __init__(self, keys: Iterable[VendorKey]) -> None:
        """Index the keys by their own thumbprints; a ``kid`` that says otherwise is ignored."""
        self._keys = {key.public.thumbprint: key for key in keys}

    @classmethod
    def from_jwks(cls, text: str, *, source: str = "the vendor's JWKS") -> "VendorKeys":
        """Read a JWKS (JSON text).

        Keys of other algorithms are ignored (RFC 7517 §5). A key without ``usage_types`` may sign
        nothing.

        Args:
            text: ``{"keys": […]}``.
            source: What the text was read from, for messages.

        Raises:
            Stalled: ``VendorKeysInvalid``: no JWKS, a malformed or unsafe key, no usable key, or a
                private one.
        """
        try:
            jwks = parse_object(text.encode())
        except Refused as refusal:
            raise _unusable(source, f"it is not strict JSON: {refusal.message}") from None
        members = jwks.get("keys")
        if not isinstance(members, list):
            raise _unusable(source, 'it has no list "keys"')
        keys = [_vendor_key(jwk, source) for jwk in members if _is_ed25519(jwk)]
        if not keys:
            raise _unusable(source, "it holds no Ed25519 key")
        return cls(keys)

    def to_jwks(self) -> str:
        """Return the JWKS as JSON text, to be published."""
        return json.dumps({"keys": [key.jwk() for key in self._keys.values()]}, indent=1) + "\n"

    def __getitem__(self, kid: str) -> VendorKey:
        """Return the key with this thumbprint."""
        return self._keys[kid]

    def __iter__(self) -> Iterator[str]:
        """Iterate over thumbprints."""
        return iter(self._keys)

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._keys)


def _is_ed25519(jwk: object) -> bool:
    return (
        isinstance(jwk, dict)
        and (jwk.get("kty"), jwk.get("crv")) == ("OKP", "Ed25519")
        and jwk.get("alg", ALGORITHM) == ALGORITHM
        and jwk.get("use", "sig") == "sig"
    )


def _vendor_key(jwk: dict[str, object], source: str) -> VendorKey:
    if "d" in jwk:
        raise _unusable(source, "it holds a PRIVATE key: withdraw that key and publish a new one")
    types = jwk.get("usage_types", [])
    if not isinstance(types, list) or not all(isinstance(typ, str) for typ in types):
        raise _unusable(source, "usage_types must be a list of document types")
    try:
        public = PublicKey.from_jwk({name: jwk.get(name) for name in ("kty", "crv", "x")})
    except Refused as refusal:
        raise _unusable(source, refusal.message) from None
    return VendorKey(public, frozenset(str(typ) for typ in types))


def _unusable(source: str, seen: str) -> Stalled:
    return Stalled(
        Reason.VENDOR_KEYS_INVALID,
        f"{source} cannot be used: {seen}. Install the JWKS from the vendor's manifests again.",
    )
