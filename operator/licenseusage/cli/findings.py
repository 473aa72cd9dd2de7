"""What checks of documents came to: one finding for each check, and one answer for all."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from licenseusage.errors import UsageError

SIGNATURE = "signature"
"""The check of who signed a report, and of what it says."""
KEYS = "keys"
"""The check of an installation's key statements."""
LICENSE = "licence"
"""The check of a licence that reports name."""
RECEIPT = "receipt"
"""The check of the vendor's answer to a document."""
CHAIN = "chain"
"""The check of what documents say together."""
BUNDLE = "bundle"
"""The check of a bundle's lines and manifest."""


class Level(StrEnum):
    """Outcome of one check; ``NOT_CHECKED``: the evidence for it was not given."""

    GOOD = "ok"
    BAD = "FAILED"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of one document.

    Attributes:
        reason: ``Valid``, ``Accepted``, why it was not checked, or the class of REPORT_FORMAT §12.
        findings: What is no fault and must be shown all the same (REPORT_FORMAT §6, §7).
    """

    source: str
    check: str
    level: Level
    reason: str
    message: str
    findings: tuple[str, ...] = ()


class Answer(StrEnum):
    """What all checks together come to.

    ``UNDETERMINED``: nothing is wrong, but the signature of a report was not checked. A receipt
    tells that the vendor has these bytes; who signed them it does not tell.
    """

    OK = "OK"
    NOT_OK = "NOT OK"
    UNDETERMINED = "NOT DETERMINED"


def answer(found: Sequence[Finding]) -> Answer:
    """Return what the checks come to: OK only if the signature of every document was checked."""
    if any(one.level is Level.BAD for one in found):
        return Answer.NOT_OK
    signed = [one for one in found if one.check != CHAIN]
    # A report may be in order without a receipt. Where receipts are all there is, they are judged.
    judged = [one for one in signed if one.check != RECEIPT] or signed
    checked = bool(judged) and all(one.level is Level.GOOD for one in judged)
    return Answer.OK if checked else Answer.UNDETERMINED


def not_checked(found: Sequence[Finding]) -> str:
    """Return what was not checked, in words; empty if everything was."""
    documents: dict[str, list[str]] = {}
    for one in found:
        if one.level is Level.NOT_CHECKED:
            documents.setdefault(one.check, []).append(one.source)
    said = [
        ", ".join(sources) if check == CHAIN else f"{check} of {_several(sources)}"
        for check, sources in documents.items()
    ]
    return f"not checked: {', '.join(said)}" if said else ""


def bad(source: str, check: str, error: UsageError) -> Finding:
    """Return the finding of a refusal."""
    return Finding(source, check, Level.BAD, error.reason, f"{error.reason}: {error.message}")


def _several(sources: Sequence[str]) -> str:
    return sources[0] if len(sources) == 1 else f"{len(sources)} documents"
