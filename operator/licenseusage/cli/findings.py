"""The results of checks of documents: one for each check, and one for all."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from licenseusage.errors import UsageError

SIGNATURE = "signature"
"""The check of a report's signature and content."""
KEYS = "keys"
"""The check of an installation's key statements."""
LICENSE = "licence"
"""The check of a licence that reports name."""
RECEIPT = "receipt"
"""The check of the vendor's answer to a document."""
CHAIN = "chain"
"""The check of documents against each other."""
BUNDLE = "bundle"
"""The check of a bundle's lines and manifest."""


class Level(StrEnum):
    """Outcome of one check; ``NOT_CHECKED``: the evidence for it was not given."""

    GOOD = "ok"
    BAD = "FAILED"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class DocumentCheck:
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


class OverallResult(StrEnum):
    """The result of all checks together.

    ``UNDETERMINED``: nothing is wrong, but the signature of a report was not checked. A receipt
    tells that the vendor has these bytes; who signed them it does not tell.
    """

    OK = "OK"
    NOT_OK = "NOT OK"
    UNDETERMINED = "NOT DETERMINED"


def overall_result(results: Sequence[DocumentCheck]) -> OverallResult:
    """Return the result: OK only if the signature of every document was checked."""
    if any(result.level is Level.BAD for result in results):
        return OverallResult.NOT_OK
    signed = [result for result in results if result.check != CHAIN]
    # A report may be in order without a receipt. Where receipts are all there is, they are judged.
    judged = [result for result in signed if result.check != RECEIPT] or signed
    checked = bool(judged) and all(result.level is Level.GOOD for result in judged)
    return OverallResult.OK if checked else OverallResult.UNDETERMINED


def not_checked(results: Sequence[DocumentCheck]) -> str:
    """Return a sentence about the missing checks; empty if nothing is missing."""
    documents: dict[str, list[str]] = {}
    for result in results:
        if result.level is Level.NOT_CHECKED:
            documents.setdefault(result.check, []).append(result.source)
    parts = [
        ", ".join(sources) if check == CHAIN else f"{check} of {_several(sources)}"
        for check, sources in documents.items()
    ]
    return f"not checked: {', '.join(parts)}" if parts else ""


def bad(source: str, check: str, error: UsageError) -> DocumentCheck:
    """Return the finding of a refusal."""
    return DocumentCheck(source, check, Level.BAD, error.reason, f"{error.reason}: {error.message}")


def _several(sources: Sequence[str]) -> str:
    return sources[0] if len(sources) == 1 else f"{len(sources)} documents"
