"""How a source is read: the HTTP request, as the user writes it.

No member has a default here: a preset may give it (``licenseusage.sources.definition.presets``
merges), and a default inside a list item would show as drift in GitOps tools. The value that holds
if neither gives one is part of the member's description.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from licenseusage.api.model import (
    LIST_TYPE,
    ApiModel,
    JMESPath,
    Rule,
    map_list,
    rules,
    set_list,
)
from licenseusage.api.pagination import HEADER_NAME_RULE, Pagination, ParameterName

Method = Annotated[
    Literal["GET", "POST"],
    Field(
        json_schema_extra=rules(
            Rule(
                "self == 'GET'",
                "POST may change something at the product, so only a preset whose product lists "
                "its users by it brings it: remove method",
                reason="FieldValueForbidden",
            )
        )
    ),
]
BodyFormat = Literal["JSON", "NDJSON"]
Validator = Literal["None", "ETag"]

MemberName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        json_schema_extra=rules(
            Rule(
                r"!self.matches('[\\x00-\\x20\\x7f]')",
                "holds white space or a control character: give the name of a member or a header",
            )
        ),
    ),
]

NO_CONTROL_CHARACTERS = Rule(
    r"!self.matches('[\\x00-\\x1f\\x7f]')",
    "holds a control character (a line break?): write it as one line of text",
)

PATH_RULES = (
    Rule(
        r"self.startsWith('/') && !self.matches('[?#\\x00-\\x20\\x7f\\\\]')",
        "must begin with '/' and hold no '?', '#', '\\' or white space: put parameters into query",
    ),
    Rule("!self.startsWith('//')", "must not begin with '//', which names another host"),
)
"""Of the path of a request."""

HeaderName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        json_schema_extra=rules(
            HEADER_NAME_RULE,
            Rule(
                "!self.matches('(?i)^(host|connection|content-length|transfer-encoding|te|upgrade)$')",
                "this header belongs to the connection and cannot be set",
                "'header \"' + self + '\" belongs to the connection and cannot be set'",
                reason="FieldValueForbidden",
            ),
            Rule(
                "!self.matches('(?i)^x-(http-)?method(-override)?$')",
                "this header asks for another method than the request's, which may change "
                "something at the product: remove it",
                reason="FieldValueForbidden",
            ),
        ),
    ),
]
HeaderValue = Annotated[str, Field(max_length=1024, json_schema_extra=rules(NO_CONTROL_CHARACTERS))]


class QueryParameter(ApiModel):
    """One entry of the query; a name may repeat."""

    name: ParameterName = Field(description="name is the name of the query parameter.")
    value: str = Field(
        max_length=2048,
        description="value is the value of the query parameter. The templates {{cycle.start}} and "
        "{{cycle.end}} (RFC 3339) are replaced; so are their variants .date, .epoch, .epochMillis "
        "and .dayBefore. With events, they are {{range.start}} and {{range.end}}, which have the "
        "first three variants.",
    )


class Header(ApiModel):
    """One request header without a secret."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!self.name.matches('(?i)^(authorization|proxy-authorization|cookie)$')",
                "this header carries a secret, and secrets do not belong in this object: put it "
                "into a Secret and use auth",
                "'header \"' + self.name + '\" carries a secret, and secrets do not belong in this "
                "object: put it into a Secret and use auth'",
                reason="FieldValueForbidden",
                field_path=".name",
            )
        )
    )

    name: HeaderName = Field(description="name is the name of the request header.")
    value: HeaderValue = Field(
        description="value is the value of the header. Everyone who may read this object can see "
        "it."
    )


class Http(ApiModel):
    """An HTTP request that lists users."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.format) || self.format != 'NDJSON' || !(has(self.items) || "
                "(has(self.pagination) && (has(self.pagination.total) || "
                "has(self.pagination.params) || has(self.pagination.path))))",
                "format NDJSON has one user per line and nothing around them: remove items, and "
                "total, params and path of pagination",
            ),
            Rule(
                "!has(self.validator) || self.validator == 'None' || !has(self.pagination) || "
                "!has(self.pagination.type) || self.pagination.type == 'None'",
                "validator ETag is for a list in one answer: of pages, the ids on those that did "
                "not change would have to be kept; remove validator or pagination",
                reason="FieldValueForbidden",
                field_path=".validator",
            ),
        )
    )

    method: Method | None = Field(
        default=None,
        description="method is GET. Only a preset can set POST, for products that list their "
        "users by it.",
    )
    path: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=1024,
                json_schema_extra=rules(*PATH_RULES),
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="path is the path of the request, without a query. Templates are replaced as "
        "in query. Required, unless the preset gives it.",
    )
    query: tuple[QueryParameter, ...] | None = Field(
        default=None,
        max_length=32,
        json_schema_extra={LIST_TYPE: "atomic"},
        description="query is the list of query parameters, in order. A name may repeat.",
    )
    headers: tuple[Header, ...] | None = Field(
        default=None,
        max_length=16,
        json_schema_extra=map_list("name"),
        description="headers are request headers without secrets.",
    )
    body: Annotated[str, Field(min_length=1, max_length=16384)] | None = Field(
        default=None,
        description="body is the JSON text that is sent instead of the preset's body, if the "
        "preset's method is POST. Templates are replaced as in query.",
    )
    format: BodyFormat | None = Field(
        default=None,
        description="format is the format of the answer: JSON (one document, the default) or "
        "NDJSON (one document for each user, in lines).",
    )
    items: JMESPath | None = Field(
        default=None,
        description="items is a JMESPath expression that returns the list of users in the answer. "
        "Default: the preset's, otherwise the answer itself is the list.",
    )
    pagination: Pagination | None = Field(
        default=None, description="pagination describes how the list is divided into pages."
    )
    ignore_members: tuple[MemberName, ...] | None = Field(
        default=None,
        max_length=16,
        json_schema_extra=set_list(),
        description="ignoreMembers names members of the answer (by name, or by a path with dots "
        "from the root of the answer) and response headers whose usual meaning does not apply. "
        "Members such as next, nextLink, has_more, total or count, and headers such as Link or "
        "X-Total-Count, can say that there are more users than were read. Then the list proves "
        "nobody absent, unless the member or header is named here.",
    )
    validator: Validator | None = Field(
        default=None,
        description="validator is None or ETag. With ETag the request asks only for a list that "
        "has changed (If-None-Match), if the product gave a strong ETag with it. The answer that "
        "nothing has changed (304) confirms those who were counted and rules nobody out, so the "
        "whole list is read at least once an hour, after each day and at the cycle's end. Default: "
        "the preset's, otherwise None.",
    )


OF_SOURCE = (
    Rule(
        "!has(self.http) || !has(self.http.validator) || self.http.validator == 'None' || "
        "!(has(self.window) || has(self.events) || (has(self.users) && has(self.users.acrossPods) "
        "&& self.users.acrossPods == 'Same'))",
        "http.validator ETag is for a list of users with times, read at one pod: without times, or "
        "of events, an answer that is repeated may not be true any more, and acrossPods Same "
        "compares whole lists; remove validator",
        reason="FieldValueForbidden",
        field_path=".http.validator",
    ),
)
"""Of a source whose answer may be unchanged."""
