"""The login of one poll: once for each pod, and once more if what was accepted is refused."""

from licenseusage.sources.deadline import Deadline
from licenseusage.sources.definition.auth import Login
from licenseusage.sources.http.signin.exchange import exchanged
from licenseusage.sources.http.signin.logins import Signed, login_request, session_of
from licenseusage.sources.poll import Target
from licenseusage.sources.whereabouts import Whereabouts


class LoggedIn:
    """Signs in by a login; what it gets is kept for this poll, and sent to the same pod only.

    A login that fails ends the poll: no second attempt, which might lock the account.
    """

    def __init__(self, auth: Login, whereabouts: Whereabouts) -> None:
        """Prepare; nothing is asked yet."""
        self._auth, self._whereabouts = auth, whereabouts
        self._target: Target | None = None
        self._signed: Signed = ()
        self._fresh = self._renewed = False

    def headers(self, target: Target, deadline: Deadline, seconds: float) -> Signed:
        """Return the headers that authenticate the next request; see `SignIn`."""
        if self._target == target:
            return self._signed
        given = self._whereabouts.sent()
        posted = login_request(self._auth, given)
        answered = exchanged(
            target, posted, deadline, seconds, lambda: self._whereabouts.confirm(target), given
        )
        self._signed = session_of(self._auth, answered)
        self._target, self._fresh = target, True
        return self._signed

    def accepted(self) -> None:
        """Note that the product has accepted the session."""
        self._fresh = False

    def refused(self, status: int) -> bool:
        """Whether the session has ended, and another login may help; see `SignIn`."""
        ended = status == 401 or (self._auth.token is None and status in (302, 303, 307, 403))
        if not ended or self._fresh or self._renewed:
            return False
        self._target, self._renewed = None, True
        return True
