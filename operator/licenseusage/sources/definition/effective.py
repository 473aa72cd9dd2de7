"""From the user's fields to an effective source: merged with a preset, checked, immutable.

The API server has checked the user's part by its CEL rules, but not the sum of it and a preset, and
``source check`` reads files that no API server has seen: so everything is checked here, and the
message names the field in the user's words.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from pydantic import ValidationError

from licenseusage.api.fetch import Http
from licenseusage.api.guarantees import Guarantees as DeclaredGuarantees
from licenseusage.api.source import Source
from licenseusage.errors import Stalled
from licenseusage.metering.properties import Removal
from licenseusage.reasons import Reason
from licenseusage.sources.definition import checking, fetching, meaning, model
from licenseusage.sources.definition.checking import InvalidError
from licenseusage.sources.definition.guarantees import (
    Guarantees,
    IdReuse,
    Ids,
    InitialValue,
    Order,
)
from licenseusage.sources.definition.spelling import MINUTE_MS

DEFAULT_INTERVAL_MINUTES = 15
DEFAULT_LAG_SECONDS = 60


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
    given = checking.given(source.users, "users", "say what the items mean, or name a preset")
    http: model.Http | None = None
    log: model.Jetstream | None = None
    if source.jetstream is not None:
        log, users = fetching.log_of(source, source.jetstream), meaning.events_of(given)
    else:
        wanted = "say what to request, give jetstream instead, or name a preset"
        http = fetching.http_of(checking.given(source.http, "http", wanted))
        users = meaning.users_of(given)
    guarantees = _guarantees(source.guarantees or DeclaredGuarantees())
    if guarantees.initial_value is InitialValue.CREATION_TIME and users.created_at is None:
        raise InvalidError(
            "guarantees.initialValue is CreationTime, but users.createdAt.path is missing: say "
            "where the creation time stands"
        )
    if http is not None:
        pagination = http.pagination
        overlaps = guarantees.order is not Order.UNKNOWN
        if isinstance(pagination, model.Offset) and overlaps and pagination.size < 2:
            raise InvalidError(
                "http.pagination.size is 1: pages that overlap by one row need 2 or more"
            )
    return model.EffectiveSource(
        name=source.name,
        preset=source.preset,
        definition=source.activity_definition
        or f"The product recorded activity of the user in {users.last_active.path}",
        interval_ms=(source.interval_minutes or DEFAULT_INTERVAL_MINUTES) * MINUTE_MS,
        pods=fetching.place_of(source, log=source.jetstream is not None),
        endpoint=source.endpoint,
        auth=fetching.auth_of(source.auth),
        listing=http,
        log=log,
        users=users,
        identity=source.identity or "product",
        guarantees=guarantees,
    )


def _guarantees(given: DeclaredGuarantees) -> Guarantees:
    lag = given.lag_seconds
    return Guarantees(
        lag_seconds=DEFAULT_LAG_SECONDS if lag is None else lag,
        hidden_seconds=given.hidden_seconds or 0,
        clock_skew_seconds=given.clock_skew_seconds,
        removal=Removal(given.removal or Removal.LISTED_ONCE),
        ids=Ids(given.ids or Ids.UNKNOWN),
        id_reuse=IdReuse(given.id_reuse or IdReuse.NEVER),
        initial_value=InitialValue(given.initial_value or InitialValue.EMPTY),
        order=Order(given.order or Order.UNKNOWN),
    )


def _first(error: ValidationError) -> str:
    """Return pydantic's first error, with the user's names and without the value."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field}: {first['msg'][0].lower()}{first['msg'][1:]}"


def _invalid(name: str, text: str) -> Stalled:
    return Stalled(Reason.INVALID_SOURCE, f"Source {name}: {text}.")
