"""An answer's statements about its own size: that there is more, or how many in all.

Products that cut a list usually say so, each in its own words: a ``Link`` header (RFC 8288), an
OData ``nextLink``, a token for the next page, a total. Nobody asked for them, and a listing that
ends in spite of them is not complete (MEASUREMENT §3.10 b). Names that mean something else for a
product are left out by ``http.ignoreMembers``.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from licenseusage.sources.definition.expressions import Json, Path, walk

_NEXT = frozenset(
    {
        "@odata.nextLink", "odata.nextLink", "next", "nextLink", "next_link", "nextUrl", "next_url",
        "nextPage", "next_page", "nextToken", "next_token", "nextPageToken", "next_page_token",
        "nextCursor", "next_cursor", "nextOffset", "next_offset", "continue",
    }
)  # fmt: skip
_MORE = frozenset({"has_more", "hasMore", "has_next", "hasNext", "has_next_page", "hasNextPage"})
TOTALS = frozenset(
    {
        "total", "totalCount", "total_count", "totalResults", "total_results", "totalItems",
        "total_items", "totalElements", "count", "@odata.count",
    }
)  # fmt: skip
_AROUND = frozenset(
    {
        "links", "_links", "link", "meta", "metadata", "page", "pageInfo", "page_info", "paging",
        "pagination", "_pagination", "response_metadata",
    }
)  # fmt: skip
"""Objects that hold such members; ``link`` is a list in FHIR, ``links`` may be one."""

MEMBERS = _NEXT | _MORE | TOTALS | _AROUND
"""Members to decode beside the list, and in every object on the way to it."""

TOTAL_HEADERS = ("x-total-count", "x-total")
NEXT_HEADERS = ("x-next-page", "x-ms-continuationtoken")
"""Not empty only where a page follows: GitLab's, and Azure DevOps's."""
RANGE_TOTAL = re.compile(r"/\s*(\d{1,15})\s*$", re.ASCII)
NUMBER = re.compile(r"\s*(\d{1,15})\s*", re.ASCII)
_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[^\s=;,]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]*))?)*)')
_PARAMETER = re.compile(r';\s*([^\s=;,]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))')


MOST_USERS = 10**15 - 1
"""A greater total is reported as this one."""


class Total(NamedTuple):
    """A number of all users, and its place in the answer."""

    where: str
    users: int


@dataclass(frozen=True, slots=True)
class Said:
    """The statements of one answer about the list that it is a part of.

    Attributes:
        more: Where it says that there is more, in words; None where nowhere.
        total: The greatest number of users that it says there are.
        ended: It says that nothing follows.
    """

    more: str | None = None
    total: Total | None = None
    ended: bool = False

    def __or__(self, other: "Said") -> "Said":
        """Join the statements of two parts of an answer: the worse one counts."""
        totals = [total for total in (self.total, other.total) if total is not None]
        return Said(
            self.more or other.more,
            max(totals, key=lambda total: total.users, default=None),
            self.ended or other.ended,
        )


NOTHING = Said()


def in_headers(headers: Iterable[tuple[str, str]], ignored: Collection[str] = ()) -> Said:
    """Return the statements of an answer's headers.

    Args:
        headers: All of them, repeated ones too.
        ignored: ``http.ignoreMembers``; names of headers in any case.
    """
    left_out = {name.lower() for name in ignored}
    extent = NOTHING
    for name, value in headers:
        lower = name.lower()
        if lower in left_out:
            continue
        if lower == "link" and any(True for _ in next_links(value)):
            extent |= Said(more='a header Link with rel="next"')
        elif lower in NEXT_HEADERS and value.strip():
            extent |= Said(more=f"a header {name}")
        elif lower in TOTAL_HEADERS and (number := NUMBER.fullmatch(value)):
            extent |= Said(total=Total(f"header {name}", int(number[1])))
        elif lower == "content-range" and (number := RANGE_TOTAL.search(value)):
            extent |= Said(total=Total(f"header {name}", int(number[1])))
    return extent


def next_links(header: str) -> Iterator[str]:
    """Yield what a ``Link`` header names as the next page (RFC 8288).

    A header holds several links, a link several parameters in any case and order, quoted or not,
    and a ``rel`` several types; of several ``rel`` of a link only the first counts (§3.3). Sentry
    links to a next page at the last one as well, and says ``results="false"`` there.
    """
    for match in _LINK.finditer(header):
        parameters: dict[str, str] = {}
        for parameter in _PARAMETER.finditer(match[2]):
            value = parameter[2] if parameter[2] is not None else parameter[3]
            parameters.setdefault(parameter[1].lower(), value.replace("\\", "").lower())
        if "next" in parameters.get("rel", "").split() and parameters.get("results") != "false":
            yield match[1].strip()


def on_the_way(paths: Iterable[Path]) -> list[Path]:
    """Return the objects that lead to values at these paths, the answer itself first."""
    return sorted({path[:end] for path in (*paths, ("",)) for end in range(len(path))})


def in_document(
    document: Json, objects: Iterable[Path], read: Collection[Path], ignored: Collection[str] = ()
) -> Said:
    """Return the statements of a decoded answer.

    Args:
        document: The answer.
        objects: Objects on the way to the list (``on_the_way``); any may be missing.
        read: Paths that the source reads itself: the list, a total, cursors.
        ignored: ``http.ignoreMembers``.
    """
    members = (
        ((*path, name), value)
        for path in objects
        if isinstance(inside := walk(document, path), dict)
        for name, value in inside.items()
        if name in MEMBERS
    )
    return in_members(members, read, ignored)


def in_members(
    members: Iterable[tuple[Path, Json]], read: Collection[Path], ignored: Collection[str] = ()
) -> Said:
    """Return the statements of members beside the list; see ``in_document``."""
    extent = NOTHING
    for path, value in chain.from_iterable(_opened(path, value) for path, value in members):
        where = ".".join(path)
        if path not in read and path[-1] not in ignored and where not in ignored:
            extent |= _of_member(path[-1], where, value)
    return extent


def _opened(path: Path, value: Json) -> Iterator[tuple[Path, Json]]:
    """Yield a member, or those of the object around such members."""
    if path[-1] not in _AROUND:
        yield path, value
    elif isinstance(value, Mapping):
        yield from (((*path, name), inner) for name, inner in value.items() if name in MEMBERS)
    elif isinstance(value, list):
        for link in value:
            if isinstance(link, Mapping) and "next" in (link.get("rel"), link.get("relation")):
                yield (*path, "next"), link


def _of_member(name: str, where: str, value: Json) -> Said:
    if name in _NEXT and not isinstance(value, bool) and value:
        return Said(more=f"a member {where}")
    if name in _MORE and isinstance(value, bool):
        return Said(more=f"a member {where}") if value else Said(ended=True)
    if name in TOTALS:
        if isinstance(value, str) and (number := NUMBER.fullmatch(value)):
            value = int(number[1])
        if isinstance(value, int) and not isinstance(value, bool):
            return Said(total=Total(f"member {where}", min(value, MOST_USERS)))
    return NOTHING
