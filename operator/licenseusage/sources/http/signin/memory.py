"""A worker process's memory of access tokens; losing it costs one request.

Tokens stay in the process that asked for them: they are in no result, no message and no file, and
end with the worker. The operator's process never sees one.
"""

import hashlib
import time
from collections.abc import Callable

import msgspec

from licenseusage.sources.http.signin.tokens import Token
from licenseusage.sources.poll import Credentials, PollRequest, Target

MOST_TOKENS = 256


class TokenMemory:
    """Tokens by whose they are: of one object's source, with one Secret and one declaration."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begin empty; ``monotonic`` gives seconds."""
        self.monotonic = monotonic
        self._kept: dict[bytes, tuple[Token, float]] = {}

    def __repr__(self) -> str:
        """Show how many there are."""
        return f"TokenMemory({len(self._kept)})"

    def known(self, key: bytes) -> tuple[Token, float] | None:
        """Return a token that may still be used, and when it was asked for; None: there is none."""
        self._forget_old()
        return self._kept.get(key)

    def keep(self, key: bytes, token: Token, asked_s: float) -> None:
        """Remember a token that was asked for at ``asked_s``."""
        self.forget(key)
        self._kept[key] = token, asked_s
        self._forget_old()
        while len(self._kept) > MOST_TOKENS:
            del self._kept[next(iter(self._kept))]

    def forget(self, key: bytes) -> None:
        """Forget a token: it was refused."""
        self._kept.pop(key, None)

    def _forget_old(self) -> None:
        now_s = self.monotonic()
        self._kept = {
            key: (token, asked_s)
            for key, (token, asked_s) in self._kept.items()
            if now_s < asked_s + token.kept_seconds
        }


def key_of(request: PollRequest, credentials: Credentials, issuer: Target | None) -> bytes:
    """Return whose a token is: no other object's poll, no other place and no other Secret gets it.

    Args:
        request: The poll.
        credentials: What the token is requested with.
        issuer: The pod that issues its own tokens; None: another server does.
    """
    source = request.source
    place = [source.pods, source.endpoint, issuer and [issuer.host, issuer.port, issuer.scheme]]
    of = [request.subject, source.name, source.auth, place, dict(credentials.values)]
    return hashlib.sha256(msgspec.msgpack.encode(of, order="sorted")).digest()
