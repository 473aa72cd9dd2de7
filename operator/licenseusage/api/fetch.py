"""How a source is read: credentials and the HTTP request, as the user writes them.

No member has a default here: a preset may give it (``licenseusage.sources.definition.presets``
merges), and a default inside a list item would show as drift in GitOps tools. The value that holds
if neither gives one is part of the member's description.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from licenseusage.api.model import (
    LIST_TYPE,
    ApiModel,
    Rule,
    SecretKeyRef,
    SecretRef,
    map_list,
    rules,
    set_list,
)

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
BodyFormat = Literal["JSON"]
PaginationType = Literal["None", "Offset", "Cursor"]

JMESPath = Annotated[str, Field(min_length=1, max_length=1024)]
"""A JMESPath expression; compiled when the source is read (``licenseusage.sources``)."""

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

ParameterName = Annotated[str, Field(min_length=1, max_length=128)]

NO_CONTROL_CHARACTERS = Rule(
    r"!self.matches('[\\x00-\\x1f\\x7f]')",
    "holds a control character (a line break?): write it as one line of text",
)

HeaderName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        json_schema_extra=rules(
            Rule(
                "self.matches('^[A-Za-z0-9_-]+$')",
                "not an HTTP header's name: letters, digits, '-' and '_' only",
            ),
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


class BasicAuth(ApiModel):
    """A user name and a password."""

    secret_ref: SecretRef = Field(
        description="secretRef names the Secret whose keys username and password are sent. The "
        "Secret must have the type licenseusage.dev/credentials or the label "
        "licenseusage.dev/credentials: 'true'."
    )


class HeaderAuth(ApiModel):
    """A secret in a request header."""

    name: HeaderName | None = Field(
        default=None,
        description="name is the name of the request header that carries the secret. Default: the "
        "preset's, otherwise Authorization.",
    )
    prefix: (
        Annotated[str, Field(max_length=64, json_schema_extra=rules(NO_CONTROL_CHARACTERS))] | None
    ) = Field(
        default=None,
        description="prefix is the text before the secret, including the space: 'Bearer ' or "
        "'token '. Default: the preset's, otherwise none.",
    )
    secret_ref: SecretKeyRef = Field(
        description="secretRef names the Secret and the key whose value is sent, without white "
        "space around it. The Secret must have the type licenseusage.dev/credentials or the label "
        "licenseusage.dev/credentials: 'true'."
    )


class Auth(ApiModel):
    """How the operator authenticates to the product: exactly one of the members."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "has(self.basic) != has(self.header)",
                "auth needs exactly one of basic and header: remove the other, or leave auth out "
                "if the product asks for no credentials",
            )
        )
    )

    basic: BasicAuth | None = Field(
        default=None,
        description="basic sends a user name and a password (HTTP basic authentication, or the "
        "user and password of a NATS server).",
    )
    header: HeaderAuth | None = Field(
        default=None,
        description="header sends a secret in a request header, such as a bearer token.",
    )


class QueryParameter(ApiModel):
    """One entry of the query; a name may repeat."""

    name: ParameterName = Field(description="name is the name of the query parameter.")
    value: str = Field(
        max_length=2048,
        description="value is the value of the query parameter. The templates {{cycle.start}} and "
        "{{cycle.end}} (RFC 3339) are replaced; so are their variants .date, .epoch, .epochMillis "
        "and .dayBefore.",
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

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.type) || self.type == 'Offset' || !(has(self.offsetParam) || "
                "has(self.limitParam) || has(self.size) || has(self.first))",
                "offsetParam, limitParam, size and first belong to type Offset",
                "'offsetParam, limitParam, size and first belong to type Offset, not to type ' + "
                "self.type",
            ),
            Rule(
                "!has(self.type) || self.type == 'Cursor' || !has(self.params)",
                "params belongs to type Cursor",
                "'params belongs to type Cursor, not to type ' + self.type",
                field_path=".params",
            ),
        )
    )

    type: PaginationType | None = Field(
        default=None,
        description="type is None (one answer holds all users), Offset (the request says how many "
        "items to skip) or Cursor (the request carries a value from the page before). Default: "
        "the preset's, otherwise None.",
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
    size: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None, description="size is the number of items requested per page (type Offset)."
    )
    first: Annotated[int, Field(ge=0, le=1)] | None = Field(
        default=None,
        description="first is the number of the first item, 0 or 1 (1 as in SCIM); offsetParam "
        "counts from it (type Offset). Default: the preset's, otherwise 0.",
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


class Http(ApiModel):
    """An HTTP request that lists users."""

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
                json_schema_extra=rules(
                    Rule(
                        r"self.startsWith('/') && !self.matches('[?#\\x00-\\x20\\x7f\\\\]')",
                        "must begin with '/' and hold no '?', '#', '\\' or white space: put "
                        "parameters into query",
                    ),
                    Rule(
                        "!self.startsWith('//')",
                        "must not begin with '//', which names another host",
                    ),
                ),
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
        default=None, description="format is the format of the answer: JSON (the default)."
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
