"""One reading only (REPORT_FORMAT §2): against a generator, against fuzz, and case by case."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.reports.refused import Refused
from licenseusage.reports.strictjson import MAX_DEPTH, MAX_INTEGER, parse_object

integers = st.integers(-MAX_INTEGER, MAX_INTEGER)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
leaves = st.none() | st.booleans() | integers | text
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=20,
)


def depth(value):
    if isinstance(value, dict):
        return 1 + max((depth(item) for item in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((depth(item) for item in value), default=0)
    return 0


def contained(value):
    """Whether no value is more than 8 levels below the top object; member names count as values."""
    return depth(value) <= MAX_DEPTH


@given(st.dictionaries(text, values, max_size=4), st.booleans())
def test_what_is_written_is_what_is_read(value, ascii_only):
    raw = json.dumps(value, ensure_ascii=ascii_only).encode()
    if contained(value):
        assert parse_object(raw) == value
    else:
        with pytest.raises(Refused):
            parse_object(raw)


def judged(raw):
    """Return the object, or the class of the refusal; anything else is raised."""
    try:
        return parse_object(raw)
    except Refused as refusal:
        return refusal.error


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_refused(raw):
    value = judged(raw)
    assert isinstance(value, dict) or value in {"MalformedJSON", "NumberInvalid"}


@given(st.text(alphabet='{}[]",:0123456789.eE+-\\ud8 tfnrule\t', max_size=60))
def test_any_text_like_json_is_an_object_or_refused(body):
    value = judged(body.encode())
    assert value in ("MalformedJSON", "NumberInvalid") or json.loads(body) == value


@pytest.mark.parametrize(("levels", "kept"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False)])
def test_the_deepest_value_lies_eight_levels_below_the_top(levels, kept):
    raw = b'{"a":' + b"[" * (levels - 1) + b"1" + b"]" * (levels - 1) + b"}"
    assert isinstance(judged(raw), dict) is kept


@given(st.dictionaries(text, leaves, min_size=1, max_size=4), st.data())
def test_a_member_that_occurs_twice_is_refused(value, data):
    name = data.draw(st.sampled_from(sorted(value)))
    escaped = "".join(f"\\u{ord(char):04x}" for char in name if ord(char) < 0x10000)
    again = escaped if len(escaped) == 6 * len(name) else json.dumps(name)[1:-1]
    raw = json.dumps(value)[:-1] + f', "{again}": 1}}'
    with pytest.raises(Refused, match="twice"):
        parse_object(raw.encode())


@pytest.mark.parametrize(
    "number",
    [
        "1.0",
        "1e2",
        "-0",
        "01",
        "9007199254740992",
        "-9007199254740992",
        "NaN",
        "Infinity",
        "9" * 5000,
    ],
)
def test_a_number_that_is_not_a_plain_integer_is_refused(number):
    with pytest.raises(Refused) as caught:
        parse_object(b'{"a": %s}' % number.encode())
    assert caught.value.error in {"NumberInvalid", "MalformedJSON"}


@pytest.mark.parametrize("number", [0, 1, -1, MAX_INTEGER, -MAX_INTEGER])
def test_a_plain_integer_is_kept(number):
    assert parse_object(b'{"a": %d}' % number) == {"a": number}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"1",
        b"{} {}",
        b"{},",
        b"\xef\xbb\xbf{}",
        b'{"a": "\\ud800"}',
        b'{"\\udc00": 1}',
        b'{"a": "\xff"}',
        b"[" * 100_000,
        b'{"a":' * 60_000,
    ],
    ids=lambda raw: repr(raw[:20]),
)
def test_what_is_not_one_object_is_refused(raw):
    with pytest.raises(Refused) as caught:
        parse_object(raw)
    assert caught.value.error == "MalformedJSON"
