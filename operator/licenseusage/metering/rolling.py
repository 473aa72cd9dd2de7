"""Kind B: lists without times, of those who were active in a window (MEASUREMENT §4).

The product lists who was active in the last W, or since the first of the month, computed up to an
*age* before it is read. Each answer rules out for a stretch of time whoever is not on it; day by
day those stretches make up the cycle, and whoever is possible on no day of it was not active in it.
A day that no answer looks at as a whole is not covered, so that a window of a day or less gives no
upper bound.

What proves activity is told by the cycle, not by the poll:

- Where the whole window can lie inside the cycle, a row proves activity in it. Rows are believed
  only of a list that was seen to forget: somebody left it and came back. A list of all accounts, or
  one whose window is longer than declared, names everybody for ever, and nothing else shows it.
- Where it cannot, as with 30 days in a month, only appearing proves activity: somebody is listed
  who was on no complete list before. Whoever left and came back proves nothing so: the list between
  may have been cut. Nor do many who come at once, for the same reason.

The lists before are facts of their own (``roster``, under the pseudonyms of each cycle); without
them nobody appears, and nothing that is stated becomes false.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from licenseusage.metering.countwindows import CountWindow, WindowSpan
from licenseusage.metering.cycles import CYCLE_MASK, DAY_MS, Cycle, Segment
from licenseusage.metering.facts import Facts
from licenseusage.metering.polled import Polled
from licenseusage.metering.properties import Properties, Removal
from licenseusage.metering.pseudonym import SIZE
from licenseusage.metering.roster import (
    JOINED_GAP_MS,
    Listed,
    Run,
    count_listed,
    names_of,
    people_of,
)
from licenseusage.metering.words import PackedWords

JUMP_USERS = 3
"""So many may come to a list at once, or a tenth of it, and still be people who became active."""


@dataclass(frozen=True, slots=True)
class ListBefore:
    """The newest complete list before a poll.

    Attributes:
        began_ms: When its poll began, less the clock skew.
        read_ms: When it had been read, plus the clock skew; None: not known.
        runs: All complete polls so far (``roster``).
    """

    began_ms: int
    read_ms: int | None
    runs: Sequence[Run] = ()


def window_of(properties: Properties) -> CountWindow:
    """Return the window of a list without times; asked of no other."""
    assert properties.window is not None  # noqa: S101
    return properties.window


def rolling_facts(
    cycle: Cycle | Segment, properties: Properties, polled: Polled, listed: Listed
) -> Facts:
    """Return the facts of one poll of a list without times, packed.

    Who appeared is not among them: that is told by the lists before (`appeared_word`).

    Args:
        cycle: The cycle, or the segment of it that this definition decides.
        properties: What the source declares.
        polled: The poll; one that was not complete names people, and rules nobody out.
        listed: Everybody listed, whatever their times (there are none).
    """
    span, people = _span(properties, polled), people_of(listed)
    closed, ended, full = 0, 0, dict[int, int]()
    if polled.complete:
        start_ms, end_ms = _proof_range(properties, polled, span)
        ended = cycle.ended_by(polled.began_ms - properties.shown_after_ms)
        if properties.removal is Removal.NEVER:
            covered = _windows_within(cycle, start_ms, end_ms)
            closed = covered & ~CYCLE_MASK
            full = {w: len(people) // SIZE for w in cycle.windows() if covered >> w & 1}
    if not properties.ids_stable:
        # Of single polls, which are never united. Rows prove nothing: whether the list forgets
        # cannot be seen by ids that change.
        listed_ids = count_listed(listed) if polled.complete else 0
        return Facts(closed=closed, ended=ended, full=full, listed=listed_ids)
    first_ms = span.first_earliest_ms - properties.skew_ms
    last_ms = min(span.last_latest_ms + properties.skew_ms, polled.read_ms)
    word = _windows_around(cycle, first_ms, last_ms) if rows_fit(cycle, properties) else 0
    return Facts(
        PackedWords({word: people} if word and people else {}),
        PackedWords({closed & ~word: people} if closed & ~word and people else {}),
        closed,
        ended,
        roster=names_of(_whole(cycle), polled, listed),
    )


def rows_fit(cycle: Cycle | Segment, properties: Properties) -> bool:
    """Whether the window, a day before the cycle's end, lies inside it: rows can prove activity.

    A window that is inside for a moment only, as one of the cycle's length, proves nearly nothing.
    """
    whole = _whole(cycle)
    at_ms = whole.end_ms - DAY_MS
    span = window_of(properties).span(at_ms - properties.age_ms, at_ms)
    return span.first_earliest_ms - properties.skew_ms >= whole.start_ms


def believes(cycle: Cycle | Segment, properties: Properties, *, forgets: bool) -> bool:
    """Whether those with proof of activity count.

    Args:
        cycle: The cycle or segment.
        properties: What the source declares, and what of it is refuted.
        forgets: Somebody left the list and came back: it does not name everybody for ever.
    """
    if properties.refuted:
        return False
    return forgets if rows_fit(cycle, properties) else properties.keeps_users


def appeared_word(
    cycle: Cycle | Segment, properties: Properties, polled: Polled, before: ListBefore
) -> int:
    """Return the word of somebody who is listed now, and was on no complete list before.

    0: nothing of the cycle is proved. It is not where users may come back without activity, and
    where the window may have moved backwards.

    Args:
        cycle: The cycle or segment.
        properties: What the source declares.
        polled: The poll that lists him.
        before: The newest list before it.
    """
    computed_ms = polled.began_ms - properties.age_ms
    if not properties.ids_stable or properties.removal is not Removal.NEVER:
        return 0
    if rows_fit(cycle, properties) or not window_of(properties).advances(
        computed_ms, polled.read_ms
    ):
        return 0
    absent_ms = _absent_at_ms(before, computed_ms)
    if absent_ms is None:
        return 0
    return _windows_around(cycle, absent_ms - properties.shown_after_ms, polled.read_ms)


def plausible(new: int, before: int) -> bool:
    """Whether so many may appear at once on a list of so many, and all have become active.

    More of them say that the list before was cut, or that the account that reads it sees more now.
    """
    return new <= max(JUMP_USERS, before // 10)


def must_list_again(properties: Properties, before: ListBefore, now: Polled) -> bool:
    """Whether everybody on the list before must be on this one: it looks at all of that time.

    As within a calendar month: nobody who has been active in it leaves its list.
    """
    if properties.removal is not Removal.NEVER or not properties.ids_stable:
        return False
    if before.read_ms is None:
        return False
    seen = _span(properties, Polled(before.began_ms, before.read_ms, complete=True))
    start_ms, end_ms = _proof_range(properties, now, _span(properties, now))
    last_ms = min(seen.last_latest_ms + properties.skew_ms, before.read_ms)
    return start_ms <= seen.first_earliest_ms - properties.skew_ms and last_ms < end_ms


def must_stay(
    cycle: Cycle | Segment, properties: Properties, before: ListBefore, now: Polled
) -> bool:
    """Whether everybody proved active by the lists before must be on this one.

    It looks at all of the cycle, up to the reading of the newest of them.
    """
    if properties.removal is not Removal.NEVER or not properties.ids_stable:
        return False
    start_ms, end_ms = _proof_range(properties, now, _span(properties, now))
    return start_ms <= cycle.start_ms and before.read_ms is not None and before.read_ms < end_ms


def possible_in_cycle(closed: int, days: int) -> bool:
    """Whether the days that were covered one by one make up a cycle of so many."""
    whole = (1 << days) - 1
    return closed & whole == whole


def _whole(cycle: Cycle | Segment) -> Cycle:
    return cycle.cycle if isinstance(cycle, Segment) else cycle


def _span(properties: Properties, polled: Polled) -> WindowSpan:
    return window_of(properties).span(polled.began_ms - properties.age_ms, polled.read_ms)


def _proof_range(properties: Properties, polled: Polled, span: WindowSpan) -> tuple[int, int]:
    """Return ``[start, end)``: whoever was active in it is listed."""
    start_ms = span.first_latest_ms + properties.skew_ms + properties.hidden_ms
    shown_ms = polled.began_ms - properties.shown_after_ms
    return start_ms, min(span.until_earliest_ms - properties.skew_ms, shown_ms)


def _absent_at_ms(before: ListBefore, computed_ms: int) -> int | None:
    """Return when a list began, at the earliest, that was read before this one was computed.

    None: there is none. Where the newest one is too new, the answers having an age, the times of
    those before it are known as runs: between the ends of one there is a list in every hour.
    """
    if before.read_ms is not None and before.read_ms <= computed_ms:
        return before.began_ms
    earlier = [run for run in before.runs if run.first_end_ms <= computed_ms]
    if not earlier:
        return None
    return min(computed_ms - JOINED_GAP_MS, max(run.last_start_ms for run in earlier))


def _windows_within(cycle: Cycle | Segment, start_ms: int, end_ms: int) -> int:
    """Return the word of the windows that lie in a range as a whole."""
    windows = cycle.windows().items()
    return _word(w for w, (first, last) in windows if start_ms <= first and last <= end_ms)


def _windows_around(cycle: Cycle | Segment, first_ms: int, last_ms: int) -> int:
    """Return the word of the windows that contain an interval of evidence, its ends included."""
    windows = cycle.windows().items()
    return _word(w for w, (start, end) in windows if start <= first_ms and last_ms < end)


def _word(windows: Iterable[int]) -> int:
    return sum(1 << window for window in windows)
