"""Users and their words, packed: a million users are 16 MB so, where a dictionary takes 150.

In a month most users have one of some dozens of words, so those with the same word are one column
of pseudonyms (``packing``).
"""

from bisect import bisect_left
from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from itertools import chain, repeat

from licenseusage.metering.cycles import CYCLE_MASK
from licenseusage.metering.packing import packed, unpacked
from licenseusage.metering.pseudonym import SIZE


class PackedWords(Mapping[bytes, int]):
    """Users with a word each, as ``Facts.sure`` and ``Facts.maybe`` say; never changed.

    Attributes:
        parts: Word -> packed users; nobody is in two of them.
    """

    __slots__ = ("parts",)

    def __init__(self, parts: Mapping[int, bytes]) -> None:
        """Take users that are packed already."""
        self.parts = parts

    @classmethod
    def of(cls, words: Mapping[bytes, int]) -> "PackedWords":
        """Pack users."""
        if isinstance(words, cls):
            return words
        alike: dict[int, bytearray] = {}
        for user, word in words.items():
            alike.setdefault(word, bytearray()).extend(user)
        return cls({word: packed(unpacked(users)) for word, users in alike.items()})

    @classmethod
    def side_by_side(cls, parts: Iterable[Mapping[bytes, int]]) -> "PackedWords":
        """Join users that are in ascending order from part to part, nobody in two of them."""
        joined: dict[int, list[bytes]] = {}
        for part in parts:
            for word, users in cls.of(part).parts.items():
                joined.setdefault(word, []).append(users)
        return cls({word: b"".join(each) for word, each in joined.items()})

    def undated(self) -> "PackedWords":
        """Return the same users with the cycle's bit and no other: on which days is left out."""
        users = chain.from_iterable(map(unpacked, self.parts.values()))
        return PackedWords({CYCLE_MASK: packed(users)} if self.parts else {})

    def between(self, first: bytes, end: bytes | None) -> dict[bytes, int]:
        """Return the users from ``first`` on and before ``end``; None: to the last."""
        words: dict[bytes, int] = {}
        for word, users in self.parts.items():
            last = len(users) if end is None else _place(users, end)
            words.update(dict.fromkeys(unpacked(users[_place(users, first) : last]), word))
        return words

    def __getitem__(self, user: bytes) -> int:
        """Return the word of a user."""
        for word, users in self.parts.items():
            place = _place(users, user)
            if users[place : place + SIZE] == user:
                return word
        raise KeyError(user)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the users, word by word."""
        for users in self.parts.values():
            yield from unpacked(users)

    def __len__(self) -> int:
        """Return how many users there are."""
        return sum(map(len, self.parts.values())) // SIZE

    def items(self) -> ItemsView[bytes, int]:
        """Return users with their words; not by looking each of them up."""
        return _Items(self)

    def values(self) -> ValuesView[int]:
        """Return the word of each user; likewise."""
        return _Values(self)


class _Items(ItemsView[bytes, int]):
    _mapping: PackedWords

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        for word, users in self._mapping.parts.items():
            for user in unpacked(users):
                yield user, word


class _Values(ValuesView[int]):
    _mapping: PackedWords

    def __iter__(self) -> Iterator[int]:
        for word, users in self._mapping.parts.items():
            yield from repeat(word, len(users) // SIZE)


def _place(users: bytes, user: bytes) -> int:
    """Return where a user stands, or would stand, in bytes."""
    slots = range(len(users) // SIZE)
    return SIZE * bisect_left(slots, user, key=lambda slot: users[SIZE * slot : SIZE * (slot + 1)])
