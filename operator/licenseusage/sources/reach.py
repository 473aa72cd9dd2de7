"""How a pod is reached, whatever is read from it: patience for a connection, and trust."""

import os
import ssl
import sys
import tempfile

from licenseusage.reasons import Reason
from licenseusage.sources.definition.place import PLAIN
from licenseusage.sources.failures import PollError
from licenseusage.sources.poll import Certificate, Credentials, Target

CONNECT_SECONDS = 5.0
"""Most time for one TCP connection and its TLS handshake."""

_WANTED = ("ALERT_CERTIFICATE_REQUIRED", "ALERT_BAD_CERTIFICATE")
"""Alerts by which a server asks for a client's certificate (RFC 8446 §6.2)."""
_REFUSED = (
    *_WANTED, "ALERT_UNKNOWN_CA", "ALERT_CERTIFICATE_EXPIRED", "ALERT_CERTIFICATE_REVOKED",
    "ALERT_CERTIFICATE_UNKNOWN", "ALERT_UNSUPPORTED_CERTIFICATE", "ALERT_ACCESS_DENIED",
    "ALERT_DECRYPT_ERROR",
)  # fmt: skip
"""Alerts by which it refuses the one that it got."""


def trust(target: Target, credentials: Credentials | None = None) -> ssl.SSLContext | None:
    """Return how a pod's certificate is verified, and which one is presented; None without TLS.

    Args:
        target: Whom to call.
        credentials: With a certificate of our own, where the target is to see it.

    Raises:
        PollError: ``CAInvalid``: the authority's PEM cannot be used. ``CredentialsInvalid``: our
            own certificate cannot, or there is no TLS to present it by.
    """
    own = credentials.certificate if credentials is not None else None
    if target.scheme in PLAIN:
        if own is not None:
            raise PollError(
                Reason.CREDENTIALS_INVALID,
                "auth.clientCertificate needs TLS, and the scheme of this server is "
                f"{target.scheme}. Set pods.scheme, or remove clientCertificate.",
                stalls=True,
            )
        return None
    context = _authorities(target)
    if own is not None:
        _present(context, own)
    return context


def certificate_refused(error: ssl.SSLError, address: str, *, presented: bool) -> PollError | None:
    """Return the failure of a connection for want of a certificate; None: it is another one.

    Args:
        error: What TLS said.
        address: Of the server.
        presented: We have presented a certificate.
    """
    if not (error.reason or "").endswith(_REFUSED if presented else _WANTED):
        return None
    fix = (
        "Check the certificate in auth.clientCertificate: its authority, its dates, and its chain."
        if presented
        else "It wants a client's certificate: give one in auth.clientCertificate."
    )
    seen = f"{address} refuses the connection ({error.reason})"
    return PollError(Reason.CLIENT_CERTIFICATE_REFUSED, f"{seen}. {fix}", stalls=True)


def _authorities(target: Target) -> ssl.SSLContext:
    if target.ca_pem is None:
        return ssl.create_default_context()
    # Without a certificate in it, ssl would take the system's authorities instead.
    pem = target.ca_pem if "-----BEGIN" in target.ca_pem else "none"
    try:
        return ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise PollError(
            Reason.CA_INVALID,
            "pods.tls.caSecretRef holds no PEM certificate. Store the authority's certificate, "
            "beginning with -----BEGIN CERTIFICATE-----.",
            stalls=True,
        ) from None


def _present(context: ssl.SSLContext, own: Certificate) -> None:
    """Load a certificate and its key, which ssl takes from files only: one in memory here."""
    pem = f"{own.chain_pem}\n{own.key_pem}\n".encode()
    try:
        if sys.platform == "linux":
            number = os.memfd_create("certificate", os.MFD_CLOEXEC)
            with open(number, "wb", closefd=True) as file:
                file.write(pem)
                file.flush()
                context.load_cert_chain(f"/proc/self/fd/{number}", password=_no_password)
        else:
            with tempfile.NamedTemporaryFile() as file:
                file.write(pem)
                file.flush()
                context.load_cert_chain(file.name, password=_no_password)
    except (ssl.SSLError, ValueError):
        raise PollError(
            Reason.CREDENTIALS_INVALID,
            "the certificate of auth.clientCertificate cannot be used: tls.crt and tls.key are no "
            "PEM, or do not belong together.",
            stalls=True,
        ) from None


def _no_password() -> str:
    """Return no password, in place of OpenSSL's question at a terminal."""
    return ""
