"""A page of one JSON document per line (NDJSON), decoded while it arrives.

Nothing stands around such a list, so nothing in it says that it is whole: that its end was seen is
asked of HTTP (``Head.ends``), and every line must be a user. A product that fails in the middle of
a stream often ends it in good order, with an error message as the last line.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from licenseusage.reasons import Reason
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.notjson import not_json
from licenseusage.sources.lists.columns import Columns
from licenseusage.sources.lists.decoder import PageDecoder, PageEnd
from licenseusage.sources.lists.pages import BOM, PIECE_BYTES, Sink
from licenseusage.sources.mending import NO_JSON, decoded

_LINE_BREAK = b"\n"


@dataclass(slots=True)
class LineReader:
    """Takes one answer's body as it arrives and hands its lines on, as ``PageReader`` its items.

    Attributes:
        piece_bytes: So many bytes are decoded at a time, or one line if that is longer.
    """

    decoder: PageDecoder
    sink: Sink
    piece_bytes: int = PIECE_BYTES
    _body: bytearray = field(default_factory=bytearray)
    _searched: int = 0  # bytes of it that hold no line break
    _begun: bool = False
    _lines: int = 0  # that were taken, blank ones too

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body; raises as ``finish``."""
        self._body += data
        if len(self._body) < self.piece_bytes:
            return
        end = self._body.rfind(_LINE_BREAK, self._searched)
        self._searched = len(self._body)
        if end >= 0:
            self._take(end + 1)

    def finish(self) -> PageEnd:
        """Decode what is left; the last line may lack its line break.

        Raises:
            PollError: ``AnswerEmpty`` (on the first page), ``AnswerNotJSON``, ``AnswerInvalidJSON``
                or ``LineNotAUser``.
        """
        if not self._begun and not self._body.strip() and self.decoder.number == 1:
            raise PollError(
                Reason.ANSWER_EMPTY,
                "the answer has status 200 and no line. Check http.path and whether the product is "
                "ready.",
            )
        self._take(len(self._body))
        return PageEnd({}, twice=self.decoder.rows_search.twice)

    def _take(self, end: int) -> None:
        part = bytes(self._body[:end])
        del self._body[:end]
        self._searched = 0
        if not self._begun:
            part = part.removeprefix(BOM)
        self._begun = True
        lines = part.split(_LINE_BREAK)
        documents = [line for line in lines if line.strip()]
        try:
            columns = self.decoder.lines(documents)
        except (*NO_JSON, RecursionError):
            raise self._no_document(lines) from None
        if len(columns) != len(documents):
            raise self._no_document(lines)
        if (row := _no_user(columns)) is not None:
            places = [place for place, line in enumerate(lines, 1) if line.strip()]
            raise self._not_a_user(places[row])
        self._lines += len(lines) - 1
        if len(columns):
            self.sink(columns)

    def _no_document(self, lines: list[bytes]) -> PollError:
        place, error = next(_broken(lines), (len(lines), None))
        if error is not None and place == 1 and not self._lines:
            failed = not_json(lines[0], error)
            if failed.failure.reason != Reason.ANSWER_INVALID_JSON:
                return failed
        return PollError(
            Reason.ANSWER_INVALID_JSON,
            f"line {self._lines + place} of the answer is not one JSON document. A proxy may have "
            "cut or changed it; if the answer is one document, set http.format to JSON.",
        )

    def _not_a_user(self, place: int) -> PollError:
        return PollError(
            Reason.LINE_NOT_A_USER,
            f"line {self._lines + place} of the answer is no object, or holds neither users.id nor "
            "users.lastActive.path. A stream that fails midway ends with such a line. See the "
            "product's log; if the answer is one document, set http.format to JSON; leave out "
            "lines that are no users by users.exclude.",
        )


def _broken(lines: list[bytes]) -> Iterator[tuple[int, Exception]]:
    """Yield the places of lines that are no documents, counted from 1."""
    for place, line in enumerate(lines, 1):
        try:
            if line.strip():
                decoded(msgspec.json.decode, line)
        except (*NO_JSON, RecursionError) as error:
            yield place, error


def _no_user(columns: Columns) -> int | None:
    """Return the first row that names neither a user nor a time; a broken id names one."""
    if None not in columns.ids:
        return None
    for row, (user_id, stamp) in enumerate(zip(columns.ids, columns.stamps, strict=True)):
        excluded = columns.excluded is not None and columns.excluded[row]
        broken = columns.broken is not None and columns.broken[row]
        if user_id is None and stamp is None and not excluded and not broken:
            return row
    return None
