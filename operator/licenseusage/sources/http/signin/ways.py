"""The ways to sign in, one for each kind of ``auth`` that needs a request of its own."""

from typing import Protocol

from licenseusage.sources.deadline import Deadline
from licenseusage.sources.definition.auth import Login, OAuth2
from licenseusage.sources.http.signin.bearer import Bearer
from licenseusage.sources.http.signin.logins import Signed
from licenseusage.sources.http.signin.memory import TokenMemory
from licenseusage.sources.http.signin.session import LoggedIn
from licenseusage.sources.poll import PollRequest, Target
from licenseusage.sources.whereabouts import Whereabouts


class SignIn(Protocol):
    """What authenticates the requests of one poll."""

    def headers(self, target: Target, deadline: Deadline, seconds: float) -> Signed:
        """Return the headers that authenticate the next request, after signing in if need be.

        Args:
            target: Whom it is for.
            deadline: The poll's.
            seconds: How long the other side may send nothing.

        Raises:
            PollError: It is not signed in.
        """

    def accepted(self) -> None:
        """Note that the product has accepted these headers."""

    def refused(self, status: int) -> bool:
        """Note the status of an answer; whether to sign in anew and ask again.

        At most once in a poll, and only if what was refused had been accepted before.
        """


def sign_in_of(
    request: PollRequest, whereabouts: Whereabouts, tokens: TokenMemory
) -> SignIn | None:
    """Return how a poll signs in; None: its credentials are sent as they are, or it has none."""
    match request.source.auth:
        case OAuth2() as auth:
            return Bearer(request, auth, whereabouts, tokens)
        case Login() as auth:
            return LoggedIn(auth, whereabouts)
    return None
