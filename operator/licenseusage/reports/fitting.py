"""Making a sender's facts fit the format's bounds without saying anything that is not so."""

import re
from collections.abc import Sequence

from licenseusage.reports.content import Gap, Uncertainty

MAX_GAPS = 32
MAX_UNCERTAINTY = 8
_NAME_LENGTH = 128


def fit_gaps(gaps: Sequence[Gap]) -> tuple[tuple[Gap, ...], bool]:
    """Join the nearest gaps until there are at most 32 (REPORT_FORMAT §5, ``coverage.merged``).

    A joined gap claims less than was observed, never more; it keeps the reason of its longer part.

    Args:
        gaps: Ascending and disjoint.

    Returns:
        The gaps, and whether any were joined.
    """
    left = list(gaps)
    while len(left) > MAX_GAPS:
        nearest = min(range(len(left) - 1), key=lambda n: (left[n + 1].start_s - left[n].end_s, n))
        first, second = left[nearest], left[nearest + 1]
        longer = max(first, second, key=lambda gap: gap.end_s - gap.start_s)
        left[nearest : nearest + 2] = [Gap(first.start_s, second.end_s, longer.reason)]
    return tuple(left), len(left) < len(gaps)


def report_version(version: str, *, simulated_clock: bool = False) -> str:
    """Return the operator's version as a Name: a local version's ``+`` becomes ``-``.

    A report made with a shifted clock says so, so that nobody takes it for a real one.
    """
    suffix = "-simulated-clock" if simulated_clock else ""
    name = re.sub(r"[^A-Za-z0-9._:/-]", "-", version)
    return name[: _NAME_LENGTH - len(suffix)] + suffix


def fit_uncertainty(causes: Sequence[Uncertainty]) -> tuple[Uncertainty, ...]:
    """Keep the eight causes that concern most users."""
    return tuple(sorted(causes, key=lambda cause: -cause.users)[:MAX_UNCERTAINTY])
