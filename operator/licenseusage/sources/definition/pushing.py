"""A source whose product pushes its activity: checked, in the fixed form of its events."""

from licenseusage.api import push as api
from licenseusage.api.guarantees import Guarantees as DeclaredGuarantees
from licenseusage.api.source import Source
from licenseusage.api.users import Users
from licenseusage.metering.properties import Removal
from licenseusage.sources.definition import model
from licenseusage.sources.definition.checking import InvalidError
from licenseusage.sources.definition.guarantees import (
    Guarantees,
    IdReuse,
    Ids,
    InitialValue,
    Order,
)
from licenseusage.sources.definition.push import Push

CLOCK_SKEW_SECONDS = 5
"""How far a producer's clock may be ahead of ours where nothing else is declared."""

_ID, _TIME = "data.user", "time"


def push_of(source: Source, push: api.Push) -> Push:
    """Return who pushes.

    Raises:
        InvalidError: The source, or its preset, says that somebody is asked, too.
    """
    asked = "pods service endpoint auth http jetstream redis prometheus events count window".split()
    given = [name for name in asked if getattr(source, name) is not None]
    if given:
        by = f" (preset {source.preset} gives it)" if source.preset is not None else ""
        raise InvalidError(
            f"push is given, and {given[0]} as well{by}: the product sends its activity, and "
            f"nothing is asked; remove {given[0]}, or take preset StandardPush"
        )
    if push.producers is not None and not push.producers:
        raise InvalidError("push.producers is empty: name every producer, or leave it out")
    return Push(
        service_accounts=tuple(sorted(push.service_accounts)),
        producers=tuple(sorted(push.producers or ())),
    )


def users_of(users: Users | None) -> model.Users:
    """Return the meaning of pushed events, whose form is fixed.

    Raises:
        InvalidError: The source describes another form.
    """
    given = users or Users()
    taken = {"exclude_ids", "normalize"}
    if any(getattr(given, name) is not None for name in type(given).model_fields.keys() - taken):
        raise InvalidError(
            "users: with push the form of an event is fixed: users may hold excludeIds and "
            "normalize only"
        )
    return model.Users(
        id=_ID,
        last_active=model.Stamp(path=_TIME, format="Auto", naive_timezone="UTC", granularity_ms=1),
        created_at=None,
        exclude=None,
        exclude_ids=given.exclude_ids or (),
        normalize=given.normalize or (),
    )


def guarantees_of(given: DeclaredGuarantees) -> Guarantees:
    """Return what is promised of pushed events.

    Raises:
        InvalidError: It is about products that are asked, or the ids may change.
    """
    taken = {"clock_skew_seconds", "ids", "id_reuse"}
    if any(getattr(given, name) is not None for name in type(given).model_fields.keys() - taken):
        raise InvalidError(
            "guarantees: with push there are clockSkewSeconds, ids and idReuse only: heartbeats "
            "say what was sent; remove the others"
        )
    if given.ids == "Renamable":
        raise InvalidError(
            "guarantees.ids is Renamable, but every event is united with all others: push ids that "
            "never change"
        )
    skew = given.clock_skew_seconds
    return Guarantees(
        lag_seconds=0,
        hidden_seconds=0,
        clock_skew_seconds=CLOCK_SKEW_SECONDS if skew is None else skew,
        removal=Removal.NEVER,
        ids=Ids.STABLE,
        id_reuse=IdReuse(given.id_reuse or IdReuse.NEVER),
        initial_value=InitialValue.EMPTY,
        order=Order.UNKNOWN,
    )
