"""Plain paths and simple predicates mean what JMESPath means."""

from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathError

from licenseusage.sources.definition.expressions import expression, predicate
from licenseusage.sources.definition.interpreter import EvaluationError, ExpressionError


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("id", ("id",)),
        ("a.b.c", ("a", "b", "c")),
        ('"@odata.id"', ("@odata.id",)),
        ('"a.b".c', ("a.b", "c")),
        ("a[0].b", None),
        ("a || b", None),
        ("values(a)", None),
        ("@", None),
    ],
)
def test_only_field_paths_are_plain(text, path):
    assert expression(text).path == path


@pytest.mark.parametrize("text", ["", "a..b", "a.", "nosuch(a)", "a[?b ==]", "(" * 3000])
def test_what_is_no_jmespath_is_refused(text):
    with pytest.raises(ExpressionError):
        expression(text)
    with pytest.raises(ExpressionError):
        predicate(text)


names = st.sampled_from(["a", "b", "c"])
literals = st.sampled_from(
    ["'x'", "''", "`1`", "`0`", "`true`", "`false`", "`null`", "`[]`", "`1.5`"]
)
paths = st.one_of(names, st.builds("{}.{}".format, names, names))
terms = st.one_of(paths, literals)
comparisons = st.builds(
    "{} {} {}".format, terms, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), terms
)
listed = st.sampled_from(["`[]`", '`["x", 1]`', "[`1`, `5`, `null`]", "`[true, 0]`", "`[[], {}]`"])
memberships = st.builds("contains({}, {})".format, listed, terms)
conditions = st.recursive(
    st.one_of(comparisons, memberships, paths, literals),
    lambda inner: st.one_of(
        st.builds("({}) || ({})".format, inner, inner),
        st.builds("({}) && ({})".format, inner, inner),
        st.builds("!({})".format, inner),
        st.builds("(({}) || ({})) == {}".format, inner, inner, literals),
    ),
    max_leaves=6,
)
scalars = st.one_of(
    st.none(), st.booleans(), st.sampled_from([0, 1, 2, 1.0, 1.5, "", "x", "y"]), st.just([])
)
items = st.dictionaries(names, st.one_of(scalars, st.dictionaries(names, scalars)), max_size=3)


def truth(value: Any) -> bool:
    return not (value is None or value is False or value in ("", [], {}))


@given(conditions, items)
def test_a_simple_predicate_is_what_jmespath_says(text, item):
    made = predicate(text)
    assert made.paths is not None
    values = tuple(expression(".".join(path)).search(item) for path in made.paths)
    try:
        expected = truth(jmespath.search(text, item))
    except TypeError:  # jmespath cannot order a text against a number
        with pytest.raises(EvaluationError):
            made.holds(item)
        with pytest.raises(EvaluationError):
            made.holds_for(values)
        return
    assert made.holds(item) is expected
    assert made.holds_for(values) is expected
    if made.over is not None:
        other = (*["x"] * len(values),)
        columns = list(zip(values, other, values, strict=True))
        assert made.over(columns) == [expected, made.holds_for(other), expected]


@given(conditions, st.one_of(items, scalars))
def test_a_choice_between_paths_gives_the_value_that_jmespath_gives(text, item):
    made = expression(text)
    try:
        expected = jmespath.search(text, item)
    except (TypeError, JMESPathError):
        with pytest.raises(EvaluationError):
            made.search(item)
        return
    found = made.search(item)
    assert (type(found), found) == (type(expected), expected)


@given(paths, st.one_of(items, scalars, st.lists(items)))
def test_a_plain_path_is_what_jmespath_says(text, document):
    assert expression(text).search(document) == jmespath.search(text, document)


@pytest.mark.parametrize("text", ["contains(a, 'x')", "a[0] == 'x'", "length(a) > `1`", "{x: a}"])
def test_other_predicates_take_the_whole_item(text):
    assert predicate(text).paths is None
    assert predicate(text).holds({"a": ["x", "y"]})


@pytest.mark.parametrize(
    "text",
    [
        "onPremisesSamAccountName == 'license-meter'",
        "'bot' == type",
        "a.b != 'x' || !(c == 'y' && d == '')",
    ],
)
def test_comparisons_with_texts_are_made_of_whole_columns(text):
    """Of a million users, as many as the README's exclusion looks at, one by one takes a second."""
    assert predicate(text).over is not None


@pytest.mark.parametrize(
    "text", ["a", "a == `1`", "a == b", "a < 'x'", "a == 'x' || b", "'x' == 'x'"]
)
def test_all_else_is_evaluated_row_by_row(text):
    assert predicate(text).over is None


def test_columns_give_what_the_rows_give():
    made = predicate("a == 'x' || b != 'y'")
    columns = [["x", "z", None, 1, ["x"]], ["y", "y", "y", None, True]]
    assert made.over is not None
    assert made.over(columns) == [made.holds_for(row) for row in zip(*columns, strict=True)]
