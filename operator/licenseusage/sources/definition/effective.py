"""From what a user wrote to an effective source: merged with a preset, checked, made immutable.

The API server has checked the user's part by its CEL rules, but not the sum of it and a preset, and
``source check`` reads files that no API server has seen: so everything is checked here, and the
message names the field in the user's words.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import msgspec
from pydantic import ValidationError

from licenseusage.api.fetch import Auth, Http
from licenseusage.api.guarantees import Guarantees
from licenseusage.api.jetstream import Jetstream
from licenseusage.api.pods import HOST_NAME, Pods, Service
from licenseusage.api.source import Source
from licenseusage.api.users import EventTime, LastActive, Users
from licenseusage.errors import Stalled
from licenseusage.sources.definition import expressions, model, templates, timestamps

_T = TypeVar("_T")

DEFAULT_INTERVAL_MINUTES = 15
DEFAULT_LAG_SECONDS = 60
MINUTE_MS = 60_000

_GRANULARITY_MS = {
    "Millisecond": 1,
    "Second": model.SECOND_MS,
    "Minute": MINUTE_MS,
    "Hour": 60 * MINUTE_MS,
    "Day": model.DAY_MS,
}
_HOST_NAME = re.compile(HOST_NAME)
_STREAM = re.compile(r"[A-Za-z0-9_-]+")
_PATH = re.compile(r"/[^?#\\\s\x00-\x1f\x7f]*")
_OF_THE_CONNECTION = {
    "host", "connection", "content-length", "transfer-encoding", "te", "upgrade",
}  # fmt: skip
_OF_METHOD = {"x-method", "x-method-override", "x-http-method", "x-http-method-override"}
_OF_AUTH = {"authorization", "proxy-authorization", "cookie"}


class _InvalidError(ValueError):
    """A field that cannot be used; the text begins with the field's name."""


def effective_of(
    source: Source,
    preset: Mapping[str, Any],
    *,
    account: str | None = None,
    when_nobody: str | None = None,
    when_500: str | None = None,
) -> model.EffectiveSource:
    """Merge a source with a preset's fields (camelCase) and check the whole.

    Raises:
        Stalled: ``InvalidSource``, naming the field, what was seen and the fix.
    """
    try:
        if source.service is not None or source.endpoint is not None:
            preset = {name: value for name, value in preset.items() if name != "pods"}
        _only_asks(source.http, preset)
        whole = Source.model_validate(merged(preset, source.to_object()))
        made = _effective(whole)
    except ValidationError as error:
        raise _invalid(source.name, _first(error)) from None
    except ValueError as error:
        raise _invalid(source.name, str(error)) from None
    return msgspec.structs.replace(
        made, account=account, when_nobody=when_nobody, when_500=when_500
    )


def merged(preset: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Lay what is given over a preset: objects member by member, everything else as a whole."""
    result = dict(preset)
    for name, value in given.items():
        below = result.get(name)
        if not isinstance(value, Mapping) or not isinstance(below, Mapping):
            result[name] = value
            continue
        if (name == "auth" and not value.keys() & below.keys()) or (
            name == "pagination" and value.get("type", below.get("type")) != below.get("type")
        ):
            below = {}  # another kind: nothing of the preset's kind applies
        result[name] = merged(below, value)
    return result


def _only_asks(given: Http | None, preset: Mapping[str, Any]) -> None:
    """Refuse what may change something at the product, unless the preset's product asks for it.

    Whoever may create a LicenseUsage must not be able to act by it.
    """
    posted = preset.get("http", {}).get("method") == "POST"
    if given is None or posted:
        return
    if given.method == "POST":
        raise _InvalidError(
            "http.method is POST, which may change something at the product: only a preset brings "
            "it, where a product lists its users by it. Remove http.method"
        )
    if given.body is not None:
        raise _InvalidError("http.body is given, but the request is a GET: remove http.body")


def _effective(source: Source) -> model.EffectiveSource:
    given = _given(source.users, "users", "say what the items mean, or name a preset")
    http: model.Http | None = None
    log: model.Jetstream | None = None
    if source.jetstream is not None:
        log, users = _log(source, source.jetstream), _events(given)
    else:
        wanted = "say what to request, give jetstream instead, or name a preset"
        http, users = _http(_given(source.http, "http", wanted)), _users(given)
    guarantees = _guarantees(source.guarantees or Guarantees())
    if guarantees.initial_value == "CreationTime" and users.created_at is None:
        raise _InvalidError(
            "guarantees.initialValue is CreationTime, but users.createdAt.path is missing: say "
            "where the creation time stands"
        )
    if http is not None:
        pagination = http.pagination
        overlaps = guarantees.order != "Unknown"
        if isinstance(pagination, model.Offset) and overlaps and pagination.size < 2:
            raise _InvalidError(
                "http.pagination.size is 1: pages that overlap by one row need 2 or more"
            )
    return model.EffectiveSource(
        name=source.name,
        preset=source.preset,
        definition=source.activity_definition
        or f"The product recorded activity of the user in {users.last_active.path}",
        interval_ms=(source.interval_minutes or DEFAULT_INTERVAL_MINUTES) * MINUTE_MS,
        pods=_place(source, log=source.jetstream is not None),
        endpoint=source.endpoint,
        auth=_auth(source.auth),
        listing=http,
        log=log,
        users=users,
        identity=source.identity or "product",
        guarantees=guarantees,
    )


def _place(source: Source, *, log: bool) -> model.Pods | None:
    if source.endpoint is not None:
        return None
    if source.service is not None:
        at: Pods | Service = source.service
        name = "service"
    else:
        at, name = _given(source.pods, "pods", "say which pods to ask"), "pods"
    plain, secure = ("NATS", "TLS") if log else ("HTTP", "HTTPS")
    scheme: model.Scheme = at.scheme or ("TLS" if log else "HTTPS")
    if scheme not in (plain, secure):
        raise _InvalidError(
            f"{name}.scheme is {scheme}: {'jetstream' if log else 'http'} takes {plain} or {secure}"
        )
    if at.tls is not None and scheme == plain:
        raise _InvalidError(
            f"{name}.tls is given, but {name}.scheme is {plain}: use {secure}, or remove {name}.tls"
        )
    if at.port is None:
        raise _InvalidError("pods.port is missing: name the container port")
    server_name = at.tls.server_name if at.tls else None
    if server_name is not None and not _HOST_NAME.fullmatch(server_name):
        raise _InvalidError(
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


def _auth(auth: Auth | None) -> model.BasicAuth | model.HeaderAuth | None:
    if auth is None:
        return None
    if (auth.basic is None) == (auth.header is None):
        raise _InvalidError("auth needs exactly one of basic and header")
    if auth.basic is not None:
        return model.BasicAuth(auth.basic.secret_ref.name)
    assert auth.header is not None  # noqa: S101
    header = auth.header
    return model.HeaderAuth(
        header=header.name or "Authorization",
        prefix=header.prefix or "",
        secret=model.SecretKey(header.secret_ref.name, header.secret_ref.key),
    )


def _log(source: Source, log: Jetstream) -> model.Jetstream:
    if source.http is not None:
        raise _InvalidError(
            "http and jetstream are both given (one of them by the preset): a source has one way "
            "to be read; make two sources of it"
        )
    if source.auth is not None and source.auth.header is not None:
        raise _InvalidError(
            "auth.header is for http: a NATS server takes a user and a password (auth.basic)"
        )
    about_lists = source.guarantees.to_object().keys() if source.guarantees else set()
    about_lists &= {"removal", "order", "hiddenSeconds", "initialValue"}
    if about_lists:
        raise _InvalidError(
            f"guarantees.{min(about_lists)} is about lists of users: what a log still holds is "
            "found by its sequence numbers; remove it"
        )
    stream = _given(log.stream, "jetstream.stream", "name the stream")
    if not _STREAM.fullmatch(stream):
        raise _InvalidError(
            f"jetstream.stream {stream!r} is not a stream's name: letters, digits, '-' and '_' only"
        )
    if log.types and log.type_path is None:
        raise _InvalidError(
            "jetstream.types is given without jetstream.typePath: say where a message's type stands"
        )
    return model.Jetstream(
        stream=stream,
        type_path=_path("jetstream.typePath", log.type_path),
        types=log.types or (),
        payload_path=_path("jetstream.payloadPath", log.payload_path),
        payload_encoding=log.payload_encoding or "JSON",
    )


def _http(http: Http) -> model.Http:
    path = _given(http.path, "http.path", "say what to request")
    if not _PATH.fullmatch(path):
        raise _InvalidError(
            f"http.path {path!r} must begin with '/' and hold no '?', '#', '\\' or white space: "
            "put parameters into http.query"
        )
    query = tuple((one.name, one.value) for one in http.query or ())
    for place, text in (
        ("path", path),
        ("body", http.body or ""),
        *(("query", v) for _, v in query),
    ):
        _checked(f"http.{place}", partial(templates.check, text))
    headers = tuple((one.name, one.value) for one in http.headers or ())
    for name, _ in headers:
        if name.lower() in _OF_AUTH:
            raise _InvalidError(
                f"http.headers: {name} carries a secret: put it into a Secret, use auth"
            )
        if name.lower() in _OF_THE_CONNECTION:
            raise _InvalidError(f"http.headers: {name} belongs to the connection and cannot be set")
        if name.lower() in _OF_METHOD:
            raise _InvalidError(f"http.headers: {name} asks for another method: remove it")
    return model.Http(
        method=http.method or "GET",
        path=path,
        query=query,
        headers=headers,
        body=http.body,
        items=_path("http.items", http.items),
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
                offset_param=_given(given.offset_param, "http.pagination.offsetParam", needed),
                limit_param=_given(given.limit_param, "http.pagination.limitParam", needed),
                size=_given(given.size, "http.pagination.size", needed),
                first=given.first or 0,
                total=_path("http.pagination.total", given.total),
            )
        case "Cursor":
            assert given is not None  # noqa: S101
            params = _given(
                given.params, "http.pagination.params", "pagination of type Cursor needs params"
            )
            for param in params:
                _path(f"http.pagination.params {param.name}", param.path)
            return model.Cursor(
                params=tuple((param.name, param.path) for param in params),
                total=_path("http.pagination.total", given.total),
            )
        case _:
            return model.OnePage(
                _path("http.pagination.total", given.total) if given is not None else None
            )


def _users(users: Users) -> model.Users:
    if users.time is not None:
        raise _InvalidError("users.time is for events (jetstream); listed users have lastActive")
    stamp = _given(users.last_active, "users.lastActive", "say where the last activity stands")
    return _named(users, _stamp("users.lastActive", stamp))


def _events(users: Users) -> model.Users:
    if users.last_active is not None or users.created_at is not None:
        raise _InvalidError(
            "users.lastActive and createdAt are for listed users (http); events have time"
        )
    stamp = _given(users.time, "users.time", "say where an event's time stands")
    return _named(users, _stamp("users.time", stamp))


def _stamp(field: str, stamp: LastActive | EventTime) -> model.Stamp:
    form = stamp.format or "Auto"
    own = timestamps.granularity_ms(form)
    read = model.Stamp(
        path=_needed_path(f"{field}.path", stamp.path),
        format=form,
        naive_timezone=stamp.naive_timezone or "UTC",
        # A format cannot be finer than its own digits, whatever is declared.
        granularity_ms=max(own, _GRANULARITY_MS[stamp.granularity or "Second"]),
        never=(stamp.never or ()) if isinstance(stamp, LastActive) else (),
    )
    _checked(field, lambda: timestamps.reader(read))
    return read


def _named(users: Users, last_active: model.Stamp) -> model.Users:
    created = users.created_at
    if users.exclude is not None:
        exclude = users.exclude
        _checked("users.exclude", lambda: expressions.predicate(exclude))
    return model.Users(
        id=_needed_path("users.id", users.id),
        last_active=last_active,
        created_at=model.CreatedAt(
            path=_needed_path("users.createdAt.path", created.path),
            tolerance_ms=(created.tolerance_seconds or 0) * model.SECOND_MS,
        )
        if created
        else None,
        exclude=users.exclude,
        exclude_ids=users.exclude_ids or (),
        normalize=users.normalize or (),
    )


def _guarantees(given: Guarantees) -> model.Guarantees:
    lag = given.lag_seconds
    return model.Guarantees(
        lag_seconds=DEFAULT_LAG_SECONDS if lag is None else lag,
        hidden_seconds=given.hidden_seconds or 0,
        clock_skew_seconds=given.clock_skew_seconds,
        removal=given.removal or "ListedOnce",
        ids=given.ids or "Unknown",
        id_reuse=given.id_reuse or "Never",
        initial_value=given.initial_value or "Empty",
        order=given.order or "Unknown",
    )


def _given(value: _T | None, field: str, fix: str) -> _T:
    if value is None:
        raise _InvalidError(f"{field} is missing: {fix}")
    return value


def _path(field: str, text: str | None) -> str | None:
    if text is not None:
        _checked(field, lambda: expressions.expression(text))
    return text


def _needed_path(field: str, text: str | None) -> str:
    needed = _given(text, field, "give a JMESPath over one item, or name a preset")
    _path(field, needed)
    return needed


def _checked(field: str, check: Callable[[], object]) -> None:
    try:
        check()
    except ValueError as error:
        raise _InvalidError(f"{field}: {error}") from None


def _first(error: ValidationError) -> str:
    """Say what pydantic saw first, in the user's names and without the value."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field}: {first['msg'][0].lower()}{first['msg'][1:]}"


def _invalid(name: str, text: str) -> Stalled:
    return Stalled("InvalidSource", f"Source {name}: {text}.")
