"""The meaning of a bare number, checked: where it stands, and what the product counts."""

import re
from zoneinfo import ZoneInfo

from licenseusage.api.counting import CountOf
from licenseusage.api.fetch import Http
from licenseusage.api.prometheus import Prometheus
from licenseusage.api.source import Source
from licenseusage.api.window import Window
from licenseusage.sources.definition import checking, fetching, model, numbers
from licenseusage.sources.definition.checking import InvalidError
from licenseusage.sources.definition.numbers import HOUR_MS, WindowType

DEFAULT_WARMUP_SECONDS = 300
_METRIC = re.compile("[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_LABEL = re.compile("[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_OF_LISTS = {"items", "pagination", "format", "ignoreMembers", "validator"}
_NEEDED = "say which activity the product counts, or name a preset that knows it"
_ABOUT_LISTS = {"ids", "idReuse", "initialValue", "order"}


def is_number(source: Source) -> bool:
    """Whether a source states a number of users, and names none of them."""
    return source.count is not None or source.prometheus is not None


def number_of(source: Source) -> tuple[model.Http, numbers.Number]:
    """Return the request of a source that states a number, and what the number means.

    Raises:
        InvalidError: A field is missing, wrong, or belongs to other kinds of sources.
    """
    if source.users is not None or source.jetstream is not None:
        raise InvalidError(
            "count and prometheus state a number, users and jetstream say who was active (one of "
            "them by the preset): a source does one of them; make two sources of it"
        )
    about_lists = source.guarantees.to_object().keys() & _ABOUT_LISTS if source.guarantees else ()
    if about_lists:
        raise InvalidError(
            f"guarantees.{min(about_lists)} is about lists of users, and a number names nobody: "
            "remove it"
        )
    count = source.count or CountOf()
    gauge = None
    if source.prometheus is not None:
        if source.http is not None:
            raise InvalidError("prometheus is given beside http: a source has one way to be read")
        if count.value is not None:
            raise InvalidError("count.value is for http: prometheus.metric names the number")
        request, gauge = _metrics(source.prometheus)
    else:
        request = _answer(checking.given(source.http, "http", "say what to request"))
        checking.needed_path("count.value", count.value)
    if source.guarantees is not None and source.guarantees.removal == "ListedOnce":
        raise InvalidError(
            "guarantees.removal ListedOnce is about lists, in which somebody is recognised: "
            "declare Never or Unknown"
        )
    window = window_of(source.window)
    _fits(request, window, source)
    return request, _number(count, gauge, window)


def _number(count: CountOf, gauge: numbers.Gauge | None, window: numbers.Window) -> numbers.Number:
    across = count.across_pods or "Any"
    if (across == "Shards") != (count.shards is not None):
        raise InvalidError(
            "count.shards and acrossPods Shards go together: say how many pods hold a part each"
        )
    warmup = count.warmup_seconds
    warmup_ms = (DEFAULT_WARMUP_SECONDS if warmup is None else warmup) * model.SECOND_MS
    return numbers.Number(
        value=count.value,
        gauge=gauge,
        window=window,
        precision=count.precision or "Counted",
        own_accounts=count.own_accounts or 0,
        saturates_at=count.saturates_at,
        warmup_ms=warmup_ms,
        across_pods=across,
        shards=count.shards,
    )


def _metrics(written: Prometheus) -> tuple[model.Http, numbers.Gauge]:
    path = checking.given(written.path, "prometheus.path", "say where the metrics are")
    metric = checking.given(written.metric, "prometheus.metric", "say which gauge it is")
    if not _METRIC.fullmatch(metric):
        raise InvalidError(f"prometheus.metric {metric!r} is not a metric's name")
    labels = tuple(sorted((written.match_labels or {}).items()))
    for name, _ in labels:
        if not _LABEL.fullmatch(name):
            raise InvalidError(f"prometheus.matchLabels {name!r} is not a label's name")
    request = fetching.http_of(Http(path=path))
    return request, numbers.Gauge(metric=metric, labels=labels, reduce=written.reduce or "One")


def _answer(http: Http) -> model.Http:
    about_lists = http.to_object().keys() & _OF_LISTS
    if about_lists:
        raise InvalidError(
            f"http.{min(about_lists)} is about lists, and one answer holds the number at "
            "count.value: remove it"
        )
    return fetching.http_of(http)


def _fits(request: model.Http, window: numbers.Window, source: Source) -> None:
    """Refuse a window that the request does not ask for, and places that cannot be told apart."""
    asked = request.names("cycle.start") and request.names("cycle.end")
    if window.type == "Cycle" and not asked:
        raise InvalidError(
            "window is of type Cycle, but the request does not name the cycle: put "
            "{{cycle.start}} and {{cycle.end}} into http.query"
        )
    if window.type != "Cycle" and request.names("cycle"):
        raise InvalidError(
            f"the request names the cycle, but window is of type {window.type}: declare window "
            "{type: Cycle}, or remove the template"
        )
    across = source.count.across_pods if source.count is not None else None
    if across in ("Same", "Shards") and source.pods is None:
        raise InvalidError(
            f"count.acrossPods is {across}, which asks every pod, and behind a Service or an "
            "endpoint they cannot be told apart: use pods, or acrossPods Any"
        )


def window_of(written: Window | None) -> numbers.Window:
    """Return the window of a source.

    Raises:
        InvalidError: A field is missing, wrong, or belongs to another type.
    """
    given = checking.given(written, "window", _NEEDED)
    kind: WindowType = checking.given(given.type, "window.type", _NEEDED)
    if kind != "Rolling" and (given.days or given.hours):
        raise InvalidError(f"window.days and hours belong to type Rolling, not to type {kind}")
    if given.time_zone is not None and kind in ("Rolling", "Cycle"):
        raise InvalidError(
            "window.timeZone belongs to types RollingCalendarMonth and CalendarMonthToDate: remove "
            "it"
        )
    if given.days and given.hours:
        raise InvalidError("window.days and hours are both given: give the length once")
    length_ms = (24 * (given.days or 0) + (given.hours or 0)) * HOUR_MS
    if kind == "Rolling" and not length_ms:
        raise InvalidError("window.days is missing: give the length of the window")
    zone = given.time_zone or "UTC"
    checking.checked("window.timeZone", lambda: _known(zone))
    return numbers.Window(type=kind, length_ms=length_ms, time_zone=zone)


def _known(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{zone!r} is not a known time zone, such as Europe/Berlin") from None
