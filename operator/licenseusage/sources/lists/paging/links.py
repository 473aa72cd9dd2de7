"""Pages of which each names the address of the next one, in a member or in its Link header.

Such an address often has the product's public name, and the operator asks a pod: its path and query
are asked for at that pod, and no other server is ever called.
"""

import hashlib
from urllib.parse import parse_qsl, quote, unquote, urljoin, urlsplit

from licenseusage.reasons import Reason
from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.guarantees import Order
from licenseusage.sources.definition.paging import NEXT, Linked
from licenseusage.sources.definition.timestamps import Reader, kind_of
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.asking import KEPT_IN_PATHS, Ask, Head, Link
from licenseusage.sources.http.said import next_links
from licenseusage.sources.lists.paging.onward import OnwardPager
from licenseusage.sources.lists.paging.rows import Rows
from licenseusage.sources.lists.paging.totals import must_be_all
from licenseusage.sources.mending import is_broken


class LinkPager(OnwardPager):
    """A `Pager` of pagination type ``Next``."""

    def __init__(self, pagination: Linked, order: Order, reader: Reader) -> None:
        """Ask for the first page, whose address is the source's own."""
        self._pagination = pagination
        self._first: str | None = None  # target of the first page
        self._read: set[bytes] = set()  # digests of the targets so far
        super().__init__(Rows(order, reader, "those of the link to the next page"), ())

    def _onward(self, values: dict[str, Json], head: Head) -> Ask | None:
        rows = self._rows
        if self._first is None:
            self._first = head.target
            self._read.add(_digest(head.target))
        reference = self._reference(values, head)
        if reference is None:
            must_be_all(rows.earlier + rows.count, values, self._pagination.total, pages=rows.pages)
            return None
        target = target_of(reference, head, self._first)
        mark = _digest(target)
        if mark in self._read:
            raise PollError(
                Reason.PAGING_LOOP,
                f"page {rows.pages} leads to a next page that was read before: the pages run in a "
                "circle. Check http.path and http.query, and the product.",
                stalls=True,
            )
        self._read.add(mark)
        self.note = self.note or _left_out(self._first, target)
        return Link(target)

    def _reference(self, values: dict[str, Json], head: Head) -> str | None:
        """Return the address of the next page as the product wrote it; nothing: there is none."""
        path = self._pagination.path
        if path is None:
            links = {link for header in head.links for link in next_links(header)}
            if len(links) > 1:
                raise _invalid("the header Link names several pages with rel=next")
            return links.pop() if links else None
        value = values[NEXT]
        if value is None or (isinstance(value, str) and not is_broken(value)):
            return value or None
        kind = "a text with broken letters" if is_broken(value) else kind_of(value)
        raise _invalid(f"http.pagination.path ({path}) gives {kind} instead of a URL")


def target_of(reference: str, head: Head, first: str) -> str:
    """Return the path and query at which the pod is asked for the next page.

    Args:
        reference: A URL, or a reference relative to the page that named it (RFC 3986 §5).
        head: Of that page.
        first: Path and query of the first page.

    Raises:
        PollError: ``NextInvalid``, or ``NextElsewhere``: a page of another server. A URL differs
            in the public name only if its path is that of the first page, perhaps behind a prefix
            that a proxy takes away.
    """
    try:
        given = urlsplit(reference)
        there = urlsplit(urljoin(f"http://{head.host}{head.target}", reference))
        path, query = _encoded(there.path or "/"), _encoded(there.query, "?")
    except ValueError:
        raise _invalid("the link to the next page is no URL") from None
    if given.scheme not in ("", "http", "https") or (given.scheme and not given.netloc):
        raise _invalid("the link to the next page is no URL of HTTP")
    if given.netloc and given.netloc.rpartition("@")[2].lower() != head.host.lower():
        own = urlsplit(first).path
        if not _is_behind(unquote(path), unquote(own)):
            raise PollError(
                Reason.NEXT_ELSEWHERE,
                "the link to the next page leads to another server, and to another path than "
                "http.path: it is not followed. Correct the product's public address, or use "
                "another type of http.pagination.",
                stalls=True,
            )
        path = own
    return f"{path}?{query}" if query else path


def _left_out(first: str, target: str) -> str | None:
    """Return a hint where a link lacks what the first page was asked with: it may list others."""
    asked, following = (dict(parse_qsl(urlsplit(link).query, True)) for link in (first, target))
    lacking = [name for name in asked if name not in following]
    if not lacking:
        return None
    return (
        f"the link to the next page leaves out {', '.join(lacking)} of http.query. If the product "
        "does not remember it otherwise, the next pages list other users than the first one: "
        "compare them, or use another type of http.pagination."
    )


def _is_behind(path: str, own: str) -> bool:
    return path == own or (len(own) > 1 and path.endswith(own))


def _encoded(text: str, more: str = "") -> str:
    return quote(text, safe=KEPT_IN_PATHS + more)


def _digest(target: str) -> bytes:
    return hashlib.sha256(target.encode()).digest()


def _invalid(seen: str) -> PollError:
    return PollError(
        Reason.NEXT_INVALID,
        f"{seen}. Correct http.pagination: path is that of the URL of the next page, and without "
        "path the header Link is read (RFC 8288).",
        stalls=True,
    )
