"""What a page is asked for by, and what the head of its answer tells of the way onward."""

from typing import NamedTuple, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from licenseusage.sources.definition.model import Http
from licenseusage.sources.definition.paging import Pair

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
        ends: Its content shows where it ends: by its length, or by a last chunk (RFC 9112 §6.3).
    """

    host: str = ""
    target: str = "/"
    links: tuple[str, ...] = ()
    ends: bool = True


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
