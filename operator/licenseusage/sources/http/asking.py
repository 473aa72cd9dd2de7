"""What a page is asked for by, and what the head of its answer tells of the way onward."""

from typing import NamedTuple, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from licenseusage.reasons import Reason
from licenseusage.sources.definition.model import Http
from licenseusage.sources.definition.paging import Pair
from licenseusage.sources.failures import PollError

KEPT_IN_PATHS = "/%:@!$&'()*+,;=-._~"
"""Signs of a path that are sent as they are (RFC 3986), and escapes that are there already."""


class Link(NamedTuple):
    """An address on the pod that is asked: the product named it, or another field than http.path.

    Attributes:
        target: Path and query, percent-encoded; nothing of the source's own query is added.
        field: The field of the source that names it; None: the product did.
    """

    target: str
    field: str | None = None


Ask: TypeAlias = tuple[Pair, ...] | Link
"""Paging parameters beside the source's own query, or an address in its place."""


class Head(NamedTuple):
    """One request, and what the head of its answer says of the next page.

    Attributes:
        host: The ``Host`` that was asked.
        target: The path and query that were asked for.
        links: All ``Link`` headers of the answer.
        cursors: All values of the header that ``http.pagination.header`` names.
        ends: Its content shows where it ends: by its length, or by a last chunk (RFC 9112 §6.3).
    """

    host: str = ""
    target: str = "/"
    links: tuple[str, ...] = ()
    cursors: tuple[str, ...] = ()
    ends: bool = True


def named_cursor(head: Head, header: str) -> str | None:
    """Return the next page's cursor as the head of an answer names it; None: no page follows.

    Args:
        head: Of the answer.
        header: Name of the header, for messages.

    Raises:
        PollError: ``CursorInvalid``: two values, or none of visible ASCII (RFC 9110 §5.5): its
            letters are not known then, so that another cursor could be sent back.
    """
    values = {value.strip(" \t") for value in head.cursors}
    if len(values) > 1:
        raise _invalid_cursor(header, "is there more than once, with different values")
    value = "".join(values)
    if not (value.isascii() and value.isprintable()):
        raise _invalid_cursor(header, "holds other bytes than visible ASCII")
    return value or None


def _invalid_cursor(header: str, seen: str) -> PollError:
    return PollError(
        Reason.CURSOR_INVALID,
        f"http.pagination.header ({header}) {seen}, so that it is not known which page comes next. "
        "Correct the product, or the proxy before it, or name another header.",
        stalls=True,
    )


def shown_target(http: Http, target: str) -> str:
    """Return a path and query for people: a cursor may be somebody's id, and is left out.

    Args:
        http: The request as declared.
        target: As it was sent.
    """
    parts = urlsplit(target)
    own = {(name, value) for name, value in http.query if "{{" not in value}
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    shown = (
        f"{name}={value if value.isdecimal() or (name, value) in own else '…'}"
        for name, value in pairs
    )
    return parts.path + ("?" if pairs else "") + "&".join(shown)
