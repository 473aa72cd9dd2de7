"""Making a sender's facts fit the format's bounds without saying anything that is not so."""

import re
from collections.abc import Sequence

from licenseusage.reports.content import Uncertainty

MAX_UNCERTAINTY = 8
_NAME_LENGTH = 128


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
