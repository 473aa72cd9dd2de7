"""How a list is divided into pages, as the user writes it.

``_TYPES`` names the members of each type. The rules that refuse a member of another type, and a
type without a member that it needs, are made of it.
"""

from typing import Annotated, Literal, NamedTuple

from pydantic import ConfigDict, Field

from licenseusage.api.model import ApiModel, JMESPath, Rule, map_list, rules

PaginationType = Literal["None", "Offset", "Page", "Cursor", "HeaderCursor", "Next"]

ParameterName = Annotated[str, Field(min_length=1, max_length=128)]

HEADER_NAME_RULE = Rule(
    "self.matches('^[A-Za-z0-9_-]+$')",
    "not an HTTP header's name: letters, digits, '-' and '_' only",
)

ResponseHeader = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        json_schema_extra=rules(
            HEADER_NAME_RULE,
            Rule(
                "!self.matches('(?i)^(link|set-cookie)$')",
                "this header holds no cursor: Link holds an address (use type Next), Set-Cookie a "
                "secret",
                reason="FieldValueForbidden",
            ),
        ),
    ),
]
"""Name of a header of an answer, in any case."""


class _Type(NamedTuple):
    """The members of one type, beside ``total``, which all have."""

    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()


_TYPES: dict[PaginationType, _Type] = {
    "None": _Type(),
    "Offset": _Type(needs=("offsetParam", "limitParam", "size"), takes=("first",)),
    "Page": _Type(needs=("pageParam", "first"), takes=("sizeParam", "size", "template")),
    "Cursor": _Type(needs=("params",)),
    "HeaderCursor": _Type(needs=("header", "cursorParam")),
    "Next": _Type(takes=("path",)),
}


def _belonging() -> list[Rule]:
    """Refuse a member that belongs to other types than the one given."""
    owners: dict[str, list[str]] = {}
    for name, members in _TYPES.items():
        for member in (*members.needs, *members.takes):
            owners.setdefault(member, []).append(name)
    shared: dict[tuple[str, ...], list[str]] = {}
    for member, types in owners.items():
        shared.setdefault(tuple(types), []).append(member)
    return [_belongs(members, types) for types, members in shared.items()]


def _belongs(members: list[str], types: tuple[str, ...]) -> Rule:
    verb = "belongs" if len(members) == 1 else "belong"
    words = f"{_listed(members, 'and')} {verb} to type {_listed(types, 'or')}"
    own = " || ".join(f"self.type == '{name}'" for name in types)
    there = " || ".join(f"has(self.{member})" for member in members)
    return Rule(
        f"!has(self.type) || {own} || !({there})",
        words,
        f"'{words}, not to type ' + self.type",
        field_path=f".{members[0]}" if len(members) == 1 else None,
    )


def _needed(name: str, members: tuple[str, ...]) -> Rule:
    there = " && ".join(f"has(self.http.pagination.{member})" for member in members)
    return _of_source(name, there, f"needs {_listed(members, 'and')}")


def _of_source(name: str, holds: str, words: str) -> Rule:
    """Return a rule of a source with one type; a preset may give what it asks for."""
    text = f"pagination of type {name} {words}"
    return Rule(
        "has(self.preset) || !has(self.http) || !has(self.http.pagination) || "
        "!has(self.http.pagination.type) || self.http.pagination.type != "
        f"'{name}' || ({holds})",
        text,
        f"'source ' + self.name + ': {text}'",
        reason="FieldValueRequired",
        field_path=".http.pagination",
    )


def _listed(words: "list[str] | tuple[str, ...]", last: str) -> str:
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), words[-1])))


OF_SOURCE = (
    *(_needed(name, members.needs) for name, members in _TYPES.items() if members.needs),
    _of_source(
        "Page",
        "has(self.http.pagination.size) || !(has(self.http.pagination.sizeParam) || "
        "(has(self.http.pagination.template) && "
        "self.http.pagination.template.contains('{size}')))",
        "with sizeParam or {size} needs size",
    ),
    Rule(
        "!has(self.guarantees) || !has(self.guarantees.order) || !(self.guarantees.order in "
        "['KeyCursor', 'Activity']) || !has(self.http) || !has(self.http.pagination) || "
        "!has(self.http.pagination.type) || !(self.http.pagination.type in ['Page', 'Next'] || "
        "(self.http.pagination.type == 'HeaderCursor' && has(self.http.pagination.header) && "
        "self.http.pagination.header.matches('(?i)^x-next-page$')))",
        "guarantees.order does not fit: pages by number or link cannot overlap, and no id says "
        "where they begin, so that neither KeyCursor nor Activity can be checked; use "
        "ImmutableKey or Unknown",
        reason="FieldValueForbidden",
        field_path=".guarantees.order",
    ),
)
"""Rules of a source about its pagination; ``self`` is the source."""


class CursorParameter(ApiModel):
    """A query parameter whose value is taken from the previous page."""

    name: ParameterName = Field(description="name is the name of the query parameter.")
    path: JMESPath = Field(
        description="path is a JMESPath expression over the page just read; it returns the "
        "parameter's value for the next page. null, an empty text or no result means that this "
        "was the last page."
    )


class Pagination(ApiModel):
    """How the list is divided into pages."""

    model_config = ConfigDict(json_schema_extra=rules(*_belonging()))

    type: PaginationType | None = Field(
        default=None,
        description="type is None (one answer holds all users), Offset (the request says how many "
        "items to skip), Page (the request gives the number of the page), Cursor (the request "
        "carries a value from the page before), HeaderCursor (the same, and the value stands in a "
        "header of the answer) or Next (each page links to the next one). Default: the preset's, "
        "otherwise None.",
    )
    offset_param: ParameterName | None = Field(
        default=None,
        description="offsetParam is the query parameter that says how many items to skip (type "
        "Offset).",
    )
    limit_param: ParameterName | None = Field(
        default=None,
        description="limitParam is the query parameter that says how many items a page may hold "
        "(type Offset).",
    )
    page_param: ParameterName | None = Field(
        default=None,
        description="pageParam is the query parameter that holds the number of the page (type "
        "Page).",
    )
    size_param: ParameterName | None = Field(
        default=None,
        description="sizeParam is the query parameter that says how many items a page may hold "
        "(type Page). Without it, the product decides.",
    )
    template: (
        Annotated[
            str,
            Field(
                min_length=6,
                max_length=1024,
                json_schema_extra=rules(
                    Rule(
                        "self.contains('{page}') && !self.contains('{{')",
                        "must hold {page}, may hold {size}, and no template of the cycle: write "
                        "it as (page:{page},page_size:{size})",
                    )
                ),
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="template is the value of pageParam where more than the number stands in it, "
        "such as (page:{page},page_size:{size}); {page} and {size} are replaced (type Page). "
        "Default: {page}.",
    )
    size: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None,
        description="size is the number of items requested per page (types Offset and Page).",
    )
    first: Annotated[int, Field(ge=0, le=1)] | None = Field(
        default=None,
        description="first is the number of the first item (type Offset, which counts from it: 1 "
        "as in SCIM; default: the preset's, otherwise 0) or of the first page (type Page, which "
        "needs it): 0 or 1.",
    )
    total: JMESPath | None = Field(
        default=None,
        description="total is a JMESPath expression over a page that returns the number of all "
        "items. If fewer items were read, the poll fails. An equal number does not prove that "
        "pages which were read one after the other are complete.",
    )
    params: tuple[CursorParameter, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=4,
        json_schema_extra=map_list("name"),
        description="params are the query parameters that request the next page (type Cursor).",
    )
    header: ResponseHeader | None = Field(
        default=None,
        description="header is the name of the response header that holds the cursor of the next "
        "page, such as X-MS-ContinuationToken; case does not matter. No such header, or an empty "
        "one, means that this was the last page (type HeaderCursor).",
    )
    cursor_param: ParameterName | None = Field(
        default=None,
        description="cursorParam is the query parameter that carries the cursor to the product, "
        "such as continuationToken (type HeaderCursor).",
    )
    path: JMESPath | None = Field(
        default=None,
        description="path is a JMESPath expression over a page that returns the URL of the next "
        "one; null, an empty text or no result means that this was the last page (type Next). Only "
        "its path and query are used, at the pod that is asked. Default: the URL of the response "
        'header Link with rel="next" (RFC 8288).',
    )
