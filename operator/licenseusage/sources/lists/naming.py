"""Pseudonyms of a whole list, most of them as they were at the last poll.

A list is read again and again, and little of it changes. What a worker remembers of one is a column
of pseudonyms in the order of the listing and beside it a column of keyed hashes of the ids, 64 bits
each: never an id. Where the hashes of some rows are those that stood there before, so are their
pseudonyms, and nothing is computed. A pseudonym depends on key, product, cycle and id alone, so
what is remembered can be missing or out of date, and the result is the same.

An id that is new is held against some thousands of hashes around its place: that one of them is
equal by chance, so that somebody would be taken for somebody else, happens once in 10^15 new ids.
Python's hash of a text is keyed anew in each process (SipHash), so nobody can choose ids for it.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from itertools import count as count_from
from operator import ne

from licenseusage.metering.packing import changed, packed, unpacked
from licenseusage.metering.pseudonym import SIZE, Pseudonymiser

_AROUND = 1024
"""Rows by which a list may have moved between two polls, beyond those looked at together."""


@dataclass(frozen=True, slots=True)
class Named:
    """The users of one pass over a list; 40 bytes each.

    Attributes:
        hashes: Keyed hash of each normalised id, in the order of the listing.
        users: Their pseudonyms, in the same order.
        everybody: The same packed: sorted and distinct.
    """

    hashes: "array[int]"
    users: bytes
    everybody: bytes

    @property
    def size(self) -> int:
        """The size in bytes."""
        return len(self.hashes) * self.hashes.itemsize + len(self.users) + len(self.everybody)


class Naming:
    """Names the users of one pass over a list, in its order, for one cycle."""

    __slots__ = ("_at", "_hashes", "_known", "_named", "_new", "_pseudonyms", "_still", "_users")

    def __init__(self, pseudonyms: Pseudonymiser, known: Named | None = None) -> None:
        """Prepare.

        Args:
            pseudonyms: Of the cycle.
            known: What was made of this list before, with the same pseudonyms.
        """
        self._pseudonyms = pseudonyms
        self._known = known
        self._at = 0  # where the next row is expected
        self._still = bytearray(len(known.hashes) if known is not None else 0)
        self._hashes = array("q")
        self._users = bytearray()
        self._new = bytearray()
        self._named: Named | None = None

    @property
    def users(self) -> bytearray:
        """Pseudonyms of all named so far, in the order of the listing."""
        return self._users

    def name(self, names: Sequence[str]) -> bytes:
        """Return the pseudonyms of some users, one after the other.

        Args:
            names: Normalised ids.
        """
        hashes = array("q", map(hash, names))
        self._hashes += hashes
        if self._known is not None:
            users = self._again(self._known, names, hashes)
        else:
            users = b"".join(self._pseudonyms.each(names))
        self._users += users
        return users

    def named(self) -> Named:
        """Return the memory of the pass, which has ended."""
        if self._named is None:
            known, users = self._known, self._users
            same = known is not None and users == known.users
            self._named = known if same else self._remembered(bytes(users))
        assert self._named is not None  # noqa: S101
        return self._named

    def _again(self, known: Named, names: Sequence[str], hashes: "array[int]") -> bytes:
        first, count = self._at, len(hashes)
        before = known.hashes[first : first + count]
        others: list[int] = []
        if before != hashes:
            others = list(compress(range(count), map(ne, hashes, before)))
            others += range(len(before), count)
        if len(others) * 8 > count:
            return self._moved(known, names, hashes)
        # Some are others, and all the rest stand where they stood.
        self._at += count
        # Who stood in the place of another may have been found elsewhere already (`_moved`).
        marks = [(first + row, self._still[first + row]) for row in others if row < len(before)]
        self._still[first : first + len(before)] = b"\1" * len(before)
        for place, mark in marks:
            self._still[place] = mark
        users = known.users[first * SIZE : (first + count) * SIZE]
        if not others:
            return users
        patched = bytearray(users)
        for row in others:
            patched[row * SIZE : (row + 1) * SIZE] = self._new_one(names[row])
        return bytes(patched)

    def _moved(self, known: Named, names: Sequence[str], hashes: "array[int]") -> bytes:
        """Look for each of some rows near its expected position."""
        first, count = self._at, len(hashes)
        start = max(0, first - count)
        around = known.hashes[start : first + 2 * count + _AROUND]
        there = dict(zip(around, count_from(start), strict=False))
        users = bytearray()
        self._at += count
        for name, place in zip(names, map(there.get, hashes), strict=True):
            if place is None:
                users += self._new_one(name)
            else:
                users += known.users[place * SIZE : (place + 1) * SIZE]
                self._still[place] = 1
                self._at = place + 1
        return bytes(users)

    def _new_one(self, name: str) -> bytes:
        user = self._pseudonyms(name)
        self._new += user
        return user

    def _remembered(self, users: bytes) -> Named:
        """Pack the users, from those packed before where each of these stood in the list once."""
        known = self._known
        if known is None or len(known.everybody) != len(known.users):
            return Named(self._hashes, users, packed(unpacked(users)))
        gone = set()
        place = self._still.find(0)
        while place >= 0:
            gone.add(known.users[place * SIZE : (place + 1) * SIZE])
            place = self._still.find(0, place + 1)
        everybody = changed(known.everybody, set(unpacked(self._new)), gone)
        return Named(self._hashes, users, everybody)
