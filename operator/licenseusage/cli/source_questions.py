"""What ``licenseusage source new`` asks for each kind of source, and what the answers mean."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import typer

_PORTS = {"http": 80, "https": 443}
_ZONE = re.compile(r"(.*?),\s*([A-Za-z_]+/[A-Za-z0-9_/+-]+|UTC)\s*")
_REMOVALS = ("Never", "ListedOnce", "Unknown")
_MONTHS = {"Month": "CalendarMonthToDate", "RollingMonth": "RollingCalendarMonth"}
_AUTHS: dict[str, dict[str, Any]] = {
    "bearer": {"header": {"name": "Authorization", "prefix": "Bearer "}},
    "basic": {"basic": {}},
    "none": {},
}
_PAGES: dict[str, tuple[tuple[str, ...], Callable[..., dict[str, Any]]]] = {
    "None": ((), lambda: {"type": "None"}),
    "Offset": (
        ("offset parameter", "limit parameter", "size"),
        lambda offset, limit, size: {
            "type": "Offset",
            "offsetParam": offset,
            "limitParam": limit,
            "size": _number(size, "--pages"),
        },
    ),
    "Page": (
        ("page parameter", "first page", "size parameter", "size"),
        lambda page, first, param, size: {
            "type": "Page",
            "pageParam": page,
            "first": _number(first, "--pages"),
            "sizeParam": param,
            "size": _number(size, "--pages"),
        },
    ),
    "Cursor": (
        ("parameter", "path of its value in the answer"),
        lambda name, path: {"type": "Cursor", "params": [{"name": name, "path": path}]},
    ),
    "HeaderCursor": (
        ("parameter", "response header of its value"),
        lambda name, header: {"type": "HeaderCursor", "header": header, "cursorParam": name},
    ),
    "Next": (("path of the URL",), lambda path: {"type": "Next", "path": path}),
    "Link": ((), lambda: {"type": "Next"}),
}

_AGE = 3600
"""Many products count anew once an hour; a number that is younger proves no less."""

Answers = Mapping[str, str]
"""Answers by the name of their option, without dashes in front."""


class Question(NamedTuple):
    """A question, and the option that answers it.

    Attributes:
        option: Its name, without dashes in front.
        text: As it is asked.
        default: Of an empty answer; None: it must be answered.
    """

    option: str
    text: str
    default: str | None = None


class Kind(NamedTuple):
    """A kind of source.

    Attributes:
        tells: What a product of this kind tells.
        asks: Its questions, behind those that each kind has.
        source: Makes the fields of a source from the answers; what names the user's own cluster
            (selector, Secret, who may push) is not among them.
    """

    tells: str
    asks: Sequence[Question]
    source: Callable[[Answers], dict[str, Any]]


_ITEMS = Question(
    "items", "Where {what} stand in the answer, such as data.rows (empty: all of it)", ""
)
_ID = Question("id", "Member of the user's permanent id", "id")
_AUTH = Question("auth", "How the reader signs in: bearer, basic or none", "bearer")
_PAGED = Question(
    "pages",
    "Pages: None, Offset:offset,limit,100, Page:page,1,size,100, Cursor:after,next, "
    "HeaderCursor:continuationToken,X-MS-ContinuationToken, Next:links.next or Link",
    "None",
)
_REMOVED = Question(
    "removal",
    "When deleted users leave the list: Never, ListedOnce (at once) or Unknown",
    "Unknown",
)


def _listed(answers: Answers) -> dict[str, Any]:
    removal = _one_of(answers, "removal", _REMOVALS)
    return {
        **_asked_at(answers),
        "users": {"id": answers["id"], "lastActive": _stamp(answers, "last-active")},
        "guarantees": {"lagSeconds": 60, "removal": removal, "ids": "Unknown"},
    }


def _lately(answers: Answers) -> dict[str, Any]:
    removal = _one_of(answers, "removal", ("Never", "Unknown"))
    return {
        **_asked_at(answers),
        "users": {"id": answers["id"]},
        "window": _window(answers),
        "guarantees": {"lagSeconds": 60, "removal": removal, "ids": "Unknown"},
    }


def _stated(answers: Answers) -> dict[str, Any]:
    name, metric, labelled = answers["value"].partition("metric:")
    asked = _asked_at(answers, listed=False)
    count: dict[str, Any] = {"ownAccounts": _number(answers["own-accounts"], "--own-accounts")}
    if answers["saturates-at"].strip():
        count["saturatesAt"] = _number(answers["saturates-at"], "--saturates-at")
    if metric and not name:
        read = asked.pop("http")
        if "query" in read:
            raise typer.BadParameter("metrics are asked for without parameters", param_hint="--url")
        asked["prometheus"] = {"path": read["path"], "metric": labelled.strip()}
    else:
        count = {"value": answers["value"], **count}
    complete = _one_of(answers, "complete", ("Complete", "Unknown"))
    promised = {"lagSeconds": 60, "ageSeconds": _AGE, "removal": "Unknown"}
    return {
        **asked,
        "count": count,
        "window": _window(answers),
        "guarantees": {**promised, "completeness": complete},
    }


def _logged(answers: Answers) -> dict[str, Any]:
    order = _one_of(answers, "order", ("NewestFirst", "OldestFirst"))
    return {
        **_asked_at(answers),
        "events": {"order": order},
        "users": {"id": answers["id"], "time": _stamp(answers, "time")},
        "guarantees": {"lagSeconds": 60, "ids": "Unknown"},
    }


def _pushed(answers: Answers) -> dict[str, Any]:
    return {"guarantees": {"ids": "Unknown"}}


KINDS: Mapping[str, Kind] = {
    "list": Kind(
        "all users, each with the time of the last activity",
        (
            Question("url", "URL of the list in a pod, such as http://localhost:8080/api/users"),
            _ITEMS._replace(text=_ITEMS.text.format(what="the users")),
            _ID,
            Question(
                "last-active",
                "Member of the last activity; and the zone of times without (seen, Europe/Berlin)",
                "lastActive",
            ),
            _AUTH,
            _PAGED,
            _REMOVED,
        ),
        _listed,
    ),
    "lately": Kind(
        "who was active lately, without times",
        (
            Question("url", "URL of the list in a pod, such as http://localhost:8080/api/active"),
            _ITEMS._replace(text=_ITEMS.text.format(what="the users")),
            _ID,
            Question(
                "window",
                "Active since when: 30d, 24h, Month (since the first) or RollingMonth",
                "30d",
            ),
            _AUTH,
            _PAGED,
            _REMOVED._replace(
                text="May users leave the list before their activity is that old: Never or Unknown"
            ),
        ),
        _lately,
    ),
    "number": Kind(
        "how many users were active, and not who",
        (
            Question("url", "URL of the answer in a pod, such as http://localhost:8080/metrics"),
            Question("value", "Path of the number in the answer (data.active), or metric:NAME"),
            Question(
                "window",
                "Active since when: 30d, 24h, Month (since the first) or RollingMonth",
                "30d",
            ),
            _AUTH,
            Question(
                "saturates-at",
                "Beyond which number it does not count, as a licence's (empty: none)",
                "",
            ),
            Question("own-accounts", "How many of those counted may be no people", "0"),
            Question("complete", "Does it count everybody: Complete or Unknown", "Unknown"),
        ),
        _stated,
    ),
    "events": Kind(
        "a log of what users did, over HTTP",
        (
            Question(
                "url",
                "URL of the log in a pod, with its range, such as "
                "http://localhost:8080/log?from={{range.start}}&to={{range.end}}",
            ),
            _ITEMS._replace(text=_ITEMS.text.format(what="the events")),
            _ID,
            Question(
                "time",
                "Member of an event's time; and the zone of times without one (at, Europe/Berlin)",
                "time",
            ),
            _AUTH,
            _PAGED,
            Question("order", "Order of the answers: NewestFirst or OldestFirst", "NewestFirst"),
        ),
        _logged,
    ),
    "push": Kind(
        "nothing: it sends activity to the operator's intake",
        (
            Question("service-accounts", "Service accounts of the pods that send, with commas"),
            Question(
                "producers",
                "All values of the CloudEvents attribute source, with commas (empty: not known)",
                "",
            ),
        ),
        _pushed,
    ),
}


def push_of(answers: Answers) -> dict[str, Any]:
    """Return who may push."""
    accounts, producers = _parts(answers["service-accounts"]), _parts(answers["producers"])
    return {"serviceAccounts": accounts} | ({"producers": producers} if producers else {})


def asked(kind: Kind) -> list[Question]:
    """Return the questions of a kind in their order, behind the one for the kind, with numbers."""
    all_kinds = (
        Question("name", "Name of the product, such as Wiki"),
        Question("activity", "What makes a user active, in a sentence for the contract"),
    )
    return [
        each._replace(text=f"{number}. {each.text}")
        for number, each in enumerate((*all_kinds, *kind.asks), 2)
    ]


def _asked_at(answers: Answers, *, listed: bool = True) -> dict[str, Any]:
    try:
        parts = urlsplit(answers["url"])
        usual = _PORTS[parts.scheme]
        port = parts.port or usual
    except (ValueError, KeyError):
        raise typer.BadParameter(
            "give a URL such as http://localhost:8080/api/users; a log of NATS or Redis is not "
            "written by this command",
            param_hint="--url",
        ) from None
    http: dict[str, Any] = {"path": parts.path or "/"}
    if query := parse_qsl(parts.query, keep_blank_values=True):
        http["query"] = [{"name": key, "value": value} for key, value in query]
    if listed and answers["items"].strip():
        http["items"] = answers["items"]
    if listed:
        http["pagination"] = _pagination(answers["pages"])
    auth = _AUTHS[_one_of(answers, "auth", tuple(_AUTHS))]
    source = {"pods": {"port": port, "scheme": parts.scheme.upper()}, "http": http}
    return source | ({"auth": auth} if auth else {})


def _pagination(text: str) -> dict[str, Any]:
    kind, _, rest = text.partition(":")
    given = [part.strip() for part in rest.split(",")] if rest else []
    if kind not in _PAGES:
        raise typer.BadParameter(f"choose one of {', '.join(_PAGES)}", param_hint="--pages")
    wanted, make = _PAGES[kind]
    if len(given) != len(wanted) or not all(given):
        raise typer.BadParameter(
            f"{kind} needs {', '.join(wanted) or 'nothing more'}, behind a colon and with commas",
            param_hint="--pages",
        )
    return make(*given)


def _window(answers: Answers) -> dict[str, Any]:
    text = answers["window"]
    if text in _MONTHS:
        zone = answers.get("timezone") or "UTC"
        return {"type": _MONTHS[text]} | ({} if zone == "UTC" else {"timeZone": zone})
    span = re.fullmatch(r"(\d{1,4})([dh])", text)
    if span is None:
        raise typer.BadParameter(f"give 30d, 24h, {' or '.join(_MONTHS)}", param_hint="--window")
    return {"type": "Rolling", {"d": "days", "h": "hours"}[span[2]]: int(span[1])}


def _stamp(answers: Answers, option: str) -> dict[str, str]:
    text, zone = answers[option], answers.get("timezone") or "UTC"
    if both := _ZONE.fullmatch(text):
        text, zone = both.groups()
    if not text.strip():
        raise typer.BadParameter(
            "a list without times is of kind lately: say --kind lately", param_hint=f"--{option}"
        )
    return {"path": text} | ({} if zone == "UTC" else {"naiveTimezone": zone})


def _one_of(answers: Answers, option: str, choices: Sequence[str]) -> str:
    if answers[option] not in choices:
        raise typer.BadParameter(f"choose one of {', '.join(choices)}", param_hint=f"--{option}")
    return answers[option]


def _number(text: str, option: str) -> int:
    if not text.isdecimal():
        raise typer.BadParameter(f"{text!r} must be a number", param_hint=option)
    return int(text)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
