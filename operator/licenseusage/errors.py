"""Errors that carry their consequence (the style of Flux's source-controller).

Whoever raises one knows the condition reason and what must happen next; whoever catches one needs
no table. Messages are for people: they name the object, what was seen and the fix, and never hold
a secret, a user id or a pseudonym.
"""

from licenseusage.reasons import Reason

UNEXPECTED_FIX = (
    "Compare user, volumes and environment of the container with the documentation's "
    "(the operator's: manifests/base). If they are the same, this is a defect: report this line."
)
"""The fix for an unexpected error of a long-running process."""


class UsageError(Exception):
    """A failure that knows its consequence.

    Attributes:
        reason: Of the vocabulary; usable as the reason of a Kubernetes condition.
        message: One or two sentences for a person: the object, what was seen, the fix.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        """Keep the reason and the message; ``str(error)`` is the message."""
        super().__init__(message)
        self.reason = reason
        self.message = message


class Waiting(UsageError):
    """Nothing is wrong: come back after ``after_seconds``."""

    def __init__(self, reason: Reason, message: str, after_seconds: float) -> None:
        """Say when to come back, in seconds from now."""
        super().__init__(reason, message)
        self.after_seconds = after_seconds


class Retryable(UsageError):
    """Transient: ``Ready=False`` and ``Reconciling=True``, retried with back-off."""


class Stalled(UsageError):
    """A person must act: ``Stalled=True``; retried when the spec or a Secret changes."""
