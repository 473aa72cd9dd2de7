"""Where a setting is written, for messages: with the pods, the Service or the endpoint."""

from licenseusage.sources.definition.model import EffectiveSource

_OF_ENDPOINTS = {
    "pods.port": "the endpoint's address",
    "pods.scheme": "the endpoint's scheme",
    "pods.tls.caSecretRef": "the endpoint's ca",
    "pods.tls.serverName": "the endpoint's serverName",
    "ready pods": "addresses",
}


def placed(message: str, source: EffectiveSource) -> str:
    """Return a message about how a server is reached, in the words of its source."""
    if source.pods is None:
        for name, words in _OF_ENDPOINTS.items():
            message = message.replace(name, words)
    elif source.pods.service is not None:
        message = message.replace("pods.", "service.")
    return message
