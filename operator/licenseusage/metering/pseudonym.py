"""Pseudonyms: who was active can be compared within a cycle, and never followed to the next.

Only the customer holds the key; without it nobody can link a pseudonym to a person, or a person's
pseudonyms of two cycles (DESIGN §4). They never leave the ledger.
"""

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

SIZE: Final = 16
KEY_BYTES: Final = 32
_BLOCK: Final = 64  # bytes that SHA-256 takes at a time
_RECORD_LABEL: Final = b"usage-person-record-v1\0"
_KEY_ID_LABEL: Final = b"usage-pseudonym-key-id-v1"


class Pseudonymiser:
    """Turns the normalised ids of one product and cycle into 16-byte pseudonyms.

    The pseudonym is the first 16 bytes of HMAC-SHA256(key, product ‖ 0x00 ‖ cycle start in epoch
    seconds, decimal ‖ 0x00 ‖ normalised id), text as UTF-8.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes, product: str, cycle_start_s: int) -> None:
        """Prepare for one product and cycle.

        Args:
            key: The customer-held key, 32 bytes.
            product: The vendor's product id.
            cycle_start_s: Start of the cycle, seconds since the epoch.
        """
        # HMAC as RFC 2104 defines it, its two hashes begun once and copied for each id: a third of
        # the time of `hmac.digest`, which begins both anew.
        block = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._inner.update(b"%b\0%d\0" % (product.encode(), cycle_start_s))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def __call__(self, normalised_id: str) -> bytes:
        """Return the 16-byte pseudonym of one id."""
        return next(self.each((normalised_id,)))

    def each(self, normalised_ids: Iterable[str]) -> Iterator[bytes]:
        """Yield the pseudonyms of many ids, in their order."""
        inner, outer = self._inner.copy, self._outer.copy
        for name in normalised_ids:
            first, second = inner(), outer()
            first.update(name.encode("utf-8", "surrogatepass"))
            second.update(first.digest())
            yield second.digest()[:SIZE]


def key_id(key: bytes) -> str:
    """Return the public name of a pseudonym key: 32 hex digits (REPORT_FORMAT §5)."""
    return hmac.digest(key, _KEY_ID_LABEL, "sha256").hex()[:32]


def record_name(key: bytes, person: str) -> str:
    """Return how a person is named in records of who asked for whom: 32 hex digits.

    Always the same, so that the holder of the key can find all requests about somebody; no
    pseudonym of any cycle, so that records lead nobody to facts in the ledger.
    """
    return hmac.digest(
        key, _RECORD_LABEL + person.encode("utf-8", "surrogatepass"), "sha256"
    ).hex()[:32]


def identity_domain(
    identity: str, id_expressions: Mapping[str, str], normalisation: str, key: str
) -> str:
    """Return a short name for an identity domain; users of different domains are never united.

    Args:
        identity: The declared ``identity``: sources with the same one share ids.
        id_expressions: Source name -> how the id is read, for every source of this identity. Part
            of the domain, because after a change of one of them the same person would count twice
            (MEASUREMENT §7).
        normalisation: How the ids are normalised, as text.
        key: The pseudonym key's id.
    """
    readers = [f"{name}={id_expressions[name]}" for name in sorted(id_expressions)]
    text = "\0".join((identity, *readers, normalisation, key))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
