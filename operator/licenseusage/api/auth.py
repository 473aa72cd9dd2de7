"""How a source authenticates to its product, as the user writes it.

No member has a default here, as in :mod:`licenseusage.api.fetch`: a preset may give it.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from licenseusage.api.fetch import NO_CONTROL_CHARACTERS, PATH_RULES, HeaderName
from licenseusage.api.model import (
    ApiModel,
    DnsLabel,
    JMESPath,
    Rule,
    SecretKey,
    SecretKeyRef,
    SecretRef,
    map_list,
    rules,
    set_list,
)
from licenseusage.api.pagination import ParameterName
from licenseusage.api.pods import Service

ClientAuthentication = Literal["ClientSecretBasic", "ClientSecretPost"]

TOKEN_PATH = "(?i)^/([^/;]+/)*[-._~a-z0-9]*token[-._~a-z0-9]*/?$"  # noqa: S105
"""Pattern of the paths of token endpoints: a Secret is posted to one of these, and nowhere else."""

Encoding = Literal["JSON", "Form"]

LOGIN_PATH = (
    "(?i)^/([^/;]+/)*(log[-_]?(in|on)|sign[-_]?in|auth|authenticate|authentication|sessions?|tokens?"
    "|(access|obtain)[-_]token|refresh)([.][a-z]{1,5})?/?$"
)
"""Pattern of the paths to which a login may be posted, unless a preset brings another one."""

LoginPath = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1024,
        json_schema_extra=rules(
            *PATH_RULES,
            Rule(
                f"self.matches('{LOGIN_PATH}')",
                "the last part of the path is none of login, logon, signin, auth, authenticate, "
                "session, token, refresh; a request to another path might change something at the "
                "product, so only a preset brings it",
                reason="FieldValueForbidden",
            ),
        ),
    ),
]

TokenPath = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1024,
        json_schema_extra=rules(
            *PATH_RULES,
            Rule(
                f"self.matches('{TOKEN_PATH}')",
                "the last part of the path does not contain 'token', as token endpoints do; a "
                "request to another path might change something at the product",
                reason="FieldValueForbidden",
            ),
        ),
    ),
]

Scope = Annotated[
    str,
    Field(
        min_length=1,
        max_length=256,
        json_schema_extra=rules(
            Rule(
                r"self.matches('^[\\x21\\x23-\\x5b\\x5d-\\x7e]+$')",
                "not a scope: visible ASCII characters except '\"' and '\\'; one scope per entry",
            )
        ),
    ),
]


HeaderPrefix = Annotated[str, Field(max_length=64, json_schema_extra=rules(NO_CONTROL_CHARACTERS))]
"""The text before a secret in a header, including the space."""


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
    prefix: HeaderPrefix | None = Field(
        default=None,
        description="prefix is the text before the secret, including the space: 'Bearer ' or "
        "'token '. Default: the preset's, otherwise none.",
    )
    secret_ref: SecretKeyRef = Field(
        description="secretRef names the Secret and the key whose value is sent, without white "
        "space around it. The Secret must have the type licenseusage.dev/credentials or the label "
        "licenseusage.dev/credentials: 'true'."
    )


class OAuth2Auth(ApiModel):
    """An access token of an authorization server, by client credentials (RFC 6749 §4.4)."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.service) || !has(self.endpoint)",
                "give one of service and endpoint: a token is requested at one place",
            ),
            Rule(
                "!has(self.service) || !has(self.service.scheme) || self.service.scheme in "
                "['HTTP', 'HTTPS']",
                "a token is requested by HTTP: use scheme HTTPS or HTTP",
                field_path=".service",
            ),
        )
    )

    token_path: TokenPath | None = Field(
        default=None,
        description="tokenPath is the path of the token endpoint, such as "
        "/realms/x/protocol/openid-connect/token. Its last part contains 'token'. Required, unless "
        "the preset gives it.",
    )
    service: Service | None = Field(
        default=None,
        description="service is a Service of this namespace that issues the token. Default: the "
        "server that is read.",
    )
    endpoint: DnsLabel | None = Field(
        default=None,
        description="endpoint is the name of a server of the operator's settings that issues the "
        "token, such as an identity provider.",
    )
    client_authentication: ClientAuthentication | None = Field(
        default=None,
        description="clientAuthentication is ClientSecretBasic (id and secret in the Authorization "
        "header) or ClientSecretPost (in the body). Default: the preset's, otherwise "
        "ClientSecretBasic.",
    )
    scopes: tuple[Scope, ...] | None = Field(
        default=None,
        max_length=32,
        json_schema_extra=set_list(),
        description="scopes are the scopes to request. Default: the preset's, otherwise none.",
    )
    audience: (
        Annotated[
            str,
            Field(min_length=1, max_length=1024, json_schema_extra=rules(NO_CONTROL_CHARACTERS)),
        ]
        | None
    ) = Field(
        default=None,
        description="audience is sent as the parameter audience, which some authorization servers "
        "require.",
    )
    secret_ref: SecretRef = Field(
        description="secretRef names the Secret whose keys client_id and client_secret are sent to "
        "the token endpoint, and nowhere else. The Secret must have the type "
        "licenseusage.dev/credentials or the label licenseusage.dev/credentials: 'true'."
    )


class LoginField(ApiModel):
    """One member of a login: from the Secret, or as it stands here."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "has(self.secretKey) != has(self.value)",
                "give exactly one of secretKey and value: a password stands in a Secret",
                "'field ' + self.name + ': give exactly one of secretKey and value: a password "
                "stands in a Secret'",
            )
        )
    )

    name: ParameterName = Field(description="name is the name of the member, or of the field.")
    secret_key: SecretKey | None = Field(
        default=None, description="secretKey is the key in the Secret whose value is sent."
    )
    value: (
        Annotated[str, Field(max_length=1024, json_schema_extra=rules(NO_CONTROL_CHARACTERS))]
        | None
    ) = Field(
        default=None,
        description="value is sent as it stands here. Everyone who may read this object can see "
        "it.",
    )


class LoginToken(ApiModel):
    """The token in the answer to a login, and how it is sent."""

    path: JMESPath | None = Field(
        default=None,
        description="path is a JMESPath expression over the answer that returns the token. "
        "Required, unless the preset gives it.",
    )
    header: HeaderName | None = Field(
        default=None,
        description="header is the name of the request header that carries the token. Default: "
        "the preset's, otherwise Authorization.",
    )
    prefix: HeaderPrefix | None = Field(
        default=None,
        description="prefix is the text before the token. Default: the preset's, otherwise "
        "'Bearer ' in the header Authorization, and none in others.",
    )


class LoginAuth(ApiModel):
    """A login before each poll, at the server that is read."""

    path: LoginPath | None = Field(
        default=None,
        description="path is the path to which the login is posted, such as "
        "/api/v1/security/login. Its last part names a way to sign in. Required, unless the preset "
        "gives it.",
    )
    encoding: Encoding | None = Field(
        default=None,
        description="encoding is JSON or Form: how the fields are sent. Default: the preset's, "
        "otherwise JSON.",
    )
    fields: tuple[LoginField, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=16,
        json_schema_extra=map_list("name"),
        description="fields are the members of the login. Default: the preset's, otherwise "
        "username and password from the keys of the same names.",
    )
    token: LoginToken | None = Field(
        default=None,
        description="token says where the answer holds a token. Without it, the cookies of the "
        "answer are sent, to the same server, for the length of the poll.",
    )
    secret_ref: SecretRef = Field(
        description="secretRef names the Secret whose keys the fields name. The Secret must have "
        "the type licenseusage.dev/credentials or the label licenseusage.dev/credentials: 'true'."
    )


class ClientCertificate(ApiModel):
    """A certificate of the operator's own, for products that verify their clients (mTLS)."""

    secret_ref: SecretRef = Field(
        description="secretRef names the Secret whose keys tls.crt (PEM, with its chain) and "
        "tls.key (PEM, not encrypted) are used, as in type kubernetes.io/tls. The Secret must have "
        "the type licenseusage.dev/credentials or the label licenseusage.dev/credentials: 'true'."
    )


class Auth(ApiModel):
    """How the operator authenticates to the product: one way, and perhaps a certificate."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "(has(self.basic) ? 1 : 0) + (has(self.header) ? 1 : 0) + (has(self.oauth2) ? 1 : "
                "0) + (has(self.login) ? 1 : 0) == 1 || (has(self.clientCertificate) && "
                "!has(self.basic) && !has(self.header) && !has(self.oauth2) && !has(self.login))",
                "auth needs exactly one of basic, header, oauth2 and login, or clientCertificate: "
                "remove the others, or leave auth out if the product asks for no credentials",
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
    oauth2: OAuth2Auth | None = Field(
        default=None,
        description="oauth2 requests an access token with client credentials, and sends it as a "
        "bearer token. A token is kept in memory until shortly before it expires.",
    )
    login: LoginAuth | None = Field(
        default=None,
        description="login signs in before each poll, and sends the token or the cookies that it "
        "gets.",
    )
    client_certificate: ClientCertificate | None = Field(
        default=None,
        description="clientCertificate is presented when a TLS connection is opened (mTLS), alone "
        "or beside one of the others.",
    )
