"""A number in a JSON answer.

The whole answer is decoded, so it is bounded: nobody needs megabytes to state a number.
"""

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import NoReturn

import msgspec

from licenseusage.reasons import Reason
from licenseusage.sources.counts.plausible import count_of
from licenseusage.sources.definition.expressions import Json, Path, expression, leading_path
from licenseusage.sources.definition.interpreter import EvaluationError
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.notjson import not_json
from licenseusage.sources.mending import mended

MOST_BYTES = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class _TwiceError(ValueError):
    """A member on the way to the number stands twice in its object."""


def number_in(
    content: Iterable[bytes], path: str, look: Callable[[Json, Path], None] | None = None
) -> int:
    """Return the number of an answer.

    Args:
        content: As it arrives.
        path: JMESPath of the number (``count.value``).
        look: Is shown the whole answer, and where the number stands; None: nobody wants it.

    Raises:
        PollError: It is no JSON, or holds no number of users there.
    """
    body = bytearray()
    for data in content:
        body += data
        if len(body) > MOST_BYTES:
            raise PollError(
                Reason.POLL_TOO_LARGE,
                f"an answer that holds a number has more than {MOST_BYTES // 1024**2} MiB and "
                "reading was stopped. Check http.path: ask for the statistics, not for the users.",
                stalls=True,
            )
    if not body:
        raise PollError(
            Reason.ANSWER_EMPTY,
            "the answer has status 200 and no content. Check http.path and whether the product is "
            "ready.",
        )
    document = _document(bytes(body).removeprefix(_BOM), path)
    try:
        value = expression(path).search(document)
    except EvaluationError as error:
        raise PollError(
            Reason.EXPRESSION_FAILED, f"count.value cannot be evaluated: {error}.", stalls=True
        ) from None
    number = count_of(value, "count.value")
    if look is not None:
        look(document, leading_path(path))
    return number


def _document(body: bytes, path: str) -> Json:
    decode = partial(
        json.loads,
        object_pairs_hook=partial(_members, frozenset(leading_path(path))),
        parse_constant=_no_json,
    )
    try:
        return decode(body.decode())
    except _TwiceError as error:
        raise PollError(
            Reason.ANSWER_AMBIGUOUS,
            f"{error} stands twice in one object, on the way to count.value, so that the answer "
            "says two things. Correct the product.",
            stalls=True,
        ) from None
    except RecursionError as error:
        raise not_json(body, error) from None
    except ValueError as error:
        if (better := mended(body)) is not None:
            return _document(better, path)
        raise not_json(body, msgspec.DecodeError(str(error))) from None


def _members(way: frozenset[str], pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen and name in way:
                raise _TwiceError(f"a member {name}")
            seen.add(name)
    return members


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
