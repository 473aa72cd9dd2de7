# ruff: noqa
"""Bounds on the number of distinct users active in a half-open window [S, E).

Pure functions.  All times are integers (milliseconds in production, ticks in the
tests).  A poll never yields a number, it yields *facts*; facts are joined with
``merge`` (commutative, associative, idempotent) and ``evaluate`` turns joined facts
into ``lower <= truth <= upper``.  ``upper is None`` means "no upper bound is known".
"""

from dataclasses import dataclass, field
from itertools import combinations
from typing import Dict, FrozenSet, Optional, Tuple

INF = float("inf")
CYCLE = 62  # bit: active in the cycle, day not known


@dataclass(frozen=True)
class Cycle:
    start: int
    end: int
    day: int

    @property
    def days(self):
        return -(-(self.end - self.start) // self.day)

    def windows(self):
        """Index -> [S, E).  CYCLE is the whole cycle, 0.. are its days."""
        w = {CYCLE: (self.start, self.end)}
        for d in range(self.days):
            s = self.start + d * self.day
            w[d] = (s, min(s + self.day, self.end))
        return w


# --- facts: a join-semilattice ------------------------------------------------


@dataclass(frozen=True)
class Rec:
    """Proof record of one complete poll for one window: every user with an activity t,
    lo <= t < hi, is certain (has a bit) or is in `maybe`.  Never becomes false."""

    lo: float
    hi: float
    maybe: FrozenSet[str]

    def beats(self, o):
        return self != o and self.lo <= o.lo and self.hi >= o.hi and self.maybe <= o.maybe


def pareto(recs):
    return frozenset(r for r in recs if not any(o.beats(r) for o in recs))


@dataclass(frozen=True)
class Facts:
    bits: Dict[str, int] = field(default_factory=dict)  # join: OR
    recs: Dict[int, FrozenSet[Rec]] = field(default_factory=dict)  # join: Pareto of union
    low: Dict[int, int] = field(default_factory=dict)  # join: max
    roster: FrozenSet[str] = frozenset()  # join: union
    inactive: Dict[int, FrozenSet[str]] = field(default_factory=dict)  # join: union
    closed: FrozenSet[int] = frozenset()  # windows with a complete poll started >= E + lag
    samples: FrozenSet[Tuple] = frozenset()  # join: union
    violations: FrozenSet[str] = frozenset()  # join: union


def _join(a, b, op):
    out = dict(a)
    for k, v in b.items():
        out[k] = op(out[k], v) if k in out else v
    return out


def merge(a: Facts, b: Facts) -> Facts:
    return Facts(
        _join(a.bits, b.bits, lambda x, y: x | y),
        _join(a.recs, b.recs, lambda x, y: pareto(x | y)),
        _join(a.low, b.low, max),
        a.roster | b.roster,
        _join(a.inactive, b.inactive, lambda x, y: x | y),
        a.closed | b.closed,
        a.samples | b.samples,
        a.violations | b.violations,
    )


# --- results ------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    lower: int
    upper: Optional[int]
    conflict: bool = False
    estimate: Optional[int] = None

    @property
    def accuracy(self):
        if self.conflict:
            return "Conflict"  # a declared property is false
        if self.upper == self.lower:
            return "Exact"
        if self.upper is not None:
            return "Bounded" if self.lower else "UpperBound"
        if self.lower:
            return "LowerBound"
        return "Unknown" if self.estimate is None else "Estimate"


def certain_users(facts, w):
    if w == CYCLE:
        return {u for u, b in facts.bits.items() if b}
    return {u for u, b in facts.bits.items() if b >> w & 1}


def proved_until(facts, w):
    """Mid-cycle 'as of' time: the latest T for which an upper bound of [S, T) may exist."""
    return max((r.hi for r in facts.recs.get(w, ())), default=None)


def possible_users(facts, cycle, w, until=None):
    """A set that contains every user active in window w (or in [S, until)), or None.
    Cheapest chain of records whose proof ranges together contain [S, E)."""
    S, E = cycle.windows()[w]
    E = E if until is None else until
    sure = certain_users(facts, w)
    best = {S: (0, frozenset())}  # reached end -> (cost, maybe set)
    for r in sorted(facts.recs.get(w, ()), key=lambda r: (r.hi, r.lo, sorted(r.maybe))):
        if r.hi <= S:
            continue
        froms = [v for h, v in best.items() if h >= r.lo]
        if r.lo <= S:
            froms.append((0, frozenset()))
        if not froms:
            continue
        s = min((m | r.maybe for _, m in froms), key=lambda m: (len(m - sure), sorted(m)))
        c = (len(s - sure), s)
        if r.hi not in best or c < best[r.hi]:
            best[r.hi] = c
    ends = [v for h, v in best.items() if h >= E]
    return set(min(ends, key=lambda v: v[0])[1]) | sure if ends else None


# --- kind A: users with a last-activity timestamp ---------------------------------


@dataclass(frozen=True)
class ListSpec:
    granularity: int = 1  # shown value v means stamp in [v, v+granularity)
    skew: int = 0  # |stamp - true time| <= skew
    poll_skew: int = 0  # |operator clock - true time| <= poll_skew
    lag: int = 0  # an activity at t is shown at the latest at t+lag
    hidden: int = 0  # shown v does not rule out activity up to v+hidden
    kept: float = INF  # a user stays listed for `kept` after each activity
    listed_once: bool = False  # weaker than kept: seen by >= 1 complete poll before removal
    id_reuse: bool = False  # an id may be given to a new user after removal
    initial_created: bool = False  # value starts as the creation time
    id_stable: bool = True  # False: ids may be renamed or swapped


@dataclass(frozen=True)
class Poll:
    start: int
    end: int
    complete: bool
    rows: Tuple  # (id, last_active | None, created | None); the same id may repeat


def list_facts(cycle: Cycle, spec: ListSpec, poll: Poll, prev: Optional[Poll] = None):
    """Facts of one poll.  `prev` (optional, any earlier poll) only sharpens."""
    ps, pe = poll.start - spec.poll_skew, poll.end + spec.poll_skew
    old, since = {}, None
    if prev is not None and spec.id_stable and prev.end + spec.poll_skew < ps:
        since = prev.start - spec.poll_skew - spec.lag
        for u, v, _ in prev.rows:
            old.setdefault(u, set()).add(v)
    wins = cycle.windows()
    bits, maybe, low = {}, {w: set() for w in wins}, {w: set() for w in wins}
    inactive, violations, ids = {w: set() for w in wins}, set(), set()
    for u, v, c in poll.rows:
        ids.add(u)
        if v is None:
            for w, (S, E) in wins.items():
                if ps - spec.lag >= E and not spec.id_reuse:
                    inactive[w].add(u)
            continue
        raw = v + spec.granularity - 1 + spec.skew
        lo, hi = v - spec.skew, min(raw, pe)
        if u in old and v not in old[u]:
            lo = max(lo, since)  # the value changed after prev was read
        real = not (spec.initial_created and (c is None or c == v))
        if lo > hi:
            violations.add("stamp in the future or older than an earlier poll allows")
            real = False
        for w, (S, E) in wins.items():
            if real and S <= lo and hi < E:
                bits[u] = bits.get(u, 0) | 1 << w
                low[w].add(u)
            elif raw + spec.hidden >= S and not (c is not None and c - spec.skew >= E):
                maybe[w].add(u)
            elif ps - spec.lag >= E and not (spec.id_reuse and raw + spec.hidden >= S):
                inactive[w].add(u)
    recs = {}
    if poll.complete:
        for w, (S, E) in wins.items():
            a, b = max(pe - spec.kept, S), min(ps - spec.lag, E)
            if a < b:
                recs[w] = frozenset(
                    [Rec(a, b, frozenset(maybe[w] | (low[w] if not spec.id_stable else set())))]
                )
    if not spec.id_stable:
        bits = {}
    return Facts(
        bits,
        recs,
        {w: len(s) for w, s in low.items()} if not spec.id_stable else {},
        frozenset(ids) if spec.listed_once and poll.complete else frozenset(),
        {w: frozenset(s) for w, s in inactive.items()} if spec.listed_once else {},
        frozenset(w for w, (_, E) in wins.items() if poll.complete and ps - spec.lag >= E),
        frozenset(),
        frozenset(violations),
    )


def evaluate_list(facts, cycle, spec, w=CYCLE):
    S, E = cycle.windows()[w]
    sure = certain_users(facts, w)
    lower = len(sure)
    if facts.violations:
        return Result(0, None, True)
    if not spec.id_stable:  # each record stands alone
        lower = facts.low.get(w, 0)
        full = [len(r.maybe) for r in facts.recs.get(w, ()) if r.lo <= S and r.hi >= E]
        up = min(full) if full else None
        return Result(lower, up, up is not None and up < lower)
    if spec.listed_once:
        up = (
            len((facts.roster - facts.inactive.get(w, frozenset())) | sure)
            if w in facts.closed
            else None
        )
        return Result(lower, up, bool(sure & facts.inactive.get(w, frozenset())))
    pos = possible_users(facts, cycle, w)
    return Result(lower, None if pos is None else len(pos))


def evaluate_refuted(cycle: Cycle, spec: ListSpec, polls) -> Result:
    """A list that is said to keep everybody (kept = INF) and lost somebody: section 2.

    Removal or ids is false, and it is not known which. Of the sure those count whom the newest
    complete poll lists; possible are they, and whoever was ever listed and was not ruled out.
    """
    S, E = cycle.start, cycle.end
    whole = [p for p in polls if p.complete]
    late = [p for p in whole if p.start - spec.lag >= E]
    first = [p for p in whole if p.end <= S][-1:]
    between = [p for p in whole if p.end > S and p.start - spec.lag < E]
    roster = {row[0] for p in (*first, *between, *late[:1]) for row in p.rows}
    sure, inactive = set(), set()
    for p in polls:
        found = list_facts(cycle, spec, p)
        sure |= certain_users(found, CYCLE)
        for u, v, _ in p.rows:
            if p.start - spec.lag >= E and (v is None or v < S):
                inactive.add(u)
    kept = sure & {row[0] for row in whole[-1].rows}
    return Result(len(kept), len(sure | (roster - inactive)) if first and late else None)


# --- stored form for kind A when listed users never disappear (kept = INF) ------------


@dataclass(frozen=True)
class Compact:
    """Two 64-bit words per user and one per cycle.  Bits 0..61: days, bit 62: the cycle (signed words in databases).
    `maybe` bits mean something only for windows in `closed`; join there is AND."""

    sure: Dict[str, int] = field(default_factory=dict)
    maybe: Dict[str, int] = field(default_factory=dict)
    closed: int = 0


def compact(facts, cycle):
    closed, maybe = 0, {}
    for w, (S, E) in cycle.windows().items():
        full = [r.maybe for r in facts.recs.get(w, ()) if r.lo <= S and r.hi >= E]
        if full:
            closed |= 1 << w
            for u in frozenset.intersection(*full):
                if not facts.bits.get(u, 0) >> w & 1:
                    maybe[u] = maybe.get(u, 0) | 1 << w
    return Compact(dict(facts.bits), maybe, closed)


def merge_compact(a, b):
    maybe = {}
    for u in a.maybe.keys() | b.maybe.keys():
        x, y = a.maybe.get(u, 0), b.maybe.get(u, 0)
        m = x & y | x & ~b.closed | y & ~a.closed
        if m:
            maybe[u] = m
    return Compact(_join(a.sure, b.sure, lambda x, y: x | y), maybe, a.closed | b.closed)


def evaluate_compact(c, w=CYCLE):
    sure = {u for u, b in c.sure.items() if (b if w == CYCLE else b >> w & 1)}
    may = {u for u, b in c.maybe.items() if b >> w & 1}
    return Result(len(sure), len(sure | may) if c.closed >> w & 1 else None)


# --- kind B: rolling list without timestamps ---------------------------------------


@dataclass(frozen=True)
class RollSpec:
    window: int  # stamps in (c-window, c]
    age: int = 0  # c is at most `age` before the row is read (cache, refresh)
    skew: int = 0
    lag: int = 0
    hidden: int = 0
    kept: float = INF
    relist: bool = False  # a user may vanish and come back without activity


def roll_facts(cycle, spec, poll, prev=None):
    ps, pe = poll.start, poll.end
    ids = {r[0] for r in poll.rows}
    fresh, since = set(), None
    if (
        prev is not None
        and prev.complete
        and not spec.relist
        and spec.kept == INF
        and ps - spec.age >= prev.end
    ):
        fresh = ids - {r[0] for r in prev.rows}
        since = prev.start - spec.age - max(spec.lag, spec.skew)
    bits, maybe, recs = {}, {}, {}
    for w, (S, E) in cycle.windows().items():
        maybe[w] = set()
        for u in ids:
            lo = ps - spec.age - spec.window + 1 - spec.skew
            if u in fresh:
                lo = max(lo, since)
            if S <= lo and pe < E:
                bits[u] = bits.get(u, 0) | 1 << w
            else:
                maybe[w].add(u)
        a = max(pe - spec.window + spec.skew + spec.hidden + 1, pe - spec.kept, S)
        b = min(ps - spec.age - max(spec.lag, spec.skew), E)
        if poll.complete and a < b:
            recs[w] = frozenset([Rec(a, b, frozenset(maybe[w]))])
    return Facts(bits, recs)


def evaluate_sets(facts, cycle, w=CYCLE):
    """Kinds B and D (and A with a roster-free policy)."""
    pos = possible_users(facts, cycle, w)
    return Result(len(certain_users(facts, w)), None if pos is None else len(pos))


# --- kind D: event log queried by time range --------------------------------------


@dataclass(frozen=True)
class LogSpec:
    skew: int = 0
    lag: int = 0
    kept: float = INF  # an event stays queryable for `kept` after it happened


def log_facts(cycle, spec, start, end, complete, a, b, events):
    """Answer to 'events with stamp in [a, b)', asked during [start, end]."""
    bits, recs = {}, {}
    for w, (S, E) in cycle.windows().items():
        maybe = set()
        for u, s in events:
            if S <= s - spec.skew and min(s + spec.skew, end) < E:
                bits[u] = bits.get(u, 0) | 1 << w
            elif s + spec.skew >= S and s - spec.skew < E:
                maybe.add(u)
        lo = max(a + spec.skew, end - spec.kept, S)
        hi = min(b - spec.skew, start - spec.lag, E)
        if complete and lo < hi:
            recs[w] = frozenset([Rec(lo, hi, frozenset(maybe))])
    return Facts(bits, recs)


# --- kind C: bare counts -------------------------------------------------------------


@dataclass(frozen=True)
class CountSpec:
    skew: int = 0
    lag: int = 0
    hidden: int = 0
    kept: float = INF
    self_counted: int = 0  # own/excluded accounts that may be inside the number
    relist: bool = False
    window: float = INF  # rolling length, INF for fixed-start windows


def count_sample(n, first, last, start, end, spec):
    """n users have a stamp in [first, last]; first/last/asked-at are (min, max) pairs."""
    a0, a1 = first
    b0, b1 = last
    # certain range: counted => activity in [in_lo, in_hi]
    in_lo, in_hi = a0 - spec.skew, min(b1 + spec.skew, end)
    # proof range: activity in [cov_lo, cov_hi) => counted
    cov_lo = max(a1 + spec.skew + spec.hidden, end - spec.kept)
    cov_hi = min(b0 - spec.skew, start - spec.lag)
    return (n, in_lo, in_hi, cov_lo, cov_hi, start, end)


def evaluate_counts(facts, spec, S, E):
    ss = sorted(facts.samples, key=lambda s: (s[5], s[6], s))
    lower = 0
    for n, lo, hi, *_ in ss:
        if lo >= S and hi < E:
            lower = max(lower, n - spec.self_counted)
    if not spec.relist:
        back = max(spec.lag, spec.skew)
        for x, y in combinations(ss, 2):  # a rise is activity between the samples
            if x[6] < y[5] and x[5] - back >= S and y[6] < E:
                lower = max(lower, y[0] - x[0] - spec.self_counted)
    best = {S: 0}  # chain of proof ranges, summed
    for n, _, _, lo, hi, _, _ in sorted(ss, key=lambda s: s[4]):
        costs = [v for h, v in best.items() if h >= lo] + ([0] if lo <= S else [])
        if hi > S and costs:
            c = min(costs) + n
            best[hi] = min(c, best.get(hi, INF))
    ends = [v for h, v in best.items() if h >= E]
    up = min(ends) if ends else None
    return Result(lower, up, up is not None and up < lower)


# --- combination of results ------------------------------------------------------------


def combine(results, how):
    """same: all describe the same users; disjoint: no user in two of them;
    overlap: nothing known about common users."""
    ups = [r.upper for r in results]
    known = None not in ups
    if how == "same":
        lo, fin = max(r.lower for r in results), [u for u in ups if u is not None]
        up = min(fin) if fin else None
    else:
        lo = (sum if how == "disjoint" else max)(r.lower for r in results)
        up = sum(ups) if known else None
    bad = any(r.conflict for r in results) or (up is not None and up < lo)
    return Result(lo, up, bad)
