"""Where and how a source is read: place, credentials, and the request or the stream; checked."""

import re
from functools import partial

import msgspec

from licenseusage.api.eventlog import EventLog
from licenseusage.api.fetch import Http
from licenseusage.api.jetstream import Jetstream
from licenseusage.api.pagination import Pagination
from licenseusage.api.pods import HOST_HEADER, HOST_NAME, Pods, Service
from licenseusage.api.redisstream import RedisStream
from licenseusage.api.source import Source
from licenseusage.sources.definition import checking, logs, model, paging, templates
from licenseusage.sources.definition.checking import InvalidError
from licenseusage.sources.definition.place import SCHEMES, Scheme, SecretKey
from licenseusage.sources.definition.place import Pods as Place

_HOST_NAME = re.compile(HOST_NAME)
_HOST_HEADER = re.compile(HOST_HEADER)
_STREAM = re.compile(r"[A-Za-z0-9_-]+")
_KEY = re.compile(r"[!-~]+")
_PATH = re.compile(r"/[^?#\\\s\x00-\x1f\x7f]*")
_OF_THE_CONNECTION = {
    "host", "connection", "content-length", "transfer-encoding", "te", "upgrade",
}  # fmt: skip
_OF_METHOD = {"x-method", "x-method-override", "x-http-method", "x-http-method-override"}
_HEADER = re.compile(r"[A-Za-z0-9_-]+")
_NO_CURSOR = {"link", "set-cookie"}
_OF_AUTH = {"authorization", "proxy-authorization", "cookie"}


def place_of(source: Source, *, read_by: str) -> Place | None:
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
    return reached(at, name, read_by=read_by)


def reached(at: Pods | Service, name: str, *, read_by: str) -> Place:
    """Return how pods or a Service are reached.

    Args:
        at: As the user writes it.
        name: The path of that field, for messages.
        read_by: The field that says how the source is read.
    """
    plain, secure = SCHEMES[read_by]
    scheme: Scheme = at.scheme or secure
    if scheme not in (plain, secure):
        raise InvalidError(f"{name}.scheme is {scheme}: {read_by} takes {plain} or {secure}")
    if at.tls is not None and scheme == plain:
        raise InvalidError(
            f"{name}.tls is given, but {name}.scheme is {plain}: use {secure}, or remove {name}.tls"
        )
    if at.port is None:
        raise InvalidError(f"{name}.port is missing: name the container port")
    server_name = at.tls.server_name if at.tls else None
    if server_name is not None and not _HOST_NAME.fullmatch(server_name):
        raise InvalidError(
            f"{name}.tls.serverName {server_name!r} is not a host's name: letters, digits, '-', "
            "'_' and '.' only, such as wiki.example.org; no scheme, port or '*'"
        )
    if at.host_header is not None and read_by != "http":
        raise InvalidError(f"{name}.hostHeader is for http: remove it")
    if at.host_header is not None and not _HOST_HEADER.fullmatch(at.host_header):
        raise InvalidError(
            f"{name}.hostHeader {at.host_header!r} is not a Host header: a host's name, and "
            "perhaps a port, such as wiki.example.org"
        )
    ca = at.tls.ca_secret_ref if at.tls else None
    selector = at.selector if isinstance(at, Pods) else None
    return Place(
        selector=selector.to_query() if selector else None,
        service=at.name if isinstance(at, Service) else None,
        port=at.port,
        scheme=scheme,
        ca=SecretKey(ca.name, ca.key) if ca else None,
        server_name=server_name,
        host_header=at.host_header,
    )


def log_of(source: Source) -> logs.Jetstream | logs.RedisStream | None:
    """Return the log of a source that is read from a message broker; None: it is not."""
    given = {"http": source.http, "jetstream": source.jetstream, "redis": source.redis}
    ways = [name for name, way in given.items() if way is not None]
    if ways in ([], ["http"]):
        return None
    if len(ways) > 1:
        raise InvalidError(
            f"{' and '.join(ways)} are both given (one of them by the preset): a source has one "
            "way to be read; make two sources of it"
        )
    if source.events is not None:
        raise InvalidError(
            f"events is about the answers of http, and {ways[0]} has its own: remove it"
        )
    auth = source.auth
    if auth is not None and (auth.header or auth.oauth2 or auth.login):
        raise InvalidError(
            "auth.header, auth.oauth2 and auth.login are for http: a message broker takes a user "
            "and a password (auth.basic)"
        )
    about_lists = source.guarantees.to_object().keys() if source.guarantees else set()
    about_lists &= {"removal", "order", "hiddenSeconds", "initialValue"}
    if about_lists:
        raise InvalidError(
            f"guarantees.{min(about_lists)} is about lists of users: what a log still holds is "
            "found by reading it; remove it"
        )
    if source.redis is not None:
        return _redis_of(source.redis)
    return _jetstream_of(source.jetstream) if source.jetstream is not None else None


def _jetstream_of(log: Jetstream) -> logs.Jetstream:
    stream = checking.given(log.stream, "jetstream.stream", "name the stream")
    if not _STREAM.fullmatch(stream):
        raise InvalidError(
            f"jetstream.stream {stream!r} is not a stream's name: letters, digits, '-' and '_' only"
        )
    return logs.Jetstream(stream=stream, **msgspec.structs.asdict(events_of(log, "jetstream")))


def _redis_of(log: RedisStream) -> logs.RedisStream:
    stream = checking.given(log.stream, "redis.stream", "name the key of the stream")
    if not _KEY.fullmatch(stream):
        raise InvalidError(
            f"redis.stream {stream!r} is not a key that can be read: visible ASCII characters only"
        )
    return logs.RedisStream(
        stream=stream,
        database=log.database or 0,
        field=log.field,
        **msgspec.structs.asdict(events_of(log, "redis")),
    )


def events_of(given: EventLog, name: str) -> logs.EventLog:
    """Return what a message of a log means; ``name`` is the log's field, for messages."""
    if given.types and given.type_path is None:
        raise InvalidError(
            f"{name}.types is given without {name}.typePath: say where a message's type stands"
        )
    return logs.EventLog(
        type_path=checking.path(f"{name}.typePath", given.type_path),
        types=given.types or (),
        payload_path=checking.path(f"{name}.payloadPath", given.payload_path),
        payload_encoding=given.payload_encoding or "JSON",
    )


def http_of(http: Http, kind: templates.Kind = "cycle") -> model.Http:
    """Return the request of a source that lists users, or of the ``range`` of a log of events."""
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
        checking.checked(f"http.{place}", partial(templates.check, text, kind))
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
    pagination = _pagination(http)
    if http.format == "NDJSON" and (http.items is not None or pagination.values):
        raise InvalidError(
            "http.format is NDJSON, which has one user per line and nothing around them: remove "
            "http.items, and total, params and path of http.pagination"
        )
    return model.Http(
        method=http.method or "GET",
        path=path,
        query=query,
        headers=headers,
        body=http.body,
        items=checking.path("http.items", http.items),
        pagination=pagination,
        ignore_members=http.ignore_members or (),
        format=http.format or "JSON",
        validator=http.validator or "None",
    )


def _pagination(http: Http) -> paging.Pagination:
    pages = http.pagination or Pagination()
    total = checking.path("http.pagination.total", pages.total)
    match pages.type:
        case "Offset":
            needed = "pagination of type Offset needs offsetParam, limitParam and size"
            return paging.Offset(
                offset_param=checking.given(
                    pages.offset_param, "http.pagination.offsetParam", needed
                ),
                limit_param=checking.given(pages.limit_param, "http.pagination.limitParam", needed),
                size=checking.given(pages.size, "http.pagination.size", needed),
                first=pages.first or 0,
                total=total,
            )
        case "Page":
            return _numbered(pages, total)
        case "Cursor":
            params = checking.given(
                pages.params, "http.pagination.params", "pagination of type Cursor needs params"
            )
            for param in params:
                checking.path(f"http.pagination.params {param.name}", param.path)
            return paging.Cursor(
                params=tuple((param.name, param.path) for param in params), total=total
            )
        case "HeaderCursor":
            return _by_header(pages, total)
        case "Next":
            if http.method == "POST":
                raise InvalidError(
                    "http.pagination is of type Next, but http.method is POST: a link to a page is "
                    "a GET"
                )
            return paging.Linked(
                path=checking.path("http.pagination.path", pages.path), total=total
            )
        case _:
            return paging.OnePage(total)


def _by_header(pages: Pagination, total: str | None) -> paging.HeaderCursor:
    needed = "pagination of type HeaderCursor needs header and cursorParam"
    header = checking.given(pages.header, "http.pagination.header", needed)
    if not _HEADER.fullmatch(header) or header.lower() in _NO_CURSOR:
        raise InvalidError(
            f"http.pagination.header {header!r} is not the name of a header that holds a cursor: "
            "letters, digits, '-' and '_' only; for Link use type Next, and Set-Cookie is a secret"
        )
    return paging.HeaderCursor(
        header=header,
        cursor_param=checking.given(pages.cursor_param, "http.pagination.cursorParam", needed),
        total=total,
    )


def _numbered(pages: Pagination, total: str | None) -> paging.Numbered:
    needed = "pagination of type Page needs pageParam and first"
    template = pages.template or "{page}"
    if "{page}" not in template or "{{" in template:
        raise InvalidError(
            f"http.pagination.template {template!r} must hold {{page}}, may hold {{size}}, and no "
            "template of the cycle"
        )
    if pages.size is None and (pages.size_param is not None or "{size}" in template):
        raise InvalidError(
            "http.pagination.size is missing: sizeParam, or {size} in the template, needs it"
        )
    return paging.Numbered(
        page_param=checking.given(pages.page_param, "http.pagination.pageParam", needed),
        first=checking.given(pages.first, "http.pagination.first", needed),
        size_param=pages.size_param,
        size=pages.size,
        template=template,
        total=total,
    )
