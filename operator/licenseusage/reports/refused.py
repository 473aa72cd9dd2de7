"""The one error of the verifier: a named class of REPORT_FORMAT §12, with a sentence for people.

The class is what protocols, conditions and tests compare; the sentence is for whoever has to
act and is never parsed.
"""

from collections.abc import Mapping

from licenseusage.errors import UsageError
from licenseusage.reasons import Reason
from licenseusage.reasons.documents import ERROR_CLASSES, TOKENS

UNSIGNED_CLASSES = frozenset(TOKENS.entries)
"""Classes of layers 1-2: the only ones that a 400 or 413, which nobody signs, may name."""

MEANING: Mapping[str, str] = {
    reason: entry.means for chapter in ERROR_CLASSES for reason, entry in chapter.entries.items()
}
"""The meaning of each class, for people who have not read the format."""


class Refused(UsageError):
    """A check failed; the first failing step of the specified order names the class.

    Attributes:
        error: The error class: the same as ``reason``.
    """

    def __init__(self, error: Reason, detail: str = "", *, words: str = "") -> None:
        """Keep the class and its meaning.

        Args:
            error: The class.
            detail: Names the claim or limit, never a value from the document.
            words: The whole sentence instead, where more is known than the class.
        """
        meaning = MEANING[error]
        super().__init__(error, words or (f"{meaning} ({detail})" if detail else meaning))
        self.error = error


def need(ok: object, error: Reason, detail: str = "") -> None:
    """Raise ``Refused(error)`` unless ``ok``."""
    if not ok:
        raise Refused(error, detail)
