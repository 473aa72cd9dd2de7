"""Messages between operator and worker: msgpack, each after its length (4 bytes).

A worker answers a request with a result. Before that it may ask, with a message of no bytes, where
the source is now; it is answered with a `Looked`.

Secrets travel here only: never on a command line and never in an environment. Users travel packed,
16 bytes each, and stay so in the operator: a million of them are no burden there.
"""

from dataclasses import dataclass, replace

import msgspec

from licenseusage.metering.words import PackedWords
from licenseusage.sources.poll import Looked, PollRequest, PollResult

LENGTH_BYTES = 4
LOOK = bytes(LENGTH_BYTES)
"""A worker's question where the source is now: a message without content."""
READY = bytes(LENGTH_BYTES)
"""A worker's first message, without content as well: it has started, and may be asked."""

_Words = dict[int, bytes]


@dataclass(frozen=True, slots=True)
class _Answer:
    """A result without the users of its facts, and these: by cycle index, sure and maybe."""

    result: PollResult
    users: dict[int, tuple[_Words, _Words]]


_encoder = msgspec.msgpack.Encoder()
_requests = msgspec.msgpack.Decoder(PollRequest)
_answers = msgspec.msgpack.Decoder(_Answer)
_looked = msgspec.msgpack.Decoder(Looked)


def framed(message: PollRequest | PollResult | Looked) -> bytearray:
    """Return one message with its length in front (big endian)."""
    body = bytearray(LENGTH_BYTES)
    sent = _answer_of(message) if isinstance(message, PollResult) else message
    _encoder.encode_into(sent, body, LENGTH_BYTES)
    body[:LENGTH_BYTES] = (len(body) - LENGTH_BYTES).to_bytes(LENGTH_BYTES, "big")
    return body


def request_of(body: bytes | bytearray) -> PollRequest:
    """Return the request in a message without its length."""
    return _requests.decode(body)


def looked_of(body: bytes | bytearray) -> Looked:
    """Return the answer to a look in a message without its length."""
    return _looked.decode(body)


def result_of(body: bytes | bytearray) -> PollResult:
    """Return the result in a message without its length."""
    answer = _answers.decode(body)
    facts = {
        index: replace(answer.result.facts[index], sure=PackedWords(sure), maybe=PackedWords(maybe))
        for index, (sure, maybe) in answer.users.items()
    }
    return replace(answer.result, facts=facts)


def _answer_of(result: PollResult) -> _Answer:
    users = {
        index: (dict(PackedWords.of(facts.sure).parts), dict(PackedWords.of(facts.maybe).parts))
        for index, facts in result.facts.items()
    }
    bare = {index: replace(facts, sure={}, maybe={}) for index, facts in result.facts.items()}
    return _Answer(replace(result, facts=bare), users)
