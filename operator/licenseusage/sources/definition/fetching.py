"""Where and how a source is read: place, credentials, and the request or the stream; checked."""

import re
from functools import partial

from licenseusage.api.fetch import Auth, Http
from licenseusage.api.jetstream import Jetstream
from licenseusage.api.pods import HOST_NAME, Pods, Service
from licenseusage.api.source import Source
from licenseusage.sources.definition import checking, model, templates
from licenseusage.sources.definition.checking import InvalidError

_HOST_NAME = re.compile(HOST_NAME)
_STREAM = re.compile(r"[A-Za-z0-9_-]+")
_PATH = re.compile(r"/[^?#\\\s\x00-\x1f\x7f]*")
_OF_THE_CONNECTION = {
    "host", "connection", "content-length", "transfer-encoding", "te", "upgrade",
}  # fmt: skip
_OF_METHOD = {"x-method", "x-method-override", "x-http-method", "x-http-method-override"}
_OF_AUTH = {"authorization", "proxy-authorization", "cookie"}


def place_of(source: Source, *, log: bool) -> model.Pods | None:
    """Return the pods or the Service to ask; None for a server that the settings know.

    Raises:
        InvalidError: A field is missing, or does not fit the others; so of all functions here.
    """
    if source.endpoint is not None:
        return None
    if source.service is not None:
        at: Pods | Service = source.service
        name = "service"
    else:
        at, name = checking.given(source.pods, "pods", "say which pods to ask"), "pods"
    plain, secure = ("NATS", "TLS") if log else ("HTTP", "HTTPS")
    scheme: model.Scheme = at.scheme or ("TLS" if log else "HTTPS")
    if scheme not in (plain, secure):
        raise InvalidError(
            f"{name}.scheme is {scheme}: {'jetstream' if log else 'http'} takes {plain} or {secure}"
        )
    if at.tls is not None and scheme == plain:
        raise InvalidError(
            f"{name}.tls is given, but {name}.scheme is {plain}: use {secure}, or remove {name}.tls"
        )
    if at.port is None:
        raise InvalidError("pods.port is missing: name the container port")
    server_name = at.tls.server_name if at.tls else None
    if server_name is not None and not _HOST_NAME.fullmatch(server_name):
        raise InvalidError(
            f"{name}.tls.serverName {server_name!r} is not a host's name: letters, digits, '-', "
            "'_' and '.' only, such as wiki.example.org; no scheme, port or '*'"
        )
    ca = at.tls.ca_secret_ref if at.tls else None
    selector = at.selector if isinstance(at, Pods) else None
    return model.Pods(
        selector=selector.to_query() if selector else None,
        service=at.name if isinstance(at, Service) else None,
        port=at.port,
        scheme=scheme,
        ca=model.SecretKey(ca.name, ca.key) if ca else None,
        server_name=server_name,
    )


def auth_of(auth: Auth | None) -> model.BasicAuth | model.HeaderAuth | None:
    """Return the credentials to send; None: none."""
    if auth is None:
        return None
    if (auth.basic is None) == (auth.header is None):
        raise InvalidError("auth needs exactly one of basic and header")
    if auth.basic is not None:
        return model.BasicAuth(auth.basic.secret_ref.name)
    assert auth.header is not None  # noqa: S101
    header = auth.header
    return model.HeaderAuth(
        header=header.name or "Authorization",
        prefix=header.prefix or "",
        secret=model.SecretKey(header.secret_ref.name, header.secret_ref.key),
    )


def log_of(source: Source, log: Jetstream) -> model.Jetstream:
    """Return the stream of a source that is an event log."""
    if source.http is not None:
        raise InvalidError(
            "http and jetstream are both given (one of them by the preset): a source has one way "
            "to be read; make two sources of it"
        )
    if source.auth is not None and source.auth.header is not None:
        raise InvalidError(
            "auth.header is for http: a NATS server takes a user and a password (auth.basic)"
        )
    about_lists = source.guarantees.to_object().keys() if source.guarantees else set()
    about_lists &= {"removal", "order", "hiddenSeconds", "initialValue"}
    if about_lists:
        raise InvalidError(
            f"guarantees.{min(about_lists)} is about lists of users: what a log still holds is "
            "found by its sequence numbers; remove it"
        )
    stream = checking.given(log.stream, "jetstream.stream", "name the stream")
    if not _STREAM.fullmatch(stream):
        raise InvalidError(
            f"jetstream.stream {stream!r} is not a stream's name: letters, digits, '-' and '_' only"
        )
    if log.types and log.type_path is None:
        raise InvalidError(
            "jetstream.types is given without jetstream.typePath: say where a message's type stands"
        )
    return model.Jetstream(
        stream=stream,
        type_path=checking.path("jetstream.typePath", log.type_path),
        types=log.types or (),
        payload_path=checking.path("jetstream.payloadPath", log.payload_path),
        payload_encoding=log.payload_encoding or "JSON",
    )


def http_of(http: Http) -> model.Http:
    """Return the request of a source that lists users."""
    path = checking.given(http.path, "http.path", "say what to request")
    if not _PATH.fullmatch(path):
        raise InvalidError(
            f"http.path {path!r} must begin with '/' and hold no '?', '#', '\\' or white space: "
            "put parameters into http.query"
        )
    query = tuple((parameter.name, parameter.value) for parameter in http.query or ())
    for place, text in (
        ("path", path),
        ("body", http.body or ""),
        *(("query", v) for _, v in query),
    ):
        checking.checked(f"http.{place}", partial(templates.check, text))
    headers = tuple((header.name, header.value) for header in http.headers or ())
    for name, _ in headers:
        if name.lower() in _OF_AUTH:
            raise InvalidError(
                f"http.headers: {name} carries a secret: put it into a Secret, use auth"
            )
        if name.lower() in _OF_THE_CONNECTION:
            raise InvalidError(f"http.headers: {name} belongs to the connection and cannot be set")
        if name.lower() in _OF_METHOD:
            raise InvalidError(f"http.headers: {name} asks for another method: remove it")
    return model.Http(
        method=http.method or "GET",
        path=path,
        query=query,
        headers=headers,
        body=http.body,
        items=checking.path("http.items", http.items),
        pagination=_pagination(http),
        ignore_members=http.ignore_members or (),
    )


def _pagination(http: Http) -> model.Pagination:
    given = http.pagination
    match given.type if given else None:
        case "Offset":
            assert given is not None  # noqa: S101
            needed = "pagination of type Offset needs offsetParam, limitParam and size"
            return model.Offset(
                offset_param=checking.given(
                    given.offset_param, "http.pagination.offsetParam", needed
                ),
                limit_param=checking.given(given.limit_param, "http.pagination.limitParam", needed),
                size=checking.given(given.size, "http.pagination.size", needed),
                first=given.first or 0,
                total=checking.path("http.pagination.total", given.total),
            )
        case "Cursor":
            assert given is not None  # noqa: S101
            params = checking.given(
                given.params, "http.pagination.params", "pagination of type Cursor needs params"
            )
            for param in params:
                checking.path(f"http.pagination.params {param.name}", param.path)
            return model.Cursor(
                params=tuple((param.name, param.path) for param in params),
                total=checking.path("http.pagination.total", given.total),
            )
        case _:
            return model.OnePage(
                checking.path("http.pagination.total", given.total) if given is not None else None
            )
