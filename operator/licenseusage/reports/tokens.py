"""Layer 1 of REPORT_FORMAT §12: a token, its header, its signature, its JSON.

The octets signed are the octets stored, sent, digested and compared: nobody re-serialises a
payload.
Signatures are joserfc's business; everything that JOSE leaves open (closed header, strict JSON, one
pinned algorithm and type, one exact key) is settled here before joserfc is called.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass

from joserfc import jws
from joserfc.errors import JoseError

from licenseusage.reasons import Reason
from licenseusage.reports.keys import PublicKey, SigningKey, VerifyingKey, encode_base64url
from licenseusage.reports.refused import Refused, need
from licenseusage.reports.strictjson import parse_object
from licenseusage.reports.typs import (
    ALGORITHM,
    ENROLMENT,
    MAX_CHARACTERS,
    MAX_HEADER_CHARACTERS,
    VERSION,
)

Claims = Mapping[str, object]

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_SIGNATURE_OCTETS = 64


@dataclass(frozen=True, slots=True)
class Opened:
    """A token whose signature was verified.

    Attributes:
        claims: The payload; not yet checked against the tables of its type.
        kid: Thumbprint of the key that signed it.
        public: That key.
    """

    claims: Claims
    kid: str
    public: PublicKey


def open_token(token: object, typ: str, keys: Mapping[str, VerifyingKey]) -> Opened:
    """Verify a token of the expected type and return its payload.

    Args:
        token: The candidate; anything that is not a string is refused like a malformed one.
        typ: The one type that is acceptable here.
        keys: Thumbprint to key; not used for an enrolment, which brings its own key.

    Raises:
        Refused: a class of layer 1, or ``KeyUnknown``, ``KeyRevoked``, ``KeyNotPermitted``.
    """
    header, body, signature, text = _split(token, typ)
    own = typ == ENROLMENT
    need(header.get("alg") == ALGORITHM, Reason.UNSUPPORTED_ALGORITHM)
    need(header.get("typ") == typ, Reason.UNSUPPORTED_TYPE, f"expected {typ}")
    need(set(header) == {"alg", "typ", "kid"} | ({"jwk"} if own else set()), Reason.HEADER_INVALID)
    kid = header["kid"]
    if not isinstance(kid, str):
        raise Refused(Reason.HEADER_INVALID, "kid")
    payload, signed = _segment(body), _segment(signature)
    public = _own_key(header["jwk"], kid) if own else _pinned_key(kid, typ, keys)
    need(len(signed) == _SIGNATURE_OCTETS, Reason.SIGNATURE_INVALID)
    try:
        jws.deserialize_compact(text, public.okp(), algorithms=[ALGORITHM])
    except JoseError:
        raise Refused(Reason.SIGNATURE_INVALID) from None
    claims = parse_object(payload)
    need("ver" in claims, Reason.CLAIM_MISSING, "ver")
    # True == 1 in Python, hence the type.
    need(type(claims["ver"]) is int and claims["ver"] == VERSION, Reason.UNSUPPORTED_VERSION)
    return Opened(claims, kid, public)


def sign(typ: str, claims: Claims, key: SigningKey) -> str:
    """Sign a payload once; the returned text is the document from now on.

    Raises:
        Refused: ``TooLarge``: the payload does not fit the type's limit.
    """
    header: dict[str, object] = {"alg": ALGORITHM, "typ": typ, "kid": key.kid}
    if typ == ENROLMENT:
        header["jwk"] = key.public.jwk
    payload = json.dumps(claims, ensure_ascii=False, separators=(",", ":")).encode()
    token = jws.serialize_compact(header, payload, key.okp(), algorithms=[ALGORITHM])
    need(len(token) <= MAX_CHARACTERS[typ], Reason.TOO_LARGE, f"{len(token)} characters")
    return token


def decode(token: str) -> tuple[Claims, Claims]:
    """Return header and payload **without verifying anything**: to show them, or to read our own.

    Raises:
        Refused: ``TooLarge``, ``MalformedToken``, ``MalformedJSON`` or ``NumberInvalid``.
    """
    need(len(token) <= max(MAX_CHARACTERS.values()), Reason.TOO_LARGE)
    need(token.isascii() and token.count(".") == 2, Reason.MALFORMED_TOKEN)
    header, body, _signature = token.split(".")
    return parse_object(_segment(header)), parse_object(_segment(body))


def typ_of(token: str) -> str:
    """Return the type that a token claims to be of, unverified; empty if it names none."""
    need(token.count(".") == 2, Reason.MALFORMED_TOKEN)
    typ = parse_object(_segment(token.split(".", 1)[0])).get("typ")
    return typ if isinstance(typ, str) else ""


def _split(token: object, typ: str) -> tuple[Claims, str, str, str]:
    if not isinstance(token, str):
        raise Refused(Reason.MALFORMED_TOKEN)
    limit = MAX_CHARACTERS[typ]
    need(len(token) <= limit, Reason.TOO_LARGE, f"at most {limit} characters")
    need(token.isascii() and token.count(".") == 2, Reason.MALFORMED_TOKEN)
    header, body, signature = token.split(".")
    need(len(header) <= MAX_HEADER_CHARACTERS, Reason.TOO_LARGE, "header")
    return parse_object(_segment(header)), body, signature, token


def _segment(text: str) -> bytes:
    need(_BASE64URL.fullmatch(text) and len(text) % 4 != 1, Reason.MALFORMED_TOKEN)
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    # Spare bits would give one document several spellings, hence several digests.
    need(encode_base64url(raw) == text, Reason.MALFORMED_TOKEN)
    return raw


def _own_key(jwk: object, kid: str) -> PublicKey:
    public = PublicKey.from_jwk(jwk)
    need(public.thumbprint == kid, Reason.KEY_INVALID, "kid is not the key's thumbprint")
    return public


def _pinned_key(kid: str, typ: str, keys: Mapping[str, VerifyingKey]) -> PublicKey:
    key = keys.get(kid)
    if key is None:
        raise Refused(Reason.KEY_UNKNOWN)
    need(not key.revoked, Reason.KEY_REVOKED)
    need(key.permits(typ), Reason.KEY_NOT_PERMITTED)
    return key.public
