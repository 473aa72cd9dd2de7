"""Errors that carry their consequence (the style of Flux's source-controller).

Whoever raises one knows the condition reason and what must happen next; whoever catches one needs
no table. Messages are for people: they name the object, what was seen and the fix, and never hold
a secret, a user id or a pseudonym.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from licenseusage.reasons import Reason

UNEXPECTED_FIX = (
    "Compare user, volumes and environment of the container with the documentation's "
    "(the operator's: manifests/base). If they are the same, this is a defect: report this line."
)
"""The fix for an unexpected error of a long-running process."""


def unexpected(error: Exception) -> "Stalled":
    """Return what ends a long-running process after it has logged an error that nobody foresaw.

    The error's own text is left out: it may hold what was just read.
    """
    return Stalled(
        Reason.UNEXPECTED,
        f"{type(error).__name__}; the line before shows where. {UNEXPECTED_FIX}",
    )


class Consequence(StrEnum):
    """What must happen next."""

    WAITS = "Waits"
    """Nothing is wrong: it goes on by itself later."""
    RETRIES = "Retries"
    """It is tried again with back-off, and may pass."""
    NEEDS_A_PERSON = "NeedsAPerson"
    """It stays until somebody acts."""


class UsageError(Exception):
    """A failure that knows its consequence; as data it is a `Failure`.

    Attributes:
        consequence: What must happen next.
        reason: Of the vocabulary; usable as the reason of a Kubernetes condition.
        message: One or two sentences for a person: the object, what was seen, the fix.
    """

    consequence = Consequence.RETRIES

    def __init__(self, reason: Reason, message: str) -> None:
        """Keep the reason and the message; ``str(error)`` is the message."""
        super().__init__(message)
        self.reason = reason
        self.message = message


class Waiting(UsageError):
    """Nothing is wrong: an event ends the wait (a changed spec, a verdict, another process)."""

    consequence = Consequence.WAITS


class Retryable(UsageError):
    """Transient: ``Ready=False`` and ``Reconciling=True``, retried with back-off."""


class Stalled(UsageError):
    """A person must act: ``Stalled=True``; retried when the spec or a Secret changes."""

    consequence = Consequence.NEEDS_A_PERSON


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure as data: between processes, in the ledger, and on its way to a condition.

    Attributes:
        reason: Of the vocabulary.
        message: For people: the object, what was seen, the fix. No secret, id or body; no time,
            since a condition would change always.
        consequence: What must happen next.
        ours: The operator itself failed: its ledger, or a defect.
    """

    reason: Reason
    message: str
    consequence: Consequence = Consequence.RETRIES
    ours: bool = False

    @classmethod
    def of(cls, error: UsageError) -> "Failure":
        """Return the error as data."""
        return cls(error.reason, error.message, error.consequence)

    def about(self, name: str) -> "Failure":
        """Return it with the name of what failed before its message, as ``Source users``."""
        return replace(self, message=f"{name}: {self.message}")

    @property
    def needs_a_person(self) -> bool:
        """Whether it stays until somebody acts."""
        return self.consequence is Consequence.NEEDS_A_PERSON
