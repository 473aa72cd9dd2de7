"""Where a setting is written, for messages: with the pods, the Service or the endpoint."""

from licenseusage.sources.definition.auth import OAuth2
from licenseusage.sources.definition.model import EffectiveSource

_OF_ENDPOINTS = {
    "pods.port": "the endpoint's address",
    "pods.scheme": "the endpoint's scheme",
    "pods.tls.caSecretRef": "the endpoint's ca",
    "pods.tls.serverName": "the endpoint's serverName",
    "pods.hostHeader": "the endpoint's serverName",
    "ready pods": "addresses",
}


def placed(message: str, source: EffectiveSource) -> str:
    """Return a message about how a server is reached, in the words of its source."""
    if source.pods is None:
        return _of_endpoint(message)
    if source.pods.service is not None:
        return message.replace("pods.", "service.")
    return message


def placed_issuer(message: str, auth: OAuth2) -> str:
    """Return a message about how an issuer of tokens is reached that is not the product."""
    if auth.service is None:
        return _of_endpoint(message)
    return message.replace("pods.", "auth.oauth2.service.")


def _of_endpoint(message: str) -> str:
    for name, words in _OF_ENDPOINTS.items():
        message = message.replace(name, words)
    return message
