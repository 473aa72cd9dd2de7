"""The best class of accuracy that a source can reach, as its declared properties allow.

It follows from the definition alone (MEASUREMENT §2 to §6), so a preset cannot claim another one.
What a cycle reaches depends on the answers: `metering.derivation`.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from licenseusage.metering.bounds import Accuracy
from licenseusage.metering.properties import Removal
from licenseusage.sources.definition import model, paging, windowed
from licenseusage.sources.definition.guarantees import Ids, Order


class Attainable(NamedTuple):
    """The best class of a final, and when it is reached.

    Attributes:
        best: Any but ``CONFLICT``. ``UNKNOWN``: a cycle of that length gets no number.
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


_NUMBER = {
    Accuracy.EXACT: "Exact: the product counts what happened between the cycle's ends, is declared "
    "to count everybody and to keep them, and is asked after the end.",
    Accuracy.BOUNDED: "A range: a number read in the cycle is true of people active in it, and "
    "several together cover it.",
    Accuracy.LOWER_BOUND: "At least: what the product counted was active in the cycle, but it does "
    "not cover the whole of it, or is not declared to count everybody and to keep them "
    "(guarantees.completeness Complete, removal Never).",
    Accuracy.UPPER_BOUND: "At most: the number covers the whole cycle, and people of the time "
    "before with it. Where it rose within the cycle, whoever it rose by was active, and it is a "
    "range.",
    Accuracy.ESTIMATE: "An estimate: read at the cycle's end, the number is about a span as long "
    "as the cycle, but it is no bound from either side.",
    Accuracy.UNKNOWN: "No number: what the product counts neither lies in the cycle nor covers it.",
}
_NAMES_NOBODY = (
    "A number names nobody, so people of the cycle before and programs cannot be told from the "
    "others."
)
_WITHOUT_TIMES = {
    Accuracy.EXACT: "Exact: unless somebody was active right before the cycle's start, or right "
    "after its end only; then a range. The list says who was active within a span of its own, and "
    "not when.",
    Accuracy.BOUNDED: "A range: the list says who was active within a span of its own, and not "
    "when. Who is listed all the time may have been active before the cycle only.",
    Accuracy.LOWER_BOUND: "At least: who is listed while the list's whole span lies in the cycle "
    "was active in it.",
    Accuracy.UNKNOWN: "No number: the list's span is never wholly in the cycle, so that who is "
    "listed may have been active before it.",
}
_IN_WORDS = {
    Accuracy.EXACT: "exact",
    Accuracy.BOUNDED: "a range",
    Accuracy.LOWER_BOUND: "at least",
    Accuracy.UPPER_BOUND: "at most",
    Accuracy.ESTIMATE: "an estimate",
    Accuracy.UNKNOWN: "no number",
}


def attainable(source: model.EffectiveSource, days: int = windowed.USUAL_DAYS) -> Attainable:
    """Return what a final about this source can state at best, and what must hold for it.

    Args:
        source: The source.
        days: Length of the cycle; it matters where the product chooses a span of time.
    """
    if source.states_number:
        best = windowed.number_reaches(source, days)
        words = [_NUMBER[best], *_elsewhere(source, best, windowed.number_reaches), _NAMES_NOBODY]
        return Attainable(best, (*words, *_capped(source)))
    if source.window is not None:
        best = windowed.list_reaches(source, days)
        words = [_WITHOUT_TIMES[best], *_ruling_nobody_out(source)]
        return Attainable(best, (*words, *_elsewhere(source, best, windowed.list_reaches)))
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


def _ruling_nobody_out(source: model.EffectiveSource) -> Iterator[str]:
    """Yield why a list without times has no upper bound, if it has none."""
    window = source.window
    if window is None:
        return
    if window.type == "CalendarMonthToDate":
        yield (
            "It begins anew with each month, so that who was active right before the cycle's end "
            "cannot be read after it."
        )
    elif source.guarantees.removal is Removal.UNKNOWN:
        yield (
            "People may leave it early, or come back to it without activity (guarantees.removal "
            "Unknown), so that it rules nobody out."
        )
    elif window.type == "Rolling" and window.length_ms <= model.DAY_MS:
        yield "A window of a day or less rules nobody out of any whole day."


def _elsewhere(
    source: model.EffectiveSource,
    usual: Accuracy,
    reaches: Callable[[model.EffectiveSource, int], Accuracy],
) -> Iterator[str]:
    """Yield what cycles of other lengths get, where that is something else."""
    for days in windowed.OTHER_DAYS:
        best = reaches(source, days)
        if best is not usual:
            yield f"In a cycle of {days} days: {_IN_WORDS[best]}."


def _capped(source: model.EffectiveSource) -> Iterator[str]:
    cap = source.count.saturates_at
    if cap is not None:
        yield (
            f"A number that has reached {cap} (count.saturatesAt) is neither an upper bound nor an "
            "estimate."
        )


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
