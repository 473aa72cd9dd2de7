"""Failures of a connection, in words, with the fix."""

import ssl
from http.client import HTTPException, IncompleteRead, InvalidURL, RemoteDisconnected

from licenseusage.reasons import Reason
from licenseusage.sources.failures import PollError
from licenseusage.sources.poll import MIB, Target
from licenseusage.sources.reach import certificate_refused

_PLAIN_HTTP = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNEXPECTED_MESSAGE")
"""OpenSSL's error for an answer in plain HTTP."""

_HANDSHAKE_FAILED = ("SSLV3_ALERT_HANDSHAKE_FAILURE",)
"""What TLS 1.2 says for want of a client's certificate, and for other things."""

_MAYBE_WANTED = " If it wants a client's certificate, give one in auth.clientCertificate."

_TLS_ALERT = "\x15\x03"
"""The first bytes of a TLS server's answer to a client without TLS."""

_CHECK_PORT = "Check pods.port and pods.scheme."


def cannot_connect(
    target: Target, error: OSError | ValueError, *, presented: bool = False
) -> PollError:
    """Say why no connection was made; a ``ValueError`` is about a name that cannot be used.

    Args:
        target: Whom was called.
        error: What the standard library raised.
        presented: A certificate of our own was presented.
    """
    address = f"{target.host}:{target.port}"
    if isinstance(error, ssl.SSLError):
        return _tls(address, error, presented=presented)
    if isinstance(error, ValueError):
        return PollError(
            Reason.UNREACHABLE,
            "the host or pods.tls.serverName is no name that can be called. Correct it.",
            stalls=True,
        )
    seen = "no answer" if isinstance(error, TimeoutError) else (error.strerror or "no connection")
    return PollError(
        Reason.UNREACHABLE,
        f"{address} cannot be reached: {seen.lower()}. Check pods.port, pods.scheme, "
        "NetworkPolicies and whether the product listens on all interfaces.",
    )


def cannot_read(
    target: Target,
    error: Exception,
    received: int,
    *,
    first: bool,
    presented: bool = False,
) -> PollError:
    """Say why there is no whole answer.

    Args:
        target: Whom was asked.
        error: What the standard library raised; a ``ValueError`` is about the request itself.
        received: Bytes of content so far, of all pages.
        first: No request of this poll was answered yet.
        presented: A certificate of our own was presented.
    """
    address = f"{target.host}:{target.port}"
    match error:
        case ssl.SSLError() if not isinstance(error, ssl.SSLEOFError):
            return _tls(address, error, presented=presented)
        case InvalidURL():
            return PollError(
                Reason.UNREACHABLE, "http.path or a query value cannot be sent.", stalls=True
            )
        case ValueError():
            return PollError(
                Reason.CREDENTIALS_INVALID,
                "the request cannot be sent: a header holds characters that HTTP does not allow. "
                "Check the Secret's value and http.headers.",
                stalls=True,
            )
        case IncompleteRead():
            return PollError(
                Reason.ANSWER_TRUNCATED,
                "the connection was closed in the middle of the answer, after "
                f"{size_of(received)}. The product or a proxy cut it off; see its log.",
            )
        case HTTPException() if not isinstance(error, RemoteDisconnected):
            tls = target.scheme == "HTTP" and str(error).startswith(_TLS_ALERT)
            fix = "It speaks TLS: set pods.scheme to HTTPS." if tls else _CHECK_PORT
            return PollError(
                Reason.NOT_HTTP, f"{address} does not speak HTTP/1.1 here. {fix}", stalls=True
            )
    fix = "See the product's log."
    if first and not received and target.scheme == "HTTP":
        fix += " If the port speaks TLS, set pods.scheme to HTTPS."
    elif first and not received and not presented:
        fix += _MAYBE_WANTED
    return PollError(
        Reason.CONNECTION_LOST,
        f"{address} closed the connection without a complete answer. {fix}",
    )


def size_of(count: int) -> str:
    """Write a number of bytes for a person."""
    return f"{count / MIB:.1f} MiB" if count >= MIB else f"{count} bytes"


def _tls(address: str, error: ssl.SSLError, *, presented: bool) -> PollError:
    if refused := certificate_refused(error, address, presented=presented):
        return refused
    if isinstance(error, ssl.SSLCertVerificationError):
        return PollError(
            Reason.CERTIFICATE_INVALID,
            f"the certificate of {address} is not trusted: {error.verify_message.rstrip('.')}. "
            "Give its authority in pods.tls.caSecretRef, and its name in pods.tls.serverName.",
            stalls=True,
        )
    plain = error.reason in _PLAIN_HTTP
    return PollError(
        Reason.TLS_FAILED,
        f"no TLS connection with {address} ({error.reason or 'handshake failed'}). "
        + ("It seems to speak plain HTTP: set pods.scheme to HTTP." if plain else "")
        + ("" if plain else "Check pods.scheme and the product's TLS settings.")
        + (_MAYBE_WANTED if not presented and error.reason in _HANDSHAKE_FAILED else ""),
        stalls=True,
    )
