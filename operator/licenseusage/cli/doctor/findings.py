"""What a check found: one sentence of what was seen, and one of what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from licenseusage.cli.exits import NOT_OK, OK, UNDETERMINED


class Level(StrEnum):
    """Outcome of one check."""

    GOOD = "ok"
    WARNING = "warning"
    """It works, and somebody should know."""
    BAD = "failed"
    UNSEEN = "could not look"
    """A right is missing, or nobody answers: neither good nor bad is known."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found about one object.

    Attributes:
        check: Which check, a word of docs/operations.md.
        about: The object.
        level: The outcome.
        seen: What was seen; never a secret, a user id or a pseudonym.
        fix: What to do; empty where nothing is to be done.
    """

    check: str
    about: str
    level: Level
    seen: str
    fix: str = ""


class Result(StrEnum):
    """The outcome of all checks together."""

    OK = "OK"
    NOT_OK = "NOT OK"
    UNDETERMINED = "NOT DETERMINED"


def result(findings: Sequence[Finding]) -> Result:
    """Return ``NOT OK`` if anything failed, else ``NOT DETERMINED`` if anything was not seen."""
    levels = {finding.level for finding in findings}
    if Level.BAD in levels:
        return Result.NOT_OK
    return Result.UNDETERMINED if Level.UNSEEN in levels else Result.OK


EXIT_CODES = {Result.OK: OK, Result.NOT_OK: NOT_OK, Result.UNDETERMINED: UNDETERMINED}
"""As every command's: warnings alone are no failure."""
