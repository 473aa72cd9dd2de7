"""From the user's fields to an effective source: merged with a preset, checked, immutable.

The API server has checked the user's part by its CEL rules, but not the sum of it and a preset, and
``source check`` reads files that no API server has seen: so everything is checked here, and the
message names the field in the user's words.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from pydantic import ValidationError

from licenseusage.api.admission import source_refusals
from licenseusage.api.fetch import Http
from licenseusage.api.guarantees import Guarantees as DeclaredGuarantees
from licenseusage.api.source import Source
from licenseusage.errors import Stalled
from licenseusage.metering.properties import Removal
from licenseusage.reasons import Reason
from licenseusage.sources.definition import (
    authentication,
    checking,
    counting,
    fetching,
    httplogs,
    logs,
    meaning,
    model,
    paging,
    pushing,
    revalidating,
    untimed,
)
from licenseusage.sources.definition.checking import InvalidError
from licenseusage.sources.definition.guarantees import (
    Completeness,
    Durability,
    Guarantees,
    IdReuse,
    Ids,
    InitialValue,
    Order,
)
from licenseusage.sources.definition.push import Push
from licenseusage.sources.definition.spelling import MINUTE_MS

DEFAULT_INTERVAL_MINUTES = 15
DEFAULT_LAG_SECONDS = 60
PUSH_PRESET = "StandardPush"


def effective_of(
    source: Source,
    preset: Mapping[str, Any],
    *,
    reviewed: bool = True,
    account: str | None = None,
    when_nobody: str | None = None,
    when_500: str | None = None,
    when_off: str | None = None,
) -> model.EffectiveSource:
    """Merge a source with a preset's fields (camelCase) and check the whole.

    Args:
        source: What the user wrote.
        preset: The fields below it; empty: there is no preset.
        reviewed: The preset is the operator's own. Another one brings nothing that the user may
            not write, and no API server has checked it, so the CRD's rules are applied to the sum.
        account: As of `Preset`; likewise the others.
        when_nobody: Likewise.
        when_500: Likewise.
        when_off: Likewise.

    Raises:
        Stalled: ``InvalidSource``, naming the field, what was seen and the fix.
    """
    try:
        if source.service is not None or source.endpoint is not None:
            preset = {name: value for name, value in preset.items() if name != "pods"}
        trusted = preset if reviewed else {}
        _only_asks(source.http, trusted)
        authentication.only_signs_in(source.auth, trusted.get("auth", {}))
        both = merged(preset, source.to_object())
        whole = Source.model_validate(both)
        if not reviewed:
            _as_admitted(both, whole)
        made = _effective(whole)
    except ValidationError as error:
        raise _invalid(source.name, _first(error)) from None
    except ValueError as error:
        raise _invalid(source.name, str(error)) from None
    return msgspec.structs.replace(
        made, account=account, when_nobody=when_nobody, when_500=when_500, when_off=when_off
    )


def _as_admitted(both: Mapping[str, Any], whole: Source) -> None:
    """Refuse what the API server would refuse if the user had written all of it.

    A member that does not exist would be dropped there; here nobody would see that.
    """
    written = whole.to_object()
    if (unknown := next(checking.unknown_members(both, written), None)) is not None:
        raise InvalidError(
            f"its preset gives {unknown}, which is no field of a source: see `kubectl explain "
            "licenseusage.spec.sources`"
        )
    for name in ("preset", "presetConfigMapRef"):
        written.pop(name, None)
    for field, message in source_refusals(written):
        where = "" if field in message else f"{field}: "
        raise InvalidError(f"together with its preset: {where}{message}")


def merged(preset: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the user's fields into a preset: objects by member, everything else as a whole."""
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
    """Refuse requests that may change something at the product, unless the preset needs them.

    Whoever may create a LicenseUsage must not be able to act by it.
    """
    posted = preset.get("http", {}).get("method") == "POST"
    if given is None or posted:
        return
    if given.method == "POST":
        raise InvalidError(
            "http.method is POST, which may change something at the product: only a preset brings "
            "it, where a product lists its users by it. Remove http.method"
        )
    if given.body is not None:
        raise InvalidError("http.body is given, but the request is a GET: remove http.body")


def _effective(source: Source) -> model.EffectiveSource:
    if source.push is not None:
        return _pushed(source, pushing.push_of(source, source.push))
    declared = source.guarantees or DeclaredGuarantees()
    _refuse_what_is_elsewhere(source, declared)
    if counting.is_number(source):
        return _of_number(source)
    given = checking.given(source.users, "users", "say what the items mean, or name a preset")
    http: model.Http | None = None
    window = untimed.window_of(source)
    log = fetching.log_of(source)
    http_log: logs.HttpLog | None = None
    if log is not None:
        users = meaning.events_of(given)
    elif source.events is not None:
        http, http_log = httplogs.log_of(source, source.events)
        httplogs.refuse_guarantees(source)
        users = meaning.events_of(given)
    else:
        wanted = "say what to request, give jetstream or redis instead, or name a preset"
        http = fetching.http_of(checking.given(source.http, "http", wanted))
        users = meaning.users_of(given) if window is None else meaning.untimed_of(given)
    guarantees = _guarantees(declared, Removal.UNKNOWN if window else Removal.LISTED_ONCE)
    if guarantees.initial_value is InitialValue.CREATION_TIME and users.created_at is None:
        raise InvalidError(
            "guarantees.initialValue is CreationTime, but users.createdAt.path is missing: say "
            "where the creation time stands"
        )
    if http is not None:
        _fits(http.pagination, guarantees.order)
    untimed.refuse(http, window, guarantees)
    made = model.EffectiveSource(
        name=source.name,
        preset=source.preset,
        definition=source.activity_definition or untimed.activity(users, window),
        interval_ms=(source.interval_minutes or DEFAULT_INTERVAL_MINUTES) * MINUTE_MS,
        pods=None,
        endpoint=source.endpoint,
        auth=authentication.auth_of(source.auth),
        listing=http,
        http_log=http_log,
        log=log if isinstance(log, logs.Jetstream) else None,
        redis=log if isinstance(log, logs.RedisStream) else None,
        people=users,
        identity=source.identity or "product",
        guarantees=guarantees,
        every_pod=given.across_pods == "Same",
        window=window,
    )
    revalidating.refuse(made)
    pods = fetching.place_of(source, read_by=made.read_by)
    certificate = authentication.certificate_of(source.auth, pods)
    return msgspec.structs.replace(made, pods=pods, client_certificate=certificate)


def _refuse_what_is_elsewhere(source: Source, declared: DeclaredGuarantees) -> None:
    """Refuse what belongs to another kind of source, and a preset without its kind."""
    if source.preset == PUSH_PRESET:
        raise InvalidError(
            "push is missing: name the service accounts whose pods may push in push.serviceAccounts"
        )
    if source.redis is None and declared.durability is not None:
        raise InvalidError("guarantees.durability is about redis: remove it")
    if declared.completeness is not None and not counting.is_number(source):
        raise InvalidError(
            "guarantees.completeness is about numbers, and whether a list is complete is seen: "
            "remove it"
        )


def _of_number(source: Source) -> model.EffectiveSource:
    request, number = counting.number_of(source)
    pods = fetching.place_of(source, read_by="http")
    counted = source.prometheus.metric if source.prometheus is not None else number.value
    return model.EffectiveSource(
        name=source.name,
        preset=source.preset,
        definition=source.activity_definition
        or f"The product counts the user as active {number.window.words}, in {counted}",
        interval_ms=(source.interval_minutes or DEFAULT_INTERVAL_MINUTES) * MINUTE_MS,
        pods=pods,
        endpoint=source.endpoint,
        auth=authentication.auth_of(source.auth),
        client_certificate=authentication.certificate_of(source.auth, pods),
        listing=request,
        number=number,
        identity=source.identity or "product",
        guarantees=_guarantees(source.guarantees or DeclaredGuarantees(), Removal.UNKNOWN),
    )


def _pushed(source: Source, push: Push) -> model.EffectiveSource:
    return model.EffectiveSource(
        name=source.name,
        preset=source.preset,
        definition=source.activity_definition or "The product reported activity of the user",
        interval_ms=(source.interval_minutes or DEFAULT_INTERVAL_MINUTES) * MINUTE_MS,
        pods=None,
        auth=None,
        pushed=push,
        people=pushing.users_of(source.users),
        identity=source.identity or "product",
        guarantees=pushing.guarantees_of(source.guarantees or DeclaredGuarantees()),
    )


def _fits(pagination: paging.Pagination, order: Order) -> None:
    """Refuse an order that pages of this type do not show."""
    match pagination:
        case paging.Offset(size=1) if order is not Order.UNKNOWN:
            raise InvalidError(
                "http.pagination.size is 1: pages that overlap by one row need 2 or more"
            )
        case paging.Numbered() | paging.Linked() | paging.HeaderCursor(counts_pages=True) if (
            order in (Order.KEY_CURSOR, Order.ACTIVITY)
        ):
            raise InvalidError(
                f"guarantees.order is {order}, but pages by number or link cannot overlap, and no "
                "id says where they begin: declare ImmutableKey or Unknown"
            )


def _guarantees(given: DeclaredGuarantees, removal: Removal) -> Guarantees:
    lag = given.lag_seconds
    return Guarantees(
        lag_seconds=DEFAULT_LAG_SECONDS if lag is None else lag,
        hidden_seconds=given.hidden_seconds or 0,
        clock_skew_seconds=given.clock_skew_seconds,
        removal=Removal(given.removal or removal),
        ids=Ids(given.ids or Ids.UNKNOWN),
        id_reuse=IdReuse(given.id_reuse or IdReuse.NEVER),
        initial_value=InitialValue(given.initial_value or InitialValue.EMPTY),
        order=Order(given.order or Order.UNKNOWN),
        age_seconds=given.age_seconds or 0,
        completeness=Completeness(given.completeness or Completeness.UNKNOWN),
        durability=Durability(given.durability or Durability.UNKNOWN),
    )


def _first(error: ValidationError) -> str:
    """Return pydantic's first error, with the user's names and without the value."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field}: {first['msg'][0].lower()}{first['msg'][1:]}"


def _invalid(name: str, text: str) -> Stalled:
    return Stalled(Reason.INVALID_SOURCE, f"Source {name}: {text}.")
