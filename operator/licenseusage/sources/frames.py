"""What operator and worker say to each other: msgpack, each message after its length (4 bytes).

A worker answers a request with a result. Before that it may ask, with a message of no bytes, where
the source is now; it is answered with a `Looked`.

Secrets travel here only: never on a command line and never in an environment.
"""

import msgspec

from licenseusage.sources.poll import Looked, PollRequest, PollResult

LENGTH_BYTES = 4
LOOK = bytes(LENGTH_BYTES)
"""A worker's question where the source is now: a message without content."""

_encoder = msgspec.msgpack.Encoder()
_requests = msgspec.msgpack.Decoder(PollRequest)
_results = msgspec.msgpack.Decoder(PollResult)
_looked = msgspec.msgpack.Decoder(Looked)


def framed(message: PollRequest | PollResult | Looked) -> bytes:
    """Return one message with its length in front (big endian)."""
    body = _encoder.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def request_of(body: bytes) -> PollRequest:
    """Return the request in a message without its length."""
    return _requests.decode(body)


def looked_of(body: bytes) -> Looked:
    """Return the answer to a look in a message without its length."""
    return _looked.decode(body)


def result_of(body: bytes) -> PollResult:
    """Return the result in a message without its length."""
    return _results.decode(body)
