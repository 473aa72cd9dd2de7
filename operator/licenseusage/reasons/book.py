"""All chapters of the vocabulary, and the entry of each reason."""

from collections.abc import Mapping

from licenseusage.reasons import (
    answers,
    counting,
    documents,
    eventlogs,
    imports,
    numbers,
    polling,
    pushes,
    reporting,
    running,
    usages,
)
from licenseusage.reasons.entries import Chapter, Entry
from licenseusage.reasons.vocabulary import Reason

CHAPTERS: tuple[Chapter, ...] = (
    usages.USAGES,
    polling.REACHING,
    answers.ANSWERS,
    polling.BOUNDS,
    polling.PACE,
    answers.DOUBTS,
    eventlogs.EVENT_LOGS,
    numbers.NUMBERS,
    pushes.PUSHES,
    pushes.INTAKE,
    counting.SKIPS,
    counting.GAPS,
    counting.RANGES,
    counting.UNBOUNDED,
    reporting.DELIVERY,
    reporting.RECOVERY,
    reporting.ENDPOINT,
    reporting.KEYS,
    imports.IMPORTS,
    running.LEDGER,
    running.START,
    *documents.ERROR_CLASSES,
    documents.FINDINGS,
    running.RECEIVER,
    running.COMMANDS,
)

BOOK: Mapping[Reason, Entry] = {
    reason: entry for chapter in CHAPTERS for reason, entry in chapter.entries.items()
}
"""What every reason means; a test holds that none is missing and none has two entries."""


def meaning(word: str) -> str:
    """Return what a word means; empty for one of another version, which this one does not know."""
    return _MEANINGS.get(word, "")


_MEANINGS: Mapping[str, str] = {str(reason): entry.means for reason, entry in BOOK.items()}
