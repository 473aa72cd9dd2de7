"""Whom pushed events are about: normalised, excluded, under the pseudonyms of their cycles."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from licenseusage.metering.cycles import Cycle
from licenseusage.metering.events import Event
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.ids import normalizer
from licenseusage.sources.pushed.cloudevents import Activity


@dataclass(slots=True)
class Named:
    """Events without their ids.

    Attributes:
        events: Cycle -> its events.
        outside: How many are about a cycle that is not counted (any more).
        excluded: How many are about somebody who does not count.
    """

    events: dict[Cycle, list[Event]] = field(default_factory=dict)
    outside: int = 0
    excluded: int = 0


def named(
    source: EffectiveSource,
    activities: Iterable[Activity],
    cycles: Sequence[Cycle],
    pseudonyms: Callable[[Cycle], Pseudonymiser],
) -> Named:
    """Return activities as events of their cycles; their ids end here.

    Args:
        source: The source that they are for.
        activities: As sent.
        cycles: Those that are counted.
        pseudonyms: Gives the pseudonyms of a cycle.
    """
    normalize, excluded = normalizer(source.users.normalize), frozenset(source.users.exclude_ids)
    result, makers = Named(), {}
    ordered = sorted(cycles, key=lambda cycle: cycle.start_ms, reverse=True)
    for activity in activities:
        user = normalize(activity.user)
        if not user or user in excluded:
            result.excluded += 1
            continue
        at_ms = activity.at_ms
        cycle = next((each for each in ordered if each.start_ms <= at_ms < each.end_ms), None)
        if cycle is None:
            result.outside += 1
            continue
        if cycle not in makers:
            makers[cycle] = pseudonyms(cycle)
        result.events.setdefault(cycle, []).append(Event(makers[cycle](user), at_ms))
    return result
