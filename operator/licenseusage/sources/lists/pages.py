"""One page of a listing, decoded while it arrives.

A product may answer with every user it has in one body of hundreds of megabytes. So the list is cut
into pieces between two items as it comes in, and each piece is decoded and dropped. A cut is a
guess (the text between two items is searched for) that decoding proves right: if ``[`` + piece +
``]`` is JSON, the piece ends between two items of that list and nowhere else, since JSON that was
cut inside a text or a nested value cannot be completed by ``]``. Where no cut can be proved the
body is kept whole.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from licenseusage.reasons import Reason
from licenseusage.sources.definition.expressions import walk
from licenseusage.sources.failures import PollError
from licenseusage.sources.lists.columns import Columns
from licenseusage.sources.lists.decoder import PageDecoder, PageEnd
from licenseusage.sources.mending import NO_JSON, decoded

Sink: TypeAlias = Callable[[Columns], None]
"""Takes the columns of some items, in the order of the listing."""

LARGE_BYTES = 1024 * 1024
"""A body up to this size is decoded at once, which is the quickest for usual pages."""

PIECE_BYTES = 256 * 1024
"""What is decoded at a time of a larger one: fits into the processor's cache."""

_CUTS_TRIED = 8
_STARTS_TRIED = 16
BOM = b"\xef\xbb\xbf"
_FIRST_NAME = re.compile(rb'\s*(\{\s*"[^"\\]{1,128}"\s*:)')


@dataclass(slots=True)
class PageReader:
    """Takes one answer's body as it arrives and hands its items on.

    Attributes:
        large_bytes: From this size on the body is decoded in pieces.
        piece_bytes: Their size.
    """

    decoder: PageDecoder
    sink: Sink
    large_bytes: int = LARGE_BYTES
    piece_bytes: int = PIECE_BYTES
    _body: bytearray = field(default_factory=bytearray)
    _head: bytes | None = None  # everything up to and with the list's "["
    _between: bytes | None = None  # the text between two items, up to the first name of the next
    _try_at: int = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self._body += data
        if len(self._body) >= (self._try_at or self.large_bytes):
            self._take_pieces()

    def finish(self) -> PageEnd:
        """Decode what is left and return what stands around the items; raises as ``page``.

        What is left, put behind the head, is the page with fewer items.
        """
        if not self._body and self._head is None:
            raise PollError(
                Reason.ANSWER_EMPTY,
                "the answer has status 200 and no content. Check http.path and whether the product "
                "is ready.",
            )
        body, self._body = self._body, bytearray()
        if self._head is not None:
            body[:0] = self._head
        elif body.startswith(BOM):
            del body[:3]
        columns, end = self.decoder.page(body)
        if len(columns):
            self.sink(columns)
        return end

    def _take_pieces(self) -> None:
        if self._head is None:
            self._head = self._find_list()
            if self._head is None:
                self._try_at = 2 * len(self._body)
                return
            del self._body[: len(self._head)]
        if self._between is None:
            self._between = self._find_between()
        end = len(self._body)
        for _ in range(_CUTS_TRIED if self._between else 0):
            end = self._body.rfind(self._between or b"", 0, end)
            if end < 0:
                break
            columns = self.decoder.piece(b"".join((b"[", memoryview(self._body)[: end + 1], b"]")))
            if columns is not None:
                self.sink(columns)
                comma = self._body.index(b",", end)
                del self._body[: comma + 1]
                self._try_at = self.piece_bytes
                return
        self._try_at = 2 * len(self._body)  # so that all tries together stay linear

    def _find_list(self) -> bytes | None:
        """Return the body up to the list's ``[``, proved by decoding; None where not found."""
        path = self.decoder.list_path
        if path is None:
            return None
        if bytes(self._body[:3]) == BOM:
            del self._body[:3]
        name = rb'"%b"\s*:' % re.escape(path[-1].encode()) if path else b""
        for number, opening in enumerate(re.finditer(name + rb"\s*\[", self._body)):
            if number >= _STARTS_TRIED or (not path and opening.start() > 0):
                break
            head = bytes(self._body[: opening.end()])
            try:
                document = decoded(msgspec.json.decode, head + b'"here"]' + b"}" * len(path))
            except (*NO_JSON, RecursionError):
                continue
            if walk(document, path) == ["here"]:
                return head
        return None

    def _find_between(self) -> bytes | None:
        first = _FIRST_NAME.match(self._body)
        if first is None:
            return None
        separator = re.search(rb"\}\s*,\s*" + re.escape(first[1]), self._body)
        return separator[0] if separator else None
