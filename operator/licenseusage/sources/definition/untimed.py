"""A list of users without times: its window, and what such a list cannot have."""

from licenseusage.api.source import Source
from licenseusage.metering.properties import Removal
from licenseusage.sources.definition import counting, model
from licenseusage.sources.definition.checking import InvalidError
from licenseusage.sources.definition.guarantees import Guarantees, Order
from licenseusage.sources.definition.numbers import Window


def window_of(source: Source) -> Window | None:
    """Return the window of a list without times; None: its users have times, or it is a log.

    Raises:
        InvalidError: The window does not fit the source.
    """
    if source.window is None:
        return None
    if source.jetstream is not None or source.redis is not None or source.events is not None:
        raise InvalidError("window is for lists without times: events have one; remove window")
    if source.users is not None and source.users.across_pods == "Same":
        raise InvalidError(
            "users.acrossPods is Same, but without times two lists that differ say nothing of "
            "which pod is behind: make a source for each pod, or use acrossPods Any"
        )
    window = counting.window_of(source.window)
    if window.type == "Cycle":
        raise InvalidError(
            "window.type is Cycle, which is for numbers (count): a product that does not know the "
            "parameters of the request would list everybody, and nothing shows it. Use a window "
            "that the product has by itself, or a list with times"
        )
    return window


def refuse(http: model.Http | None, window: Window | None, guarantees: Guarantees) -> None:
    """Refuse what a list without times cannot have, and what only such a list has.

    Raises:
        InvalidError: It has that.
    """
    if http is None or window is None:
        if guarantees.age_seconds:
            raise InvalidError("guarantees.ageSeconds is about answers without times: remove it")
        return
    if http.names("cycle"):
        raise InvalidError(
            "the request names the cycle, but window says that the product chooses the time: "
            "remove {{cycle…}} from http"
        )
    if guarantees.order is Order.ACTIVITY:
        raise InvalidError("guarantees.order is Activity, but the list has no times")
    if guarantees.removal is Removal.LISTED_ONCE:
        raise InvalidError(
            "guarantees.removal is ListedOnce, which is for lists with times: declare Never if "
            "nobody leaves the list before his activity has left the window, or Unknown"
        )


def activity(users: model.Users, window: Window | None) -> str:
    """Return in words who counts, where the source does not say it."""
    if window is None:
        return f"The product recorded activity of the user in {users.last_active.path}"
    return f"The product lists the user as active {window.words}"
