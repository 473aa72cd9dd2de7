"""What an answer is that should be JSON and is not."""

from contextlib import suppress

import msgspec

from licenseusage.reasons import Reason
from licenseusage.sources.failures import PollError
from licenseusage.sources.mending import NO_JSON


def not_json(data: bytes | bytearray, error: Exception) -> PollError:
    """Describe a body that is not JSON, without quoting it."""
    start = data[:512].lstrip().lower()
    if not start:
        return PollError(
            Reason.ANSWER_EMPTY, "the answer has status 200 and holds only white space."
        )
    if start.startswith(b"<"):
        return PollError(
            Reason.ANSWER_NOT_JSON,
            "the answer is an HTML or XML page instead of JSON, often a sign-in page. Check "
            "http.path and the credentials.",
            stalls=True,
        )
    what = str(error) if isinstance(error, msgspec.DecodeError) else "nested too deeply"
    lines = "If each line is a document, set http.format to NDJSON. " * _begins_with_line(data)
    return PollError(
        Reason.ANSWER_INVALID_JSON,
        f"the answer is not valid JSON: {what}. {lines}Check http.path; a proxy may "
        "have cut or changed the answer.",
    )


def _begins_with_line(data: bytes | bytearray) -> bool:
    """Whether the first of several lines is a document."""
    end = data.find(b"\n")
    if end < 0 or not data[end:].strip():
        return False
    with suppress(*NO_JSON, RecursionError):
        return isinstance(msgspec.json.decode(data[:end]), dict)
    return False
