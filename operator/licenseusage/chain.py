"""A decision as a chain of small rules, whose names answer "where is the rule that …?".

A rule looks at the facts and answers, or leaves the decision to the rules after it (None). The
first answer counts, so that the order of a chain is the order of importance. The model is
cert-manager's ``policies.Chain``.
"""

from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def first_answer(
    chain: Sequence[Callable[P, T | None]], *facts: P.args, **more: P.kwargs
) -> T | None:
    """Return the answer of the first rule that has one; None where no rule has."""
    answers = (rule(*facts, **more) for rule in chain)
    return next((answer for answer in answers if answer is not None), None)
