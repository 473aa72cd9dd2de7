"""The one file in a form as a browser sends it: ``multipart/form-data`` (RFC 7578)."""

import re

from licenseusage.reasons import Reason
from licenseusage.receiver.requestbody import RequestRefused

MAX_OVERHEAD = 64 * 1024
"""More than a browser puts around a file, whatever its name."""

_BOUNDARY = re.compile(
    r'(?i)multipart/form-data *; *boundary=(?:"([^"\r\n]{1,70})"|([^ ;"\r\n]{1,70}))'
)
_FIELD = re.compile(rb'(?i)^content-disposition: *form-data *;[^\r\n]*?\bname="([^"\r\n]*)"', re.M)


def file_in(content_type: str, body: bytes, field: str) -> bytes:
    """Return the content of a form's file, octet by octet as it was chosen.

    Args:
        content_type: The header of the request.
        body: Its body.
        field: Name of the form's field.

    Raises:
        RequestRefused: ``UnsupportedMediaType``: it is no such form, or has no such field.
    """
    match = _BOUNDARY.match(content_type)
    if match is None:
        raise _no_form()
    delimiter = b"\r\n--" + (match[1] or match[2]).encode("latin-1", "replace")
    # The first delimiter has no line end before it, the last one has two hyphens behind it.
    for part in (b"\r\n" + body).split(delimiter)[1:-1]:
        head, end, content = part.partition(b"\r\n\r\n")
        name = _FIELD.search(head)
        if end and name is not None and name[1] == field.encode():
            return content
    raise _no_form()


def _no_form() -> RequestRefused:
    return RequestRefused(
        Reason.UNSUPPORTED_MEDIA_TYPE, "no file arrived: choose it on this page, then send it"
    )
