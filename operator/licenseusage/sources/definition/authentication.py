"""How a source authenticates: checked, and free of Kubernetes."""

import re
from collections.abc import Mapping
from typing import Any

from licenseusage.api.auth import LOGIN_PATH, TOKEN_PATH, Auth, LoginAuth, OAuth2Auth
from licenseusage.sources.definition import auth as made
from licenseusage.sources.definition import checking
from licenseusage.sources.definition.checking import InvalidError
from licenseusage.sources.definition.fetching import reached
from licenseusage.sources.definition.place import PLAIN, Pods, SecretKey

TOKEN_PATHS = re.compile(TOKEN_PATH.removesuffix("$") + r"\Z")
LOGIN_PATHS = re.compile(LOGIN_PATH.removesuffix("$") + r"\Z")
_KINDS = ("basic", "header", "oauth2", "login")
_USUAL_FIELDS = (
    made.LoginField("username", "username"),
    made.LoginField("password", "password"),
)


def auth_of(auth: Auth | None) -> made.Auth | None:
    """Return how to authenticate; None: without credentials.

    Raises:
        InvalidError: A field is missing, or does not fit the others.
    """
    if auth is None:
        return None
    if auth.client_certificate is not None and not any(getattr(auth, kind) for kind in _KINDS):
        return None
    if sum(getattr(auth, kind) is not None for kind in _KINDS) != 1:
        raise InvalidError(
            "auth needs exactly one of basic, header, oauth2 and login, or clientCertificate"
        )
    if auth.basic is not None:
        return made.BasicAuth(auth.basic.secret_ref.name)
    if auth.oauth2 is not None:
        return _oauth2_of(auth.oauth2)
    if auth.login is not None:
        return _login_of(auth.login)
    assert auth.header is not None  # noqa: S101
    header = auth.header
    return made.HeaderAuth(
        header=header.name or "Authorization",
        prefix=header.prefix or "",
        secret=SecretKey(header.secret_ref.name, header.secret_ref.key),
    )


def certificate_of(auth: Auth | None, pods: Pods | None) -> str | None:
    """Return the Secret of the certificate that is presented; None: none is.

    Raises:
        InvalidError: The connection is not by TLS.
    """
    if auth is None or auth.client_certificate is None:
        return None
    if pods is not None and pods.scheme in PLAIN:
        raise InvalidError(
            f"auth.clientCertificate needs TLS, but the scheme is {pods.scheme}: use HTTPS (TLS "
            "for message brokers), or remove clientCertificate"
        )
    return auth.client_certificate.secret_ref.name


def only_signs_in(given: Auth | None, preset: Mapping[str, Any]) -> None:
    """Refuse to post a Secret to a path that is not one for signing in, unless the preset does.

    Whoever may create a LicenseUsage must not be able to act by it.

    Args:
        given: What the user has written.
        preset: The preset's ``auth`` (camelCase).

    Raises:
        InvalidError: Another path.
    """
    if given is not None and given.oauth2 is not None:
        path = given.oauth2.token_path
        known = path in (None, preset.get("oauth2", {}).get("tokenPath"))
        if not known and not TOKEN_PATHS.match(path or ""):
            raise InvalidError(
                "auth.oauth2.tokenPath is not the path of a token endpoint: its last part must "
                "contain 'token', because a request to another path might change something at the "
                "product"
            )
    if given is not None and given.login is not None:
        path = given.login.path
        known = path in (None, preset.get("login", {}).get("path"))
        if not known and not LOGIN_PATHS.match(path or ""):
            raise InvalidError(
                "auth.login.path is not the path of a login: its last part must be login, signin, "
                "auth, session, token or the like, because a request to another path might change "
                "something at the product"
            )


def _oauth2_of(given: OAuth2Auth) -> made.OAuth2:
    path = checking.given(
        given.token_path, "auth.oauth2.tokenPath", "give the path of the token endpoint"
    )
    if not path.startswith("/") or path.startswith("//"):
        raise InvalidError("auth.oauth2.tokenPath must begin with one '/'")
    if given.service is not None and given.endpoint is not None:
        raise InvalidError("auth.oauth2: give one of service and endpoint")
    service = given.service
    return made.OAuth2(
        secret_name=given.secret_ref.name,
        token_path=path,
        service=reached(service, "auth.oauth2.service", read_by="http") if service else None,
        endpoint=given.endpoint,
        in_body=given.client_authentication == "ClientSecretPost",
        scopes=given.scopes or (),
        audience=given.audience,
    )


def _login_of(given: LoginAuth) -> made.Login:
    path = checking.given(given.path, "auth.login.path", "give the path of the login")
    if not path.startswith("/") or path.startswith("//"):
        raise InvalidError("auth.login.path must begin with one '/'")
    for field in given.fields or ():
        if (field.secret_key is None) == (field.value is None):
            raise InvalidError(
                f"auth.login.fields {field.name}: give exactly one of secretKey and value"
            )
    fields = tuple(
        made.LoginField(field.name, field.secret_key, field.value or "")
        for field in given.fields or ()
    )
    token = None
    if given.token is not None:
        header = given.token.header or "Authorization"
        usual = "Bearer " if header.lower() == "authorization" else ""
        token = made.LoginToken(
            path=checking.needed_path("auth.login.token.path", given.token.path),
            header=header,
            prefix=usual if given.token.prefix is None else given.token.prefix,
        )
    return made.Login(
        secret_name=given.secret_ref.name,
        path=path,
        form=given.encoding == "Form",
        fields=fields or _USUAL_FIELDS,
        token=token,
    )
