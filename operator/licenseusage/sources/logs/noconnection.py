"""Why no connection to a message broker could be made: a chain of rules, in words for a person."""

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from nats.errors import Error as NatsError

from licenseusage.chain import first_answer
from licenseusage.reasons import Reason
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.place import PLAIN
from licenseusage.sources.failures import PollError
from licenseusage.sources.poll import Target
from licenseusage.sources.reach import CONNECT_SECONDS, certificate_refused


class NotSecureError(Exception):
    """The server offers no TLS, and a password was about to be sent."""


@dataclass(frozen=True, slots=True)
class FailedConnection:
    """An attempt that failed.

    Attributes:
        error: How it failed.
        target: The server; ``address`` is its host and port, for messages.
        source: The source that is read.
    """

    error: Exception
    target: Target
    source: EffectiveSource

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.target.host}:{self.target.port}"

    @property
    def tls(self) -> ssl.SSLError | None:
        """The error of TLS; None: none."""
        cause: BaseException | None = self.error
        while cause is not None:
            if isinstance(cause, ssl.SSLError):
                return cause
            cause = cause.__cause__ or cause.__context__
        return None


def no_connection(attempt: FailedConnection) -> PollError:
    """Return the failure of a poll that reached no broker."""
    number = getattr(attempt.error, "errno", None)
    seen = os.strerror(number) if number else "connection failed"
    return first_answer(RULES, attempt) or PollError(
        Reason.UNREACHABLE,
        f"{attempt.address} cannot be reached: {str(seen).lower()}. Check pods.port, "
        "NetworkPolicies and whether the server listens on all interfaces.",
    )


def server_offers_no_tls(attempt: FailedConnection) -> PollError | None:
    """TLS was asked for, and the server does not speak it."""
    if not isinstance(attempt.error, NotSecureError):
        return None
    return PollError(
        Reason.TLS_FAILED,
        f"{attempt.address} offers no TLS, so nothing secret was sent. Switch TLS on at the "
        "server, or set pods.scheme to NATS (user and password then cross the cluster in "
        "clear).",
        stalls=True,
    )


def server_wants_tls(attempt: FailedConnection) -> PollError | None:
    """TLS was not asked for, and the server insists on it."""
    if attempt.tls is None or attempt.target.scheme not in PLAIN:
        return None
    return PollError(
        Reason.TLS_FAILED,
        f"{attempt.address} wants TLS. Set pods.scheme to TLS, and give its authority in "
        "pods.tls.caSecretRef.",
        stalls=True,
    )


def certificate_is_not_trusted(attempt: FailedConnection) -> PollError | None:
    """The server's certificate is of another authority or another name."""
    tls = attempt.tls
    if not isinstance(tls, ssl.SSLCertVerificationError):
        return None
    return PollError(
        Reason.CERTIFICATE_INVALID,
        f"the certificate of {attempt.address} is not trusted: "
        f"{tls.verify_message.rstrip('.')}. Give its authority in pods.tls.caSecretRef, "
        "and its name in pods.tls.serverName.",
        stalls=True,
    )


def handshake_failed(attempt: FailedConnection) -> PollError | None:
    """TLS failed otherwise."""
    tls = attempt.tls
    if tls is None:
        return None
    presented = attempt.source.client_certificate is not None
    if refused := certificate_refused(tls, attempt.address, presented=presented):
        return refused
    return PollError(
        Reason.TLS_FAILED,
        f"no TLS connection with {attempt.address} ({tls.reason or 'handshake failed'}).",
        stalls=True,
    )


def account_is_refused(attempt: FailedConnection) -> PollError | None:
    """The server wants other credentials."""
    text = str(attempt.error).lower()
    if "authorization" not in text and "authentication" not in text:
        return None
    auth = attempt.source.auth
    if auth is None:
        message = f"{attempt.address} wants a user and a password: give them in auth.basic."
    else:
        message = (
            f"{attempt.address} refuses the user or the password. Check Secret {auth.secret_name}: "
            "wrong, expired or revoked."
        )
    return PollError(Reason.UNAUTHORIZED, message, stalls=True)


def server_is_silent(attempt: FailedConnection) -> PollError | None:
    """Nothing answered in time."""
    if not isinstance(attempt.error, TimeoutError):
        return None
    kind = "NATS" if attempt.source.redis is None else "Redis"
    return PollError(
        Reason.UNREACHABLE,
        f"{attempt.address} did not answer as a {kind} server within {CONNECT_SECONDS:g} s. "
        "Check pods.port, NetworkPolicies and whether something else listens there.",
    )


def server_is_no_nats(attempt: FailedConnection) -> PollError | None:
    """The answer is not understood."""
    error = attempt.error
    if not isinstance(error, NatsError | ValueError) or isinstance(error, OSError):
        return None
    return PollError(
        Reason.NOT_NATS,
        f"{attempt.address} does not speak NATS here, or refuses the connection. Check "
        "pods.port, and the server's log.",
    )


RULES: tuple[Callable[[FailedConnection], PollError | None], ...] = (
    server_offers_no_tls,
    server_wants_tls,
    certificate_is_not_trusted,
    handshake_failed,
    account_is_refused,
    server_is_silent,
    server_is_no_nats,
)
