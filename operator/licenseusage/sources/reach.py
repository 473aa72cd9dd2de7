"""How a pod is reached, whatever is read from it: patience for a connection, and trust."""

import ssl

from licenseusage.reasons import Reason
from licenseusage.sources.failures import PollError
from licenseusage.sources.poll import Target

CONNECT_SECONDS = 5.0
"""Most time for one TCP connection and its TLS handshake."""


def trust(target: Target) -> ssl.SSLContext | None:
    """Return how a pod's certificate is verified; None where nothing is.

    Raises:
        PollError: ``CAInvalid``: the PEM cannot be used.
    """
    if target.scheme in ("HTTP", "NATS"):
        return None
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
