"""The access token of one poll: remembered or requested, renewed in time, and once if refused."""

from licenseusage.reasons import Reason
from licenseusage.sources.deadline import Deadline
from licenseusage.sources.definition.auth import OAuth2
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.signin.exchange import Answered, Posted, exchanged
from licenseusage.sources.http.signin.memory import TokenMemory, key_of
from licenseusage.sources.http.signin.tokens import Token, token_of, token_request
from licenseusage.sources.poll import PollRequest, Target
from licenseusage.sources.whereabouts import Whereabouts
from licenseusage.sources.wording import placed_issuer

_POLL_OVER = Reason.POLL_TIMEOUT


class Bearer:
    """Signs in by OAuth 2 client credentials."""

    def __init__(
        self, request: PollRequest, auth: OAuth2, whereabouts: Whereabouts, memory: TokenMemory
    ) -> None:
        """Prepare; nothing is asked yet."""
        self._request, self._auth = request, auth
        self._whereabouts, self._memory = whereabouts, memory
        self._token: Token | None = None
        self._asked_s = 0.0
        self._issuer: Target | None = None  # a pod that issues its own tokens
        self._fresh = False  # just issued, and not accepted yet
        self._renewed = False

    def headers(
        self, target: Target, deadline: Deadline, seconds: float
    ) -> tuple[tuple[str, bytes], ...]:
        """Return the headers that authenticate the next request; see `SignIn`."""
        now_s = self._memory.monotonic()
        if not self._auth.elsewhere and self._issuer != target:
            self._issuer, self._token = target, None
        token = self._token
        if token is None or now_s >= self._asked_s + token.used_seconds:
            token = self._had(target, deadline, seconds)
        return (("authorization", f"Bearer {token.value}".encode()),)

    def accepted(self) -> None:
        """Note that the product has accepted the token."""
        self._fresh = False

    def refused(self, status: int) -> bool:
        """Forget a token that was refused; whether another one may help, as this one was old.

        Once in a poll: who refuses what was just issued, or a second time, refuses the client.
        """
        if status != 401:
            return False
        self._memory.forget(self._key())
        self._token = None
        if self._fresh or self._renewed:
            return False
        self._renewed = True
        return True

    def _had(self, target: Target, deadline: Deadline, seconds: float) -> Token:
        credentials = self._whereabouts.sent()
        key = self._key()
        known = self._memory.known(key) if self._token is None else None
        if known is not None:
            self._token, self._asked_s = known
            return self._token
        self._asked_s = self._memory.monotonic()
        posted = token_request(self._auth, credentials)
        try:
            answered = self._answered(target, posted, deadline, seconds)
            self._token = token_of(self._auth, answered)
        except PollError:
            self._memory.forget(key)
            raise
        self._fresh = True
        self._memory.keep(key, self._token, self._asked_s)
        return self._token

    def _key(self) -> bytes:
        return key_of(self._request, self._whereabouts.sent(), self._issuer)

    def _answered(
        self, target: Target, posted: Posted, deadline: Deadline, seconds: float
    ) -> Answered:
        if not self._auth.elsewhere:
            return exchanged(
                target,
                posted,
                deadline,
                seconds,
                lambda: self._whereabouts.confirm(target),
                self._whereabouts.credentials,
            )
        failed = PollError(Reason.SIGN_IN_UNAVAILABLE, f"{posted.what} has no address.")
        for issuer in self._whereabouts.issuers:
            try:
                return exchanged(issuer, posted, deadline, seconds, deadline.check)
            except PollError as error:
                failed = _about_issuer(error, posted, self._auth)
                if error.reason != Reason.UNREACHABLE:
                    break
        raise failed from None


def _about_issuer(error: PollError, posted: Posted, auth: OAuth2) -> PollError:
    """Return why another server could not be asked: no other pod of the product would mend it."""
    if error.reason in (Reason.SIGN_IN_UNAVAILABLE, Reason.CREDENTIALS_INVALID, _POLL_OVER):
        return error
    text = f"{posted.what}: {placed_issuer(error.message, auth)}"
    stalls = error.failure.needs_a_person
    return PollError(Reason.SIGN_IN_UNAVAILABLE, text, stalls=stalls)
