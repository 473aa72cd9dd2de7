"""What operator and worker say to each other: msgpack, each message after its length (4 bytes).

Secrets travel here only: never on a command line and never in an environment.
"""

import msgspec

from licenseusage.sources.poll import PollRequest, PollResult

LENGTH_BYTES = 4

_encoder = msgspec.msgpack.Encoder()
_requests = msgspec.msgpack.Decoder(PollRequest)
_results = msgspec.msgpack.Decoder(PollResult)


def framed(message: PollRequest | PollResult) -> bytes:
    """Return one message with its length in front (big endian)."""
    body = _encoder.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def request_of(body: bytes) -> PollRequest:
    """Return the request in a message without its length."""
    return _requests.decode(body)


def result_of(body: bytes) -> PollResult:
    """Return the result in a message without its length."""
    return _results.decode(body)
