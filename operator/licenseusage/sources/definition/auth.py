"""How a source authenticates, checked; free of Kubernetes."""

import msgspec

from licenseusage.sources.definition.place import Pods, SecretKey


class BasicAuth(msgspec.Struct, frozen=True, tag="basic"):
    """A user name and a password, from a Secret with ``username`` and ``password``."""

    secret_name: str


class HeaderAuth(msgspec.Struct, frozen=True, tag="header"):
    """A request header whose value is ``prefix`` and the value of a Secret's key."""

    header: str
    prefix: str
    secret: SecretKey

    @property
    def secret_name(self) -> str:
        """The name of the Secret."""
        return self.secret.name


class OAuth2(msgspec.Struct, frozen=True, kw_only=True, tag="oauth2"):
    """An access token by client credentials (RFC 6749 §4.4), sent as a bearer token (RFC 6750).

    Attributes:
        secret_name: Secret with ``client_id`` and ``client_secret``.
        token_path: Where the token is requested.
        service: The Service that issues it; None with
        endpoint: the server of the operator's settings; None: the server that is read.
        in_body: Id and secret stand in the body (``client_secret_post``), not in a header.
        scopes: To ask for.
        audience: To ask for; None: none.
    """

    secret_name: str
    token_path: str
    service: Pods | None = None
    endpoint: str | None = None
    in_body: bool = False
    scopes: tuple[str, ...] = ()
    audience: str | None = None

    @property
    def elsewhere(self) -> bool:
        """Whether another server than the one that is read issues the token."""
        return self.service is not None or self.endpoint is not None


class LoginField(msgspec.Struct, frozen=True):
    """One member of a login: the value of a key of the Secret, or a text."""

    name: str
    secret_key: str | None
    value: str = ""


class LoginToken(msgspec.Struct, frozen=True):
    """Where the answer to a login holds a token (JMESPath), and how it is sent."""

    path: str
    header: str
    prefix: str


class Login(msgspec.Struct, frozen=True, kw_only=True, tag="login"):
    """One request before each poll that gives a token or cookies.

    Attributes:
        secret_name: Secret with the keys that the fields name.
        path: Where the login is posted.
        form: It is sent as a form, not as JSON.
        fields: What is sent.
        token: None: the cookies of the answer are sent.
    """

    secret_name: str
    path: str
    form: bool
    fields: tuple[LoginField, ...]
    token: LoginToken | None


Auth = BasicAuth | HeaderAuth | OAuth2 | Login
