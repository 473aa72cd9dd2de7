"""The best class of accuracy that a source can reach, as its declared properties allow.

It follows from the definition alone (MEASUREMENT §2, §3), so a preset cannot claim another one.
What a cycle reaches depends on the answers: `metering.derivation`.
"""

from typing import NamedTuple

from licenseusage.metering.bounds import Accuracy
from licenseusage.metering.properties import Removal
from licenseusage.sources.definition import model, paging
from licenseusage.sources.definition.guarantees import Ids, Order


class Attainable(NamedTuple):
    """The best class of a final, and when it is reached.

    Attributes:
        best: ``EXACT``, ``BOUNDED``, ``LOWER_BOUND`` or ``ESTIMATE``.
        words: Whole sentences for people: why it is no better, and when it is worse.
    """

    best: Accuracy
    words: tuple[str, ...]


_BY_REMOVAL = {
    Removal.NEVER: "Exact, also after an outage of the operator, unless somebody was active right "
    "before the cycle's end and again before the list was read: then a range.",
    Removal.LISTED_ONCE: "Exact if nobody left the list before it could be ruled out that the "
    "person had been active; otherwise a range. The first cycle after the installation, and a "
    "cycle in which the list was not read for 24 hours, are 'at least'.",
    Removal.UNKNOWN: "At least: the list can lose activity that was never read, so it proves "
    "nobody inactive.",
}
_LOG = (
    "Exact if the log still holds every event of the cycle when it is read; events that were lost "
    "make it 'at least'."
)
_PUSHED = (
    "Exact if the heartbeats of every producer in push.producers cover the cycle without a break; "
    "otherwise 'at least'."
)
_TWO_PASSES = (
    "A list of several pages must be read twice with the same ids in the same order after the "
    "cycle's end. If it moves each time, the number is 'at least'."
)


_NUMBER = (
    "An estimate or a bound: a number names nobody, so people of the cycle before and programs "
    "cannot be told from the others."
)
_WITHOUT_TIMES = (
    "A range at best: the list says who was active within a span of its own, and not when. Who is "
    "listed all the time may have been active before the cycle only."
)


def attainable(source: model.EffectiveSource) -> Attainable:
    """Return what a final about this source can state at best, and what must hold for it."""
    if source.states_number:
        return Attainable(Accuracy.ESTIMATE, (_NUMBER,))
    if source.window is not None:
        return Attainable(Accuracy.BOUNDED, (_WITHOUT_TIMES,))
    if source.pushed is not None:
        best = Accuracy.EXACT if source.push.producers else Accuracy.LOWER_BOUND
        return Attainable(best, (_PUSHED,))
    if source.reads_log:
        return Attainable(Accuracy.EXACT, (_LOG,))
    properties = source.properties
    removal = properties.removal
    words = [_BY_REMOVAL[removal]]
    if removal is Removal.UNKNOWN:
        return Attainable(Accuracy.LOWER_BOUND, tuple(words))
    if removal is Removal.LISTED_ONCE and source.guarantees.ids is Ids.RENAMABLE:
        return Attainable(
            Accuracy.LOWER_BOUND,
            ("At least: users can leave the list, and ids can change, so nobody can be followed.",),
        )
    if not _shows_its_moves(source):
        words.append(_TWO_PASSES)
    stamp = source.users.last_active
    if stamp.granularity_ms >= model.DAY_MS and stamp.naive_timezone != "UTC":
        words.append(
            "Times are whole days of another zone than the cycle's: who was last active on the day "
            "of its begin or end may have been active before or after it."
        )
    if properties.hidden_ms:
        words.append(
            f"Activity within {_span(properties.hidden_ms)} after a recorded one is not recorded: "
            "who was last active so shortly before the cycle's begin may have been active in it."
        )
    return Attainable(Accuracy.EXACT, tuple(words))


def _shows_its_moves(source: model.EffectiveSource) -> bool:
    """Whether one pass over the pages proves that nobody moved between them."""
    order = source.guarantees.order
    match source.http.pagination:
        case paging.OnePage():
            return True
        case paging.Offset():
            return order in (Order.IMMUTABLE_KEY, Order.ACTIVITY)
        case _:
            return order is Order.KEY_CURSOR


def _span(span_ms: int) -> str:
    for unit, name in ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute")):
        if span_ms >= unit and span_ms % unit == 0:
            number = span_ms // unit
            return f"{number} {name}{'s' if number > 1 else ''}"
    return f"{span_ms // 1000} seconds"
