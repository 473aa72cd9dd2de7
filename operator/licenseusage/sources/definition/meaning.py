"""The meaning of a source's items, checked: users with their last activity, or events."""

from licenseusage.api.users import EventTime, LastActive, Users
from licenseusage.sources.definition import checking, expressions, model, timestamps
from licenseusage.sources.definition.checking import InvalidError
from licenseusage.sources.definition.spelling import MINUTE_MS

_GRANULARITY_MS = {
    "Millisecond": 1,
    "Second": model.SECOND_MS,
    "Minute": MINUTE_MS,
    "Hour": 60 * MINUTE_MS,
    "Day": model.DAY_MS,
}


def users_of(users: Users) -> model.Users:
    """Return the meaning of listed users.

    Raises:
        InvalidError: A field is missing, wrong, or belongs to events.
    """
    if users.time is not None:
        raise InvalidError("users.time is for events of a log; listed users have lastActive")
    fix = "say where the last activity stands"
    stamp = checking.given(users.last_active, "users.lastActive", fix)
    return _named(users, _stamp("users.lastActive", stamp))


def untimed_of(users: Users) -> model.Users:
    """Return the meaning of listed users without times; raises as `users_of`."""
    if users.time is not None or users.last_active is not None or users.created_at is not None:
        raise InvalidError(
            "window is for lists without times: remove users.lastActive, createdAt and time, or "
            "remove window"
        )
    return _named(users, model.UNTIMED)


def events_of(users: Users) -> model.Users:
    """Return the meaning of a log's events; raises as `users_of`."""
    if users.last_active is not None or users.created_at is not None:
        raise InvalidError("users.lastActive and createdAt are for listed users; events have time")
    stamp = checking.given(users.time, "users.time", "say where an event's time stands")
    return _named(users, _stamp("users.time", stamp))


def _stamp(field: str, stamp: LastActive | EventTime) -> model.Stamp:
    form = stamp.format or "Auto"
    own = timestamps.granularity_ms(form)
    read = model.Stamp(
        path=checking.needed_path(f"{field}.path", stamp.path),
        format=form,
        naive_timezone=stamp.naive_timezone or "UTC",
        # A format cannot be finer than its own digits, whatever is declared.
        granularity_ms=max(own, _GRANULARITY_MS[stamp.granularity or "Second"]),
        never=(stamp.never or ()) if isinstance(stamp, LastActive) else (),
    )
    checking.checked(field, lambda: timestamps.reader(read))
    return read


def _named(users: Users, last_active: model.Stamp) -> model.Users:
    created = users.created_at
    if users.exclude is not None:
        exclude = users.exclude
        checking.checked("users.exclude", lambda: expressions.predicate(exclude))
    return model.Users(
        id=checking.needed_path("users.id", users.id),
        last_active=last_active,
        created_at=model.CreatedAt(
            path=checking.needed_path("users.createdAt.path", created.path),
            tolerance_ms=(created.tolerance_seconds or 0) * model.SECOND_MS,
        )
        if created
        else None,
        exclude=users.exclude,
        exclude_ids=users.exclude_ids or (),
        normalize=users.normalize or (),
    )
