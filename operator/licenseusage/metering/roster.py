"""Rosters: who is listed, and with that an upper bound for products that remove users.

Where a user may leave the listing at any time, a closing poll alone rules nobody out. But if
everybody active in the cycle was in at least one complete poll, they are all among those ever
listed; whoever was still listed at the cycle's end and not active since its start is ruled out, and
those who vanished before that stay possible (MEASUREMENT §0, §3.9).

A list that is said to lose nobody has a roster too: it shows if that is so (``refuting``). Somebody
who is excluded is listed all the same. He adds nobody, and he is not missing.

Sets of pseudonyms are packed: sorted, distinct, 16 bytes each, one after the other. A million
listed users are 16 MB.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain
from typing import NamedTuple

from licenseusage.metering.cycles import Cycle, Segment
from licenseusage.metering.known import Known
from licenseusage.metering.packing import changed, packed, unpacked
from licenseusage.metering.polled import Polled
from licenseusage.metering.properties import Properties
from licenseusage.metering.pseudonym import SIZE
from licenseusage.reasons import Reason

HOUR_MS = 3_600_000
JOINED_GAP_MS = HOUR_MS
"""Complete polls no further apart are kept as one run: no setting forbids a gap that short."""


class Run(NamedTuple):
    """Complete polls one after the other, times widened by the clock skew.

    Attributes:
        first_end_ms: When the first of them had been read.
        last_start_ms: When the last of them began.
    """

    first_end_ms: int
    last_start_ms: int


@dataclass(frozen=True, slots=True)
class Roster:
    """Who was listed by complete polls of one store, for one cycle; a join-semilattice.

    All sets are packed. Those of excluded users are ``quiet`` and ``last`` only.

    Attributes:
        start_at_ms: When the newest poll began that had been read by the cycle's start; None: none.
        start: Listed by that poll. Who had left the list by then is no matter of the cycle.
        before: Listed by a poll since, that began too early to close the cycle.
        open_at_ms: When the earliest closing poll began; None before the first.
        open: Listed by that poll and not proved inactive by it.
        inactive: Proved inactive in the cycle by any poll late enough, complete or not.
        idle_at_ms: When the newest closing poll began; None before the first.
        idle: Listed by that poll and proved inactive by it.
        quiet: The same of users who are excluded: it refutes nothing.
        last_at_ms: When the newest poll began; None before the first.
        last: Everybody listed by that poll, excluded or not.
        runs: Complete polls, ascending; polls at most ``JOINED_GAP_MS`` apart are one run.
    """

    start_at_ms: int | None = None
    start: bytes = b""
    before: bytes = b""
    open_at_ms: int | None = None
    open: bytes = b""
    inactive: bytes = b""
    idle_at_ms: int | None = None
    idle: bytes = b""
    quiet: bytes = b""
    last_at_ms: int | None = None
    last: bytes = b""
    runs: tuple[Run, ...] = ()


class Listed(NamedTuple):
    """The users of one poll, by the relation of their last activity to the cycle.

    Attributes:
        never: Users without a last activity.
        early: Users whose last activity is before the cycle's horizon (``facts.horizon_ms``).
        later: The others: user, last activity, creation time or None, in ms since the epoch.
        everybody: All of these, packed, where that is at hand.
        aside: Users who are excluded, and whose last activity is not known to be early.
        quiet: The other excluded users.
    """

    never: Iterable[bytes]
    early: Iterable[bytes]
    later: Iterable[tuple[bytes, int, int | None]]
    everybody: bytes | None = None
    aside: Iterable[bytes] = ()
    quiet: Iterable[bytes] = ()


def roster_of(
    cycle: Cycle | Segment,
    properties: Properties,
    polled: Polled,
    listed: Listed,
    *,
    whole: bool = True,
) -> Roster:
    """Return the roster of one poll.

    With ids that may be given to another user, neither a row without activity nor a creation after
    the cycle proves anything about whoever had the id before. Of several rows of one user all must
    prove it.

    Args:
        cycle: The cycle; also one that has not begun, for its first roster. Of a segment only who
            is listed is kept: what a row rules out is ruled out of the segment.
        properties: What the source declares.
        polled: The poll; one that was not complete can only prove people inactive.
        listed: Everybody listed.
        whole: The request asks for everybody. Else it lists those active in the cycle, and no
            such list can have been read before its start.
    """
    late = polled.began_ms - properties.lag_ms >= cycle.end_ms
    if late and not isinstance(cycle, Segment):
        listed = listed._replace(aside=set(listed.aside), quiet=set(listed.quiet))
        active, inactive, quiet = _ruled_out(cycle, properties, listed)
        if not polled.complete:
            return Roster(inactive=packed(inactive), quiet=packed(quiet))
        people = listed.everybody or packed(chain(active, inactive))
        ruled_out = packed(inactive)
        return Roster(
            open_at_ms=polled.began_ms,
            open=packed(active),
            inactive=ruled_out,
            idle_at_ms=polled.began_ms,
            idle=ruled_out,
            quiet=packed(quiet),
            last_at_ms=polled.began_ms,
            last=_with_excluded(people, listed),
            runs=_runs(polled) if whole else (),
        )
    return names_of(cycle, polled, listed, whole=whole)


def names_of(
    cycle: Cycle | Segment, polled: Polled, listed: Listed, *, whole: bool = True
) -> Roster:
    """Return the roster of a poll that says who was listed, and of nobody when he was active.

    Args:
        cycle: As for `roster_of`.
        polled: The poll.
        listed: Everybody listed.
        whole: As for `roster_of`.
    """
    if not polled.complete:
        return Roster()
    counted = people_of(listed)
    names = _with_excluded(counted, listed)
    newest = Roster(last_at_ms=polled.began_ms, last=names)
    if isinstance(cycle, Segment):
        return newest
    newest = replace(newest, runs=_runs(polled) if whole else ())
    if polled.read_ms <= cycle.start_ms:
        return replace(newest, start_at_ms=polled.began_ms, start=counted)
    return replace(newest, before=counted)


def merge_rosters(a: Roster | None, b: Roster | None) -> Roster | None:
    """Return the join of two rosters of one store and cycle.

    Of the closing polls the earliest counts, which is the tightest: users who were created after it
    are no matter of the cycle. Of those before the start the latest does, for the same reason.
    """
    if a is None or b is None:
        return b if a is None else a
    start_at, start = _newest((a.start_at_ms, a.start), (b.start_at_ms, b.start))
    last_at, last = _newest((a.last_at_ms, a.last), (b.last_at_ms, b.last))
    idle_at, idle = _newest((a.idle_at_ms, a.idle), (b.idle_at_ms, b.idle))
    earliest = min((r.open_at_ms for r in (a, b) if r.open_at_ms is not None), default=None)
    closing = [r.open for r in (a, b) if r.open_at_ms == earliest]
    return Roster(
        start_at_ms=start_at,
        start=start,
        before=_union(a.before, b.before),
        open_at_ms=earliest,
        open=_union(*closing),
        inactive=_union(a.inactive, b.inactive),
        idle_at_ms=idle_at,
        idle=idle,
        quiet=_union(a.quiet, b.quiet),
        last_at_ms=last_at,
        last=last,
        runs=joined_runs((*a.runs, *b.runs), JOINED_GAP_MS),
    )


def joined_runs(runs: Iterable[Run], gap_ms: int) -> tuple[Run, ...]:
    """Return runs of polls with those no more than ``gap_ms`` apart made one, ascending.

    A gap is measured from the start of a poll to the end of the next: whoever was created after the
    one had read his place in the list can be gone before the other reads it.
    """
    joined: list[Run] = []
    for run in sorted(runs):
        if joined and run.first_end_ms - joined[-1].last_start_ms <= gap_ms:
            last = joined[-1]
            joined[-1] = Run(last.first_end_ms, max(last.last_start_ms, run.last_start_ms))
        else:
            joined.append(run)
    return tuple(joined)


class Missing(StrEnum):
    """Why a roster gives no upper bound (Tokens of ``CycleStatement.unbounded``).

    ``NOT_AT_START``: no complete poll had ended when the cycle began, so that somebody may have
    been removed unseen. ``GAP``: complete polls are too far apart. ``NOT_CLOSED``: no complete poll
    was late enough to show everything.
    """

    NOT_AT_START = Reason.ROSTER_MISSING
    GAP = Reason.ROSTER_GAP
    NOT_CLOSED = Reason.NO_CLOSING_POLL


def missing(
    start_ms: int, open_at_ms: int | None, runs: Sequence[Run], gap_ms: int
) -> Missing | None:
    """Return what a roster lacks to contain everybody active in the cycle; None: nothing.

    Args:
        start_ms: Start of the cycle: the roster begins with a poll that ended by then.
        open_at_ms: When the closing poll began.
        runs: The complete polls.
        gap_ms: How far two of them may lie apart (a setting).
    """
    if open_at_ms is None:
        return Missing.NOT_CLOSED
    begun = [run for run in joined_runs(runs, gap_ms) if run.first_end_ms <= start_ms]
    if not begun:
        return Missing.NOT_AT_START
    return None if begun[-1].last_start_ms >= open_at_ms else Missing.GAP


def doubted_users(properties: Properties, sure: Set[bytes], roster: Roster | None) -> Set[bytes]:
    """Return who does not count, so that the others do whichever guarantee is the false one.

    Those whom the newest list shows without their activity; and where a list lost somebody all
    whom it lists no longer: if ids change, they may count under another one (MEASUREMENT §2).

    Args:
        properties: What the source declares, and what of it is refuted.
        sure: Users with proof of activity.
        roster: Who was listed; None: not known.
    """
    if roster is None:
        return sure if properties.loses_users else frozenset()
    doubted = sure & set(unpacked(roster.idle))
    if properties.loses_users:
        ever = set(unpacked(roster.start + roster.before))
        doubted |= (sure | ever) - set(unpacked(roster.last))
    return doubted


def known_by_roster(
    cycle: Cycle | Segment, properties: Properties, sure: Set[bytes], roster: Roster | None
) -> Known:
    """Return the knowledge about the cycle if users are listed once (MEASUREMENT §3.9).

    Somebody with proof of activity who was in no complete poll refutes that there are none: then
    there is no upper bound either.
    """
    doubted = doubted_users(properties, sure, roster)
    kept = Known(sure - doubted, doubted=doubted)
    if roster is None or not properties.keeps_roster:
        return kept
    still, listed = set(unpacked(roster.open)), set(unpacked(roster.start + roster.before))
    lacks = missing(cycle.start_ms, roster.open_at_ms, roster.runs, properties.roster_gap_ms)
    if lacks is not None or not sure <= listed | still | set(unpacked(roster.last)):
        return kept
    ruled_out = set(unpacked(roster.inactive + roster.quiet))
    possible = (listed | still) - ruled_out | sure
    return replace(kept, possible=possible, vanished=possible - still - kept.sure)


def set_aside(roster: Roster | None) -> Set[bytes]:
    """Return who was listed, and is not among those of the closing poll who can be active.

    Of a list that loses nobody these are the users who have been excluded since: they may have been
    active before that.
    """
    if roster is None or roster.open_at_ms is None:
        return frozenset()
    ruled_out = set(unpacked(roster.open + roster.inactive + roster.quiet))
    return set(unpacked(roster.start + roster.before)) - ruled_out


def counts_for(roster: Roster, user: bytes) -> bool:
    """Whether a user is on the newest list, and was listed as somebody who is not excluded."""
    counted = (roster.inactive, roster.open, roster.before, roster.start)
    return _holds(roster.last, user) and any(_holds(users, user) for users in counted)


def is_listed(roster: Roster, user: bytes) -> bool:
    """Whether a user is on the newest list, excluded or not."""
    return _holds(roster.last, user)


def count_listed(listed: Listed) -> int:
    """Return how many different users a poll lists, excluded or not."""
    return len(_with_excluded(people_of(listed), listed)) // SIZE


def _runs(polled: Polled) -> tuple[Run, ...]:
    """A poll as a run; one that takes longer than gaps that are joined would defy their order."""
    short = polled.read_ms - polled.began_ms <= JOINED_GAP_MS
    return (Run(polled.read_ms, polled.began_ms),) if short else ()


def _holds(users: bytes, user: bytes) -> bool:
    """Whether packed users have one among them."""
    count = len(users) // SIZE
    at = bisect_left(range(count), user, key=lambda n: users[n * SIZE : (n + 1) * SIZE])
    return users[at * SIZE : (at + 1) * SIZE] == user


def people_of(listed: Listed) -> bytes:
    """Return those listed and not excluded, packed."""
    if listed.everybody is not None:
        return listed.everybody
    return packed(chain(listed.never, listed.early, (user for user, _, _ in listed.later)))


def _with_excluded(people: bytes, listed: Listed) -> bytes:
    """Return packed users and those excluded."""
    return changed(people, {*listed.aside, *listed.quiet}, set())


def _ruled_out(
    cycle: Cycle | Segment, properties: Properties, listed: Listed
) -> tuple[set[bytes], set[bytes], set[bytes]]:
    """Return who may have been active, who was not, and who of the excluded was not."""
    active: set[bytes] = set()
    inactive = set(listed.early)
    for user, value_ms, created_ms in listed.later:
        first_ms, last_ms = value_ms - properties.skew_ms, value_ms + properties.width_ms
        inside = cycle.start_ms <= first_ms and last_ms < cycle.end_ms
        new = created_ms is not None and created_ms - properties.skew_ms >= cycle.end_ms
        (inactive if new and not inside and not properties.id_reuse else active).add(user)
    (active if properties.id_reuse else inactive).update(listed.never)
    others = active.union(listed.aside)
    inactive -= others
    quiet = set() if properties.id_reuse else set(listed.quiet) - others - inactive
    return active, inactive, quiet


def _newest(*polls: tuple[int | None, bytes]) -> tuple[int | None, bytes]:
    """Return the newest of some polls and whom it lists."""
    newest = max((at for at, _ in polls if at is not None), default=None)
    return newest, _union(*(users for at, users in polls if at == newest))


def _union(*sets: bytes) -> bytes:
    if len(set(sets)) == 1:
        return sets[0]  # most polls list the same people as before
    return packed(user for each in sets for user in unpacked(each))
