"""From an object of the API server to a model; faults become ``Stalled/InvalidSpec``.

The API server has checked the object by the rules of the CRD when it was written. It is checked
again here, since it may be older or newer than this operator. Every refusal names the object, the
member, what was seen and what is wanted.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from licenseusage.api.licenseusage import LicenseUsage
from licenseusage.errors import Stalled
from licenseusage.reasons import Reason

SHOWN_PROBLEMS = 3
SHOWN_CHARACTERS = 64


def read_license_usage(document: Mapping[str, Any]) -> LicenseUsage:
    """Return the object as a model.

    Args:
        document: The object as the API server sends it.

    Raises:
        Stalled: ``InvalidSpec``.
    """
    try:
        return LicenseUsage.model_validate(document)
    except ValidationError as error:
        problems = list(dict.fromkeys(_problem(detail) for detail in error.errors()))
        raise _refusal(_name(document), problems) from None


def _problem(detail: ErrorDetails) -> str:
    """Say one finding of pydantic in the words of the other messages."""
    path = _path(detail["loc"])
    if detail["type"] == "missing":
        return f"{path} is missing: add it"
    seen = _seen(detail["input"])
    wanted = detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{path} is {seen}, but should be {wanted}"


def _seen(value: object) -> str:
    """Show a scalar, shortened; of any other value only its kind."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def _path(location: tuple[int | str, ...]) -> str:
    """Write ``("spec", "sources", 0, "pods", "port", "int")`` as ``spec.sources[0].pods.port``."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in ("int", "str"):  # the branches of a union, not members
            path += f".{part}" if path else part
    return path


def _name(document: Mapping[str, Any]) -> str:
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping):
        return "without a name"
    return f"{metadata.get('namespace', '?')}/{metadata.get('name', '?')}"


def _refusal(name: str, problems: list[str]) -> Stalled:
    shown = "; ".join(problems[:SHOWN_PROBLEMS])
    more = len(problems) - SHOWN_PROBLEMS
    return Stalled(
        Reason.INVALID_SPEC,
        f"LicenseUsage {name}: {shown}" + (f"; and {more} more" if more > 0 else ""),
    )
