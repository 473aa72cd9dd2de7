"""How a poll fails: the one exception inside.

Messages say what was seen and the fix; ``collect`` puts the source and the pod before them. None
quotes a body, an id or a secret.
"""

from licenseusage.reasons import Reason
from licenseusage.sources.poll import Failure


class PollError(Exception):
    """A poll ends here.

    Attributes:
        failure: The reason and the message for a person.
        facts_stand: Whether the rows read so far are true all the same (MEASUREMENT §3.2).
    """

    def __init__(
        self, reason: Reason, message: str, *, stalls: bool = False, facts_stand: bool = True
    ) -> None:
        """Keep the failure; ``stalls`` where only a person can mend it."""
        super().__init__(message)
        self.failure = Failure(reason, message, stalls)
        self.facts_stand = facts_stand
