# ruff: noqa
"""A random product, simulated in full: what it truly did, and what a poll of it would see.

Times are ticks: a cycle of 24 ticks, days of 6 ticks. Written beside ``bounds`` as its oracle.
"""

from tests.metering.oracle import bounds as B
from tests.metering.oracle.bounds import CYCLE, INF, Cycle, Poll

S, E, DAY = 30, 54, 6
CY = Cycle(S, E, DAY)
END = 110


def near(R, lo=0, hi=END):
    """A time, often close to a boundary."""
    m = R.randint(0, 4)
    t = S if m == 0 else E if m in (1, 2) else None
    t = R.randint(lo, hi) if t is None else t + R.randint(-5, 5)
    return max(lo, min(hi, t))


# --- the simulated product ---------------------------------------------------------------


class User:
    def __init__(self, uid, created, removed, hides, events):
        self.id, self.created, self.removed, self.hides, self.events = (
            uid,
            created,
            removed,
            hides,
            events,
        )
        self.writes = []  # (write time, stamp)
        self.c_stamp = created

    def listed(self, r):
        return self.created <= r < self.removed and not any(a <= r < b for a, b in self.hides)


class Product:
    """skew, lag, granularity, throttle, write order, removal; see ListSpec for the declared side."""

    def __init__(
        self,
        R,
        skew=0,
        lag=0,
        gran=1,
        throttle=0,
        order="lww",
        kept=INF,
        hide=False,
        reuse=False,
        initial=False,
        tz=0,
        n=6,
    ):
        self.R, self.gran, self.tz, self.initial, self.strict = (
            R,
            gran,
            tz,
            initial,
            R.random() < 0.5,
        )
        self.lag, self.skew, self.order = lag, skew, order
        ids = [chr(97 + i) for i in range(R.randint(0, n))]
        if reuse:
            ids += [R.choice(ids) for _ in range(R.randint(0, 3)) if ids]
        self.users, free = [], {}
        for uid in ids:
            start = free.get(uid, 0)
            if start > END:
                continue
            created = near(R, start) if start or R.random() < 0.5 else 0
            ts = sorted(near(R, created) for _ in range(R.randint(0, 4)))
            removed, hides = INF, []
            if kept != INF and R.random() < 0.6:
                removed = near(R, created) + 1
                ts = [t for t in ts if t < removed]
                if ts:
                    removed = max(removed, ts[-1] + kept + 1)
            if hide and kept != INF:  # hidden, then shown again with the old value
                for _ in range(R.randint(0, 2)):
                    a = (
                        R.choice(ts) + kept + R.randint(1, 9)
                        if ts and R.random() < 0.7
                        else near(R, created)
                    )
                    b = a + R.randint(1, 30)
                    if not any(t <= b and a <= t + kept for t in ts):
                        hides.append((a, b))
            free[uid] = removed + 1
            u = User(uid, created, removed, hides, ts)
            self._write(R, u, skew, lag, throttle, order)
            self.users.append(u)

    def _write(self, R, u, skew, lag, throttle, order):
        u.c_stamp = u.created + R.randint(-skew, skew)
        cache = u.c_stamp if self.initial else None
        last_w, out = -1, []
        for t in u.events:
            stamp = t + R.randint(-skew, skew)
            if throttle and cache is not None and stamp - cache < throttle:
                continue
            cache = max(cache, stamp) if order == "max" and cache is not None else stamp
            w = t + R.randint(0, lag)
            if order != "unordered":
                w = last_w = max(w, last_w)
            out.append((w, stamp))
        out.sort(key=lambda x: x[0])
        stored = u.c_stamp if self.initial else None
        for w, s in out:
            if order == "max" and stored is not None and s < stored:
                continue
            stored = s
            u.writes.append((w, s))

    def floor(self, x):
        return (x + self.tz) // self.gran * self.gran - self.tz

    def visible(self, w, r):
        return w < r if self.strict else w <= r

    def row(self, u, r):
        v = u.c_stamp if self.initial else None
        for w, s in u.writes:
            if self.visible(w, r):
                v = s
        return (u.id, None if v is None else self.floor(v), self.floor(u.c_stamp))

    def truth(self, w=CYCLE):
        a, b = CY.windows()[w]
        return {u.id for u in self.users if any(a <= t < b for t in u.events)}

    def list_at(self, r, by_last=False):
        rows = [self.row(u, r) for u in self.users if u.listed(r)]
        return sorted(
            rows,
            key=(lambda x: (x[1] is not None, x[1] or 0, x[0])) if by_last else (lambda x: x[0]),
        )

    def poll(self, R, start, mode="keyset", step=3, with_created=True, fail=0.15):
        """Paged listing.  complete is what the operator may conclude, not what is true."""
        r, rows, after, off, last = start, [], "", 0, None
        size = R.randint(2, 4)
        complete = True
        while True:
            if R.random() < fail / 2:
                complete = False
                break
            if mode == "keyset":
                page = [x for x in self.list_at(r) if x[0] > after][:size]
                rows += page
                if len(page) < size:
                    break
                after = page[-1][0]
            else:  # offset, pages overlap by one row
                page = self.list_at(r, mode == "moving")[off : off + size]
                key = 2 if mode == "moving" else 1  # activity order: the value must agree too
                if last is not None and (not page or page[0][:key] != last[:key]):
                    complete = False
                    break
                rows += page
                if len(page) < size:
                    break
                last, off = page[-1], off + size - 1
            r += R.randint(0, step)
        if not with_created:
            rows = [(u, v, None) for u, v, _ in rows]
        return Poll(start, r, complete, tuple(rows))


def schedule(R, hi=END):
    """Random poll start times; sometimes installed mid-cycle or down at the end."""
    k = R.randint(0, 3)
    if k == 0:
        return sorted(near(R) for _ in range(R.randint(0, 6)))
    first, gap = R.choice([0, S, S + 9, E, E + 3]), R.randint(1, 9)
    down = near(R)
    return [t for t in range(first, hi, gap) if not down <= t < down + R.choice([0, 5, 20])]


# --- A -----------------------------------------------------------------------------------


def make_a(R, **force):
    o = dict(
        skew=R.choice([0, 0, 1, 2]),
        lag=R.choice([0, 0, 2, 5]),
        gran=R.choice([1, 1, 3, 6]),
        throttle=R.choice([0, 0, 4]),
        order=R.choice(["max", "lww", "unordered"]),
        kept=R.choice([INF, INF, INF, 4, 12, 30]),
        hide=R.random() < 0.3,
        reuse=R.random() < 0.3,
        initial=R.random() < 0.3,
        tz=R.choice([0, 0, 2]),
    )
    o.update(force)
    p = Product(R, **o)
    hidden = o["throttle"]
    if o["order"] == "unordered":
        hidden += o["lag"] + 2 * o["skew"]
    spec = B.ListSpec(
        granularity=o["gran"],
        skew=o["skew"],
        lag=o["lag"],
        hidden=hidden,
        kept=o["kept"],
        id_reuse=o["reuse"],
        initial_created=o["initial"],
        poll_skew=R.choice([0, 0, 2]),
    )
    return p, spec


def polls_a(R, p, spec):
    mode = R.choice(["keyset", "offset"] + ["moving"] * (p.order == "max"))  # values never fall
    wc = spec.initial_created or R.random() < 0.5
    return [p.poll(R, t, mode, R.choice([0, 1, 3]), wc) for t in schedule(R)]


def shift(R, poll, by):
    """What the operator's clock says: off by at most `by`, and monotone."""
    d = R.randint(-by, by)
    return Poll(poll.start + d, poll.end + d, poll.complete, poll.rows)


# --- B, C --------------------------------------------------------------------------------


def counted(p, r, c, first):
    """Users with a stamp in [first, c] that is written at c, and listed at r."""
    return [
        u
        for u in p.users
        if u.listed(r) and any(p.visible(w, c) and first <= s <= c for w, s in u.writes)
    ]
