"""How a poll fails: the one exception inside.

Messages say what was seen and the fix; ``collect`` puts the source and the pod before them. None
quotes a body, an id or a secret.
"""

from licenseusage.errors import Consequence, Failure, UsageError
from licenseusage.reasons import Reason


class PollError(UsageError):
    """A poll ends here; as data in its result it is a `Failure`.

    Attributes:
        facts_stand: Whether the rows read so far are true all the same (MEASUREMENT §3.2).
    """

    def __init__(
        self, reason: Reason, message: str, *, stalls: bool = False, facts_stand: bool = True
    ) -> None:
        """Keep the failure; ``stalls`` where only a person can mend it."""
        super().__init__(reason, message)
        self.consequence = Consequence.NEEDS_A_PERSON if stalls else Consequence.RETRIES
        self.facts_stand = facts_stand

    @property
    def failure(self) -> Failure:
        """The failure as data."""
        return Failure.of(self)
