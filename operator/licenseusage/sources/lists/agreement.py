"""Whether the lists of several pods agree that should be one (``users.acrossPods: Same``).

A product whose pods share their data shows the same users and times at each of them, but for what
happened while they were read. Pods that keep data of their own, or one that is behind, do not: then
no list is the whole one. Every row stays true. Pure.
"""

from collections.abc import Mapping, Sequence

from licenseusage.errors import Failure
from licenseusage.reasons import Reason
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.lists.passes import Asked, Listing


def disagreement(source: EffectiveSource, asked: Sequence[Asked], skew_ms: int) -> Failure | None:
    """Return how the lists of pods differ that were read whole; None: they agree.

    A last activity counts as different if the newer of two was so long before the first reading
    that both pods had to show it.

    Args:
        source: What was read.
        asked: The pods, in the order of reading.
        skew_ms: k of MEASUREMENT §0: how far the clock of the stamps may be from ours.
    """
    if len(asked) < 2:
        return None
    first, *others = asked
    begun_ms = first.session.started_ms
    if begun_ms is None:
        return None
    properties = source.properties
    settled_ms = begun_ms - properties.lag_ms - properties.skew_ms - skew_ms
    for index, listing in enumerate(first.listings):
        latest = _latest(listing)
        for other in others:
            theirs = other.listings[index]
            users = listing.tally.different(), theirs.tally.different()
            if users[0] != users[1]:
                return _doubt(first, other, f"{users[0]} users are listed by one, {users[1]} by")
            moved = _different(latest, _latest(theirs), settled_ms)
            if moved:
                words = f"the last activities of {moved} users, long ago, are others at one than at"
                return _doubt(first, other, words)
    return None


def _latest(listing: Listing) -> dict[bytes, int]:
    users, values = listing.tally.lately()
    return dict(zip(users, values, strict=True))


def _different(ours: Mapping[bytes, int], theirs: Mapping[bytes, int], settled_ms: int) -> int:
    """Return of how many users two lists show settled times that differ, or show only one."""
    return sum(
        max(ours.get(user, 0), theirs.get(user, 0)) < settled_ms
        for user in ours.keys() | theirs.keys()
        if ours.get(user) != theirs.get(user)
    )


def _doubt(first: Asked, other: Asked, seen: str) -> Failure:
    return Failure(
        Reason.LISTS_DISAGREE,
        f"pods {first.label} and {other.label} do not show the same list (users.acrossPods: Same): "
        f"{seen} the other. If each pod keeps data of its own, make a source for each of them, by "
        f"a label that only it has (such as apps.kubernetes.io/pod-index), with combine Union. "
        f"Else one of them is behind: see their logs.",
    )
