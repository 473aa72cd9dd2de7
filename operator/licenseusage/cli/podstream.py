"""A ledger on its way into a pod or out of it: whole on the other side, or refused there.

``kubectl exec`` may end a stream early and call that a success. So the sender says first how many
octets come, and last the SHA-256 of them; the receiver counts and digests what it has written. Who
received a ledger by its standard input answers with its own digest, which the sender compares.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from licenseusage.errors import Retryable, Stalled
from licenseusage.ledger.storage.copying import Progress, nothing_to_tell
from licenseusage.reasons import Reason

FORMAT = "licenseusage-ledger/1"
_AT_ONCE = 1 << 20
_LINE_OCTETS = 1024
_NOTHING = "Nothing was written, and nothing was changed; try again."
_UNKNOWN = (
    "Whether the command was carried out is not known. See what the ledger holds, then repeat the "
    "command: nothing is counted twice, and the ledger before it is kept beside the new one."
)


class StreamCut(Retryable):
    """The stream ended before its end; what kubectl says of it may be the better message."""

    def __init__(self, seen: str, then: str = _NOTHING) -> None:
        """Say what was seen, and what that means."""
        super().__init__(
            Reason.STREAM_CUT,
            f"The stream between this machine and the operator's pod is not whole: {seen}. {then}",
        )


@dataclass(frozen=True, slots=True)
class Passed:
    """What has passed.

    Attributes:
        octets: How many.
        sha256: Their digest, lower-case hex.
    """

    octets: int
    sha256: str


class Sending:
    """The stream of a file, made piece by piece; what has passed is known at its end.

    Attributes:
        passed: What was sent so far.
    """

    def __init__(self, file: BinaryIO, octets: int, progress: Progress = nothing_to_tell) -> None:
        """Take an open file at its start, its size, and who hears of octets."""
        self.passed = Passed(0, "")
        self._file, self._octets, self._progress = file, octets, progress

    def __iter__(self) -> Iterator[bytes]:
        """Yield the stream.

        Raises:
            Stalled: ``FileUnreadable``: the file became shorter meanwhile.
            OSError: It cannot be read.
        """
        yield _line({"format": FORMAT, "octets": self._octets})
        digest, done = hashlib.sha256(), 0
        while done < self._octets:
            piece = self._file.read(min(_AT_ONCE, self._octets - done))
            if not piece:
                raise Stalled(
                    Reason.FILE_UNREADABLE,
                    f"{getattr(self._file, 'name', 'The file')} became shorter while it was read. "
                    f"Nothing was changed.",
                )
            digest.update(piece)
            done += len(piece)
            self._progress(done, self._octets)
            yield piece
        self.passed = Passed(done, digest.hexdigest())
        yield _line({"sha256": digest.hexdigest()})


def announced(stream: BinaryIO) -> int:
    """Return how many octets a stream announces.

    Raises:
        StreamCut: It announces nothing.
    """
    line = _read_line(stream, "its first line is missing")
    octets = line.get("octets")
    if line.get("format") != FORMAT or not isinstance(octets, int) or octets < 0:
        raise StreamCut("it does not begin as a ledger's stream of this version")
    return octets


def received(
    stream: BinaryIO, octets: int, into: BinaryIO, progress: Progress = nothing_to_tell
) -> Passed:
    """Write what was announced into a file.

    Raises:
        StreamCut: It ended early, or its digest is another.
        OSError: The file cannot be written.
    """
    digest, done = hashlib.sha256(), 0
    while done < octets:
        piece = stream.read(min(_AT_ONCE, octets - done))
        if not piece:
            raise StreamCut(f"it ended after {done} of {octets} octets")
        into.write(piece)
        digest.update(piece)
        done += len(piece)
        progress(done, octets)
    line = _read_line(stream, f"it ended after {octets} octets, without their digest")
    if line.get("sha256") != digest.hexdigest():
        raise StreamCut("what arrived has another SHA-256 than what was sent")
    return Passed(done, digest.hexdigest())


def acknowledgement(passed: Passed) -> bytes:
    """Return the line by which a receiver says what it has."""
    return _line({"format": FORMAT, "received": passed.octets, "sha256": passed.sha256})


def compare(stream: BinaryIO, sending: Sending) -> None:
    """Read a receiver's line, and compare it with what was sent.

    Raises:
        StreamCut: There is none, or the receiver has something else.
    """
    line = _read_line(stream, "the pod did not say what it received", _UNKNOWN)
    passed = sending.passed  # now: the pod has answered to the end of the stream
    if (line.get("received"), line.get("sha256")) != (passed.octets, passed.sha256):
        raise StreamCut("the pod has received something else than was sent", _UNKNOWN)


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _read_line(stream: BinaryIO, otherwise: str, then: str = _NOTHING) -> dict[str, Any]:
    line = stream.readline(_LINE_OCTETS)
    if not line.endswith(b"\n"):
        raise StreamCut(otherwise, then)
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise StreamCut(otherwise, then)
    return value
