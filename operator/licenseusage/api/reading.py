"""From an object of the API server to a model; faults become ``Stalled/InvalidSpec``.

The API server has checked the object when it was written. It is checked again here, since it may be
older than a rule, and since some rules need what only a preset or a licence tells
(:func:`check_close_grace`). Every refusal names the object, the member, what was seen and the fix.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from licenseusage.api.licenseusage import (
    DEFAULT_IDENTITY,
    DEFAULT_INTERVAL_MINUTES,
    DEFAULT_LAG_SECONDS,
    LicenseUsage,
    LicenseUsageSpec,
)
from licenseusage.errors import Stalled

INVALID_SPEC = "InvalidSpec"
MONTHS_ANCHOR_DAY = 28
SHOWN_PROBLEMS = 3
SHOWN_CHARACTERS = 64


class Cadence(NamedTuple):
    """One source's values that decide how long a close takes, with preset and defaults."""

    source: str
    lag_seconds: int
    interval_seconds: int


def read_license_usage(document: Mapping[str, Any]) -> LicenseUsage:
    """Return the object as a model, checked by :func:`check_spec`.

    Args:
        document: The object as the API server sends it.

    Raises:
        Stalled: ``InvalidSpec``.
    """
    try:
        usage = LicenseUsage.model_validate(document)
    except ValidationError as error:
        problems = list(dict.fromkeys(_problem(detail) for detail in error.errors()))
        raise _refusal(_name(document), problems) from None
    try:
        check_spec(usage.spec)
    except Stalled as error:
        raise _refusal(usage.key, [error.message]) from None
    return usage


def check_spec(spec: LicenseUsageSpec) -> None:
    """Check rules about several members: the CRD's rules, with the same messages.

    Raises:
        Stalled: ``InvalidSpec``; the message names members, not the object.
    """
    problems = list(_spec_problems(spec))
    if problems:
        raise Stalled(INVALID_SPEC, "; ".join(problems))
    check_close_grace(
        spec.close_grace_hours,
        cycle_hours=24 * spec.cycle.length_days if spec.cycle and spec.cycle.length_days else None,
        sources=_written_cadences(spec),
    )


def check_close_grace(
    close_grace_hours: int, *, cycle_hours: int | None, sources: Iterable[Cadence]
) -> None:
    """Check that a cycle can be closed within the grace (MEASUREMENT §8, DESIGN §2).

    Args:
        close_grace_hours: ``spec.closeGraceHours``.
        cycle_hours: The length of the cycle, from ``spec.cycle`` or the licence; None if unknown.
        sources: Lag and interval of each source as they are used.

    Raises:
        Stalled: ``InvalidSpec``: longer than the cycle, or shorter than a source's lag and two of
            its intervals.
    """
    if cycle_hours is not None and close_grace_hours > cycle_hours:
        raise Stalled(
            INVALID_SPEC,
            f"spec.closeGraceHours is {close_grace_hours}, longer than the cycle of {cycle_hours} "
            f"hours: lower it",
        )
    for cadence in sources:
        needed = cadence.lag_seconds + 2 * cadence.interval_seconds
        if 3600 * close_grace_hours < needed:
            raise Stalled(
                INVALID_SPEC,
                f"spec.closeGraceHours is {close_grace_hours}, but source {cadence.source} needs "
                f"{-(-needed // 3600)} hours to close a cycle (its lag and two intervals): raise "
                f"closeGraceHours, or lower the source's intervalMinutes",
            )


def _spec_problems(spec: LicenseUsageSpec) -> Iterator[str]:
    if spec.license and spec.cycle:
        yield (
            "both spec.license and spec.cycle are given, and a licence brings its own cycle: "
            "remove spec.cycle"
        )
    if not spec.license and not spec.cycle:
        yield (
            "neither spec.license nor spec.cycle is given: name the Secret of your licence in "
            "spec.license.secretRef, or give spec.cycle to count without reporting"
        )
    if spec.maximum_active_users is not None and not spec.cycle:
        yield (
            f"spec.maximumActiveUsers is {spec.maximum_active_users}, but goes with spec.cycle "
            "only: a licence brings its own maximum; remove it"
        )
    if spec.cycle:
        if (spec.cycle.length_days is None) == (spec.cycle.length_months is None):
            yield "spec.cycle needs exactly one of lengthDays (1-62) and lengthMonths (1-2)"
        anchor = _date(spec.cycle.anchor_date)
        if anchor is None:
            yield (
                f"spec.cycle.anchorDate is {spec.cycle.anchor_date!r}: "
                "write a day such as 2026-01-15"
            )
        elif spec.cycle.length_months is not None and anchor.day > MONTHS_ANCHOR_DAY:
            yield (
                "spec.cycle: cycles of months must begin on a day from 1 to 28, which every month "
                f"has, not on day {anchor.day}"
            )
    identities = {source.identity or DEFAULT_IDENTITY for source in spec.sources}
    if spec.combine == "Same" and len(identities) > 1:
        yield (
            "spec.combine is Same, but the sources have different identities, so nobody can be "
            "found in two of them: use Union, or give all sources the same identity"
        )
    names = [source.name for source in spec.sources]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"spec.sources has more than one source named {name}: give each its own name"


def _written_cadences(spec: LicenseUsageSpec) -> Iterator[Cadence]:
    """Read the user's values; a value that a preset may still change counts as 0."""
    for source in spec.sources:
        lag = source.guarantees.lag_seconds if source.guarantees else None
        interval = source.interval_minutes
        if source.preset is None:
            lag = DEFAULT_LAG_SECONDS if lag is None else lag
            interval = DEFAULT_INTERVAL_MINUTES if interval is None else interval
        yield Cadence(source.name, lag or 0, 60 * (interval or 0))


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


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
        INVALID_SPEC,
        f"LicenseUsage {name}: {shown}" + (f"; and {more} more" if more > 0 else ""),
    )
