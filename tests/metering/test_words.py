"""Packed users with words are the dictionary that they were made of."""

from hypothesis import given
from hypothesis import strategies as st

from licenseusage.metering.words import PackedWords

users = st.binary(min_size=16, max_size=16)
words = st.dictionaries(users, st.sampled_from([1, 2, 3, 1 << 62]), max_size=40)


@given(words)
def test_packed_words_are_the_same_mapping(held: dict[bytes, int]) -> None:
    packed = PackedWords.of(held)
    assert packed == held
    assert len(packed) == len(held)
    assert dict(packed.items()) == held
    assert sorted(packed.values()) == sorted(held.values())
    assert {user: packed[user] for user in packed} == held


@given(words, users)
def test_who_is_not_held_has_no_word(held: dict[bytes, int], other: bytes) -> None:
    assert PackedWords.of(held).get(other, 0) == held.get(other, 0)


@given(words, users, users)
def test_a_span_has_its_first_user_and_not_its_end(
    held: dict[bytes, int], one: bytes, other: bytes
) -> None:
    first, end = sorted((one, other))
    expected = {user: word for user, word in held.items() if first <= user < end}
    assert PackedWords.of(held).between(first, end) == expected
    rest = {user: word for user, word in held.items() if user >= first}
    assert PackedWords.of(held).between(first, None) == rest


def test_packed_words_are_packed_once() -> None:
    packed = PackedWords.of({b"u" * 16: 1})
    assert PackedWords.of(packed) is packed
