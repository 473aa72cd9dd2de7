"""How a source's pages are built: a page, or a piece of its list, becomes columns.

Only the fields that the source names are decoded where that is possible. Where a text in a page is
no text, what is decoded is ``mending``'s copy of it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from licenseusage.reasons import Reason
from licenseusage.sources.definition.expressions import (
    Expression,
    Json,
    Path,
    expression,
    leading_path,
    walk,
)
from licenseusage.sources.definition.interpreter import EvaluationError
from licenseusage.sources.definition.model import Http
from licenseusage.sources.definition.structs import Rows, StructConflictError, struct_of
from licenseusage.sources.definition.timestamps import kind_of
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.notjson import not_json
from licenseusage.sources.http.said import (
    MEMBERS,
    NOTHING,
    Said,
    in_document,
    in_members,
    on_the_way,
)
from licenseusage.sources.lists.columns import Columns, ItemColumns
from licenseusage.sources.lists.repeated import RowsSearch, Twice, repeated_member
from licenseusage.sources.mending import NO_JSON, is_broken, mended

_DOCUMENTS: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


class PageEnd(NamedTuple):
    """The members around the items of a page.

    Attributes:
        values: What paging needs, by name: ``total``, or cursor parameters.
        extent: What the answer says of its own size, beside what the source reads.
        twice: A member on the way to the list, to a value or in a row stands twice in its object;
            None: none.
    """

    values: dict[str, Json]
    extent: Said = NOTHING
    twice: Twice | None = None


@dataclass(slots=True)
class PageDecoder:
    """Knows how a source's pages are built; one for all pages of a poll.

    Attributes:
        values: The page's values that paging needs, by name: ``total``, or cursor parameters.
        rows_search: Looks for members that stand twice in a row.
        ignored: Members that do not mean for this product what they usually mean.
        look: Is shown the whole items of the first page, or of a piece of it; None: nobody is.
        number: Of the page that is read, for messages.
    """

    items_columns: ItemColumns
    items: Expression | None
    values: dict[str, Expression]
    rows_search: RowsSearch
    ignored: frozenset[str] = frozenset()
    look: Callable[[list[Json]], None] | None = None
    number: int = 1
    _piece: msgspec.json.Decoder[Any] | None = None
    _line: msgspec.json.Decoder[Any] | None = None
    _page: msgspec.json.Decoder[Any] | None = None
    _names: dict[Path, str] = field(default_factory=dict)
    _leading: Path = ()  # what http.items begins with
    _read: tuple[Path, ...] = ()  # where the list and the values stand, as far as paths lead
    _objects: tuple[Path, ...] = ()  # on the way to them
    _beside: tuple[Path, ...] = ()  # members to decode there, for what they say

    @classmethod
    def of(cls, http: Http, columns: ItemColumns, *, thorough: bool = False) -> "PageDecoder":
        """Build the decoder of a source; ``thorough`` as for `RowsSearch`."""
        values = {name: expression(path) for name, path in http.pagination.values.items()}
        items = expression(http.items) if http.items else None
        search = RowsSearch(columns.paths, thorough=thorough)
        decoder = cls(columns, items, values, search, frozenset(http.ignore_members))
        decoder._prepare()
        return decoder

    @property
    def list_path(self) -> Path | None:
        """Where the list is, if it can be decoded in pieces."""
        if any(value.path is None for value in self.values.values()):
            return None
        return self.items.path if self.items else ()

    def _prepare(self) -> None:
        row, path = self.items_columns.struct, self.list_path
        self._line = msgspec.json.Decoder(row) if row is not None else None
        read = [self.items, *self.values.values()]
        self._read = tuple(leading_path(compiled.text) for compiled in read if compiled is not None)
        self._objects = tuple(on_the_way(self._read))
        self._leading = self._read[0] if self.items else ()
        if row is None or path is None:
            return
        self._piece = msgspec.json.Decoder(list[row])  # type: ignore[valid-type]
        if path == ():
            self._page = self._piece if not self.values else None
            return
        fields: dict[Path, Any] = {path: list[row]}  # type: ignore[valid-type]
        for value in self.values.values():
            fields[value.path or ()] = Any
        on_the_way_to = {field[:end] for field in fields for end in range(1, len(field) + 1)}
        beside = ((*inside, name) for inside in self._objects for name in sorted(MEMBERS))
        self._beside = tuple(member for member in beside if member not in on_the_way_to)
        fields |= dict.fromkeys(self._beside, Any)
        try:
            page, self._names = struct_of(fields)
        except StructConflictError:
            return
        self._page = msgspec.json.Decoder(page)

    def piece(self, data: bytes) -> Columns | None:
        """Decode a JSON list of items; None if it is not JSON."""
        try:
            return self._piece_of(data)
        except RecursionError:
            return None
        except NO_JSON:
            better = mended(data)
        try:
            return None if better is None else _without_broken_ids(self._piece_of(better))
        except NO_JSON:
            return None

    def _piece_of(self, data: bytes) -> Columns:
        try:
            if self._piece is None:
                columns = self._of_items(msgspec.json.decode(data))
            else:
                columns = self._of_rows(self._piece.decode(data))
        except msgspec.ValidationError:
            # It fits no struct: decoded as a whole, that says what is wrong if anything is.
            columns = self._of_items(msgspec.json.decode(data))
        if self.look is not None:
            self._show(msgspec.json.decode(data))
        self.rows_search.look(data, len(columns), ())
        return columns

    def lines(self, documents: Sequence[bytes]) -> Columns:
        """Decode documents, each of which is an item; fewer or more rows than documents are wrong.

        Raises:
            DecodeError: One of ``NO_JSON``, or a ``RecursionError``; which document is not said.
            PollError: ``ExpressionFailed``.
        """
        data = b"\n".join(documents)
        try:
            return self._of_lines(data, documents)
        except NO_JSON:
            better = mended(data)
            if better is None:
                raise
        return _without_broken_ids(self._of_lines(better, better.split(b"\n")))

    def _of_lines(self, data: bytes, documents: Sequence[bytes]) -> Columns:
        try:
            if self._line is None:
                columns = self._of_items(_DOCUMENTS.decode_lines(data))
            else:
                columns = self._of_rows(self._line.decode_lines(data))
        except msgspec.ValidationError:
            columns = self._of_items(_DOCUMENTS.decode_lines(data))
        if self.look is not None:
            self._show(_DOCUMENTS.decode_lines(data))
        self.rows_search.look(b"[" + b",".join(documents) + b"]", len(columns), ())
        return columns

    def page(self, data: bytes | bytearray) -> tuple[Columns, PageEnd]:
        """Decode a whole page.

        Raises:
            PollError: ``AnswerNotJSON``, ``AnswerInvalidJSON``, ``ItemsNotAList`` and their like.
        """
        better: bytes | None = None
        try:
            return self._page_of(data)
        except RecursionError as error:
            raise not_json(data, error) from None
        except NO_JSON as error:
            better = mended(data)
            if better is None:
                raise not_json(data, error) from None
        try:
            columns, end = self._page_of(better)
        except (*NO_JSON, RecursionError) as error:
            raise not_json(data, error) from None
        return _without_broken_ids(columns), end

    def _page_of(self, data: bytes | bytearray) -> tuple[Columns, PageEnd]:
        columns, end = self._whole(data)
        if self.look is not None:
            document = msgspec.json.decode(data)
            self._show(self.items.search(document) if self.items else document)
        self.rows_search.look(data, len(columns), self._leading)
        twice = repeated_member(data, self._read) or self.rows_search.twice
        return columns, end._replace(twice=twice)

    def _show(self, items: Json) -> None:
        if self.look is not None and isinstance(items, list):
            self.look(items)
            self.look = None

    def _whole(self, data: bytes | bytearray) -> tuple[Columns, PageEnd]:
        if self._page is not None:
            try:
                page = self._page.decode(data)
            except msgspec.ValidationError:
                pass  # as in _piece_of
            else:
                typed = self._typed(page)
                if typed is not None:
                    return typed
        document = msgspec.json.decode(data)
        try:
            items = self.items.search(document) if self.items else document
            values = {name: value.search(document) for name, value in self.values.items()}
        except EvaluationError as error:
            raise self._cannot_apply(error) from None
        if items is None and self._is_empty_map(document):
            items = []
        if not isinstance(items, list):
            raise self._no_list(items, document)
        extent = in_document(document, self._objects, self._read, self.ignored)
        return self._of_items(items), PageEnd(values, extent)

    def _typed(self, page: Any) -> tuple[Columns, PageEnd] | None:  # noqa: ANN401
        """Return the contents of a page; None if there is no list where it should be."""
        if not self._names:
            return self._of_rows(page), PageEnd({})
        assert self.items is not None  # noqa: S101
        rows = _attribute(page, self._names[self.items.path or ()])
        if rows is None:
            return None
        values = {
            name: _attribute(page, self._names[value.path or ()])
            for name, value in self.values.items()
        }
        extent = in_members(self._members(page), self._read, self.ignored)
        return self._of_rows(rows), PageEnd(values, extent)

    def _members(self, page: Any) -> Iterator[tuple[Path, Json]]:  # noqa: ANN401
        for path in self._beside:
            value = _attribute(page, self._names[path])
            if value is not None:
                yield path, value

    def _of_rows(self, rows: Rows) -> Columns:
        try:
            return self.items_columns.of_rows(rows)
        except EvaluationError as error:
            raise self._cannot_apply(error) from None

    def _of_items(self, items: list[Json]) -> Columns:
        try:
            return self.items_columns.of_items(items)
        except EvaluationError as error:
            raise self._cannot_apply(error) from None

    def _is_empty_map(self, document: Json) -> bool:
        """Whether ``http.items`` asks for the members of ``[]``, as PHP writes no members."""
        more = self.items is not None and self.items.path is None
        return more and bool(self._leading) and walk(document, self._leading) == []

    def _no_list(self, value: Json, document: Json) -> PollError:
        where = f"http.items ({self.items.text})" if self.items else "the answer itself"
        ends = f"; {_last_found(document, self._leading)}" if value is None and self.items else ""
        return PollError(
            Reason.ITEMS_NOT_A_LIST,
            f"{where} gives {kind_of(value)} instead of a list{self._on_page}{ends}. Check "
            "http.items against the product's answer; an error message sent with status 200 looks "
            "like this as well.",
            stalls=True,
        )

    @property
    def _on_page(self) -> str:
        return f" on page {self.number}" if self.number > 1 else ""

    def _cannot_apply(self, error: EvaluationError) -> PollError:
        return PollError(
            Reason.EXPRESSION_FAILED,
            f"the expression {error.expression} cannot be applied to the answer{self._on_page}: "
            f"{error}. Correct it; try the source with `licenseusage source check`.",
            stalls=True,
        )


def _last_found(document: Json, path: Path) -> str:
    """Return a sentence about how far a path leads, and what is there."""
    while path and walk(document, path) is None:
        path = path[:-1]
    return f"{'.'.join(path) or 'the answer'} is {kind_of(walk(document, path))}"


def _without_broken_ids(columns: Columns) -> Columns:
    """Return the columns of a repaired page or piece; an id with broken text is dropped."""
    broken = list(map(is_broken, columns.ids))
    if True in broken:
        columns.ids = [None if is_broken(shown) else shown for shown in columns.ids]
        columns.broken = broken
    return columns


def _attribute(page: Any, name: str) -> Json:  # noqa: ANN401
    for part in name.split("."):
        if page is None:
            return None
        page = getattr(page, part)
    return page
