"""Whether a value is a number of users at all; what is not is named, and never taken for 0."""

import math
import re

from licenseusage.reasons import Reason
from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.failures import PollError

MOST_USERS = 1_000_000_000
"""Of a report (REPORT_FORMAT §2)."""

_DIGITS = re.compile(r"\d{1,10}", re.ASCII)


def count_of(value: Json, where: str) -> int:
    """Return a number of users.

    Args:
        value: As decoded; digits in a text are a number as well.
        where: The field of the source that names it, for messages.

    Raises:
        PollError: ``CountMissing``: there is none. ``CountInvalid``: it is no number of users.
    """
    if value is None or value == "":
        raise PollError(
            Reason.COUNT_MISSING,
            f"there is no number at {where}; that is not the same as 0. Check {where}, and whether "
            "the product counts users at all (it may have to be switched on).",
        )
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_USERS:
        raise PollError(
            Reason.COUNT_INVALID,
            f"what stands at {where} is {_called(value)}, and no number of users from 0 to "
            f"{MOST_USERS:,}. Check {where}; some products say so that the number is not known.",
        )
    return value


def _called(value: Json) -> str:
    """Return what a value is, without quoting what a product wrote."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN (not a number)"
        if math.isinf(value):
            return "infinite"
        return "negative" if value < 0 else "a fraction"
    if isinstance(value, int):
        return "negative" if value < 0 else "too large"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object"
