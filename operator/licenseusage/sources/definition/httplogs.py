"""How an event log over HTTP is read, checked: its order, its range, its pages, its settings."""

import re

from licenseusage.api.httplog import HttpEvents, LogSettings
from licenseusage.api.source import Source
from licenseusage.sources.definition import checking, fetching, logs, model, paging, templates
from licenseusage.sources.definition.checking import InvalidError

_PATH = re.compile(r"/(?!/)[^?#\\\s\x00-\x1f\x7f]*")
LEAST_PAGE = 10
"""A page must overlap the one before by all events of one time, and one more."""


def log_of(source: Source, events: HttpEvents) -> tuple[model.Http, logs.HttpLog]:
    """Return the request of an event log, and what its answers promise.

    Raises:
        InvalidError: A field is missing, or does not fit the others.
    """
    given = checking.given(source.http, "http", "say what to request, or name a preset")
    http = fetching.http_of(given, "range")
    order = checking.given(
        events.order, "events.order", "say whether answers begin with the newest or oldest event"
    )
    newest_first = order == "NewestFirst"
    _can_be_paged(http, newest_first=newest_first)
    settings = None if events.settings is None else _settings(events.settings, http)
    days = events.retention_days
    if days is not None and settings is not None and settings.retention_seconds is not None:
        raise InvalidError(
            "events.retentionDays and events.settings.retentionSeconds both say how long events "
            "are kept: give one of them"
        )
    return http, logs.HttpLog(
        newest_first=newest_first,
        id=checking.path("events.id", events.id),
        retention_ms=None if days is None else days * model.DAY_MS,
        settings=settings,
    )


def refuse_guarantees(source: Source) -> None:
    """Refuse guarantees that lists of users give."""
    about_lists = source.guarantees.to_object().keys() if source.guarantees else set()
    about_lists &= {"removal", "order", "hiddenSeconds", "initialValue"}
    if about_lists:
        raise InvalidError(
            f"guarantees.{min(about_lists)} is about lists of users: events.order and "
            "events.retentionDays say what a log of events promises; remove it"
        )


def _can_be_paged(http: model.Http, *, newest_first: bool) -> None:
    """Refuse a request whose pages cannot be proved to go on from each other."""
    if http.format != "JSON":
        raise InvalidError("http.format NDJSON is for lists of users: events come as one document")
    start_ms, end_ms = (templates.unit_ms(http.texts, edge) for edge in ("start", "end"))
    if not newest_first and start_ms is None:
        raise InvalidError(
            "events.order is OldestFirst, so http.query must say from when on: use "
            "{{range.start}}, or its variants .date, .epoch and .epochMillis"
        )
    match http.pagination:
        case paging.Offset(size=size):
            if size < LEAST_PAGE:
                raise InvalidError(
                    f"http.pagination.size is {size}: pages of a log overlap, and need "
                    f"{LEAST_PAGE} events or more"
                )
            return
    edge, unit_ms = ("end", end_ms) if newest_first else ("start", start_ms)
    if unit_ms is None or unit_ms > model.SECOND_MS:
        raise InvalidError(
            "http.pagination is not of type Offset, so each next page is asked for by a narrower "
            f"range: http.query must name {{{{range.{edge}}}}} to the second, and not by .date"
        )


def _settings(given: LogSettings, http: model.Http) -> logs.LogSettings:
    path = checking.given(given.path, "events.settings.path", "say what to request")
    if not _PATH.fullmatch(path):
        raise InvalidError(
            f"events.settings.path {path!r} must begin with '/' and hold no '?', '#', '\\' "
            "or white space"
        )
    if http.method != "GET":
        raise InvalidError("events.settings is a GET, but http.method is POST: remove settings")
    if given.recording is None and given.retention_seconds is None:
        raise InvalidError(
            "events.settings has neither recording nor retentionSeconds: say what to read of it"
        )
    return logs.LogSettings(
        path=path,
        recording=checking.path("events.settings.recording", given.recording),
        retention_seconds=checking.path(
            "events.settings.retentionSeconds", given.retention_seconds
        ),
    )
