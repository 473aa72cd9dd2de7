"""Sets of pseudonyms, packed: sorted, distinct, 16 bytes each, one after the other.

A million users are 16 MB so, where a set of Python takes 100.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from struct import iter_unpack

from licenseusage.metering.pseudonym import SIZE


def packed(users: Iterable[bytes]) -> bytes:
    """Return a set of pseudonyms as sorted, distinct bytes, one after the other.

    By their first byte, so that of a million users only some thousands at a time are objects.
    """
    parts: defaultdict[int, bytearray] = defaultdict(bytearray)
    for user in users:
        parts[user[0]] += user
    return b"".join(b"".join(sorted(set(unpacked(parts[first])))) for first in sorted(parts))


def unpacked(users: bytes | bytearray) -> Iterator[bytes]:
    """Yield the pseudonyms of packed bytes, in their order."""
    return (user for (user,) in iter_unpack(f"{SIZE}s", users))


def changed(users: bytes, added: set[bytes], gone: set[bytes]) -> bytes:
    """Return packed users with some more, and some less; who is in both stays."""
    if not added and not gone:
        return users
    if SIZE * (len(added) + len(gone)) * 8 > len(users):
        return packed([*(set(unpacked(users)) - gone), *added])
    parts: list[bytes] = []
    at = 0
    for user in sorted(added | gone):
        slots = range(at // SIZE, len(users) // SIZE)
        place = at + SIZE * bisect_left(slots, user, key=lambda slot: _at(users, slot))
        parts.append(users[at:place])
        at = place + SIZE if users[place : place + SIZE] == user else place
        if user in added:
            parts.append(user)
    return b"".join((*parts, users[at:]))


def differences(before: bytes, now: bytes) -> tuple[bytes, bytes]:
    """Return who of packed users was added, and who is gone; quick where these are few."""
    added, gone = bytearray(), bytearray()
    old = new = 0
    while old < len(before) or new < len(now):
        alike = _alike(before, old, now, new)
        old, new = old + alike, new + alike
        was, is_now = before[old : old + SIZE], now[new : new + SIZE]
        if was and (not is_now or was < is_now):
            gone += was
            old += SIZE
        elif is_now:
            added += is_now
            new += SIZE
    return bytes(added), bytes(gone)


def _alike(a: bytes, at_a: int, b: bytes, at_b: int) -> int:
    """Return for how many bytes, of whole users, packed users go on alike."""
    length, step = 0, SIZE
    while (part := a[at_a + length : at_a + length + step]) == b[
        at_b + length : at_b + length + step
    ]:
        length += len(part)
        if len(part) < step:
            return length
        step *= 2
    while step > SIZE:
        step //= 2
        start_a, start_b = at_a + length, at_b + length
        if a[start_a : start_a + step] == b[start_b : start_b + step]:
            length += step
    return length


def _at(users: bytes, slot: int) -> bytes:
    return users[slot * SIZE : (slot + 1) * SIZE]
